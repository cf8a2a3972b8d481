//! Who may do what in schema net.

use super::{all_stored, request, response, start};

const LOOK: &str = "select count(*) from net._http_response";

#[tokio::test(flavor = "multi_thread")]
async fn any_role_makes_requests_and_sees_what_is_its_own() {
    let scene = start().await;
    scene.db.exec("create role ada login; create role eve login; create role reader in role pg_read_all_data").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    scene.db.exec("select edge.pause()").await;
    let id: i64 = ada
        .one_with("select net.http_get($1, headers := '{\"authorization\": \"Bearer hers\"}')", &[&scene.peer.url("/")])
        .await;
    assert_eq!(ada.one::<i64>("select count(*) from net.http_request_queue").await, 1);
    assert_eq!(eve.one::<i64>("select count(*) from net.http_request_queue").await, 0);
    eve.exec("delete from net.http_request_queue").await;
    scene.db.exec("select edge.resume()").await;
    assert!(ada.one::<bool>(&format!("select net._await_response({id})")).await);
    assert_eq!((ada.one::<i64>(LOOK).await, eve.one::<i64>(LOOK).await, scene.db.one::<i64>(LOOK).await), (1, 0, 1));
    // What it has just made is its own in every isolation level, and in a subtransaction.
    for level in ["repeatable read", "serializable"] {
        let get = format!("select net.http_get('{}')", scene.peer.url("/level"));
        ada.exec(&format!("begin isolation level {level}; {get}; savepoint s; {get}; release s; commit")).await;
    }
    all_stored(&scene.db).await;
    assert_eq!(ada.one::<i64>(LOOK).await, 5);
    scene.db.exec("set role reader").await;
    assert_eq!(scene.db.one::<i64>(LOOK).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ones_own_cannot_be_changed_or_spied_upon() {
    let scene = start().await;
    scene.db.exec("create role eve login; grant create on database postgres to eve").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    let id = request(&scene, "net.http_get($1)", "/").await;
    response(&scene.db, id).await;
    eve.exec("create schema eve; create function eve.f() returns trigger language plpgsql as 'begin return new; end'")
        .await;
    eve.exec("delete from net._http_response").await;
    assert_eq!(scene.db.one::<i64>(LOOK).await, 1);
    for table in ["net._http_response", "net.http_request_queue"] {
        for refused in [
            format!("create trigger t before insert on {table} for each row execute function eve.f()"),
            format!("truncate {table}"),
            format!("update {table} set id = 1"),
            format!("create policy p on {table} using (true)"),
            format!("create table eve.t (like {table}); alter table eve.t inherit {table}"),
        ] {
            assert_eq!(eve.fails(&refused).await.sqlstate, "42501", "{refused}");
        }
    }
    for refused in [
        "insert into net._http_response (id) values (1)",
        "select net.worker_restart()",
        "select edge_store.net_collect('{1}', false)",
        "select edge_store.net_pass_over(1, 'P0001', 'x')",
        "select edge.http_get_async('http://h/')",
    ] {
        assert_eq!(eve.fails(refused).await.sqlstate, "42501", "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_may_take_it_from_everybody_and_give_it_to_some() {
    let scene = start().await;
    scene.db.exec("create role app login; create role anon login; revoke usage on schema net from public; grant usage on schema net to app").await;
    let url = scene.peer.url("/");
    let anon = scene.cluster.connect_as("anon", "postgres").await;
    assert_eq!(anon.fails(&format!("select net.http_get('{url}')")).await.sqlstate, "42501");
    let app = scene.cluster.connect_as("app", "postgres").await;
    let id: i64 = app.one_with("select net.http_get($1)", &[&url]).await;
    assert!(app.one::<bool>(&format!("select net._await_response({id})")).await);
    // As the platform does it for its own roles.
    scene.db.exec("alter function net.http_get(text, jsonb, jsonb, integer) security definer").await;
    let id: i64 = app.one_with("select net.http_get($1)", &[&url]).await;
    all_stored(&scene.db).await;
    assert_eq!(
        scene.db.one_with::<String>("select owner::text from edge.calls where id = $1", &[&id]).await,
        "postgres"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn default_privileges_of_the_database_open_nothing() {
    let scene = crate::scene::Scene::start().await;
    scene.db.exec("create role anon login; alter default privileges grant all on tables to anon; alter default privileges grant all on functions to anon").await;
    scene.db.exec("create extension pg_edge_net").await;
    let anon = scene.cluster.connect_as("anon", "postgres").await;
    for refused in
        ["truncate net._http_response", "insert into net._http_response (id) values (1)", "select net.worker_restart()"]
    {
        assert_eq!(anon.fails(refused).await.sqlstate, "42501", "{refused}");
    }
}
