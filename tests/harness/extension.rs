//! How the built extension gets into a server without being installed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{programs, run_dir};

/// The settings that load the staged extension, as pairs of name and value.
pub fn settings() -> &'static [(String, String)] {
    static SETTINGS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let known = programs::run(programs::server_program("postgres").arg("--describe-config")).stdout;
        let known = String::from_utf8_lossy(&known);
        let knows = |name: &str| known.lines().any(|line| line.split('\t').next() == Some(name));
        if knows("extension_destdir") {
            debian()
        } else if knows("extension_control_path") {
            upstream()
        } else {
            // A server that can only load what is installed: the caller has installed it.
            vec![setting("shared_preload_libraries", "pg_edge")]
        }
    })
}

/// Debian's `extension_destdir` is put before the paths of control files, scripts and `$libdir`, but not before
/// what is preloaded, nor where background workers look for the library they name. All ways end at the same file,
/// so it is loaded once.
fn debian() -> Vec<(String, String)> {
    let stage = stage();
    let library = find(&stage, "pg_edge.so");
    let lib = library.parent().expect("a file lies in a directory");
    vec![
        setting("extension_destdir", stage.display()),
        setting("dynamic_library_path", format!("{}:$libdir", lib.display())),
        setting("shared_preload_libraries", library.display()),
    ]
}

/// PostgreSQL 18 looks for control files along `extension_control_path`.
fn upstream() -> Vec<(String, String)> {
    let stage = stage();
    let library = find(&stage, "pg_edge.so");
    let control = find(&stage, "pg_edge.control");
    // The path names the directory above "extension".
    let share = control.ancestors().nth(2).expect("control files lie in …/extension/");
    let lib = library.parent().expect("a file lies in a directory");
    vec![
        setting("extension_control_path", format!("{}:$system", share.display())),
        setting("dynamic_library_path", format!("{}:$libdir", lib.display())),
        setting("shared_preload_libraries", "pg_edge"),
    ]
}

/// A copy of what `cargo pgrx package` made, because the checkout may lie where the server's user cannot look.
fn stage() -> PathBuf {
    let made = std::env::var_os("PG_EDGE_STAGE").map(PathBuf::from);
    let made = made.expect("PG_EDGE_STAGE names no built extension: run the tests through `make test`");
    let copy = run_dir::path().join("stage");
    programs::run(std::process::Command::new("cp").arg("-r").arg(&made).arg(&copy));
    // The second extension of the package has nothing that has to be built.
    let net = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/net.sh");
    programs::run(std::process::Command::new(net).arg(&copy));
    programs::run(std::process::Command::new("chmod").args(["-R", "a+rX"]).arg(&copy));
    copy
}

/// The first file of that name below a directory.
fn find(dir: &Path, name: &str) -> PathBuf {
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("the stage can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if entry.file_name() == name {
                return path;
            }
        }
    }
    panic!("{} holds no {name}: build it with `make test`", dir.display())
}

fn setting(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
