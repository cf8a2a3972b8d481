//! What follows from the end of a websocket.

use std::time::{Duration, SystemTime};

use pg_edge::domain::outcome::{Failure, FailureClass};
use pg_edge::domain::socket::backoff::Backoff;
use pg_edge::domain::socket::end::{End, Refusal};
use pg_edge::domain::socket::verdict::{Judged, Verdict, judge};
use proptest::prelude::*;

const MAX_BACKOFF: Duration = Duration::from_secs(30);

const AT_ONCE: Verdict = Verdict::Reconnect { least: Duration::ZERO };

fn after(end: &End) -> Judged {
    judge(end, MAX_BACKOFF, SystemTime::UNIX_EPOCH)
}

fn closed(code: impl Into<Option<u16>>) -> Judged {
    after(&End::ClosedByPeer { code: code.into(), reason: String::new() })
}

fn refused(status: u16, retry_after: Option<&str>) -> Judged {
    let retry_after = retry_after.map(str::to_owned);
    after(&End::Refused(Refusal { status, retry_after, message: format!("the server answered with {status}") }))
}

#[test]
fn a_close_code_decides_whether_it_is_opened_again() {
    for code in [1001, 1006, 1011, 1012, 1014] {
        assert_eq!(closed(code).verdict, AT_ONCE, "{code}");
    }
    for code in [1002, 1003, 1007, 1008, 1009, 1010, 1015, 1016, 2999, 3000, 4000, 4999] {
        assert_eq!(closed(code).verdict, Verdict::Failed, "{code}");
    }
    for code in [None, Some(1000)] {
        let judged = closed(code);
        assert_eq!((judged.verdict, judged.error), (Verdict::Closed, None), "{code:?}");
    }
}

#[test]
fn a_peer_that_says_later_is_left_alone_for_a_while() {
    assert_eq!(closed(1013).verdict, Verdict::Reconnect { least: Duration::from_secs(10) });
    let end = End::ClosedByPeer { code: Some(1013), reason: String::new() };
    let short = Duration::from_millis(200);
    assert_eq!(judge(&end, short, SystemTime::UNIX_EPOCH).verdict, Verdict::Reconnect { least: short });
}

#[test]
fn what_the_peer_said_of_a_close_is_told() {
    let judged = after(&End::ClosedByPeer { code: Some(1008), reason: "too many rooms".into() });
    let said = "the peer closed the connection with code 1008, policy violation: too many rooms";
    assert_eq!(judged.error.as_deref(), Some(said));
    assert_eq!((judged.close_code, judged.close_reason.as_deref()), (Some(1008), Some("too many rooms")));
    assert_eq!(closed(4123).error.as_deref(), Some("the peer closed the connection with code 4123"));
}

#[test]
fn a_status_decides_whether_the_handshake_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        assert_eq!(refused(status, None).verdict, AT_ONCE, "{status}");
    }
    for status in [200, 204, 301, 307, 400, 401, 403, 404, 410, 426, 451] {
        assert_eq!(refused(status, None).verdict, Verdict::Failed, "{status}");
    }
    let judged = refused(426, None);
    assert_eq!(judged.handshake_status, Some(426));
    assert_eq!(judged.error.as_deref(), Some("the server answered with 426"));
}

#[test]
fn a_peer_may_ask_for_up_to_ten_minutes() {
    let least = |value| match refused(503, Some(value)).verdict {
        Verdict::Reconnect { least } => least.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(least("7"), 7);
    assert_eq!(least("86400"), 600);
    assert_eq!(least("Thu, 01 Jan 1970 00:01:30 GMT"), 90);
    assert_eq!(least("soon"), 0);
    // Whoever is sent away for good is not called again, whatever else is said.
    assert_eq!(refused(403, Some("7")).verdict, Verdict::Failed);
}

#[test]
fn what_the_network_does_passes_and_what_is_forbidden_does_not() {
    use FailureClass::{
        Blocked, Connect, ConnectTimeout, Dns, Exhausted, Internal, InvalidRequest, Protocol, Timeout, Tls,
    };
    let failed = |class| after(&End::Failed(Failure::new(class, "so it was"))).verdict;
    for class in [Dns, Connect, ConnectTimeout, Tls, Timeout, Protocol, Exhausted, Internal] {
        assert_eq!(failed(class), AT_ONCE, "{class:?}");
    }
    for class in [Blocked, InvalidRequest] {
        assert_eq!(failed(class), Verdict::Failed, "{class:?}");
    }
    assert_eq!(after(&End::Silent).verdict, AT_ONCE);
    let violation = after(&End::Violation { code: 1009, message: "too large".into() });
    assert_eq!((violation.verdict, violation.close_code), (Verdict::Failed, Some(1009)));
}

#[test]
fn each_wait_may_be_twice_as_long_as_the_last() {
    let mut backoff = Backoff::default();
    let waits: Vec<u64> = (0..8).map(|_| backoff.next(1.0, Duration::ZERO, MAX_BACKOFF).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(backoff.next(0.0, Duration::ZERO, MAX_BACKOFF), Duration::ZERO);
}

#[test]
fn only_a_connection_that_lasted_begins_anew() {
    let mut backoff = Backoff::default();
    for _ in 0..3 {
        backoff.next(1.0, Duration::ZERO, MAX_BACKOFF);
    }
    backoff.was_open(Duration::from_millis(9999));
    assert_eq!(backoff.next(1.0, Duration::ZERO, MAX_BACKOFF).as_secs(), 8);
    backoff.was_open(Duration::from_secs(10));
    assert_eq!(backoff.next(1.0, Duration::ZERO, MAX_BACKOFF).as_secs(), 1);
}

proptest! {
    #[test]
    fn a_wait_is_never_longer_than_the_longest_nor_shorter_than_what_was_asked_for(
        tries in 0_u32..100, random in 0.0..=1.0, least in 0_u64..700, most in 1_u64..100,
    ) {
        let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
        let mut backoff = Backoff::default();
        for _ in 0..tries {
            backoff.next(random, least, most);
        }
        let wait = backoff.next(random, least, most);
        prop_assert!(wait >= least && wait <= most.max(least));
    }
}
