//! What follows when the command of a schedule has failed, and how one that is to end is made to.

use std::time::{Duration, SystemTime};

use pg_edge::domain::schedule::command::{
    AfterError, AfterProcess, Push, Pushing, Reached, Start, Tries, Wish, after_error, after_process, limit_of,
    next_start,
};

const SECOND: Duration = Duration::from_secs(1);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn a_command_is_tried_as_often_as_its_schedule_says_and_later_each_time() {
    for (attempts, most, waits) in [
        (1, 1, None),
        (1, 0, None),
        (1, 3, Some(1)),
        (2, 3, Some(2)),
        (3, 3, None),
        (4, 9, Some(8)),
        (20, 30, Some(3600)),
    ] {
        let expected = waits.map_or(AfterError::Failed, |waits| AfterError::Again(now() + waits * SECOND));
        let after = after_error("22012", Wish::Run, Tries { made: attempts, most }, now(), 0.0);
        assert_eq!(after, expected, "attempt {attempts} of {most}");
    }
    let after = after_error("22012", Wish::Run, Tries { made: 1, most: 2 }, now(), 1.0);
    assert_eq!(after, AfterError::Again(now() + 2 * SECOND), "with all of the jitter");
}

#[test]
fn a_command_that_is_to_end_is_not_tried_again_and_one_that_can_never_succeed_says_so() {
    let (last, more) = (Tries { made: 1, most: 1 }, Tries { made: 1, most: 3 });
    for (sqlstate, wish, tries, expected) in [
        ("57014", Wish::End, more, AfterError::Cancelled),
        // Its time limit has ended it.
        ("57014", Wish::Run, last, AfterError::Failed),
        ("22012", Wish::End, more, AfterError::Failed),
        ("42883", Wish::Run, last, AfterError::Hopeless),
        ("42883", Wish::Run, more, AfterError::Again(now() + SECOND)),
        ("42883", Wish::End, more, AfterError::Hopeless),
    ] {
        assert_eq!(after_error(sqlstate, wish, tries, now(), 0.0), expected, "{sqlstate} {wish:?} {tries:?}");
    }
}

#[test]
fn a_process_that_is_gone_is_followed_by_another_only_if_somebody_wants_that() {
    use Reached::{RunningBefore, RunningHere, Waiting};
    let (last, more) = (Tries { made: 1, most: 1 }, Tries { made: 1, most: 3 });
    for (reached, wish, tries, begins) in [
        (Waiting, Wish::End, more, "cancelled: it was cancelled before"),
        (RunningHere, Wish::End, more, "cancelled: it was cancelled, and its process"),
        (RunningBefore, Wish::End, last, "cancelled: it was cancelled, and its process"),
        (RunningHere, Wish::Run, last, "failed: its process ended"),
        (RunningBefore, Wish::Run, last, "failed: interrupted"),
        (RunningHere, Wish::Run, more, "again: its process ended"),
        (RunningBefore, Wish::Run, more, "again: interrupted"),
    ] {
        let told = match after_process(reached, wish, tries, now(), 0.0) {
            AfterProcess::Cancelled(why) => format!("cancelled: {why}"),
            AfterProcess::Failed(why) => format!("failed: {why}"),
            AfterProcess::Again(at, why) => {
                assert_eq!(at, now() + SECOND);
                format!("again: {why}")
            }
        };
        assert!(told.starts_with(begins), "{reached:?} {wish:?} {tries:?}: {told}");
    }
}

#[test]
fn a_schedule_says_how_long_its_command_may_take_or_the_setting_does() {
    let set = Some(3 * SECOND);
    assert_eq!(limit_of(Some(1500), set), Some(Duration::from_millis(1500)));
    assert_eq!(limit_of(Some(0), set), None);
    assert_eq!(limit_of(None, set), set);
    assert_eq!(limit_of(None, None), None);
}

#[test]
fn a_command_that_nobody_wants_to_end_is_let_alone_until_it_is_overdue() {
    let mut pushing = Pushing::default();
    assert_eq!((pushing.push(now()), pushing.next(now())), (Push::Nothing, None));
    // Its own process keeps the limit; the dispatcher only ends one that does not.
    pushing.limit_at = Some(now());
    assert_eq!((pushing.push(now() + 4 * SECOND), pushing.next(now())), (Push::Nothing, Some(now() + 5 * SECOND)));
    assert_eq!(pushing.push(now() + 5 * SECOND), Push::Terminate);
}

#[test]
fn a_command_that_is_to_end_is_cancelled_every_second_and_ended_after_five() {
    let mut pushing = Pushing { asked_at: Some(now()), ..Pushing::default() };
    let mut pushes = Vec::new();
    for tenths in 0..=70 {
        let at = now() + Duration::from_millis(100) * tenths;
        match pushing.push(at) {
            Push::Nothing => assert!(pushing.next(at).is_some_and(|next| next > at)),
            push => {
                pushes.push((tenths, push));
                pushing.pushed_at = Some(at);
            }
        }
    }
    let cancels = (0..5).map(|second| (second * 10, Push::Cancel));
    let expected: Vec<_> =
        cancels.chain([(50, Push::Terminate), (60, Push::Terminate), (70, Push::Terminate)]).collect();
    assert_eq!(pushes, expected);
}

#[test]
fn a_clock_that_is_set_back_does_not_put_off_a_push_for_long() {
    let pushing =
        Pushing { asked_at: Some(now() - 3600 * SECOND), limit_at: None, pushed_at: Some(now() + 3600 * SECOND) };
    assert_eq!(pushing.next(now()), Some(now() + SECOND));
}

#[test]
fn a_process_that_ends_before_it_could_begin_is_followed_by_two_more_with_pauses() {
    let ago = |seconds| now() - seconds * SECOND;
    assert_eq!(next_start(0, ago(0), now()), Start::Now);
    for (times, last, expected) in [
        (1, ago(0), Start::At(now() + 5 * SECOND)),
        (1, ago(4), Start::At(now() + SECOND)),
        (1, ago(5), Start::Now),
        (2, ago(5), Start::Now),
        // It may still be about to begin.
        (3, ago(4), Start::At(now() + SECOND)),
        (3, ago(5), Start::Never),
        (1, now() + 3600 * SECOND, Start::At(now() + 5 * SECOND)),
    ] {
        assert_eq!(next_start(times, last, now()), expected, "{times} {last:?}");
    }
}
