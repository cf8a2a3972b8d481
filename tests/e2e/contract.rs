//! The names, arguments and results that other people's SQL relies on. What pg_edge has of its own may get more arguments, at the
//! end and with defaults; what it has of pg_net's is as it is there.

use crate::harness::Db;
use crate::scene::Scene;

const INVOKE: &str = "function_name text, body jsonb = NULL::jsonb, endpoint text = 'default'::text, \
     method text = 'POST'::text, params jsonb = '{}'::jsonb, headers jsonb = '{}'::jsonb, region text = NULL::text, \
     timeout interval = NULL::interval, max_attempts integer = NULL::integer, \
     run_at timestamp with time zone = NULL::timestamp with time zone, idempotency_key text = NULL::text, \
     stream text = NULL::text, on_complete regproc = NULL::regproc, metadata jsonb = NULL::jsonb";

const EVENT: [&str; 7] = [
    "call_id bigint",
    "seq bigint",
    "event text",
    "data text",
    "json jsonb",
    "sse_id text",
    "received_at timestamp with time zone",
];

const USAGE: [&str; 8] = [
    "endpoint text",
    "month date",
    "calls bigint",
    "attempts bigint",
    "request_bytes bigint",
    "response_bytes bigint",
    "quota bigint",
    "used_fraction double precision",
];

const QUEUE: [&str; 6] = [
    "id bigint not null",
    "method net.http_method not null",
    "url text not null",
    "headers jsonb",
    "body bytea",
    "timeout_milliseconds integer not null",
];

const RESPONSE: [&str; 8] = [
    "id bigint",
    "status_code integer",
    "content_type text",
    "headers jsonb",
    "content text",
    "timed_out boolean",
    "error_msg text",
    "created timestamp with time zone not null",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_of_edge_take_and_give_what_the_contract_says() {
    let scene = Scene::start().await;
    let job = "function_name text, body jsonb = NULL::jsonb, endpoint text = 'default'::text, \
         deadline interval = '00:05:00'::interval, heartbeat interval = NULL::interval, max_attempts integer = NULL::integer";
    let poll = "id bigint, after_seq bigint = 0, wait interval = '00:00:05'::interval, max_events integer = 1000";
    for (name, arguments, result) in [
        ("tail", "id bigint, after_seq bigint = 0, timeout interval = '00:01:00'::interval", "SETOF edge.event"),
        ("tail_text", "id bigint, path text = NULL::text", "SETOF text"),
        ("poll", poll, "SETOF edge.event"),
        ("stream_text", "id bigint", "text"),
        ("job", job, "bigint"),
        ("complete", "id bigint, token text, result jsonb = NULL::jsonb", "boolean"),
        ("fail", "id bigint, token text, error text, retry boolean = true", "boolean"),
        ("heartbeat", "id bigint, token text, progress jsonb = NULL::jsonb", "boolean"),
        ("invoke_batch", "function_name text, items jsonb[], max_items integer = 100", "SETOF bigint"),
        ("invoke", INVOKE, "bigint"),
    ] {
        let found = declared(&scene.db, "edge", name).await;
        let more = found.0.strip_prefix(arguments).unwrap_or_else(|| panic!("edge.{name} takes {}", found.0));
        assert!(more.split(", ").skip(1).all(|argument| argument.contains(" = ")), "edge.{name} takes {}", found.0);
        assert!(more.is_empty() || more.starts_with(", "), "edge.{name} takes {}", found.0);
        assert_eq!(found.1, result, "edge.{name}");
    }
    for (relation, awaited) in [("edge.events", &EVENT[..]), ("edge.event", &EVENT), ("edge.usage", &USAGE)] {
        assert_eq!(columns(&scene.db, relation).await, awaited, "{relation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_and_tables_of_net_are_those_of_pg_net() {
    let scene = Scene::start().await;
    scene.db.exec("create extension pg_edge_net").await;
    let rest = "params jsonb = '{}'::jsonb, headers jsonb = '{}'::jsonb, timeout_milliseconds integer = 5000";
    let get = format!("url text, {rest}");
    let delete = format!("url text, {rest}, body jsonb = NULL::jsonb");
    let post = "url text, body jsonb = '{}'::jsonb, params jsonb = '{}'::jsonb, \
         headers jsonb = '{\"Content-Type\": \"application/json\"}'::jsonb, timeout_milliseconds integer = 5000";
    for (name, arguments, result) in [
        ("http_get", get.as_str(), "bigint"),
        ("http_post", post, "bigint"),
        ("http_delete", &delete, "bigint"),
        ("_http_collect_response", "request_id bigint, async boolean = true", "net.http_response_result"),
        ("http_collect_response", "request_id bigint, async boolean = true", "net.http_response_result"),
        ("_await_response", "request_id bigint", "boolean"),
        ("check_worker_is_up", "", "void"),
        ("wake", "", "void"),
        ("worker_restart", "", "boolean"),
        ("wait_until_running", "", "void"),
        ("_urlencode_string", "string character varying", "text"),
        ("_encode_url_with_params_array", "url text, params_array text[]", "text"),
    ] {
        let found = declared(&scene.db, "net", name).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (arguments, result), "net.{name}");
    }
    for (relation, awaited) in [("net.http_request_queue", &QUEUE[..]), ("net._http_response", &RESPONSE)] {
        assert_eq!(columns(&scene.db, relation).await, awaited, "{relation}");
    }
    let composite = ["status_code integer", "headers jsonb", "body text"];
    assert_eq!(columns(&scene.db, "net.http_response").await, composite);
    let composite = ["status net.request_status", "message text", "response net.http_response"];
    assert_eq!(columns(&scene.db, "net.http_response_result").await, composite);
}

/// What the only function of this name takes, with defaults, and what it gives.
async fn declared(db: &Db, schema: &str, name: &str) -> (String, String) {
    let sql = "select replace(pg_get_function_arguments(oid), ' DEFAULT ', ' = '), pg_get_function_result(oid)
               from pg_proc where pronamespace = $1::text::regnamespace and proname = $2::text";
    let rows = db.rows_with(sql, &[&schema, &name]).await;
    assert_eq!(rows.len(), 1, "{schema}.{name}");
    (rows[0].get(0), rows[0].get(1))
}

/// The columns of a table, a view or a composite type, with their types.
async fn columns(db: &Db, relation: &str) -> Vec<String> {
    let sql = "select attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
               from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum";
    db.rows_with(sql, &[&relation]).await.iter().map(|row| row.get(0)).collect()
}
