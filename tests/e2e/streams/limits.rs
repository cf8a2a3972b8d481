//! How long a stream may take and be silent, and how large it and its events may be.

use std::time::Duration;

use super::{data, event, held, lands, sse, stream};
use crate::harness::{Cluster, Gate, Peer, Reply};
use crate::scene::{Scene, ended, get};

/// The same in another format.
async fn stream_as(scene: &Scene, path: &str, format: &str) -> i64 {
    scene.call(&format!("edge.http_get_async($1, stream => '{format}')"), path).await
}

async fn with(settings: &[(&str, &str)]) -> Scene {
    Scene::on(settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value))).await
}

/// The class of the failure that a call ended with.
async fn failed(scene: &Scene, id: i64) -> String {
    error_class(scene, id, "failed").await
}

/// The class of the failure by which a call was cut short that had events.
async fn truncated(scene: &Scene, id: i64) -> String {
    error_class(scene, id, "truncated").await
}

async fn error_class(scene: &Scene, id: i64, state: &str) -> String {
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), state, "{response:?}");
    response.get("error_class")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_goes_silent_in_its_stream_is_given_up() {
    let scene = with(&[("pg_edge.stream_idle_timeout", "5s")]).await;
    scene.peer.on("/silent", sse().send(event("one")).then_hang());
    let slow =
        (0..7).fold(sse(), |reply, number| reply.send(event(&number.to_string())).pause(Duration::from_millis(800)));
    scene.peer.on("/slow", slow);
    let (silent, slow) = (stream(&scene, "/silent").await, stream(&scene, "/slow").await);
    assert_eq!(truncated(&scene, silent).await, "idle_timeout");
    assert_eq!(data(&scene.db, silent).await, ["one"]);
    assert_eq!(scene.peer.count("/silent"), 1);
    assert_eq!(
        ended(&scene.db, slow).await.get::<_, &str>("state"),
        "succeeded",
        "each pause was shorter, though not all of them together"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_begins_is_given_up_as_soon_as_one_that_goes_silent() {
    let scene = with(&[("pg_edge.stream_idle_timeout", "2s")]).await;
    scene.peer.on("/", sse().behind(&Gate::closed()));
    let id = scene.call("edge.http_get_async($1, stream => 'sse', max_attempts => 1)", "/").await;
    assert_eq!(failed(&scene, id).await, "first_byte_timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_cut_by_the_limit_for_bodies_but_by_its_own() {
    let scene = with(&[("pg_edge.request_timeout", "300ms"), ("pg_edge.stream_timeout", "7s")]).await;
    let gate = Gate::closed();
    let brief = sse().send(event("one")).pause(Duration::from_millis(900)).send(event("two"));
    scene.peer.on("/brief", brief).on("/endless", held(1, &gate));
    let (short, long) = (stream(&scene, "/brief").await, stream(&scene, "/endless").await);
    assert_eq!(ended(&scene.db, short).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(truncated(&scene, long).await, "timeout");
    assert_eq!(data(&scene.db, long).await, ["before 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_or_its_endpoint_says_of_time_wins() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(1, &gate));
    let base = scene.peer.url("");
    scene.db.exec(&format!("select edge.create_endpoint('hasty', base_url => '{base}', timeout => '4 s')")).await;
    let by_call = scene.call("edge.http_get_async($1, stream => 'sse', timeout => '4 s')", "/").await;
    let by_endpoint: i64 = scene.db.one("select edge.http_get_async('/', endpoint => 'hasty', stream => 'sse')").await;
    let patient: i64 =
        scene.db.one("select edge.http_get_async('/', endpoint => 'hasty', stream => 'sse', timeout => '1 min')").await;
    assert_eq!(truncated(&scene, by_call).await, "timeout");
    assert_eq!(truncated(&scene, by_endpoint).await, "timeout");
    gate.open();
    assert_eq!(ended(&scene.db, patient).await.get::<_, &str>("state"), "succeeded");
}

/// Endpoints of the peer: one where the settings hold, and one whose profile gives more time.
async fn endpoints(scene: &Scene) {
    for profile in ["generic", "supabase-free"] {
        let base = scene.peer.url("");
        let sql = format!("select edge.create_endpoint('{profile}', base_url => '{base}', profile => '{profile}')");
        scene.db.exec(&sql).await;
    }
}

async fn stream_at(scene: &Scene, endpoint: &str, path: &str) -> i64 {
    let sql =
        format!("select edge.http_get_async('{path}', endpoint => '{endpoint}', stream => 'sse', max_attempts => 1)");
    scene.db.one(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_stream_may_be_silent_follows_from_its_endpoints_profile() {
    let scene = with(&[("pg_edge.stream_idle_timeout", "3s")]).await;
    endpoints(&scene).await;
    let gate = Gate::closed();
    scene.peer.on("/", held(1, &gate)).on("/late", sse().behind(&gate).send(event("late")));
    let patient = [stream_at(&scene, "supabase-free", "/").await, stream_at(&scene, "supabase-free", "/late").await];
    lands(&scene.db, patient[0], 1).await;
    // Each that began later and was given up has been waited for as long as the setting says.
    let impatient = [stream_at(&scene, "generic", "/").await, stream_at(&scene, "generic", "/late").await];
    assert_eq!(truncated(&scene, impatient[0]).await, "idle_timeout");
    assert_eq!(failed(&scene, impatient[1]).await, "first_byte_timeout");
    gate.open();
    for id in patient {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_stream_may_take_follows_from_its_endpoints_profile() {
    let scene = with(&[("pg_edge.stream_timeout", "4s")]).await;
    endpoints(&scene).await;
    let gate = Gate::closed();
    scene.peer.on("/", held(1, &gate));
    let patient = stream_at(&scene, "supabase-free", "/").await;
    lands(&scene.db, patient, 1).await;
    let impatient = stream_at(&scene, "generic", "/").await;
    assert_eq!(truncated(&scene, impatient).await, "timeout");
    gate.open();
    assert_eq!(ended(&scene.db, patient).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_ends_its_stream_and_those_before_it_are_kept() {
    let scene = with(&[("pg_edge.max_event_bytes", "1000")]).await;
    scene.peer.on("/", sse().send(event("small")).send(event(&"x".repeat(2000))).send(event("never")));
    let id = stream(&scene, "/").await;
    assert_eq!(failed(&scene, id).await, "event_too_large");
    assert_eq!(data(&scene.db, id).await, ["small"]);
    let raw = scene.call("edge.http_get_async($1, stream => 'raw')", "/").await;
    assert_eq!(ended(&scene.db, raw).await.get::<_, &str>("state"), "succeeded");
    assert!(data(&scene.db, raw).await.iter().all(|piece| piece.len() <= 1000), "text is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_too_large_is_not_read_to_its_end() {
    let scene = with(&[("pg_edge.max_stream_bytes", "10000")]).await;
    let line = "x".repeat(92);
    let large = (0..500).fold(sse(), |reply, _| reply.send(event(&line)));
    scene.peer.on("/", large);
    let id = stream(&scene, "/").await;
    assert_eq!(failed(&scene, id).await, "response_too_large");
    assert_eq!(data(&scene.db, id).await.len(), 44, "of 92 bytes each, 7 of the type and 128 for being one");
    scene.peer.on("/lines", Reply::stream("application/x-ndjson").send("1\n".repeat(4_000)));
    let lines = stream_as(&scene, "/lines", "ndjson").await;
    assert_eq!(failed(&scene, lines).await, "response_too_large");
    assert_eq!(data(&scene.db, lines).await.len(), 77, "of 129 bytes each");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_as_long_as_an_event_ends_its_stream() {
    let scene = Scene::start().await;
    let id_line = format!("id: {}\n", "x".repeat(100_000));
    scene.peer.on("/", sse().send(event("one")).send(id_line).send("data\n\n".repeat(100)));
    let id = stream(&scene, "/").await;
    assert_eq!(failed(&scene, id).await, "event_too_large");
    assert_eq!(data(&scene.db, id).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_counts_as_a_call_on_the_wire_as_long_as_it_runs() {
    let scene = with(&[("pg_edge.max_concurrency_per_endpoint", "2")]).await;
    let gate = Gate::closed();
    scene.peer.on("/", held(1, &gate));
    let ids = [stream(&scene, "/").await, stream(&scene, "/").await, stream(&scene, "/").await];
    lands(&scene.db, ids[0], 1).await;
    lands(&scene.db, ids[1], 1).await;
    // What was queued behind the third one, for somebody else, has been sent: the third one has been looked at.
    let other = Peer::start().await;
    other.on("/", Reply::status(204));
    let behind = get(&scene.db, &other.url("/")).await;
    assert_eq!(ended(&scene.db, behind).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.count("/"), 2);
    gate.open();
    for id in ids {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}
