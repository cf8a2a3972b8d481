//! The second extension, pg_edge_net: what users of pg_net know, on top of pg_edge.

mod defects;
mod held;
mod killers;
mod lasting;
mod promises;
mod recipes;
mod requests;
mod responses;
mod rights;
mod upkeep;

use tokio_postgres::Row;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Db, eventually};
use crate::scene::Scene;

/// A scene with both extensions.
async fn start() -> Scene {
    start_on(Cluster::builder()).await
}

async fn start_on(builder: ClusterBuilder) -> Scene {
    let scene = Scene::on(builder).await;
    scene.db.exec("create extension pg_edge_net").await;
    scene
}

/// Makes a request by an expression in which `$1` is the URL of a path of the peer, and gives its id.
async fn request(scene: &Scene, expression: &str, path: &str) -> i64 {
    scene.call(expression, path).await
}

/// A GET that waits for its answer for longer than any test takes: five seconds, as it is otherwise, may pass before a gate opens.
const PATIENT: &str = "net.http_get($1, timeout_milliseconds := 600000)";

/// The response to a request, once it is there.
async fn response(db: &Db, id: i64) -> Row {
    let sql = "select status_code, content_type, headers, content, timed_out, error_msg, created
               from net._http_response where id = $1";
    eventually(&format!("the response to request {id} is stored"), SERVER_DEADLINE, || async {
        db.rows_with(sql, &[&id]).await.into_iter().next()
    })
    .await
}

/// Waits until the queue is empty.
async fn all_stored(db: &Db) {
    eventually("the queue is empty", SERVER_DEADLINE, || async {
        db.one::<i64>("select count(*) from net.http_request_queue").await == 0
    })
    .await;
}
