//! What somebody prepares before a superuser says CREATE EXTENSION.

use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_functions_that_lie_in_wait_are_not_built_into_the_views() {
    let cluster = Cluster::start();
    let db = cluster.connect().await;
    db.exec(
        "create table who (cur text); grant insert on who to public; grant create on schema public to public;
         create role eve login",
    )
    .await;
    let eve = cluster.connect_as("eve", "postgres").await;
    eve.exec(
        "create function trap() returns boolean language plpgsql as
             $$ begin insert into public.who values (current_user); return true; end $$;
         create function times(integer, interval) returns interval language plpgsql as
             $$ begin perform trap(); return $2; end $$;
         create operator * (leftarg = integer, rightarg = interval, function = times);
         create function more(smallint, integer) returns boolean language sql as 'select trap()';
         create operator > (leftarg = smallint, rightarg = integer, function = more);
         create function minus(smallint, integer) returns integer language sql as 'select trap()::int';
         create operator - (leftarg = smallint, rightarg = integer, function = minus);
         create function same(\"char\", text) returns boolean language sql as 'select trap()';
         create operator = (leftarg = \"char\", rightarg = text, function = same);
         create function unnest(bigint[], smallint[]) returns table (a bigint, b smallint) language sql as 'select 1, 1::smallint where trap()';
         create function format(text, integer) returns text language sql as $$ select 'select public.trap()' $$;
         create function acldefault(\"char\", oid) returns aclitem[] language sql as $$ select null::aclitem[] where trap() $$",
    )
    .await;
    db.exec("set search_path = public; create extension pg_edge").await;
    let id: i64 = db.one("select edge.http_get_async('http://127.0.0.1:1/', max_attempts => 1)").await;
    db.rows_with("select * from edge.wait($1, '60 s')", &[&id]).await;
    db.exec("select * from edge.calls; select * from edge.attempts; select * from edge.dead_letters; select * from edge.callbacks").await;
    assert_eq!(db.one::<i64>("select count(*) from edge.attempts where total is not null").await, 1);
    assert_eq!(db.column::<String>("select distinct cur from who").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn default_privileges_give_nothing_of_the_extension_away() {
    let cluster = Cluster::start();
    let db = cluster.connect().await;
    db.exec("create role eve login").await;
    for what in ["tables", "sequences", "functions", "types", "schemas"] {
        db.exec(&format!("alter default privileges grant all on {what} to eve, public")).await;
    }
    db.exec("create extension pg_edge").await;
    let given = "
        select format('%s %s', object, a.grantee) from (
            select oid::regclass::text, relacl from pg_class where relnamespace::regnamespace::text like 'edge%'
            union all select oid::regprocedure::text, proacl from pg_proc where pronamespace::regnamespace::text like 'edge%'
            union all select nspname::text, nspacl from pg_namespace where nspname like 'edge%'
            union all select typname::text, typacl from pg_type where typnamespace = 'edge'::regnamespace and typname = 'response'
        ) as o (object, acl), aclexplode(acl) as a where a.grantee <> 10";
    // What a function with a token may call, whatever role it has, is everybody's on purpose; 0 is PUBLIC.
    let on_purpose = [
        "edge 0",
        "edge.complete(bigint,text,jsonb) 0",
        "edge.fail(bigint,text,text,boolean) 0",
        "edge.heartbeat(bigint,text,jsonb) 0",
    ];
    let mut found = db.column::<String>(given).await;
    found.sort();
    assert_eq!(found, on_purpose);
    let eve = cluster.connect_as("eve", "postgres").await;
    for sql in ["select edge.pause()", "select * from edge.calls", "select * from edge_store.request"] {
        assert_eq!(eve.fails(sql).await.sqlstate, "42501", "{sql}");
    }
    // And access is still given and taken as a whole.
    db.exec("select edge.grant_access('eve')").await;
    assert_eq!(eve.one::<i64>("select count(*) from edge.calls").await, 0);
    db.exec("select edge.revoke_access('eve')").await;
    assert_eq!(eve.fails("select * from edge.calls").await.sqlstate, "42501");
}
