//! Calls that failed for good, and callbacks.

use super::{is_well, nothing_with, problem, says};
use crate::harness::Reply;
use crate::scene::{Scene, call, ended};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_last_day_are_a_problem_until_they_are_replayed() {
    let scene = Scene::start().await;
    scene.peer.sequence("/x", [Reply::status(404), Reply::status(404), Reply::status(404), Reply::status(200)]);
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let first = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/x")).await;
    ended(&ada, first).await;
    let advice = "edge.replay_dead(since =>";
    says(&ada, "dead letters", "1 call has failed for good within the last day, and nobody has replayed it", advice)
        .await;
    is_well(&eve).await;
    for _ in 0..2 {
        let other = scene.get("/x").await;
        ended(&scene.db, other).await;
    }
    says(&scene.db, "dead letters", "3 calls have failed for good", advice).await;
    says(&ada, "dead letters", "1 call has", advice).await;
    assert_eq!(ada.one::<i64>("select edge.replay_dead(since => now() - interval '1 day')").await, 1);
    is_well(&ada).await;
    says(&scene.db, "dead letters", "2 calls have failed for good", advice).await;
    // Tomorrow they are still dead letters, and no news.
    scene.db.exec("update edge_store.response set finished_at = finished_at - interval '1 day'").await;
    is_well(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.dead_letters").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_that_fail_are_a_problem_for_a_day() {
    let scene = Scene::start().await;
    scene.db.exec("create schema app; grant all on schema app to public").await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    ada.exec(
        "create function app.fails(r edge.response) returns void language plpgsql as $$
         begin raise exception 'no luck with %', r.state; end $$",
    )
    .await;
    call(&ada, "edge.http_get_async($1, on_complete => 'app.fails')", &scene.peer.url("/x")).await;
    let says_so =
        "1 callback has failed within the last day; the last one: app.fails(edge.response): no luck with succeeded";
    says(&ada, "callbacks", says_so, "edge.callback_errors lists them").await;
    assert!(problem(&scene.db, "callbacks").await["problem"].as_str().unwrap().contains("no luck"));
    is_well(&eve).await;
    call(&ada, "edge.http_get_async($1, on_complete => 'app.fails')", &scene.peer.url("/x")).await;
    says(&ada, "callbacks", "2 callbacks have failed", "edge.replay(call_id)").await;
    scene.db.exec("update edge_store.callback_error set at = at - interval '1 day'").await;
    nothing_with(&ada, "callbacks").await;
    is_well(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_many_failed_calls_are_is_found_without_reading_all_that_is_kept() {
    let scene = Scene::start().await;
    scene.peer.on("/x", Reply::status(404));
    let one = scene.get("/x").await;
    ended(&scene.db, one).await;
    // As many more as if something had been down for long.
    for (table, key) in [("request", "id"), ("response", "call_id")] {
        let copy = format!(
            "insert into edge_store.{table}
             select (jsonb_populate_record(one, jsonb_build_object('{key}', n))).*
             from edge_store.{table} as one, generate_series(1000000, 1030000) as n where one.{key} = {one}"
        );
        scene.db.exec(&copy).await;
        scene.db.exec(&format!("analyze edge_store.{table}")).await;
    }
    let plan: Vec<String> = scene.db.column("explain select * from edge_store.problem_of_dead_letters").await;
    // The tables of the other slots are empty.
    let full: String = scene
        .db
        .one("select distinct relname::text from edge_store.request join pg_class on pg_class.oid = request.tableoid")
        .await;
    assert!(plan.iter().any(|line| line.contains(&format!("{full}_pkey on {full} "))), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains(&format!("Seq Scan on {full} "))), "{plan:#?}");
    says(&scene.db, "dead letters", "at least 10000 calls have failed", "edge.replay_dead(since =>").await;
}
