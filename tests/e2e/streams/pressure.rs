//! Back-pressure: what cannot be stored now is not read, and nothing of it is lost.

use super::{data, event, seen, sse, stream};
use crate::faults::dispatcher;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually, process};
use crate::scene::{Scene, ended};

const EVENTS: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_table_is_locked_the_peer_stands_still_and_afterwards_nothing_is_missing() {
    let scene = Scene::start().await;
    let filler = "x".repeat(10_000);
    let large = (1..=EVENTS).fold(sse(), |reply, number| reply.send(event(&format!("{number} {filler}"))));
    scene.peer.on("/", large);
    let worker = dispatcher(&scene.cluster, "postgres").await;
    let first = scene.get("/plain").await;
    ended(&scene.db, first).await;
    let holder = scene.cluster.connect().await;
    holder.exec("begin; lock table edge_store.event in access exclusive mode").await;
    let id = stream(&scene, "/").await;
    eventually("the worker complains", SERVER_DEADLINE, || async {
        scene.db.one::<Option<String>>("select last_error from edge.worker_status()").await
    })
    .await;
    assert_eq!(scene.peer.in_flight(), 1, "30 MB went somewhere");
    let megabytes = process::resident_kib(worker) / 1024;
    assert!(megabytes < 200, "the dispatcher takes {megabytes} MB");
    // Its head alone may have come before its first event did.
    let state: String = scene.db.one_with("select edge.status($1)", &[&id]).await;
    assert!(["running", "streaming"].contains(&state.as_str()), "it is {state}");
    holder.exec("commit").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let landed = data(&scene.db, id).await;
    assert_eq!(landed.len(), EVENTS);
    assert!((1..).zip(&landed).all(|(number, data)| data.starts_with(&format!("{number} "))), "order was lost");
    assert_eq!(scene.peer.count("/"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_while_events_are_written_loses_and_doubles_none() {
    for action in ["error", "disk_full"] {
        let scene = Scene::on(Cluster::builder()).await;
        scene.peer.on("/", (1..=500).fold(sse(), |reply, number| reply.send(event(&number.to_string()))));
        dispatcher(&scene.cluster, "postgres").await;
        scene.cluster.fail_at("before_event_commit", action);
        let id = stream(&scene, "/").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded", "{action}");
        assert!(!scene.cluster.failpoint_is_armed());
        let wanted: Vec<String> = (1..=500).map(|number| number.to_string()).collect();
        assert_eq!(data(&scene.db, id).await, wanted, "{action}");
        assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), Some(500), "{action}");
        assert_eq!(scene.peer.count("/"), 1, "{action}");
        assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0, "{action}");
    }
}
