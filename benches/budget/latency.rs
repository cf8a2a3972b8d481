//! One call at a time on an idle server.
//!
//! The budget is for a server as Postgres ships it, whose commits wait for the disk. Without `fsync` the limit shrinks to
//! four hand-overs between processes, and a call has ten: that row is shown, and has no budget.

use std::time::Instant;

use super::bare::Bare;
use super::numbers::{median, micros};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, body, settings};

const MEMORY: &str = "latency";
const DISK: &str = "latency-fsync";

/// The rows of this file.
pub const ROWS: [&str; 2] = [MEMORY, DISK];

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    if wants(&[MEMORY]) {
        one_at_a_time(report, MEMORY, Budget::None, &World::start(settings()).await).await;
    }
    if wants(&[DISK]) {
        one_at_a_time(report, DISK, Budget::AtMost(1.5), &World::start(settings().durable()).await).await;
    }
}

async fn one_at_a_time(report: &mut Report, name: &'static str, budget: Budget, world: &World) {
    let url = world.peer.url("/hook");
    let bare = Bare::new(&url);
    world.db.exec("create table plain (id bigint primary key, body text)").await;
    let insert = world.db.client().prepare("insert into plain values ($1, $2)").await.expect("a plain table");
    let (mut ours, mut requests, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    let (body, batch) = (body(), scale::size(500));
    let mut id = 0_i64;
    for _ in 0..scale::rounds(6) {
        requests.extend(bare.one_by_one(batch).await.into_iter().map(micros));
        for _ in 0..batch {
            id += 1;
            let began = Instant::now();
            world.db.client().execute(&insert, &[&id, &body]).await.expect("a row can be inserted");
            commits.push(micros(began.elapsed()));
        }
        for _ in 0..batch {
            ours.push(micros(world.call(&url).await));
        }
    }
    let (request, commit) = (median(&requests), median(&commits));
    let fsync = if name == DISK { "on" } else { "off" };
    let what = format!(
        "p50 from the commit to the response in edge.wait(), fsync={fsync}; \
         a bare request ({request:.0}) and three one-row transactions ({commit:.0} each)"
    );
    report.row(name, what, "us", median(&ours), request + 3.0 * commit, budget);
}
