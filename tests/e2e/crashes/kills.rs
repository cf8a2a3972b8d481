//! kill -9, and the server restarted as after a crash, while calls are queued and sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::faults::{SOON, all_ended, assert_none_lost, dispatcher, find_worker, queue_one, ready, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Db, Peer, Reply, eventually};

/// Sessions that queue one call after another until they are told to stop or lose their server.
struct Load {
    stop: Arc<AtomicBool>,
    sessions: Vec<tokio::task::JoinHandle<BTreeSet<i64>>>,
}

impl Load {
    async fn start(cluster: &Cluster, url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut sessions = Vec::new();
        for _ in 0..3 {
            let (db, stop) = (cluster.connect().await, Arc::clone(&stop));
            let sql = format!("select edge.http_post_async('{url}')");
            sessions.push(tokio::spawn(queue_until(db, sql, stop)));
        }
        Self { stop, sessions }
    }

    /// The calls of which a session was told that they are committed.
    async fn committed(self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::SeqCst);
        let mut ids = BTreeSet::new();
        for session in self.sessions {
            ids.extend(session.await.expect("no session panics"));
        }
        ids
    }
}

async fn queue_until(db: Db, sql: String, stop: Arc<AtomicBool>) -> BTreeSet<i64> {
    let mut ids = BTreeSet::new();
    while !stop.load(Ordering::SeqCst) {
        let Ok(row) = db.client().query_one(&sql, &[]).await else { break };
        ids.insert(row.get(0));
    }
    ids
}

/// Brings the server down under load and up again by `fault`, and counts at the peer.
async fn nothing_is_lost_over(fault: impl AsyncFnOnce(&mut Cluster)) {
    let (mut cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(Duration::from_millis(30)));
    let load = Load::start(&cluster, &peer.url("/")).await;
    eventually("the load runs", SOON, || async { peer.count("/") > 300 }).await;
    drop(db);
    fault(&mut cluster).await;
    let committed = load.committed().await;
    dispatcher(&cluster, "postgres").await;
    all_ended(&cluster, "postgres").await;
    // 64 is what may be on the wire to one endpoint.
    assert_none_lost(&peer, &committed, 64);
    let db = cluster.connect().await;
    let highest = *committed.last().expect("calls were queued");
    let next = queue_one(&db, &peer.url("/")).await;
    assert!(next > highest, "id {next} was used before: {highest} is known");
    let wrong: i64 =
        db.one("select count(*) from edge.calls where state not in ('succeeded', 'pending', 'running')").await;
    assert_eq!(wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_dispatcher_loses_no_call() {
    nothing_is_lost_over(async |cluster| {
        let worker = dispatcher(cluster, "postgres").await;
        send(worker, Signal::SIGKILL);
        successor(cluster, "dispatcher", "postgres", worker).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_launcher_loses_no_call() {
    nothing_is_lost_over(async |cluster| {
        let launcher = eventually("a launcher runs", SOON, || find_worker(cluster, "launcher", "")).await;
        send(launcher, Signal::SIGKILL);
        successor(cluster, "launcher", "", launcher).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_postmaster_loses_no_call() {
    nothing_is_lost_over(async |cluster| {
        cluster.kill_postmaster();
        cluster.start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_restart_under_load_loses_no_call() {
    nothing_is_lost_over(async |cluster| cluster.pg_ctl(&["restart", "-m", "immediate"])).await;
}
