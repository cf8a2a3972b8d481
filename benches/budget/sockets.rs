//! Websockets: what an idle one costs, and how fast messages go out and come in.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::bare_socket;
use super::harness::{Cluster, ClusterBuilder, Db, eventually};
use super::memory::own_megabytes;
use super::numbers::{median, micros, rate};
use super::quiet::used;
use super::report::{Budget, Report};
use super::scale;
use super::socket_peer::{SEND, SIZE, SocketPeer, text};
use super::world::settings;

const MEMORY: &str = "sockets-memory";
const IDLE: &str = "sockets-idle";
const OUT: &str = "socket-out";
const IN: &str = "socket-in";
const WIRE: &str = "socket-to-wire";
const WIRE_DISK: &str = "socket-to-wire-fsync";

/// The rows of this file.
pub const ROWS: [&str; 6] = [MEMORY, IDLE, OUT, IN, WIRE, WIRE_DISK];

/// The limit is what no program could do without: the frames, and the rows that outlive a crash, one after the other. Alone,
/// either side does nothing else, and needs a fraction of what it takes to hand each message from one to the other.
const OUT_SHARE: f64 = 0.15;
const IN_SHARE: f64 = 0.25;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    if wants(&[MEMORY, IDLE]) {
        idle(report).await;
    }
    if wants(&[OUT]) {
        out(report).await;
    }
    if wants(&[IN]) {
        come(report).await;
    }
    for (name, builder, budget) in
        [(WIRE, settings(), Budget::None), (WIRE_DISK, settings().durable(), Budget::AtMost(2.0))]
    {
        if wants(&[name]) {
            to_wire(report, name, builder, budget).await;
        }
    }
}

/// A cluster whose dispatcher is ready.
async fn start(builder: ClusterBuilder) -> (Cluster, Db, i32) {
    let cluster = builder.setting("pg_edge.ws_max_queued", "1000000").start();
    let db = cluster.create_extension("postgres").await;
    let running = "select pid from edge.worker_status() where pid is not null";
    let dispatcher = eventually("a dispatcher runs", PATIENCE, || db.maybe::<i32>(running)).await;
    (cluster, db, dispatcher)
}

/// Opens one websocket.
async fn open(db: &Db, peer: &SocketPeer) {
    db.one_with::<i64>("select edge.ws_open('peer', $1)", &[&peer.url()]).await;
    let state = "select state = 'open' from edge.ws_connections where name = 'peer'";
    eventually("the websocket is open", PATIENCE, || db.one::<bool>(state)).await;
}

async fn idle(report: &mut Report) {
    let sockets = scale::size(5_000);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux tells its limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("one may have what one is allowed to");
    // The dispatcher keeps as many files free as it has websockets, for connections that are on their way.
    assert!(most as usize > 2 * sockets + 2_000, "{most} open files are too few for {sockets} websockets: ulimit -n");
    let (cluster, db, dispatcher) = start(settings()).await;
    let peer = SocketPeer::start();
    let began = Instant::now();
    open(&db, &peer).await;
    let before = own_megabytes(dispatcher);
    let url = peer.url();
    db.exec(&format!("select count(edge.ws_open('peer ' || n, '{url}')) from generate_series(1, {sockets}) n")).await;
    eventually("all websockets stand", PATIENCE, || async { peer.open() > sockets as u64 }).await;
    let open = format!("select count(*) > {sockets} from edge.ws_connections where state = 'open'");
    eventually("all websockets are known to stand", PATIENCE, || db.one::<bool>(&open)).await;
    println!("{sockets} websockets were opened in {:?}", began.elapsed());
    // Once all have been pinged, and sessions have reported their last transactions.
    tokio::time::sleep(Duration::from_secs(25)).await;
    let kilobytes = (own_megabytes(dispatcher) - before) * 1024.0 / sockets as f64;
    let what = format!("of the dispatcher for each of {sockets} idle websockets");
    report.row(MEMORY, what, "kB", kilobytes, 32.0, Budget::Within);
    // A look from another database does not count as a transaction of this one.
    let observer = cluster.connect_as("postgres", "template1").await;
    let began = used(&observer).await;
    let span = scale::span(Duration::from_secs(60));
    tokio::time::sleep(span).await;
    let ended = used(&observer).await;
    assert_eq!(peer.open(), sockets as u64 + 1, "websockets were lost");
    let what = format!("transactions in {} s of {sockets} websockets that are pinged every 20 s", span.as_secs());
    report.row(IDLE, what, "transactions", ended.1 - began.1, 0.0, Budget::Within);
}

