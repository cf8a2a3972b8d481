//! The server that runs the cases, in a process of its own, and what it reports of them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use url::Url;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It ends with this.
pub struct Server {
    child: Child,
    address: SocketAddr,
    reports: PathBuf,
}

/// What the server says of one case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub behavior: String,
    pub behavior_close: String,
}

/// Verdicts by the names of their cases.
pub type Verdicts = BTreeMap<String, Verdict>;

impl Server {
    /// Starts one whose reports go to a directory of this name.
    pub fn start(name: &str) -> Self {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("autobahn");
        let reports = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("autobahn-{name}"));
        let _none = std::fs::remove_dir_all(&reports);
        std::fs::create_dir_all(&reports).unwrap();
        let program = home.join("bin/kosoku");
        let began = Instant::now();
        loop {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let child = Command::new(&program)
                .args(["-m", "fuzzingserver", "-o"])
                .arg(&reports)
                .arg(address.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| {
                    let (program, home) = (program.display(), home.display());
                    panic!("{program}: {error}; setup/autobahn.sh {home} installs it")
                });
            let mut server = Self { child, address, reports: reports.clone() };
            if server.listens(began + PATIENCE) {
                return server;
            }
        }
    }

    /// Waits until it listens. It ends where somebody else has got its port before.
    fn listens(&mut self, until: Instant) -> bool {
        loop {
            // Whoever connects to a free port of its own machine may be connected to itself.
            let answers = |stream: TcpStream| stream.local_addr().is_ok_and(|own| own != self.address);
            if TcpStream::connect(self.address).is_ok_and(answers) {
                return true;
            }
            assert!(Instant::now() < until, "the server does not listen");
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("ws://{}{path}", self.address)).unwrap()
    }

    /// What it says of an agent, once it was asked for its reports. It may answer before they are there.
    pub fn verdicts(&self, agent: &str) -> Verdicts {
        let began = Instant::now();
        loop {
            let index = std::fs::read(self.reports.join("index.json")).unwrap_or_default();
            let mut agents: BTreeMap<String, Verdicts> = serde_json::from_slice(&index).unwrap_or_default();
            if let Some(verdicts) = agents.remove(agent) {
                return verdicts;
            }
            assert!(began.elapsed() < PATIENCE, "there is no report");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
