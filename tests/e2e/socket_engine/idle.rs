//! Websockets over which nothing is said cost nothing.

use std::time::Duration;

use super::{Stage, all_taken, say};
use crate::faults::SOON;
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn websockets_over_which_nothing_is_said_cost_no_transaction() {
    let stage = Stage::start().await;
    for number in 0..20 {
        stage.open(&format!("quiet-{number}")).await;
    }
    stage.db.exec("begin; select edge.ws_send('quiet-1', 'never'::text); rollback").await;
    say(&stage.db, "quiet-1", "once").await;
    all_taken(&stage.db).await;
    let spent = "select (pg_stat_get_db_xact_commit(oid) + pg_stat_get_db_xact_rollback(oid))::bigint
                 from pg_database where datname = 'postgres'";
    // Asking takes one.
    let xid = "select pg_current_xact_id()::text::bigint";
    // Looked at from another database, whose transactions do not count.
    let other = &stage.cluster.connect_as("postgres", "template1").await;
    drop(stage.db);
    let rests_for = |how_long: Duration| async move {
        let before = (other.one::<i64>(spent).await, other.one::<i64>(xid).await);
        tokio::time::sleep(how_long).await;
        before == (other.one(spent).await, other.one::<i64>(xid).await - 1)
    };
    let settled = || rests_for(Duration::from_secs(1));
    eventually("what was done before is counted", SOON, settled).await;
    assert!(rests_for(Duration::from_secs(8)).await, "a transaction was begun although nothing was said");
    assert_eq!(stage.peer.open(), 20);
}
