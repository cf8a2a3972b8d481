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
    // What was done before may be counted only now, so the first look may see some of it.
    let rests = || rests_for(other, Duration::from_secs(8));
    eventually("no transaction is begun where nothing is said", SOON, rests).await;
    assert_eq!(stage.peer.open(), 20);
}
