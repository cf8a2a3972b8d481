//! How fast streams run: as fast as the main thread stores what comes of them, and no faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_edge::domain::attempt::Attempt;
use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use pg_edge::domain::stream::follower::Ended;
use pg_edge::domain::stream::rules::{Format, StreamRules};
use pg_edge::engine::{Settings, descriptor_budget};
use tokio::sync::watch;

use super::listener::{Listener, chunked, rules, streaming};
use super::peer::Peer;
use super::sender::{PATIENCE, Sender, eventually, get, numbered, settings};

/// What the engine may hold of one stream, and what a chunk may add to it.
const OF_ONE: usize = 9 << 20;

/// What both ends' sockets hold of a connection at most, as Linux has it by default, and the above.
const STUCK: usize = 28 << 20;

const EVENTS: usize = 1_600;
const EVENT_BYTES: usize = 65_536;

/// Sends 100 MB of numbered events, and counts what it has got rid of.
fn flood() -> (Peer, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let peer = Peer::scripted(move |mut conn| {
        let counted = Arc::clone(&counted);
        async move {
            conn.request().await;
            conn.begin().await;
            let padding = "x".repeat(EVENT_BYTES);
            for number in 0..EVENTS {
                if !conn.event(&format!("{number} {padding}")).await {
                    return conn.note("closed");
                }
                counted.fetch_add(EVENT_BYTES, Ordering::SeqCst);
            }
            conn.end().await;
        }
    });
    (peer, written)
}

/// Waits until a count has not changed for a while.
fn stuck(count: &AtomicUsize) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    eventually("the peer stands still", || {
        let now = count.load(Ordering::SeqCst);
        if now != last || now == 0 {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
    last
}

#[test]
fn a_stream_that_is_not_stored_stands_still_and_holds_up_nobody() {
    let ((peer, written), sender) = (flood(), Sender::new());
    let mut listener = Listener::new(&sender);
    listener.kept = Some(Vec::new());
    sender.engine.send(numbered(1, streaming(&peer.url())));
    listener.until("the first event", |listener| listener.events() > 0);
    // The pieces are taken as they come, and none is stored.
    let mut last = 0;
    loop {
        let before = last;
        last = stuck(&written);
        listener.until("whatever has come", |_| true);
        if last == before {
            break;
        }
    }
    assert!(last < STUCK, "{last} bytes were sent to a reader that stands still");
    assert!(listener.events() * EVENT_BYTES < OF_ONE, "{} events are held", listener.events());

    let neighbour = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    sender.engine.send(numbered(2, get(&neighbour.url())));
    listener.until("the answer of a neighbour", |listener| listener.ended() == 1);

    listener.kept = None;
    listener.until("the end", |listener| listener.ended() == 2);
    let told = &listener.told[&CallId(1)];
    assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, EVENTS));
    for (number, event) in told.events.iter().enumerate() {
        assert!(event.data.len() > EVENT_BYTES && event.data.starts_with(&format!("{number} ")), "event {number}");
    }
}

#[test]
fn a_stream_that_nobody_looks_at_stands_still() {
    let ((peer, written), sender) = (flood(), Sender::new());
    sender.engine.send(numbered(1, streaming(&peer.url())));
    sender.wakes.recv_timeout(PATIENCE).expect("the stream is told of");
    let sent = stuck(&written);
    assert!(sent < STUCK, "{sent} bytes were sent to a reader that stands still");
    let (mut pieces, mut reports) = (Vec::new(), Vec::new());
    sender.engine.drain(&mut pieces, &mut reports);
    assert_eq!((pieces.len(), reports.len()), (1, 0));
    assert!(pieces[0].events.len() * EVENT_BYTES < OF_ONE);
}

#[test]
fn a_stream_that_stands_still_is_cancelled_and_runs_out_of_time_like_any_other() {
    let ((peer, written), sender) = (flood(), Sender::new());
    let mut listener = Listener::new(&sender);
    listener.kept = Some(Vec::new());
    let mut limited = streaming(&peer.url());
    limited.limits.total = Duration::from_secs(6);
    sender.engine.send(numbered(1, limited));
    sender.engine.send(numbered(2, streaming(&peer.url())));
    stuck(&written);
    sender.engine.cancel(CallId(2));
    listener.until("both ends", |listener| listener.ended() == 2);
    let ended = listener.told[&CallId(1)].ended();
    assert!(matches!(ended, Ended::GivenUp(FailureClass::Timeout, _)), "{ended:?}");
    assert_eq!(listener.told[&CallId(2)].failure().class, FailureClass::Cancelled);
    eventually("the connections are closed", || peer.noted("closed") == 2);
}

