//! When a callback is run, counted, and given up.

use pg_edge::domain::callback::{Next, Past, next};

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
