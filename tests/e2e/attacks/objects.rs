//! Putting something of one's own on our tables, functions and types, where others' rights would run it.

use crate::harness::Db;
use crate::scene::{Scene, call, ended};

/// A function that writes down as whom it ran, in each form that an object takes.
const TRAPS: &str = "
    create table who (at text, cur text);
    grant insert, select on who to public;
    create function trap(at text) returns boolean language plpgsql as
        $$ begin insert into public.who values (at, current_user); return true; end $$;
    grant create on schema public to public;
    grant create on database postgres to public;
    create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    grant usage on foreign server nowhere to public;";

/// What somebody would do to each of our tables, named `{table}`.
const ON_TABLES: [&str; 19] = [
    "create foreign table far partition of {table} for values in (99) server nowhere",
    "create foreign table far () inherits ({table}) server nowhere",
    "create trigger sprung before insert on {table} for each row execute function spring()",
    "create trigger sprung after insert on {table} execute function spring()",
    "create rule sprung as on insert to {table} do also insert into public.who values ('rule', current_user)",
    "create policy everybody on {table} using (true)",
    "alter table {table} disable row level security",
    "alter table heir inherit {table}",
    "create table child () inherits ({table})",
    "create table part partition of {table} for values in (99)",
    "alter table {table} attach partition heir for values in (99)",
    "create publication everything for table {table}",
    "create index on {table} ((public.trap('index')))",
    "create statistics guess on slot, owner from {table}",
    "alter table {table} add check (public.trap('check'))",
    "alter table {table} alter slot set default public.trap('default')::int",
    "create table referrer (id bigint references {table})",
    "create table copy (like {table} including all)",
    "alter table {table} owner to eve",
];

/// What somebody would do to the rest.
const ELSEWHERE: [&str; 20] = [
    "create cast (jsonb as text) with function jsonb_to_text(jsonb) as implicit",
    "create cast (bigint as edge.response) with inout as implicit",
    "alter text search configuration pg_catalog.simple owner to eve",
    "alter function pg_catalog.now() security definer",
    "create function edge.http_get_async(text) returns bigint language sql as 'select 1'",
    "create or replace function edge_store.current_role_oid() returns oid language sql as 'select 10::oid'",
    "alter function edge_store.current_role_oid() owner to eve",
    "alter function edge.pause() security definer",
    "create view edge.calls2 as select 1",
    "create or replace view edge.calls as select 1 as id",
    "alter view edge.calls reset (security_barrier)",
    "alter type edge.response add attribute evil text",
    "create cast (edge.response as text) with function to_text(edge.response)",
    "create operator class evil default for type oid using btree as operator 1 public.<",
    "create event trigger evil on ddl_command_end execute function springs()",
    "create function helped(int) returns int language sql support pg_catalog.textlike_support as 'select 1'",
    "alter extension pg_edge add function spring()",
    "drop extension pg_edge",
    "alter sequence edge_store.call_id restart",
    "alter default privileges for role postgres grant all on tables to eve",
];

async fn hostile(scene: &Scene) -> Db {
    scene.db.exec(TRAPS).await;
    let eve = scene.role("eve").await;
    eve.exec(
        "create function spring() returns trigger language plpgsql as
             $$ begin perform public.trap('trigger ' || tg_relid::regclass); return new; end $$;
         create function springs() returns event_trigger language plpgsql as $$ begin perform public.trap('event'); end $$;
         create function to_text(edge.response) returns text language sql as 'select ''x''';
         create function jsonb_to_text(jsonb) returns text language sql as $$ select trap('cast')::text $$;
         create table heir (id bigint, slot smallint)",
    )
    .await;
    eve
}