async fn out(report: &mut Report) {
    let messages = scale::size(100_000);
    let (_cluster, db, _) = start(settings()).await;
    let peer = SocketPeer::start();
    open(&db, &peer).await;
    let say = format!("select count(edge.ws_send('peer', '{}'::text)) from generate_series(1, {messages})", text());
    db.exec("create table plain (id bigint primary key, at timestamptz, state \"char\")").await;
    let (mut ours, mut limit, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut sent = 0;
    for _ in 0..scale::rounds(5) {
        let wire = bare_socket::send(&peer, messages).await;
        bare.push(rate(messages, wire));
        limit.push(rate(messages, wire + write(&db, "now(), 's'", messages).await));
        db.exec("begin").await;
        db.exec(&say).await;
        sent += messages as i64;
        let goal = peer.messages() + messages as u64;
        let began = Instant::now();
        db.exec("commit").await;
        // Counting rows costs processor time that the dispatcher needs, so it waits until the peer has read all.
        while peer.messages() < goal {
            assert!(began.elapsed() < PATIENCE, "messages do not arrive");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while db.one::<i64>("select count(*) from edge_store.ws_outcome where state = 's'").await < sent {
            assert!(began.elapsed() < PATIENCE, "messages are not known to be sent");
        }
        ours.push(rate(messages, began.elapsed()));
    }
    let bare = median(&bare);
    let what = format!(
        "{messages} messages of {SIZE} bytes in one transaction, stored as sent; \
         a bare client ({bare:.0}) and then a plain INSERT of as many rows as say so"
    );
    report.row(OUT, what, "messages/s", median(&ours), median(&limit), Budget::AtLeast(OUT_SHARE));
}

async fn come(report: &mut Report) {
    let messages = scale::size(100_000);
    let (_cluster, db, _) = start(settings()).await;
    let peer = SocketPeer::start();
    open(&db, &peer).await;
    db.exec("create table plain (id bigint primary key, at timestamptz, body text)").await;
    let (mut ours, mut limit, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut received = 0;
    for _ in 0..scale::rounds(5) {
        let wire = bare_socket::receive(&peer, messages).await;
        bare.push(rate(messages, wire));
        limit.push(rate(messages, wire + write(&db, &format!("now(), '{}'", text()), messages).await));
        received += messages as i64;
        let began = Instant::now();
        db.exec(&format!("select edge.ws_send('peer', '{SEND}{messages}'::text)")).await;
        while db.one::<i64>("select count(*) from edge_store.ws_incoming").await < received {
            assert!(began.elapsed() < PATIENCE, "messages are not stored");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ours.push(rate(messages, began.elapsed()));
    }
    let bare = median(&bare);
    let what = format!(
        "{messages} messages of {SIZE} bytes received and stored; \
         a bare client that drops them ({bare:.0}) and then a plain INSERT of as many rows"
    );
    report.row(IN, what, "messages/s", median(&ours), median(&limit), Budget::AtLeast(IN_SHARE));
}

/// Writes so many rows plainly, in one statement.
async fn write(db: &Db, values: &str, rows: usize) -> Duration {
    let first: i64 = db.one("select coalesce(max(id), 0) + 1 from plain").await;
    let last = first + rows as i64 - 1;
    let began = Instant::now();
    db.exec(&format!("insert into plain select n, {values} from generate_series({first}, {last}) n")).await;
    began.elapsed()
}

async fn to_wire(report: &mut Report, name: &'static str, builder: ClusterBuilder, budget: Budget) {
    let (_cluster, db, _) = start(builder).await;
    let peer = SocketPeer::start();
    open(&db, &peer).await;
    db.exec("create table plain (id bigint primary key, body text)").await;
    let insert = db.client().prepare("insert into plain values ($1, $2)").await.expect("a plain table");
    let say = db.client().prepare("select edge.ws_send('peer', $1::text)").await.expect("pg_edge is there");
    let (mut ours, mut writes, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    let (batch, one) = (scale::size(300), text());
    let mut id = 0_i64;
    for _ in 0..scale::rounds(6) {
        writes.extend(bare_socket::one_by_one(&peer, batch).await.into_iter().map(micros));
        for _ in 0..batch {
            id += 1;
            let began = Instant::now();
            db.client().execute(&insert, &[&id, &one.as_str()]).await.expect("a row can be inserted");
            commits.push(micros(began.elapsed()));
        }
        for _ in 0..batch {
            db.exec("begin").await;
            db.client().execute(&say, &[&one.as_str()]).await.expect("a message can be sent");
            let (before, began) = (peer.messages(), Instant::now());
            db.exec("commit").await;
            ours.push(micros(bare_socket::read_after(&peer, before, began).await));
        }
    }
    let (write, commit) = (median(&writes), median(&commits));
    let fsync = if name == WIRE_DISK { "on" } else { "off" };
    let what = format!(
        "p50 from the commit of a message until the peer has read it, fsync={fsync}; \
         a bare write until the same ({write:.0}) and a one-row transaction ({commit:.0})"
    );
    report.row(name, what, "us", median(&ours), write + commit, budget);
}
