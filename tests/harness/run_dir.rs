//! The directory one test process keeps its clusters in, and the reaper that ends and removes them when the process
//! is gone, however it went.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::programs::server_user;

/// A cluster's directory that holds this file outlives the run, for somebody to look at.
pub const KEEP: &str = "keep";

/// Waits until the test process is gone (its end of the pipe closes, even by SIGKILL), then ends its servers and
/// removes what it left. A parent-death signal would not do: it fires when the thread that started the
/// server ends, and tests are threads.
const REAPER: &str = r#"
trap '' INT TERM HUP
read -r _
ours() { tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF "$run"; }
run=$1
for file in "$run"/*/data/postmaster.pid; do
    read -r pid <"$file" && ours "$pid" && kill -QUIT "$pid" && pids="$pids $pid"
done
for pid in $pids; do
    tries=0
    while ours "$pid" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    ours "$pid" && kill -KILL "$pid"
done
for dir in "$run"/*; do
    [ -e "$dir/keep" ] || rm -rf "$dir"
done
rmdir "$run"
"#;

struct RunDir {
    path: PathBuf,
    // Held for its standard input, which closes when this process ends.
    _reaper: Child,
}

/// The directory of this process, owned by the user the servers run as.
pub fn path() -> &'static Path {
    static RUN: OnceLock<RunDir> = OnceLock::new();
    &RUN.get_or_init(create).path
}

/// The name for one more cluster. It is short, because the path of a unix socket may have 107 bytes.
pub fn next_cluster() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    path().join(format!("c{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// Makes a directory only its owner, the user the servers run as, can look into.
pub fn make_dir(dir: &Path) {
    fs::create_dir(dir).unwrap_or_else(|error| panic!("cannot make {}: {error}", dir.display()));
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("a new directory's mode can be set");
    give_to_server(dir);
}

/// Makes the user the servers run as the owner of a file or directory.
pub fn give_to_server(path: &Path) {
    if let Some(user) = server_user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root can give files away");
    }
}

fn create() -> RunDir {
    // A long TMPDIR would leave no room for the socket's name.
    let parent = Some(std::env::temp_dir()).filter(|dir| dir.as_os_str().len() < 60);
    let path = parent.unwrap_or_else(|| "/tmp".into()).join(format!("pg_edge-{}", std::process::id()));
    // A process of the same number may have left kept clusters behind.
    let _ = fs::remove_dir_all(&path);
    make_dir(&path);
    let mut reaper = Command::new("sh");
    reaper.args(["-c", REAPER, "reaper"]).arg(&path).process_group(0);
    reaper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let reaper = reaper.spawn().expect("sh can be run");
    RunDir { path, _reaper: reaper }
}
