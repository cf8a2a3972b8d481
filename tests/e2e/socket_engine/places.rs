//! Connections that have to wait for something of our own.

use super::{Stage, reaches};
use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn one_more_than_there_may_be_waits_until_another_ends() {
    let stage = Stage::on(Cluster::builder().setting("pg_edge.ws_max_connections", "2")).await;
    stage.open("first").await;
    stage.open("second").await;
    stage.want("third", "").await;
    let waiting = reaches(&stage.db, "third", "waiting").await;
    let error: String = waiting.get("last_error");
    assert!(error.contains("pg_edge.ws_max_connections"), "{error}");
    assert_eq!(stage.peer.arrivals().len(), 2);
    stage.db.exec("select edge.ws_close('first')").await;
    reaches(&stage.db, "third", "open").await;
    stage.want("fourth", "").await;
    reaches(&stage.db, "fourth", "waiting").await;
    stage.cluster.set("pg_edge.ws_max_connections", "3").await;
    reaches(&stage.db, "fourth", "open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_endpoint_has_its_websockets_wait() {
    let stage = Stage::start().await;
    let base = format!("http://{}", stage.peer.address());
    stage
        .db
        .one_with::<String>(
            "select edge.create_endpoint('room', $1, headers => '{\"x-team\": \"blue\"}')::text",
            &[&base],
        )
        .await;
    stage.db.exec("select edge.disable_endpoint('room')").await;
    stage.db.exec("select edge.ws_open('a', '/inside', endpoint => 'room')").await;
    let waiting = reaches(&stage.db, "a", "waiting").await;
    assert_eq!(waiting.get::<_, String>("last_error"), "endpoint \"room\" is disabled");
    stage.db.exec("select edge.enable_endpoint('room')").await;
    reaches(&stage.db, "a", "open").await;
    let arrival = stage.peer.arrivals().pop().expect("it came");
    assert_eq!((arrival.path.as_str(), arrival.header("x-team")), ("/inside", Some("blue")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_when_a_connection_is_opened_and_one_that_is_missing_is_said() {
    let stage = Stage::start().await;
    stage.want("a", r#", headers => '{"authorization": "Bearer ${secret:token}"}'"#).await;
    let failed = reaches(&stage.db, "a", "failed").await;
    let error: String = failed.get("last_error");
    assert!(error.contains("${secret:token}") && error.contains("does not exist"), "{error}");
    assert!(stage.peer.arrivals().is_empty());
    stage.db.exec("select edge.set_secret('token', 'first')").await;
    stage.want("a", r#", headers => '{"authorization": "Bearer ${secret:token}"}'"#).await;
    reaches(&stage.db, "a", "open").await;
    stage.db.exec("select edge.set_secret('token', 'second')").await;
    stage.peer.close(1, 1012, "");
    stage.peer.wait_for_arrivals(2).await;
    let told: Vec<Option<String>> =
        stage.peer.arrivals().iter().map(|arrival| arrival.header("authorization").map(str::to_owned)).collect();
    assert_eq!(told, [Some("Bearer first".to_owned()), Some("Bearer second".to_owned())]);
}
