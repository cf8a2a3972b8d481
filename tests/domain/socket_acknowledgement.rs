//! What a websocket's peer is known to have taken.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pg_edge::domain::socket::acknowledgement::{Acknowledgement, Asking};
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(20);

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn new() -> Acknowledgement {
    Acknowledgement::new(Asking { after: millis(10), many: 64 }, LIMIT)
}

/// Writes messages, all in one moment.
fn write(known: &mut Acknowledgement, count: usize, now: Instant) {
    (0..count).for_each(|_| known.write(now));
}

#[test]
fn a_pong_says_that_everything_before_its_ping_is_taken_and_no_more() {
    let (mut known, now) = (new(), Instant::now());
    assert!(known.is_settled());
    write(&mut known, 3, now);
    let ping = known.ping();
    write(&mut known, 2, now);
    assert_eq!((known.flush(now), known.pong(ping, now)), (0, 3));
    assert!(!known.is_settled());
    // The same pong again, and pongs to nothing.
    assert_eq!((known.pong(ping, now), known.pong(ping + 1, now), known.pong(0, now)), (0, 0, 0));
    let ping = known.ping();
    assert_eq!(known.pong(ping, now), 2);
    assert!(known.is_settled());
}

#[test]
fn a_later_pong_counts_for_the_pings_before_it() {
    let (mut known, now) = (new(), Instant::now());
    write(&mut known, 1, now);
    let first = known.ping();
    write(&mut known, 1, now);
    let second = known.ping();
    assert_eq!((known.pong(second, now), known.pong(first, now)), (2, 0));
}

#[test]
fn a_ping_is_asked_for_once_messages_have_waited_and_at_once_when_there_are_many() {
    let (mut known, start) = (new(), Instant::now());
    assert_eq!(known.ask_at(), None);
    write(&mut known, 63, start);
    assert_eq!(known.ask_at(), Some(start + millis(10)));
    write(&mut known, 1, start + millis(5));
    assert_eq!(known.ask_at(), Some(start));
}

#[test]
fn only_one_ping_follows_messages_at_a_time() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 100, start);
    let ping = known.ping();
    assert_eq!(known.ask_at(), None);
    write(&mut known, 10, start + millis(3));
    assert_eq!(known.ask_at(), None, "the first question is open");
    known.pong(ping, start + millis(7));
    assert_eq!(known.ask_at(), Some(start + millis(13)), "since the first of the ten was written");
    let ping = known.ping();
    known.pong(ping, start + millis(20));
    assert_eq!(known.ask_at(), None);
}

#[test]
fn a_ping_that_follows_nothing_keeps_no_question_open() {
    let (mut known, start) = (new(), Instant::now());
    known.ping();
    write(&mut known, 1, start);
    assert_eq!(known.ask_at(), Some(start + millis(10)));
}

#[test]
fn a_peer_that_talks_and_answers_no_ping_is_found_out_after_the_limit() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 3, start);
    known.ping();
    known.flush(start);
    write(&mut known, 2, start);
    assert_eq!(known.hear(start + LIMIT - millis(1)), 0);
    assert_eq!(known.hear(start + LIMIT), 3, "what has left our hands");
    assert!(!known.is_settled());
    // From now on, what is flushed is taken, and nothing is asked.
    assert_eq!(known.flush(start + LIMIT), 2);
    write(&mut known, 4, start + LIMIT);
    assert_eq!((known.ask_at(), known.flush(start + LIMIT), known.flush(start + LIMIT)), (None, 4, 0));
    let ping = known.ping();
    assert_eq!((known.pong(ping, start + LIMIT), known.pong(1, start + LIMIT)), (0, 0));
}

#[test]
fn silence_alone_does_not_make_a_peer_one_that_answers_no_pings() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 1, start);
    let ping = known.ping();
    known.flush(start);
    // Nothing was heard; then the pong comes late, and the peer is one that answers.
    assert_eq!(known.pong(ping, start + 3 * LIMIT), 1);
    write(&mut known, 1, start + 3 * LIMIT);
    assert_eq!(known.flush(start + 3 * LIMIT), 0);
}

#[test]
fn a_ping_that_has_not_left_our_hands_cannot_be_answered() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 1, start);
    known.ping();
    assert_eq!(known.hear(start + 3 * LIMIT), 0);
    known.flush(start + 3 * LIMIT);
    assert_eq!(known.hear(start + 4 * LIMIT - millis(1)), 0);
    assert_eq!(known.hear(start + 4 * LIMIT), 1);
}

#[test]
fn time_in_which_the_peer_could_not_be_heard_does_not_count() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 1, start);
    let ping = known.ping();
    known.flush(start);
    known.resume(start + 5 * LIMIT);
    assert_eq!(known.hear(start + 5 * LIMIT + millis(1)), 0);
    assert_eq!(known.pong(ping, start + 5 * LIMIT + millis(2)), 1);
}

#[test]
fn pings_that_nobody_answers_take_no_memory() {
    let (mut known, start) = (new(), Instant::now());
    write(&mut known, 1, start);
    let pings: Vec<u64> = (0..10_000).map(|_| known.ping()).collect();
    known.flush(start);
    assert!(format!("{known:?}").len() < 3_000);
    assert_eq!(known.pong(*pings.last().unwrap(), start), 1);
}

#[test]
fn who_has_read_our_close_frame_has_read_everything() {
    let (mut known, now) = (new(), Instant::now());
    write(&mut known, 5, now);
    let ping = known.ping();
    write(&mut known, 2, now);
    assert_eq!(known.pong(ping, now), 5);
    assert_eq!((known.finish(), known.finish()), (2, 0));
    assert!(known.is_settled());
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Write(u8),
    Ping,
    /// The peer reads so many more frames, and answers the pings among them.
    Read(u8),
    Flush,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (1..100_u8).prop_map(Deed::Write),
        Just(Deed::Ping),
        any::<u8>().prop_map(Deed::Read),
        Just(Deed::Flush),
    ]
}

proptest! {
    #[test]
    fn never_is_more_taken_than_was_read(deeds in prop::collection::vec(deed(), 0..60)) {
        let (mut known, now) = (new(), Instant::now());
        // Frames on their way: a message, or a ping with its number.
        let (mut frames, mut read, mut taken) = (VecDeque::new(), 0_u64, 0);
        for deed in deeds {
            match deed {
                Deed::Write(count) => {
                    write(&mut known, count.into(), now);
                    frames.extend((0..count).map(|_| None));
                }
                Deed::Ping => frames.push_back(Some(known.ping())),
                Deed::Flush => taken += known.flush(now),
                Deed::Read(count) => {
                    for frame in (0..count).map_while(|_| frames.pop_front()) {
                        match frame {
                            None => read += 1,
                            Some(ping) => taken += known.pong(ping, now),
                        }
                    }
                }
            }
            prop_assert!(taken <= read, "{taken} taken, {read} read");
        }
        let last = known.ping();
        taken += known.pong(last, now);
        prop_assert!(known.is_settled());
        let unread = frames.iter().filter(|frame| frame.is_none()).count() as u64;
        prop_assert_eq!(taken, read + unread);
    }
}
