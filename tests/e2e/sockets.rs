//! Websockets, from SQL to real peers and back: rooms on two stacks, relays that die, platforms that close, peers that
//! misbehave.

mod bad_peers;
mod dying_relays;
mod platforms;
mod pressure;
mod refusals;
mod relay;
mod restarts;
mod rooms;
mod triggers;

use tokio_postgres::Row;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, WsPeer, eventually};

/// What `edge.ws_connections` says of a connection.
async fn shown(db: &Db, name: &str) -> Row {
    let rows = db.rows_with("select * from edge.ws_connections where name = $1", &[&name]).await;
    rows.into_iter().next().expect("the connection is there")
}

/// Opens a connection by what follows the URL in `edge.ws_open`, and waits until it stands.
async fn open_with(db: &Db, name: &str, url: &str, more: &str) {
    wish(db, name, url, more).await;
    reaches(db, name, "open").await;
}

/// Opens a connection and waits until it stands.
async fn open(db: &Db, name: &str, url: &str) {
    open_with(db, name, url, "").await;
}

/// Has a connection be wanted, whether it can be opened or not.
async fn wish(db: &Db, name: &str, url: &str, more: &str) {
    db.one_with::<i64>(&format!("select edge.ws_open($1, $2{more})"), &[&name, &url]).await;
}

/// Waits until a connection is in a state, and gives what is shown of it then.
async fn reaches(db: &Db, name: &str, state: &str) -> Row {
    let what = format!("{name} is {state}");
    let last = std::sync::Mutex::new(String::new());
    let reached = eventually(&what, SERVER_DEADLINE, || async {
        let row = shown(db, name).await;
        let (now, error): (String, Option<String>) = (row.get("state"), row.get("last_error"));
        let reached = now == state;
        let said = format!("{name} is {now}: {error:?}");
        // Printed once a change, for whoever reads of a failure.
        let mut last = last.lock().expect("nobody panics in here");
        if *last != said {
            println!("{said}");
            *last = said;
        }
        reached.then_some(row)
    });
    reached.await
}

/// Sends a text message in a transaction of its own, and gives its id.
async fn say(db: &Db, name: &str, text: &str) -> i64 {
    db.one_with("select edge.ws_send($1, $2::text)", &[&name, &text]).await
}

/// The texts that came over a connection, or went, in the order of their ids.
async fn texts(db: &Db, name: &str, direction: &str) -> Vec<String> {
    let sql = "select data from edge.ws_messages where connection = $1 and direction = $2 order by id";
    let rows = db.rows_with(sql, &[&name, &direction]).await;
    rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
}

/// Waits until at least so many messages have come over a connection, and gives their texts.
async fn hears(db: &Db, name: &str, count: usize) -> Vec<String> {
    let what = format!("{name} has heard {count} messages");
    eventually(&what, SERVER_DEADLINE, || async {
        Some(texts(db, name, "in").await).filter(|texts| texts.len() >= count)
    })
    .await
}

/// Has a peer read nothing more from a connection, and returns when it does not: it obeys one order after the other.
async fn stops_reading(db: &Db, peer: &WsPeer, name: &str, connection: usize) {
    let before = texts(db, name, "in").await.len();
    peer.stop_reading(connection);
    peer.text(connection, "not listening");
    hears(db, name, before + 1).await;
}

/// Waits until every message that was queued for a connection has been taken by its peer.
async fn all_sent(db: &Db, name: &str) {
    let sql = "select count(*) from edge.ws_messages where connection = $1 and direction = 'out' and state <> 'sent'";
    eventually(&format!("all messages to {name} are sent"), SERVER_DEADLINE, || async {
        db.one_with::<i64>(sql, &[&name]).await == 0
    })
    .await;
}

/// Opens a connection to a relay, and returns when it is in the room: the relay has then handled its first message.
async fn join(db: &Db, name: &str, url: &str) {
    open(db, name, url).await;
    say(db, name, &format!("{name} joins")).await;
    all_sent(db, name).await;
}

/// The numbered messages of a speaker among what was heard, in order: the n of "speaker n".
fn numbers(heard: &[String], speaker: &str) -> Vec<usize> {
    let of = |text: &String| text.strip_prefix(speaker)?.strip_prefix(' ')?.parse().ok();
    heard.iter().filter_map(of).collect()
}

/// What remains of numbers when repetitions are left out.
fn first_times(numbers: &[usize]) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

/// How often the numbers go back: each time, something was said again from there.
fn steps_back(numbers: &[usize]) -> usize {
    numbers.windows(2).filter(|pair| pair[1] <= pair[0]).count()
}
