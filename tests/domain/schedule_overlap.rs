//! What becomes of a run while others of its schedule have not ended.

use pg_edge::domain::schedule::overlap::{Decision, InTheWay, Open, Overlap};

#[test]
fn each_policy_does_as_it_says() {
    use Decision::{CancelThenRun, Run, Skip, Wait};
    use Overlap::{Allow, Cancel, QueueOne};
    let (none, one) = (Open::default(), Open { running: 1, waiting: 0 });
    let (queued, only_waiting) = (Open { running: 1, waiting: 1 }, Open { running: 0, waiting: 1 });
    for (policy, open, decision, made_up) in [
        (Overlap::Skip, none, Run, Run),
        (Overlap::Skip, one, Skip(InTheWay::Running), Wait),
        (Overlap::Skip, queued, Skip(InTheWay::Running), Wait),
        (Overlap::Skip, only_waiting, Skip(InTheWay::Waiting), Wait),
        (QueueOne, none, Run, Run),
        (QueueOne, one, Wait, Wait),
        (QueueOne, queued, Skip(InTheWay::Waiting), Wait),
        (QueueOne, only_waiting, Skip(InTheWay::Waiting), Wait),
        (Allow, none, Run, Run),
        (Allow, queued, Run, Run),
        (Cancel, none, Run, Run),
        (Cancel, one, CancelThenRun, CancelThenRun),
        (Cancel, only_waiting, CancelThenRun, CancelThenRun),
    ] {
        assert_eq!((policy.decide(open), policy.decide_in_line(open)), (decision, made_up), "{policy:?} with {open:?}");
    }
}

#[test]
fn policies_are_known_by_their_names() {
    for policy in [Overlap::Skip, Overlap::QueueOne, Overlap::Allow, Overlap::Cancel] {
        assert_eq!(Overlap::parse(policy.as_str()), Some(policy));
    }
    assert_eq!(Overlap::parse("Skip"), None);
}
