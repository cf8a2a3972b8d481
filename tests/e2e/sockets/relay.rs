//! The relays of `tests/functions`: rooms as people write them, on Deno and on Node.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::tls_peer::Loopback;
use crate::harness::wait::eventually_blocking;

const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions");

/// What a relay runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    Deno,
    /// With the package ws.
    Node,
}

/// What else is said of a relay.
#[derive(Default)]
struct Nature {
    lifetime: Option<Duration>,
    certificate: Option<Loopback>,
}

/// A relay, running or killed. Dropping it ends it.
pub struct Relay {
    stack: Stack,
    nature: Nature,
    journal: PathBuf,
    process: Child,
    port: u16,
}

impl Relay {
    pub fn start(stack: Stack) -> Self {
        Self::start_with(stack, Nature::default())
    }

    /// One that closes each websocket with 1012 after so long, as platforms do.
    pub fn closing_after(stack: Stack, lifetime: Duration) -> Self {
        Self::start_with(stack, Nature { lifetime: Some(lifetime), ..Nature::default() })
    }

    /// One that speaks TLS.
    pub fn over_tls(stack: Stack) -> Self {
        Self::start_with(stack, Nature { certificate: Some(Loopback::generate()), ..Nature::default() })
    }

    fn start_with(stack: Stack, nature: Nature) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let journal = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{}-{number}", std::process::id()));
        fs::write(&journal, "").expect("cargo's directory can be written");
        let (process, port) = spawn(stack, &nature, &journal, 0).expect("the relay starts");
        Self { stack, nature, journal, process, port }
    }

    /// The authority behind the certificate of one that speaks TLS, in PEM form.
    pub fn authority(&self) -> &str {
        &self.nature.certificate.as_ref().expect("the relay speaks TLS").authority
    }

    /// Where the room is.
    pub fn url(&self, room: &str) -> String {
        let scheme = if self.nature.certificate.is_some() { "wss" } else { "ws" };
        format!("{scheme}://127.0.0.1:{}/?room={room}", self.port)
    }

    /// SIGKILL: it can say nothing more, and what it had not read yet is lost.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is a child");
        self.process.wait().expect("it is a child");
    }

    /// Starts a killed one at the same address. Its rooms are empty; its journal goes on.
    pub fn start_again(&mut self) {
        let (process, _) = eventually_blocking("the relay has its port again", SERVER_DEADLINE, || {
            spawn(self.stack, &self.nature, &self.journal, self.port)
        });
        self.process = process;
    }

    /// Every text that it has heard, in order, over all its lives.
    pub fn journal(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.journal).expect("the journal is there");
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended, which is no matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.journal);
    }
}

/// None where it ended without listening.
fn spawn(stack: Stack, nature: &Nature, journal: &Path, port: u16) -> Option<(Child, u16)> {
    let mut command = match stack {
        Stack::Deno => deno(journal),
        Stack::Node => node(),
    };
    command.env("PORT", port.to_string()).env("JOURNAL", journal);
    command.env("LIFETIME_MS", nature.lifetime.unwrap_or_default().as_millis().to_string());
    if let Some(Loopback { certificate, key, .. }) = &nature.certificate {
        command.env("CERTIFICATE", certificate).env("KEY", key);
    }
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
    let mut line = String::new();
    let output = process.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("a relay prints text");
    match line.trim().strip_prefix("listening on ").and_then(|port| port.parse().ok()) {
        Some(port) => Some((process, port)),
        None => {
            process.wait().expect("it is a child");
            None
        }
    }
}

/// Where `make test` put it: beside what cargo built.
fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}

fn deno(journal: &Path) -> Command {
    let home = installed("deno");
    let mut deno = Command::new(home.join("deno"));
    // Nothing from the network but this machine, and nothing from a cache of the caller's.
    deno.args(["run", "--no-remote", "--no-npm", "--no-config", "--no-check", "--no-prompt"]);
    deno.args(["--allow-net=127.0.0.1", "--allow-env=PORT,LIFETIME_MS,JOURNAL,CERTIFICATE,KEY"]);
    deno.arg(format!("--allow-write={}", journal.display())).arg(format!("{FUNCTIONS}/room.ts"));
    deno.env("DENO_DIR", home.join("cache")).env("DENO_NO_UPDATE_CHECK", "1");
    deno
}

fn node() -> Command {
    let mut node = Command::new("node");
    node.arg(format!("{FUNCTIONS}/room.cjs")).env("NODE_PATH", installed("node_ws").join("node_modules"));
    node
}
