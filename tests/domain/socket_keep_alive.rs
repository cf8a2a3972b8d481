//! When a websocket's peer is pinged, sent a heartbeat, and given up.

use std::time::{Duration, Instant};

use pg_edge::domain::socket::keep_alive::{Hearing, Pulse, Rhythm, Step, step};

const RHYTHM: Rhythm = Rhythm { every: Duration::from_secs(20), dead_after: Duration::from_secs(40) };

#[test]
fn the_dead_are_buried_before_they_are_pinged_and_heartbeats_have_a_time_of_their_own() {
    use Hearing::{Open, Stopped};
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    // Last heard, pinged, beaten and now, in seconds.
    for (heard, pinged, beaten, hearing, now, expected) in [
        (0, 0, None, Open, 0, Step::Wait(at(20))),
        (0, 0, None, Open, 19, Step::Wait(at(20))),
        (0, 0, None, Open, 20, Step::Ping),
        (0, 20, None, Open, 20, Step::Wait(at(40))),
        (15, 20, None, Open, 21, Step::Wait(at(40))),
        (15, 20, None, Open, 40, Step::Ping),
        (15, 40, None, Open, 54, Step::Wait(at(55))),
        (15, 40, None, Open, 55, Step::Bury),
        // Both are due: whoever is dead is not pinged.
        (0, 0, None, Open, 100, Step::Bury),
        // Messages have been followed by pings, so the next one is due later; the heartbeat has a time of its own.
        (30, 30, Some(10), Open, 29, Step::Wait(at(30))),
        (30, 30, Some(10), Open, 30, Step::Beat),
        (30, 30, Some(30), Open, 30, Step::Wait(at(50))),
        (50, 30, Some(30), Open, 50, Step::Ping),
        (50, 50, Some(30), Open, 50, Step::Beat),
        // Silence that is ours says nothing, and the peer is still pinged so that it hears us.
        (0, 40, None, Stopped, 55, Step::Wait(at(60))),
        (0, 40, None, Stopped, 1_000, Step::Ping),
        (0, 1_000, Some(990), Stopped, 1_000, Step::Wait(at(1_010))),
    ] {
        let pulse = Pulse { heard: at(heard), pinged: at(pinged), beaten: beaten.map(at), hearing };
        assert_eq!(step(RHYTHM, pulse, at(now)), expected, "{pulse:?} {now}");
    }
}

#[test]
fn a_peer_can_be_given_up_before_it_was_pinged() {
    let hasty = Rhythm { every: Duration::from_secs(60), dead_after: Duration::from_secs(5) };
    let start = Instant::now();
    let pulse = Pulse { heard: start, pinged: start, beaten: None, hearing: Hearing::Open };
    assert_eq!(step(hasty, pulse, start), Step::Wait(start + Duration::from_secs(5)));
    assert_eq!(step(hasty, pulse, start + Duration::from_secs(5)), Step::Bury);
}
