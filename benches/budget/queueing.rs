//! Queueing calls, one a transaction, next to inserting the same row into a plain table.

use std::time::Duration;

use super::harness::programs;
use super::numbers::median;
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, body, settings};

const MEMORY: &str = "queue";
const DISK: &str = "queue-fsync";

/// The rows of this file.
pub const ROWS: [&str; 2] = [MEMORY, DISK];

/// Measures the rows that are wanted.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    if wants(&[MEMORY]) {
        four_clients(report, MEMORY, "off", &World::start(settings()).await).await;
    }
    if wants(&[DISK]) {
        four_clients(report, DISK, "on", &World::start(settings().durable()).await).await;
    }
}

async fn four_clients(report: &mut Report, name: &'static str, fsync: &str, world: &World) {
    // What is measured is what queueing costs a user's transaction. Sending would take processor time from the clients.
    world.db.exec("select edge.pause()").await;
    world.db.exec("create table plain (like edge_store.request including defaults, primary key (id))").await;
    world.db.exec("create sequence plain_id; alter table plain alter id set default nextval('plain_id')").await;
    let (url, body) = (world.peer.url("/hook"), body());
    let queue = format!("select edge.http_post_async('{url}', '{body}');");
    let plain = format!(
        "insert into plain (queued_at, owner, slot, method, url, headers, body) values \
         (clock_timestamp(), 10, 0, 'POST', '{url}', E'content-type: application/json\\n', '{body}') returning id;"
    );
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(pgbench(world, &plain));
        ours.push(pgbench(world, &queue));
    }
    let what = format!("pgbench -M prepared, 4 clients, one call a transaction, fsync={fsync}; the same row, plain");
    report.row(name, what, "tps", median(&ours), median(&limit), Budget::AtLeast(0.75));
}

/// Transactions a second, of four clients.
pub fn pgbench(world: &World, script: &str) -> f64 {
    let file = world.cluster.socket_dir().join("script.sql");
    std::fs::write(&file, script).expect("the cluster's directory can be written");
    let seconds = scale::span(Duration::from_secs(12)).as_secs().to_string();
    let mut pgbench = programs::client_program("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-c", "4", "-j", "1", "-U", "postgres", "-T", &seconds]);
    pgbench.arg("-h").arg(world.cluster.socket_dir()).arg("-f").arg(&file).arg("postgres");
    let printed = String::from_utf8_lossy(&programs::run(&mut pgbench).stdout).into_owned();
    let tps = printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench printed no rate:\n{printed}"))
}
