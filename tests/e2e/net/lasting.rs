//! Responses that are kept for long, that took long, or that are large; and whose they are, whoever made the extension.

use super::{PATIENT, all_stored, request, response, start, start_on};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Reply, eventually};
use crate::scene::Scene;

const SEEN: &str = "select count(*) from net._http_response";

/// Has the collector store the outcome of a call once more.
async fn store_again(scene: &Scene, id: i64) {
    scene
        .db
        .exec(&format!(
            "delete from net._http_response;
             insert into edge_store.callback (call_id, slot, owner, function)
             select id, slot, 1, 1 from edge_store.request where id = {id}"
        ))
        .await;
    // Another one has the collector look.
    let other = request(scene, "net.http_get($1)", "/").await;
    response(&scene.db, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_kept_for_longer_than_its_call_is_still_its_owner_s_alone() {
    let scene = start_on(Cluster::builder().setting("pg_edge.retention", "1s")).await;
    scene.db.exec("create role ada login; create role eve login").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    let id: i64 = ada.one_with("select net.http_get($1)", &[&scene.peer.url("/")]).await;
    response(&ada, id).await;
    let call = format!("select count(*) from edge_store.request where id = {id}");
    eventually("the call is forgotten", SERVER_DEADLINE, || async {
        request(&scene, "net.http_get($1)", "/").await;
        scene.db.one::<i64>(&call).await == 0
    })
    .await;
    assert_eq!((ada.one::<i64>(SEEN).await, eve.one::<i64>(SEEN).await), (1, 0));
    eve.exec("delete from net._http_response").await;
    assert_eq!(ada.one::<i64>(SEEN).await, 1);
    ada.exec("delete from net._http_response").await;
    assert_eq!(ada.one::<i64>(SEEN).await, 0);
    scene.cluster.set("pg_edge.net_ttl", "1s").await;
    eventually("nothing is noted for ever", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.net_owner").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_cannot_be_forgotten_yet_is_still_its_owner_s() {
    let scene = start_on(Cluster::builder().setting("pg_edge.retention", "1s")).await;
    scene.db.exec("create role ada login").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    let id: i64 = ada.one_with("select net.http_get($1)", &[&scene.peer.url("/")]).await;
    response(&ada, id).await;
    let call = format!("select count(*) from edge_store.request where id = {id}");
    eventually("the call is forgotten", SERVER_DEADLINE, || async {
        request(&scene, "net.http_get($1)", "/").await;
        scene.db.one::<i64>(&call).await == 0
    })
    .await;
    ada.exec("begin; delete from net._http_response").await;
    scene.cluster.set("pg_edge.net_ttl", "1s").await;
    eventually("the others are forgotten, and whose they were", SERVER_DEADLINE, || async {
        scene
            .db
            .one::<bool>(&format!(
                "select not exists (select from net._http_response where id <> {id})
                and not exists (select from edge_store.net_owner where id <> {id})"
            ))
            .await
    })
    .await;
    assert_eq!(scene.db.one::<i64>(&format!("select count(*) from edge_store.net_owner where id = {id}")).await, 1);
    ada.exec("rollback").await;
    eventually("it is forgotten as well", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.net_owner").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_responses_were_is_forgotten_so_many_at_a_time() {
    let scene = start().await;
    scene
        .db
        .exec(
            "create table forgotten (of_them bigint);
             create function note() returns trigger language plpgsql as
             'begin insert into public.forgotten select count(*) from gone; return null; end';
             create trigger t after delete on edge_store.net_owner referencing old table as gone
                 for each statement execute function note();
             insert into edge_store.net_owner (id, owner, stored_at)
             select -n, 10, now() - interval '1 year' from generate_series(1, 25000) as n;
             insert into net._http_response (id, created)
             select -n, now() - interval '1 year' from generate_series(1, 25000) as n",
        )
        .await;
    // The collector begins with the first that there is to be done.
    request(&scene, "net.http_get($1)", "/").await;
    eventually("all are forgotten", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.net_owner").await == 0
    })
    .await;
    let (most, sum): (i64, i64) = (
        scene.db.one("select max(of_them) from forgotten").await,
        scene.db.one("select sum(of_them)::bigint from forgotten").await,
    );
    assert!(most <= 10_000 && sum == 25_000, "{most} of {sum} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_goes_before_its_call_costs_no_note_of_its_owner() {
    let scene = start().await;
    let id = request(&scene, "net.http_get($1)", "/").await;
    response(&scene.db, id).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.net_owner").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_of_hours_is_told_as_any_other() {
    let scene = start().await;
    scene.peer.on("/hangs", Reply::hang());
    let id = request(&scene, "net.http_get($1, timeout_milliseconds := 50)", "/hangs").await;
    assert!(response(&scene.db, id).await.get::<_, bool>("timed_out"));
    // As if it had been waited for until more than 2^31 microseconds were over.
    for total in ["null", "2147483647"] {
        scene
            .db
            .exec(&format!(
                "update edge_store.response
                 set total_us = {total}, started_at = finished_at - interval '2 hours' where call_id = {id}"
            ))
            .await;
        store_again(&scene, id).await;
        let said: String = response(&scene.db, id).await.get("error_msg");
        assert!(said.contains("Total time: 7200000.000000 ms"), "{said}");
        assert_eq!(scene.db.one::<i64>("select count(*) from edge.callback_errors").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_responses_are_stored_few_at_a_time() {
    let scene = start().await;
    scene.peer.on("/large", Reply::bytes(200, "text/plain", vec![b'x'; 5 * 1024 * 1024]));
    scene.db.exec("create table stored (transaction xid8)").await;
    scene
        .db
        .exec(
            "create function note() returns trigger language plpgsql as
             'begin insert into stored values (pg_current_xact_id()); return new; end';
             create trigger t after insert on net._http_response for each row execute function note()",
        )
        .await;
    // They come while nothing can be stored, and then all together.
    let locker = scene.cluster.connect().await;
    locker.exec("begin; lock table net._http_response in access exclusive mode").await;
    for _ in 0..12 {
        request(&scene, PATIENT, "/large").await;
    }
    let ended = "select count(*) from edge_store.callback where owner = 1";
    eventually("all have come", SERVER_DEADLINE, || async { scene.db.one::<i64>(ended).await == 12 }).await;
    locker.exec("commit").await;
    all_stored(&scene.db).await;
    let most: i64 =
        scene.db.one("select max(n) from (select count(*) as n from stored group by transaction) as batch").await;
    // 16 MB hold three of them, and the one that goes over it.
    assert!((1..=4).contains(&most), "{most} of 5 MB in one transaction");
    assert_eq!(scene.db.one::<i64>("select count(*) from stored").await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_made_the_extension_may_lose_his_rights_and_it_goes_on() {
    let scene = Scene::start().await;
    scene.db.exec("create role admin superuser; set role admin; create extension pg_edge_net; reset role").await;
    scene.db.exec("alter role admin nosuperuser; create role ada login").await;
    let foreign: Vec<String> = scene
        .db
        .column(
            "select oid::regprocedure::text from pg_proc where proowner = 'admin'::regrole
             union all select oid::regclass::text from pg_class where relowner = 'admin'::regrole
             union all select oid::regtype::text from pg_type where typowner = 'admin'::regrole
             union all select nspname from pg_namespace where nspowner = 'admin'::regrole",
        )
        .await;
    assert_eq!(foreign, Vec::<String>::new());
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    let id: i64 = ada.one_with("select net.http_get($1)", &[&scene.peer.url("/")]).await;
    assert_eq!(response(&ada, id).await.get::<_, i32>("status_code"), 200);
    // What is taken out of the queue is cancelled, by whoever may take it out.
    for (path, gone) in
        [("/deleted", "delete from net.http_request_queue"), ("/truncated", "truncate net.http_request_queue")]
    {
        scene.peer.on(path, Reply::hang());
        let id = crate::scene::call(&ada, PATIENT, &scene.peer.url(path)).await;
        scene.peer.wait_for_path(path, 1).await;
        let session = if gone.starts_with("delete") { &ada } else { &scene.db };
        session.exec(gone).await;
        crate::scene::reaches(&scene.db, id, "cancelled").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_this_transaction_has_made_in_whatever_subtransaction_is_not_awaited() {
    let scene = start().await;
    let url = scene.peer.url("/");
    let get = format!("net.http_get('{url}')");
    for (made, then) in [
        (format!("begin; select {get}"), "rollback"),
        (format!("begin; savepoint s; select {get}"), "rollback"),
        (format!("begin; savepoint s; select {get}; release savepoint s"), "rollback"),
        (format!("begin; do $$ begin perform {get}; exception when division_by_zero then null; end $$"), "rollback"),
    ] {
        scene.db.exec(&made).await;
        let id: i64 = scene.db.one("select max(id) from net.http_request_queue").await;
        let refused = scene.db.fails(&format!("select net._await_response({id})")).await;
        assert_eq!(refused.sqlstate, "55000", "{made}: {}", refused.message);
        scene.db.exec(then).await;
    }
    let id = request(&scene, "net.http_get($1)", "/").await;
    assert!(scene.db.one::<bool>(&format!("select net._await_response({id})")).await);
}
