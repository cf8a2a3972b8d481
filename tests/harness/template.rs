//! initdb takes half a second, a copy of what it made a tenth of that: each test process runs it once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{programs, run_dir};

/// The file with the harness' settings in each data directory; postgresql.conf includes it, and ALTER SYSTEM
/// overrides it.
pub const SETTINGS_FILE: &str = "harness.conf";

/// Puts a fresh data directory at `target`.
pub fn copy_to(target: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(create);
    programs::run(programs::as_server("cp").args(["-a", "--reflink=auto"]).arg(template).arg(target));
}

fn create() -> PathBuf {
    let data = run_dir::path().join("template");
    let mut initdb = programs::server_program("initdb");
    // No locale, so that every machine sorts and prints alike; nothing is synced, since a crash of the machine
    // ends the tests as well.
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
    programs::run(initdb.arg("--pgdata").arg(&data));
    let file = data.join("postgresql.conf");
    let mut settings = fs::read_to_string(&file).expect("initdb wrote postgresql.conf");
    settings.push_str(&format!("\ninclude_if_exists '{SETTINGS_FILE}'\n"));
    fs::write(&file, settings).expect("postgresql.conf can be written");
    data
}
