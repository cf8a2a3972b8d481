//! Locks and triggers of users: what they hold up is theirs, and nobody else's.

use super::{PATIENT, request, response, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::ended;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_deletes_his_request_and_does_not_commit_keeps_nobody_elses_response() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on("/mine", Reply::gate(&gate)).on("/theirs", Reply::status(204));
    let mine = request(&scene, PATIENT, "/mine").await;
    let holder = scene.cluster.connect().await;
    holder.exec(&format!("begin; delete from net.http_request_queue where id = {mine}")).await;
    gate.open();
    let theirs = request(&scene, "net.http_get($1)", "/theirs").await;
    assert_eq!(response(&scene.db, theirs).await.get::<_, i32>("status_code"), 204);
    holder.exec("rollback").await;
    assert_eq!(response(&scene.db, mine).await.get::<_, i32>("status_code"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_the_tables_delays_responses_and_costs_none() {
    let scene = start().await;
    for table in ["net._http_response", "net.http_request_queue"] {
        // The answer comes only when the lock is held: an outcome that was stored before would wait for nothing.
        let gate = Gate::closed();
        scene.peer.on("/gated", Reply::gate(&gate));
        // Less than the lock is waited for.
        scene.cluster.set("pg_edge.callback_timeout", "100ms").await;
        let locker = scene.cluster.connect().await;
        let id = request(&scene, PATIENT, "/gated").await;
        locker.exec(&format!("begin; lock table {table} in access exclusive mode")).await;
        gate.open();
        let waits = "select count(*) > 0 from pg_locks where not granted";
        eventually("something waits for the lock", SERVER_DEADLINE, || scene.db.one::<bool>(waits)).await;
        // Calls that have nothing to do with it are made.
        let plain = scene.get("/plain").await;
        assert_eq!(ended(&scene.db, plain).await.get::<_, &str>("state"), "succeeded");
        // What is stored once the lock is there may take its time on a busy machine.
        scene.cluster.set("pg_edge.callback_timeout", "60s").await;
        let longer = "select count(*) > 0 from pg_locks
                      where not granted and waitstart < clock_timestamp() - interval '300 ms'";
        eventually("it is waited for for longer", SERVER_DEADLINE, || scene.db.one::<bool>(longer)).await;
        locker.exec("commit").await;
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200, "{table}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.callback_errors").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_fails_for_a_passing_reason_is_given_up_after_some_tries_and_holds_up_nobody() {
    let scene = start().await;
    scene
        .db
        .exec(
            "create function fuss() returns trigger language plpgsql as $$
             begin
                 if new.status_code = 418 then raise exception 'busy' using errcode = '55P03'; end if;
                 return new;
             end $$;
             create trigger fuss before insert on net._http_response for each row execute function fuss()",
        )
        .await;
    scene.peer.on("/bad", Reply::status(418)).on("/good", Reply::status(204));
    let bad = request(&scene, "net.http_get($1)", "/bad").await;
    let good = request(&scene, "net.http_get($1)", "/good").await;
    assert_eq!(response(&scene.db, good).await.get::<_, i32>("status_code"), 204);
    let given_up = format!("select exists (select from edge.callback_errors where call_id = {bad})");
    eventually("the bad one is given up", SERVER_DEADLINE, || scene.db.one::<bool>(&given_up)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_somebody_holds_keeps_the_collector_from_nothing_else() {
    let scene = start().await;
    let forgotten = "select count(*) = 0 from net._http_response where id = 0";
    let locker = scene.cluster.connect().await;
    locker.exec("begin; lock table net._http_response in access exclusive mode").await;
    let held = request(&scene, "net.http_get($1)", "/").await;
    let waits = format!("select count(*) = 1 from edge_store.callback where owner = 1 and call_id = {held}");
    eventually("its outcome is noted", SERVER_DEADLINE, || scene.db.one::<bool>(&waits)).await;
    let holder = scene.cluster.connect().await;
    holder.exec(&format!("begin; select from edge_store.callback where call_id = {held} for update")).await;
    locker.exec("commit").await;
    let other = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(response(&scene.db, other).await.get::<_, i32>("status_code"), 200);
    scene.db.exec("insert into net._http_response (id, created) values (0, now() - interval '1 year')").await;
    eventually("the collector has got to what is old", SERVER_DEADLINE, || scene.db.one::<bool>(forgotten)).await;
    assert!(scene.db.one::<bool>(&waits).await, "it is held");
    holder.exec("rollback").await;
    assert_eq!(response(&scene.db, held).await.get::<_, i32>("status_code"), 200);
}
