//! Errors that pass: the call gets there in the end, and no sooner than the platform asked for.

use super::{asked, invoke, start};
use crate::harness::Db;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::scene::ended;

/// Invokes a function that answers well in the end, and gives how long after the first attempt the last one was made.
async fn recovers(db: &Db, function: &str, attempts: i32) -> f64 {
    let id = invoke(db, function).await;
    let response = ended(db, id).await;
    assert_eq!(
        response.get::<_, &str>("state"),
        "succeeded",
        "{function}: {:?}",
        response.get::<_, Option<&str>>("error")
    );
    assert_eq!(response.get::<_, i32>("attempts"), attempts, "{function}");
    db.one_with(
        "select extract(epoch from max(started_at) - min(started_at))::float8 from edge.attempts where call_id = $1",
        &[&id],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_works_is_called_once() {
    let (scene, _gateway) = start("supabase-free").await;
    recovers(&scene.db, "hello", 1).await;
    assert_eq!(asked(&scene, "hello").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_out_whether_its_header_or_its_body_tells_for_how_long() {
    let (scene, _gateway) = start("supabase-free").await;
    let waited = recovers(&scene.db, "limited", 2).await;
    assert!((1.0..30.0).contains(&waited), "{waited} s");
    let waited = recovers(&scene.db, "limited-in-its-body", 2).await;
    assert!((1.5..30.0).contains(&waited), "{waited} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_calls_of_an_endpoint_wait_with_one_that_met_its_rate_limit() {
    let (scene, _gateway) = start("supabase-free").await;
    let limited = invoke(&scene.db, "limited-in-its-body").await;
    // From then on the endpoint is left alone, but on a slow machine not for long enough to be seen so.
    let met = format!("select count(*) > 0 from edge.attempts where call_id = {limited}");
    eventually("it has met the limit", SERVER_DEADLINE, || scene.db.one::<bool>(&met)).await;
    let other = invoke(&scene.db, "hello").await;
    ended(&scene.db, other).await;
    let first: String = "select min(started_at) from edge.attempts where call_id = $1".to_owned();
    let apart = format!("select extract(epoch from ({}) - ({}))::float8", first.replace("$1", "$2"), first);
    let apart: f64 = scene.db.one_with(&apart, &[&limited, &other]).await;
    assert!(apart >= 1.4, "{apart} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_starts_at_the_second_try_is_given_one() {
    let (scene, _gateway) = start("supabase-free").await;
    recovers(&scene.db, "loads-late", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_its_worker_s_end_cuts_off_is_asked_for_again() {
    let (scene, _gateway) = start("supabase-free").await;
    recovers(&scene.db, "outlives-its-worker", 2).await;
    let how: String = scene.db.one("select error_class from edge.attempts where attempt = 1 limit 1").await;
    assert_eq!(how, "protocol");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_worker_s_end_cuts_off_is_truncated_and_keeps_what_came() {
    let (scene, _gateway) = start("supabase-free").await;
    let id: i64 = scene.db.one("select edge.invoke('streams-past-its-worker', stream => 'sse')").await;
    let response = ended(&scene.db, id).await;
    assert_eq!((response.get::<_, &str>("state"), response.get::<_, i32>("attempts")), ("truncated", 1));
    let events: Vec<String> = scene.db.column("select data from edge.events order by seq").await;
    assert_eq!(events, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_never_answers_in_time_is_asked_twice_and_one_that_throws_as_often_as_the_policy_says() {
    let (scene, _gateway) = start("supabase-free").await;
    scene.cluster.set("pg_edge.breaker_failures", "0").await;
    for (function, status, attempts) in
        [("sleeps", 504, 2), ("throws", 500, 4), ("nowhere", 404, 1), ("says-so-in-its-body", 503, 2)]
    {
        let id = invoke(&scene.db, function).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, i32>("status_code"), status, "{function}");
        assert_eq!(response.get::<_, i32>("attempts"), attempts, "{function}");
    }
}
