//! Rows reach the client while the function still writes: each test holds the peer back in mid-answer, and lets it go on
//! only once the client has what has come so far.

use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio_postgres::types::ToSql;

use super::screen::Screen;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually, within};
use crate::scene::{Scene, ended};

/// One delta of a language model.
pub fn delta(text: &str) -> String {
    format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }))
}

/// An answer of three words, which waits at a gate before each but the first.
pub struct Held {
    pub scene: Scene,
    pub id: i64,
    second: Gate,
    third: Gate,
}

impl Held {
    pub async fn start() -> Self {
        let scene = Scene::start().await;
        let (second, third) = (Gate::closed(), Gate::closed());
        let reply = Reply::stream("text/event-stream").send(delta("once "));
        let reply = reply.hold(&second).send(delta("upon\n")).hold(&third).send(delta("a time"));
        scene.peer.on("/tell", reply.send("data: [DONE]\n\n"));
        let id = scene.call("edge.http_post_async($1, stream => 'sse')", "/tell").await;
        Self { scene, id, second, third }
    }

    /// Lets the peer go on, step by step, whenever the screen shows what has come.
    async fn is_seen_on(&self, screen: &mut Screen, [first, second, third]: [&str; 3]) -> String {
        screen.shows(first).await;
        assert!(!screen.text().contains(second));
        self.second.open();
        screen.shows(second).await;
        assert!(!screen.text().contains(third));
        self.third.open();
        screen.ends().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_types_an_answer_out_in_plain_psql() {
    let held = Held::start().await;
    let copy = format!("copy (select edge.tail_text({})) to stdout", held.id);
    let mut screen = Screen::psql(&held.scene.cluster, &["--command", &copy]);
    let all = held.is_seen_on(&mut screen, ["once", "upon", "a time"]).await;
    assert_eq!(all, "once \nupon\\n\na time\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_types_an_answer_out_where_psql_fetches_row_by_row() {
    let held = Held::start().await;
    let select = format!("select edge.tail_text({})", held.id);
    let arguments = ["--set=FETCH_COUNT=1", "--no-align", "--tuples-only", "--record-separator=", "--command", &select];
    let mut screen = Screen::psql(&held.scene.cluster, &arguments);
    let all = held.is_seen_on(&mut screen, ["once", "upon", "a time"]).await;
    assert_eq!(all.trim_end(), "once upon\na time");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_with_their_numbers_come_as_they_are_in_psql() {
    let held = Held::start().await;
    let copy = format!(
        "copy (select (event).seq, (event).json #>> '{{choices,0,delta,content}}' from (select edge.tail({})) as t (event)) to stdout",
        held.id
    );
    let mut screen = Screen::psql(&held.scene.cluster, &["--command", &copy]);
    let all = held.is_seen_on(&mut screen, ["1\tonce", "2\tupon", "3\ta time"]).await;
    assert_eq!(all, "1\tonce \n2\tupon\\n\n3\ta time\n4\t\\N\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_reads_row_by_row_gets_them_as_they_come() {
    let held = Held::start().await;
    let parameters: [&(dyn ToSql + Sync); 1] = [&held.id];
    let client = held.scene.db.client();
    let rows = client.query_raw("select edge.tail_text($1)", parameters).await.expect("it begins");
    let mut rows = pin!(rows);
    let mut next = async || {
        let row = within("a row comes", SERVER_DEADLINE, rows.next()).await;
        row.map(|row| row.expect("no error").get::<_, String>(0))
    };
    assert_eq!(next().await.as_deref(), Some("once "));
    held.second.open();
    assert_eq!(next().await.as_deref(), Some("upon\n"));
    held.third.open();
    assert_eq!(next().await.as_deref(), Some("a time"));
    assert_eq!(next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_copies_out_gets_lines_as_they_come() {
    let held = Held::start().await;
    let copy = format!("copy (select edge.tail_text({})) to stdout", held.id);
    let lines = held.scene.db.client().copy_out(&copy).await.expect("it begins");
    let mut lines = pin!(lines);
    let mut next = async || within("a line comes", SERVER_DEADLINE, lines.try_next()).await.expect("no error");
    assert_eq!(next().await.as_deref(), Some(&b"once \n"[..]));
    held.second.open();
    assert_eq!(next().await.as_deref(), Some(&b"upon\\n\n"[..]));
    held.third.open();
    assert_eq!(next().await.as_deref(), Some(&b"a time\n"[..]));
    assert_eq!(next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_gives_what_has_come_and_waits_for_the_rest() {
    let held = Held::start().await;
    let db = &held.scene.db;
    db.exec(&format!("begin; declare answer cursor for select edge.tail_text({})", held.id)).await;
    assert_eq!(db.one::<String>("fetch answer").await, "once ");
    held.second.open();
    assert_eq!(db.one::<String>("fetch answer").await, "upon\n");
    held.third.open();
    assert_eq!(db.column::<String>("fetch all answer").await, ["a time"]);
    db.exec("commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_gives_a_batch_at_a_time_with_nothing_held_between() {
    let held = Held::start().await;
    let mut after: i64 = 0;
    let mut seen = Vec::new();
    for gate in [Some(&held.second), Some(&held.third), None] {
        // As through a pooler: every statement may be on another connection.
        let db = held.scene.cluster.connect().await;
        let sql =
            "select (event).seq, (event).data from (select edge.poll($1, $2, wait => '1 hour') as event) as events";
        let rows = within("a batch comes", SERVER_DEADLINE, db.rows_with(sql, &[&held.id, &after])).await;
        seen.extend(rows.iter().map(|row| row.get::<_, String>(1)));
        after = rows.last().expect("it has waited for an event").get(0);
        if let Some(gate) = gate {
            gate.open();
        }
    }
    ended(&held.scene.db, held.id).await;
    // The last word and the sign that it was the last may come in one batch or in two.
    let sql = "select edge.poll($1, $2, wait => '1 hour')";
    let parameters: [&(dyn ToSql + Sync); 2] = [&held.id, &after];
    let rest = held.scene.db.rows_with(sql, &parameters);
    let rest = within("there is nothing to wait for", SERVER_DEADLINE, rest).await;
    assert_eq!(seen.len() + rest.len(), 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_listen_are_told_where_the_stream_stands() {
    let held = Held::start().await;
    let listener = held.scene.cluster.connect().await;
    listener.exec("listen edge_stream").await;
    let open = async {
        let db = &held.scene.db;
        let text = async || db.one_with::<String>("select edge.stream_text($1)", &[&held.id]).await;
        eventually("the first word is there", SERVER_DEADLINE, || async { text().await == "once " }).await;
        held.second.open();
        eventually("the second word is there", SERVER_DEADLINE, || async { text().await == "once upon\n" }).await;
        held.third.open();
    };
    let listen = async {
        let mut last = 0;
        loop {
            let told = listener.next_notification().await;
            let pointer: serde_json::Value = serde_json::from_str(told.payload()).expect("it is JSON");
            assert!(told.channel() == "edge_stream" && pointer["id"] == held.id, "{told:?}");
            let seq = pointer["seq"].as_i64().expect("it is a number");
            assert!(seq >= last, "{seq} after {last}");
            // What one is told of can be read.
            let sql = "select coalesce(max(seq), 0) from edge.events where call_id = $1";
            assert!(listener.one_with::<i64>(sql, &[&held.id]).await >= seq);
            if pointer["done"] == true {
                return seq;
            }
            last = seq;
        }
    };
    let (last, ()) = tokio::join!(listen, open);
    assert_eq!(last, 4);
}
