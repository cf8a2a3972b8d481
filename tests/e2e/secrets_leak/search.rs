//! The values of the leak tests, and looking for them in every form in which something may have written them.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::programs;

/// The values: no two encodings of them are the same.
pub const LITERAL: &str = "LEAK-literal/7+qZ~\u{e9}";
pub const BOUND: &str = "LEAK-bound?/8+qZ~\u{e9}";

/// A signing secret, which is in a secret as well.
pub const SIGNING: &str = "whsec_TEVBS2luZy1hLXNpZ25hdHVyZS1pcy1iYWQhIQ==";

/// A value as somebody may have written it down.
pub fn disguises(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal: Vec<String> = bytes.iter().map(|byte| (*byte as i8).to_string()).collect();
    let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut all = vec![value.to_owned(), hex.to_uppercase(), hex, decimal.join(" "), encoded];
    for before in 0..3 {
        // Whatever stands before and after the value changes the first and last characters, and shifts the rest.
        let base64 = STANDARD.encode([&vec![0; before][..], bytes].concat());
        all.push(base64[4..base64.len() - 4].to_owned());
    }
    all
}

/// The files below a directory in which one of the texts stands.
pub fn files_with(directory: PathBuf, texts: &[String]) -> Vec<String> {
    assert!(directory.exists(), "{directory:?} is what is searched");
    let mut grep: Command = programs::as_server("/usr/bin/grep");
    grep.args(["-rlaF"]).args(texts.iter().flat_map(|text| ["-e", text])).arg(directory);
    let output = grep.env("LC_ALL", "C").output().expect("grep can be run");
    let complaints = String::from_utf8_lossy(&output.stderr);
    // Servers at work remove files that were there when the directory was read.
    let are_gone = || complaints.lines().all(|line| line.ends_with(": No such file or directory"));
    let all_is_searched = match output.status.code() {
        Some(0 | 1) => true,
        Some(2) => !complaints.is_empty() && are_gone(),
        _ => false,
    };
    assert!(all_is_searched, "grep ended with {}: {complaints}", output.status);
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

pub fn all_disguises() -> Vec<String> {
    [disguises(LITERAL), disguises(BOUND), disguises(SIGNING)].concat()
}

pub fn assert_clean(what: &str, text: &str) {
    for disguise in all_disguises() {
        assert!(!text.contains(&disguise), "{what} holds {disguise}:\n{text}");
    }
}
