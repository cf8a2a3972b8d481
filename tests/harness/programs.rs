//! Where Postgres' programs are, and how they are run: as user `postgres` when the tests run as root, because
//! the server refuses root.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use nix::unistd::{Uid, User};

/// The directory of `postgres`, `initdb` and their like: `PG_EDGE_PG_BIN`, or what the `pg_config` of the path says,
/// or the newest of Debian's.
pub fn bindir() -> &'static Path {
    static BINDIR: OnceLock<PathBuf> = OnceLock::new();
    BINDIR.get_or_init(|| {
        let candidates = std::env::var_os("PG_EDGE_PG_BIN").map(PathBuf::from).into_iter();
        let candidates = candidates.chain(bindir_of_the_path()).chain(debians());
        let found = candidates.into_iter().find(|dir| dir.join("initdb").exists());
        found.expect("no Postgres server found: set PG_EDGE_PG_BIN to the directory of initdb, or run `make setup`")
    })
}

fn bindir_of_the_path() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn debians() -> Vec<PathBuf> {
    let Ok(majors) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut dirs: Vec<_> = majors.flatten().map(|entry| entry.path().join("bin")).collect();
    dirs.sort();
    dirs.reverse();
    dirs
}

/// The user servers run as, when that is not the caller.
pub fn server_user() -> Option<&'static User> {
    static USER: OnceLock<Option<User>> = OnceLock::new();
    let user = USER.get_or_init(|| {
        let lookup = || User::from_name("postgres").expect("the user database can be read");
        let missing = "root cannot run a Postgres server, and there is no user postgres to run it as";
        Uid::effective().is_root().then(|| lookup().expect(missing))
    });
    user.as_ref()
}

/// One of Postgres' programs, run as the caller, such as psql: it may read the caller's files. Some builds of the
/// server come without clients; then the path's do.
pub fn client_program(name: &str) -> Command {
    let own = bindir().join(name);
    without_the_callers_postgres(Command::new(if own.exists() { own } else { name.into() }))
}

/// Any program, run as the user the servers run as.
pub fn as_server(program: impl AsRef<Path>) -> Command {
    let mut command = without_the_callers_postgres(Command::new(program.as_ref()));
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    // The caller's directory may be closed to that user, and initdb complains when it is.
    command.current_dir("/");
    command
}

/// One of Postgres' programs, run as the user the servers run as.
pub fn server_program(name: &str) -> Command {
    as_server(bindir().join(name))
}

/// The same with a limit on open files that it cannot raise.
pub fn server_program_with_open_files(name: &str, most: u32) -> Command {
    let mut shell = as_server("/bin/sh");
    // The shell becomes the program, so that its process id is the program's.
    shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string()]).arg(bindir().join(name));
    shell
}

/// Runs a program to its end and gives its output; panics with what it wrote when it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    // pg_upgrade complains on its standard output.
    let said = [&output.stdout, &output.stderr].map(|written| String::from_utf8_lossy(written));
    assert!(output.status.success(), "{command:?} ended with {}: {}{}", output.status, said[0], said[1]);
    output
}

/// Settings of the caller's shell that would change what a test sees. `RUST_BACKTRACE` is among them: pgrx appends
/// a backtrace to the DETAIL of errors when it is set.
fn without_the_callers_postgres(mut command: Command) -> Command {
    for name in ["PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGDATA", "PGOPTIONS", "PGSERVICE"] {
        command.env_remove(name);
    }
    command.env_remove("RUST_BACKTRACE").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command
}
