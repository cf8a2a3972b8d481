//! What could not be opened, sent or said is an error there and then, in a sentence.

use super::{open, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_are_refused_each_with_its_reason() {
    let (_cluster, db) = quiet().await;
    db.exec("select edge.create_endpoint('fn', 'https://f.example/v1')").await;
    db.exec("create function takes_text(text) returns void language sql as 'select'").await;
    db.exec("create function gives_set(edge.ws_message) returns setof int language sql as 'select 1'").await;
    db.exec("create function hears_calls(edge.response) returns void language sql as 'select'").await;
    for (arguments, sqlstate, says) in [
        ("null, 'wss://h/'", "22004", "name must not be null"),
        ("'', 'wss://h/'", "22023", "name must be 1 to 255 bytes long, not 0 bytes"),
        ("repeat('x', 256), 'wss://h/'", "22023", "not 256 bytes"),
        ("E'a\\nb', 'wss://h/'", "22023", "name must be without control characters"),
        ("'r', null", "22004", "url must not be null"),
        ("'r', ''", "22023", "the URL \"\" cannot be parsed: it must begin with wss:// or ws://"),
        ("'r', 'room'", "22023", "it must begin with wss:// or ws://"),
        ("'r', 'ftp://h/'", "22023", "the URL scheme \"ftp\" is not supported for a websocket; use wss or ws"),
        ("'r', 'wss://u:hush@h/'", "22023", "the URL holds a user name or password"),
        ("'r', 'wss://h/#x'", "22023", "must not have a fragment"),
        ("'r', 'wss://h/?k=${secret:k}'", "22023", "the URL holds a placeholder for a secret; secrets are for headers"),
        ("'r', 'wss://g.example/', endpoint => 'fn'", "22023", "not at the endpoint's origin https://f.example"),
        ("'r', 'ws://f.example/', endpoint => 'fn'", "22023", "not at the endpoint's origin https://f.example"),
        ("'r', 'x', endpoint => 'nowhere'", "42704", "endpoint \"nowhere\" does not exist"),
        (r#"'r', 'wss://h/', '{"Host": "x"}'"#, "22023", "header \"Host\" is set by pg_edge itself"),
        (r#"'r', 'wss://h/', '{"Sec-WebSocket-Key": "x"}'"#, "22023", "is set by pg_edge itself"),
        (r#"'r', 'wss://h/', '{"Sec-WebSocket-Protocol": "x"}'"#, "22023", "by the argument subprotocols"),
        (r#"'r', 'wss://h/', '{"x": "a\r\nb: c"}'"#, "22023", "the value of header \"x\" holds a carriage return"),
        (r#"'r', 'wss://h/', '{"x": "${secret:a b}"}'"#, "22023", "is not the name of a secret"),
        ("'r', 'wss://h/', '[1]'", "22023", "headers are wrong: it must be a JSON object"),
        ("'r', 'wss://h/', subprotocols => '{a b}'", "22023", "\"a b\" is not the name of a subprotocol"),
        ("'r', 'wss://h/', subprotocols => '{a,a}'", "22023", "subprotocol \"a\" is given twice"),
        ("'r', 'wss://h/', subprotocols => '{a,null}'", "22004", "a subprotocol must not be null"),
        (
            "'r', 'wss://h/', on_message => 'takes_text'",
            "42P13",
            "must take exactly one argument, of type edge.ws_message",
        ),
        ("'r', 'wss://h/', on_message => 'gives_set'", "42P13", "and return no set"),
        ("'r', 'wss://h/', on_message => 'hears_calls'", "42P13", "public.hears_calls(edge.response)"),
        ("'r', 'wss://h/', on_message => 'is_not_there'", "42883", "is_not_there"),
        ("'r', 'wss://h/', heartbeat => ''", "22023", "heartbeat must be a text, or null for none, not an empty one"),
        ("'r', 'wss://h/', max_age => '0'", "22023", "max_age must be from 1 second to 3660 days"),
        ("'r', 'wss://h/', max_age => '999 ms'", "22023", "max_age"),
        ("'r', 'wss://h/', max_age => '-1 h'", "22023", "negative part"),
        ("'r', 'wss://h/', max_age => '11 years'", "22023", "max_age"),
    ] {
        let error = db.fails(&format!("select edge.ws_open({arguments})")).await;
        assert_eq!(error.sqlstate, sqlstate, "{arguments}: {error}");
        assert!(error.message.contains(says), "{arguments}: {error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    assert_eq!(db.one::<i64>("select count(*) from edge.ws_connections").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_and_closing_refuse_what_cannot_be() {
    let (_cluster, db) = quiet().await;
    open(&db, "room").await;
    open(&db, "over").await;
    db.exec("select edge.ws_close('over')").await;
    for (statement, sqlstate, says) in [
        ("edge.ws_send('nowhere', 'x')", "42704", "websocket \"nowhere\" does not exist"),
        ("edge.ws_send('over', 'x')", "55000", "websocket \"over\" has been closed by edge.ws_close"),
        ("edge.ws_send(null, 'x')", "22004", "name must not be null"),
        ("edge.ws_send('room', null)", "22004", "payload must not be null"),
        ("edge.ws_send('room', null::jsonb)", "22004", "payload must not be null"),
        ("edge.ws_send('room', null::bytea)", "22004", "payload must not be null"),
        ("edge.ws_close('room', 1001)", "22023", "code must be 1000 or between 3000 and 4999, not 1001"),
        ("edge.ws_close('room', 1005)", "22023", "not 1005"),
        ("edge.ws_close('room', 5000)", "22023", "not 5000"),
        ("edge.ws_close('room', -1)", "22023", "not -1"),
        ("edge.ws_close('room', 1000, repeat('x', 124))", "22023", "reason has 124 bytes, more than the 123"),
        ("edge.ws_close('room', null)", "22004", "code must not be null"),
        ("edge.ws_close('room', 1000, null)", "22004", "reason must not be null"),
        ("edge.ws_close(null)", "22004", "name must not be null"),
        ("edge.ws_close('nowhere', 7)", "22023", "not 7"),
    ] {
        let error = db.fails(&format!("select {statement}")).await;
        assert_eq!(error.sqlstate, sqlstate, "{statement}: {error}");
        assert!(error.message.contains(says), "{statement}: {error}");
    }
    let unknown = db.fails("select edge.ws_send('nowhere', 'x')").await;
    assert!(unknown.hint.contains("edge.ws_open"), "{unknown}");
    assert_eq!(db.fails("select edge.ws_send('over', 'x')").await.hint, "edge.ws_open opens it again.");
    assert_eq!(db.one::<i64>("select count(*) from edge.ws_messages").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_in_a_database_without_an_encoding_is_refused() {
    let (cluster, postgres) = quiet().await;
    postgres.exec("create database raw encoding 'SQL_ASCII' template template0").await;
    let db = cluster.create_extension("raw").await;
    open(&db, "room").await;
    let raw = r"convert_from('\xff', 'SQL_ASCII')";
    for (statement, argument) in [
        (format!("edge.ws_send('room', {raw})"), "payload"),
        (format!("edge.ws_send('room', to_jsonb({raw}))"), "payload"),
        (format!("edge.ws_send({raw}, 'x')"), "name"),
        (format!("edge.ws_open('r', 'ws://h/' || {raw})"), "url"),
        (format!("edge.ws_open('r', 'ws://h/', heartbeat => {raw})"), "heartbeat"),
        (format!("edge.ws_open('r', 'ws://h/', jsonb_build_object('x', {raw}))"), "headers"),
        (format!("edge.ws_close('room', 1000, {raw})"), "reason"),
    ] {
        let error = db.fails(&format!("select {statement}")).await;
        let said = (error.sqlstate.as_str(), error.message.as_str());
        assert_eq!(said, ("22021", format!("{argument} is not valid UTF-8").as_str()), "{statement}");
    }
    db.exec("select edge.ws_send('room', '\\xff'::bytea), edge.ws_send('room', 'caf\u{e9}')").await;
}
