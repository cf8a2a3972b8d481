//! How soon the main thread hears of events: the first, the last, and many at once do not wait for others.

use std::time::Duration;

use pg_edge::domain::call::CallId;
use tokio::sync::watch;

use super::listener::{Listener, streaming};
use super::peer::Peer;
use super::sender::{Sender, numbered};

/// Sends streams of these batches of events, each batch once the one before was taken. Gives how long each had been there when
/// the main thread was woken for it, of all streams, the shortest first.
fn ages(batches: &'static [&'static [&'static str]]) -> Vec<Vec<Duration>> {
    const STREAMS: usize = 15;
    let (step, steps) = watch::channel(0);
    let peer = Peer::scripted(move |mut conn| {
        let mut steps = steps.clone();
        async move {
            conn.request().await;
            conn.begin().await;
            for (batch, events) in batches.iter().enumerate() {
                let turn = conn.index * batches.len() + batch + 1;
                steps.wait_for(|step| *step >= turn).await.unwrap();
                let events: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
                conn.chunk(events.as_bytes()).await;
            }
            conn.until_closed().await;
        }
    });
    let mut ages = vec![Vec::new(); batches.len()];
    let mut turn = 0;
    for _ in 0..STREAMS {
        // An engine of its own: the end of another stream would wake the main thread too.
        let sender = Sender::new();
        let mut listener = Listener::new(&sender);
        sender.engine.send(numbered(1, streaming(&peer.url())));
        listener.until("the head", |listener| listener.told.len() == 1);
        let mut sent = 0;
        for (batch, events) in batches.iter().enumerate() {
            (turn, sent) = (turn + 1, sent + events.len());
            step.send(turn).unwrap();
            // Whoever looked before would see those that wait too early.
            listener.until_woken("the events", |listener| listener.events() == sent);
            ages[batch].push(age(&listener, 1));
        }
    }
    ages.iter_mut().for_each(|ages| ages.sort());
    ages
}

/// A busy machine makes any of them late,
fn is_told_at_once(ages: &[Duration]) -> bool {
    ages[0] < Duration::from_millis(40)
}

/// and none of those that have to wait early.
fn waits_for_others(ages: &[Duration]) -> bool {
    ages[ages.len() / 2] > Duration::from_millis(40)
}

#[test]
fn the_first_event_does_not_wait_for_others_and_the_next_one_does() {
    let ages = ages(&[&["tick"], &["tick"]]);
    assert!(is_told_at_once(&ages[0]), "{ages:?}");
    assert!(waits_for_others(&ages[1]), "{ages:?}");
}

#[test]
fn the_event_that_ends_a_stream_does_not_wait_though_its_connection_stays_open() {
    const WORD: &str = "{\"choices\":[{\"delta\":{\"content\":\"word\"}}]}";
    const COUNTS: &str = "{\"choices\":[],\"usage\":{\"total_tokens\":2}}";
    let ages = ages(&[&[WORD], &[WORD], &["[DONE]"], &[COUNTS]]);
    assert!(waits_for_others(&ages[1]), "{ages:?}");
    assert!(is_told_at_once(&ages[2]), "{ages:?}");
    assert!(waits_for_others(&ages[3]), "what comes behind it is nothing that anybody waits for: {ages:?}");
}

#[test]
fn sixty_four_events_are_enough_not_to_wait_for_others_and_sixty_three_are_not() {
    let ages = ages(&[&["tick"], &["tick"; 63], &["tick"; 64]]);
    assert!(waits_for_others(&ages[1]), "{ages:?}");
    assert!(is_told_at_once(&ages[2]), "{ages:?}");
}

/// How long the last event of a call has been there.
fn age(listener: &Listener<'_>, call: i64) -> Duration {
    listener.told[&CallId(call)].events.last().unwrap().received_at.elapsed().unwrap_or_default()
}
