//! What cannot become a call is refused when it is queued: with the right SQLSTATE, and a sentence that says what is
//! wrong with which value.

use crate::harness::Cluster;
use crate::scene::{Scene, call, ended, refused};

const GOOD: &str = "http://127.0.0.1:1/";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_url_is_refused() {
    let scene = Scene::start().await;
    let table = [
        ("", "the URL \"\" cannot be parsed: it must begin with https://"),
        ("/functions/v1/hello", "it must begin with https:// or http://"),
        ("not a url", "it must begin with https:// or http://"),
        ("http://", "empty host"),
        ("http://[::1", "invalid IPv6 address"),
        ("http://host:99999/", "invalid port number"),
        ("http://999.1.1.1/", "invalid IPv4 address"),
        ("ftp://host/file", "the URL scheme \"ftp\" is not supported; use http or https"),
        ("file:///etc/passwd", "the URL scheme \"file\" is not supported"),
        ("javascript:alert(1)", "the URL scheme \"javascript\" is not supported"),
    ];
    for (url, words) in table {
        let error = refused(&scene.db, "edge.http_get_async($1)", url).await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{url}: {error}");
    }
    assert_eq!(scene.db.fails("select edge.http_get_async(null)").await.message, "url must not be null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_a_url_is_refused_and_not_repeated() {
    let scene = Scene::start().await;
    for url in [
        "http://ada:hush@host/",
        "https://:hush@host/",
        "http://hush@host/",
        "http://ada:hush@host:99999/",
        "http://ada:hush@/",
        "http://host:99999/?token=hush",
    ] {
        let error = refused(&scene.db, "edge.http_get_async($1)", url).await;
        assert_eq!(error.sqlstate, "22023", "{error}");
        assert!(!error.to_string().contains("hush"), "the password is in the error: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_are_refused_each_with_its_reason() {
    let scene = Scene::start().await;
    let table = [
        (r#"headers => '{"a b": "v"}'"#, "22023", "\"a b\" is not a valid header name"),
        (r#"headers => '{"": "v"}'"#, "22023", "\"\" is not a valid header name"),
        (r#"headers => '{"a\r\nb": "v"}'"#, "22023", r#""a\r\nb" is not a valid header name"#),
        (r#"headers => '{"ä": "v"}'"#, "22023", "is not a valid header name"),
        (r#"headers => '{"x": "a\r\nevil: 1"}'"#, "22023", "the value of header \"x\" holds a carriage return"),
        (r#"headers => '{"x": "a\nb"}'"#, "22023", "the value of header \"x\" holds"),
        (r#"headers => '{"x": "a\u007fb"}'"#, "22023", "the value of header \"x\" holds"),
        (r#"headers => '{"x": null}'"#, "22023", "the value of \"x\" must be a string"),
        (r#"headers => '{"x": {"y": 1}}'"#, "22023", "not an object"),
        (r#"headers => '{"x": [["y"]]}'"#, "22023", "not an array"),
        (
            r#"headers => '["x"]'"#,
            "22023",
            "headers are wrong: it must be a JSON object of names and values, not an array",
        ),
        (r#"headers => '"x: y"'"#, "22023", "not a string"),
        ("headers => 'null'", "22023", "not null"),
        (
            r#"headers => '{"Accept": "a", "Content-Length": "1"}'"#,
            "22023",
            "header \"Content-Length\" is set by pg_edge itself",
        ),
        // It would send an endpoint's secrets to another site of the same server, and evade pg_edge.denied_hosts.
        (r#"headers => '{"hOST": "other.example"}'"#, "22023", "header \"hOST\" is set by pg_edge itself"),
        (r#"headers => '{"transfer-encoding": "chunked"}'"#, "22023", "is set by pg_edge itself"),
        (r#"headers => '{"Connection": "close"}'"#, "22023", "is set by pg_edge itself"),
        (r#"params => '[1]'"#, "22023", "params are wrong: it must be a JSON object of names and values, not an array"),
        (r#"params => '{"a": {"b": 1}}'"#, "22023", "the value of \"a\" must be"),
        (r#"params => '{"a": null}'"#, "22023", "not null"),
        ("timeout => '0'", "22023", "timeout must be at least one millisecond and at most one day, not 0 s"),
        ("timeout => '-1 s'", "22023", "not -1 s"),
        ("timeout => '2 days'", "22023", "at most one day"),
        ("timeout => '178000000 years'", "22023", "at most one day"),
        ("max_attempts => 0", "22023", "max_attempts must be between 1 and 1000, not 0"),
        ("max_attempts => -3", "22023", "not -3"),
        ("max_attempts => 100000", "22023", "not 100000"),
        ("run_at => 'infinity'", "22023", "run_at must be a finite time, not infinity"),
        ("run_at => '-infinity'", "22023", "run_at must be a finite time"),
        ("idempotency_key => ''", "22023", "idempotency_key must be 1 to 255 bytes long, not 0 bytes"),
        ("idempotency_key => repeat('k', 256)", "22023", "not 256 bytes"),
        ("idempotency_key => E'a\\nb'", "22023", "holds a carriage return, line feed"),
        ("endpoint => 'nowhere'", "42704", "endpoint \"nowhere\" does not exist"),
        (
            "stream => 'television'",
            "22023",
            "there is no stream format \"television\"; there are sse, ndjson, raw and auto",
        ),
    ];
    for (argument, sqlstate, words) in table {
        let error = refused(&scene.db, &format!("edge.http_get_async($1, {argument})"), GOOD).await;
        assert!(error.sqlstate == sqlstate && error.message.contains(words), "{argument}: {error}");
    }
    for (method, words) in [
        ("TRACE", "\"TRACE\" is not an HTTP method"),
        ("track", "\"track\" is not an HTTP method"),
        ("", "\"\" is not an HTTP method"),
        ("GE T", "is not an HTTP method"),
        ("CONNECT", "is not an HTTP method"),
        ("GET\r\nX: y", r#""GET\r\nX: y" is not"#),
    ] {
        let sql = format!("edge.http_async(E'{}', $1)", method.replace('\r', "\\r").replace('\n', "\\n"));
        let error = refused(&scene.db, &sql, GOOD).await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{method}: {error}");
    }
    let error = refused(&scene.db, "edge.http_async('PUT', $1, 'x', E'text/plain\\r\\nevil: 1')", GOOD).await;
    assert!(error.message.contains("the value of header \"Content-Type\" holds"), "{error}");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_sent() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_request_bytes", "1000")).await;
    let sql = "edge.http_async('PUT', $1, convert_to(repeat('x', 1001), 'UTF8'))";
    let error = refused(&scene.db, sql, GOOD).await;
    assert_eq!(error.sqlstate, "22023");
    assert!(error.message.contains("has 1001 bytes, more than the 1000 of max_request_bytes"), "{error}");
    let id = scene.call("edge.http_async('PUT', $1, convert_to(repeat('x', 1000), 'UTF8'))", "/full").await;
    ended(&scene.db, id).await;
    assert_eq!(scene.peer.requests()[0].body.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_sent_digit_for_digit() {
    let scene = Scene::start().await;
    let body = r#"{"a": 123456789012345678901234567890.5, "b": 1.10, "c": 1e400}"#;
    let sql = format!("edge.http_post_async($1, '{body}')");
    let id = scene.call(&sql, "/exact").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let sent = scene.peer.requests()[0].text().to_owned();
    let jsonb: String = scene.db.one(&format!("select '{body}'::jsonb::text")).await;
    assert_eq!(sent, jsonb);
    assert!(sent.contains("123456789012345678901234567890.5") && sent.contains("1.10"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_given_as_null_count_as_not_given() {
    let scene = Scene::start().await;
    let sql = "edge.http_get_async($1, null, null, null, null, null, null, null, null, null, null)";
    let id = call(&scene.db, sql, &scene.peer.url("/nulls")).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_in_a_database_without_an_encoding_is_refused() {
    let scene = Scene::start().await;
    scene.db.exec("create database raw encoding 'SQL_ASCII' template template0").await;
    let db = scene.cluster.create_extension("raw").await;
    let raw = r"convert_from('\xff', 'SQL_ASCII')";
    let table = [
        (format!("edge.http_get_async($1 || {raw})"), "url"),
        (format!("edge.http_get_async($1, idempotency_key => {raw})"), "idempotency_key"),
        (format!("edge.http_async('PUT', $1, 'x', {raw})"), "content_type"),
        (format!("edge.http_post_async($1, to_jsonb({raw}))"), "body"),
        (format!("edge.http_get_async($1, headers => jsonb_build_object('x', {raw}))"), "headers"),
        (format!("edge.http_get_async($1, params => jsonb_build_object('x', {raw}))"), "params"),
        (format!("edge.replay_dead($1 || {raw})"), "endpoint"),
    ];
    for (expression, argument) in table {
        let error = refused(&db, &expression, &scene.peer.url("/")).await;
        let said = (error.sqlstate.as_str(), error.message.as_str());
        assert_eq!(said, ("22021", format!("{argument} is not valid UTF-8").as_str()), "{expression}");
    }
    let id = call(&db, "edge.http_get_async($1)", &scene.peer.url("/fine")).await;
    assert_eq!(ended(&db, id).await.get::<_, &str>("state"), "succeeded");
}
