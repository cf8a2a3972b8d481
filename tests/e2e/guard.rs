//! Where calls may go, as users and administrators see it. The settings of the harness let loopback addresses through;
//! these tests take that back.

use std::time::Duration;

use serde_json::json;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Reply, eventually};
use crate::scene::{Scene, ended, get};

/// With the setting that users have.
fn guarded() -> ClusterBuilder {
    Cluster::builder().setting("pg_edge.allowed_networks", "")
}

/// The same path of the peer under another host.
fn at(scene: &Scene, host: &str, path: &str) -> String {
    format!("http://{host}:{}{path}", scene.peer.address().port())
}

/// Queues a call and gives its state, its class of error, and its error.
async fn outcome(scene: &Scene, url: &str) -> (String, Option<String>, Option<String>) {
    let id = get(&scene.db, url).await;
    let response = ended(&scene.db, id).await;
    (response.get("state"), response.get("error_class"), response.get("error"))
}

fn blocked(why: &str) -> (String, Option<String>, Option<String>) {
    ("failed".to_owned(), Some("blocked".to_owned()), Some(why.to_owned()))
}

fn succeeded() -> (String, Option<String>, Option<String>) {
    ("succeeded".to_owned(), None, None)
}

const ADDRESS: &str = "the host's address is not allowed";

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_call_into_the_private_network_is_blocked_and_not_tried_again() {
    let scene = Scene::on(guarded()).await;
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
        assert_eq!(outcome(&scene, &at(&scene, host, "/secret")).await, blocked(ADDRESS), "{host}");
    }
    for url in ["http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "http://[fd00:ec2::254]/"] {
        assert_eq!(outcome(&scene, url).await, blocked(ADDRESS), "{url}");
    }
    assert_eq!(scene.peer.connections(), 0);
    let seen = "select count(*) from edge.calls where state = 'failed' and attempts = 1 and status_code is null \
                and error = $1";
    assert_eq!(scene.db.one_with::<i64>(seen, &[&ADDRESS]).await, 10);
    let tries =
        "select count(*) from edge.attempts where error_class = 'blocked' and retry_at is null and remote is null";
    assert_eq!(scene.db.one::<i64>(tries).await, 10);
    let line = "a call to 127.0.0.1 is refused (loopback); pg_edge.allowed_networks could allow it";
    eventually("the log says so", SERVER_DEADLINE, || async { scene.cluster.log().contains(line) }).await;
    let log = scene.cluster.log();
    assert_eq!(log.matches(line).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_judged_again_and_an_allowed_network_opens_without_a_restart() {
    let scene = Scene::on(guarded()).await;
    let dispatcher = "select pid from edge.worker_status()";
    let first = scene.get("/").await;
    assert_eq!(ended(&scene.db, first).await.get::<_, &str>("error_class"), "blocked");
    let pid: i32 = scene.db.one(dispatcher).await;
    let again: i64 = scene.db.one_with("select edge.replay($1)", &[&first]).await;
    assert_eq!(ended(&scene.db, again).await.get::<_, &str>("error_class"), "blocked");
    scene.cluster.set("pg_edge.allowed_networks", "127.0.0.0/8").await;
    eventually("a replay goes through", SERVER_DEADLINE, || async {
        let again: i64 = scene.db.one_with("select edge.replay($1)", &[&first]).await;
        ended(&scene.db, again).await.get::<_, &str>("state") == "succeeded"
    })
    .await;
    assert_eq!(scene.db.one::<i32>(dispatcher).await, pid);
    assert_eq!(outcome(&scene, &at(&scene, "[::1]", "/")).await, blocked(ADDRESS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_no_longer_allowed_is_closed_to_waiting_calls_and_open_connections() {
    let scene = Scene::on(Cluster::builder().own_clock()).await;
    assert_eq!(outcome(&scene, &scene.peer.url("/")).await, succeeded());
    let waiting =
        scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '1 hour')", "/waiting").await;
    scene.cluster.set("pg_edge.allowed_networks", "").await;
    eventually("calls are blocked", SERVER_DEADLINE, || async {
        outcome(&scene, &scene.peer.url("/")).await == blocked(ADDRESS)
    })
    .await;
    scene.cluster.clock().step_forward(Duration::from_secs(3_700));
    // Whoever queues a call wakes the dispatcher, which finds that the hour is over.
    assert_eq!(outcome(&scene, &scene.peer.url("/")).await, blocked(ADDRESS));
    assert_eq!(ended(&scene.db, waiting).await.get::<_, &str>("error_class"), "blocked");
    assert_eq!(scene.peer.count("/waiting"), 0);
    eventually("its connections are closed", SERVER_DEADLINE, || async { scene.peer.open_connections() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_allowed_by_its_name_and_denied_by_it() {
    let scene = Scene::on(
        guarded()
            .setting("pg_edge.allowed_hosts", "LocalHost, 127.0.0.1")
            .setting("pg_edge.denied_hosts", "127.0.0.1, *.localhost"),
    )
    .await;
    for (host, expected) in [
        ("localhost", succeeded()),
        ("LOCALHOST", succeeded()),
        ("127.0.0.1", blocked("the host is denied")),
        ("127.1", blocked("the host is denied")),
        ("a.localhost", blocked("the host is denied")),
        ("127.0.0.2", blocked(ADDRESS)),
    ] {
        assert_eq!(outcome(&scene, &at(&scene, host, "/")).await, expected, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_an_endpoint_follows_does_not_get_around_the_guard() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.allowed_networks", "127.0.0.1")).await;
    let hidden = crate::harness::Peer::on_address("127.0.0.2:0").await;
    hidden.otherwise(|_| Reply::json(200, &json!({"secret": true})));
    scene.peer.on("/out", Reply::status(307).header("location", &hidden.url("/secret")));
    scene.peer.on("/in", Reply::status(302).header("location", "/there"));
    let base = scene.peer.url("");
    scene.db.one_with::<String>("select edge.create_endpoint('f', $1, max_redirects => 2)::text", &[&base]).await;
    let response = |function: &'static str| {
        let db = &scene.db;
        async move { ended(db, db.one_with("select edge.invoke($1, endpoint => 'f')", &[&function]).await).await }
    };
    let inside = response("in").await;
    assert_eq!((inside.get::<_, &str>("state"), scene.peer.count("/there")), ("succeeded", 1));
    let outside = response("out").await;
    assert_eq!(outside.get::<_, &str>("error_class"), "blocked");
    assert_eq!(outside.get::<_, &str>("error"), format!("after a redirect: {ADDRESS}"));
    assert_eq!(hidden.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_list_is_told_when_it_is_set() {
    let scene = Scene::start().await;
    for (setting, value, detail) in [
        ("allowed_networks", "10.0.0.0/8, 10.0.0.0/33", "\"10.0.0.0/33\" is neither a network such as 10.0.0.0/8"),
        ("allowed_networks", "10.0.0.1/8", "the network is 10.0.0.0/8"),
        ("allowed_hosts", "good.example, *", "\"*\" is neither a host name"),
        ("denied_hosts", "http://host", "\"http://host\" is neither a host name"),
    ] {
        let error = scene.db.fails(&format!("alter system set pg_edge.{setting} = '{value}'")).await;
        assert_eq!(error.sqlstate, "22023");
        assert!(error.detail.contains(detail), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_superusers_see_and_open_the_guard() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    for setting in ["allowed_networks", "allowed_hosts", "denied_hosts", "ca_file", "tls_min_version"] {
        assert_eq!(ada.fails(&format!("show pg_edge.{setting}")).await.sqlstate, "42501");
        assert_eq!(ada.fails(&format!("alter system set pg_edge.{setting} = ''")).await.sqlstate, "42501");
        // What can only change for the whole cluster cannot be changed for a session or role, by nobody.
        for sql in ["set pg_edge.{} = ''", "alter role ada set pg_edge.{} = ''"] {
            let sql = sql.replace("{}", setting);
            assert!(["42501", "55P02"].contains(&ada.fails(&sql).await.sqlstate.as_str()), "{sql}");
            assert_eq!(scene.db.fails(&sql).await.sqlstate, "55P02", "{sql}");
        }
    }
}
