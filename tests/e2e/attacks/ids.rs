//! Asking by number for calls of others: the answer is that of a number nobody has, nothing happens, and no more is read.

use crate::harness::{Db, Reply, SqlError};
use crate::scene::{Scene, call, ended, reaches};

const MISSING: i64 = 4_000_000_000;

/// Every function that takes the number of a call.
const ASKING: [&str; 6] = [
    "edge.status($1)",
    "(edge.result($1)).id",
    "edge.cancel($1)",
    "edge.wait($1, '0')",
    "edge.replay($1)",
    "edge.wait($1)",
];

/// Ada's calls in every state, and a session of eve.
async fn ada_s_calls() -> (Scene, Vec<i64>, Db) {
    let scene = Scene::start().await;
    scene.peer.on("/bad", Reply::status(404)).on("/hang", Reply::hang()).on("/busy", Reply::status(503));
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let mut ids = Vec::new();
    for path in ["/good", "/bad"] {
        let id = call(&ada, "edge.http_get_async($1)", &scene.peer.url(path)).await;
        ended(&ada, id).await;
        ids.push(id);
    }
    let hanging = call(&ada, "edge.http_get_async($1, timeout => '1 hour')", &scene.peer.url("/hang")).await;
    reaches(&ada, hanging, "running").await;
    let busy = call(&ada, "edge.http_get_async($1, max_attempts => 1000)", &scene.peer.url("/busy")).await;
    reaches(&ada, busy, "retrying").await;
    let later = call(&ada, "edge.http_get_async($1, run_at => 'tomorrow')", &scene.peer.url("/")).await;
    ids.extend([hanging, busy, later]);
    (scene, ids, eve)
}

async fn answer(db: &Db, question: &str, id: i64) -> String {
    let sql = format!("select ({question})::text").replace("$1", &id.to_string());
    match db.client().query_one(&sql, &[]).await {
        Ok(row) => format!("{:?}", row.get::<_, Option<String>>(0)),
        Err(error) => SqlError::from(error).to_string().replace(&format!("call {id} "), "call N "),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_somebody_else_is_as_good_as_none() {
    let (scene, ids, eve) = ada_s_calls().await;
    let rows = "select (select count(*) from edge_store.request) + (select count(*) from edge_store.cancellation)
                     + (select count(*) from edge_store.replay)";
    let before: i64 = scene.db.one(rows).await;
    for question in ASKING {
        let none = answer(&eve, question, MISSING).await;
        for id in &ids {
            assert_eq!(answer(&eve, question, *id).await, none, "{question} of call {id}");
        }
    }
    assert_eq!(eve.one::<i64>("select edge.replay_dead()").await, 0);
    assert_eq!(scene.db.one::<i64>(rows).await, before, "something was written");
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&ids[2]]).await, "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_for_a_call_of_somebody_else_than_for_none() {
    let (_scene, ids, eve) = ada_s_calls().await;
    for question in ["edge.status($1)", "(edge.result($1)).id", "edge.cancel($1)"] {
        let none = scans(&eve, question, MISSING).await;
        assert!(none > 0, "{question} reads nothing at all");
        for id in &ids {
            assert_eq!(scans(&eve, question, *id).await, none, "{question} of call {id}");
        }
    }
}

/// How many scans of our tables a question takes, once it is planned.
async fn scans(db: &Db, question: &str, id: i64) -> i64 {
    let count = "select sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::bigint from pg_stat_xact_all_tables
                 where schemaname = 'edge_store'";
    answer(db, question, id).await;
    db.exec("begin").await;
    let before: i64 = db.one(count).await;
    answer(db, question, id).await;
    let after: i64 = db.one(count).await;
    db.exec("rollback").await;
    after - before
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_numbers_of_others_tell_nothing() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let url = scene.peer.url("/");
    let mine = call(
        &ada,
        "edge.http_post_async($1, '{\"a\": 1}', idempotency_key => 'k', metadata => '{\"secret\": 1}')",
        &url,
    )
    .await;
    // Another request under the same key would be refused with the number of the call, if keys were shared.
    let hers = call(&eve, "edge.http_post_async($1, '{\"b\": 2}', idempotency_key => 'k')", &url).await;
    assert_ne!(mine, hers);
    let shown: Vec<String> = eve.column("select coalesce(metadata::text, 'none') from edge.calls").await;
    assert_eq!(shown, ["none"]);
    // What the sequence says is not for users either.
    assert_eq!(eve.fails("select last_value from edge_store.call_id").await.sqlstate, "42501");
    assert_eq!(eve.fails("select pg_sequence_last_value('edge_store.call_id')").await.sqlstate, "42501");
    assert_eq!(eve.fails("select nextval('edge_store.call_id')").await.sqlstate, "42501");
}
