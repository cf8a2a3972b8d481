//! A Postgres server of a test's own: started in a fraction of a second, stopped and killed in every way, and gone
//! with the test. What blocks here blocks the test's thread only; the runtime's workers go on serving the peers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::builder::ClusterBuilder;
use super::clock::Clock;
use super::process::{self, Signal};
use super::wait::eventually_blocking;
use super::{builder, programs, run_dir};

/// The longest a server may take to start, stop or notice: generous, since no test asserts speed.
pub const SERVER_DEADLINE: Duration = Duration::from_secs(60);

/// How a server is told to stop, as `pg_ctl stop -m` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Waits until every client has gone.
    Smart,
    /// Ends the clients, then writes a checkpoint.
    Fast,
    /// Drops everything: the next start recovers as after a crash.
    Immediate,
}

/// A running, stopped or killed cluster. Dropping it ends the server and removes its directory; when the test
/// panicked, the directory stays, and the end of the log is printed.
pub struct Cluster {
    dir: PathBuf,
    settings: Vec<(String, String)>,
    /// The postmaster, while it is one this process started.
    child: Option<Child>,
    open_files: Option<u32>,
    clock: Option<Clock>,
}

impl Cluster {
    /// A server with the extension preloaded; `create_extension` is still to be called.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server without the extension.
    pub fn bare() -> Self {
        Self::builder().bare().start()
    }

    /// For a cluster with settings of its own.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// A cluster over a directory whose `data` holds a data directory already.
    pub(super) fn at(dir: PathBuf, settings: Vec<(String, String)>) -> Self {
        builder::write_settings(&dir, &settings);
        let cluster = Self { dir, settings, child: None, open_files: None, clock: None };
        cluster.open_log();
        run_dir::give_to_server(&cluster.log_file());
        cluster
    }

    /// Starts a stopped or killed server; panics with the end of its log when it does not come up.
    pub fn start_again(&mut self) {
        if let Err(log) = self.try_start() {
            panic!("the server did not start:\n{log}");
        }
    }

    /// Starts the server, or gives what it logged when it ended instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        assert!(!self.is_running(), "the server runs already");
        let written = self.log().len();
        let mut postgres = match self.open_files {
            None => programs::server_program("postgres"),
            Some(most) => programs::server_program_with_open_files("postgres", most),
        };
        if let Some(clock) = &self.clock {
            postgres.envs(clock.environment());
        }
        postgres.arg("-D").arg(self.data_dir()).stdin(Stdio::null());
        postgres.stdout(self.open_log()).stderr(self.open_log());
        let mut child = postgres.spawn().expect("postgres can be run");
        let pid = process_id(&child);
        let started = eventually_blocking("the server is ready for connections", SERVER_DEADLINE, || {
            let ended = child.try_wait().expect("a child can be waited for").is_some();
            if ended { Some(false) } else { self.pid_file_says_ready(pid).then_some(true) }
        });
        if started {
            self.child = Some(child);
            Ok(())
        } else {
            Err(self.log().split_off(written))
        }
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(&mut self, mode: Stop) {
        let signal = match mode {
            Stop::Smart => Signal::SIGTERM,
            Stop::Fast => Signal::SIGINT,
            Stop::Immediate => Signal::SIGQUIT,
        };
        process::send(self.postmaster_pid().expect("the server runs"), signal);
        self.wait_until_gone();
    }

    /// Stops the server and starts it again.
    pub fn restart(&mut self, mode: Stop) {
        self.stop(mode);
        self.start_again();
    }

    /// SIGKILL to the postmaster, as the kernel does when memory runs out. Returns when all its processes have
    /// noticed and are gone: until then the server could not start again.
    pub fn kill_postmaster(&mut self) {
        let pid = self.postmaster_pid().expect("the server runs");
        // It starts nothing more once that has reached it, so that its children are all known.
        process::send(pid, Signal::SIGSTOP);
        eventually_blocking("the postmaster stands still", SERVER_DEADLINE, || process::is_stopped(pid));
        let children = process::children(pid);
        process::send(pid, Signal::SIGKILL);
        self.wait_until_gone();
        for child in children {
            let what = format!("process {child} ends after its postmaster was killed");
            eventually_blocking(&what, SERVER_DEADLINE, || !process::is_alive(child));
        }
    }

