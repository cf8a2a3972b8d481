//! What is refused when a job is queued or reported on.

use serde_json::{Value, json};

use super::{delivery, is_accepted, job, start};
use crate::scene::ended;

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_make_no_sense_are_refused_when_the_job_is_queued() {
    let scene = start().await;
    for (arguments, about) in [
        ("deadline => '99 ms'", "deadline must be at least 100 milliseconds and at most 24 days"),
        ("deadline => '25 days'", "deadline must be at least 100 milliseconds and at most 24 days"),
        ("deadline => '-1 s'", "deadline must be"),
        ("heartbeat => '0'", "heartbeat must be at least 100 milliseconds"),
        ("heartbeat => '1 year'", "heartbeat must be"),
        ("max_attempts => 0", "max_attempts must be"),
        (r#"headers => '{"X-Edge-Token": "x"}'"#, "set by pg_edge itself"),
        (r#"headers => '{"x-edge-job": "x"}'"#, "set by pg_edge itself"),
        (r#"headers => '{"X-EDGE-DEADLINE": "x"}'"#, "set by pg_edge itself"),
        (r#"headers => '{"X-Edge-Progress": "x"}'"#, "set by pg_edge itself"),
    ] {
        let error = scene.db.fails(&format!("select edge.job('work', {arguments})")).await;
        assert_eq!(error.sqlstate, "22023", "{arguments}: {error}");
        assert!(error.message.contains(about), "{arguments}: {error}");
    }
    assert_eq!(scene.db.fails("select edge.job('work', deadline => null)").await.sqlstate, "22004");
    assert_eq!(scene.db.fails("select edge.job(null)").await.sqlstate, "22004");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
    for arguments in
        ["deadline => '100 ms', heartbeat => '24 days', run_at => now() + interval '1 day'", "deadline => '24 days'"]
    {
        scene.db.exec(&format!("select edge.job('work', {arguments})")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_other_terms_is_another_request() {
    let scene = start().await;
    let first = job(&scene.db, "idempotency_key => 'k'").await;
    assert_eq!(job(&scene.db, "idempotency_key => 'k'").await, first);
    let error =
        scene.db.fails(r#"select edge.job('work', '{"n": 1}', deadline => '1 s', idempotency_key => 'k')"#).await;
    assert_eq!(error.sqlstate, "22023", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_cannot_be_kept_are_refused_and_the_job_goes_on() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    let report = |what: &str| format!("select edge.{what}");
    for (what, code) in [
        (format!("heartbeat({id}, '{}', to_jsonb(repeat('x', 4095)))", told.token), "22023"),
        (format!("heartbeat({id}, '{}', to_jsonb(repeat('ü', 700)))", told.token), "22023"),
        (format!("complete({id}, '{}', to_jsonb(repeat('x', 7000000)))", told.token), "22023"),
        (format!("complete(null, '{}')", told.token), "22004"),
        (format!("complete({id}, null)"), "22004"),
        (format!("fail({id}, '{}', null)", told.token), "22004"),
        (format!("fail({id}, '{}', 'x', null)", told.token), "22004"),
    ] {
        let error = scene.db.fails(&report(&what)).await;
        assert_eq!(error.sqlstate, code, "{what}: {error}");
    }
    let largest = json!("x".repeat(4094));
    assert!(told.heartbeat(&scene.db, Some(largest)).await);
    assert!(told.complete(&scene.db, json!("x".repeat(1_000_000))).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json").as_str().map(str::len), Some(1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_error_the_beginning_is_kept() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    let told = delivery(&scene, 1).await;
    assert!(told.fail(&scene.db, &"ü".repeat(10_000), false).await);
    let error: String = ended(&scene.db, id).await.get("error");
    assert!(error.len() < 8200 && error.ends_with("ü…"), "{} bytes", error.len());
}
