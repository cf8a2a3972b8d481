//! What is in the way of a call is not in the way of the statement.

use serde_json::json;

use super::{ORDERS, arrived, queued, trigger};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually, programs};
use crate::scene::{Scene, refused};

const ROW: &str = "after insert or update on orders for each row";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_does_not_keep_rows_from_being_written() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_queued_per_role", "2")).await;
    let ada = scene.role("ada").await;
    scene.db.exec("select edge.pause(); grant create on schema public to ada").await;
    scene.default_endpoint().await;
    ada.exec(ORDERS).await;
    trigger(&ada, "tell", ROW, "'hook'").await;
    ada.exec("insert into orders select generate_series(1, 5)").await;
    assert_eq!(queued(&scene.db).await.len(), 5);
    let error = refused(&ada, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    assert!(error.sqlstate == "53400" && error.hint.contains("5 are queued"), "{error}");
    scene.db.exec("select edge.resume()").await;
    arrived(&scene.peer, "/hook", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_too_large_are_left_out_and_named() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause(); select edge.alter_endpoint('default', max_request_bytes => 2000)").await;
    scene.db.exec("create table log (id int, small text, large text, larger text)").await;
    trigger(&scene.db, "tell", "after insert or update on log for each row", "'hook'").await;
    trigger(
        &scene.db,
        "listed",
        "after insert on log referencing new table as added for each statement",
        r#"'hook', '', '{"batch": true}'"#,
    )
    .await;
    scene.db.exec("insert into log values (1, 'x', repeat('l', 1500), repeat('m', 1600))").await;
    // Too much to be looked at, and more than Postgres makes one JSON of.
    scene.db.exec("insert into log values (2, 'x', repeat('l', 9000000), repeat(E'\\x01', 260000000))").await;
    scene.db.exec("update log set small = 'y' where id = 2").await;
    let told: Vec<_> = queued(&scene.db).await.into_iter().map(|body| body.get(0).cloned().unwrap_or(body)).collect();
    let omitted: Vec<_> = told.iter().map(|told| told["omitted"].to_string()).collect();
    let both = r#"["large","larger"]"#;
    assert_eq!(omitted, [r#"["larger"]"#, r#"["larger"]"#, both, both, both]);
    assert_eq!(told[0]["record"].as_object().map(|record| record.len()), Some(3));
    assert_eq!(told[4]["record"], json!({"id": 2, "small": "y"}));
    assert_eq!(told[4]["old_record"], json!({"id": 2, "small": "x"}));
    scene.db.exec("select edge.alter_endpoint('default', max_request_bytes => 1); insert into log values (3)").await;
    let last = queued(&scene.db).await.pop().expect("there are calls");
    assert_eq!(last[0]["record"], json!({}), "a limit that nothing fits into");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_gone_is_an_error_of_the_callback() {
    let scene = Scene::with_orders().await;
    scene.db.exec("create function done(r edge.response) returns void language sql as ''").await;
    trigger(&scene.db, "tell", ROW, r#"'hook', '', '{"on_complete": "public.done"}'"#).await;
    scene.db.exec("drop function done; insert into orders values (1)").await;
    arrived(&scene.peer, "/hook", 1).await;
    let errors = "select sqlstate from edge.callback_errors";
    let found = eventually("the error is recorded", SERVER_DEADLINE, || scene.db.maybe::<String>(errors)).await;
    assert_eq!(found, "42883");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_jsonb_cannot_hold_are_sent_all_the_same() {
    let scene = Scene::with_orders().await;
    scene.db.exec("select edge.pause(); create table odd (id int, j json, f float8)").await;
    let arguments = r#"'hook', '', '{"metadata_columns": ["j"], "metadata": {"kind": "odd"}}'"#;
    trigger(&scene.db, "tell", "after insert on odd for each row", arguments).await;
    scene.db.exec(r#"insert into odd values (1, '{"a": "\u0000", "a": 2}', 'NaN')"#).await;
    let body: Vec<u8> = scene.db.one("select body from edge_store.request").await;
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains(r#""j":{"a": "\u0000", "a": 2},"f":"NaN""#), "{body}");
    scene
        .db
        .exec("insert into odd select 2, to_json(string_agg(md5(n::text), '')) from generate_series(1, 4000) as n")
        .await;
    let metadata: Vec<String> = scene.db.column("select metadata::text from edge.calls").await;
    assert_eq!(metadata, [r#"{"kind": "odd"}"#; 2], "it was kept, or what is fixed was lost with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_brings_triggers_before_their_endpoints_and_they_tell() {
    let scene = Scene::with_orders().await;
    scene.db.exec("create function done(r edge.response) returns void language sql as ''").await;
    trigger(&scene.db, "tell", ROW, r#"'hook', '', '{"on_complete": "public.done"}'"#).await;
    trigger(&scene.db, "gone", ROW, "'f', 'not_there'").await;
    let file = scene.cluster.socket_dir().join("dump.sql");
    let mut pg_dump = programs::server_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(scene.cluster.socket_dir());
    programs::run(pg_dump.arg("--file").arg(&file));
    let dump = std::fs::read_to_string(&file).expect("a dump is text");
    assert!(!dump.contains("EVENT TRIGGER"), "the extension's own trigger is part of the dump");
    scene.cluster.create_database("copy").await;
    let mut psql = scene.cluster.psql_command();
    programs::run(psql.args(["--quiet", "--dbname=copy", "--file"]).arg(&file));
    let copy = scene.cluster.connect_as("postgres", "copy").await;
    copy.exec("insert into public.orders values (1)").await;
    let sent = arrived(&scene.peer, "/hook", 1).await;
    assert_eq!(sent[0]["record"]["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_goes_with_its_triggers_and_leaves_the_rest_alone() {
    let scene = Scene::with_orders().await;
    trigger(&scene.db, "tell", ROW, "'hook'").await;
    assert_eq!(scene.db.fails("drop extension pg_edge").await.sqlstate, "2BP01");
    scene.db.exec("drop extension pg_edge cascade; insert into orders values (1)").await;
    scene.db.exec("create function f() returns trigger language plpgsql as 'begin return null; end'").await;
    scene.db.exec("create trigger own after insert on orders for each row execute function f()").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_event_trigger").await, 0);
    scene.db.exec("create extension pg_edge; insert into orders values (2)").await;
    trigger(&scene.db, "tell", ROW, &format!("'{}'", scene.peer.url("/again"))).await;
    scene.db.exec("insert into orders values (3)").await;
    arrived(&scene.peer, "/again", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_told_as_such() {
    let scene = Scene::start().await;
    scene.db.exec("create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0").await;
    let db = scene.cluster.create_extension("bytes").await;
    db.exec(ORDERS).await;
    trigger(&db, "tell", ROW, &format!("'{}'", scene.peer.url("/hook"))).await;
    db.exec(r"insert into orders values (1, E'caf\xe9')").await;
    assert_eq!(arrived(&scene.peer, "/hook", 1).await[0]["record"]["state"], "caf\u{fffd}");
}
