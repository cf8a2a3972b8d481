//! The extension is dropped while answers are being streamed and read.

use super::{event, held, lands, sse, stream};
use crate::faults::dispatcher;
use crate::harness::cluster::{SERVER_DEADLINE, Stop};
use crate::harness::{Gate, eventually, process};
use crate::scene::{Scene, ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_with_more_than_it_can_write_ends_with_its_extension() {
    let mut scene = Scene::start().await;
    let gate = Gate::closed();
    let flood = sse().send(event("first")).hold(&gate).send(event(&"x".repeat(1_000)).repeat(10_000));
    scene.peer.on("/", flood.then_hang());
    let worker = dispatcher(&scene.cluster, "postgres").await;
    for _ in 0..8 {
        let id = stream(&scene, "/").await;
        lands(&scene.db, id, 1).await;
    }
    let dropper = scene.cluster.connect().await;
    dropper.exec("begin; drop extension pg_edge cascade").await;
    // While it is being dropped nothing can be written: what comes now waits, and is more than one turn writes.
    let before = process::resident_kib(worker);
    gate.open();
    eventually("much waits", SERVER_DEADLINE, || async { process::resident_kib(worker) > before + 16 * 1024 }).await;
    dropper.exec("commit").await;
    eventually("the connections are closed", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    scene.db.exec("create extension pg_edge").await;
    scene.peer.on("/next", sse().send(event("next")));
    let id = stream(&scene, "/next").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    // What cannot end would not let the server stop either.
    scene.cluster.restart(Stop::Fast);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gives_way_to_whoever_drops_the_extension() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(1, &gate));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 1).await;
    for reading in [format!("select edge.tail_text({id})"), format!("select edge.wait({id}, '10 min')")] {
        let (reader, dropper) = (scene.cluster.connect().await, scene.cluster.connect().await);
        let waits = format!(
            "select coalesce(wait_event_type = 'Extension', false) from pg_stat_activity where pid = {}",
            reader.backend_pid().await
        );
        let read = async {
            let refused = reader.fails(&reading).await;
            assert_eq!(refused.sqlstate, "55006", "{refused:?}");
        };
        let dropped = async {
            eventually("the reader waits", SERVER_DEADLINE, || scene.db.one::<bool>(&waits)).await;
            dropper.exec("begin; drop extension pg_edge cascade").await;
            dropper.exec("rollback").await;
        };
        tokio::join!(read, dropped);
    }
    gate.open();
    reaches(&scene.db, id, "succeeded").await;
}
