//! What the numbers were taken on.

use std::fs;

use super::harness::programs;

/// A few words on the machine and the server.
pub fn describe() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = programs::run(programs::server_program("postgres").arg("--version")).stdout;
    vec![
        ("cores", cores.to_string()),
        ("processor", line_of("/proc/cpuinfo", "model name")),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        ("load when it began", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()),
        ("server", String::from_utf8_lossy(&version).trim().to_owned()),
        ("settings", "shared_buffers=128MB, synchronous_commit=on; fsync=off where a row does not say on".to_owned()),
    ]
}

fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}
