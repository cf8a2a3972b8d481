//! Who may do and see what: nothing before `edge.grant_access`, and one's own calls after it.

use crate::harness::Reply;
use crate::identity::HOSTILE;
use crate::scene::{Scene, call, ended, reaches};

/// Every function that a role is given by `edge.grant_access`.
const FUNCTIONS: [&str; 35] = [
    "edge.http_post_async('http://x/')",
    "edge.http_put_async('http://x/')",
    "edge.http_patch_async('http://x/')",
    "edge.http_get_async('http://x/')",
    "edge.http_delete_async('http://x/')",
    "edge.http_async('GET', 'http://x/')",
    "edge.job('f')",
    "edge.invoke_batch('f', '{}')",
    "edge.wait(1, '0')",
    "edge.result(1)",
    "edge.status(1)",
    "edge.cancel(1)",
    "edge.replay(1)",
    "edge.replay_dead()",
    "edge.worker_status()",
    "edge.health()",
    "edge.schedule('s', '@daily', 'select 1')",
    "edge.schedule_invoke('s', '@daily', 'f')",
    "edge.schedule_http('s', '@daily', 'http://x/')",
    "edge.unschedule('s')",
    "edge.pause_schedule('s')",
    "edge.resume_schedule('s')",
    "edge.run_now('s')",
    "edge.backfill('s', now(), now())",
    "edge.next_runs('@daily')",
    "edge.describe_schedule('@daily')",
    "edge.import_pg_cron()",
    "edge.ws_open('room', 'ws://127.0.0.1:1/')",
    "edge.ws_send('room', 'text')",
    "edge.ws_send('room', '{}'::jsonb)",
    "edge.ws_send('room', ''::bytea)",
    "edge.ws_close('room')",
    "edge.ws_close(1)",
    "edge.check_webhook(0)",
    "edge.check_webhook('pg_class', 'none')",
];

/// Those that are the superuser's.
const SUPERUSER_S: [&str; 7] = [
    "edge.pause()",
    "edge.resume()",
    "edge.grant_access('ada')",
    "edge.revoke_access('ada')",
    "edge.set_secret('a', 'b')",
    "edge.drop_secret('a')",
    "edge.rotate_secret_key()",
];

const VIEWS: [&str; 15] = [
    "edge.calls",
    "edge.jobs",
    "edge.attempts",
    "edge.dead_letters",
    "edge.callbacks",
    "edge.callback_errors",
    "edge.queued_per_role",
    "edge.usage",
    "edge.schedules",
    "edge.schedule_runs",
    "edge.all_schedules",
    "edge.ws_connections",
    "edge.ws_messages",
    "edge.webhook_problems",
    "edge.problems",
];

