//! When a callback is run, counted, and given up.

use pg_edge::domain::callback::{Next, Past, at_once, next, without_this};

#[test]
fn what_is_known_of_earlier_runs_decides() {
    let table = [
        (Past::New, 5, Next::Run),
        (Past::New, 1, Next::Run),
        (Past::CountedNow, 1, Next::Run),
        (Past::Tried, 5, Next::Count(2)),
        (Past::Tried, 1, Next::GiveUp(1)),
        (Past::Counted(0), 1, Next::Count(1)),
        (Past::Counted(4), 5, Next::Count(5)),
        (Past::Counted(5), 5, Next::GiveUp(5)),
        (Past::Counted(7), 5, Next::GiveUp(7)),
    ];
    for (past, most, wanted) in table {
        assert_eq!(next(past, most), wanted, "{past:?} of {most}");
    }
}

#[test]
fn a_callback_that_never_ends_is_begun_as_often_as_is_allowed() {
    for most in 1..10 {
        let mut past = Past::New;
        let mut begun = 0;
        let given_up = loop {
            match next(past, most) {
                Next::Run => {
                    begun += 1;
                    past = Past::Tried;
                }
                Next::Count(runs) => {
                    begun += 1;
                    past = Past::Counted(runs);
                }
                Next::GiveUp(runs) => break runs,
            }
        };
        assert_eq!((begun, given_up), (most, most));
    }
}

#[test]
fn a_run_that_something_was_in_the_way_of_is_none() {
    for (past, runs) in [(Past::New, 0), (Past::Counted(1), 0), (Past::Counted(3), 2), (Past::Counted(0), 0)] {
        assert_eq!(without_this(past), runs, "{past:?}");
    }
    // However often that happens, it is begun again, even where it may be begun once only.
    assert_eq!(next(Past::Counted(without_this(Past::New)), 1), Next::Count(1));
}

#[test]
fn the_more_often_they_took_their_process_down_the_fewer_are_begun_together() {
    for (most, expected) in [
        (1, vec![Some(1), None]),
        (2, vec![Some(1000), Some(1), None]),
        (3, vec![Some(1000), Some(31), Some(1), None]),
        (5, vec![Some(1000), Some(31), Some(1), Some(1), Some(1), None, None]),
    ] {
        let decided: Vec<_> = (0..).map(|runs| at_once(runs, most, 1000)).take(expected.len()).collect();
        assert_eq!(decided, expected, "at most {most} times");
    }
    // One alone is given up, and only for what it did by itself, however many times it may be begun.
    for most in 1..=100 {
        assert_eq!(at_once(most - 1, most, 1000), Some(1), "the last of {most} times");
        assert_eq!(at_once(u32::MAX, most, 1000), None);
    }
}
