//! Who may queue jobs, see them, and report on them.

use serde_json::{Value, json};

use super::{delivery, is_accepted, job, start};
use crate::scene::ended;

const DENIED: &str = "42501";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_token_reports_whatever_role_he_has() {
    let scene = start().await;
    scene.db.exec("create role anon login").await;
    let anon = scene.cluster.connect_as("anon", "postgres").await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    assert!(told.heartbeat(&anon, Some(json!({"half": true}))).await);
    assert!(told.complete(&anon, json!("by anybody")).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("by anybody"));
    for forbidden in
        ["select edge.job('work')", "select * from edge.jobs", "select edge.status(1)", "select * from edge_store.job"]
    {
        assert_eq!(anon.fails(forbidden).await.sqlstate, DENIED, "{forbidden}");
    }
    // As PostgREST calls it: by name, as a role of a request, arguments from JSON.
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 2).await;
    let sql = "with args as (select json_to_record.* from json_to_record($1::json) as (id bigint, token text, error text, retry boolean))
               select edge.fail(id => (select id from args), token => (select token from args), error => (select error from args),
                                retry => (select retry from args))";
    let body = json!({"id": told.id, "token": told.token, "error": "no", "retry": false});
    assert!(anon.one_with::<bool>(sql, &[&body]).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_access_queues_jobs_and_sees_its_own() {
    let scene = start().await;
    let (ada, eve, monitor) = (scene.role("ada").await, scene.role("eve").await, scene.role("watcher").await);
    scene.db.exec("grant pg_monitor to watcher").await;
    let id = job(&ada, "").await;
    is_accepted(&ada, id).await;
    assert!(delivery(&scene, 1).await.heartbeat(&eve, Some(json!("private"))).await);
    let seen = "select id, owner::text, progress from edge.jobs";
    assert!(eve.rows(seen).await.is_empty());
    for (db, progress) in [(&ada, Some(json!("private"))), (&monitor, None), (&scene.db, Some(json!("private")))] {
        let row = &db.rows(seen).await[0];
        assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (id, "ada".to_owned()));
        assert_eq!(row.get::<_, Option<Value>>(2), progress);
    }
    scene.db.exec("select edge.revoke_access('ada')").await;
    assert_eq!(ada.fails("select edge.job('work')").await.sqlstate, DENIED);
    assert!(delivery(&scene, 1).await.complete(&ada, json!(1)).await, "the token is all that counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_search_path_is_not_walked_by_reports() {
    let scene = start().await;
    let eve = scene.role("eve").await;
    scene.db.exec("create table who (at text, cur text); grant all on who to public; grant create on database postgres to public").await;
    scene.db.exec("create function me(at text) returns void language sql as $$ insert into public.who values (at, current_user) $$").await;
    eve.exec(crate::identity::HOSTILE).await;
    eve.exec("grant usage on schema hostile to public").await;
    scene.db.exec("set search_path = hostile, pg_temp, pg_catalog; create temp table job (call_id bigint)").await;
    for n in 1..=2 {
        let id = job(&scene.db, "").await;
        let told = delivery(&scene, n).await;
        assert!(told.heartbeat(&scene.db, Some(json!(1))).await);
        scene.db.exec("select * from edge.jobs").await;
        let taken =
            if n == 1 { told.complete(&scene.db, json!(1)).await } else { told.fail(&scene.db, "x", false).await };
        assert!(taken);
        ended(&scene.db, id).await;
    }
    let trapped: Vec<String> = scene.db.column("select distinct cur from public.who").await;
    assert!(trapped.is_empty(), "the trap ran as {trapped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_sees_that_others_jobs_failed_and_not_what_they_say_or_keep() {
    let scene = start().await;
    let (ada, monitor) = (scene.role("ada").await, scene.role("watcher").await);
    scene.db.exec("grant pg_monitor to watcher").await;
    let id = job(&ada, r#"metadata => '{"patient": "Bob"}'"#).await;
    is_accepted(&ada, id).await;
    assert!(delivery(&scene, 1).await.fail(&ada, "Bob is not well", true).await);
    let second = delivery(&scene, 2).await;
    is_accepted(&ada, id).await;
    assert!(second.fail(&ada, "Bob is ill", false).await);
    ended(&ada, id).await;
    scene.peer.on("/gone", crate::harness::Reply::status(404));
    let other = crate::scene::call(&ada, "edge.http_get_async($1)", &scene.peer.url("/gone")).await;
    ended(&ada, other).await;
    let questions = [
        ("select metadata ->> 'patient' from edge.calls where id = $1", "Bob"),
        ("select metadata ->> 'patient' from edge.dead_letters where id = $1", "Bob"),
        ("select error from edge.calls where id = $1", "Bob is ill"),
        ("select error from edge.dead_letters where id = $1", "Bob is ill"),
        ("select error from edge.attempts where call_id = $1 order by attempt limit 1", "Bob is not well"),
        ("select error from edge.attempts where call_id = $1 order by attempt desc limit 1", "Bob is ill"),
    ];
    for (question, said) in questions {
        for (db, seen) in [(&ada, Some(said)), (&monitor, None), (&scene.db, Some(said))] {
            let told: Option<String> = db.one_with(question, &[&id]).await;
            assert_eq!(told.as_deref(), seen, "{question}");
        }
        // Pg_edge's own sentences are there for whoever watches.
        if question.starts_with("select error") {
            assert!(monitor.one_with::<Option<String>>(question, &[&other]).await.is_some(), "{question}");
        }
    }
    assert_eq!(monitor.one_with::<String>("select error_class from edge.calls where id = $1", &[&id]).await, "job");
}