const DENIED: &str = "42501";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_do_nothing_before_it_is_granted_access_and_after_it_is_revoked() {
    let scene = Scene::start().await;
    scene.db.exec("create role ada login").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    scene.db.exec("select edge.grant_access('ada'); select edge.revoke_access('ada')").await;
    for what in FUNCTIONS.iter().chain(&SUPERUSER_S) {
        assert_eq!(ada.fails(&format!("select {what}")).await.sqlstate, DENIED, "{what}");
    }
    for view in VIEWS {
        assert_eq!(ada.fails(&format!("select * from {view}")).await.sqlstate, DENIED, "{view}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_role_has_the_functions_and_views_and_nothing_else() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    for what in FUNCTIONS {
        if let Err(error) = ada.try_exec(&format!("begin; select {what}")).await {
            assert_ne!(error.sqlstate, DENIED, "{what}: {error}");
        }
        ada.exec("rollback").await;
    }
    for view in VIEWS {
        ada.exec(&format!("select * from {view}")).await;
    }
    for what in SUPERUSER_S {
        assert_eq!(ada.fails(&format!("select {what}")).await.sqlstate, DENIED, "{what}");
    }
    let tables = "select c.oid::regclass::text from pg_class as c where relnamespace = 'edge_store'::regnamespace
                  and relkind in ('r', 'p', 'v', 'S')";
    let tables: Vec<String> = scene.db.column(tables).await;
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        assert_eq!(ada.fails(&format!("select * from {table}")).await.sqlstate, DENIED, "{table}");
        for right in ["insert", "update", "delete", "truncate"] {
            let sql = format!(
                "select has_table_privilege('ada', '{table}', '{right}') and relkind <> 'S' from pg_class where oid = '{table}'::regclass"
            );
            assert!(!scene.db.one::<bool>(&sql).await, "ada may {right} {table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_has_no_right_but_to_report_on_jobs_with_their_tokens() {
    let scene = Scene::start().await;
    let members = |catalog: &str, acl: &str, kind: &str, name: &str| {
        format!(
            "select {name} || ' ' || a.privilege_type from {catalog} as o
             join pg_depend as d on d.classid = '{catalog}'::regclass and d.objid = o.oid and d.deptype = 'e'
             join pg_extension as e on e.oid = d.refobjid and e.extname = 'pg_edge',
             lateral aclexplode(coalesce(o.{acl}, acldefault('{kind}', 10))) as a where a.grantee = 0"
        )
    };
    let lookups = [
        members("pg_proc", "proacl", "f", "o.oid::regprocedure::text"),
        members("pg_class", "relacl", "r", "o.oid::regclass::text"),
        members("pg_namespace", "nspacl", "n", "o.nspname"),
        members("pg_type", "typacl", "T", "o.oid::regtype::text"),
    ];
    let mut found = Vec::new();
    for lookup in lookups {
        found.extend(scene.db.column::<String>(&lookup).await);
    }
    // From 17 on these are members, and have the rights of what they hold.
    found.retain(|right| !right.ends_with("[] USAGE"));
    found.sort();
    let reports = [
        "edge USAGE",
        "edge.complete(bigint,text,jsonb) EXECUTE",
        "edge.fail(bigint,text,text,boolean) EXECUTE",
        "edge.heartbeat(bigint,text,jsonb) EXECUTE",
    ];
    assert_eq!(found, reports, "PUBLIC has these rights");
    // Types of rows are no members by themselves. Those of arrays have the rights of what they hold.
    let types = "select t.oid::regtype::text from pg_type as t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as a
                 where t.typnamespace::regnamespace::text in ('edge', 'edge_store') and t.typcategory <> 'A' and a.grantee = 0";
    assert_eq!(scene.db.column::<String>(types).await, [""; 0], "PUBLIC may use these types");
    scene.db.exec("create role eve login").await;
    let eve = scene.cluster.connect_as("eve", "postgres").await;
    assert_eq!(eve.fails("create temp table hindrance (c edge.calls)").await.sqlstate, "42501");
    let members: i64 = scene
        .db
        .one(
            "select count(*) from pg_depend where deptype = 'e' and refclassid = 'pg_extension'::regclass
              and refobjid = (select oid from pg_extension where extname = 'pg_edge')",
        )
        .await;
    assert!(members > 30, "the lookups would have found nothing in any case");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_and_touches_its_own_calls_only() {
    let scene = Scene::start().await;
    scene.peer.on("/bad", Reply::status(404)).on("/hang", Reply::hang());
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    let bad = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/bad")).await;
    ended(&ada, bad).await;
    let hanging = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/hang")).await;
    reaches(&ada, hanging, "running").await;
    for view in VIEWS {
        assert_eq!(eve.one::<i64>(&format!("select count(*) from {view}")).await, 0, "{view}");
    }
    for id in [bad, hanging] {
        let nothing = "select edge.status($1) is null and (edge.result($1)).id is null and not edge.cancel($1)";
        assert!(eve.one_with::<bool>(nothing, &[&id]).await, "eve sees call {id}");
        // The same answer as for a call that does not exist, so that nothing can be learnt from it.
        for function in ["wait", "replay"] {
            let error = eve.fails(&format!("select edge.{function}({id})")).await;
            assert_eq!((error.sqlstate.as_str(), error.message), ("42704", format!("call {id} does not exist")));
        }
    }
    assert_eq!(eve.one::<i64>("select edge.replay_dead()").await, 0);
    reaches(&ada, hanging, "running").await;
    assert_eq!(ada.column::<i64>("select id from edge.calls order by id").await, [bad, hanging]);
    assert_eq!(ada.column::<i64>("select id from edge.dead_letters").await, [bad]);
    assert_eq!(ada.column::<i64>("select call_id from edge.attempts").await, [bad]);
}

#[tokio::test(flavor = "multi_thread")]
async fn superusers_see_all_and_monitors_see_all_rows_of_the_views() {
    let scene = Scene::start().await;
    scene.peer.on("/bad", Reply::text(404, "private"));
    let (ada, monitor) = (scene.role("ada").await, scene.role("watcher").await);
    scene.db.exec("grant pg_monitor to watcher").await;
    let id = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/bad")).await;
    ended(&ada, id).await;
    for db in [&scene.db, &monitor] {
        for (view, column) in [("edge.calls", "id"), ("edge.attempts", "call_id"), ("edge.dead_letters", "id")] {
            assert_eq!(db.column::<i64>(&format!("select {column} from {view}")).await, [id], "{view}");
        }
    }
    assert!(monitor.one_with::<bool>("select (edge.result($1)).id is null", &[&id]).await, "a monitor reads a body");
    assert_eq!(scene.db.one_with::<String>("select (edge.result($1)).body", &[&id]).await, "private");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effective_user_owns_the_call() {
    let scene = Scene::start().await;
    let eve = scene.role("eve").await;
    let ada = scene.role("ada").await;
    scene.db.exec("grant create on schema public to ada; create role team; grant team to ada; select edge.grant_access('team')").await;
    ada.exec(&format!(
        "create function ask() returns bigint language sql security definer as $$ select edge.http_get_async('{}') $$",
        scene.peer.url("/")
    ))
    .await;
    let by_function: i64 = eve.one("select ask()").await;
    ada.exec("set role team").await;
    let by_set_role = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    for (id, owner) in [(by_function, "ada"), (by_set_role, "team")] {
        let found: String = scene.db.one_with("select owner::text from edge.calls where id = $1", &[&id]).await;
        assert_eq!(found, owner);
    }
    assert_eq!(eve.one::<i64>("select count(*) from edge.calls").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_s_hostile_search_path_is_never_walked_with_more_rights() {
    let scene = Scene::start().await;
    scene.db.exec("create table who (at text, cur text); grant all on who to public; grant create on database postgres to public").await;
    scene.db.exec("create function me(at text) returns void language sql as $$ insert into public.who values (at, current_user) $$").await;
    let eve = scene.role("eve").await;
    eve.exec(HOSTILE).await;
    eve.exec("grant usage on schema hostile to public").await;
    scene.peer.on("/bad", Reply::status(404));
    for db in [&scene.db, &eve] {
        db.exec("set search_path = hostile, pg_temp, pg_catalog; create temp table request (id bigint); create temp table ring (n int)").await;
        let id = call(db, "edge.http_post_async($1, idempotency_key => 'k')", &scene.peer.url("/bad")).await;
        ended(db, id).await;
        db.exec("select * from edge.calls; select * from edge.attempts; select * from edge.dead_letters; select * from edge.callback_errors").await;
        db.exec(&format!(
            "select edge.result({id}), edge.status({id}), edge.cancel({id}), edge.replay({id}), edge.replay_dead()"
        ))
        .await;
        db.exec("select * from edge.worker_status()").await;
        db.exec("reset search_path").await;
    }
    scene
        .db
        .exec("set search_path = hostile, pg_catalog; select edge.pause(); select edge.resume(); reset search_path")
        .await;
    let trapped: Vec<String> = scene.db.column("select distinct cur from public.who").await;
    assert!(trapped.is_empty(), "the trap ran as {trapped:?}");
}
