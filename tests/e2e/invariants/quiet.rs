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
    // What they come to is written a second later. After that nothing is due.
    let counted = "select coalesce(sum(attempts), 0) = 64 from edge.usage";
    eventually("they are counted", SOON, || db.one::<bool>(counted)).await;
    // The turn that has written it may still be committing.
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
    // Postgres' own vacuum may be at work in this database, and holds a snapshot then.
    eventually("vacuum can remove what was deleted", SOON, || async {
        db.exec("vacuum junk").await;
        db.one::<i64>("select pg_relation_size('junk')").await == 0
    })
    .await;
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
    let look = || async {
        let xid: String = db.one("select pg_snapshot_xmax(pg_current_snapshot())::text").await;
        let counted = "select xact_commit + xact_rollback from pg_stat_database where datname = 'app'";
        (xid, db.one::<i64>(counted).await, switches(worker))
    };
    // What the calls come to, and its last statistics, are written within seconds. Then it rests.
    eventually("next xid, transactions in the database and wake-ups of the main thread stay for 5 s", SOON, || async {
        let before = look().await;
        db.exec("select pg_sleep(5)").await;
        look().await == before
    })
    .await;
}

/// How often the main thread has gone to sleep.
fn switches(pid: i32) -> u64 {
    process::status_field(pid, pid, "voluntary_ctxt_switches:").parse().expect("a count")
}
