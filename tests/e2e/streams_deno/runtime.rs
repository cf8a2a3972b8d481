//! The edge functions of `tests/functions`, served by Deno.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running Deno. Dropping it ends it.
pub struct Runtime {
    deno: Child,
    port: u16,
}

impl Runtime {
    /// Serves the functions; the language model that one of them asks is at this URL.
    pub fn start(model: &str) -> Self {
        Self::start_with(&[("ANTHROPIC_BASE_URL", model)])
    }

    /// Serves the functions, which find these variables in their environment.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::run("serve.ts", variables)
    }

    /// A stand-in for a platform, which answers as one does when things go wrong.
    pub fn gateway() -> Self {
        Self::run("gateway.ts", &[])
    }

    fn run(script: &str, variables: &[(&str, &str)]) -> Self {
        // Where `setup/deno.sh` put it: beside what cargo built.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("deno");
        let program = home.join("deno");
        let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions");
        let mut deno = Command::new(&program);
        // Nothing from the network but this machine, and nothing from a cache of the caller's.
        deno.args(["run", "--no-remote", "--no-npm", "--no-config", "--no-check", "--no-prompt"]);
        deno.args(["--allow-net=127.0.0.1", "--allow-env=ANTHROPIC_BASE_URL,SUPABASE_URL,SUPABASE_ANON_KEY"]);
        deno.arg(format!("--allow-read={functions}")).arg(format!("{functions}/{script}"));
        deno.env("DENO_DIR", home.join("cache")).env("DENO_NO_UPDATE_CHECK", "1").envs(variables.iter().copied());
        let deno = deno.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut deno = deno.unwrap_or_else(|error| {
            panic!("{}: {error}; setup/deno.sh {} installs it", program.display(), home.display())
        });
        let mut line = String::new();
        let output = deno.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("Deno prints text");
        let port = line.trim().strip_prefix("listening on ").and_then(|port| port.parse().ok());
        Self { deno, port: port.unwrap_or_else(|| panic!("Deno does not serve: {line}")) }
    }

    /// The URL of a function.
    pub fn url(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/functions/v1/{function}", self.port)
    }

    /// Ends it at once, as when its machine fails.
    pub fn kill(&mut self) {
        self.deno.kill().expect("it is a child");
        self.deno.wait().expect("it is a child");
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // It may have ended, which is no matter.
        let _ = self.deno.kill();
        let _ = self.deno.wait();
    }
}
