//! A thousand streams of 50 events a second each for ten seconds: what the engine's thread, its memory and the wake-ups of
//! the main thread come to. The peer's share of the memory is counted with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_edge::domain::outcome::Outcome;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::engine::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::busy;
use super::stream::streaming;

const STREAMS: usize = 1_000;
const EVENTS: usize = 500;
const BETWEEN: Duration = Duration::from_millis(20);
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

pub fn measure() {
    let url = Url::parse(&format!("http://{}/", peer())).unwrap();
    let (main, wakes) = (std::thread::current(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&wakes);
    let wake = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        main.unpark();
    };
    let engine = Engine::start(super::settings(STREAMS), wake).unwrap();
    let (before, began) = (resident(), Instant::now());
    (0..STREAMS).for_each(|call| engine.send(streaming(&url, call as i64)));
    let (mut events, mut late, mut drained, mut pieces, mut reports) =
        (0, Vec::with_capacity(STREAMS * EVENTS), 0, Vec::new(), Vec::new());
    let mut most = 0;
    while reports.len() < STREAMS {
        std::thread::park();
        engine.drain(&mut pieces, &mut reports);
        drained += pieces.len();
        for event in pieces.drain(..).flat_map(|piece| piece.events) {
            events += 1;
            late.push(event.received_at.elapsed().unwrap_or_default());
        }
        most = most.max(resident());
    }
    let (wall, busy) = (began.elapsed(), busy(Some("pg_edge engine")));
    let complete = |outcome: &Outcome| matches!(outcome, Outcome::Streamed(ended) if ended.ended == Ended::Complete);
    assert!(reports.iter().all(|report| complete(&report.outcome)));
    assert_eq!(events, STREAMS * EVENTS);
    late.sort();
    println!("{STREAMS} streams, {events} events in {:.1} s, none lost", wall.as_secs_f64());
    println!("engine's thread: {:.0} % of a core", 100.0 * busy.as_secs_f64() / wall.as_secs_f64());
    println!("wake-ups:        {:.1} a second", wakes.load(Ordering::Relaxed) as f64 / wall.as_secs_f64());
    println!("pieces:          {:.1} events each", events as f64 / drained as f64);
    println!("handed over:     after {:?} (median), {:?} (99 %)", late[late.len() / 2], late[late.len() * 99 / 100]);
    println!("memory:          {} MB more than before", (most - before) / 1_000_000);
}

pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn peer() -> std::net::SocketAddr {
    super::serve(|mut stream| async move {
        let _request = stream.read(&mut [0; 4_096]).await?;
        stream.write_all(HEAD).await?;
        let mut ticks = tokio::time::interval(BETWEEN);
        for number in 0..EVENTS {
            ticks.tick().await;
            stream
                .write_all(format!("data: {{\"number\":{number},\"text\":\"{}\"}}\n\n", "x".repeat(60)).as_bytes())
                .await?;
        }
        Ok(())
    })
}
