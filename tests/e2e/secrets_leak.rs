//! The value of a secret is nowhere but on the wire: not in tables, WAL, logs, statistics, errors or a dump.

mod search;

use tokio_postgres::types::ToSql;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::process::{self, Signal};
use crate::harness::{Cluster, Db, Peer, Reply, eventually, extension, programs};
use crate::scene::{Scene, ended, reaches};
use search::{BOUND, LITERAL, SIGNING, all_disguises, assert_clean, files_with};

/// What must be found, or the search would find nothing in any case.
const CONTROL: &str = "CONTROL-of-the-search";
const HIDDEN: &str = "a log line of a statement that sets a secret or reports on a job was hidden by pg_edge";

/// Everything that makes Postgres write more into its log.
const TALKATIVE: [(&str, &str); 20] = [
    ("log_statement", "all"),
    ("log_min_duration_statement", "0"),
    ("log_duration", "on"),
    ("log_parameter_max_length", "-1"),
    ("log_parameter_max_length_on_error", "-1"),
    ("log_min_messages", "debug5"),
    ("log_min_error_statement", "debug5"),
    ("log_error_verbosity", "verbose"),
    ("debug_print_parse", "on"),
    ("debug_print_rewritten", "on"),
    ("debug_print_plan", "on"),
    ("log_parser_stats", "on"),
    ("log_planner_stats", "on"),
    ("log_executor_stats", "on"),
    ("log_lock_waits", "on"),
    ("logging_collector", "on"),
    ("log_destination", "stderr,csvlog"),
    ("track_activities", "on"),
    ("wal_level", "logical"),
    ("checkpoint_timeout", "1h"),
];

/// Turns off what is logged of a statement before it runs.
const QUIET_BEFORE: &str = "
    set log_statement = none; set log_min_messages = log; set log_min_error_statement = error;
    set debug_print_parse = off; set debug_print_rewritten = off; set debug_print_plan = off;
    set log_parser_stats = off; set log_planner_stats = off; set log_executor_stats = off";

fn talkative() -> crate::harness::ClusterBuilder {
    let mut builder = Cluster::builder();
    for (name, value) in TALKATIVE {
        builder = builder.setting(name, value);
    }
    let contrib = programs::bindir().parent().map(|home| home.join("lib/auto_explain.so"));
    if contrib.is_some_and(|library| library.exists()) {
        let ours = extension::settings().iter().find(|(name, _)| name == "shared_preload_libraries");
        let libraries = format!("{}, auto_explain, pg_stat_statements", ours.expect("the extension is preloaded").1);
        builder = builder
            .setting("shared_preload_libraries", &libraries)
            .setting("auto_explain.log_min_duration", "0")
            .setting("auto_explain.log_nested_statements", "on")
            .setting("auto_explain.log_verbose", "on")
            .setting("auto_explain.log_analyze", "on");
    }
    builder
}

/// Sets both secrets, in all ways that can go wrong as well.
async fn set(scene: &Scene) {
    let db = &scene.db;
    db.exec(&format!("select '{CONTROL}'")).await;
    db.exec(&format!("select edge.set_secret('literal', '{LITERAL}')")).await;
    db.exec(&format!("select edge.set_secret('broken', E'{LITERAL}\\n{LITERAL}')")).await;
    db.exec(&format!("select 1; SELECT \"edge\".SET_SECRET(value => '{LITERAL}', name => 'literal'); select 2")).await;
    let bound: [&(dyn ToSql + Sync); 2] = [&"bound", &BOUND];
    db.rows_with("select edge.set_secret($1, $2)", &bound).await;
    db.rows_with("select edge.set_secret('signing', $1)", &[&SIGNING]).await;
    let headers = r#"{"apikey": "${secret:literal}", "x-key": "${secret:bound}"}"#;
    let endpoint =
        "select edge.create_endpoint('shop', $1, $2::text::jsonb, signing_secrets => array['${secret:signing}'])";
    db.rows_with(endpoint, &[&scene.peer.url(""), &headers]).await;
    for bad in ["'1bad', '{}'", "'bad', '{}'::int::text", "'bad', '{}'", "'bad', '{}', 1", "null, '{}'"] {
        let arguments = bad.replace("{}", LITERAL);
        let unclosed = if bad == "'bad', '{}'" { "" } else { ")" };
        db.fails(&format!("select edge.set_secret({arguments}{unclosed}")).await;
    }
    let bad: [&(dyn ToSql + Sync); 2] = [&"1bad", &BOUND];
    assert!(db.client().query("select edge.set_secret($1, $2)", &bad).await.is_err());
    let cast = db.client().query("select edge.set_secret($1, ($2::text)::int::text)", &[&"bad", &BOUND]).await;
    assert!(cast.is_err());
    let slow = format!("set statement_timeout = '50ms'; select edge.set_secret('slow', '{LITERAL}'), pg_sleep(60)");
    db.fails(&slow).await;
    db.exec("reset statement_timeout").await;
    db.exec(&format!("do $$ begin perform edge.set_secret('literal', '{LITERAL}'); raise log 'in a block'; end $$"))
        .await;
}

