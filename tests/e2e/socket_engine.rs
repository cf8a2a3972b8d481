//! The dispatcher's side of websockets: what is sent in which order, what is kept, and what it costs.

mod faults;
mod functions;
mod idle;
mod keeping;
mod order;
mod places;
mod reopening;
mod replacing;

use tokio_postgres::Row;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Db, WsPeer, eventually};

/// A cluster, a session and a peer of websockets, each of this test alone.
struct Stage {
    cluster: Cluster,
    db: Db,
    peer: WsPeer,
}

impl Stage {
    async fn start() -> Self {
        Self::on(Cluster::builder()).await
    }

    async fn on(builder: ClusterBuilder) -> Self {
        let cluster = builder.setting("pg_edge.ws_max_backoff", "200ms").setting("autovacuum", "off").start();
        let db = cluster.create_extension("postgres").await;
        Self { cluster, db, peer: WsPeer::start().await }
    }

    /// A websocket to a path of the peer, which stands. Its name is the path's.
    async fn open(&self, name: &str) -> i64 {
        let id = self.want(name, "").await;
        reaches(&self.db, name, "open").await;
        id
    }

    /// Has a websocket be wanted, with these further arguments.
    async fn want(&self, name: &str, more: &str) -> i64 {
        let url = self.peer.url(&format!("/{name}"));
        self.db.one_with(&format!("select edge.ws_open($1, $2{more})"), &[&name, &url]).await
    }
}

/// Waits until a websocket is in a state, and gives what is shown of it then.
async fn reaches(db: &Db, name: &str, state: &str) -> Row {
    eventually(&format!("{name} is {state}"), SERVER_DEADLINE, || async {
        let rows = db.rows_with("select * from edge.ws_connections where name = $1", &[&name]).await;
        rows.into_iter().find(|row| row.get::<_, String>("state") == state)
    })
    .await
}

/// Sends a text in a transaction of its own.
async fn say(db: &Db, name: &str, text: &str) -> i64 {
    db.one_with("select edge.ws_send($1, $2::text)", &[&name, &text]).await
}

/// Waits until a statement gives true.
async fn comes_true(db: &Db, what: &str, sql: &str) {
    eventually(what, SERVER_DEADLINE, || db.one::<bool>(sql)).await;
}

/// Waits until every message that was sent has been taken.
async fn all_taken(db: &Db) {
    comes_true(
        db,
        "all messages are taken",
        "select not exists (select from edge.ws_messages where direction = 'out' and state <> 'sent')",
    )
    .await;
}
