//! One stream of 100 MB through the engine, next to a bare reqwest client that cuts it with the same parser and drops
//! the events. Once with events of plain text, once with those of a language model, which are followed by their meaning.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use pg_edge::domain::attempt::{Attempt, Limits, Route};
use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::Outcome;
use pg_edge::domain::request::Request;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::domain::stream::rules::{Format, StreamRules};
use pg_edge::domain::stream::sse::Parser;
use pg_edge::engine::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::busy;

const BYTES: usize = 100_000_000;
const ROUNDS: usize = 7;
const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

/// Megabytes a second, and seconds of the thread that reads.
struct Speed {
    rate: f64,
    busy: f64,
}

pub fn measure() {
    let delta =
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]}"#;
    for (what, event) in [
        ("text of 100 bytes", format!("data: {}\n\n", "x".repeat(92))),
        ("text of 4 kB", format!("data: {}\n\n", "x".repeat(4_088))),
        ("a language model's", format!("data: {delta}\n\n")),
    ] {
        let url = Url::parse(&format!("http://{}/", peer(&event))).unwrap();
        let count = BYTES / event.len();
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(through_reqwest(&url, count));
            engine.push(through_engine(&url, count));
        }
        let (bare, engine) = (median(&bare), median(&engine));
        println!("{what}: {count} events");
        println!("  bare reqwest: {:.0} MB/s, {:.0} ms of its thread", bare.rate, bare.busy * 1e3);
        println!("  engine:       {:.0} MB/s, {:.0} ms of its thread", engine.rate, engine.busy * 1e3);
        println!(
            "  ratio:        {:.2} of the rate, {:.2} of the time",
            engine.rate / bare.rate,
            engine.busy / bare.busy
        );
    }
}

pub fn streaming(url: &Url, call: i64) -> Attempt {
    let limits = Limits {
        connect: Duration::from_secs(30),
        total: Duration::from_secs(300),
        first_byte: None,
        max_response_bytes: 1 << 20,
    };
    let idle = Some(Duration::from_secs(60));
    let stream = StreamRules { format: Format::Auto, max_event_bytes: 1 << 20, max_total_bytes: 1 << 40, idle };
    let request = Request { method: Method::GET, url: url.clone(), headers: HeaderMap::new(), body: None };
    Attempt { call: CallId(call), number: 1, request, limits, route: Route::default(), stream: Some(stream) }
}

fn through_engine(url: &Url, count: usize) -> Speed {
    let main = std::thread::current();
    let engine = Engine::start(super::settings(1), move || main.unpark()).unwrap();
    let (began, mut events, mut pieces, mut reports) = (Instant::now(), 0, Vec::new(), Vec::new());
    engine.send(streaming(url, 1));
    while reports.is_empty() {
        engine.drain(&mut pieces, &mut reports);
        if pieces.is_empty() && reports.is_empty() {
            std::thread::park();
        }
        events += pieces.drain(..).map(|piece| piece.events.len()).sum::<usize>();
    }
    let speed = Speed::new(began.elapsed(), busy(Some("pg_edge engine")));
    assert!(matches!(&reports[0].outcome, Outcome::Streamed(ended) if !matches!(ended.ended, Ended::Failed(_))));
    assert_eq!(events, count);
    engine.stop(Duration::ZERO);
    speed
}

fn through_reqwest(url: &Url, count: usize) -> Speed {
    let _again = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (began, busy_before) = (Instant::now(), busy(None));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut response = client.get(url.clone()).send().await.unwrap();
        let (mut parser, mut events, mut seen) = (Parser::new(1 << 20), Vec::new(), 0);
        while let Some(chunk) = response.chunk().await.unwrap() {
            parser.feed(&chunk, &mut events).unwrap();
            seen += events.len();
            events.clear();
        }
        assert_eq!(seen, count);
        Speed::new(began.elapsed(), busy(None) - busy_before)
    })
}

impl Speed {
    fn new(wall: Duration, busy: Duration) -> Self {
        Self { rate: BYTES as f64 / 1e6 / wall.as_secs_f64(), busy: busy.as_secs_f64() }
    }
}

fn median(rounds: &[Speed]) -> Speed {
    let middle = |value: fn(&Speed) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Speed { rate: middle(|round| round.rate), busy: middle(|round| round.busy) }
}

/// Sends the event over and over to whoever connects, in chunks of about 16 kB.
fn peer(event: &str) -> std::net::SocketAddr {
    let (count, a_chunk) = (BYTES / event.len(), 16_384_usize.div_ceil(event.len()));
    let framed = |events: usize| Bytes::from(format!("{:x}\r\n{}\r\n", events * event.len(), event.repeat(events)));
    let (whole, rest) = (framed(a_chunk), framed(count % a_chunk));
    super::serve(move |mut stream| {
        let (whole, rest) = (whole.clone(), rest.clone());
        async move {
            let _request = stream.read(&mut [0; 4_096]).await?;
            stream.write_all(HEAD).await?;
            for _ in 0..count / a_chunk {
                stream.write_all(&whole).await?;
            }
            if count % a_chunk > 0 {
                stream.write_all(&rest).await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
    })
}