/// Queues calls of every fate with both secrets.
async fn call(scene: &Scene) -> Vec<i64> {
    let peer = &scene.peer;
    peer.on("/bad", Reply::status(404)).on("/down", Reply::status(503)).on("/hang", Reply::hang());
    peer.on("/reset", Reply::raw("HTTP/1.1 nonsense").then_reset());
    peer.sequence("/retried", [Reply::status(503), Reply::status(200)]);
    let refusing = format!("http://{}/", Peer::refusing_address().await);
    let headers = "jsonb_build_object('authorization', 'Bearer ${secret:literal}', 'x-key', '${secret:bound}')";
    let queue = async |url: &str, more: &str| -> i64 {
        scene.db.one_with(&format!("select edge.http_get_async($1, headers => {headers}{more})"), &[&url]).await
    };
    let mut ids = vec![
        queue(&peer.url("/good"), "").await,
        queue(&peer.url("/bad"), "").await,
        queue(&peer.url("/down"), ", max_attempts => 2").await,
        queue(&peer.url("/retried"), "").await,
        queue(&peer.url("/reset"), ", max_attempts => 1").await,
        queue(&peer.url("/hang"), ", timeout => '300 ms', max_attempts => 1").await,
        queue(&refusing, ", max_attempts => 1").await,
        queue("http://name.invalid/", ", max_attempts => 1").await,
        queue(&peer.url("/good"), ", run_at => now() + interval '1 hour'").await,
        queue(&peer.url("/hang"), "").await,
    ];
    let (waiting, hanging) = (ids[8], ids[9]);
    for path in ["good", "bad", "down", "hang"] {
        let timeout = if path == "hang" { "300 ms" } else { "30 s" };
        let sql =
            format!("select edge.http_post_async($1, endpoint => 'shop', timeout => '{timeout}', max_attempts => 2)");
        ids.push(scene.db.one_with(&sql, &[&path]).await);
    }
    reaches(&scene.db, hanging, "running").await;
    scene.db.exec(&format!("select edge.cancel({waiting}), edge.cancel({hanging})")).await;
    for broken in ["${secret:broken}", "${secret:literal} ${secret:none}"] {
        let sql = "select edge.http_get_async($1, headers => jsonb_build_object('x', $2::text))";
        ids.push(scene.db.one_with(sql, &[&peer.url("/good"), &broken]).await);
    }
    for id in &ids {
        ended(&scene.db, *id).await;
    }
    ids
}

