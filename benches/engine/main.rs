//! How many attempts a second go through the engine, next to a bare reqwest client on the same loopback peer with the
//! same number in flight. The two take turns, so that a noisy machine disturbs both alike; the median counts. Beside the
//! rate stands the processor time of the one thread that sends: on a machine with few cores the peer and the main thread
//! take their share of the rate, but not of that.
//!
//! `cargo bench --no-default-features --bench engine [-- ATTEMPTS IN_FLIGHT ROUNDS]`, and with `stream`, `streams` or
//! `sockets` in place of the numbers what the files of these names measure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs
)]

mod sockets;
mod stream;
mod streams;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use pg_edge::domain::attempt::{Attempt, Limits, Route};
use pg_edge::domain::call::CallId;
use pg_edge::domain::guard::Guard;
use pg_edge::domain::network;
use pg_edge::domain::outcome::Outcome;
use pg_edge::domain::request::Request;
use pg_edge::engine::{Engine, Settings, TlsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"answer\":\"ok\"}";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("sockets-peer") => return sockets::serve(),
        Some("sockets") => return sockets::measure(),
        Some("stream") => return stream::measure(),
        Some("streams") => return streams::measure(),
        _ => {}
    }
    let number = |index, default| {
        std::env::args()
            .filter(|arg| !arg.starts_with('-'))
            .nth(index)
            .and_then(|arg| arg.parse().ok())
            .unwrap_or(default)
    };
    let (attempts, in_flight, rounds) = (number(1, 50_000), number(2, 256), number(3, 5));
    let url = Url::parse(&format!("http://{}/hook", peer())).unwrap();
    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(through_reqwest(&url, attempts, in_flight));
        engine.push(through_engine(&url, attempts, in_flight));
    }
    let (bare, engine) = (median(&bare), median(&engine));
    println!("bare reqwest: {:.0} calls/s, {:.1} us of its thread a call", bare.rate, bare.micros);
    println!("engine:       {:.0} calls/s, {:.1} us of its thread a call", engine.rate, engine.micros);
    println!(
        "ratio:        {:.3} of the rate, {:.3} of the time",
        engine.rate / bare.rate,
        engine.micros / bare.micros
    );
}

struct Measured {
    rate: f64,
    micros: f64,
}

impl Measured {
    fn new(attempts: usize, wall: Duration, busy: Duration) -> Self {
        let attempts = attempts as f64;
        Self { rate: attempts / wall.as_secs_f64(), micros: busy.as_secs_f64() * 1e6 / attempts }
    }
}

fn median(rounds: &[Measured]) -> Measured {
    let middle = |value: fn(&Measured) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Measured { rate: middle(|round| round.rate), micros: middle(|round| round.micros) }
}

/// The processor time of the threads of this process with a name, or of this thread.
fn busy(name: Option<&str>) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| Some(comm.trim()) == name);
    let paths = if name.is_some() { tasks.filter(named).collect() } else { vec![PathBuf::from("/proc/thread-self")] };
    let nanos = |path: &PathBuf| -> u64 {
        let spent = std::fs::read_to_string(path.join("schedstat")).unwrap();
        spent.split(' ').next().unwrap().parse().unwrap()
    };
    Duration::from_nanos(paths.iter().map(nanos).sum())
}

fn request(url: &Url) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("idempotency-key", HeaderValue::from_static("0b7c1d7a-3c8e-4f0e-9d55-2f1f7f0c2a11"));
    let body = Bytes::from_static(br#"{"event":"order.created","id":123456,"amount":"10.00","currency":"EUR"}"#);
    Request { method: Method::POST, url: url.clone(), headers, body: Some(body) }
}

fn settings(in_flight: usize) -> Settings {
    Settings {
        idle_connection_timeout: Duration::from_secs(30),
        max_idle_per_host: in_flight,
        user_agent: "pg_edge-bench".to_owned(),
        max_in_flight: in_flight,
        guard: Guard { allowed_networks: network::parse("127.0.0.0/8").unwrap(), ..Guard::default() },
        tls: TlsSettings::default(),
    }
}

fn through_engine(url: &Url, attempts: usize, in_flight: usize) -> Measured {
    let settings = settings(in_flight);
    let main = std::thread::current();
    let engine = Engine::start(settings, move || main.unpark()).unwrap();
    let limits = Limits {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(30),
        first_byte: Some(Duration::from_secs(20)),
        max_response_bytes: 1 << 20,
    };
    let send = |id: usize| {
        let call = CallId(i64::try_from(id).unwrap());
        engine.send(Attempt { call, number: 1, request: request(url), limits, route: Route::default(), stream: None });
    };
    let began = Instant::now();
    let (mut sent, mut done, mut reports) = (0, 0, Vec::new());
    while done < attempts {
        while sent < attempts && sent - done < in_flight {
            send(sent);
            sent += 1;
        }
        engine.drain(&mut Vec::new(), &mut reports);
        if reports.is_empty() {
            std::thread::park();
        }
        for report in reports.drain(..) {
            assert!(matches!(report.outcome, Outcome::Response(_)), "{report:?}");
            done += 1;
        }
    }
    let measured = Measured::new(attempts, began.elapsed(), busy(Some("pg_edge engine")));
    engine.stop(Duration::ZERO);
    measured
}

fn through_reqwest(url: &Url, attempts: usize, in_flight: usize) -> Measured {
    // The client only wants some provider of cryptography to be there; that it is there already is no error.
    let _again = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(in_flight).build().unwrap();
        let left = Arc::new(AtomicUsize::new(attempts));
        let (began, busy_before) = (Instant::now(), busy(None));
        let tasks: Vec<_> = (0..in_flight)
            .map(|_| {
                let (client, left, url) = (client.clone(), Arc::clone(&left), url.clone());
                tokio::spawn(async move {
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                        let Request { method, url, headers, body } = request(&url);
                        let sending = client.request(method, url).headers(headers).body(body.unwrap()).send();
                        let response = sending.await.unwrap();
                        assert_eq!(response.bytes().await.unwrap().len(), 15);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        Measured::new(attempts, began.elapsed(), busy(None) - busy_before)
    })
}

/// A peer on a thread of its own that answers every request with the same bytes.
fn peer() -> SocketAddr {
    serve(answer)
}

/// Runs a script on every connection, on a thread of its own.
fn serve<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(script(stream));
            }
        });
    });
    told.recv().unwrap()
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; 16_384], 0);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        while let Some(length) = request_length(&buffer[..filled]) {
            buffer.copy_within(length..filled, 0);
            filled -= length;
            stream.write_all(ANSWER).await?;
        }
    }
}

/// The length of the first request in the buffer, once it is there as a whole.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).unwrap();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    (buffer.len() >= head + body).then_some(head + body)
}
