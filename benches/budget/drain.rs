//! Draining a full queue, and the same while a session holds a snapshot that keeps every dead row from being removed.

use std::time::{Duration, Instant};

use super::bare::Bare;
use super::numbers::{median, rate};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const DRAIN: &str = "drain";
const HELD: &str = "drain-held-snapshot";

/// The rows of this file.
pub const ROWS: [&str; 2] = [DRAIN, HELD];

/// How long the snapshot is held.
const HOLD: Duration = Duration::from_secs(60);

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    let world = World::start(settings()).await;
    let calls = scale::size(50_000);
    // Connections, plans and files are there from now on.
    world.drain(calls).await;
    if wants(&[DRAIN]) {
        drain(report, &world, calls).await;
    }
    if wants(&[HELD]) {
        held(report, &world, calls).await;
    }
}

async fn drain(report: &mut Report, world: &World, calls: usize) {
    let bare = Bare::new(&world.peer.url("/hook"));
    bare.drain(calls).await;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(7) {
        limit.push(rate(calls, bare.drain(calls).await));
        ours.push(rate(calls, world.drain(calls).await));
    }
    let what = format!("{calls} queued POSTs, responses stored; a bare reqwest client");
    report.row(DRAIN, what, "calls/s", median(&ours), median(&limit), Budget::AtLeast(0.75));
}

async fn held(report: &mut Report, world: &World, calls: usize) {
    let mut free = Vec::new();
    let mut held = Vec::new();
    let rounds = scale::rounds(5);
    for _ in 0..rounds {
        free.push(rate(calls, world.drain(calls).await));
    }
    let holder = world.cluster.connect().await;
    holder.exec("begin isolation level repeatable read").await;
    holder.exec("select count(*) from edge_store.lease").await;
    let began = Instant::now();
    while began.elapsed() < scale::span(HOLD) {
        held.push(rate(calls, world.drain(calls).await));
    }
    holder.exec("commit").await;
    for _ in 0..rounds {
        free.push(rate(calls, world.drain(calls).await));
    }
    // The last rounds, when the most has piled up.
    let late = &held[held.len() / 2..];
    let what = "the second half of the time a snapshot is held; before and after";
    report.row(HELD, what, "calls/s", median(late), median(&free), Budget::AtLeast(0.95));
}
