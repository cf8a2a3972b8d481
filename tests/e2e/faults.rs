//! What the fault tests share: queueing many calls, finding workers, and counting at the peer what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::harness::{Cluster, Db, Peer, Request, eventually};

/// The longest anything may take here: generous, since no test asserts speed.
pub const SOON: Duration = Duration::from_secs(60);

/// A cluster whose database `postgres` has the extension, and a session there.
pub async fn ready() -> (Cluster, Db) {
    with(&[]).await
}

/// The same, with settings.
pub async fn with(settings: &[(&str, &str)]) -> (Cluster, Db) {
    let builder = settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value));
    let cluster = builder.start();
    let db = cluster.create_extension("postgres").await;
    (cluster, db)
}

/// Queues calls in one statement and gives their ids.
pub async fn queue(db: &Db, url: &str, calls: usize) -> BTreeSet<i64> {
    let sql = format!("select edge.http_post_async('{url}') from generate_series(1, {calls})");
    db.column(&sql).await.into_iter().collect()
}

/// Queues one call.
pub async fn queue_one(db: &Db, url: &str) -> i64 {
    db.one(&format!("select edge.http_post_async('{url}')")).await
}

/// Waits until every call of the database has ended. Works over crashes of the server.
pub async fn all_ended(cluster: &Cluster, database: &str) {
    let sql = "select not exists (select from edge_store.request
                                  where not exists (select from edge_store.response where call_id = id))";
    eventually(&format!("every call of {database} has ended"), SOON, || holds(cluster, database, sql)).await;
}

/// Whether a query of one boolean says true; false while the server cannot be asked.
pub async fn holds(cluster: &Cluster, database: &str, sql: &str) -> bool {
    let Ok(db) = cluster.try_connect_as("postgres", database).await else { return false };
    let Ok(row) = db.client().query_one(sql, &[]).await else { return false };
    row.get(0)
}

/// The pid of a running worker of this type in this database (empty for the launcher).
pub async fn find_worker(cluster: &Cluster, worker: &str, database: &str) -> Option<i32> {
    let db = cluster.try_connect_as("postgres", "template1").await.ok()?;
    let sql = format!(
        "select pid from pg_stat_activity
         where backend_type = 'pg_edge {worker}' and coalesce(datname, '') = '{database}'"
    );
    db.client().query_opt(&sql, &[]).await.ok()?.map(|row| row.get(0))
}

/// Waits for the dispatcher of a database.
pub async fn dispatcher(cluster: &Cluster, database: &str) -> i32 {
    let what = format!("{database} has a dispatcher");
    eventually(&what, SOON, || find_worker(cluster, "dispatcher", database)).await
}

/// Waits until a worker runs that is another process than `before`.
pub async fn successor(cluster: &Cluster, worker: &str, database: &str, before: i32) -> i32 {
    let what = format!("another {worker} than {before} runs");
    eventually(&what, SOON, || async { find_worker(cluster, worker, database).await.filter(|pid| *pid != before) })
        .await
}

/// Which calls a peer was sent, and how often each: pg_edge's idempotency keys end in the id of the call.
pub fn deliveries(peer: &Peer) -> BTreeMap<i64, usize> {
    let mut times = BTreeMap::new();
    for request in peer.requests() {
        *times.entry(id_of(&request)).or_default() += 1;
    }
    times
}

/// The call that a request belongs to.
pub fn id_of(request: &Request) -> i64 {
    let key = request.header("idempotency-key").expect("every request has a key");
    key.rsplit_once('-').expect("a key ends in -id").1.parse().expect("an id is a number")
}

/// Every one of these calls came to the peer exactly once, and no other call did.
pub fn assert_sent_once(peer: &Peer, calls: &BTreeSet<i64>) {
    let sent = deliveries(peer);
    let lost: Vec<_> = calls.iter().filter(|id| !sent.contains_key(id)).collect();
    let strange: Vec<_> = sent.keys().filter(|id| !calls.contains(id)).collect();
    let repeated: Vec<_> = sent.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty() && strange.is_empty(), "lost: {lost:?}, never to be sent: {strange:?}");
    assert!(repeated.is_empty(), "sent more than once: {repeated:?}");
}

/// Every one of these calls came to the peer, and at most `in_flight` deliveries were repetitions.
pub fn assert_none_lost(peer: &Peer, calls: &BTreeSet<i64>, in_flight: usize) {
    let sent = deliveries(peer);
    let lost: Vec<_> = calls.iter().filter(|id| !sent.contains_key(id)).collect();
    assert!(lost.is_empty(), "{} calls lost: {lost:?}", lost.len());
    let repeated = sent.values().sum::<usize>() - sent.len();
    assert!(repeated <= in_flight, "{repeated} repetitions where at most {in_flight} calls were on the wire");
}

/// How often each state occurs.
pub async fn states(db: &Db) -> BTreeMap<String, i64> {
    let rows = db.rows("select state, count(*) from edge.calls group by state").await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Whether no transaction is made in the database "postgres" for so long, and no transaction id taken anywhere. Asked in another
/// database, whose own transactions do not count.
pub async fn rests_for(other: &Db, how_long: Duration) -> bool {
    let spent = "select (pg_stat_get_db_xact_commit(oid) + pg_stat_get_db_xact_rollback(oid))::bigint
                 from pg_database where datname = 'postgres'";
    // Asking takes one.
    let xid = "select pg_current_xact_id()::text::bigint";
    let before = (other.one::<i64>(spent).await, other.one::<i64>(xid).await);
    tokio::time::sleep(how_long).await;
    before == (other.one(spent).await, other.one::<i64>(xid).await - 1)
}
