//! As whom a command is run: it is its owner's session, and nobody else's.

use super::World;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;

/// A table in which anybody may write down who he is.
const WHO: &str = "
    create table who (at text, said text);
    grant insert, select on who to public;
    grant create on schema public to public;";

/// Says who the session is.
const SAYS: &str =
    "insert into who values ('AT', concat_ws(' ', current_user, session_user, current_setting('is_superuser')))";

pub async fn world_of(roles: &[(&str, &str)]) -> World {
    let world = World::start().await;
    world.db().exec(WHO).await;
    for (role, login) in roles {
        world.db().exec(&format!("create role {role} {login}")).await;
    }
    world
}

pub async fn run_as(world: &World, role: &str, name: &str, command: &str) -> String {
    let schedule = world.schedule(role, name, command).await;
    let run = world.due(schedule).await;
    world.end(run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_its_owner_and_can_become_nobody_else() {
    let world =
        world_of(&[("ada", "login"), ("bob", "nologin"), ("team", "nologin"), ("boss", "superuser nologin")]).await;
    world.db().exec("grant team to ada, bob").await;
    for (role, superuser) in [("ada", "off"), ("bob", "off"), ("postgres", "on"), ("boss", "on")] {
        let end = run_as(&world, role, "says", &SAYS.replace("AT", role)).await;
        assert_eq!(end, "succeeded|1||", "{role}");
        let said: String = world.db().one_with("select said from who where at = $1", &[&role]).await;
        assert_eq!(said, format!("{role} {role} {superuser}"));
    }
    for role in ["ada", "bob"] {
        for (number, (attack, refused)) in [
            ("set role postgres", true),
            ("set session authorization postgres", true),
            ("reset role", false),
            ("reset session authorization", false),
            ("set role none", false),
            ("rollback; reset role", false),
            ("begin; set local role none; commit", false),
        ]
        .into_iter()
        .enumerate()
        {
            let at = format!("{role} {number}");
            let command = format!("{attack}; commit; {}", SAYS.replace("AT", &at));
            let end = run_as(&world, role, &at, &command).await;
            // In a session that cannot log in before Postgres 17 the harmless ones are refused too.
            assert!(!refused || end.starts_with("failed||42501"), "{at} {attack}: {end}");
            let said: Vec<String> = world
                .db()
                .column(&format!("select said from who where at = '{at}' and said <> '{role} {role} off'"))
                .await;
            assert_eq!(said, Vec::<String>::new(), "{attack}");
        }
        let store = run_as(&world, role, "store", "delete from edge_store.schedule").await;
        assert!(store.starts_with("failed||42501|permission denied for schema edge_store"), "{role}: {store}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_whose_sessions_begin_as_another_one_runs_its_commands_itself() {
    let world = world_of(&[("ada", "login"), ("team", "nologin")]).await;
    world.db().exec("grant team to ada; alter role ada set role = team").await;
    assert_eq!(run_as(&world, "ada", "says", &SAYS.replace("AT", "ada")).await, "succeeded|1||");
    assert_eq!(world.db().column::<String>("select said from who").await, ["ada ada off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_shows_itself_as_a_session_does() {
    let world = world_of(&[("ada", "login")]).await;
    let schedule = world.schedule("ada", "nightly", "select pg_sleep(3600) -- for long").await;
    let run = world.due(schedule).await;
    let sql = "
        select format('%s|%s|%s|%s|%s', usename, application_name, backend_type, state, query)
        from pg_stat_activity where backend_type = 'pg_edge command' and wait_event = 'PgSleep'";
    let shown = eventually("the command sleeps", SERVER_DEADLINE, || async {
        world.db().column::<String>(sql).await.into_iter().next()
    })
    .await;
    assert_eq!(shown, "ada|pg_edge command: nightly|pg_edge command|active|select pg_sleep(3600) -- for long");
    world.cancel(run).await;
    world.end(run).await;
    world.db().exec("create table t (n int)").await;
    assert_eq!(world.run("writes", "insert into t select generate_series(1, 1000)").await, "succeeded|1000||");
    let counted = "select n_tup_ins from pg_stat_all_tables where relname = 't'";
    eventually("its statistics are there", SERVER_DEADLINE, || async { world.db().one::<i64>(counted).await == 1000 })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_in_its_session_keeps_nobody_from_recording_its_end() {
    let world = world_of(&[("ada", "login"), ("team", "nologin")]).await;
    world.db().exec("grant team to ada; grant temporary, create on database postgres to public").await;
    world.db().exec(crate::identity::HOSTILE).await;
    let leaves = "
        create temp table schedule_run (schedule_id bigint, scheduled_for timestamptz, finished_at timestamptz);
        create temp table pg_namespace (nspname name);
        prepare p as select 1;
        declare held cursor with hold for select 1;
        listen nobody;";
    let sets = "
        set default_transaction_read_only = on;
        set default_transaction_isolation = serializable;
        set search_path = hostile, pg_temp, pg_catalog;
        set lock_timeout = '1ms';
        set exit_on_error = on;
        set row_security = off;
        set role team";
    // A background process cannot LISTEN.
    let end = run_as(&world, "ada", "leaves", leaves).await;
    assert_eq!(end, "failed||0A000|cannot execute LISTEN within a background process");
    let leaves = leaves.replace("listen nobody;", "");
    // That time limit is for what follows it, and nothing of the command does.
    let limits = "select set_config('statement_timeout', '1ms', false)";
    for last in [limits, "select 1/0"] {
        let end =
            run_as(&world, "ada", last, &format!("{leaves} commit; {sets}; commit; set exit_on_error = off; {last}"))
                .await;
        let expected = if last == limits { "succeeded|1||" } else { "failed||22012|division by zero" };
        assert_eq!(end, expected);
    }
    // The next command finds nothing of it.
    let clean = "select 1 / (case when count(*) = 0 then 1 else 0 end) from pg_prepared_statements";
    assert_eq!(run_as(&world, "ada", "clean", clean).await, "succeeded|1||");
    assert!(run_as(&world, "ada", "temp", "select from schedule_run").await.starts_with("failed||42P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_reaches_those_who_listen() {
    let world = world_of(&[("ada", "login")]).await;
    world.db().exec("listen news").await;
    assert_eq!(run_as(&world, "ada", "tells", "notify news, 'extra'").await, "succeeded|||");
    let heard = world.db().next_notification().await;
    assert_eq!((heard.channel(), heard.payload()), ("news", "extra"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_watches_over_the_sessions_of_a_role_watches_over_its_commands() {
    let world = world_of(&[("ada", "login"), ("bob", "nologin")]).await;
    world
        .db()
        .exec(
            "alter role all set session_preload_libraries = 'auto_explain';
             alter role all set auto_explain.log_min_duration = 0;
             alter role all set auto_explain.log_format = 'json';
             alter role ada set log_statement = 'ddl';
             alter role bob set log_statement = 'ddl'",
        )
        .await;
    for role in ["ada", "bob"] {
        let command = format!("create table public.of_{role} (n int); insert into public.of_{role} values (12345)");
        assert_eq!(run_as(&world, role, "s", &command).await, "succeeded|1||");
        let log = world.scene.cluster.log();
        let explained = format!("\"Relation Name\": \"of_{role}\"");
        assert!(log.contains(&explained), "{role}: {log}");
        let logged = format!("command, statement: create table public.of_{role}");
        assert_eq!(log.matches(&logged).count(), 1, "{role}: {log}");
        let end = run_as(&world, role, "no ddl", "select 54321").await;
        assert_eq!(end, "succeeded|1||");
        assert!(!world.scene.cluster.log().contains("statement: select 54321"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_sets_a_secret_leaves_no_trace_of_it_in_the_log() {
    let world = World::start().await;
    world.db().exec("alter role postgres set log_statement = 'all'").await;
    for (name, last) in [("well", "select 1"), ("badly", "select 1/0")] {
        world.run(name, &format!("select edge.set_secret('token', 'sesame-open'); commit; {last}")).await;
    }
    let log = world.scene.cluster.log();
    assert!(log.contains("was hidden by pg_edge"), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("sesame-open")).collect();
    assert_eq!(lines, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_log_in_can_do_in_a_command_what_others_can() {
    let world = world_of(&[("bob", "nologin")]).await;
    world.db().exec("grant temporary, create on database postgres to bob").await;
    for (name, command) in [
        (
            "makes",
            "create schema mine; create table mine.t (n int primary key); create table mine.u (n int references mine.t)",
        ),
        ("fills", "insert into mine.t values (1), (2); insert into mine.u values (1)"),
        ("vacuums", "vacuum analyze mine.t"),
        ("indexes", "create index concurrently on mine.t (n)"),
        ("loops", "do $$ begin for i in 11..13 loop insert into mine.t values (i); commit; end loop; end $$"),
        ("blocks", "begin; insert into mine.t values (21); commit; begin; insert into mine.t values (22); rollback"),
        ("keeps", "create temp table kept as select 1 as n; prepare p as select 2; commit; execute p; drop table kept"),
        ("refreshes", "create materialized view mine.m as select * from mine.t; refresh materialized view mine.m"),
        ("defines", "create function mine.f() returns name language sql security definer as 'select current_user'"),
        ("calls", "select 1 / (case when mine.f() = 'bob' then 1 else 0 end)"),
        ("discards", "discard plans"),
    ] {
        let end = run_as(&world, "bob", name, command).await;
        assert!(end.starts_with("succeeded|"), "{command}: {end}");
    }
    assert_eq!(world.db().column::<i32>("select n from mine.t order by n").await, [1, 2, 11, 12, 13, 21]);
    let owners = "select distinct relowner::regrole::text from pg_class where relnamespace = 'mine'::regnamespace";
    assert_eq!(world.db().column::<String>(owners).await, ["bob"]);
    let stranger = run_as(&world, "bob", "strays", "create table public.who2 as select * from pg_authid").await;
    assert!(stranger.starts_with("failed||42501"), "{stranger}");
}
