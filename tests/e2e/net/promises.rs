//! What the page for users of pg_net promises beside what they know.

use tokio_rustls::rustls::ALL_VERSIONS;

use super::{request, response, start, start_on};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::tls_peer::{Clients, TlsPeer};
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::scene::ended;

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_replay_lands_as_another_response() {
    let scene = start().await;
    scene.peer.sequence("/", [Reply::text(500, "no"), Reply::text(200, "yes")]);
    let first = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(response(&scene.db, first).await.get::<_, i32>("status_code"), 500);
    let second: i64 = scene.db.one_with("select edge.replay($1)", &[&first]).await;
    assert_eq!(response(&scene.db, second).await.get::<_, i32>("status_code"), 200);
    assert_eq!(response(&scene.db, first).await.get::<_, i32>("status_code"), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_is_told_in_the_words_that_users_know() {
    let scene = start().await;
    let stranger = TlsPeer::start(ALL_VERSIONS, Clients::Anyone).await;
    let id: i64 =
        scene.db.one_with("select net.http_get($1, timeout_milliseconds := 60000)", &[&stranger.url("/")]).await;
    let said: String = response(&scene.db, id).await.get("error_msg");
    assert!(said.starts_with("SSL connect error: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_of_nothing_is_none() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let slow = [
        request(&scene, "net.http_get($1, timeout_milliseconds := 0)", "/gated").await,
        request(&scene, "net.http_get($1, timeout_milliseconds := -1)", "/gated").await,
    ];
    scene.peer.wait_for(2).await;
    // One that is asked for after them runs into its limit before they are answered.
    let limited = request(&scene, "net.http_get($1, timeout_milliseconds := 200)", "/gated").await;
    assert!(response(&scene.db, limited).await.get::<_, bool>("timed_out"));
    gate.open();
    for id in slow {
        assert!(!response(&scene.db, id).await.get::<_, bool>("timed_out"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_open_no_breaker_and_wait_for_one_that_calls_have_opened() {
    let builder = Cluster::builder().setting("pg_edge.breaker_failures", "2").setting("pg_edge.breaker_pause", "1h");
    let scene = start_on(builder).await;
    scene.peer.on("/sick", Reply::status(503));
    for _ in 0..5 {
        let id = request(&scene, "net.http_get($1)", "/sick").await;
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 503);
    }
    for _ in 0..2 {
        let id = scene.call("edge.http_get_async($1, max_attempts => 1)", "/sick").await;
        ended(&scene.db, id).await;
    }
    let waiting = request(&scene, "net.http_get($1)", "/well").await;
    let stands = "select breaker = 'open' and waiting = 1 from edge.stat_endpoints";
    eventually("the request waits", SERVER_DEADLINE, || scene.db.one::<bool>(stands)).await;
    assert_eq!(scene.peer.count("/well"), 0);
    scene.cluster.set("pg_edge.breaker_failures", "0").await;
    assert_eq!(response(&scene.db, waiting).await.get::<_, i32>("status_code"), 200);
}
