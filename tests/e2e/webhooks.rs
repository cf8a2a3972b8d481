//! Database webhooks: what a trigger has sent for each row, whose call it is, and what never fails the statement.

mod arguments;
mod giants;
mod hands;
mod jobs;
mod owners;
mod problems;
mod recipes;
mod rows;
mod statements;
mod trouble;

use serde_json::Value;

use crate::harness::{Db, Peer};
use crate::scene::Scene;

/// A table of everybody's kinds of values.
const ORDERS: &str = "create table orders (id int primary key, state text, total numeric(12, 2), note jsonb)";

impl Scene {
    /// A table, and an endpoint `default` at the peer.
    async fn with_orders() -> Self {
        let scene = Self::start().await;
        scene.db.exec(ORDERS).await;
        scene.default_endpoint().await;
        scene
    }

    async fn default_endpoint(&self) {
        self.db.exec(&format!("select edge.create_endpoint('default', '{}')", self.peer.url("/"))).await;
    }
}

/// Makes a trigger; `when` is what stands between its name and what it executes.
async fn trigger(db: &Db, name: &str, when: &str, arguments: &str) {
    db.exec(&made(name, when, arguments)).await;
}

fn made(name: &str, when: &str, arguments: &str) -> String {
    format!("create trigger {name} {when} execute function edge.webhook({arguments})")
}

/// The bodies of all calls, in the order in which they were queued.
async fn queued(db: &Db) -> Vec<Value> {
    let bodies: Vec<Vec<u8>> = db.column("select body from edge_store.request order by id").await;
    bodies.iter().map(|body| serde_json::from_slice(body).expect("a webhook's body is JSON")).collect()
}

/// What of each payload is mostly asked.
fn told(payload: &Value) -> (String, Value, Value) {
    let event = payload["type"].as_str().expect("a payload has a type").to_owned();
    (event, payload["record"].clone(), payload["old_record"].clone())
}

/// The bodies that a path of the peer was sent, once there are so many.
async fn arrived(peer: &Peer, path: &str, n: usize) -> Vec<Value> {
    peer.wait_for_path(path, n).await.iter().map(|request| request.json()).collect()
}

/// The blocks of SQL of a page.
fn statements_of(page: &'static str) -> Vec<&'static str> {
    let blocks = page.split("```sql\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block of SQL has an end").0).collect()
}