async fn trapped(scene: &Scene) -> Vec<String> {
    scene.db.column("select distinct at || ' as ' || cur from public.who where cur <> 'eve'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_put_on_our_objects() {
    let scene = Scene::start().await;
    let eve = hostile(&scene).await;
    // Even for somebody who may name them.
    scene.db.exec("grant usage on schema edge_store to eve").await;
    let tables = "select c.oid::regclass::text from pg_class as c
                  where relnamespace = 'edge_store'::regnamespace and relkind in ('r', 'p') and relname !~ '_[1-7]$'";
    let tables: Vec<String> = scene.db.column(tables).await;
    for attack in ON_TABLES {
        let mut reasons = Vec::new();
        for table in &tables {
            reasons.push(eve.fails(&attack.replace("{table}", table)).await.sqlstate);
        }
        // What makes no sense for one kind of table may be refused for that.
        assert!(reasons.iter().any(|sqlstate| sqlstate == "42501"), "{attack}: {reasons:?}");
    }
    for attack in ELSEWHERE {
        let error = eve.fails(attack).await;
        assert_eq!(error.sqlstate, "42501", "{attack}: {error}");
    }
    let id = call(&scene.db, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    ended(&scene.db, id).await;
    assert_eq!(trapped(&scene).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_a_careless_grant_allowed_is_not_fired_by_the_dispatcher() {
    let scene = Scene::start().await;
    let eve = hostile(&scene).await;
    scene
        .db
        .exec("grant usage on schema edge_store to eve; grant trigger on all tables in schema edge_store to eve")
        .await;
    let written = ["response", "attempt", "deferred", "lease", "control", "idempotency"];
    for table in written {
        eve.exec(&format!(
            "create trigger sprung before insert or update or delete on edge_store.{table} for each row execute function spring();
             create trigger sprung_too after insert or update or delete on edge_store.{table} for each statement execute function spring()"
        ))
        .await;
    }
    scene.peer.on("/bad", crate::harness::Reply::status(503));
    for path in ["/good", "/bad"] {
        let id = call(&eve, "edge.http_get_async($1, max_attempts => 2)", &scene.peer.url(path)).await;
        ended(&eve, id).await;
    }
    assert_eq!(
        scene.db.column::<String>("select distinct at || ' as ' || cur from public.who").await,
        Vec::<String>::new()
    );
    // The triggers are there, and would have told.
    scene.db.exec("update edge_store.control set epoch = epoch").await;
    assert_eq!(trapped(&scene).await, ["trigger edge_store.control as postgres"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_queued_while_others_maintain_a_table_belongs_to_the_table_s_owner() {
    let scene = Scene::start().await;
    let eve = hostile(&scene).await;
    eve.exec(&format!(
        "create function ask(n int) returns int language plpgsql immutable as
             $$ begin perform edge.http_get_async('{}', metadata => to_jsonb(current_user::text)); return n; end $$;
         create table mine (n int);
         create index on mine (ask(n));
         insert into mine values (1);
         create materialized view seen as select ask(n) from mine",
        scene.peer.url("/")
    ))
    .await;
    scene.db.exec("analyze mine; reindex table mine; refresh materialized view seen").await;
    scene.db.exec("vacuum full mine").await;
    let owners = "select distinct owner::text from edge.calls";
    assert_eq!(scene.db.column::<String>(owners).await, ["eve"]);
    assert!(
        scene.db.one::<i64>("select count(*) from edge.calls").await > 3,
        "the superuser's commands queued nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn things_of_our_names_elsewhere_change_nothing() {
    let scene = Scene::start().await;
    let eve = hostile(&scene).await;
    eve.exec(
        "create type public.response as (id bigint);
         create function public.http_get_async(text) returns bigint language sql as $$ select trap('function')::int::bigint $$;
         create function public.current_role_oid() returns oid language sql as $$ select 10::oid $$;
         create function public.cb(r public.response) returns void language sql as '';
         create function public.format(text, text, text) returns text language sql as $$ select trap('format')::text $$;
         create table public.request (id bigint); create table public.callback (call_id bigint)",
    )
    .await;
    eve.exec(
        "create domain ours as edge.response check (trap('domain')); create table typed of edge.response;
         create function dom(r ours) returns void language sql as '';
         create function rowtype(r typed) returns void language sql as ''",
    )
    .await;
    for function in ["public.cb", "dom", "rowtype"] {
        let error = eve.fails(&format!("select edge.http_get_async('http://x/', on_complete => '{function}')")).await;
        assert_eq!(error.sqlstate, "42P13", "{function}: {error}");
    }
    for db in [&scene.db, &eve] {
        db.exec("set search_path = public, edge").await;
        let id = call(db, "edge.http_get_async($1)", &scene.peer.url("/")).await;
        ended(db, id).await;
        db.exec("select * from edge.calls; select * from edge.attempts").await;
    }
    assert_eq!(eve.one::<i64>("select count(*) from edge.calls").await, 1);
    assert_eq!(trapped(&scene).await, Vec::<String>::new());
}
