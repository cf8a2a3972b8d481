//! Streamed answers: many at once, a large one, and how soon the first event is to be seen.

use std::time::{Duration, Instant};

use pg_edge::domain::stream::cutter::Cutter;
use pg_edge::domain::stream::rules::Framing;
use reqwest::Client;

use super::harness::{Cluster, ClusterBuilder, Db, eventually};
use super::memory::own_megabytes;
use super::numbers::{median, micros};
use super::report::{Budget, Report};
use super::scale;
use super::stream_peer::{Filling, Plan, StreamPeer};
use super::world::settings;

const MANY: &str = "streams";
const MEMORY: &str = "streams-memory";
const LARGE: &str = "stream-large";
const RANDOM: &str = "stream-large-random";
const RANDOM_COPIED: &str = "stream-large-random-copy";
const TOKENS: &str = "stream-large-tokens";
const TOKENS_RANDOM: &str = "stream-large-tokens-random";
const COPIED: &str = "stream-large-tokens-copy";
const FIRST: &str = "stream-first-event";
const FIRST_DISK: &str = "stream-first-event-fsync";

/// The rows of this file.
pub const ROWS: [&str; 10] =
    [MANY, MEMORY, LARGE, RANDOM, RANDOM_COPIED, TOKENS, TOKENS_RANDOM, COPIED, FIRST, FIRST_DISK];

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A hundred megabytes.
const HUNDRED: usize = 100_000_000;

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    if wants(&[MANY, MEMORY]) {
        many(report).await;
    }
    if wants(&[LARGE]) {
        large(report, LARGE, 16_384, Filling::Alike, Budget::AtLeast(0.5)).await;
    }
    if wants(&[RANDOM, RANDOM_COPIED]) {
        // What does not compress is bound by what Postgres writes of it, twice; so the rows are held to its own bulk load.
        let (db, _cluster, ours) = large(report, RANDOM, 16_384, Filling::Random, Budget::None).await;
        copied(report, RANDOM_COPIED, &db, ours, Budget::AtLeast(0.75)).await;
    }
    if wants(&[TOKENS, COPIED]) {
        let (db, _cluster, ours) = large(report, TOKENS, 128, Filling::Alike, Budget::AtLeast(0.5)).await;
        copied(report, COPIED, &db, ours, Budget::None).await;
    }
    if wants(&[TOKENS_RANDOM]) {
        large(report, TOKENS_RANDOM, 128, Filling::Random, Budget::None).await;
    }
    for (name, builder, budget) in
        [(FIRST, settings(), Budget::None), (FIRST_DISK, settings().durable(), Budget::AtMost(3.0))]
    {
        if wants(&[name]) {
            first(report, name, builder, budget).await;
        }
    }
}

/// A cluster whose dispatcher is ready.
async fn start(builder: ClusterBuilder) -> (Cluster, Db, i32) {
    let cluster = builder
        .setting("pg_edge.max_in_flight", "2000")
        .setting("pg_edge.max_concurrency_per_endpoint", "1000")
        .setting("pg_edge.max_stream_bytes", "1GB")
        .setting("pg_edge.stream_idle_timeout", "5min")
        .start();
    let db = cluster.create_extension("postgres").await;
    let running = "select pid from edge.worker_status() where pid is not null";
    let dispatcher = eventually("a dispatcher runs", PATIENCE, || db.maybe::<i32>(running)).await;
    (cluster, db, dispatcher)
}

async fn many(report: &mut Report) {
    const STREAMS: usize = 1_000;
    const EVERY: Duration = Duration::from_millis(20);
    let events = scale::size(1_000);
    let (_cluster, db, dispatcher) = start(settings()).await;
    let peer = StreamPeer::start(Plan::Ticking { events, every: EVERY });
    let bare = read_all(peer.url(), STREAMS, events).await.as_secs_f64();
    let began = Instant::now();
    let url = peer.url();
    db.exec(&format!("select count(edge.http_get_async('{url}', stream => 'sse')) from generate_series(1, {STREAMS})"))
        .await;
    let mut most = 0.0_f64;
    let ended = "select count(*) from edge_store.response";
    while db.one::<i64>(ended).await < STREAMS as i64 {
        assert!(began.elapsed() < PATIENCE, "the streams do not end");
        most = most.max(own_megabytes(dispatcher));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed().as_secs_f64();
    let stored: i64 = db.one("select sum(1 + coalesce(cardinality(data_before), 0)) from edge_store.event").await;
    assert_eq!(stored, (STREAMS * events) as i64, "events are missing");
    let whole = "select count(*) from edge_store.response where state = 's'";
    assert_eq!(db.one::<i64>(whole).await, STREAMS as i64, "streams were not whole");
    let what = format!(
        "{STREAMS} streams of {} events/s each, all stored; what a bare client gets that parses and drops them",
        1.0 / EVERY.as_secs_f64()
    );
    report.row(MANY, what, "events/s", stored as f64 / took, stored as f64 / bare, Budget::AtLeast(0.9));
    let what = "of the dispatcher without shared buffers, at most, meanwhile";
    report.row(MEMORY, what, "MB", most, 200.0, Budget::Within);
}

/// Gives the speed as well, in MB/s, and where the events are.
async fn large(
    report: &mut Report,
    name: &'static str,
    bytes: usize,
    text: Filling,
    budget: Budget,
) -> (Db, Cluster, f64) {
    let (cluster, db, _) = start(settings()).await;
    let events = scale::size(HUNDRED) / bytes;
    let peer = StreamPeer::start(Plan::AtOnce { events, bytes, text });
    let megabytes = (events * bytes) as f64 / 1e6;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(megabytes / read_and_drop(peer.url(), events).await.as_secs_f64());
        let began = Instant::now();
        let queue = "select edge.http_get_async($1, stream => 'sse')";
        let id: i64 = db.one_with(queue, &[&peer.url()]).await;
        let row = db.rows_with("select state from edge.wait($1, '5 min')", &[&id]).await;
        ours.push(megabytes / began.elapsed().as_secs_f64());
        assert_eq!(row[0].get::<_, &str>(0), "succeeded");
        let stored = "select sum(1 + coalesce(cardinality(data_before), 0)) from edge_store.event where call_id = $1";
        let stored: i64 = db.one_with(stored, &[&id]).await;
        assert_eq!(stored, events as i64);
    }
    let text = text.name();
    let what = format!(
        "one stream of {megabytes:.0} MB in events of {bytes} bytes {text}; a bare client that parses and drops"
    );
    report.row(name, what, "MB/s", median(&ours), median(&limit), budget);
    (db, cluster, median(&ours))
}

