//! Tables that change hands, or are restored from a dump: what one owner has written does not run as the next.

use super::{ORDERS, arrived, made, queued, trigger};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, eventually, programs};
use crate::scene::Scene;

const ROW: &str = "after insert on orders for each row";
const CALLBACK: &str = r#"'hook', '', '{"on_complete": "public.done"}'"#;
const DONE: &str =
    "create function done(r edge.response) returns void language sql as 'insert into public.ran values (current_user)'";

/// The first owner of the table, with access, and a table that says as whom callbacks ran.
async fn ada(scene: &Scene) -> Db {
    let ada = scene.role("ada").await;
    scene
        .db
        .exec("grant create on schema public to ada; create table ran (who text); grant all on ran to public")
        .await;
    scene.default_endpoint().await;
    ada.exec(ORDERS).await;
    ada
}

/// What became of the callback of the only call.
async fn callback_error(scene: &Scene) -> String {
    arrived(&scene.peer, "/hook", 1).await;
    let errors = "select sqlstate from edge.callback_errors";
    eventually("the error is recorded", SERVER_DEADLINE, || scene.db.maybe::<String>(errors)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_of_the_owner_before_does_not_run_as_the_owner_after() {
    let scene = Scene::start().await;
    let ada = ada(&scene).await;
    ada.exec(DONE).await;
    trigger(&ada, "tell", ROW, CALLBACK).await;
    scene.db.exec("alter table orders owner to postgres; insert into orders values (1)").await;
    assert_eq!(callback_error(&scene).await, "42883");
    assert_eq!(scene.db.column::<String>("select who from ran").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_somebody_else_has_made_anew_does_not_run() {
    let scene = Scene::start().await;
    let ada = ada(&scene).await;
    let bob = scene.role("bob").await;
    ada.exec(DONE).await;
    trigger(&ada, "tell", ROW, CALLBACK).await;
    scene.db.exec("grant create on schema public to bob").await;
    ada.exec("drop function done").await;
    bob.exec(DONE).await;
    ada.exec("insert into orders values (1)").await;
    assert_eq!(callback_error(&scene).await, "42883");
    // Nor can a trigger be made with it.
    let error = ada.fails(&made("another", ROW, CALLBACK)).await;
    assert!(error.sqlstate == "42501" && error.message.contains("must belong to the table's owner \"ada\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_go_to_no_address_of_the_trigger_alone() {
    let scene = Scene::start().await;
    let ada = ada(&scene).await;
    scene.db.exec("grant execute on function edge.set_secret to ada").await;
    let headers = r#"{"headers": {"Authorization": "${secret:key}"}}"#;
    let error = ada.fails(&made("tell", ROW, &format!("'{}', '', '{headers}'", scene.peer.url("/hook")))).await;
    assert!(error.sqlstate == "22023" && error.message.contains("need an endpoint"), "{error}");
    trigger(&ada, "tell", ROW, &format!("'{}', 'default', '{headers}'", scene.peer.url("/hook"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_who_restores_a_dump_loses_no_trigger_for_want_of_a_right() {
    let scene = Scene::start().await;
    let ada = ada(&scene).await;
    let warned = |words: &'static str| {
        let db = &scene.db;
        eventually("the warning comes", SERVER_DEADLINE, move || async move {
            db.notices().iter().any(|notice| notice.contains(words))
        })
    };
    trigger(&scene.db, "secret", ROW, r#"'hook', '', '{"headers": {"X-Key": "${secret:key}"}}'"#).await;
    warned("trigger \"secret\" of table \"public\".\"orders\": a placeholder for a secret").await;
    assert_eq!(ada.fails("insert into orders values (1)").await.sqlstate, "42501");
    scene.db.exec("select edge.set_secret('key', 'hush'); grant execute on function edge.set_secret to ada").await;
    ada.exec("insert into orders values (1)").await;
    arrived(&scene.peer, "/hook", 1).await;
    scene.db.exec(DONE).await;
    scene.db.exec("revoke execute on function done from public").await;
    trigger(&scene.db, "callback", ROW, CALLBACK).await;
    warned("done").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_trigger where tgname in ('secret', 'callback')").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_younger_than_the_snapshot_is_known_for_what_it_is() {
    let scene = Scene::on(Cluster::builder()).await;
    scene.default_endpoint().await;
    scene
        .db
        .exec("select edge.pause(); create role ada; create table events (id int) partition by list (id); alter table events owner to ada")
        .await;
    trigger(&scene.db, "tell", "after insert on events for each row", "'hook'").await;
    let writer = scene.cluster.connect().await;
    writer.exec("begin isolation level repeatable read; select 1 from pg_class limit 1").await;
    scene.db.exec("create table one partition of events for values in (1)").await;
    writer.exec("insert into one values (1); commit; insert into one values (1)").await;
    for payload in queued(&scene.db).await {
        assert_eq!(payload["table"], "events");
    }
    let owners: Vec<String> = scene.db.column("select owner::regrole::text from edge_store.request order by id").await;
    assert_eq!(owners, ["ada", "ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_names_what_has_gone_since_is_restored_from_a_dump() {
    let scene = Scene::with_orders().await;
    scene.db.exec("create function done(r edge.response) returns void language sql as ''").await;
    trigger(&scene.db, "renamed", ROW, r#"'hook', '', '{"columns": ["id", "state"]}'"#).await;
    trigger(&scene.db, "called", ROW, r#"'hook', '', '{"on_complete": "public.done"}'"#).await;
    scene.db.exec("alter table orders rename state to status; drop function done").await;
    let file = scene.cluster.socket_dir().join("dump.sql");
    let file = file.to_str().expect("the path is a text");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = programs::client_program(program);
        programs::run(command.arg("-h").arg(scene.cluster.socket_dir()).args(["-U", "postgres"]).args(arguments))
    };
    run("pg_dump", &["-d", "postgres", "-f", file]);
    scene.cluster.create_database("restored").await;
    run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f", file]);
    let restored = scene.cluster.connect_as("postgres", "restored").await;
    let problems: Vec<String> = restored
        .column("select trigger::text from edge.webhook_problems where problem not like '%endpoint%' order by 1")
        .await;
    assert_eq!(problems, ["called", "renamed"]);
    restored.exec("select edge.pause(); insert into orders (id) values (7)").await;
    let told = queued(&restored).await;
    assert_eq!((told.len(), &told[0]["record"]["id"]), (2, &serde_json::json!(7)));
    // Who makes one by hand is told at once, and of what is wrong in itself a dump is told as well.
    let gone = r#"'hook', '', '{"columns": ["state"]}'"#;
    assert_eq!(restored.fails(&made("another", ROW, gone)).await.sqlstate, "42703");
    restored.exec("set check_function_bodies = off").await;
    assert_eq!(restored.fails(&made("another", ROW, "'a b'")).await.sqlstate, "22023");
}
