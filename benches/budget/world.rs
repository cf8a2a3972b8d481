//! A server with the extension, a peer, and calls between them.

use std::time::{Duration, Instant};

use tokio_postgres::Statement;

use super::harness::{Cluster, ClusterBuilder, Db, FastPeer, eventually};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many calls are on the wire at once, of pg_edge and of the bare client.
pub const CONCURRENCY: usize = 256;

/// What the peer answers.
pub const ANSWER: &str = r#"{"id":"0b7c1d7a-3c8e-4f0e-9d55-2f1f7f0c2a11","accepted":true}"#;

/// A JSON object whose text has 512 bytes, exactly as jsonb prints it.
pub fn body() -> String {
    let frame = r#"{"note": ""}"#.len();
    format!(r#"{{"note": "{}"}}"#, "x".repeat(512 - frame))
}

/// A cluster, its dispatcher ready, and a peer that answers at once.
pub struct World {
    pub cluster: Cluster,
    pub db: Db,
    pub peer: FastPeer,
    /// Queueing a call, and waiting for its end.
    statements: (Statement, Statement),
}

/// The settings that all measurements share. Nothing but what is measured is to happen meanwhile: no checkpoint that
/// comes in one round and not in the next, and no vacuum.
pub fn settings() -> ClusterBuilder {
    Cluster::builder()
        .setting("shared_buffers", "128MB")
        .setting("max_wal_size", "16GB")
        .setting("checkpoint_timeout", "1h")
        .setting("autovacuum", "off")
        .setting("log_min_messages", "warning")
        // An endpoint never takes the last half of all places, so that there is one for the next endpoint.
        .setting("pg_edge.max_in_flight", &(2 * CONCURRENCY).to_string())
        .setting("pg_edge.max_concurrency_per_endpoint", &CONCURRENCY.to_string())
}

impl World {
    /// Starts both, and makes one call.
    pub async fn start(builder: ClusterBuilder) -> Self {
        let cluster = builder.start();
        let db = cluster.create_extension("postgres").await;
        let queue = db.client().prepare("select edge.http_post_async($1, $2::text::jsonb)").await;
        let wait = db.client().prepare("select state from edge.wait($1, '60 s')").await;
        let statements = (queue.expect("pg_edge is there"), wait.expect("pg_edge is there"));
        let world = Self { cluster, db, peer: FastPeer::start(ANSWER), statements };
        world.call(&world.peer.url("/hook")).await;
        world
    }

    /// Makes one call from its own transaction to the end that its session sees; gives the time from the commit to the
    /// response, as the budget counts it.
    pub async fn call(&self, url: &str) -> Duration {
        let (client, body) = (self.db.client(), body());
        let (queue, wait) = &self.statements;
        self.db.exec("begin").await;
        let id: i64 = client.query_one(queue, &[&url, &body]).await.expect("a call can be queued").get(0);
        let began = Instant::now();
        self.db.exec("commit").await;
        let state: Option<String> = client.query_one(wait, &[&id]).await.expect("a call can be waited for").get(0);
        let took = began.elapsed();
        assert_eq!(state.as_deref(), Some("succeeded"), "call {id}");
        took
    }

    /// Queues so many calls in one transaction and gives the time from its commit until every response is stored.
    pub async fn drain(&self, calls: usize) -> Duration {
        let url = self.peer.url("/hook");
        let last: i64 = self.db.one("select last_value from edge_store.call_id").await;
        let goal = self.peer.count() + calls as u64;
        let body = body();
        self.db.exec("begin").await;
        self.db
            .exec(&format!("select count(edge.http_post_async('{url}', '{body}')) from generate_series(1, {calls})"))
            .await;
        let began = Instant::now();
        self.db.exec("commit").await;
        // Counting rows costs processor time that the dispatcher needs, so it waits until the peer has answered all.
        while self.peer.count() < goal {
            assert!(began.elapsed() < PATIENCE, "{} of {goal} calls were sent", self.peer.count());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let stored = format!("select count(*) from edge_store.response where call_id > {last}");
        while self.db.one::<i64>(&stored).await < calls as i64 {
            assert!(began.elapsed() < PATIENCE, "not every response was stored");
        }
        began.elapsed()
    }

    /// The dispatcher's process.
    pub async fn dispatcher(&self) -> i32 {
        let running = "select pid from edge.worker_status() where pid is not null";
        eventually("a dispatcher runs", PATIENCE, || self.db.maybe::<i32>(running)).await
    }
}
