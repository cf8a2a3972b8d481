//! What a queued call looks like on the wire, and where it is seen in SQL.

use serde_json::{Value, json};

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Reply, Request, eventually};
use crate::scene::{Scene, ended};

/// The names of the arguments, as the SQL contract lists them.
const CONTRACT: [(&str, &str); 6] = [
    (
        "http_post_async",
        "url,body,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata",
    ),
    (
        "http_put_async",
        "url,body,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata",
    ),
    (
        "http_patch_async",
        "url,body,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata",
    ),
    (
        "http_get_async",
        "url,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata",
    ),
    (
        "http_delete_async",
        "url,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata,body",
    ),
    (
        "http_async",
        "method,url,body,content_type,params,headers,timeout,max_attempts,run_at,idempotency_key,stream,on_complete,endpoint,metadata",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_arguments_stand_in_the_order_of_the_contract() {
    let scene = Scene::start().await;
    for (function, names) in CONTRACT {
        let sql =
            format!("select array_to_string(proargnames, ',') from pg_proc where oid = 'edge.{function}'::regproc");
        let found: String = scene.db.one(&sql).await;
        assert!(found == names || found.starts_with(&format!("{names},")), "{function}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_function_sends_its_method_and_its_body() {
    let scene = Scene::start().await;
    let json = Some("application/json");
    let table = [
        ("edge.http_post_async($1)", "POST", json, "{}"),
        (r#"edge.http_post_async($1, '{"name":"Ada"}')"#, "POST", json, r#"{"name": "Ada"}"#),
        ("edge.http_post_async($1, body => null)", "POST", None, ""),
        (r#"edge.http_post_async(url => $1, body => '"text"')"#, "POST", json, r#""text""#),
        (r#"edge.http_put_async($1, '[1, 2]')"#, "PUT", json, "[1, 2]"),
        (r#"edge.http_patch_async($1, '{"a": null}')"#, "PATCH", json, r#"{"a": null}"#),
        ("edge.http_get_async($1)", "GET", None, ""),
        ("edge.http_delete_async($1)", "DELETE", None, ""),
        (r#"edge.http_delete_async($1, body => '{"id": 1}')"#, "DELETE", json, r#"{"id": 1}"#),
        ("edge.http_async('GET', $1)", "GET", None, ""),
        ("edge.http_async('put', $1, 'plain', 'text/plain')", "PUT", Some("text/plain"), "plain"),
        (r"edge.http_async('REPORT', $1, '\x6162')", "REPORT", Some("application/octet-stream"), "ab"),
        (
            r#"edge.http_post_async($1, '{}', headers => '{"content-type": "application/cloudevents+json"}')"#,
            "POST",
            Some("application/cloudevents+json"),
            "{}",
        ),
    ];
    for (number, (expression, method, content_type, body)) in table.into_iter().enumerate() {
        let path = format!("/{number}");
        let id = scene.call(expression, &path).await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded", "{expression}");
        let request = the_one(scene.peer.requests_for(&path));
        assert_eq!(request.method, method, "{expression}");
        assert_eq!(request.header("content-type"), content_type, "{expression}");
        assert_eq!(request.text(), body, "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_sent_as_they_are() {
    let scene = Scene::start().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let sql = "select edge.http_async('POST', $1, $2, 'image/png')";
    let id: i64 = scene.db.one_with(sql, &[&scene.peer.url("/bytes"), &bytes]).await;
    ended(&scene.db, id).await;
    assert!(the_one(scene.peer.requests()).body == bytes, "the body was changed on its way");
}

#[tokio::test(flavor = "multi_thread")]
async fn params_are_appended_and_percent_encoded() {
    let scene = Scene::start().await;
    let table = [
        ("/p", r#"{"q": "x y&z=ä/+", "n": 1.50, "b": true}"#, "b=true&n=1.50&q=x%20y%26z%3D%C3%A4%2F%2B"),
        ("/p", r#"{"tag": ["a", "b", 3]}"#, "tag=a&tag=b&tag=3"),
        ("/p?given=a+b", r#"{"more": ""}"#, "given=a+b&more="),
        ("/p?given=1#fragment", "{}", "given=1"),
        ("/p", r#"{"none": []}"#, ""),
        ("/p", r#"{"n": 123456789012345678901234567890}"#, "n=123456789012345678901234567890"),
    ];
    for (path, params, query) in table {
        scene.peer.forget();
        let sql = "select edge.http_get_async($1, $2::text::jsonb)";
        let id: i64 = scene.db.one_with(sql, &[&scene.peer.url(path), &params]).await;
        ended(&scene.db, id).await;
        assert_eq!(the_one(scene.peer.requests()).query, query, "{params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_sent_and_an_array_repeats_one() {
    let scene = Scene::start().await;
    let headers = r#"{"X-One": "a", "x-many": ["1", 2, true], "user-agent": "mine", "x-utf8": "ä"}"#;
    let id = scene.call(&format!("edge.http_get_async($1, headers => '{headers}')"), "/h").await;
    ended(&scene.db, id).await;
    let request = the_one(scene.peer.requests());
    let all = |name: &str| -> Vec<&str> {
        request.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("x-one"), ["a"]);
    assert_eq!(all("x-many"), ["1", "2", "true"]);
    assert_eq!(all("user-agent"), ["mine"]);
    assert_eq!(all("x-utf8"), ["ä"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_carries_one_key_and_its_own_number() {
    let scene = Scene::start().await;
    scene.peer.sequence("/made", [Reply::status(503), Reply::status(200)]);
    scene.peer.sequence("/given", [Reply::status(503), Reply::status(200)]);
    let made = scene.get("/made").await;
    let given = scene.call("edge.http_get_async($1, idempotency_key => 'order-7')", "/given").await;
    ended(&scene.db, made).await;
    ended(&scene.db, given).await;
    for (path, key) in [("/made", None), ("/given", Some("order-7"))] {
        let tries = scene.peer.requests_for(path);
        let numbers: Vec<_> = tries.iter().map(|request| request.header("x-edge-attempt")).collect();
        assert_eq!(numbers, [Some("1"), Some("2")], "{path}");
        let keys: Vec<_> = tries.iter().map(|request| request.header("idempotency-key").expect("a key")).collect();
        assert_eq!(keys[0], keys[1], "{path}");
        assert!(key.is_none_or(|key| key == keys[0]), "{keys:?}");
    }
    let other = scene.get("/other").await;
    ended(&scene.db, other).await;
    let keys =
        ["/made", "/other"].map(|path| scene.peer.requests_for(path)[0].header("idempotency-key").map(str::to_owned));
    assert_ne!(keys[0], keys[1], "two calls have two keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_run_at_is_not_sent_before() {
    let scene = Scene::start().await;
    let later = scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '2 s')", "/later").await;
    let far = scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '1 day')", "/far").await;
    let past = scene.call("edge.http_get_async($1, run_at => '2000-01-01')", "/past").await;
    ended(&scene.db, past).await;
    let response = ended(&scene.db, later).await;
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    let sql = "select c.finished_at >= c.run_at and a.started_at >= c.run_at
               from edge.calls as c join edge.attempts as a on a.call_id = c.id where c.id = $1";
    assert!(scene.db.one_with::<bool>(sql, &[&later]).await, "it was sent before its time");
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&far]).await, "pending");
    assert_eq!((scene.peer.count("/later"), scene.peer.count("/far")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_show_what_became_of_calls() {
    let scene = Scene::start().await;
    scene.peer.on("/gone", Reply::status(410)).on("/in", Reply::json(200, &json!({})));
    let metadata = r#"{"order": 7, "exact": 1.00}"#;
    let good =
        scene.call(&format!("edge.http_post_async($1, metadata => '{metadata}')"), "/in?api_key=hush&page=2").await;
    let bad = scene.get("/gone").await;
    ended(&scene.db, good).await;
    ended(&scene.db, bad).await;
    let calls =
        "select jsonb_agg(to_jsonb(c) - '{queued_at,finished_at,run_at}'::text[] order by id) from edge.calls as c";
    let origin = scene.peer.url("");
    let expected = json!([
        {"id": good, "owner": "postgres", "endpoint": origin, "method": "POST", "state": "succeeded", "attempts": 1,
         "url": format!("{origin}/in?api_key=***&page=2"), "status_code": 200, "error": null, "error_class": null,
         "metadata": {"order": 7, "exact": 1.0}, "replay_of": null, "events": null, "dialect": null, "usage": null},
        {"id": bad, "owner": "postgres", "endpoint": origin, "method": "GET", "state": "failed", "attempts": 1,
         "url": format!("{origin}/gone"), "status_code": 410, "error": "the peer answered 410 Gone",
         "error_class": "http", "metadata": null, "replay_of": null, "events": null, "dialect": null, "usage": null},
    ]);
    assert_eq!(scene.db.one::<Value>(calls).await, expected);
    assert_eq!(scene.db.column::<i64>("select id from edge.dead_letters").await, [bad]);
    let attempts = "select format('%s/%s/%s/%s', call_id, attempt, status_code, error_class) from edge.attempts
                    where total >= first_byte and remote is not null and started_at is not null order by call_id";
    assert_eq!(scene.db.column::<String>(attempts).await, [format!("{good}/1/200/"), format!("{bad}/1/410/http")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_sent_only_when_its_transaction_has_committed() {
    let scene = Scene::start().await;
    let sql = format!(
        "begin; select edge.http_get_async('{}'); savepoint s; select edge.http_get_async('{}'); rollback to s",
        scene.peer.url("/kept"),
        scene.peer.url("/undone")
    );
    scene.db.exec(&sql).await;
    let witness = scene.cluster.connect().await;
    let other = crate::scene::get(&witness, &scene.peer.url("/witness")).await;
    ended(&witness, other).await;
    assert_eq!(scene.peer.count("/kept"), 0, "it was sent before its commit");
    scene.db.exec("commit").await;
    eventually("the kept call arrives", SERVER_DEADLINE, || async { scene.peer.count("/kept") == 1 }).await;
    let last = scene.get("/last").await;
    ended(&scene.db, last).await;
    assert_eq!(scene.peer.count("/undone"), 0, "what was rolled back was sent");
}

fn the_one(mut requests: Vec<Request>) -> Request {
    assert_eq!(requests.len(), 1, "one request was awaited");
    requests.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_without_a_body_says_that_it_has_none() {
    let scene = Scene::start().await;
    for call in ["edge.http_post_async($1, null)", "edge.http_async('PUT', $1)", "edge.http_async('PATCH', $1, '')"] {
        scene.peer.forget();
        let id = scene.call(call, "/x").await;
        ended(&scene.db, id).await;
        assert_eq!(scene.peer.requests()[0].header("content-length"), Some("0"), "{call}");
    }
    scene.peer.forget();
    let id = scene.call("edge.http_get_async($1)", "/x").await;
    ended(&scene.db, id).await;
    assert_eq!(scene.peer.requests()[0].header("content-length"), None, "a GET has none to speak of");
}
