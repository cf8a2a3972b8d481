//! Scripts as users type them, driven by psql, with the output they are to see.
//!
//! `tests/sql/NAME.sql` must print `tests/sql/expected/NAME.out`. With `PG_EDGE_UPDATE_EXPECTED=1` the output is written
//! there instead, to be read before it is committed.

use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::harness::{Cluster, Peer, Reply};

async fn prints_what_is_expected(name: &str) {
    let cluster = Cluster::start();
    let _db = cluster.create_extension("postgres").await;
    let peer = Peer::start().await;
    peer.on("/hello", Reply::json(200, &json!({ "message": "hello" })));
    peer.on("/broken", Reply::json(500, &json!({ "message": "broken" })));
    peer.answer("/search", |request| Reply::json(200, &json!({ "query": request.query })));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let script = std::fs::File::open(folder.join(format!("{name}.sql"))).expect("the script is there");
    let mut psql = cluster.psql_command();
    psql.args(["--echo-all", "--set=ON_ERROR_STOP=0"]).arg(format!("--set=base_url={}", peer.url("")));
    // From standard input, and not as a file, so that errors name no path. Errors come in between, as on a screen.
    let (mut screen, writer) = std::io::pipe().expect("a pipe can be made");
    let mut running = psql
        .stdin(script)
        .stdout(writer.try_clone().expect("a pipe can be shared"))
        .stderr(writer)
        .spawn()
        .expect("psql starts");
    drop(psql);
    let mut printed = String::new();
    screen.read_to_string(&mut printed).expect("psql prints UTF-8");
    running.wait().expect("psql ends");
    // Where in our source an error is raised changes with every edit.
    let lines = printed.lines().filter(|line| !line.starts_with("LOCATION: "));
    let printed: String = lines.map(|line| format!("{line}\n")).collect();
    let expected = folder.join(format!("expected/{name}.out"));
    if std::env::var_os("PG_EDGE_UPDATE_EXPECTED").is_some() {
        std::fs::write(&expected, &printed).expect("the expected output can be written");
    }
    let wanted = std::fs::read_to_string(&expected).expect("the expected output is there");
    assert!(printed == wanted, "tests/sql/{name}.sql printed something else:\n{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_queued_read_and_steered_from_psql() {
    prints_what_is_expected("calls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_a_sentence_and_an_sqlstate() {
    prints_what_is_expected("errors").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_made_read_and_steered_from_psql() {
    prints_what_is_expected("schedules").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_opened_used_and_closed_from_psql() {
    prints_what_is_expected("websockets").await;
}