#[test]
fn all_streams_together_have_a_limit_too() {
    const STREAMS: usize = 150;
    let ((peer, written), sender) = (flood(), Sender::with(Settings { max_in_flight: STREAMS, ..settings() }));
    let mut listener = Listener::new(&sender);
    listener.kept = Some(Vec::new());
    for call in 0..STREAMS {
        sender.engine.send(numbered(call as i64, streaming(&peer.url())));
    }
    let mut last = 0;
    loop {
        let before = last;
        last = stuck(&written);
        listener.until("whatever has come", |_| true);
        if last == before {
            break;
        }
    }
    let held = listener.events() * EVENT_BYTES;
    assert!(held < (64 << 20) + (8 << 20), "{held} bytes are held");
    // Whoever stores what it has lets all of them go on.
    let before = listener.events();
    listener.kept = None;
    listener.until("more events of others", |listener| listener.events() > before + STREAMS);
}

/// Sends one event, and then so many more, 20 ms between them, once the gate opens.
fn ticking(more: usize, gate: watch::Receiver<bool>) -> Peer {
    Peer::scripted(move |mut conn| {
        let mut gate = gate.clone();
        async move {
            conn.request().await;
            conn.begin().await;
            conn.event("first").await;
            gate.wait_for(|open| *open).await.unwrap();
            for number in 0..more {
                conn.event(&number.to_string()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            conn.end().await;
        }
    })
}

#[test]
fn a_thousand_streams_at_once_lose_nothing_and_wake_the_main_thread_as_often_as_one() {
    const STREAMS: usize = 1_000;
    const MORE: usize = 50;
    // Both ends of each connection are this process's: its limit has to be raised where it can be.
    let _enough = descriptor_budget(0);
    let (open, gate) = watch::channel(false);
    let peer = ticking(MORE, gate);
    let sender = Sender::with(Settings { max_in_flight: STREAMS, ..settings() });
    let mut listener = Listener::new(&sender);
    for call in 0..STREAMS {
        sender.engine.send(numbered(call as i64, streaming(&peer.url())));
    }
    listener.until("all first events", |listener| listener.events() == STREAMS);
    let (wakes, began) = (listener.wakes, Instant::now());
    open.send(true).unwrap();
    // The first stream to end is news again.
    listener.until("most events", |listener| listener.events() > STREAMS * (MORE - 2) || listener.ended() > 0);
    let (wakes, most) = (listener.wakes - wakes, 5 + began.elapsed().as_millis() / 50);
    assert!(wakes as u128 <= most, "{wakes} wakes instead of {most}");
    listener.until("all ends", |listener| listener.ended() == STREAMS);
    for told in listener.told.values() {
        assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, MORE + 1));
        assert!(told.events[1..].iter().enumerate().all(|(number, event)| event.data == number.to_string()));
    }
}

#[test]
fn many_small_events_come_in_few_pieces() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.begin().await;
        for number in 0..2_000 {
            conn.event(&number.to_string()).await;
        }
        conn.end().await;
    });
    let sender = Sender::new();
    let told = Listener::hear(&sender, streaming(&peer.url()));
    assert_eq!(told.events.len(), 2_000);
    // One for the head, one for the first event, and the others at least by the handful; on a slow machine some end early.
    assert!(told.pieces < 400, "{} pieces", told.pieces);
}

#[test]
fn text_that_waits_is_joined_however_the_network_cut_it() {
    const PIECES: usize = 500;
    let (told, done) = watch::channel(false);
    let told = Arc::new(told);
    let peer = Peer::scripted(move |mut conn| {
        let told = Arc::clone(&told);
        async move {
            conn.stream.set_nodelay(true).unwrap();
            conn.request().await;
            conn.send(chunked("text/plain").as_bytes()).await;
            for _ in 0..PIECES {
                conn.chunk("é".as_bytes()).await;
                tokio::task::yield_now().await;
            }
            conn.end().await;
            told.send(true).unwrap();
        }
    });
    let sender = Sender::new();
    let limits = StreamRules { max_event_bytes: 100, ..rules(Format::Raw) };
    sender.engine.send(Attempt { stream: Some(limits), ..get(&peer.url()) });
    // Nothing is taken before all of it has been sent.
    eventually("all is sent", || *done.borrow() && sender.engine.in_flight() == 0);
    let (mut pieces, mut reports) = (Vec::new(), Vec::new());
    sender.engine.drain(&mut pieces, &mut reports);
    assert_eq!((pieces.len(), reports.len()), (1, 1));
    let texts: Vec<_> = pieces[0].events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(texts.concat(), "é".repeat(PIECES));
    assert_eq!(texts.len(), 2 * PIECES / 100, "{texts:?}");
    let Outcome::Streamed(streamed) = &reports[0].outcome else { panic!("{reports:?}") };
    assert_eq!(streamed.events, texts.len() as u64);
}
