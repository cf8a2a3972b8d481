//! Lists of which some items fail.

use std::time::Duration;

use serde_json::{Value, json};

use super::{create, list, send};
use crate::faults::{SOON, all_ended};
use crate::harness::{Reply, eventually};
use crate::scene::{Scene, ended};

/// A policy that does not keep a test waiting.
const QUICK: &str = ", retry => edge.retry_policy(max_attempts => 3, base => '50 ms', jitter => '0')";

async fn lists(scene: &Scene) -> Vec<Vec<Value>> {
    all_ended(&scene.cluster, "postgres").await;
    scene.peer.requests_for("/work").iter().map(list).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_items_that_failed_are_sent_again() {
    let scene = Scene::start().await;
    let first = Reply::json(207, &json!({"failed": [1, {"index": 3, "error": "busy"}]}));
    scene.peer.sequence("/work", [first, Reply::json(207, &json!({"failed": [0]})), Reply::status(200)]);
    create(&scene, QUICK).await;
    let ids = send(&scene, 5, ", metadata => '{\"m\": 1}'").await;
    assert_eq!(
        lists(&scene).await,
        [vec![json!(1), json!(2), json!(3), json!(4), json!(5)], vec![json!(2), json!(4)], vec![json!(2)]]
    );
    let chain = "select count(*) from edge.calls as call join edge.calls as before on before.id = call.replay_of
                 where call.state = 'succeeded' and before.state = 'succeeded' and call.metadata = '{\"m\": 1}'";
    assert_eq!(scene.db.one::<i64>(chain).await, 2, "each is linked to the one before");
    let first = ended(&scene.db, ids[0]).await;
    assert_eq!((first.get::<_, &str>("state"), first.get::<_, Option<i32>>("status_code")), ("succeeded", Some(207)));
    assert_eq!(first.get::<_, Option<&str>>("error"), None);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_sent_after_the_wait_of_the_policy() {
    let scene = Scene::start().await;
    scene.peer.sequence("/work", [Reply::json(207, &json!({"failed": [0]})), Reply::status(200)]);
    create(&scene, ", retry => edge.retry_policy(base => '1500 ms', jitter => '0')").await;
    send(&scene, 2, "").await;
    lists(&scene).await;
    let at: Vec<_> = scene.peer.requests().iter().map(|request| request.at).collect();
    let waited = at[1] - at[0];
    assert!(waited >= Duration::from_millis(1400), "it waited {waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_last_round_is_a_dead_letter_and_its_replay_sends_that_alone() {
    let scene = Scene::start().await;
    scene.peer.answer("/work", |request| {
        let failed: Vec<Value> = list(request).into_iter().filter(|item| item["n"] != 1).collect();
        Reply::json(207, &json!({"failedJobs": failed}))
    });
    create(&scene, QUICK).await;
    let items = "(select array_agg(jsonb_build_object('n', n, 'x', 1.50)) from generate_series(1, 3) as n)";
    let first: i64 = scene.db.one(&format!("select edge.invoke_batch('work', {items}, max_attempts => 2)")).await;
    let sent = lists(&scene).await;
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    let last: i64 = scene.db.one("select id from edge.dead_letters").await;
    let letter = ended(&scene.db, last).await;
    assert_eq!(
        (
            letter.get::<_, &str>("state"),
            letter.get::<_, Option<&str>>("error_class"),
            letter.get::<_, Option<&str>>("error")
        ),
        ("failed", Some("items"), Some("2 of the items have failed in round 2, and are not sent again"))
    );
    assert!(letter.get::<_, Option<Value>>("json").is_some(), "the answer is kept");
    // The first call of a list in which one is done and two are not.
    scene.peer.sequence("/work", [Reply::json(207, &json!({"failed": [1]})), Reply::status(200)]);
    let only: i64 =
        scene.db.one("select edge.invoke_batch('work', array['10', '11']::jsonb[], max_attempts => 1)").await;
    assert_eq!(ended(&scene.db, only).await.get::<_, Option<&str>>("error_class"), Some("items"));
    scene.peer.forget();
    let replayed: i64 = scene.db.one_with("select edge.replay($1)", &[&only]).await;
    ended(&scene.db, replayed).await;
    assert_eq!(lists(&scene).await, [[json!(11)]]);
    assert_ne!(first, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_some_items_has_another_key_than_all_of_them() {
    let scene = Scene::start().await;
    scene.peer.on("/work", Reply::json(207, &json!({"failed": [1]})));
    create(&scene, QUICK).await;
    let of_two = "edge.invoke_batch('work', array['10', '11']::jsonb[], max_attempts => 1, idempotency_key => 'night')";
    let some: i64 = scene.db.one(&format!("select {of_two}")).await;
    ended(&scene.db, some).await;
    scene.peer.on("/work", Reply::status(400));
    let of_one = "edge.invoke_batch('work', array['12']::jsonb[], idempotency_key => 'day')";
    let all: i64 = scene.db.one(&format!("select {of_one}")).await;
    ended(&scene.db, all).await;
    for (call, key) in [(some, "night-1"), (all, "day-1")] {
        scene.peer.forget();
        let replayed: i64 = scene.db.one_with("select edge.replay($1)", &[&call]).await;
        ended(&scene.db, replayed).await;
        let kept = scene.peer.requests()[0].header("idempotency-key") == Some(key);
        assert_eq!(kept, call == all, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_for_queues_that_answers_200_and_counts_failed_jobs_is_understood() {
    let scene = Scene::start().await;
    let jobs = json!({"completedJobs": [{"jobId": 1}], "failedJobs": [{"jobId": 2, "id": 7, "error": "no"}]});
    scene.peer.sequence("/work", [Reply::json(200, &jobs).header("x-failed-jobs", "1"), Reply::status(200)]);
    create(&scene, QUICK).await;
    scene
        .db
        .exec(r#"select edge.invoke_batch('work', array['{"jobId": 1, "id": 6}', '{"jobId": 2, "id": 7}']::jsonb[])"#)
        .await;
    assert_eq!(lists(&scene).await[1..], [[json!({"jobId": 2, "id": 7})]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_no_item_succeeds_and_one_that_names_a_strange_one_fails() {
    let scene = Scene::start().await;
    create(&scene, QUICK).await;
    for (body, state, says) in [
        (json!({}), "succeeded", None),
        (json!({"failed": []}), "succeeded", None),
        (
            json!({"failed": [2]}),
            "failed",
            Some("the answer says that item 2 has failed, and 2 were sent, counted from 0"),
        ),
        (
            json!({"failedJobs": [9]}),
            "failed",
            Some("entry 0 of \"failedJobs\" in the answer, counted from 0, is none of the items that were sent"),
        ),
    ] {
        scene.peer.on("/work", Reply::json(207, &body));
        let ids = send(&scene, 2, "").await;
        let end = ended(&scene.db, ids[0]).await;
        assert_eq!((end.get::<_, &str>("state"), end.get::<_, Option<&str>>("error")), (state, says), "{body}");
        assert_eq!(end.get::<_, Option<&str>>("error_class"), says.map(|_| "items"), "{body}");
    }
    lists(&scene).await;
    assert_eq!(scene.peer.count("/work"), 4, "nothing was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_round_calls_back_with_its_own_answer() {
    let scene = Scene::start().await;
    scene.peer.sequence("/work", [Reply::json(207, &json!({"failed": [0]})), Reply::json(200, &json!({}))]);
    create(&scene, QUICK).await;
    scene
        .db
        .exec(
            "create table told (status int);
             create function note(response edge.response) returns void language sql as
             $$ insert into public.told values (response.status_code) $$",
        )
        .await;
    send(&scene, 2, ", on_complete => 'note'").await;
    eventually("both have called back", SOON, || async {
        let mut told: Vec<i32> = scene.db.column("select status from told").await;
        told.sort_unstable();
        told == [200, 207]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_call_with_these_answers_is_a_plain_call() {
    let scene = Scene::start().await;
    scene.peer.sequence("/work", [Reply::json(207, &json!({"failed": [0]})), Reply::status(413)]);
    create(&scene, QUICK).await;
    let states = ["succeeded", "failed"];
    for state in states {
        let id: i64 = scene.db.one("select edge.invoke('work', '[1, 2]')").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), state);
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 2);
}