/// How fast Postgres itself stores the same rows in the same table, where nobody has to send, read and parse them meanwhile.
async fn copied(report: &mut Report, name: &'static str, db: &Db, ours: f64, budget: Budget) {
    let file: String = db.one("select current_setting('data_directory') || '/events'").await;
    db.exec(&format!(
        "copy (select * from edge_store.event where call_id = (select max(call_id) from edge_store.response)) to '{file}'
            (format binary);
         create table copied (like edge_store.event_0 including all)"
    ))
    .await;
    let mut limit = Vec::new();
    for _ in 0..scale::rounds(5) {
        db.exec("truncate copied").await;
        let began = Instant::now();
        db.exec(&format!("copy copied from '{file}' (format binary)")).await;
        limit.push(began.elapsed().as_secs_f64());
    }
    let megabytes = scale::size(HUNDRED) as f64 / 1e6;
    let what = "the same stream, read and stored; a binary COPY of its rows into the same table, and nothing else";
    report.row(name, what, "MB/s", ours, megabytes / median(&limit), budget);
}

async fn read_and_drop(url: String, events: usize) -> Duration {
    read_all(url, 1, events).await
}

/// The limit: a bare client on a thread of its own that cuts streams into events and keeps none.
async fn read_all(url: String, streams: usize, events: usize) -> Duration {
    let on_its_thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(async move {
            let client = Client::builder().no_proxy().build().expect("a client can be built");
            let began = Instant::now();
            let reading: Vec<_> =
                (0..streams).map(|_| tokio::spawn(drop_events(client.clone(), url.clone()))).collect();
            for one in reading {
                assert_eq!(one.await.expect("the stream can be read"), events);
            }
            began.elapsed()
        })
    };
    tokio::task::spawn_blocking(on_its_thread).await.expect("the streams can be read")
}

/// Reads a stream and gives how many events it had.
async fn drop_events(client: Client, url: String) -> usize {
    let mut response = client.get(url).send().await.expect("the peer answers");
    let (mut cutter, mut read, mut count) = (Cutter::new(Framing::Sse, 1 << 20), Vec::new(), 0);
    while let Some(chunk) = response.chunk().await.expect("the stream is whole") {
        cutter.feed(&chunk, std::time::SystemTime::now(), &mut read).expect("no event is too large");
        count += read.len();
        read.clear();
    }
    count
}

async fn first(report: &mut Report, name: &'static str, builder: ClusterBuilder, budget: Budget) {
    let (cluster, db, _) = start(builder).await;
    let listener = cluster.connect().await;
    listener.exec("listen edge_stream").await;
    db.exec("create table plain (id bigint primary key, body text)").await;
    let insert = db.client().prepare("insert into plain values ($1, 'one event')").await.expect("a plain table");
    let peer = StreamPeer::start(Plan::One);
    let (mut ours, mut commits) = (Vec::new(), Vec::new());
    for round in 0..scale::size(300) as i64 {
        let began = Instant::now();
        db.client().execute(&insert, &[&round]).await.expect("a row can be inserted");
        commits.push(micros(began.elapsed()));
        let id: i64 = db.one_with("select edge.http_get_async($1, stream => 'sse')", &[&peer.url()]).await;
        // The first notification is about the first event, and comes once that can be read.
        let heard = listener.next_notification().await;
        ours.push(micros(peer.last_written().elapsed()));
        assert!(heard.payload().starts_with(&format!("{{\"id\":{id},\"seq\":1,")), "{}", heard.payload());
        while !listener.next_notification().await.payload().contains("true") {}
    }
    let what = "p50 from the peer's write of the first event to its row being visible; one-row transactions";
    report.row(name, what, "us", median(&ours), median(&commits), budget);
}
