//! Websockets over which nothing is said cost nothing.

use std::time::Duration;

use super::{Stage, all_taken, say};
use crate::faults::{SOON, rests_for};
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
    // Looked at from another database, whose transactions do not count.
    let other = &stage.cluster.connect_as("postgres", "template1").await;
    drop(stage.db);
    let settled = || rests_for(other, Duration::from_secs(1));
    eventually("what was done before is counted", SOON, settled).await;
    assert!(rests_for(other, Duration::from_secs(8)).await, "a transaction was begun although nothing was said");
    assert_eq!(stage.peer.open(), 20);
}
