//! Roles that are dropped, renamed or robbed of what they own, while their calls wait, run, or are to be called back.

use crate::faults::{all_ended, dispatcher};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, Gate, Reply, eventually};
use crate::scene::{Scene, call, ended, get, reaches};

const WHO: &str = "create table who (cur text); grant insert on who to public; grant create on schema public to public";

const CB: &str = "create function NAME(r edge.response) returns void language sql as $$ insert into public.who values (current_user) $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_role_leaves_the_queue_working() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_runners", "0")).await;
    scene.db.exec(WHO).await;
    let before = dispatcher(&scene.cluster, "postgres").await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate)).on("/busy", Reply::status(503));
    let (ada, bob) = (scene.role("ada").await, scene.role("bob").await);
    for (db, name) in [(&ada, "ada_cb"), (&bob, "bob_cb")] {
        db.exec(&CB.replace("NAME", name)).await;
    }
    // Queued, to be called back, on the wire, between two tries, and for later.
    let url = |path: &str| scene.peer.url(path);
    let to_call_back = call(&ada, "edge.http_get_async($1, on_complete => 'ada_cb')", &url("/")).await;
    ended(&ada, to_call_back).await;
    let running = call(&ada, "edge.http_get_async($1, on_complete => 'ada_cb')", &url("/gated")).await;
    reaches(&ada, running, "running").await;
    let retrying =
        call(&ada, "edge.http_get_async($1, max_attempts => 3, on_complete => 'ada_cb')", &url("/busy")).await;
    // Between two tries, unless the machine is so slow that all have been made by now.
    let tried = format!("select exists (select from edge.attempts where call_id = {retrying})");
    eventually("it was tried once", SERVER_DEADLINE, || scene.db.one::<bool>(&tried)).await;
    let later =
        call(&ada, "edge.http_get_async($1, run_at => now() + '3 s', on_complete => 'ada_cb')", &url("/")).await;
    let bobs = call(&bob, "edge.http_get_async($1, on_complete => 'bob_cb')", &url("/")).await;
    drop(ada);
    scene.db.exec("drop owned by ada; drop role ada").await;
    gate.open();
    all_ended(&scene.cluster, "postgres").await;
    let states = "select string_agg(state, ' ' order by id) from edge.calls";
    assert_eq!(scene.db.one::<String>(states).await, "succeeded succeeded failed succeeded succeeded");
    scene.cluster.set("pg_edge.max_runners", "4").await;
    eventually("bob was called back", SERVER_DEADLINE, || async {
        scene.db.column::<String>("select cur from who").await == ["bob"]
    })
    .await;
    eventually("nothing is left to be called back", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge.callbacks").await == 0
    })
    .await;
    assert_eq!(dispatcher(&scene.cluster, "postgres").await, before, "the dispatcher was started anew");
    let owner: String = scene.db.one_with("select owner::text from edge.calls where id = $1", &[&later]).await;
    assert!(owner.starts_with("unknown"), "{owner}");
    // A superuser still gets at them.
    scene.db.exec(&format!("select edge.result({running}), edge.replay({retrying}), edge.cancel({later})")).await;
    ended(&bob, bobs).await;
    // A new role of the same name is somebody else.
    let ada = scene.role("ada").await;
    assert_eq!(ada.one::<i64>("select count(*) from edge.calls").await, 0);
    assert!(ada.one_with::<bool>("select edge.status($1) is null", &[&running]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_dropped_while_its_callback_runs_stops_nobody() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let (ada, bob) = (scene.role("ada").await, scene.role("bob").await);
    // It goes on when this session lets it.
    scene.db.exec("select pg_advisory_lock(1)").await;
    ada.exec("create function sleeps(r edge.response) returns void language sql as 'select pg_advisory_lock(1)'").await;
    for _ in 0..2 {
        call(&ada, "edge.http_get_async($1, on_complete => 'sleeps')", &scene.peer.url("/")).await;
    }
    let sleeping = "select exists (select from pg_stat_activity where backend_type = 'pg_edge runner' and wait_event = 'advisory')";
    eventually("the callback sleeps", SERVER_DEADLINE, || async { scene.db.one::<bool>(sleeping).await }).await;
    scene.db.exec("drop owned by ada; drop role ada").await;
    bob.exec(&CB.replace("NAME", "bob_cb")).await;
    call(&bob, "edge.http_get_async($1, on_complete => 'bob_cb')", &scene.peer.url("/")).await;
    eventually("bob was called back", SERVER_DEADLINE, || async {
        scene.db.column::<String>("select cur from who").await == ["bob"]
    })
    .await;
    assert!(scene.db.one::<bool>(sleeping).await, "ada's callback still runs");
    scene.db.exec("select pg_advisory_unlock(1)").await;
    eventually("ada's callbacks are gone", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge.callbacks").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_stay_with_the_role_when_its_name_or_its_things_go_elsewhere() {
    let scene = Scene::start().await;
    scene.db.exec(WHO).await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let (ada, bob) = (scene.role("ada").await, scene.role("bob").await);
    ada.exec(&CB.replace("NAME", "ada_cb")).await;
    let id = call(&ada, "edge.http_get_async($1, on_complete => 'ada_cb')", &scene.peer.url("/gated")).await;
    scene.db.exec("reassign owned by ada to bob; alter role ada rename to eva").await;
    gate.open();
    eventually("the callback ran", SERVER_DEADLINE, || async {
        scene.db.column::<String>("select cur from who").await == ["eva"]
    })
    .await;
    assert_eq!(ada.one_with::<String>("select owner::text from edge.calls where id = $1", &[&id]).await, "eva");
    assert_eq!(bob.one::<i64>("select count(*) from edge.calls").await, 0);
}

/// Runs what locks one table of ours after the other. The dispatcher does so as well, and Postgres ends one of two that meet.
async fn locks_all_tables(db: &Db, sql: &str) {
    eventually("nobody is met on the way", SERVER_DEADLINE, || async {
        match db.try_exec(sql).await {
            Ok(()) => true,
            Err(error) if error.sqlstate == "40P01" => false,
            Err(error) => panic!("{error}\nin: {sql}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_given_the_tables_gains_no_superuser_by_them() {
    let scene = Scene::start().await;
    scene.db.exec("create table who (at text, cur text); grant insert on who to public; create role installer superuser login").await;
    scene.db.exec("drop extension pg_edge; grant create on schema public to public").await;
    scene.cluster.connect_as("installer", "postgres").await.exec("create extension pg_edge").await;
    let (eve, ada) = (scene.role("eve").await, scene.role("ada").await);
    let first = get(&scene.db, &scene.peer.url("/first")).await;
    ended(&scene.db, first).await;
    locks_all_tables(&scene.db, "reassign owned by installer to eve").await;
    locks_all_tables(
        &eve,
        "create function spring() returns trigger language plpgsql as
             $$ begin insert into public.who values (tg_relid::regclass::text, current_user); return coalesce(new, old); end $$;
         do $$
         declare t regclass;
         begin
             foreach t in array '{edge_store.request, edge_store.response, edge_store.attempt, edge_store.deferred,
                                  edge_store.lease, edge_store.callback}'::regclass[] loop
                 execute format('create trigger sprung before insert or update or delete on %s for each row execute function public.spring()', t);
                 execute format('alter table %s enable always trigger sprung', t);
             end loop;
         end $$;
         create constraint trigger later after insert on edge_store.lease deferrable initially deferred
             for each row execute function spring();
         alter table edge_store.lease enable always trigger later;
         create constraint trigger later after insert on edge_store.deferred deferrable initially deferred
             for each row execute function spring();
         alter table edge_store.deferred enable always trigger later;
         create function sprung(n bigint) returns bigint immutable language plpgsql as
             $$ begin assert current_user = 'eve', 'an index is kept as somebody else'; return n; end $$;
         create index on edge_store.request (sprung(id));
         create index on edge_store.response (sprung(call_id))",
    )
    .await;
    ada.exec("create function cb(r edge.response) returns void language sql as ''").await;
    scene.peer.on("/bad", Reply::status(503));
    for path in ["/good", "/bad"] {
        let id =
            call(&ada, "edge.http_get_async($1, max_attempts => 2, on_complete => 'cb')", &scene.peer.url(path)).await;
        ended(&ada, id).await;
    }
    eventually("the callbacks have run", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge.callbacks").await == 0
    })
    .await;
    let sprung = "select string_agg(distinct at, ' ' order by at) from who";
    let tables: String = scene.db.one(sprung).await;
    for table in ["attempt_", "callback", "deferred"] {
        assert!(tables.contains(&format!("edge_store.{table}")), "no trigger fired on {table}: {tables}");
    }
    // These are written without SQL, and without triggers.
    for table in ["lease", "request_", "response_"] {
        assert!(!tables.contains(&format!("edge_store.{table}")), "a trigger fired on {table}: {tables}");
    }
    assert_eq!(scene.db.column::<String>("select distinct cur from who").await, ["eve"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_whose_things_were_reassigned_works_on() {
    let scene = Scene::start().await;
    scene.db.exec("create role installer superuser login; drop extension pg_edge").await;
    let installer = scene.cluster.connect_as("installer", "postgres").await;
    installer.exec("create extension pg_edge").await;
    let ada = scene.role("ada").await;
    let id = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    ended(&ada, id).await;
    drop(installer);
    locks_all_tables(
        &scene.db,
        "reassign owned by installer to postgres; drop owned by installer; drop role installer",
    )
    .await;
    let id = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    assert_eq!(ended(&ada, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(ada.one::<i64>("select count(*) from edge.calls").await, 2);
}
