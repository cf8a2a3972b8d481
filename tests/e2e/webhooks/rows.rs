//! Triggers for each row.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{arrived, queued, told, trigger};
use crate::scene::{Scene, ended};

const ON_ORDERS: &str = "after insert or update or delete on orders for each row";

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_told_of_as_row_to_json_writes_it() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ON_ORDERS, "'hook'").await;
    scene.db.exec(r#"insert into orders values (1, E'a"b\n', 1234567890.20, '{"deep": [1, null]}')"#).await;
    let sent = scene.peer.wait_for_path("/hook", 1).await.remove(0);
    assert_eq!((sent.method.as_str(), sent.header("content-type")), ("POST", Some("application/json")));
    assert_eq!(sent.header("x-edge-attempt"), Some("1"));
    let row: String = scene.db.one("select row_to_json(orders)::text from orders").await;
    let expected =
        format!(r#"{{"type":"INSERT","table":"orders","schema":"public","record":{row},"old_record":null}}"#);
    assert_eq!(sent.text(), expected);
    scene.db.exec("update orders set state = 'paid'; delete from orders").await;
    arrived(&scene.peer, "/hook", 3).await;
    let told: Vec<_> = queued(&scene.db).await.iter().map(told).collect();
    assert_eq!(told.iter().map(|told| told.0.as_str()).collect::<Vec<_>>(), ["INSERT", "UPDATE", "DELETE"]);
    assert_eq!((&told[1].1["state"], &told[1].2), (&json!("paid"), &told[0].1));
    assert_eq!((&told[2].1, &told[2].2), (&Value::Null, &told[1].1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_rolled_back_is_never_told_of() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ON_ORDERS, "'hook'").await;
    scene.db.exec("begin; insert into orders values (1); rollback").await;
    scene
        .db
        .exec("begin; savepoint s; insert into orders values (2); rollback to s; insert into orders values (3); commit")
        .await;
    let arrived = arrived(&scene.peer, "/hook", 1).await;
    assert_eq!(arrived[0]["record"]["id"], 3);
    assert_eq!(queued(&scene.db).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_and_columns_of_the_trigger_work_by_postgres() {
    let scene = Scene::with_orders().await;
    trigger(
        &scene.db,
        "tell",
        "after update of state on orders for each row when (new.state = 'paid' and old.state is distinct from new.state)",
        "'hook'",
    )
    .await;
    scene.db.exec("insert into orders values (1, 'new')").await;
    scene
        .db
        .exec("update orders set total = 1; update orders set state = 'seen'; update orders set state = 'paid'")
        .await;
    scene.db.exec("update orders set state = 'paid', total = 2").await;
    let told: Vec<_> = queued(&scene.db).await.iter().map(told).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].1["state"], &told[0].2["state"]), (&json!("paid"), &json!("seen")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_changes_nothing_is_told_of_only_where_that_is_wanted() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    let when = "after insert or update on orders for each row";
    trigger(&scene.db, "every", when, "'every'").await;
    trigger(&scene.db, "changed", when, r#"'changed', '', '{"when_changed": true}'"#).await;
    trigger(&scene.db, "state", when, r#"'state', '', '{"when_changed": ["state", "note"]}'"#).await;
    scene.db.exec("alter table orders alter note set storage external").await;
    let large = "jsonb_build_object('x', repeat('x', 20000))";
    scene.db.exec(&format!("insert into orders values (1, 'new', 1.0, {large})")).await;
    let counts = || async {
        let sql = "select url || ' ' || count(*) from edge_store.request group by url order by url";
        scene.db.column::<String>(sql).await
    };
    assert_eq!(counts().await, ["changed 1", "every 1", "state 1"]);
    scene.db.exec("update orders set id = id").await;
    assert_eq!(counts().await, ["changed 1", "every 2", "state 1"]);
    scene.db.exec("update orders set total = 2").await;
    assert_eq!(counts().await, ["changed 2", "every 3", "state 1"]);
    scene.db.exec("update orders set state = null").await;
    assert_eq!(counts().await, ["changed 3", "every 4", "state 2"]);
    // The same value written anew, and another of the same length.
    scene.db.exec(&format!("update orders set note = {large}")).await;
    assert_eq!(counts().await, ["changed 3", "every 5", "state 2"]);
    scene.db.exec("update orders set note = jsonb_build_object('x', repeat('y', 20000))").await;
    assert_eq!(counts().await, ["changed 4", "every 6", "state 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_columns_that_are_wanted_are_sent() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ON_ORDERS, r#"'hook', '', '{"columns": ["total", "id"]}'"#).await;
    scene.db.exec("insert into orders values (1, 'private', 2.50); update orders set id = 2").await;
    arrived(&scene.peer, "/hook", 2).await;
    let bodies: Vec<Vec<u8>> = scene.db.column("select body from edge_store.request order by id").await;
    let first = String::from_utf8_lossy(&bodies[0]);
    assert!(first.contains(r#""record":{"id":1,"total":2.50},"old_record":null"#), "{first}");
    let second = String::from_utf8_lossy(&bodies[1]);
    assert!(second.contains(r#""record":{"id":2,"total":2.50},"old_record":{"id":1,"total":2.50}"#), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_called_with_everything_that_the_options_say() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "create table done (id bigint, state text, metadata jsonb);
             create function done(r edge.response) returns void language sql as
             'insert into public.done select r.id, r.state, metadata from edge.calls where id = r.id'",
        )
        .await;
    let arguments = format!(
        r#"'{}', '', '{{"headers": {{"X-Source": "orders"}}, "params": {{"v": 2}}, "timeout": "7 s", "max_attempts": 9,
            "on_complete": "public.done", "metadata": {{"kind": "order"}}, "metadata_columns": ["id", "state"],
            "method": "put", "delay": "1 second"}}'"#,
        scene.peer.url("/hook?a=1")
    );
    trigger(&scene.db, "tell", ON_ORDERS, &arguments).await;
    let clock = "select clock_timestamp()";
    let before: SystemTime = scene.db.one(clock).await;
    scene.db.exec("insert into orders values (1, 'new')").await;
    let after: SystemTime = scene.db.one(clock).await;
    let sent = scene.peer.wait_for_path("/hook", 1).await.remove(0);
    assert_eq!((sent.method.as_str(), sent.header("x-source")), ("PUT", Some("orders")));
    assert_eq!((sent.path.as_str(), sent.query.as_str()), ("/hook", "a=1&v=2"));
    let id: i64 = scene.db.one("select id from edge.calls").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let row = "select timeout_ms = 7000 and max_attempts = 9 and run_at - interval '1 second' between $1 and $2
                   and endpoint is null from edge_store.request";
    assert!(scene.db.one_with::<bool>(row, &[&before, &after]).await, "not all of the options hold");
    let told = "select state || metadata::text from done";
    let told = crate::harness::eventually("the callback has run", crate::harness::cluster::SERVER_DEADLINE, || {
        scene.db.maybe::<String>(told)
    })
    .await;
    assert_eq!(told, r#"succeeded{"id": 1, "kind": "order", "state": "new"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_constraint_trigger_tells_at_the_commit() {
    let scene = Scene::with_orders().await;
    scene
        .db
        .exec(
            "create constraint trigger later after insert on orders deferrable initially deferred for each row
             execute function edge.webhook('hook')",
        )
        .await;
    scene.db.exec("begin; insert into orders values (1)").await;
    assert_eq!(queued(&scene.db).await.len(), 0);
    scene.db.exec("commit").await;
    assert_eq!(arrived(&scene.peer, "/hook", 1).await[0]["record"]["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_renamed_does_not_silence_a_webhook() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    let arguments = r#"'hook', '', '{"when_changed": ["state"], "columns": ["id", "state"]}'"#;
    trigger(&scene.db, "tell", "after update on orders for each row", arguments).await;
    scene.db.exec("insert into orders values (1, 'new'); alter table orders rename state to status").await;
    scene.db.exec("update orders set status = 'paid'").await;
    let told = queued(&scene.db).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["record"], &told[0]["omitted"]), (&json!({"id": 1}), &json!(["state"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_column_has_changed_when_what_it_follows_from_has() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    scene.db.exec("alter table orders add gross numeric generated always as (total * 2) stored").await;
    let arguments = r#"'hook', '', '{"when_changed": ["gross"], "columns": ["id", "gross"]}'"#;
    trigger(&scene.db, "tell", "after update on orders for each row", arguments).await;
    scene.db.exec("insert into orders values (1, 'new', 10); update orders set id = id").await;
    assert_eq!(queued(&scene.db).await.len(), 0);
    scene.db.exec("update orders set total = 11").await;
    let told = queued(&scene.db).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["record"]["gross"].as_f64(), Some(22.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_in_no_row_is_omitted_where_there_are_any() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause()").await;
    // Before 18 there are none, and a column that is stored is told.
    let is_virtual: bool = scene.db.one("select current_setting('server_version_num')::int >= 180000").await;
    let kind = if is_virtual { "virtual" } else { "stored" };
    scene.db.exec(&format!("alter table orders add gross numeric generated always as (total * 2) {kind}")).await;
    trigger(&scene.db, "tell", "after insert on orders for each row", "'hook'").await;
    scene.db.exec("insert into orders values (1, 'new', 10)").await;
    let told = queued(&scene.db).await;
    let expected = if is_virtual { (None, json!(["gross"])) } else { (Some(20.0), json!(null)) };
    assert_eq!((told[0]["record"]["gross"].as_f64(), told[0]["omitted"].clone()), expected);
}
