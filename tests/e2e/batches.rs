//! Lists of items: sent in calls that fit, halved where they are too much, and sent again where some have failed.

mod failing;
mod sending;
mod splitting;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Peer, Reply, Request};
use crate::scene::Scene;

/// Makes the endpoint `default` at the peer, with more arguments as SQL writes them.
async fn create(scene: &Scene, arguments: &str) {
    scene.db.exec(&format!("select edge.create_endpoint('default', '{}'{arguments})", scene.peer.url(""))).await;
}

/// Queues the items 1 to `n` and gives the ids of the calls.
async fn send(scene: &Scene, n: usize, arguments: &str) -> Vec<i64> {
    let items = "(select array_agg(to_jsonb(n)) from generate_series(1, $1::bigint) as n)";
    let sql = format!("select edge.invoke_batch('work', {items}{arguments})");
    let rows = scene.db.rows_with(&sql, &[&i64::try_from(n).unwrap()]).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The list that a request brings.
fn list(request: &Request) -> Vec<Value> {
    serde_json::from_slice(&request.body).expect("the body is a list")
}

/// Answers 413 to lists of more than so many items.
fn takes_at_most(peer: &Peer, items: usize, status: u16) {
    peer.answer("/work", move |request| Reply::status(if list(request).len() > items { status } else { 200 }));
}

/// How often each item came in a list of at most so many.
fn done(peer: &Peer, items: usize) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for item in peer.requests_for("/work").iter().map(list).filter(|list| list.len() <= items).flatten() {
        *times.entry(item.to_string()).or_default() += 1;
    }
    times
}
