//! Whose the calls are, and who may have them made.

use super::{ORDERS, arrived, made, queued, trigger};
use crate::harness::Db;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::identity::HOSTILE;
use crate::scene::Scene;

const ROW: &str = "after insert on orders for each row";

/// Roles: ada owns the table and has access, eve may write into it and has none.
async fn ada_and_eve(scene: &Scene) -> (Db, Db) {
    let ada = scene.role("ada").await;
    scene.db.exec("create role eve login; grant create, usage on schema public to ada").await;
    ada.exec(ORDERS).await;
    ada.exec("grant insert on orders to eve").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    scene.default_endpoint().await;
    (ada, eve)
}

async fn owners(db: &Db) -> Vec<String> {
    db.column("select owner::regrole::text from edge_store.request order by id").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_needs_no_right_and_the_calls_are_the_owners() {
    let scene = Scene::start().await;
    let (ada, eve) = ada_and_eve(&scene).await;
    ada.exec("create table done (who text, session text)").await;
    ada.exec("create function done(r edge.response) returns void language sql as 'insert into public.done values (current_user, session_user)'").await;
    trigger(&ada, "tell", ROW, r#"'hook', '', '{"on_complete": "public.done"}'"#).await;
    eve.exec("insert into orders values (1)").await;
    arrived(&scene.peer, "/hook", 1).await;
    assert_eq!(owners(&scene.db).await, ["ada"]);
    assert_eq!(ada.one::<i64>("select count(*) from edge.calls").await, 1);
    let ran = eventually("the callback has run", SERVER_DEADLINE, || {
        ada.maybe::<String>("select who || ' ' || session from done")
    });
    assert_eq!(ran.await, "ada ada");
    // Calls of webhooks go on after the access was revoked, as calls that were queued before do.
    scene.db.exec("select edge.revoke_access('ada')").await;
    eve.exec("insert into orders values (2)").await;
    assert_eq!(owners(&scene.db).await, ["ada", "ada"]);
    assert_eq!(ada.fails(&made("another", ROW, "'hook'")).await.sqlstate, "42501");
    // They follow the table.
    scene.db.exec("create role team; alter table orders owner to team").await;
    eve.exec("insert into orders values (3)").await;
    assert_eq!(owners(&scene.db).await, ["ada", "ada", "team"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_s_rows_are_those_of_the_table_that_has_the_trigger() {
    let scene = Scene::start().await;
    scene.default_endpoint().await;
    scene.db.exec("select edge.pause(); create role ada; create role eve").await;
    scene
        .db
        .exec(
            "create table events (id int, day int, extra text) partition by range (day);
             create table early partition of events for values from (0) to (10) partition by list (day);
             create table one partition of early for values in (1);
             create table late (extra text, day int, id int);
             alter table events owner to ada; alter table one owner to eve",
        )
        .await;
    trigger(&scene.db, "tell", "after insert on events for each row", r#"'hook', '', '{"columns": ["id"]}'"#).await;
    scene.db.exec("alter table events attach partition late for values from (10) to (20)").await;
    scene.db.exec("insert into events values (1, 1), (2, 15); insert into one values (3, 1); insert into late values ('x', 11, 4)").await;
    assert_eq!(owners(&scene.db).await, ["ada"; 4]);
    for (payload, id) in queued(&scene.db).await.iter().zip(1..) {
        assert_eq!((payload["table"].as_str(), payload["record"]["id"].as_i64()), (Some("events"), Some(id)));
    }
    // What is a table of its own again has no trigger.
    scene.db.exec("alter table events detach partition late; insert into late values ('y', 12, 5)").await;
    assert_eq!(queued(&scene.db).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_make_triggers_is_not_the_right_to_call_as_the_owner() {
    let scene = Scene::start().await;
    let (ada, _) = ada_and_eve(&scene).await;
    let bob = scene.role("bob").await;
    ada.exec("grant trigger, insert on orders to bob").await;
    let error = bob.fails(&made("tell", ROW, "'hook'")).await;
    assert_eq!(error.sqlstate, "42501");
    assert!(error.message.contains("belong to the table's owner \"ada\""), "{error}");
    scene.db.exec("grant ada to bob").await;
    bob.exec(&made("tell", ROW, "'hook'")).await;
    bob.exec("insert into orders values (1)").await;
    assert_eq!(owners(&scene.db).await, ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_callbacks_are_those_that_the_owner_may_use() {
    let scene = Scene::start().await;
    let (ada, eve) = ada_and_eve(&scene).await;
    let secret = r#"'hook', '', '{"headers": {"Authorization": "${secret:key}"}}'"#;
    scene.db.exec("select edge.set_secret('key', 'hush')").await;
    assert_eq!(ada.fails(&made("tell", ROW, secret)).await.sqlstate, "42501");
    scene.db.exec("grant execute on function edge.set_secret to ada").await;
    trigger(&ada, "tell", ROW, secret).await;
    eve.exec("insert into orders values (1)").await;
    let sent = scene.peer.wait_for_path("/hook", 1).await.remove(0);
    assert_eq!(sent.header("authorization"), Some("hush"));
    scene.db.exec("revoke execute on function edge.set_secret from ada").await;
    assert_eq!(eve.fails("insert into orders values (2)").await.sqlstate, "42501");
    scene
        .db
        .exec("create schema theirs; create function theirs.f(r edge.response) returns void language sql as ''")
        .await;
    scene.db.exec("revoke execute on function theirs.f from public").await;
    let callback = r#"'hook', '', '{"on_complete": "theirs.f"}'"#;
    assert_eq!(ada.fails(&made("other", ROW, callback)).await.sqlstate, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_path_of_whoever_writes_plays_no_part() {
    let scene = Scene::start().await;
    let (ada, eve) = ada_and_eve(&scene).await;
    scene.db.exec("create table who (at text, cur text); grant all on who to public; grant create on database postgres to public").await;
    scene.db.exec("create function me(at text) returns void language sql as $$ insert into public.who values (at, current_user) $$").await;
    scene.db.exec("create table done (n int); grant all on done to public").await;
    scene
        .db
        .exec("create function done(r edge.response) returns void language sql as 'insert into public.done values (1)'")
        .await;
    trigger(&ada, "tell", ROW, r#"'hook', '', '{"on_complete": "public.done", "timeout": "5 s"}'"#).await;
    eve.exec(HOSTILE).await;
    scene.db.exec("grant usage on schema edge to eve; grant usage on type edge.response to eve").await;
    eve.exec("create function hostile.done(r edge.response) returns void language sql as $$ select me('done') $$")
        .await;
    eve.exec("set search_path = hostile, pg_temp, pg_catalog; insert into public.orders values (1)").await;
    arrived(&scene.peer, "/hook", 1).await;
    eventually("the callback has run", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from done").await == 1
    })
    .await;
    let trapped: Vec<String> = scene.db.column("select distinct cur from public.who").await;
    assert!(trapped.is_empty(), "the trap ran as {trapped:?}");
}
