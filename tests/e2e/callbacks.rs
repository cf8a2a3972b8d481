//! `on_complete`: when it runs, what it is given, and what its failure changes.

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, Gate, Reply, eventually};
use crate::scene::{Scene, call, ended, refused};

const CALL: &str = "edge.http_get_async($1, on_complete => 'note')";

/// A function that writes down what it was given, what it saw, and in which transaction.
const NOTE: &str = "
    create table told (id bigint, state text, status int, body text, committed boolean, xid xid8, pid int,
                       who text, session text);
    create function note(r edge.response) returns void language plpgsql as $$
    begin
        insert into told values (r.id, r.state, r.status_code, r.body,
            (select state = r.state from edge.calls where id = r.id), pg_current_xact_id(), pg_backend_pid(),
            current_user, session_user);
    end $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_given_the_committed_response_in_a_transaction_of_its_own() {
    let scene = Scene::start().await;
    scene.db.exec(NOTE).await;
    scene.peer.on("/good", Reply::text(200, "good")).on("/bad", Reply::text(404, "bad"));
    let (good, bad) = (scene.call(CALL, "/good").await, scene.call(CALL, "/bad").await);
    told(&scene.db, 2).await;
    let rows = "select format('%s|%s|%s|%s|%s', id, state, status, body, committed) from told order by id";
    assert_eq!(
        scene.db.column::<String>(rows).await,
        [format!("{good}|succeeded|200|good|t"), format!("{bad}|failed|404|bad|t")]
    );
    assert_eq!(scene.db.one::<i64>("select count(distinct xid) from told").await, 2, "they shared a transaction");
    let dispatcher: i32 = scene.db.one("select pid from edge.worker_status()").await;
    assert_eq!(scene.db.one_with::<i64>("select count(*) from told where pid = $1", &[&dispatcher]).await, 0);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.callback").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_callback_is_recorded_and_changes_nothing_else() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(
            "create table tried (id bigint);
             create function fails(r edge.response) returns void language plpgsql as $$
             begin insert into tried values (r.id); raise exception 'no luck' using errcode = '23505'; end $$",
        )
        .await;
    scene.db.exec(NOTE).await;
    let id = scene.call("edge.http_get_async($1, on_complete => 'fails')", "/").await;
    let next = scene.call(CALL, "/").await;
    told(&scene.db, 1).await;
    recorded(&scene.db, id, "23505", "no luck").await;
    let row = "select format('%s|%s', owner, function) from edge.callback_errors";
    assert_eq!(scene.db.column::<String>(row).await, ["postgres|fails(edge.response)"]);
    assert_eq!(scene.db.one::<i64>("select count(*) from tried").await, 0, "its transaction was kept");
    for id in [id, next] {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_takes_too_long_is_ended() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.callback_timeout", "200ms")).await;
    scene
        .db
        .exec(
            "create function sleeps(r edge.response) returns void language sql as 'select pg_sleep(3600)';
             create table t (n int);
             create function slow_check() returns trigger language plpgsql as $$
             begin perform pg_sleep(3600); return null; end $$;
             create constraint trigger later after insert on t deferrable initially deferred
                 for each row execute function slow_check();
             create function defers(r edge.response) returns void language sql as 'insert into t values (1)'",
        )
        .await;
    for function in ["sleeps", "defers"] {
        let id = scene.call(&format!("edge.http_get_async($1, on_complete => '{function}')"), "/").await;
        recorded(&scene.db, id, "57014", "").await;
    }
    scene.db.exec(NOTE).await;
    // This one may take as long as it takes on a busy machine, in a process that knows of it.
    scene.cluster.set("pg_edge.callback_timeout", "1min").await;
    let gone = "select count(*) = 0 from pg_stat_activity where backend_type = 'pg_edge runner'";
    eventually("nobody runs callbacks", SERVER_DEADLINE, || scene.db.one::<bool>(gone)).await;
    scene.call(CALL, "/").await;
    told(&scene.db, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_callbacks_delay_no_call() {
    let scene = Scene::start().await;
    scene.db.exec("create function sleeps(r edge.response) returns void language sql as 'select pg_sleep(3600)'").await;
    for _ in 0..10 {
        let id = scene.call("edge.http_get_async($1, on_complete => 'sleeps')", "/").await;
        ended(&scene.db, id).await;
    }
    let busy = "select count(*) from pg_stat_activity where backend_type like '%runner%' and wait_event = 'PgSleep'";
    eventually("a callback sleeps", SERVER_DEADLINE, || async { scene.db.one::<i64>(busy).await >= 1 }).await;
    for _ in 0..10 {
        let id = scene.get("/next").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_gone_by_then_is_an_error_of_the_callback() {
    let scene = Scene::start().await;
    scene.db.exec(NOTE).await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = scene.call(CALL, "/gated").await;
    scene.db.exec("drop function note").await;
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    recorded(&scene.db, id, "42883", "no longer exists").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_callback_is_refused_when_the_call_is_queued() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    scene.db.exec(NOTE).await;
    scene
        .db
        .exec(
            "revoke execute on function note from public;
             create function wrong(t text) returns void language sql as '';
             create function two(r edge.response, n int default 1) returns void language sql as '';
             create function many(r edge.response) returns setof int language sql as 'select 1';
             create procedure proc(r edge.response) language sql as '';
             create function over(r edge.response) returns void language sql as '';
             create function over(t text) returns void language sql as ''",
        )
        .await;
    let table = [
        ("note", "42501", "permission denied for function public.note(edge.response)"),
        ("wrong", "42P13", "must take exactly one argument, of type edge.response"),
        ("two", "42P13", "must take exactly one argument"),
        ("proc", "42P13", "must take exactly one argument"),
        ("many", "42P13", "and return no set"),
        ("missing", "42883", "function \"missing\" does not exist"),
        ("over", "42725", "more than one function named \"over\""),
    ];
    for (function, sqlstate, words) in table {
        let sql = format!("edge.http_get_async($1, on_complete => '{function}')");
        let error = refused(&ada, &sql, &scene.peer.url("/")).await;
        assert!(error.sqlstate == sqlstate && error.message.contains(words), "{function}: {error}");
    }
    assert_eq!(scene.peer.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_taken_away_meanwhile_is_an_error_of_the_callback() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    scene.db.exec(NOTE).await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = call(&ada, CALL, &scene.peer.url("/gated")).await;
    scene.db.exec("revoke execute on function note from public").await;
    gate.open();
    recorded(&scene.db, id, "42501", "permission denied for function note").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_may_queue_the_next_call() {
    let scene = Scene::start().await;
    let next = format!(
        "create function chain(r edge.response) returns void language sql as
         $$ select edge.http_post_async('{}', r.json) $$",
        scene.peer.url("/second")
    );
    scene.db.exec(&next).await;
    scene.call("edge.http_get_async($1, on_complete => 'chain')", "/first").await;
    let second = scene.peer.wait_for_path("/second", 1).await;
    assert_eq!(second[0].text(), r#"{"ok": true}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_connect_gets_its_callback_later_and_no_storm_of_processes() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    scene.db.exec(NOTE).await;
    scene.db.exec("grant insert, select on told to ada; revoke connect on database postgres from public").await;
    call(&ada, CALL, &scene.peer.url("/")).await;
    let denied = || scene.cluster.log().matches("permission denied for database").count();
    // One try every five seconds: a third one proves the pause, a storm would have made hundreds by then.
    eventually("the runner was tried again", SERVER_DEADLINE, || async { denied() >= 3 }).await;
    assert!(denied() < 10, "{} runners were started", denied());
    scene.db.exec("grant connect on database postgres to ada").await;
    told(&scene.db, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sqlstate_of_a_callback_is_the_one_it_raised() {
    let scene = Scene::start().await;
    for (name, code) in [("own", "MY001"), ("known", "22012"), ("internal", "XX000")] {
        scene
            .db
            .exec(&format!(
                "create function {name}(r edge.response) returns void language plpgsql as
                 $$ begin
                     begin raise exception 'first' using errcode = '23505'; exception when others then null; end;
                     raise exception 'no' using errcode = '{code}';
                 end $$"
            ))
            .await;
        let id = scene.call(&format!("edge.http_get_async($1, on_complete => '{name}')"), "/").await;
        recorded(&scene.db, id, code, "no").await;
    }
}

async fn told(db: &Db, n: i64) {
    eventually("the callbacks have run", SERVER_DEADLINE, || async {
        db.one::<i64>("select count(*) from told").await == n
    })
    .await;
}

async fn recorded(db: &Db, id: i64, sqlstate: &str, words: &str) {
    let sql = "select sqlstate || ' ' || error from edge.callback_errors where call_id = $1";
    let found = eventually("the error of the callback is recorded", SERVER_DEADLINE, || async {
        db.rows_with(sql, &[&id]).await.first().map(|row| row.get::<_, String>(0))
    })
    .await;
    assert!(found.starts_with(sqlstate) && found.contains(words), "{found}");
}