/// All that SQL shows.
async fn shown(db: &Db) -> String {
    let views: Vec<String> = db
        .column(
            "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = relnamespace
             where nspname in ('edge', 'edge_store') and relkind in ('v', 'r', 'p')
             union all select 'pg_stat_activity'",
        )
        .await;
    let mut all = String::new();
    for view in views {
        all += &db.column::<String>(&format!("select v::text from {view} as v")).await.join("\n");
    }
    all + &db.column::<String>("select edge.result(id)::text from edge.calls").await.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_s_value_is_found_nowhere_but_on_the_wire() {
    let scene = Scene::on(talkative()).await;
    let has_statements = scene.db.try_exec("create extension pg_stat_statements").await.is_ok();
    set(&scene).await;
    // A session that stays in its transaction shows its last statement for as long.
    let other = scene.cluster.connect().await;
    other.exec(&format!("begin; select edge.set_secret('other', '{LITERAL}')")).await;
    let ids = call(&scene).await;
    let good = scene.peer.requests_for("/good").into_iter().find(|request| request.method == "GET");
    let good = good.expect("the URL was called");
    assert_eq!(good.header("authorization"), Some(format!("Bearer {LITERAL}").as_str()));
    assert_eq!(good.header("x-key"), Some(BOUND));
    let signed = scene.peer.requests_for("/good").into_iter().find(|request| request.method == "POST");
    let signed = signed.expect("the endpoint was called");
    assert_eq!(signed.header("apikey"), Some(LITERAL));
    assert!(signed.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    scene.db.exec(&format!("select edge.replay({})", ids[1])).await;
    assert_clean("what SQL shows", &shown(&scene.db).await);
    // It would keep the rotation waiting.
    other.exec("commit").await;
    scene.db.exec("select edge.rotate_secret_key()").await;
    if has_statements {
        let statements: Vec<String> = scene.db.column("select query from pg_stat_statements").await;
        let normalised: Vec<&String> = statements.iter().filter(|query| !query.starts_with("do ")).collect();
        assert_clean("pg_stat_statements", &format!("{normalised:?}"));
        scene.db.exec("select pg_stat_statements_reset()").await;
    }
    drop(other);
    let mut pg_dump = programs::client_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(scene.cluster.socket_dir());
    let dump = String::from_utf8_lossy(&programs::run(&mut pg_dump).stdout).into_owned();
    assert!(dump.contains("literal"), "the dump holds the secrets' names");
    assert_clean("the dump", &dump);
    scene.db.exec("checkpoint").await;
    let data = scene.cluster.data_dir();
    assert_eq!(files_with(data.clone(), &all_disguises()), Vec::<String>::new());
    // The same search finds what is there: names in heap and WAL, other statements in every log, the lines put in place.
    let names = files_with(data.clone(), &["${secret:literal}".to_owned()]).join(" ");
    assert!(names.contains("/base/") && names.contains("/pg_wal/"), "{names}");
    for text in [CONTROL, HIDDEN] {
        let logs = files_with(data.join("log"), &[text.to_owned()]);
        // Either may have been rotated.
        for kind in [".log", ".csv"] {
            assert!(logs.iter().any(|log| log.ends_with(kind)), "{text} is in {logs:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_that_was_setting_a_secret_is_logged_without_it() {
    let scene = Scene::on(talkative()).await;
    let victim = scene.cluster.connect().await;
    let pid = victim.backend_pid().await;
    let hanging = tokio::spawn(async move {
        let sql = format!("select pg_sleep(600), edge.set_secret('literal', '{LITERAL}')");
        let _ = victim.try_exec(&sql).await;
    });
    eventually("the statement runs", SERVER_DEADLINE, || async {
        let sql =
            "select count(*) from pg_stat_activity where pid = $1 and query ~ 'pg_sleep' and wait_event = 'PgSleep'";
        scene.db.one_with::<i64>(sql, &[&pid]).await == 1
    })
    .await;
    process::send(pid, Signal::SIGKILL);
    let logs = scene.cluster.data_dir().join("log");
    eventually("the crash is over", SERVER_DEADLINE, || async {
        scene.cluster.try_connect_as("postgres", "postgres").await.is_ok()
            && !files_with(logs.clone(), &["all server processes terminated".to_owned()]).is_empty()
    })
    .await;
    let _ = hanging.await;
    assert!(!files_with(logs.clone(), &[HIDDEN.to_owned()]).is_empty());
    assert_eq!(files_with(logs, &all_disguises()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_still_gets_the_error_that_the_log_does_not_show() {
    let scene = Scene::on(Cluster::builder().setting("log_error_verbosity", "verbose")).await;
    let error = scene.db.fails(&format!("select edge.set_secret('n', '{LITERAL}'::int::text)")).await;
    assert_eq!(error.sqlstate, "22P02");
    assert!(error.message.contains(LITERAL), "{error}");
    let error = scene.db.fails("select edge.set_secret('n', 1, 2)").await;
    assert!(error.hint.contains("No function matches"), "{error}");
    scene.db.fails("select 1 / 0 as something_else").await;
    eventually("the log has the lines", SERVER_DEADLINE, || async {
        let log = scene.cluster.log();
        log.contains(&format!("ERROR:  22P02: {HIDDEN}"))
            && log.contains(&format!("ERROR:  42883: {HIDDEN}"))
            && log.contains("STATEMENT:  select 1 / 0 as something_else")
    })
    .await;
    assert_clean("the log", &scene.cluster.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_job_is_in_no_log_and_not_in_pg_stat_activity() {
    const TOKEN: &str = "LEAK-of-a-token-4pQ0";
    let scene = Scene::on(talkative()).await;
    let db = &scene.db;
    db.exec(&format!("select '{CONTROL}', 'edge.completeness'")).await;
    let session = scene.cluster.connect().await;
    session.exec(&format!("begin; select edge.heartbeat(1, '{TOKEN}')")).await;
    let bound: [&(dyn ToSql + Sync); 1] = [&TOKEN];
    for sql in ["edge.complete(1, $1)", "edge.fail(1, $1, 'no')", "edge.heartbeat(1, $1)"] {
        db.rows_with(&format!("select {sql}"), &bound).await;
        let literal = sql.replace("$1", &format!("'{TOKEN}'"));
        db.exec(&format!("select {literal}")).await;
        db.fails(&format!("select {literal}, 1 / 0")).await;
        db.fails(&format!("select {}", literal.replace("(1,", "('one',"))).await;
        let quoted = literal.replace("edge.", "\"edge\" . \"").replace('(', "\"(");
        db.exec(&format!("SELECT {quoted}")).await;
        // By another name it is known only once it has run: nothing is to be logged before.
        let short = literal.replace("edge.", "");
        db.exec(QUIET_BEFORE).await;
        db.exec(&format!("set search_path = edge; do $$ begin perform {short}; raise log 'in a block'; end $$")).await;
        db.exec("reset all").await;
    }
    assert!(!shown(db).await.contains(TOKEN), "SQL shows the token");
    let logs = scene.cluster.data_dir().join("log");
    eventually("the log has the lines", SERVER_DEADLINE, || async {
        !files_with(logs.clone(), &[HIDDEN.to_owned()]).is_empty()
    })
    .await;
    for told in [CONTROL, "edge.completeness"] {
        assert!(!files_with(logs.clone(), &[told.to_owned()]).is_empty(), "{told} is hidden");
    }
    assert_eq!(files_with(logs, &[TOKEN.to_owned()]), Vec::<String>::new());
}
