//! What becomes of a schedule whose time has come: which runs it gets, and how each of them begins.

use std::time::Duration;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::room::Room;
use pg_edge::domain::schedule::Kind;
use pg_edge::domain::schedule::catch_up::{CatchUp, Rules, Slots};
use pg_edge::domain::schedule::decision::{Action, Beginning, Decided, Origin, Others, Turn};
use pg_edge::domain::schedule::overlap::{Open, Overlap};

/// Every minute.
struct Minutes;

impl Slots for Minutes {
    fn next_after(&self, after: Moment) -> Option<Moment> {
        Some(Moment::from_seconds((after.seconds().div_euclid(60) + 1) * 60))
    }

    fn due_at(&self, slot: Moment) -> Moment {
        slot.saturating_add(Duration::from_secs(1))
    }

    fn count(&self, _: Moment, _: Moment) -> Option<u64> {
        None
    }
}

const NONE: Open = Open { running: 0, waiting: 0 };
const ONE: Open = Open { running: 1, waiting: 0 };

/// Calls that are due by the third minute, of which the first two were missed.
fn third_minute(overlap: Overlap, catch_up: CatchUp, open: Open) -> Turn<'static> {
    let at = Moment::from_seconds;
    let rules = Rules { catch_up, window: Duration::from_secs(3600), most: 10, listed: 10 };
    let (slot, passed, now) = (at(60), at(0), at(181));
    Turn { slots: &Minutes, kind: Kind::Cron, action: Action::Call, overlap, rules, slot, passed, now, open }
}

/// Slot by slot: missed or due, and run, wait, refused or skipped.
fn told(decided: &Decided) -> String {
    let fates = decided.slots.iter().map(|fate| {
        let origin = if fate.origin == Origin::Missed { "missed" } else { "due" };
        let beginning = match fate.beginning {
            Beginning::AtOnce => "runs",
            Beginning::Waiting => "waits",
            Beginning::Refused(_) => "refused",
            Beginning::Skipped { .. } => "skipped",
        };
        format!("{} {origin} {beginning}", fate.slot.seconds())
    });
    fates.collect::<Vec<_>>().join(", ")
}

#[test]
fn each_slot_begins_as_policies_and_other_runs_allow() {
    use CatchUp::{All, One};
    use Overlap::{Allow, Cancel, QueueOne, Skip};
    for (overlap, catch_up, open, expected, others) in [
        (Allow, One, NONE, "60 missed skipped, 120 missed skipped, 180 due runs", Others::GoOn),
        (Allow, CatchUp::Skip, ONE, "60 missed skipped, 120 missed skipped, 180 due runs", Others::GoOn),
        (Allow, All, ONE, "60 missed runs, 120 missed runs, 180 due runs", Others::GoOn),
        // What is made up for takes place one after the other, and the one that is due with it joins the line.
        (Skip, All, NONE, "60 missed runs, 120 missed waits, 180 due waits", Others::GoOn),
        (Skip, One, ONE, "60 missed skipped, 120 missed skipped, 180 due skipped", Others::GoOn),
        (QueueOne, One, ONE, "60 missed skipped, 120 missed skipped, 180 due waits", Others::GoOn),
        (QueueOne, All, ONE, "60 missed waits, 120 missed waits, 180 due waits", Others::GoOn),
        // Only the latest would not be cancelled at once.
        (Cancel, All, NONE, "60 missed skipped, 120 missed skipped, 180 due runs", Others::GoOn),
        (Cancel, All, ONE, "60 missed skipped, 120 missed skipped, 180 due runs", Others::End),
    ] {
        let decided = third_minute(overlap, catch_up, open).decide(&mut Room::Endless);
        let case = format!("{overlap:?} {catch_up:?} {open:?}");
        assert_eq!((told(&decided).as_str(), decided.others), (expected, others), "{case}");
        assert_eq!(decided.last_state(), None, "{case}");
        let next = decided.next.map(|next| (next.slot.seconds(), next.due.seconds()));
        assert_eq!((decided.passed.seconds(), next), (180, Some((240, 241))), "{case}");
    }
}

#[test]
fn runs_share_the_room_of_their_owner_and_what_is_left_is_for_the_next_schedule() {
    let mut room = Room::Limited { queued: 1, limit: 4 };
    let turn = third_minute(Overlap::Allow, CatchUp::All, NONE);
    assert_eq!(told(&turn.decide(&mut room)), "60 missed runs, 120 missed runs, 180 due runs");
    let decided = turn.decide(&mut room);
    assert_eq!(told(&decided), "60 missed refused, 120 missed refused, 180 due refused");
    assert_eq!(decided.last_state(), Some("failed"));
    assert!(
        matches!(&decided.slots[0].beginning, Beginning::Refused(why) if why.contains("max_queued_per_role allows 4"))
    );
    let turn = Turn { action: Action::Command, ..turn };
    assert_eq!(turn.decide(&mut room).last_state(), None, "a command is no call");
}

#[test]
fn neither_what_is_skipped_nor_what_waits_takes_room() {
    let mut room = Room::Limited { queued: 0, limit: 1 };
    third_minute(Overlap::Skip, CatchUp::One, ONE).decide(&mut room);
    third_minute(Overlap::QueueOne, CatchUp::All, ONE).decide(&mut room);
    assert_eq!(room.take(1), Ok(()));
}

#[test]
fn a_run_that_is_refused_ends_no_other() {
    let mut room = Room::Limited { queued: 1, limit: 1 };
    let decided = third_minute(Overlap::Cancel, CatchUp::One, ONE).decide(&mut room);
    assert_eq!(told(&decided), "60 missed skipped, 120 missed skipped, 180 due refused");
    assert_eq!(decided.others, Others::GoOn);
}

#[test]
fn what_runs_when_the_server_starts_is_never_late_and_has_no_next_time() {
    let turn = Turn { kind: Kind::Reboot, ..third_minute(Overlap::Skip, CatchUp::Skip, NONE) };
    let decided = turn.decide(&mut Room::Endless);
    assert_eq!(told(&decided), "60 due runs");
    assert_eq!((decided.passed.seconds(), decided.next), (60, None));
}

#[test]
fn of_commands_one_runs_and_of_calls_those_that_are_queued() {
    for (action, runs, calling, running, waiting) in [
        (Action::Command, 0, 0, 0, 0),
        (Action::Command, 3, 0, 1, 2),
        (Action::Call, 3, 0, 0, 3),
        (Action::Call, 3, 2, 2, 1),
    ] {
        assert_eq!(action.open(runs, calling), Open { running, waiting }, "{action:?} {runs} {calling}");
    }
}
