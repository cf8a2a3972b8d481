//! What a callback tries, or what is done to its function between queueing and running: it runs as the role that queued
//! the call, and it is that function or none.

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, Gate, Reply, Stop, eventually};
use crate::scene::{Scene, call, ended};

/// A table in which anybody may write down who he is.
const WHO: &str = "
    create table who (at text, cur text);
    grant insert, select on who to public;
    create function me(at text) returns void language sql as
        $$ insert into public.who values (at, current_user || ' ' || current_setting('is_superuser')) $$;
    grant create on schema public to public;";

async fn scene() -> (Scene, Db) {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let ada = scene.role("ada").await;
    (scene, ada)
}

async fn who(db: &Db, at: &str) -> String {
    let what = format!("the callback has said who it is at {at}");
    eventually(&what, SERVER_DEADLINE, || async {
        db.rows_with("select cur from who where at = $1", &[&at]).await.first().map(|row| row.get::<_, String>(0))
    })
    .await
}

async fn error_of(db: &Db, id: i64) -> String {
    let sql = "select sqlstate || ' ' || error from edge.callback_errors where call_id = $1";
    eventually("the callback's error is recorded", SERVER_DEADLINE, || async {
        db.rows_with(sql, &[&id]).await.first().map(|row| row.get::<_, String>(0))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_function_or_the_role_make_it_nobody_else() {
    let (scene, ada) = scene().await;
    scene.db.exec("create role team; grant team to ada; select edge.grant_access('team')").await;
    let attacks = ["set role = postgres", "set session_authorization = postgres", "set is_superuser = on"];
    for (role, db) in [("ada", &ada), ("team", &scene.cluster.connect_as("ada", "postgres").await)] {
        db.exec(&format!("set role {role}")).await;
        for (number, attack) in attacks.into_iter().enumerate() {
            let name = format!("a_{role}_{number}");
            let sql = format!(
                "create function {name}(r edge.response) returns void language plpgsql {attack} as
                 $$ begin perform public.me('{name}'); end $$"
            );
            // Some are refused when the function is made, the others when it runs.
            if db.try_exec(&sql).await.is_err() {
                continue;
            }
            let id = call(db, &format!("edge.http_get_async($1, on_complete => '{name}')"), &scene.peer.url("/")).await;
            error_of(&scene.db, id).await;
        }
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from who").await, 0);
    // A role whose sessions begin as another role queues as that one, but what it queued as itself runs as itself.
    ada.exec("create function cb(r edge.response) returns void language sql as $$ select public.me('itself') $$").await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    ada.exec("set role ada").await;
    call(&ada, "edge.http_get_async($1, on_complete => 'cb')", &scene.peer.url("/gated")).await;
    ada.exec("alter role ada set role = team").await;
    gate.open();
    assert_eq!(who(&scene.db, "itself").await, "ada off");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_callback_leaves_in_its_session_gains_nothing_in_the_next() {
    let (scene, ada) = scene().await;
    scene.db.exec("grant temporary, create on database postgres to public").await;
    ada.exec(crate::identity::HOSTILE).await;
    ada.exec(
        "create function prepares(r edge.response) returns void language plpgsql as $$
         begin
             create temp table callback (call_id bigint, slot smallint, function oid, owner oid, runs smallint);
             create temp table request (id bigint, slot smallint);
             create temp table pg_proc (oid oid);
             create function pg_temp.format(text, name, name) returns text language sql
                 as 'select ''select public.me(''''temp'''')''';
             create function pg_temp.to_regtype(text) returns regtype language sql as 'select 25::regtype';
             perform set_config('search_path', 'pg_temp, hostile, pg_catalog', false);
             execute 'declare held cursor with hold for select public.me(''cursor'')';
             execute 'prepare p as select 1';
         end $$;
         create function plain(r edge.response) returns void language sql as $$ select public.me('plain') $$",
    )
    .await;
    // One after the other in one process, which finds both.
    scene.cluster.set("pg_edge.max_runners", "0").await;
    for function in ["prepares", "plain"] {
        let ask = format!("edge.http_get_async($1, on_complete => 'public.{function}')");
        let id = call(&ada, &ask, &scene.peer.url("/")).await;
        ended(&ada, id).await;
    }
    scene.cluster.set("pg_edge.max_runners", "1").await;
    assert_eq!(who(&scene.db, "plain").await, "ada off");
    assert_eq!(scene.db.column::<String>("select error from edge.callback_errors").await, Vec::<String>::new());
    assert_eq!(who(&scene.db, "cursor").await, "ada off");
    let others: Vec<String> =
        scene.db.column("select at || ' ' || cur from who where cur <> 'ada off' or at in ('trap', 'temp')").await;
    assert_eq!(others, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_that_was_named_is_run_and_no_other() {
    let (scene, ada) = scene().await;
    let eve = scene.role("eve").await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let make =
        "create function NAME(r edge.response) returns void language sql as $$ select public.me('NAME first') $$";
    let mut ids = Vec::new();
    for name in ["overloaded", "replaced", "moved", "renamed", "retyped"] {
        ada.exec(&make.replace("NAME", name)).await;
        let ask = format!("edge.http_get_async($1, on_complete => '{name}')");
        ids.push(call(&ada, &ask, &scene.peer.url("/gated")).await);
    }
    // Better matches by somebody's reckoning.
    eve.exec(
        "create function overloaded(r record) returns void language plpgsql as $$ begin perform public.me('record'); end $$;
         create function overloaded(r anyelement) returns void language sql as $$ select public.me('any') $$;
         create function overloaded(r edge.response, n int default 1) returns void language sql as $$ select public.me('default') $$;
         create function overloaded(r edge.response, variadic n int[]) returns void language sql as $$ select public.me('variadic') $$",
    )
    .await;
    // By its name alone it can no longer be asked for; with its argument it can.
    let exact = "edge.http_get_async($1, on_complete => 'overloaded(edge.response)'::regprocedure)";
    ids.push(call(&ada, exact, &scene.peer.url("/gated")).await);
    // The same name, by somebody else.
    ada.exec("drop function replaced; drop function retyped; create function retyped(r text) returns void language sql as $$ select public.me('text') $$").await;
    eve.exec("create function replaced(r edge.response) returns void language sql as $$ select public.me('eve''s') $$")
        .await;
    ada.exec("alter function renamed rename to other").await;
    scene.db.exec("create schema elsewhere; grant usage, create on schema elsewhere to public").await;
    ada.exec("alter function moved set schema elsewhere").await;
    eve.exec(
        "create function moved(r edge.response) returns void language sql as $$ select public.me('moved eve''s') $$",
    )
    .await;
    gate.open();
    for name in ["overloaded first", "moved first", "renamed first"] {
        assert_eq!(who(&scene.db, name).await, "ada off");
    }
    for gone in [ids[1], ids[4]] {
        assert_eq!(error_of(&scene.db, gone).await, "42883 the callback function no longer exists");
    }
    eventually("four callbacks have run", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from who").await == 4
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_another_owner_by_then_runs_as_if_the_role_had_called_it() {
    let (scene, ada) = scene().await;
    scene.db.exec("create role bob; grant create on schema public to bob").await;
    ada.exec(
        "create function invoker(r edge.response) returns void language sql as $$ select public.me('invoker') $$;
         create function definer(r edge.response) returns void language sql security definer as $$ select public.me('definer') $$",
    )
    .await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    for name in ["invoker", "definer"] {
        call(&ada, &format!("edge.http_get_async($1, on_complete => '{name}')"), &scene.peer.url("/gated")).await;
    }
    scene.db.exec("reassign owned by ada to bob").await;
    gate.open();
    assert_eq!(who(&scene.db, "invoker").await, "ada off");
    // As SECURITY DEFINER says. Nobody but bob's own function gets bob's rights by that.
    assert_eq!(who(&scene.db, "definer").await, "bob off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_ends_its_own_process_is_given_up() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_interruptions", "2")).await;
    scene.db.exec(WHO).await;
    let ada = scene.role("ada").await;
    ada.exec(
        "create function suicidal(r edge.response) returns void language sql as
             'select pg_advisory_lock(1); select pg_terminate_backend(pg_backend_pid()), pg_sleep(60)';
         create function fatal(r edge.response) returns void language plpgsql as
             $$ begin perform set_config('exit_on_error', 'on', false); raise exception 'fatal'; end $$;
         create function fine(r edge.response) returns void language sql as $$ select public.me('fine') $$",
    )
    .await;
    // It waits for this session each time.
    scene.db.exec("select pg_advisory_lock(1)").await;
    let mut ids = Vec::new();
    for name in ["suicidal", "fatal", "fine"] {
        ids.push(call(&ada, &format!("edge.http_get_async($1, on_complete => '{name}')"), &scene.peer.url("/")).await);
        ended(&ada, ids[ids.len() - 1]).await;
    }
    for runs in [0, 2] {
        let begun = "select exists (select from pg_stat_activity where backend_type = 'pg_edge runner' and wait_event = 'advisory')";
        eventually("it has begun", SERVER_DEADLINE, || scene.db.one::<bool>(begun)).await;
        let shown = "select runs from edge.callbacks where call_id = $1 and function = 'suicidal(edge.response)' and owner = 'ada'";
        assert_eq!(ada.one_with::<i32>(shown, &[&ids[0]]).await, runs, "the first run is not counted");
        // Whoever waits has the lock at once, and this session has it back when that process has ended.
        scene.db.exec("select pg_advisory_unlock(1); select pg_advisory_lock(1)").await;
    }
    for id in &ids[..2] {
        assert_eq!(
            error_of(&ada, *id).await,
            "08003 the callback was begun 2 times, never came to its end, and is not run again"
        );
    }
    assert_eq!(who(&scene.db, "fine").await, "ada off");
    assert_eq!(ada.one::<i64>("select count(*) from edge.callbacks").await, 0);
    assert_eq!(
        scene
            .cluster
            .log()
            .matches("terminating background worker \"pg_edge runner\" due to administrator command")
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_was_running_at_each_crash_of_the_server_is_given_up() {
    let settings =
        Cluster::builder().setting("pg_edge.max_interruptions", "2").setting("pg_edge.callback_timeout", "1h");
    let mut scene = Scene::on(settings).await;
    scene.db.exec("create function sleeps(r edge.response) returns void language sql as 'select pg_sleep(3600)'").await;
    let id = scene.call("edge.http_get_async($1, on_complete => 'sleeps')", "/").await;
    for crash in 0..3 {
        let cluster = &scene.cluster;
        eventually(&format!("it runs before crash {crash}"), SERVER_DEADLINE, || async {
            let sql = "select exists (select from pg_stat_activity where backend_type = 'pg_edge runner' and wait_event = 'PgSleep')";
            cluster.connect().await.one::<bool>(sql).await
        })
        .await;
        // The first run costs no commit of its own: it is not counted. After a crash each one is.
        let runs: i32 = scene.cluster.connect().await.one("select runs from edge.callbacks").await;
        assert_eq!(runs, crash);
        scene.cluster.restart(Stop::Immediate);
    }
    let db = scene.cluster.connect().await;
    assert_eq!(
        error_of(&db, id).await,
        "08003 the callback was begun 2 times, never came to its end, and is not run again"
    );
}
