//! A row's change is told to a room by a trigger, and done by a function on the other side.

use serde_json::{Value, json};

use super::relay::{Relay, Stack};
use super::{all_sent, hears, join, say};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

/// The SQL that the documentation has after this sentence.
fn documented(sentence: &str) -> &'static str {
    let text = include_str!("../../../docs/websockets.md");
    let (_, after) = text.split_once(sentence).expect("the documentation has the sentence");
    let (_, block) = after.split_once("```sql\n").expect("SQL follows it");
    block.split_once("```").expect("the SQL has an end").0
}

/// The other side: it keeps a copy.
const FOLLOW: &str = "
create table orders (id int primary key, state text);
create function follow(message edge.ws_message) returns void language plpgsql as $$
begin
    if message.json ->> 'type' is null then
        return;
    end if;
    delete from public.orders
    where id in ((message.json -> 'old_record' ->> 'id')::int, (message.json -> 'record' ->> 'id')::int);
    insert into public.orders select (message.json -> 'record' ->> 'id')::int, message.json -> 'record' ->> 'state'
    where message.json ->> 'type' <> 'DELETE';
end;
$$;
";

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_trigger_tells_a_room_of_every_committed_change_of_a_row() {
    let cluster = Cluster::start();
    cluster.create_database("copy").await;
    let (original, copy) = (cluster.create_extension("postgres").await, cluster.create_extension("copy").await);
    let relay = Relay::start(Stack::Deno);
    copy.exec(FOLLOW).await;
    super::open_with(&copy, "room", &relay.url("orders"), ", on_message => 'follow'").await;
    // Once the relay has heard it, it is in the room.
    say(&copy, "room", "the copy joins").await;
    all_sent(&copy, "room").await;
    join(&original, "room", &relay.url("orders")).await;
    original.exec(documented("A trigger that tells a room of each change of a row:")).await;
    original.exec("insert into orders values (1, 'new'), (2, 'new')").await;
    original.exec("begin; update orders set state = 'lost'; rollback").await;
    original.exec("update orders set state = 'paid' where id = 1").await;
    original.exec("delete from orders where id = 2").await;
    let heard = hears(&copy, "room", 5).await;
    let told: Vec<Value> = heard[1..].iter().map(|text| serde_json::from_str(text).expect("it is JSON")).collect();
    let events: Vec<&str> = told.iter().filter_map(|told| told["type"].as_str()).collect();
    assert_eq!(events, ["INSERT", "INSERT", "UPDATE", "DELETE"]);
    assert_eq!(told[2]["old_record"], json!({"id": 1, "state": "new"}));
    assert_eq!(told[2]["record"], json!({"id": 1, "state": "paid"}));
    let done = "select count(*) = 0 from edge_store.ws_handling";
    eventually("the copy has done as it was told", SERVER_DEADLINE, || async { copy.one::<bool>(done).await }).await;
    let orders = copy.rows("select id, state from orders").await;
    let orders: Vec<(i32, String)> = orders.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(orders, [(1, "paid".to_owned())]);
    // Where there is no room any more, the change is made all the same.
    original.exec("select edge.ws_close('room')").await;
    original.exec("insert into orders values (3, 'untold')").await;
    assert!(original.notices().iter().any(|notice| notice.contains("the room is not told")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_notified_of_each_message_once_it_can_be_read() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let relay = Relay::start(Stack::Node);
    let listener = cluster.connect().await;
    join(&db, "one", &relay.url("a")).await;
    join(&db, "two", &relay.url("a")).await;
    hears(&db, "one", 1).await;
    listener.exec("listen edge_ws").await;
    for number in 1..=5 {
        let text = format!("message {number}");
        say(&db, "two", &text).await;
        let payload: Value = serde_json::from_str(listener.next_notification().await.payload()).expect("it is JSON");
        let (id, connection) = (payload["id"].as_i64().expect("an id"), payload["connection_id"].as_i64().expect("so"));
        let sql = "select data from edge.ws_messages where id = $1 and connection_id = $2 and direction = 'in'";
        assert_eq!(listener.one_with::<String>(sql, &[&id, &connection]).await, text);
    }
}
