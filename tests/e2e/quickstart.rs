//! The quick start, in a terminal as `make run` shows it, against the functions that it is shown with.

#[path = "../../examples/function_server/server.rs"]
mod function_server;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::Cluster;
use crate::scene::{ended, get};
use crate::streams_reading::screen::Screen;

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart.sql");

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_quick_start_shows_what_it_says() {
    let cluster = Cluster::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let functions = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(function_server::serve(listener));
    let base_url = format!("--variable=base_url={functions}/functions/v1");
    let all = Screen::psql(&cluster, &[&base_url, "--file", QUICKSTART]).ends().await;
    for shown in [
        r#"  1 | succeeded |         200 | {"message": "Hello Ada"} |        1"#,
        "  2 | succeeded |         200 |        3",
        "       3 |         200 | (null)",
        " status_of_the_rolled_back_call \n--------------------------------\n (null)",
        "  4 | failed |         500 | the peer answered 500 Internal Server Error",
        "  repair   \n-----------\n succeeded",
        "  6 | succeeded |         200",
        " hello    | ",
        "Once \nupon \na \ntime \nthere \nwas \na \ndatabase \nthat \ncould \nspeak.\n",
        "| succeeded |     12 | openai_chat",
        " Once upon a time there was a database that could speak.",
        r#" grace      | in        | text | {"text": "Is anybody there?"} | received"#,
        " ada        | in        | text | I am, Ada.                    | received",
        r#" {"id": 2} | succeeded | {"message": "Hello Grace"}"#,
        " running |",
    ] {
        assert!(all.contains(shown), "{shown:?} is not in what was shown:\n{all}");
    }
    assert!(!all.contains("ERROR") && !all.contains("WARNING"), "{all}");
    let db = cluster.connect().await;
    let log = async |words: &str| {
        let asked = get(&db, &format!("{functions}/log?contains={words}")).await;
        ended(&db, asked).await.get::<_, Value>("json")
    };
    assert_eq!(log("Ada%22").await[0], "POST /functions/v1/hello {\"name\": \"Ada\"}");
    assert_eq!(log("Nobody").await, json!([]), "what was rolled back was sent");
}
