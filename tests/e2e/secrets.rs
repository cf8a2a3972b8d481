//! Secrets: set, replaced, dropped, put into headers, and what happens where that cannot be done.

mod access;
mod files;
mod keys;
mod vault;

use tokio_postgres::Row;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, Gate, Reply, eventually};
use crate::scene::{Scene, ended, refused};

/// Queues a GET of a URL with one header.
pub async fn with_header(db: &Db, url: &str, value: &str) -> i64 {
    let sql = "select edge.http_get_async($1, headers => jsonb_build_object('x-key', $2::text))";
    db.one_with(sql, &[&url, &value]).await
}

/// Queues a GET with one header, waits for its end, and gives what the peer saw of it.
pub async fn sent(scene: &Scene, db: &Db, value: &str) -> String {
    scene.peer.forget();
    let id = with_header(db, &scene.peer.url("/seen"), value).await;
    let response = ended(db, id).await;
    let error: Option<String> = response.get("error");
    assert_eq!(response.get::<_, String>("state"), "succeeded", "{error:?}");
    scene.peer.requests_for("/seen")[0].header("x-key").expect("the header was sent").to_owned()
}

/// Queues a GET with one header that has no value to send, and gives its error.
pub async fn unsent(scene: &Scene, db: &Db, value: &str) -> String {
    scene.peer.forget();
    let id = with_header(db, &scene.peer.url("/seen"), value).await;
    let response = ended(db, id).await;
    assert_eq!(class_and_state(&response), ("secret".to_owned(), "failed".to_owned()));
    assert_eq!(scene.peer.count("/seen"), 0, "the call was sent all the same");
    response.get("error")
}

