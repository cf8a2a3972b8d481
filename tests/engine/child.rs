//! Runs one call in a process of its own, so that it can have an environment of its own.

use std::process::Command;

use url::Url;

use super::sender::{Sender, get};

/// Runs an ignored test of this binary as a child process, with the URL and these environment variables, and gives
/// what it printed.
pub fn run(test: &str, url: &Url, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env("ENGINE_TEST_URL", url.as_str())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // A name that no test has is no failure to the child.
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
    printed
}

/// Sends a GET from a child process with these environment variables, and gives what its report looks like.
pub fn report_with_environment(url: &Url, variables: &[(&str, &str)]) -> String {
    run("child::sends_one_call", url, variables)
}

/// The URL the parent gave.
pub fn given_url() -> Url {
    Url::parse(&std::env::var("ENGINE_TEST_URL").unwrap()).unwrap()
}

#[test]
#[ignore = "is the child process of other tests"]
fn sends_one_call() {
    println!("{:?}", Sender::new().report(get(&given_url())));
}

#[test]
fn proxies_from_the_environment_are_ignored() {
    let proxy = super::peer::Peer::answering("HTTP/1.1 502 Proxied\r\ncontent-length: 0\r\n\r\n");
    let peer = super::peer::Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ndirect");
    let address = proxy.url().to_string();
    let variables = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, address.as_str()));
    let report = report_with_environment(&peer.url(), &variables);
    assert!(report.contains("direct"), "{report}");
    assert!(proxy.notes().is_empty());
}
