//! What calls come to in a month, and quotas that hold them back.

mod counting;
mod holding;

use crate::faults::SOON;
use crate::harness::{Db, eventually};
use crate::scene::Scene;

/// Bytes of `{}`, which is sent where no body is given, and of the peer's `{"ok":true}`.
const BODY: i64 = 2;
const ANSWER: i64 = 11;

async fn create(scene: &Scene, arguments: &str) {
    scene.db.exec(&format!("select edge.create_endpoint('crm', '{}'{arguments})", scene.peer.url(""))).await;
}

async fn queue(db: &Db, calls: usize) {
    db.exec(&format!("select edge.http_post_async('x', endpoint => 'crm') from generate_series(1, {calls})")).await;
}

/// Waits until the usage of an endpoint is this: calls, attempts, bytes sent and bytes received in all months.
async fn comes_to(scene: &Scene, endpoint: &str, wanted: [i64; 4]) {
    let sql = format!(
        "select array[coalesce(sum(calls), 0), coalesce(sum(attempts), 0), coalesce(sum(request_bytes), 0),
                      coalesce(sum(response_bytes), 0)]::bigint[]
         from edge.usage where endpoint = '{endpoint}'"
    );
    let what = format!("the usage of {endpoint} is {wanted:?}");
    eventually(&what, SOON, || async { scene.db.one::<Vec<i64>>(&sql).await == wanted }).await;
}

async fn held(scene: &Scene) {
    let sql = "select held_until is not null from edge.stat_endpoints where endpoint = 'crm'";
    eventually("calls are held back", SOON, || async { scene.db.maybe::<bool>(sql).await == Some(true) }).await;
}

async fn states(db: &Db) -> Vec<String> {
    db.column("select state || ' ' || count(*) from edge.calls group by state order by 1").await
}
