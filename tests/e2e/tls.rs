//! TLS as administrators set it.

use std::fs;

use tokio_postgres::Row;
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::version::TLS12;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::tls_peer::TlsPeer;
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
    let peer = TlsPeer::start(ALL_VERSIONS).await;
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
    let other = TlsPeer::start(ALL_VERSIONS).await;
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
    let peer = TlsPeer::start(ALL_VERSIONS).await;
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
    let peer = TlsPeer::start(&[&TLS12]).await;
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
