//! Streamed answers, from the wire to the tables: every event lands as it comes, and every stream ends in a state that says
//! what happened.

mod asking;
mod crashes;
mod dropping;
mod ends;
mod keeping;
mod landing;
mod limits;
mod listening;
mod pressure;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, Gate, Reply, eventually};
use crate::scene::Scene;

/// The events of a call as SQL shows them: number, type and data.
type Shown = (i64, Option<String>, String);

/// An answer of server-sent events, to which pieces are added.
fn sse() -> Reply {
    Reply::stream("text/event-stream")
}

/// One event of a stream.
fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// An answer of so many events, which then waits for the gate and ends with one more.
fn held(events: u32, gate: &Gate) -> Reply {
    let begun = (1..=events).fold(sse(), |reply, number| reply.send(event(&format!("before {number}"))));
    begun.hold(gate).send(event("after"))
}

/// Queues a POST whose answer is to be streamed, and gives its id.
async fn stream(scene: &Scene, path: &str) -> i64 {
    scene.call("edge.http_post_async($1, stream => 'sse', max_attempts => 3)", path).await
}

/// The events of a call, in order.
async fn events(db: &Db, id: i64) -> Vec<Shown> {
    let sql = "select seq, event, data from edge_store.single_event where call_id = $1 order by seq";
    db.rows_with(sql, &[&id]).await.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// The data of the events of a call, after a look that their numbers are without gaps.
async fn data(db: &Db, id: i64) -> Vec<String> {
    let events = events(db, id).await;
    for (place, (seq, ..)) in (1..).zip(&events) {
        assert_eq!(*seq, place, "the numbers have a gap or begin late");
    }
    events.into_iter().map(|(_, _, data)| data).collect()
}

/// Waits until so many events of a call are to be seen.
async fn lands(db: &Db, id: i64, count: i64) {
    eventually(&format!("{count} events of call {id} are to be seen"), SERVER_DEADLINE, || async {
        db.one_with::<i64>("select count(*) from edge_store.single_event where call_id = $1", &[&id]).await >= count
    })
    .await;
}

/// What `edge.calls` says of a call.
async fn seen(db: &Db, id: i64) -> tokio_postgres::Row {
    let rows = db.rows_with("select * from edge.calls where id = $1", &[&id]).await;
    rows.into_iter().next().expect("the call is there")
}
