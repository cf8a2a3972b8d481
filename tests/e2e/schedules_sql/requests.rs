//! What schedules are given is checked when they are made, and what they run is kept as it was checked.

use crate::harness::Cluster;
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_sent_or_run_is_an_error_when_it_is_said() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    db.exec("select edge.create_endpoint('crm', 'https://crm.example.com', max_request_bytes => 10)").await;
    for (statement, sqlstate, says) in [
        ("edge.schedule('s', '@daily', 'selec 1')", "42601", "syntax error at or near \"selec\""),
        ("edge.schedule('s', '@daily', ' -- nothing')", "22023", "holds no statement"),
        ("edge.schedule('s', '@daily', null)", "22004", "command must not be null"),
        ("edge.schedule('s', '@dayly', 'select 1')", "22023", "@dayly"),
        ("edge.schedule('s', '0 25 * * *', 'select 1')", "22023", "hour"),
        ("edge.schedule('s', '0 0 30 2 *', 'select 1')", "22023", "never runs"),
        ("edge.schedule('', '@daily', 'select 1')", "22023", "name must be 1 to 255 bytes"),
        ("edge.schedule(repeat('x', 256), '@daily', 'select 1')", "22023", "not 256 bytes"),
        ("edge.schedule('s', '@daily', 'select 1', overlap => 'queue')", "22023", "skip, queue_one, allow or cancel"),
        ("edge.schedule('s', '@daily', 'select 1', catchup => 'two')", "22023", "one, skip or all"),
        ("edge.schedule('s', '@daily', 'select 1', catchup_window => '-1 s')", "22023", "catchup_window"),
        ("edge.schedule('s', '@daily', 'select 1', catchup_window => '361 days -1 year')", "22023", "negative part"),
        ("edge.schedule('s', '@daily', 'select 1', jitter => '1 day -1 hour')", "22023", "negative part"),
        ("edge.schedule('s', '@daily', 'select 1', jitter => '25 hours')", "22023", "jitter"),
        ("edge.schedule('s', '@daily', 'select 1', dst => 'summer')", "22023", "dst must be vixie, skip or literal"),
        ("edge.schedule('s', '@daily', 'select 1', starts_at => 'infinity')", "22023", "starts_at"),
        (
            "edge.schedule('s', '@daily', 'select 1', starts_at => '2090-01-02', ends_at => '2090-01-01')",
            "22023",
            "ends_at",
        ),
        (
            "edge.schedule('s', '@yearly', 'select 1', starts_at => '2090-01-02', ends_at => '2090-01-03')",
            "22023",
            "would never run",
        ),
        ("edge.schedule('s', '@daily', 'select 1', timeout => '25 days')", "22023", "24 days"),
        ("edge.schedule('s', '@daily', 'select 1', max_attempts => 0)", "22023", "max_attempts"),
        ("edge.schedule('s', '@daily', 'select 1', active => null)", "22004", "active must not be null"),
        (
            "edge.schedule_invoke('s', '@daily', 'f', endpoint => 'nowhere')",
            "42704",
            "endpoint \"nowhere\" does not exist",
        ),
        ("edge.schedule_invoke('s', '@daily', '../f', endpoint => 'crm')", "22023", "../f"),
        (
            "edge.schedule_invoke('s', '@daily', 'f', '\"more than ten\"', endpoint => 'crm')",
            "22023",
            "body has 13 bytes",
        ),
        ("edge.schedule_http('s', '@daily', 'example.com')", "22023", "example.com"),
        ("edge.schedule_http('s', '@daily', 'https://u:p@example.com/')", "22023", "password"),
        ("edge.schedule_http('s', '@daily', 'https://x.y/', headers => '{\"a\": \"b\\r\\nc: d\"}')", "22023", "\"a\""),
        ("edge.schedule_http('s', '@daily', 'https://x.y/', method => 'TRACE')", "22023", "TRACE"),
        ("edge.schedule_http('s', '@daily', 'https://x.y/', timeout => '2 days')", "22023", "one day"),
        ("edge.next_runs('@daily', n => 0)", "22023", "between 1 and 1000"),
        ("edge.describe_schedule('* * *')", "22023", "3 fields"),
        ("edge.pause_schedule('s')", "42704", "schedule \"s\" does not exist"),
        ("edge.resume_schedule('s')", "42704", "schedule \"s\" does not exist"),
        ("edge.run_now('s')", "42704", "schedule \"s\" does not exist"),
        ("edge.backfill('s', '2020-01-01', '2020-01-02')", "42704", "schedule \"s\" does not exist"),
        ("edge.backfill('s', '2020-01-01', '2090-01-02')", "22023", "a time that has passed"),
        ("edge.import_pg_cron()", "55000", "pg_cron is not in this database"),
    ] {
        let error = db.fails(&format!("select {statement}")).await;
        assert_eq!(error.sqlstate, sqlstate, "{statement}: {error}");
        assert!(error.message.contains(says), "{statement}: {error}");
    }
    assert_eq!(db.one::<i64>("select count(*) from edge.schedules").await, 0);
    assert!(!db.one::<bool>("select edge.unschedule('s')").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_what_was_said_with_the_key_of_its_slot() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(&format!(
            "select edge.create_endpoint('crm', '{}', headers => '{{\"x-tier\": \"paid\"}}')",
            scene.peer.url("/v2")
        ))
        .await;
    scene.db.exec("select edge.schedule_invoke('f', '@yearly', 'digest', '\"hello\"', endpoint => 'crm', headers => '{\"x-own\": \"1\"}')").await;
    let url = scene.peer.url("/plain?q=1");
    scene
        .db
        .exec(&format!("select edge.schedule_http('p', '@yearly', '{url}', '{{\"n\": 1.50}}', method => 'PUT')"))
        .await;
    scene.db.exec(&format!("select edge.schedule_http('g', '@yearly', '{url}', method => 'get')")).await;
    for name in ["f", "p", "g"] {
        let id: i64 = scene.db.one(&format!("select edge.run_now('{name}')")).await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    let f = &scene.peer.requests_for("/v2/digest")[0];
    assert_eq!((f.method.as_str(), f.header("x-tier"), f.header("x-own")), ("POST", Some("paid"), Some("1")));
    assert_eq!((f.header("content-type"), f.body.as_ref()), (Some("text/plain"), b"hello".as_slice()));
    let plain = scene.peer.requests_for("/plain");
    let (put, get) = (&plain[0], &plain[1]);
    assert_eq!((put.method.as_str(), put.body.as_ref()), ("PUT", br#"{"n": 1.50}"#.as_slice()));
    assert_eq!((get.method.as_str(), get.body.as_ref(), get.header("content-type")), ("GET", b"".as_slice(), None));
    let keys: Vec<Option<&str>> = [f, put, get].iter().map(|request| request.header("idempotency-key")).collect();
    assert!(keys.iter().all(Option::is_some) && keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
    let metadata: serde_json::Value = scene.db.one("select metadata from edge.calls where method = 'PUT'").await;
    assert_eq!(metadata["schedule"], "p");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_for_a_secret_takes_the_right_to_set_one() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    let say = "select edge.schedule_http('s', '@daily', 'https://x.y/', headers => '{\"k\": \"${secret:x}\"}')";
    assert_eq!(ada.fails(say).await.sqlstate, "42501");
    scene.db.exec("grant execute on function edge.set_secret to ada").await;
    ada.exec(say).await;
}
