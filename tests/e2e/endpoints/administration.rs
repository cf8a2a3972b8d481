//! Making, changing and removing endpoints, and what that does to calls that wait.

use crate::endpoints::{create, post};
use crate::faults::SOON;
use crate::harness::{Gate, Peer, Reply, eventually, programs};
use crate::scene::{Scene, ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_base_takes_effect_for_calls_that_wait() {
    let scene = Scene::start().await;
    let elsewhere = Peer::start().await;
    elsewhere.otherwise(|_| Reply::status(200));
    create(&scene, "").await;
    scene.db.exec("select edge.disable_endpoint('crm', 'moving house')").await;
    let calls = [post(&scene.db, "orders/1").await, post(&scene.db, "/orders/2?a=b").await];
    scene.db.exec(&format!("select edge.alter_endpoint('crm', '{}')", elsewhere.url("/v2/"))).await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    for id in calls {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    assert_eq!((elsewhere.count("/v2/orders/1"), elsewhere.count("/v2/orders/2")), (1, 1));
    assert!(scene.peer.requests().is_empty(), "nothing went to the old base");
    let shown = format!("select url from edge.calls where id = {}", calls[1]);
    assert_eq!(scene.db.one::<String>(&shown).await, elsewhere.url("/v2/orders/2?a=b"));
    scene.db.exec("select edge.alter_endpoint('crm', 'https://somewhere.else')").await;
    assert_eq!(
        scene.db.one::<String>(&shown).await,
        elsewhere.url("/v2/orders/2?a=b"),
        "where it went does not change"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_headers_and_limits_take_effect_for_calls_that_wait() {
    let scene = Scene::start().await;
    create(&scene, r#", headers => '{"x-tier": "free", "x-kept": "yes"}'"#).await;
    scene.peer.on("/hangs", Reply::hang());
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    let (quick, slow) = (post(&scene.db, "quick").await, post(&scene.db, "hangs").await);
    scene
        .db
        .exec(
            r#"select edge.alter_endpoint('crm', headers => '{"x-tier": "paid"}', timeout => '3 s',
                     retry => edge.retry_policy(max_attempts => 1))"#,
        )
        .await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    ended(&scene.db, quick).await;
    let request = &scene.peer.requests_for("/quick")[0];
    assert_eq!((request.header("x-tier"), request.header("x-kept")), (Some("paid"), None));
    let response = ended(&scene.db, slow).await;
    assert_eq!(response.get::<_, &str>("error_class"), "timeout");
    assert!(response.get::<_, &str>("error").contains("3 s"), "{}", response.get::<_, &str>("error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_endpoint_keeps_its_calls_over_a_restart() {
    let mut scene = Scene::start().await;
    create(&scene, "").await;
    scene.db.exec("select edge.disable_endpoint('crm', 'maintenance until noon')").await;
    let id = post(&scene.db, "later").await;
    let other = scene.get("/now").await;
    ended(&scene.db, other).await;
    scene.cluster.restart(crate::harness::Stop::Fast);
    let db = scene.cluster.connect().await;
    let other = crate::scene::get(&db, &scene.peer.url("/now")).await;
    ended(&db, other).await;
    assert_eq!(scene.peer.count("/later"), 0);
    assert_eq!(db.one_with::<String>("select edge.status($1)", &[&id]).await, "pending");
    let note: String = db.one("select note from edge.endpoints where name = 'crm' and not enabled").await;
    assert_eq!(note, "maintenance until noon");
    db.exec("select edge.enable_endpoint('crm')").await;
    assert_eq!(ended(&db, id).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_with_waiting_calls_is_dropped_only_by_force_and_its_calls_fail_readably() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/hangs", Reply::gate(&gate));
    create(&scene, ", max_concurrency => 1").await;
    let on_wire = post(&scene.db, "hangs").await;
    eventually("one is on the wire", SOON, || async { scene.peer.in_flight() == 1 }).await;
    let waiting = post(&scene.db, "hangs").await;
    let put_off: i64 = scene
        .db
        .one("select edge.http_post_async('later', endpoint => 'crm', run_at => now() + interval '1 hour')")
        .await;
    let refused = scene.db.fails("select edge.drop_endpoint('crm')").await;
    assert_eq!(
        (refused.sqlstate.as_str(), refused.message.as_str()),
        ("55006", "endpoint \"crm\" has calls that have not ended")
    );
    scene.db.exec("select edge.drop_endpoint('crm', force => true)").await;
    for id in [waiting, put_off] {
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), "failed");
        assert_eq!(
            response.get::<_, &str>("error"),
            "there is no endpoint \"crm\": it was dropped, or is still to be made"
        );
    }
    gate.open();
    assert_eq!(ended(&scene.db, on_wire).await.get::<_, &str>("state"), "succeeded", "it was on its way");
    // There is an endpoint of that name again, and its dead letters find it.
    create(&scene, "").await;
    assert_eq!(scene.db.one::<i64>("select edge.replay_dead('crm')").await, 2);
    let states: Vec<String> =
        scene.db.column("select (edge.wait(id, '60 s')).state from edge.calls where replay_of is not null").await;
    assert_eq!(states, ["succeeded", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_schedules_call_is_dropped_only_by_force_and_they_stop_at_once() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    scene.db.exec("select edge.schedule_invoke('digest', '@daily', 'f', endpoint => 'crm')").await;
    let refused = scene.db.fails("select edge.drop_endpoint('crm')").await;
    assert_eq!(
        (refused.sqlstate.as_str(), refused.message.as_str()),
        ("55006", "endpoint \"crm\" is called by 1 schedule(s), such as \"digest\"")
    );
    scene.db.exec("select edge.drop_endpoint('crm', force => true)").await;
    let row = &scene.db.rows("select active, next_run_at is null, note, noted_by from edge.schedules").await[0];
    assert!(!row.get::<_, bool>(0) && row.get::<_, bool>(1));
    assert!(row.get::<_, &str>(2).starts_with("its endpoint \"crm\" was dropped"), "{}", row.get::<_, &str>(2));
    assert_eq!(row.get::<_, &str>(3), "postgres");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_unfinished_calls_is_simply_dropped() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    let id = post(&scene.db, "done").await;
    ended(&scene.db, id).await;
    scene.db.exec("select edge.drop_endpoint('crm')").await;
    let refused = scene.db.fails("select edge.http_get_async('x', endpoint => 'crm')").await;
    assert_eq!((refused.sqlstate.as_str(), refused.message.as_str()), ("42704", "endpoint \"crm\" does not exist"));
    let (endpoint, url): (String, String) = {
        let row = &scene.db.rows(&format!("select endpoint, url from edge.calls where id = {id}")).await[0];
        (row.get(0), row.get(1))
    };
    assert_eq!((endpoint, url), ("crm".to_owned(), scene.peer.url("/done")), "what it was is still known");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_an_endpoint_that_is_rolled_back_changes_nothing() {
    let scene = Scene::start().await;
    scene.db.exec(&format!("begin; select edge.create_endpoint('crm', '{}'); rollback", scene.peer.url(""))).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.endpoints").await, 0);
    create(&scene, "").await;
    let again = scene.db.fails("select edge.create_endpoint('crm', 'https://example.com')").await;
    assert_eq!(again.sqlstate, "42710");
    scene.db.exec("begin; select edge.disable_endpoint('crm'); rollback").await;
    let id = post(&scene.db, "sent").await;
    ended(&scene.db, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_and_calls_queued_together_are_sent_together() {
    let scene = Scene::start().await;
    let id: i64 = {
        scene.db.exec(&format!("begin; select edge.create_endpoint('default', '{}')", scene.peer.url("/f"))).await;
        let id = scene.db.one("select edge.invoke('hello')").await;
        scene.db.exec("commit").await;
        id
    };
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.count("/f/hello"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_with_access_call_endpoints_and_only_superusers_make_them() {
    let scene = Scene::start().await;
    let app = scene.role("app").await;
    scene.db.exec("select edge.set_secret('x', 'v')").await;
    create(&scene, r#", headers => '{"apikey": "typed-in-clear", "accept": "text/html", "x": "${secret:x}"}'"#).await;
    for statement in [
        "select edge.create_endpoint('mine', 'https://example.com')",
        "select edge.alter_endpoint('crm', 'https://example.com')",
        "select edge.drop_endpoint('crm')",
        "select edge.disable_endpoint('crm')",
        "select edge.enable_endpoint('crm')",
        "select * from edge_store.endpoint",
    ] {
        assert_eq!(app.fails(statement).await.sqlstate, "42501", "{statement}");
    }
    let id = post(&app, "hello").await;
    ended(&app, id).await;
    let headers: serde_json::Value = app.one("select headers from edge.endpoints").await;
    assert_eq!(headers, serde_json::json!({"apikey": "***", "accept": "text/html", "x": "${secret:x}"}));
    // The origins of bare URLs that others call are not shown to it.
    ended(&scene.db, scene.get("/private").await).await;
    // Whoever waits for an answer is woken before it is shown.
    let both = "select count(*) = 2 from edge.stat_endpoints";
    eventually("both are shown to a superuser", SOON, || scene.db.one::<bool>(both)).await;
    let seen: Vec<String> = app.column("select endpoint from edge.stat_endpoints").await;
    assert_eq!(seen, ["crm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_its_endpoint_and_can_be_cancelled_there() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    let id = post(&scene.db, "never").await;
    reaches(&scene.db, id, "pending").await;
    scene.db.exec(&format!("select edge.cancel({id})")).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "cancelled");
    assert_eq!(scene.peer.count("/never"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_carries_the_endpoints() {
    let scene = Scene::start().await;
    create(&scene, r#", headers => '{"x-tier": "paid"}', max_rate => 5, retry => '"durable"'"#).await;
    scene.db.exec("create database copy").await;
    let dump = scene.cluster.socket_dir().join("dump.sql");
    let mut pg_dump = programs::server_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(scene.cluster.socket_dir());
    programs::run(pg_dump.arg("--file").arg(&dump));
    let mut psql = scene.cluster.psql_command();
    programs::run(psql.args(["--quiet", "--dbname=copy", "--file"]).arg(&dump));
    let copy = scene.cluster.connect_as("postgres", "copy").await;
    let row = &copy.rows("select base_url, headers, max_rate, retry from edge.endpoints").await[0];
    assert_eq!(row.get::<_, &str>(0), scene.peer.url("/"));
    assert_eq!(row.get::<_, serde_json::Value>(1), serde_json::json!({"x-tier": "***"}));
    assert_eq!((row.get::<_, f64>(2), row.get::<_, serde_json::Value>(3)), (5.0, serde_json::json!("durable")));
    let id = post(&copy, "hello").await;
    assert_eq!(ended(&copy, id).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_an_endpoint_can_be_taken_back() {
    let scene = Scene::start().await;
    create(&scene, ", timeout => '1 s', max_rate => 5, retry => '\"durable\"', max_concurrency => 2").await;
    scene.db.exec("select edge.alter_endpoint('crm', max_concurrency => 3, reset => '{timeout,max_rate,retry}')").await;
    let open: bool = scene
        .db
        .one(
            "select timeout is null and max_rate is null and retry is null and max_concurrency = 3 from edge.endpoints",
        )
        .await;
    assert!(open);
    let refused = scene.db.fails("select edge.alter_endpoint('crm', reset => '{base_url}')").await;
    assert_eq!(refused.sqlstate, "22023");
    let refused = scene.db.fails("select edge.alter_endpoint('crm', client_certificate => '${secret:x}')").await;
    assert!(refused.message.contains("together with client_key"), "{}", refused.message);
}
