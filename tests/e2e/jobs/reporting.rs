//! What a function reports, and what becomes of the call by it.

use serde_json::{Value, json};

use super::{delivery, is_accepted, job, nothing_is_left, start, tries};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::scene::{ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_job_has_its_result_as_its_body_and_calls_back() {
    let scene = start().await;
    scene
        .db
        .exec(
            "create table told (id bigint, state text, result jsonb, metadata jsonb);
             create function note(r edge.response) returns void language sql as
             $$ insert into public.told select r.id, r.state, r.json, metadata from edge.calls where id = r.id $$",
        )
        .await;
    let id = job(&scene.db, r#"on_complete => 'note', metadata => '{"order": 42}'"#).await;
    is_accepted(&scene.db, id).await;
    let result = json!({"sent": [1, 2], "to": "Grüße"});
    assert!(delivery(&scene, 1).await.complete(&scene.db, result.clone()).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "succeeded");
    assert_eq!(response.get::<_, Value>("json"), result);
    assert_eq!(response.get::<_, String>("content_type"), "application/json");
    assert_eq!(response.get::<_, i32>("status_code"), 202);
    assert_eq!(response.get::<_, Option<String>>("error"), None);
    let told = eventually("the callback has run", SERVER_DEADLINE, || async {
        scene.db.rows("select * from told").await.into_iter().next()
    })
    .await;
    assert_eq!((told.get::<_, i64>("id"), told.get::<_, String>("state")), (id, "succeeded".to_owned()));
    assert_eq!((told.get::<_, Value>("result"), told.get::<_, Value>("metadata")), (result, json!({"order": 42})));
    assert_eq!(tries(&scene.db, id).await, ["none"]);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_results_at_once_are_all_kept() {
    let scene = start().await;
    let sql = "select edge.job('work') from generate_series(1, 12)";
    let ids: Vec<i64> = scene.db.column(sql).await;
    scene.db.exec("begin").await;
    for n in 1..=ids.len() {
        let told = delivery(&scene, n).await;
        let letter = format!("to_jsonb(repeat(chr(65 + {}), 5000000))", told.id);
        let sql = format!("select edge.complete({}, '{}', {letter})", told.id, told.token);
        assert!(scene.db.one::<bool>(&sql).await);
    }
    scene.db.exec("commit").await;
    for id in ids {
        ended(&scene.db, id).await;
        let kept = "select json #>> '{}' = repeat(chr(65 + id::int), 5000000) from edge.result($1)";
        assert!(scene.db.one_with::<bool>(kept, &[&id]).await, "the result of job {id} is another one");
    }
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_counts_as_one_call_of_its_endpoint_and_of_its_role() {
    let scene = super::start_on(crate::harness::Cluster::builder().setting("pg_edge.max_queued_per_role", "2")).await;
    let ada = scene.role("ada").await;
    let (one, two) = (job(&ada, "").await, job(&ada, "").await);
    is_accepted(&ada, one).await;
    is_accepted(&ada, two).await;
    assert_eq!(ada.fails("select edge.job('work')").await.sqlstate, "53400", "accepted jobs have not ended");
    assert!(delivery(&scene, 1).await.complete(&scene.db, json!(1)).await);
    assert!(delivery(&scene, 2).await.fail(&scene.db, "no", false).await);
    ended(&ada, one).await;
    ended(&ada, two).await;
    eventually("both have been counted", SERVER_DEADLINE, || async {
        let sql = "select attempts, succeeded, failed, in_flight from edge.stat_endpoints where endpoint = 'default'";
        scene.db.rows(sql).await.first().is_some_and(|row| {
            (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2), row.get::<_, i32>(3)) == (2, 1, 1, 0)
        })
    })
    .await;
    let third = job(&ada, "").await;
    is_accepted(&ada, third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_be_done_without_a_result() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    let told = delivery(&scene, 1).await;
    assert!(scene.db.one_with::<bool>("select edge.complete($1, $2)", &[&told.id, &told.token]).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "succeeded");
    assert_eq!(response.get::<_, Option<Value>>("json"), None);
    assert_eq!(response.get::<_, Option<String>>("body"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_completed_once() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    assert!(told.complete(&scene.db, json!("first")).await);
    assert!(!told.fail(&scene.db, "no", true).await, "it has failed and is completed");
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("first"));
    assert!(told.is_worthless(&scene.db).await, "a call that has ended can be reported on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_said_again_was_heard_and_changes_nothing() {
    let scene = start().await;
    let gate = crate::harness::Gate::closed();
    scene.peer.on(super::WORK, crate::harness::Reply::status(202).behind(&gate));
    let id = job(&scene.db, "").await;
    let told = delivery(&scene, 1).await;
    assert!(told.complete(&scene.db, json!("first")).await);
    // Its answer has not come, so the call has not ended.
    assert!(told.complete(&scene.db, json!("second")).await, "who was not told of it may say it again");
    let other = super::Delivery { token: "another".to_owned(), ..told.clone() };
    assert!(!other.complete(&scene.db, json!("third")).await, "anybody may ask whether a job is done");
    assert!(!told.fail(&scene.db, "no", true).await && !told.heartbeat(&scene.db, None).await);
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("first"));
    assert!(told.is_worthless(&scene.db).await, "a call that has ended can be reported on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_rolled_back_was_never_made() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    scene.db.exec("begin; savepoint s").await;
    assert!(told.complete(&scene.db, json!(1)).await);
    scene.db.exec("rollback to s").await;
    assert!(told.fail(&scene.db, "no", false).await, "the delivery is as it was before the savepoint");
    scene.db.exec("rollback").await;
    assert!(told.heartbeat(&scene.db, Some(json!("half"))).await);
    reaches(&scene.db, id, "accepted").await;
    assert!(told.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_before_a_report_is_committed() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(delivery(&scene, 1).await.complete(&session, json!(1)).await);
    // Another job goes its way meanwhile.
    let other = job(&scene.db, "").await;
    is_accepted(&scene.db, other).await;
    assert!(delivery(&scene, 2).await.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, other).await.get::<_, String>("state"), "succeeded");
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    session.exec("commit").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_is_delivered_again_until_its_attempts_are_used_up() {
    let scene = start().await;
    let id = job(&scene.db, "max_attempts => 2").await;
    let first = delivery(&scene, 1).await;
    is_accepted(&scene.db, id).await;
    assert!(first.fail(&scene.db, "the disk is full", true).await);
    let second = delivery(&scene, 2).await;
    assert_eq!((second.id, second.attempt.as_str()), (id, "2"));
    assert!(first.is_worthless(&scene.db).await, "an earlier delivery can be reported on");
    is_accepted(&scene.db, id).await;
    assert!(second.fail(&scene.db, "it is still full", true).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    assert_eq!(response.get::<_, String>("error_class"), "job");
    assert_eq!(response.get::<_, String>("error"), "it is still full");
    assert_eq!(response.get::<_, i32>("status_code"), 202);
    assert_eq!(tries(&scene.db, id).await, ["job", "job"]);
    let dead: Vec<i64> = scene.db.column("select id from edge.dead_letters").await;
    assert_eq!(dead, [id]);
    let again: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    is_accepted(&scene.db, again).await;
    assert!(delivery(&scene, 3).await.complete(&scene.db, json!(1)).await, "a replay is a job again");
    assert_eq!(ended(&scene.db, again).await.get::<_, String>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_for_good_is_not_delivered_again() {
    let scene = start().await;
    let id = job(&scene.db, "max_attempts => 5").await;
    let told = delivery(&scene, 1).await;
    assert!(told.fail(&scene.db, "no such order", false).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    assert_eq!((response.get::<_, String>("error_class"), response.get::<_, i32>("attempts")), ("job".to_owned(), 1));
    assert_eq!(scene.peer.count(super::WORK), 1);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_the_token_of_the_delivery_says_nothing() {
    let scene = start().await;
    let (one, two) = (job(&scene.db, "").await, job(&scene.db, "").await);
    is_accepted(&scene.db, one).await;
    is_accepted(&scene.db, two).await;
    let (first, second) = (delivery(&scene, 1).await, delivery(&scene, 2).await);
    for wrong in [
        super::Delivery { token: second.token.clone(), ..first.clone() },
        super::Delivery { token: String::new(), ..first.clone() },
        super::Delivery { token: first.token.to_uppercase(), ..first.clone() },
        super::Delivery { id: 4711, ..first.clone() },
        super::Delivery { id: -1, ..first.clone() },
    ] {
        assert!(wrong.is_worthless(&scene.db).await, "{wrong:?}");
    }
    let call: i64 = scene.call("edge.http_get_async($1)", "/").await;
    ended(&scene.db, call).await;
    assert!(super::Delivery { id: call, ..first.clone() }.is_worthless(&scene.db).await, "a call is no job");
    assert!(first.complete(&scene.db, json!(1)).await && second.complete(&scene.db, json!(2)).await);
}
