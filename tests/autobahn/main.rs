//! The engine's websockets next to the Autobahn cases, which know the standard better than we do. `setup/autobahn.sh`
//! installs the server that runs them; without it these tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::RangeInclusive;

use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::message::Payload;

use agent::{Agent, Answer};
use server::{Server, Verdicts};

/// How many cases need no extension. The others test compression, which is not offered.
const PLAIN: usize = 301;

/// Runs some of the cases.
fn run(server: &Server, name: &str, cases: RangeInclusive<usize>, answer: Answer) {
    let urls = cases.clone().map(|case| server.url(&format!("/runCase?case={case}&agent={name}"))).collect();
    let stories = Agent::new().answer(urls, answer);
    assert_eq!(stories.len(), cases.count());
    for story in stories {
        assert!(!matches!(story.end, End::Refused(_) | End::Silent), "{:?}", story.end);
    }
}

/// Asks for the verdicts.
fn verdicts(server: &Server, name: &str) -> Verdicts {
    let story = Agent::new().listen(server.url(&format!("/updateReports?agent={name}")));
    assert!(!matches!(story.end, End::Refused(_) | End::Silent), "{:?}", story.end);
    server.verdicts(name)
}

fn count(server: &Server) -> usize {
    match Agent::new().listen(server.url("/getCaseCount")).messages.as_slice() {
        [Payload::Text(count)] => count.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// How often each behaviour was seen.
fn tally(verdicts: &Verdicts) -> BTreeMap<&str, usize> {
    verdicts.values().fold(BTreeMap::new(), |mut tally, verdict| {
        *tally.entry(verdict.behavior.as_str()).or_default() += 1;
        tally
    })
}

fn failed(verdicts: &Verdicts) -> Vec<&str> {
    let has_failed = |(_, verdict): &(&String, &server::Verdict)| {
        [&verdict.behavior, &verdict.behavior_close].into_iter().any(|behavior| behavior == "FAILED")
    };
    verdicts.iter().filter(has_failed).map(|(case, _)| case.as_str()).collect()
}

/// Printed even though the test passes: a suite that runs nothing passes too.
#[allow(clippy::explicit_write, reason = "what println! prints is kept back when a test passes")]
fn report(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}

#[test]
fn no_case_fails() {
    let server = Server::start("echo");
    let cases = count(&server);
    run(&server, "pg_edge", 1..=cases, |message| message);
    let verdicts = verdicts(&server, "pg_edge");
    let tally = tally(&verdicts);
    report(&format!("websockets: {cases} Autobahn cases: {tally:?}"));
    assert_eq!(failed(&verdicts), Vec::<&str>::new());
    assert_eq!(verdicts.len(), cases);
    // Ten cases are passed less strictly: the message before a broken frame is not echoed any more, since whoever echoes is
    // another thread.
    assert!(cases >= PLAIN && tally.get("OK").copied().unwrap_or_default() >= 280, "{tally:?}");
}

#[test]
fn an_agent_that_breaks_what_it_echoes_fails() {
    let server = Server::start("broken");
    run(&server, "broken", 1..=16, |message| match message {
        Payload::Text(text) => Payload::Text(text.chars().skip(1).collect()),
        Payload::Binary(bytes) => Payload::Binary(bytes.get(1..).map(<[u8]>::to_vec).unwrap_or_default().into()),
    });
    let verdicts = verdicts(&server, "broken");
    let failed = failed(&verdicts);
    assert!(failed.len() >= 10, "only these are seen to fail: {failed:?}");
}
