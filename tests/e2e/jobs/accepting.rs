//! What a function is told, which answers accept, and what is known of a job meanwhile.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Delivery, WORK, delivery, is_accepted, job, nothing_is_left, start};
use crate::harness::Reply;
use crate::scene::{ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_says_which_job_it_is_until_when_and_how_to_report() {
    let scene = start().await;
    let id = job(&scene.db, "deadline => '10 minutes'").await;
    let told = delivery(&scene, 1).await;
    assert_eq!((told.id, told.attempt.as_str(), told.progress.clone()), (id, "1", None));
    assert_eq!(told.token.len(), 43, "32 bytes in base64url: {}", told.token);
    let request = &scene.peer.requests_for(WORK)[0];
    assert!(request.header("idempotency-key").is_some());
    let left = "select extract(epoch from $1::text::timestamptz - clock_timestamp())::float8";
    let deadline = request.header("x-edge-deadline").expect("it has a deadline").to_owned();
    assert!(deadline.ends_with('Z') && deadline.contains('T'), "{deadline}");
    let left: f64 = scene.db.one_with(left, &[&deadline]).await;
    assert!((540.0..=600.0).contains(&left), "{left} s are left of ten minutes");
    let kept = "select count(*) from edge_store.job where position(convert_to($1, 'UTF8') in token) > 0";
    assert_eq!(scene.db.one_with::<i64>(kept, &[&told.token]).await, 0, "the token itself is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_answers_accepts_and_the_status_is_shown() {
    let scene = start().await;
    let answers = [
        (Reply::status(202), 202),
        (Reply::json(200, &json!({"queued": true, "more": [1]})), 200),
        (Reply::text(299, "later").header("X-Edge-Accepted", "1"), 299),
    ];
    for (answer, status) in answers {
        scene.peer.on(WORK, answer);
        let id = job(&scene.db, "").await;
        is_accepted(&scene.db, id).await;
        let shown = "select (edge.result($1)).state, (edge.result($1)).status_code, (edge.result($1)).attempts,
                            state, status_code, attempts from edge.calls where id = $1";
        let row = &scene.db.rows_with(shown, &[&id]).await[0];
        for first in [0, 3] {
            assert_eq!(row.get::<_, String>(first), "accepted");
            assert_eq!((row.get::<_, i32>(first + 1), row.get::<_, i32>(first + 2)), (status, 1));
        }
        let rows = scene.db.rows_with("select * from edge.jobs where id = $1", &[&id]).await;
        assert_eq!(rows[0].get::<_, String>("state"), "accepted");
        assert!(rows[0].get::<_, Option<String>>("endpoint").is_some_and(|name| name == "default"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_answer_ends_the_job_as_it_would_a_call() {
    let scene = start().await;
    let answers = [
        (Reply::json(200, &json!({"queued": false})), "succeeded"),
        (Reply::json(200, &json!({"queued": "true"})), "succeeded"),
        (Reply::json(200, &json!([true])), "succeeded"),
        (Reply::text(201, "done").header("x-edge-accepted", "0"), "succeeded"),
        (Reply::json(400, &json!({"queued": true})), "failed"),
    ];
    for (answer, state) in answers {
        scene.peer.on(WORK, answer);
        let id = job(&scene.db, "").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), state);
        let told = Delivery::of(scene.peer.requests_for(WORK).last().expect("it was delivered"));
        assert!(told.is_worthless(&scene.db).await, "a call that has ended can be reported on");
    }
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_is_followed_by_a_delivery_with_another_token() {
    let scene = start().await;
    scene.peer.sequence(WORK, [Reply::status(503), Reply::status(503), Reply::status(202)]);
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told: Vec<Delivery> = scene.peer.requests_for(WORK).iter().map(Delivery::of).collect();
    let tokens: BTreeSet<&String> = told.iter().map(|told| &told.token).collect();
    assert_eq!((told.len(), tokens.len()), (3, 3));
    for earlier in &told[..2] {
        assert!(earlier.is_worthless(&scene.db).await, "an earlier delivery can be reported on");
    }
    assert!(told[2].complete(&scene.db, json!(7)).await);
    let response = ended(&scene.db, id).await;
    assert_eq!((response.get::<_, String>("state"), response.get::<_, i32>("attempts")), ("succeeded".to_owned(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_its_time_and_for_a_paused_database_as_any_call() {
    let scene = start().await;
    scene.db.exec("select edge.pause()").await;
    let id = job(&scene.db, "").await;
    reaches(&scene.db, id, "pending").await;
    let later = job(&scene.db, "run_at => now() + interval '1 day'").await;
    scene.db.exec("select edge.resume()").await;
    is_accepted(&scene.db, id).await;
    reaches(&scene.db, later, "pending").await;
    assert_eq!(scene.peer.count(WORK), 1);
}