    /// Runs pg_ctl on this cluster, as somebody who administers a server would; panics when it fails.
    pub fn pg_ctl(&mut self, arguments: &[&str]) {
        let mut pg_ctl = programs::server_program("pg_ctl");
        pg_ctl.args(arguments).arg("-D").arg(self.data_dir()).arg("-l").arg(self.log_file());
        // In seconds; as it is, a slow machine makes it give up.
        pg_ctl.env("PGCTLTIMEOUT", "180");
        // A server it starts would hold a pipe open for as long as it lives, so what it says goes to the log as well.
        pg_ctl.stdin(Stdio::null()).stdout(self.open_log()).stderr(self.open_log());
        let status = pg_ctl.status().expect("pg_ctl can be run");
        assert!(status.success(), "pg_ctl {arguments:?} ended with {status}:\n{}", self.log_tail(10));
    }

    /// The postmaster's process id, while it runs.
    pub fn postmaster_pid(&self) -> Option<i32> {
        let first_line = self.pid_file()?.lines().next()?.parse().ok();
        first_line.filter(|&pid| process::is_alive(pid))
    }

    /// Whether the server runs.
    pub fn is_running(&self) -> bool {
        self.postmaster_pid().is_some()
    }

    /// The real psql, ready to be given arguments: it connects as superuser to the database `postgres`, reads no
    /// psqlrc and stops at the first error.
    pub fn psql_command(&self) -> Command {
        let mut psql = programs::client_program("psql");
        psql.args(["--no-psqlrc", "--username=postgres", "--dbname=postgres", "--set=ON_ERROR_STOP=1"]);
        psql.arg("--host").arg(&self.dir).stdin(Stdio::null());
        psql
    }

    /// What psql prints for the SQL, unaligned and without headings; panics with its error.
    pub fn psql(&self, sql: &str) -> String {
        let mut psql = self.psql_command();
        psql.args(["--quiet", "--no-align", "--tuples-only", "--command", sql]);
        let printed = String::from_utf8(programs::run(&mut psql).stdout).expect("the server encodes in UTF-8");
        printed.trim_end().to_owned()
    }

    /// Where the data directory is.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where the unix socket is: what clients take as host.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// All that the server has logged since the cluster was made.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Arms a failpoint of the `test-hooks` build: the next process that passes `point` reads the one-shot file,
    /// removes it and does `action`. Of several, parted by semicolons, each pass does one.
    pub fn fail_at(&self, point: &str, action: &str) {
        // Written aside and renamed, so that nobody reads half of it.
        let aside = self.data_dir().join("pg_edge_failpoint.new");
        fs::write(&aside, format!("{point} {action}")).expect("the data directory can be written");
        run_dir::give_to_server(&aside);
        fs::rename(&aside, self.failpoint_file()).expect("a file can be renamed");
    }

    /// Forgets an armed failpoint.
    pub fn disarm(&self) {
        fs::remove_file(self.failpoint_file()).expect("a failpoint is armed");
    }

    /// Whether an armed failpoint still waits for somebody to pass.
    pub fn failpoint_is_armed(&self) -> bool {
        self.failpoint_file().exists()
    }

    pub(super) fn limit_open_files(&mut self, most: Option<u32>) {
        self.open_files = most;
    }

    pub(super) fn have_own_clock(&mut self) {
        self.clock = Some(Clock::of(&self.dir));
    }

    /// The server's own clock; panics where it was not built with one.
    pub fn clock(&self) -> &Clock {
        self.clock.as_ref().expect("the cluster was built with a clock of its own")
    }

    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    fn failpoint_file(&self) -> PathBuf {
        self.data_dir().join("pg_edge_failpoint")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn open_log(&self) -> File {
        File::options().create(true).append(true).open(self.log_file()).expect("the log can be opened")
    }

    fn pid_file(&self) -> Option<String> {
        fs::read_to_string(self.data_dir().join("postmaster.pid")).ok()
    }

    /// The eighth line of postmaster.pid is the state; the first tells whether the file is a dead predecessor's.
    fn pid_file_says_ready(&self, pid: i32) -> bool {
        let Some(file) = self.pid_file() else { return false };
        let lines: Vec<&str> = file.lines().collect();
        lines.first() == Some(&pid.to_string().as_str()) && lines.get(7).is_some_and(|state| state.trim() == "ready")
    }

    /// Waits for the postmaster to end; it is our child, or that of a pg_ctl that has left. Ours has to be waited for: as long
    /// as it was not, a server that starts takes its lock file for that of one that runs.
    fn wait_until_gone(&mut self) {
        eventually_blocking("the server is gone", SERVER_DEADLINE, || {
            let is_reaped =
                self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            is_reaped && !self.is_running()
        });
        self.child = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster_pid() {
            process::send(pid, Signal::SIGQUIT);
            self.wait_until_gone();
        }
        if std::thread::panicking() {
            let _ = File::create(self.dir.join(run_dir::KEEP));
            eprintln!("cluster kept in {}; its log ends with:\n{}", self.dir.display(), self.log_tail(40));
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn process_id(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("Linux numbers processes by i32")
}
