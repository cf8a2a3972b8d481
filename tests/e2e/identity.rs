//! As whom a callback runs: the role that queued the call, and nobody else, whatever it tries.

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, eventually};
use crate::scene::{Scene, call, ended};

/// A table in which anybody may write down who he is.
const WHO: &str = "
    create table who (at text, cur text, ses text, super text, path text);
    grant insert, select on who to public;
    create function me(at text) returns void language sql as
    $$ insert into public.who values (at, current_user, session_user, current_setting('is_superuser'), current_setting('search_path')) $$;
    grant create on schema public to public;";

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_runs_as_the_role_that_queued_the_call() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let ada = scene.role("ada").await;
    ada.exec("create function cb(r edge.response) returns void language sql as $$ select public.me('plain') $$").await;
    call(&ada, "edge.http_get_async($1, on_complete => 'cb')", &scene.peer.url("/")).await;
    assert_eq!(who(&scene.db, "plain").await, "ada ada off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_of_a_role_without_login_runs_as_that_role() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    scene.role("ada").await;
    scene.db.exec("create role team; grant team to ada; select edge.grant_access('team')").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    ada.exec("set role team; create function cb(r edge.response) returns void language sql as $$ select public.me('team') $$")
        .await;
    let id = call(&ada, "edge.http_get_async($1, on_complete => 'cb')", &scene.peer.url("/")).await;
    assert_eq!(who(&scene.db, "team").await, "team team off");
    let owner: String = scene.db.one_with("select owner::text from edge.calls where id = $1", &[&id]).await;
    assert_eq!(owner, "team");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_callback_tries_makes_it_somebody_else() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    scene.role("ada").await;
    scene.db.exec("create role team; grant team to ada; select edge.grant_access('team')").await;
    for role in ["ada", "team"] {
        let db = scene.cluster.connect_as("ada", "postgres").await;
        db.exec(&format!("set role {role}")).await;
        for (number, attack) in [
            "reset role",
            "reset session authorization",
            "set role postgres",
            "set session authorization postgres",
            "set role none",
            "set session authorization default",
            "discard all",
            "reset all",
            "set local role postgres",
            "select set_config('role', 'postgres', false)",
            "select set_config('session_authorization', 'postgres', false)",
            "alter role ada superuser",
        ]
        .into_iter()
        .enumerate()
        {
            let function = format!("attack_{role}_{number}");
            let at = function.as_str();
            let sql = format!(
                "create function {function}(r edge.response) returns void language plpgsql as $$
                 begin
                     begin execute {attack}; exception when others then null; end;
                     perform public.me('{at}');
                 end $$",
                attack = format_args!("'{}'", attack.replace('\'', "''")),
            );
            db.exec(&sql).await;
            let ask = format!("edge.http_get_async($1, on_complete => '{function}')");
            call(&db, &ask, &scene.peer.url("/")).await;
            let found = who(&scene.db, at).await;
            assert_eq!(found, format!("{role} {role} off"), "{role} tried {attack}");
        }
        // What one callback leaves behind must not reach the next one in the same process either.
        db.exec(&format!(
            "create function after_{role}(r edge.response) returns void language sql as $$ select public.me('after_{role}') $$"
        ))
        .await;
        call(&db, &format!("edge.http_get_async($1, on_complete => 'after_{role}')"), &scene.peer.url("/")).await;
        assert_eq!(who(&scene.db, &format!("after_{role}")).await, format!("{role} {role} off"));
    }
    assert!(!scene.db.one::<bool>("select rolsuper from pg_roles where rolname = 'ada'").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_trigger_of_a_callback_runs_as_the_role() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let ada = scene.role("ada").await;
    ada.exec(
        "create table mine (n int);
         create function check_me() returns trigger language plpgsql as $$ begin perform public.me('deferred'); return null; end $$;
         create constraint trigger later after insert on mine deferrable initially deferred
             for each row execute function check_me();
         create function cb(r edge.response) returns void language sql as 'insert into mine values (1)'",
    )
    .await;
    call(&ada, "edge.http_get_async($1, on_complete => 'cb')", &scene.peer.url("/")).await;
    assert_eq!(who(&scene.db, "deferred").await, "ada ada off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_search_path_of_the_role_gains_nothing() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    scene.db.exec("grant create on database postgres to public").await;
    let ada = scene.role("ada").await;
    ada.exec(HOSTILE).await;
    scene.db.exec("alter role ada set search_path = hostile, pg_catalog, public").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    ada.exec("create function public.cb(r edge.response) returns void language sql as $$ select public.me('path') $$")
        .await;
    let id = call(&ada, "edge.http_get_async($1, on_complete => 'public.cb')", &scene.peer.url("/")).await;
    assert_eq!(who(&scene.db, "path").await, "ada ada off");
    assert_eq!(ended(&ada, id).await.get::<_, &str>("state"), "succeeded");
    let trapped = scene.db.column::<String>("select distinct cur from who where at = 'trap' and cur <> 'ada'").await;
    assert!(trapped.is_empty(), "the trap ran as {trapped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_role_do_not_keep_its_callbacks_from_running() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let ada = scene.role("ada").await;
    ada.exec("create function cb(r edge.response) returns void language sql as $$ select public.me('settings') $$")
        .await;
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "lock_timeout = '1ms'",
        "row_security = off",
        "bytea_output = 'escape'",
        "datestyle = 'German'",
    ] {
        scene.db.exec(&format!("truncate who; alter role ada reset all; alter role ada set {setting}")).await;
        // Queued in a session of before, which does not have the setting.
        call(&ada, "edge.http_get_async($1, on_complete => 'cb')", &scene.peer.url("/")).await;
        assert_eq!(who(&scene.db, "settings").await, "ada ada off", "{setting}");
    }
}

/// Operators and functions that Postgres' own would be mistaken for by a statement that trusts the search path.
pub const HOSTILE: &str = "
    create schema hostile;
    create function hostile.trap() returns boolean language plpgsql as
        $$ begin perform public.me('trap'); return true; end $$;
    create function hostile.eq(bigint, bigint) returns boolean language sql as 'select hostile.trap()';
    create function hostile.eqo(oid, oid) returns boolean language sql as 'select hostile.trap()';
    create function hostile.eqt(text, text) returns boolean language sql as 'select hostile.trap()';
    create operator hostile.= (leftarg = bigint, rightarg = bigint, function = hostile.eq);
    create operator hostile.= (leftarg = oid, rightarg = oid, function = hostile.eqo);
    create operator hostile.= (leftarg = text, rightarg = text, function = hostile.eqt);
    create function hostile.nextval(regclass) returns bigint language plpgsql as
        $$ begin perform public.me('trap'); return 1; end $$;
    create function hostile.nextval(text) returns bigint language plpgsql as
        $$ begin perform public.me('trap'); return 1; end $$;
    create function hostile.clock_timestamp() returns timestamptz language plpgsql as
        $$ begin perform public.me('trap'); return 'epoch'; end $$;
    create function hostile.format(text, variadic text[]) returns text language plpgsql as
        $$ begin perform public.me('trap'); return 'select 1'; end $$;";

async fn who(db: &Db, at: &str) -> String {
    let what = format!("the callback has said who it is at {at}");
    let sql = "select format('%s %s %s', cur, ses, super) from who where at = $1";
    eventually(&what, SERVER_DEADLINE, || async {
        db.rows_with(sql, &[&at]).await.first().map(|row| row.get::<_, String>(0))
    })
    .await
}
