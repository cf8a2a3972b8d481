//! Runs of a schedule that somebody asks for: `edge.run_now` and `edge.backfill`.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments;
use crate::api::schedules::control::{clock_of, course_of, existing};
use crate::api::schedules::options::finite;
use crate::domain::moment::Moment;
use crate::domain::schedule::catch_up::Slots;
use crate::domain::schedule::decision::{Action, Beginning, Origin};
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::schedules::runs::{self, Made, NewRun, Template};
use crate::store::schedules::{self, Existing};
use crate::store::time::{now, of_moment, to_moment};
use crate::store::{control, owner};
use crate::worker::queued;
use crate::worker::wake::{self, reason};

/// As many slots as are queued at once.
const MOST: usize = 10_000;

/// Runs a schedule now, whatever its plan and its other runs, and gives the id of the call; of a command, that of the run.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn run_now(name: Option<Text>) -> Result<i64, ErrorReport> {
    let known = existing(name)?;
    let template = owner::acting(|| schedules::template(known.id))?;
    // The slot of a moment may have been run already, in this very microsecond.
    let mut slot = now();
    loop {
        if let Some(made) = make(&template, &[slot], Origin::Now, &Beginning::AtOnce)?.pop() {
            return Ok(made.call_id.unwrap_or(made.run_id));
        }
        slot = slot.saturating_add(Duration::from_micros(1));
    }
}

/// Queues a run for each slot of a time that has passed, unless it has been run, and tells how many.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn backfill(
    name: Option<Text>,
    from_at: Option<TimestampWithTimeZone>,
    to_at: Option<TimestampWithTimeZone>,
) -> Result<i64, ErrorReport> {
    let from = to_moment(arguments::required(finite("from_at", from_at)?, "from_at")?);
    let to = to_moment(arguments::required(finite("to_at", to_at)?, "to_at")?);
    let wanted = match to {
        _ if to < from => Some("no earlier than from_at"),
        _ if to > now() => Some("a time that has passed"),
        _ => None,
    };
    if let Some(wanted) = wanted {
        return Err(Error::OutOfRange { argument: "to_at", wanted, given: of_moment(to).to_string() }.into());
    }
    let known = existing(name)?;
    let slots = slots(&known, from, to)?;
    let template = owner::acting(|| schedules::template(known.id))?;
    // Somebody wants each of them, so they take place one after the other, unless it does not matter.
    let beginning = if known.overlap == "allow" { Beginning::AtOnce } else { Beginning::Waiting };
    let made = make(&template, &slots, Origin::Backfill, &beginning)?;
    Ok(i64::try_from(made.len()).unwrap_or(i64::MAX))
}

/// The slots from one moment to another, both included.
fn slots(known: &Existing, from: Moment, to: Moment) -> Result<Vec<Moment>, Error> {
    let clock = clock_of(known)?;
    let course = course_of(known, &clock);
    let first = course.next_after(from.saturating_sub(Duration::from_micros(1)));
    let slots = std::iter::successors(first, |slot| course.next_after(*slot)).take_while(|slot| *slot <= to);
    let slots: Vec<Moment> = slots.take(MOST + 1).collect();
    if slots.len() > MOST {
        return Err(Error::TooManySlots(MOST));
    }
    Ok(slots)
}

/// Writes the runs of slots that have none yet.
fn make(template: &Template, slots: &[Moment], origin: Origin, beginning: &Beginning) -> Result<Vec<Made>, Error> {
    let run =
        |slot: &Moment| NewRun { template, scheduled_for: of_moment(*slot), origin, beginning: beginning.clone() };
    let new: Vec<NewRun<'_>> = slots.iter().map(run).collect();
    let calls = template.work.action() == Action::Call;
    if calls && *beginning == Beginning::AtOnce {
        queued::may_queue_all(template.owner, new.len() as u64)?;
    }
    let made = owner::acting(|| runs::materialise(&control::read()?.database_id, &new))?;
    let made: Vec<Made> = made.into_iter().flatten().collect();
    for _ in made.iter().filter(|made| made.call_id.is_some()) {
        queued::note(template.owner);
    }
    if !made.is_empty() {
        wake::at_commit(reason::SCHEDULES | if calls { reason::CALLS } else { reason::COMMANDS });
    }
    Ok(made)
}
