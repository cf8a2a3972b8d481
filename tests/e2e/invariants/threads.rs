//! Postgres' signals are for its main thread.

use crate::faults::{dispatcher, queue_one, ready};
use crate::harness::process::Signal;
use crate::harness::{Peer, Reply, process};

/// SIGKILL and SIGSTOP cannot be blocked; 32 and 33 are the C library's own.
const NOT_BLOCKABLE: u64 = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32;

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_but_the_main_one_has_all_signals_blocked() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    // A name to be resolved, so that the threads that do this exist.
    let url = peer.url("/").replace("127.0.0.1", "localhost");
    for _ in 0..5 {
        let id = queue_one(&db, &url).await;
        db.exec(&format!("select edge.wait({id})")).await;
    }
    let worker = dispatcher(&cluster, "postgres").await;
    let threads = process::threads(worker);
    assert!(threads.len() >= 3, "the main thread, the engine's and a resolver's: {threads:?}");
    for thread in &threads[1..] {
        let mask = process::status_field(worker, *thread, "SigBlk:");
        let mask = u64::from_str_radix(&mask, 16).expect("a mask");
        assert_eq!(mask | NOT_BLOCKABLE, u64::MAX, "thread {thread} of {worker}");
    }
    let main = process::status_field(worker, worker, "SigBlk:");
    let main = u64::from_str_radix(&main, 16).expect("a mask");
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGALRM] {
        assert_eq!(main >> (signal as i32 - 1) & 1, 0, "the main thread takes {signal}");
    }
}