fn class_and_state(response: &Row) -> (String, String) {
    (response.get::<_, Option<String>>("error_class").unwrap_or_default(), response.get("state"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_put_in_the_place_of_its_placeholder() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('api_key', 'hush'), edge.set_secret('b.2-c', 'a ${secret:api_key} é')").await;
    let table = [
        ("${secret:api_key}", "hush"),
        ("Bearer ${secret:api_key}!", "Bearer hush!"),
        ("${secret:api_key}${secret:api_key}", "hushhush"),
        // A value is never looked through again.
        ("${secret:b.2-c}", "a ${secret:api_key} é"),
        ("$${secret:api_key} ${other} $", "${secret:api_key} ${other} $"),
    ];
    for (given, seen) in table {
        assert_eq!(sent(&scene, &scene.db, given).await, seen, "{given}");
    }
    let content_type = "edge.http_async('POST', $1, 'x', content_type => 'text/${secret:api_key}')";
    let id = scene.call(content_type, "/type").await;
    ended(&scene.db, id).await;
    assert_eq!(scene.peer.requests_for("/type")[0].header("content-type"), Some("text/hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_value_is_sent_by_calls_that_wait_already_and_by_later_attempts() {
    let scene = Scene::start().await;
    // The second attempt comes after the pause, so the first one's answer waits for that.
    let gate = Gate::closed();
    scene.peer.sequence("/retried", [Reply::status(503).behind(&gate), Reply::status(200)]);
    scene.db.exec("select edge.set_secret('key', 'old')").await;
    assert_eq!(sent(&scene, &scene.db, "${secret:key}").await, "old");
    let retried = with_header(&scene.db, &scene.peer.url("/retried"), "${secret:key}").await;
    scene.peer.wait_for_path("/retried", 1).await;
    scene.db.exec("select edge.pause()").await;
    gate.open();
    let waiting = with_header(&scene.db, &scene.peer.url("/waiting"), "${secret:key}").await;
    scene.db.exec("select edge.set_secret('key', 'new')").await;
    scene.db.exec("begin; select edge.set_secret('key', 'never'); rollback").await;
    scene.db.exec("select edge.resume()").await;
    ended(&scene.db, waiting).await;
    ended(&scene.db, retried).await;
    assert_eq!(scene.peer.requests_for("/waiting")[0].header("x-key"), Some("new"));
    let seen: Vec<_> =
        scene.peer.requests_for("/retried").iter().map(|r| r.header("x-key").unwrap().to_owned()).collect();
    assert_eq!(seen, ["old", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_its_secret_fails_readably_and_can_be_replayed() {
    let scene = Scene::start().await;
    let id = with_header(&scene.db, &scene.peer.url("/seen"), "${secret:later}").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(class_and_state(&response), ("secret".to_owned(), "failed".to_owned()));
    assert_eq!(response.get::<_, String>("error"), "${secret:later} does not exist");
    assert_eq!(scene.db.column::<i64>("select id from edge.dead_letters").await, [id]);
    scene.db.exec("select edge.set_secret('later', 'here')").await;
    let replayed: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    assert_eq!(ended(&scene.db, replayed).await.get::<_, String>("state"), "succeeded");
    assert_eq!(scene.peer.requests_for("/seen")[0].header("x-key"), Some("here"));
    assert!(scene.db.one::<bool>("select edge.drop_secret('later')").await);
    assert!(!scene.db.one::<bool>("select edge.drop_secret('later')").await);
    assert_eq!(unsent(&scene, &scene.db, "${secret:later}").await, "${secret:later} does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_would_break_out_of_its_header_is_not_sent() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('lines', E'hush\\r\\nX-Other: 1')").await;
    let error = unsent(&scene, &scene.db, "Bearer ${secret:lines}").await;
    let why = "with the values of its placeholders, header \"x-key\" holds a line break or another control character";
    assert_eq!(error, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_that_cannot_be_sent_do_not_hold_up_the_rest() {
    let scene = Scene::start().await;
    let sql =
        "select edge.http_get_async($1, headers => '{\"x-key\": \"${secret:none}\"}') from generate_series(1, 2000)";
    scene.db.rows_with(sql, &[&scene.peer.url("/none")]).await;
    let good = scene.get("/good").await;
    assert_eq!(ended(&scene.db, good).await.get::<_, String>("state"), "succeeded");
    let last: i64 = scene.db.one("select max(id) from edge.calls where id < (select max(id) from edge.calls)").await;
    assert_eq!(class_and_state(&ended(&scene.db, last).await).0, "secret");
    let failed = "select count(*) from edge.calls where error_class = 'secret' and state = 'failed'";
    eventually("all have failed", SERVER_DEADLINE, || async { scene.db.one::<i64>(failed).await == 2000 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_when_it_is_set_or_queued() {
    let scene = Scene::start().await;
    let long = "a".repeat(64);
    for name in ["", "1a", "a b", "a}", "é", long.as_str()] {
        let refused = refused(&scene.db, "edge.set_secret($1, 'hush')", name).await;
        assert_eq!(refused.sqlstate, "22023", "{name}: {refused}");
        assert!(refused.message.contains("is not the name of a secret"), "{refused}");
    }
    assert_eq!(scene.db.fails("select edge.set_secret('a', '')").await.sqlstate, "22023");
    assert_eq!(scene.db.fails("select edge.set_secret('a', repeat('x', 65537))").await.sqlstate, "22023");
    for call in ["edge.set_secret(null, 'x')", "edge.set_secret('x', null)", "edge.drop_secret(null)"] {
        assert_eq!(scene.db.fails(&format!("select {call}")).await.sqlstate, "22004", "{call}");
    }
    for header in ["${secret:", "${secret:a b}", "${file:../x}", "x ${vault:}"] {
        let headers = format!("edge.http_get_async($1, headers => '{{\"x-key\": \"{header}\"}}')");
        assert_eq!(refused(&scene.db, &headers, &scene.peer.url("/")).await.sqlstate, "22023", "{header}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.secrets").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_shows_names_and_dates_and_never_values() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.set_secret('a', 'first')").await;
    scene.db.exec("select edge.set_secret('a', 'second')").await;
    let columns: Vec<String> = scene
        .db
        .column("select attname::text from pg_attribute where attrelid = 'edge.secrets'::regclass order by attnum")
        .await;
    assert_eq!(columns, ["name", "key_id", "created_at", "updated_at"]);
    assert!(
        scene
            .db
            .one::<bool>("select name = 'a' and updated_at > created_at and length(key_id) = 16 from edge.secrets")
            .await
    );
    let leaked = "select count(*) from edge_store.secret as s where s::text ~ 'first|second' or encode(ciphertext, 'escape') ~ 'first|second'";
    assert_eq!(scene.db.one::<i64>(leaked).await, 0);
}
