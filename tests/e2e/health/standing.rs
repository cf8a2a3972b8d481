//! Schedules, websockets and database webhooks.

use super::{is_well, nothing_with, problem, says};
use crate::harness::ws_peer::{Answer, Manner};
use crate::harness::{Cluster, WsPeer};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_whose_last_run_has_failed_is_a_problem_until_one_succeeds() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    ada.exec("select edge.schedule('tidy', '@yearly', 'select 1 / 0')").await;
    is_well(&ada).await;
    ada.exec("select edge.run_now('tidy')").await;
    says(&ada, "schedule tidy", "its last run has failed: division by zero", "edge.run_now('tidy')").await;
    is_well(&eve).await;
    ada.exec("select edge.schedule('tidy', '@yearly', 'select 1')").await;
    ada.exec("select edge.run_now('tidy')").await;
    is_well(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_was_stopped_is_a_problem_and_one_that_was_paused_is_none() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    ada.exec("select edge.schedule('paused', '@yearly', 'select 1'), edge.schedule('stopped', '@yearly', 'select 1')")
        .await;
    ada.exec("select edge.pause_schedule('paused')").await;
    is_well(&ada).await;
    scene
        .db
        .exec("update edge_store.schedule set timezone = 'Mars/Olympus_Mons', due_at = now() where name = 'stopped'")
        .await;
    // Another schedule has the dispatcher look.
    scene.db.exec("select edge.schedule('other', 'every 1 second', 'select 1')").await;
    says(&ada, "schedule stopped", "pg_edge has stopped it: ", "edge.resume_schedule('stopped')").await;
    ada.exec("select edge.schedule('stopped', '@yearly', 'select 1', timezone => 'UTC')").await;
    ada.exec("select edge.resume_schedule('stopped')").await;
    is_well(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_late_is_a_problem() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.schedule('tick', 'every 1 second', 'select 1')").await;
    let holder = scene.cluster.connect().await;
    holder.exec("begin").await;
    holder.exec("select from edge_store.schedule for update").await;
    holder.exec("update edge_store.schedule set due_at = clock_timestamp() - interval '10 minutes'").await;
    holder.exec("commit; begin; select from edge_store.schedule for update").await;
    says(&scene.db, "schedule tick", "and it was not run", "holds a lock on its row").await;
    holder.exec("commit").await;
    nothing_with(&scene.db, "schedule tick").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_does_not_stand_is_a_problem() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.ws_max_backoff", "200ms")).await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let peer = WsPeer::echo().await;
    peer.on("/gone", Answer::refuse(404)).on("/lost", Answer::refuse(404)).on("/busy", Answer::refuse(503));
    let open = |name: &str| format!("select edge.ws_open('{name}', '{}')", peer.url(&format!("/{name}")));
    for name in ["gone", "busy", "fine"] {
        ada.exec(&open(name)).await;
    }
    says(&ada, "websocket gone", "it has failed, and is not opened again: ", "edge.ws_reopen('gone')").await;
    says(&ada, "websocket busy", "it does not stand, and is opened again at ", "edge.ws_close").await;
    nothing_with(&ada, "websocket fine").await;
    ada.exec(&open("lost")).await;
    says(&ada, "websocket lost", "404 Not Found", "edge.ws_reopen('lost')").await;
    ada.exec("select edge.ws_close('lost')").await;
    nothing_with(&ada, "websocket lost").await;
    is_well(&eve).await;
    peer.on("/gone", Answer::Accept(Manner::Listen)).on("/busy", Answer::Accept(Manner::Listen));
    ada.exec("select edge.ws_reopen('gone')").await;
    is_well(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_webhook_that_would_fail_is_a_problem_of_its_trigger() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    scene.db.exec("create schema app; grant all on schema app to ada").await;
    super::endpoint(&scene, "crm", "").await;
    ada.exec("create table app.orders (id bigint primary key)").await;
    ada.exec(
        "create trigger tell after insert on app.orders for each row execute function edge.webhook('hook', 'crm')",
    )
    .await;
    is_well(&ada).await;
    scene.db.exec("select edge.drop_endpoint('crm')").await;
    says(&ada, "trigger tell of table app.orders", "\"crm\"", "").await;
    is_well(&eve).await;
    super::endpoint(&scene, "crm", "").await;
    is_well(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_read_is_a_problem_and_no_error_of_whoever_asks() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    scene.db.exec("create schema app; grant all on schema app to ada").await;
    super::endpoint(&scene, "crm", "").await;
    ada.exec(
        "create table app.orders (id bigint primary key);
         create trigger tell after insert on app.orders for each row execute function edge.webhook('hook', 'crm')",
    )
    .await;
    is_well(&ada).await;
    scene.db.exec("update edge_store.endpoint set profile = 'unknown'").await;
    says(&ada, "trigger tell of table app.orders", "calls by endpoint \"crm\" fail: ", "edge.alter_endpoint").await;
    assert!(problem(&ada, "trigger tell of table app.orders").await["problem"].as_str().unwrap().contains("unknown"));
    assert_eq!(ada.one::<i64>("select count(*) from edge.webhook_problems").await, 1);
    scene.db.exec("select edge.alter_endpoint('crm', profile => 'generic')").await;
    is_well(&ada).await;
}
