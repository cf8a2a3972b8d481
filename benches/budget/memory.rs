//! The dispatcher's memory does not grow with the number of calls it has made.

use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const GROWTH: &str = "memory-growth";
const SIZE: &str = "memory";

/// The rows of this file.
pub const ROWS: [&str; 2] = [GROWTH, SIZE];

/// Measures all rows.
pub async fn measure(report: &mut Report) {
    let world = World::start(settings()).await;
    let dispatcher = world.dispatcher().await;
    let batch = scale::size(50_000);
    world.drain(batch).await;
    let early = own_megabytes(dispatcher);
    for _ in 1..10 {
        world.drain(batch).await;
    }
    let late = own_megabytes(dispatcher);
    assert_eq!(world.dispatcher().await, dispatcher, "the dispatcher was replaced meanwhile");
    let what = format!("of the dispatcher without shared buffers, after {} calls; after {batch}", batch * 10);
    report.row(GROWTH, what, "MB", late, early, Budget::AtMost(1.1));
    report.row(SIZE, format!("of the dispatcher, after {} calls", batch * 10), "MB", late, 100.0, Budget::Within);
}

/// What a process has to itself: its own memory and its program, but not the buffers that all share.
pub fn own_megabytes(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let kibibytes = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells a process's memory");
        line.trim().trim_end_matches(" kB").parse().expect("memory is a number of kB")
    };
    (kibibytes("RssAnon:") + kibibytes("RssFile:")) / 1024.0
}
