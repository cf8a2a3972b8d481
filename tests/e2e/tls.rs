//! TLS as administrators set it.

use std::fs;

use tokio_postgres::Row;
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::version::TLS12;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::tls_peer::{Clients, TlsPeer};
use crate::harness::{Cluster, Stop, eventually};
use crate::scene::{Scene, call, ended};

async fn once(scene: &Scene, url: &str) -> Row {
    let id = call(&scene.db, "edge.http_get_async($1, max_attempts => 1)", url).await;
    ended(&scene.db, id).await
}

fn error(response: &Row) -> (&str, &str) {
    (response.get("error_class"), response.get("error"))
}

/// Writes a file into the data directory, where the settings find it by its bare name.
fn write(cluster: &Cluster, name: &str, content: &str) {
    fs::write(cluster.data_dir().join(name), content).expect("the data directory can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_trusted_after_a_reload() {
    let scene = Scene::start().await;
    let peer = TlsPeer::start(ALL_VERSIONS, Clients::Anyone).await;
    let stranger =
        "the TLS handshake failed: the certificate's issuer is trusted neither by this system nor by pg_edge.ca_file";
    assert_eq!(error(&once(&scene, &peer.url("/")).await), ("tls", stranger));
    write(&scene.cluster, "ca.pem", peer.authority());
    scene.cluster.set("pg_edge.ca_file", "ca.pem").await;
    eventually("the peer is trusted", SERVER_DEADLINE, || async {
        once(&scene, &peer.url("/")).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    // The same name, another content.
    let other = TlsPeer::start(ALL_VERSIONS, Clients::Anyone).await;
    write(&scene.cluster, "ca.pem", other.authority());
    scene.cluster.reload().await;
    eventually("the other peer is trusted", SERVER_DEADLINE, || async {
        once(&scene, &other.url("/")).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    assert_eq!(error(&once(&scene, &peer.url("/")).await).0, "tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_authorities_that_cannot_be_used_is_told_when_it_is_set() {
    let scene = Scene::start().await;
    write(&scene.cluster, "garbage.pem", "garbage");
    for (file, detail) in [
        ("/not/there.pem", "the file with certificate authorities cannot be read: No such file or directory"),
        ("garbage.pem", "the file with certificate authorities holds no certificate in PEM form"),
        (".", "the file with certificate authorities is not a regular file"),
    ] {
        let error = scene.db.fails(&format!("alter system set pg_edge.ca_file = '{file}'")).await;
        assert_eq!(error.sqlstate, "22023");
        assert!(error.detail.starts_with(detail), "{error}");
    }
    let error = scene.db.fails("alter system set pg_edge.tls_min_version = '1.1'").await;
    assert_eq!(error.detail, "\"1.1\" is neither 1.2 nor 1.3");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_went_bad_are_logged_and_the_former_ones_stay() {
    let mut scene = Scene::start().await;
    let peer = TlsPeer::start(ALL_VERSIONS, Clients::Anyone).await;
    write(&scene.cluster, "ca.pem", peer.authority());
    scene.cluster.set("pg_edge.ca_file", "ca.pem").await;
    eventually("the peer is trusted", SERVER_DEADLINE, || async {
        once(&scene, &peer.url("/")).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    write(&scene.cluster, "ca.pem", "garbage");
    scene.cluster.reload().await;
    eventually("the server says so", SERVER_DEADLINE, || async {
        scene.cluster.log().contains("invalid value for parameter \"pg_edge.ca_file\"")
    })
    .await;
    assert_eq!(once(&scene, &peer.url("/")).await.get::<_, &str>("state"), "succeeded");
    // Neither does it keep the server from starting, nor other calls from being made.
    scene.cluster.restart(Stop::Fast);
    scene.db = scene.cluster.connect().await;
    assert_eq!(once(&scene, &scene.peer.url("/")).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(error(&once(&scene, &peer.url("/")).await).0, "tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_tls_that_is_too_old_is_not_spoken() {
    let scene = Scene::start().await;
    let peer = TlsPeer::start(&[&TLS12], Clients::Anyone).await;
    write(&scene.cluster, "ca.pem", peer.authority());
    scene.cluster.set("pg_edge.ca_file", "ca.pem").await;
    eventually("the peer is trusted", SERVER_DEADLINE, || async {
        once(&scene, &peer.url("/")).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    scene.cluster.set("pg_edge.tls_min_version", "1.3").await;
    let old = "the TLS handshake failed: the peer speaks no version of TLS that pg_edge.tls_min_version allows";
    eventually("the old version is refused", SERVER_DEADLINE, || async {
        let response = once(&scene, &peer.url("/")).await;
        response.get::<_, &str>("state") == "failed" && error(&response) == ("tls", old)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_that_of_its_endpoint_and_its_key_a_secret() {
    let scene = Scene::start().await;
    let peer = TlsPeer::start(ALL_VERSIONS, Clients::Known).await;
    write(&scene.cluster, "ca.pem", peer.authority());
    scene.cluster.set("pg_edge.ca_file", "ca.pem").await;
    scene.db.one_with::<String>("select edge.set_secret('client_key', $1)::text", &[&peer.client().key]).await;
    let make = "select edge.create_endpoint('known', $1, client_certificate => $2, client_key => '${secret:client_key}', \
                retry => edge.retry_policy(1))::text";
    scene.db.one_with::<String>(make, &[&peer.url(""), &peer.client().certificate]).await;
    eventually("the call goes through", SERVER_DEADLINE, || async {
        let id: i64 = scene.db.one("select edge.invoke('f', endpoint => 'known')").await;
        ended(&scene.db, id).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    let without = once(&scene, &peer.url("/f")).await;
    let required = "the TLS handshake failed: the peer requires a client certificate";
    assert_eq!(error(&without), ("tls", required), "a call beside the endpoint has no certificate");
    scene.db.exec("select edge.set_secret('client_key', 'not a key')").await;
    eventually("the new key is used", SERVER_DEADLINE, || async {
        let id: i64 = scene.db.one("select edge.invoke('f', endpoint => 'known')").await;
        let response = ended(&scene.db, id).await;
        let unusable = "the client certificate cannot be used: its key is no private key in PEM form";
        response.get::<_, &str>("state") == "failed" && error(&response) == ("invalid_request", unusable)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_take_as_long_as_its_endpoint_says() {
    let scene = Scene::start().await;
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let url = format!("https://{}", mute.local_addr().expect("it is bound"));
    let make =
        "select edge.create_endpoint('mute', $1, connect_timeout => '2500 ms', retry => edge.retry_policy(1))::text";
    scene.db.one_with::<String>(make, &[&url]).await;
    let id: i64 = scene.db.one("select edge.invoke('f', endpoint => 'mute')").await;
    let response = ended(&scene.db, id).await;
    let hung = "no connection within 2500 ms: the TLS handshake did not end";
    assert_eq!(error(&response), ("connect_timeout", hung));
}
