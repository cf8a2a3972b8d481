//! The cost budget: what calls may cost, measured against limits taken in the same run on the same machine.
//!
//! `make bench` builds the release and runs all rows; `make bench ARGS="-- drain"` runs those whose name holds "drain".
//! With `PG_EDGE_BENCH_QUICK=1` the sizes are a tenth and the rounds fewer: for work on the code, not for a table to
//! be shown. The table goes to standard output and to `target/bench.json`. A row that misses its budget makes the
//! run fail.
//!
//! Both sides of a row take turns, so that what else the machine does disturbs them alike, and medians count.
// A measurement that cannot go on says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[path = "../../tests/harness/mod.rs"]
mod harness;

mod bare;
mod bare_socket;
mod drain;
mod isolation;
mod latency;
mod machine;
mod memory;
mod net;
mod numbers;
mod parsing;
mod queueing;
mod quiet;
mod report;
mod retention;
mod scale;
mod schedules;
mod socket_peer;
mod sockets;
mod storage;
mod stream_peer;
mod streams;
mod webhooks;
mod world;

use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    // The client only wants some provider of cryptography to be there.
    rustls::crypto::ring::default_provider().install_default().expect("nobody was faster");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(run())
}

async fn run() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |names: &[&str]| {
        wanted.is_empty() || names.iter().any(|name| wanted.iter().any(|part| name.contains(part.as_str())))
    };
    let mut report = Report::new();
    // The groups share a cluster where one row's work is another's subject.
    if wants(&drain::ROWS) {
        drain::measure(&mut report, &wants).await;
    }
    if wants(&[net::NET]) {
        net::measure(&mut report).await;
    }
    if wants(&latency::ROWS) {
        latency::measure(&mut report, &wants).await;
    }
    if wants(&queueing::ROWS) {
        queueing::measure(&mut report, &wants).await;
    }
    if wants(&webhooks::ROWS) {
        webhooks::measure(&mut report, &wants).await;
    }
    if wants(&storage::ROWS) {
        storage::measure(&mut report).await;
    }
    if wants(&retention::ROWS) {
        retention::measure(&mut report).await;
    }
    if wants(&isolation::ROWS) {
        isolation::measure(&mut report, &wants).await;
    }
    if wants(&memory::ROWS) {
        memory::measure(&mut report).await;
    }
    if wants(&[schedules::DUE, schedules::IDLE]) {
        schedules::many(&mut report, &wants).await;
    }
    // Minutes cannot be made shorter.
    if wants(&[schedules::MINUTE]) && !scale::quick() {
        schedules::minute(&mut report).await;
    }
    if wants(&streams::ROWS) {
        streams::measure(&mut report, &wants).await;
    }
    if wants(&[parsing::PARSER]) {
        parsing::measure(&mut report);
    }
    if wants(&sockets::ROWS) {
        sockets::measure(&mut report, &wants).await;
    }
    if wants(&[quiet::IDLE]) {
        quiet::idle(&mut report).await;
    }
    if wants(&[quiet::STOP]) {
        quiet::stop(&mut report).await;
    }
    report.finish()
}
