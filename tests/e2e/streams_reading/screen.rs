//! A terminal with psql in it, and what is to be seen on it so far.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually, process};

/// A running psql. Dropping it ends it.
pub struct Screen {
    shown: Arc<Mutex<String>>,
    terminal: Child,
}

impl Screen {
    /// Runs psql in a terminal of its own, which is what makes it write out each line at once, as a user sees it.
    pub fn psql(cluster: &Cluster, arguments: &[&str]) -> Self {
        let mut psql = cluster.psql_command();
        psql.args(["--quiet"]).args(arguments);
        let words = std::iter::once(psql.get_program()).chain(psql.get_args());
        let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
        for (name, value) in psql.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        terminal.env("PAGER", "cat").env("SHELL", "/bin/sh");
        let mut terminal = terminal.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("script(1) can be run");
        let mut output = terminal.stdout.take().expect("it is piped");
        let shown = Arc::new(Mutex::new(String::new()));
        let screen = Arc::clone(&shown);
        tokio::task::spawn_blocking(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen.lock().expect("nobody panics with it").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { shown, terminal }
    }

    /// What was printed so far.
    pub fn text(&self) -> String {
        self.shown.lock().expect("nobody panics with it").replace('\r', "")
    }

    /// Waits until this was printed.
    pub async fn shows(&self, words: &str) {
        let what = format!("psql shows {words:?}");
        eventually(&what, SERVER_DEADLINE, || async { self.text().contains(words) }).await;
    }

    /// Waits until psql has ended, and gives all that it printed.
    pub async fn ends(&mut self) -> String {
        let terminal = Mutex::new(&mut self.terminal);
        let has_ended = || terminal.lock().expect("nobody panics with it").try_wait().expect("it is a child").is_some();
        eventually("psql ends", SERVER_DEADLINE, || async { has_ended() }).await;
        // What it wrote last is still to be read.
        let shown = &self.shown;
        eventually("all is read", SERVER_DEADLINE, || async { Arc::strong_count(shown) == 1 }).await;
        self.text()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A hang-up alone would not end it where whoever runs the tests has hang-ups ignored. All may have ended, which is no
        // matter.
        let terminal = i32::try_from(self.terminal.id()).expect("an id is positive");
        let shells = process::children(terminal);
        for process in shells.iter().flat_map(|shell| process::children(*shell)).chain(shells.iter().copied()) {
            process::send(process, process::Signal::SIGKILL);
        }
        let _ = self.terminal.kill();
        let _ = self.terminal.wait();
    }
}

/// A word as the shell reads it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
