//! Processes that die in the middle of a stream: what was committed stays, no number comes twice, and a call is sent again only
//! where nothing of its answer had landed.

use super::{data, event, held, lands, seen, sse, stream};
use crate::faults::{SOON, all_ended, dispatcher};
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Gate, Stop, eventually};
use crate::scene::Scene;

/// So many come at once, and share rows.
const EVENTS: i64 = 300;

/// Has two streams run, one of which has not had an event yet, and the server die by `fault` meanwhile.
async fn after(fault: impl AsyncFnOnce(&mut Cluster)) {
    let mut scene = Scene::start().await;
    let (gate, silence) = (Gate::closed(), Gate::closed());
    let words: Vec<String> = (1..=EVENTS).map(|number| format!("before {number}")).collect();
    let at_once: String = words.iter().map(|word| event(word)).collect();
    scene.peer.on("/begun", sse().send(at_once).hold(&gate).send(event("after")));
    scene.peer.sequence(
        "/silent",
        [sse().send(": nothing yet\n").hold(&silence), sse().send(event("again 1")).send(event("again 2"))],
    );
    let (begun, silent) = (stream(&scene, "/begun").await, stream(&scene, "/silent").await);
    lands(&scene.db, begun, EVENTS).await;
    crate::scene::reaches(&scene.db, silent, "streaming").await;
    fault(&mut scene.cluster).await;
    all_ended(&scene.cluster, "postgres").await;
    let db = scene.cluster.connect().await;
    let call = seen(&db, begun).await;
    assert_eq!(call.get::<_, &str>("state"), "truncated");
    assert_eq!(call.get::<_, Option<&str>>("error_class"), Some("truncated"));
    assert_eq!(call.get::<_, Option<i32>>("status_code"), Some(200));
    assert_eq!(call.get::<_, Option<i64>>("events"), Some(EVENTS));
    assert_eq!(data(&db, begun).await, words);
    assert_eq!(scene.peer.count("/begun"), 1, "what has been read of was asked for again");
    assert_eq!(seen(&db, silent).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&db, silent).await, ["again 1", "again 2"]);
    assert_eq!(scene.peer.count("/silent"), 2);
    assert_eq!(db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_is_killed_leaves_a_truncated_stream() {
    after(async |cluster| {
        let worker = dispatcher(cluster, "postgres").await;
        send(worker, Signal::SIGKILL);
        crate::faults::successor(cluster, "dispatcher", "postgres", worker).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_at_once_leaves_a_truncated_stream() {
    after(async |cluster| cluster.restart(Stop::Immediate)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlasts_the_grace_of_a_stop_is_truncated() {
    after(async |cluster| cluster.restart(Stop::Fast)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_within_the_grace_of_a_stop_is_whole() {
    let mut scene = Scene::on(Cluster::builder().setting("pg_edge.shutdown_grace", "30s")).await;
    let gate = Gate::closed();
    scene.peer.on("/", held(3, &gate));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 3).await;
    let postmaster = scene.cluster.postmaster_pid().expect("the server runs");
    send(postmaster, Signal::SIGINT);
    eventually("the server is being stopped", SOON, || async {
        scene.cluster.log().contains("received fast shutdown request")
    })
    .await;
    gate.open();
    eventually("the server is gone", SOON, || async { !scene.cluster.is_running() }).await;
    scene.cluster.start_again();
    let db = scene.cluster.connect().await;
    assert_eq!(seen(&db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&db, id).await, ["before 1", "before 2", "before 3", "after"]);
    assert_eq!(scene.peer.count("/"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_just_before_the_first_event_is_committed_has_the_call_sent_again() {
    let scene = Scene::start().await;
    scene.peer.on("/", sse().send(event("one")).send(event("two")));
    dispatcher(&scene.cluster, "postgres").await;
    scene.cluster.fail_at("before_event_commit", "kill");
    let id = stream(&scene, "/").await;
    eventually("the fault has struck", SOON, || async { !scene.cluster.failpoint_is_armed() }).await;
    all_ended(&scene.cluster, "postgres").await;
    let db = scene.cluster.connect().await;
    assert_eq!(seen(&db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&db, id).await, ["one", "two"]);
    assert_eq!(scene.peer.count("/"), 2);
}
