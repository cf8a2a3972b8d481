//! Both oracles in one process: the cases go in, the answers come out, line by line.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cases::{Case, RUNS};

/// The runs of a case, or what an oracle has against it.
pub struct Answer {
    pub cronsim: String,
    pub crondst: String,
}

/// Where `setup/oracles.sh` put them: beside what cargo built.
fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("oracles").join("bin/python")
}

/// An answer to each case.
pub fn ask(cases: &[Case]) -> Vec<Answer> {
    let python = python();
    let mut child = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracles/next_runs.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; setup/oracles.sh {} installs it", python.display(), home(&python))
        });
    let lines: String =
        cases.iter().map(|case| format!("{}\t{}\t{}\t{RUNS}\n", case.expression, case.zone, case.start)).collect();
    let mut input = child.stdin.take().unwrap();
    let mut answers = String::new();
    std::thread::scope(|scope| {
        // Both ends at once: neither waits for a full pipe of the other.
        scope.spawn(move || input.write_all(lines.as_bytes()).expect("the oracles read every case"));
        child.stdout.take().unwrap().read_to_string(&mut answers).unwrap();
    });
    let ended = child.wait().unwrap();
    assert!(ended.success(), "the oracles ended with {ended}; setup/oracles.sh {} installs them", home(&python));
    let answers: Vec<Answer> = answers
        .lines()
        .map(|line| line.split_once('\t').expect("an answer of each oracle"))
        .map(|(cronsim, crondst)| Answer { cronsim: cronsim.to_owned(), crondst: crondst.to_owned() })
        .collect();
    assert_eq!(answers.len(), cases.len(), "an answer to each case");
    answers
}

fn home(python: &Path) -> String {
    python.ancestors().nth(2).unwrap().display().to_string()
}
