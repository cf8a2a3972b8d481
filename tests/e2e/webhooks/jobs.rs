//! Rows whose functions answer now and finish later.

use serde_json::{Value, json};

use super::{arrived, trigger};
use crate::harness::{Db, Reply, Request};
use crate::scene::{Scene, ended, reaches};

const ADDED: &str = "after insert on orders referencing new table as added for each statement";

/// Says that the job of a request is done.
async fn complete(db: &Db, request: &Request, result: Value) -> bool {
    let header = |name| request.header(name).unwrap_or_else(|| panic!("{name} is missing")).to_owned();
    let id: i64 = header("x-edge-job").parse().expect("an id is a number");
    db.one_with("select edge.complete($1, $2, $3)", &[&id, &header("x-edge-token"), &result]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_s_call_is_a_job_that_its_function_accepts_and_completes() {
    let scene = Scene::with_orders().await;
    scene.peer.on("/work", Reply::status(202));
    let options = r#"'work', '', '{"job": {"deadline": "7 min", "heartbeat": "40 s"}}'"#;
    trigger(&scene.db, "tell", "after insert on orders for each row", options).await;
    trigger(&scene.db, "usual", "after delete on orders for each row", r#"'later', '', '{"job": true}'"#).await;
    scene.db.exec("insert into orders values (1)").await;
    let id: i64 = scene.db.one("select id from edge.calls").await;
    reaches(&scene.db, id, "accepted").await;
    let terms = "select deadline = '7 min' and heartbeat = '40 s' from edge.jobs";
    assert!(scene.db.one::<bool>(terms).await, "the terms are others");
    let request = scene.peer.wait_for_path("/work", 1).await.remove(0);
    assert_eq!(request.json()["record"]["id"], 1);
    assert!(complete(&scene.db, &request, json!({"sent": 1})).await, "it was not heard");
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    assert_eq!(response.get::<_, Option<Value>>("json"), Some(json!({"sent": 1})));
    scene.db.exec("select edge.pause(); delete from orders").await;
    let usual = "select deadline_ms = 300000 and heartbeat_ms is null from edge_store.request order by id desc limit 1";
    assert!(scene.db.one::<bool>(usual).await, "nothing was said, and the terms are not the usual ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_rows_is_one_job_that_ends_as_a_whole() {
    let scene = Scene::with_orders().await;
    scene.peer.on("/work", Reply::status(202));
    trigger(&scene.db, "tell", ADDED, r#"'work', '', '{"batch": true, "max_items": 2, "job": true}'"#).await;
    scene.db.exec("insert into orders values (1), (2), (3)").await;
    let ids: Vec<i64> = scene.db.column("select id from edge.calls order by id").await;
    assert_eq!(ids.len(), 2);
    let mut sizes: Vec<_> =
        arrived(&scene.peer, "/work", 2).await.iter().map(|body| body.as_array().map(Vec::len)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [Some(1), Some(2)]);
    for id in &ids {
        reaches(&scene.db, *id, "accepted").await;
    }
    for request in scene.peer.wait_for_path("/work", 2).await {
        assert!(complete(&scene.db, &request, Value::Null).await, "it was not heard");
    }
    for id in ids {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_no_job_can_have_are_refused_when_the_trigger_is_made() {
    let scene = Scene::with_orders().await;
    for (job, words) in [
        (r#"{"deadline": "1 ms"}"#, "deadline must be at least 100 milliseconds"),
        (r#"{"heartbeat": "soon"}"#, "option \"heartbeat\" must be an interval"),
    ] {
        let arguments = format!(r#"'f', '', '{{"job": {job}}}'"#);
        let error = scene.db.fails(&super::made("tell", "after insert on orders for each row", &arguments)).await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{error}");
    }
}
