//! What most tests begin with: a cluster with the extension, a superuser's session, and a peer that says 200.

use serde_json::json;
use tokio_postgres::Row;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Db, Peer, Reply, SqlError, eventually};

/// The states that a call does not leave.
const FINAL: [&str; 5] = ["succeeded", "failed", "cancelled", "truncated", "expired"];

/// A cluster, a session and a peer, each of this test alone.
pub struct Scene {
    pub cluster: Cluster,
    pub db: Db,
    pub peer: Peer,
}

impl Scene {
    /// With the settings that users have.
    pub async fn start() -> Self {
        Self::on(Cluster::builder()).await
    }

    /// With settings of the test's own.
    pub async fn on(builder: ClusterBuilder) -> Self {
        let cluster = builder.start();
        let db = cluster.create_extension("postgres").await;
        let peer = Peer::start().await;
        peer.otherwise(|_| Reply::json(200, &json!({"ok": true})));
        Self { cluster, db, peer }
    }

    /// A role that may log in and has been granted access, in a session of its own.
    pub async fn role(&self, name: &str) -> Db {
        self.db.exec(&format!("create role {name} login; select edge.grant_access('{name}')")).await;
        self.cluster.connect_as(name, "postgres").await
    }

    /// Pauses sending, and returns when the dispatcher has read so: a cancellation is seen during a pause as well.
    pub async fn pause(&self) {
        self.db.exec("select edge.pause()").await;
        let seen = self.get("/never").await;
        self.db.exec(&format!("select edge.cancel({seen})")).await;
        assert_eq!(ended(&self.db, seen).await.get::<_, &str>("state"), "cancelled");
    }

    /// Queues a GET of a path of the peer as superuser, and gives its id.
    pub async fn get(&self, path: &str) -> i64 {
        get(&self.db, &self.peer.url(path)).await
    }

    /// Queues by an expression in which `$1` is the URL of a path of the peer.
    pub async fn call(&self, expression: &str, path: &str) -> i64 {
        call(&self.db, expression, &self.peer.url(path)).await
    }
}

/// Queues a GET in a session.
pub async fn get(db: &Db, url: &str) -> i64 {
    call(db, "edge.http_get_async($1)", url).await
}

/// Queues by an expression in which `$1` is the URL.
pub async fn call(db: &Db, expression: &str, url: &str) -> i64 {
    db.one_with(&format!("select {expression}"), &[&url]).await
}

/// Why an expression in which `$1` is the URL was refused.
pub async fn refused(db: &Db, expression: &str, url: &str) -> SqlError {
    let refused = db.client().query(&format!("select {expression}"), &[&url]).await;
    SqlError::from(refused.expect_err(&format!("this was to be refused: {expression} with {url}")))
}

/// Waits for the end of a call and gives its response.
pub async fn ended(db: &Db, id: i64) -> Row {
    let rows = db.rows_with("select * from edge.wait($1, '60 s')", &[&id]).await;
    let response = rows.into_iter().next().expect("edge.wait gives one row");
    let state: String = response.get("state");
    assert!(FINAL.contains(&state.as_str()), "call {id} is still {state} after a minute");
    response
}

/// Waits until a call is in a state.
pub async fn reaches(db: &Db, id: i64, state: &str) {
    let what = format!("call {id} is {state}");
    eventually(&what, SERVER_DEADLINE, || async {
        db.one_with::<Option<String>>("select edge.status($1)", &[&id]).await.as_deref() == Some(state)
    })
    .await;
}
