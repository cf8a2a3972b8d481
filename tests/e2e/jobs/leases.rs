//! Functions that are not heard of in time, and those that say that they live.

use std::time::Duration;

use serde_json::{Value, json};

use super::{WORK, delivery, is_accepted, job, later, nothing_is_left, start, start_with_clock, tries};
use crate::faults::{SOON, rests_for};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::{ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_deadline_passes_is_delivered_again_and_in_the_end_is_a_dead_letter() {
    let scene = start().await;
    let id = job(&scene.db, "deadline => '300 ms', max_attempts => 2").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    assert_eq!(response.get::<_, String>("error_class"), "lease_expired");
    assert_eq!((response.get::<_, i32>("attempts"), response.get::<_, i32>("status_code")), (2, 202));
    assert_eq!(tries(&scene.db, id).await, ["lease_expired", "lease_expired"]);
    let (first, second) = (delivery(&scene, 1).await, delivery(&scene, 2).await);
    assert_ne!(first.token, second.token);
    assert_eq!((second.id, second.attempt.as_str()), (id, "2"));
    for told in [first, second] {
        assert!(told.is_worthless(&scene.db).await, "a lease that has run out can be reported on");
    }
    let keys: Vec<_> =
        scene.peer.requests_for(WORK).iter().map(|one| one.header("idempotency-key").map(str::to_owned)).collect();
    assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    let dead: Vec<i64> = scene.db.column("select id from edge.dead_letters").await;
    assert_eq!(dead, [id]);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_delivery_follows_at_once_and_the_third_waits_as_the_policy_says() {
    let scene = start().await;
    scene
        .db
        .exec("select edge.alter_endpoint('default', retry => edge.retry_policy(base => '1 hour', jitter => '0'))")
        .await;
    let id = job(&scene.db, "deadline => '300 ms', max_attempts => 4").await;
    delivery(&scene, 2).await;
    reaches(&scene.db, id, "retrying").await;
    assert_eq!(tries(&scene.db, id).await, ["lease_expired", "lease_expired"]);
    // No wait of the policy is longer than an hour.
    let waits = "select retry_at > clock_timestamp() + interval '50 minutes' from edge.attempts where call_id = $1 order by attempt";
    let waits: Vec<bool> = scene.db.rows_with(waits, &[&id]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!((waits, scene.peer.count(WORK)), (vec![false, true], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_keep_a_job_beyond_its_deadline() {
    let scene = start_with_clock().await;
    let id = job(&scene.db, "deadline => '1 hour', max_attempts => 1").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    for _ in 0..3 {
        assert!(told.heartbeat(&scene.db, None).await, "the lease has run out");
        later(&scene, 0.7).await;
    }
    let beyond = "select clock_timestamp() > sent_at + interval '2 hours' from edge.jobs where id = $1";
    assert!(scene.db.one_with::<bool>(beyond, &[&id]).await, "its deadline is not over");
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    assert!(told.complete(&scene.db, json!(1)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "succeeded");
    assert_eq!(scene.peer.count(WORK), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_falls_silent_is_called_again_and_told_how_far_it_was() {
    let scene = start().await;
    // What is said of a delivery is said before its second has begun.
    let (said, done) = (Gate::closed(), Gate::closed());
    let accepts = || Reply::status(202);
    scene.peer.sequence(WORK, [accepts().behind(&said), accepts(), accepts().behind(&done)]);
    let id = job(&scene.db, "heartbeat => '1 s', deadline => '1 hour'").await;
    let first = delivery(&scene, 1).await;
    let progress = json!({"done": 3, "of": "fünf 😀", "note": "\u{7f}\n\"quoted\""});
    assert!(first.heartbeat(&scene.db, Some(progress.clone())).await);
    let shown = scene.db.rows_with("select progress, heard_at from edge.jobs where id = $1", &[&id]).await;
    assert_eq!(shown[0].get::<_, Value>("progress"), progress);
    assert!(first.heartbeat(&scene.db, None).await, "no progress leaves what there was");
    said.open();
    let second = delivery(&scene, 2).await;
    assert_eq!(second.progress, Some(progress.clone()));
    assert!(first.is_worthless(&scene.db).await);
    let third = delivery(&scene, 3).await;
    assert_eq!(third.progress, Some(progress), "what was said is told to every later delivery");
    assert!(third.complete(&scene.db, json!(1)).await);
    done.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "succeeded");
    assert_eq!(tries(&scene.db, id).await, ["lease_expired", "lease_expired", "none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_silent_function_is_that_of_the_heartbeat_and_never_made_shorter() {
    let scene = start().await;
    let id = job(&scene.db, "heartbeat => '10 minutes', deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    let left = "select extract(epoch from lease_until - clock_timestamp())::float8 from edge.jobs where id = $1";
    let minutes = || async { scene.db.one_with::<f64>(left, &[&id]).await / 60.0 };
    assert!((9.0..=10.0).contains(&minutes().await), "{}", minutes().await);
    let long = job(&scene.db, "heartbeat => '1 minute', deadline => '1 hour'").await;
    let told = delivery(&scene, 2).await;
    let before: f64 = scene.db.one_with(left, &[&long]).await;
    assert!(told.heartbeat(&scene.db, None).await);
    is_accepted(&scene.db, long).await;
    let after: f64 = scene.db.one_with(left, &[&long]).await;
    assert!((0.0..=60.0).contains(&after), "accepted: {before}, then {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_report_before_it_has_answered() {
    let scene = start().await;
    let gate = Gate::closed();
    for (answer, attempts) in [(Reply::status(202), 1), (Reply::status(500), 1), (Reply::json(200, &json!("plain")), 1)]
    {
        gate.close();
        scene.peer.on(WORK, answer.behind(&gate));
        scene.peer.forget();
        let id = job(&scene.db, "").await;
        let told = delivery(&scene, 1).await;
        assert!(told.heartbeat(&scene.db, Some(json!("begun"))).await);
        assert!(told.complete(&scene.db, json!("reported")).await);
        reaches(&scene.db, id, "running").await;
        gate.open();
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, String>("state"), "succeeded");
        assert_eq!(response.get::<_, Value>("json"), json!("reported"));
        assert_eq!(response.get::<_, i32>("attempts"), attempts);
        assert_eq!(scene.peer.count(WORK), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_holds_where_no_answer_comes() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on(WORK, Reply::raw("HTTP/1.1 2").behind(&gate));
    let done = job(&scene.db, "").await;
    let failed = job(&scene.db, "").await;
    for n in [1, 2] {
        let told = delivery(&scene, n).await;
        let taken = match told.id == done {
            true => told.complete(&scene.db, json!("done")).await,
            false => told.fail(&scene.db, "no use", false).await,
        };
        assert!(taken);
    }
    gate.open();
    assert_eq!(ended(&scene.db, done).await.get::<_, Value>("json"), json!("done"));
    assert_eq!(ended(&scene.db, failed).await.get::<_, String>("error"), "no use");
    assert_eq!(scene.peer.count(WORK), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_accepts_after_the_deadline_is_too_late() {
    let scene = start().await;
    let gate = Gate::closed();
    // The second one is not answered, or its lease would run out as well.
    scene.peer.sequence(WORK, [Reply::status(202).behind(&gate), Reply::hang()]);
    let id = job(&scene.db, "deadline => '200 ms'").await;
    let first = delivery(&scene, 1).await;
    let over = "select lease_until < clock_timestamp() from edge.jobs where id = $1";
    eventually("the lease has run out", SERVER_DEADLINE, || async { scene.db.one_with::<bool>(over, &[&id]).await })
        .await;
    assert!(first.is_worthless(&scene.db).await);
    gate.open();
    let second = delivery(&scene, 2).await;
    assert_eq!(tries(&scene.db, id).await, ["lease_expired"]);
    assert_ne!(first.token, second.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_too_old_for_its_policy_is_not_delivered_again() {
    let scene = start_with_clock().await;
    scene.db.exec("select edge.alter_endpoint('default', retry => edge.retry_policy(max_age => '1 hour'))").await;
    let id = job(&scene.db, "deadline => '2 hours', max_attempts => 9").await;
    is_accepted(&scene.db, id).await;
    later(&scene, 3.0).await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("error_class"), "lease_expired");
    assert_eq!(response.get::<_, i32>("attempts"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_costs_nothing_while_it_is_with_its_function() {
    let scene = start().await;
    scene.cluster.create_database("elsewhere").await;
    let id = job(&scene.db, "deadline => '1 hour', heartbeat => '30 minutes'").await;
    is_accepted(&scene.db, id).await;
    let other = scene.cluster.connect_as("postgres", "elsewhere").await;
    let rests = || async { rests_for(&other, Duration::from_secs(3)).await };
    eventually("nothing happens for three seconds", SOON, rests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_carries_jobs_that_are_with_their_functions() {
    let scene = super::start_on(crate::harness::Cluster::builder().setting("pg_edge.retention", "7s")).await;
    let id = job(&scene.db, "deadline => '1 hour', metadata => '{\"kept\": true}'").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    let sql = "select slot from edge_store.deferred where call_id = $1";
    let first: i16 = scene.db.one_with(sql, &[&id]).await;
    eventually("the ring has come round", SOON, || async { scene.db.one_with::<i16>(sql, &[&id]).await != first })
        .await;
    assert!(told.complete(&scene.db, json!("late")).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("late"));
    nothing_is_left(&scene.db).await;
}
