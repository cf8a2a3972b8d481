//! A row that cannot be sent fails by itself, with a reason, and the rest is served.

use crate::faults::{all_ended, dispatcher, find_worker, queue_one, ready};
use crate::harness::{Peer, Reply};

/// What stands in a corrupt row, as columns and values.
const CORRUPT: [(&str, &str); 6] = [
    ("method, url", "'GET', 'not a url'"),
    ("method, url", "'GET', ''"),
    ("method, url", "'GET', 'file:///etc/passwd'"),
    ("method, url", "'NO METHOD', 'http://127.0.0.1:1/'"),
    ("method, url, headers", "'GET', 'http://127.0.0.1:1/', E'bad name: x\\n'"),
    ("method, url, headers", "'GET', 'http://127.0.0.1:1/', E'no colon\\n'"),
];

/// What is odd and yet can be sent.
const ODD: [(&str, &str); 6] = [
    ("timeout_ms", "-5"),
    ("max_attempts", "-3"),
    ("idempotency_key", "E'two\\nlines'"),
    ("on_complete", "4294967295"),
    ("run_at", "'-infinity'"),
    ("owner", "4294967294"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_row_fails_alone() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let worker = dispatcher(&cluster, "postgres").await;
    for (columns, values) in CORRUPT {
        db.exec(&format!(
            "insert into edge_store.request (id, queued_at, owner, slot, {columns})
             values (nextval('edge_store.call_id'), now(), 10, 0, {values})"
        ))
        .await;
    }
    let good = queue_one(&db, &peer.url("/")).await;
    all_ended(&cluster, "postgres").await;
    let state: String = db.one(&format!("select edge.status({good})")).await;
    assert_eq!(state, "succeeded");
    let failed = db.rows(&format!("select url, state, error_class, error from edge.calls where id <> {good}")).await;
    assert_eq!(failed.len(), CORRUPT.len());
    for row in failed {
        let (url, state, class, error): (Option<String>, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!((state.as_str(), class.as_str()), ("failed", "invalid_request"), "{url:?}: {error}");
        assert!(error.len() > 10, "a reason that a user can read: {error}");
    }
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_row_does_no_harm() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.otherwise(|_| Reply::status(204));
    let worker = dispatcher(&cluster, "postgres").await;
    for (column, value) in ODD {
        let owner = if column == "owner" { "" } else { "owner, " };
        let ten = if column == "owner" { "" } else { "10, " };
        db.exec(&format!(
            "insert into edge_store.request (id, queued_at, slot, method, url, {owner}{column})
             values (nextval('edge_store.call_id'), now(), 0, 'GET', '{}', {ten}{value})",
            peer.url("/odd")
        ))
        .await;
    }
    // This one is never due.
    db.exec(&format!(
        "insert into edge_store.request (id, queued_at, owner, slot, method, url, run_at)
         values (nextval('edge_store.call_id'), now(), 10, 0, 'GET', '{}', 'infinity')",
        peer.url("/never")
    ))
    .await;
    let good = queue_one(&db, &peer.url("/good")).await;
    let state: String = db.one(&format!("select (edge.wait({good})).state")).await;
    assert_eq!(state, "succeeded");
    db.exec("delete from edge_store.deferred where due_at = 'infinity'").await;
    db.exec(&format!("delete from edge_store.request where url = '{}'", peer.url("/never"))).await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(peer.count("/never"), 0);
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
}
