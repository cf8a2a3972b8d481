//! Defects of the nearest peer that must not be found here. Its endless loops (D2), its scans (D6) and its crash at
//! start-up (D7) have tests of their own in `crashes`, `invariants` and `databases`.

use std::time::Duration;

use crate::faults::{all_ended, queue_one, ready};
use crate::harness::{Cluster, Db, Peer, Reply, process};

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_no_object_are_refused_and_stop_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    for headers in ["[]", "1", "\"text\"", "null", "[{}]"] {
        let call = format!("select edge.http_get_async('{}', headers => '{headers}')", peer.url("/"));
        if headers == "null" {
            // Either is fine, as long as nothing stops.
            let _ = db.try_exec(&call).await;
        } else {
            db.fails(&call).await;
        }
    }
    let call = queue_one(&db, &peer.url("/")).await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(db.one::<String>(&format!("select edge.status({call})")).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_can_put_a_trigger_on_the_tables_or_read_them() {
    let (cluster, db) = ready().await;
    db.exec("create role low login; grant create on database postgres to low; select edge.grant_access('low')").await;
    let low = cluster.connect_as("low", "postgres").await;
    low.exec("create schema low; create function low.f() returns trigger language plpgsql as 'begin return new; end'")
        .await;
    for table in ["request", "response", "response_0", "attempt", "deferred", "lease", "callback", "control"] {
        let trigger =
            format!("create trigger t before insert on edge_store.{table} for each row execute function low.f()");
        for refused in [
            trigger,
            format!("select * from edge_store.{table}"),
            format!("insert into edge_store.{table} default values"),
            format!("delete from edge_store.{table}"),
            format!("truncate edge_store.{table}"),
        ] {
            assert_eq!(low.fails(&refused).await.sqlstate, "42501", "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_queues_for_long_does_not_slow_down() {
    let (cluster, db) = ready().await;
    db.exec("select edge.pause()").await;
    db.exec(
        "create procedure thousand() language plpgsql as $$
         begin
             for i in 1..1000 loop
                 perform edge.http_get_async('http://127.0.0.1:1/');
                 commit;
             end loop;
         end $$",
    )
    .await;
    keeps_its_pace(&cluster, &db).await;
}

/// Calls the procedure `thousand` over and over in a session, and looks that it takes no longer there in the end than in a new one.
/// With one more callback each transaction it would take many times as long.
pub async fn keeps_its_pace(cluster: &Cluster, old: &Db) {
    for _ in 0..10 {
        thousand(old).await;
    }
    let (mut best_of_old, mut best_of_new) = (Duration::MAX, Duration::MAX);
    for round in 1..=20 {
        let new = cluster.connect().await;
        thousand(&new).await;
        best_of_new = thousand(&new).await.min(best_of_new);
        best_of_old = thousand(old).await.min(best_of_old);
        if round >= 5 && best_of_old < 3 * best_of_new {
            return;
        }
    }
    panic!("{best_of_old:?} in a session that has made many transactions, {best_of_new:?} in a new one");
}

/// The processor's time that a thousand transactions take, which tells more on a busy machine than that of a clock on the wall.
async fn thousand(db: &Db) -> Duration {
    let pid = db.backend_pid().await;
    let before = process::cpu_time(pid);
    db.exec("call thousand()").await;
    process::cpu_time(pid) - before
}
