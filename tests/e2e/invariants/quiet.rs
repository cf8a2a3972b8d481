//! While calls hang nothing is held in Postgres, and while nothing is due nothing is done there.

use crate::faults::{SOON, dispatcher, queue, ready};
use crate::harness::{Cluster, Peer, Reply, eventually, process};

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_and_no_snapshot_is_held_while_calls_hang() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::hang());
    queue(&db, &peer.url("/"), 64).await;
    eventually("all calls hang", SOON, || async { peer.in_flight() == 64 }).await;
    let holds = "select xact_start is not null or backend_xmin is not null or backend_xid is not null
                 from pg_stat_activity where backend_type = 'pg_edge dispatcher' and datname = 'postgres'";
    // The turn that sent them may still be committing.
    eventually("the dispatcher's transaction has ended", SOON, || async { !db.one::<bool>(holds).await }).await;
    for _ in 0..200 {
        assert!(!db.one::<bool>(holds).await, "a transaction is open while calls hang");
    }
    let locks: i64 = db
        .one(&format!(
            "select count(*) from pg_locks where pid = {} and locktype not in ('advisory', 'virtualxid')",
            dispatcher(&cluster, "postgres").await
        ))
        .await;
    assert_eq!(locks, 0);
    // What vacuum may remove is what counts in the end.
    db.exec("create table junk as select generate_series(1, 1000); delete from junk").await;
    db.exec("vacuum junk").await;
    assert_eq!(db.one::<i64>("select pg_relation_size('junk')").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_dispatcher_burns_no_xid_runs_no_statement_and_sleeps() {
    let cluster = Cluster::builder().setting("autovacuum", "off").start();
    cluster.create_database("app").await;
    let app = cluster.create_extension("app").await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let last = queue(&app, &peer.url("/"), 10).await.pop_last().expect("ten calls");
    app.exec(&format!("select edge.wait({last})")).await;
    drop(app);
    let worker = dispatcher(&cluster, "app").await;
    let db = cluster.connect().await;
    let at_rest = "select count(*) = 1 and bool_and(state = 'idle') from pg_stat_activity where datname = 'app'";
    eventually("the dispatcher is idle and alone in its database", SOON, || db.one::<bool>(at_rest)).await;
    // Its last statistics are on their way.
    eventually("it has gone to sleep", SOON, || async {
        let before = switches(worker);
        db.exec("select pg_sleep(0.3)").await;
        switches(worker) == before
    })
    .await;
    let look = || async {
        let xid: String = db.one("select pg_snapshot_xmax(pg_current_snapshot())::text").await;
        let counted = "select xact_commit + xact_rollback from pg_stat_database where datname = 'app'";
        (xid, db.one::<i64>(counted).await, switches(worker))
    };
    let before = look().await;
    db.exec("select pg_sleep(3)").await;
    assert_eq!(look().await, before, "next xid, transactions in the database, wake-ups of the main thread");
}

/// How often the main thread has gone to sleep.
fn switches(pid: i32) -> u64 {
    process::status_field(pid, pid, "voluntary_ctxt_switches:").parse().expect("a count")
}
