//! Named endpoints: making and changing them, calling them, and keeping them apart.

mod administration;
mod breaking;
mod invoking;
mod isolation;
mod pacing;
mod retrying;

use crate::harness::Db;
use crate::scene::Scene;

/// Makes an endpoint `crm` at the peer's address, with more arguments as SQL writes them.
async fn create(scene: &Scene, arguments: &str) {
    scene.db.exec(&format!("select edge.create_endpoint('crm', '{}'{arguments})", scene.peer.url(""))).await;
}

/// Queues a call to a path of `crm`.
async fn post(db: &Db, path: &str) -> i64 {
    db.one(&format!("select edge.http_post_async('{path}', endpoint => 'crm')")).await
}
