//! A row's change is told to a room by a trigger, and done by a function on the other side.

use serde_json::{Value, json};

use super::relay::{Relay, Stack};
use super::{hears, join};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

/// As the documentation has it.
const BROADCAST: &str = "
create table score (player text primary key, points integer not null);
create function tell_room() returns trigger language plpgsql as $$
begin
    perform edge.ws_send('room', jsonb_build_object(
        'table', tg_table_name, 'event', tg_op, 'old', to_jsonb(old), 'new', to_jsonb(new)));
    return null;
end;
$$;
create trigger tell_room after insert or update or delete on score for each row execute function tell_room();
";

/// The other side: it keeps a copy.
const FOLLOW: &str = "
create table score (player text primary key, points integer not null);
create function follow(message edge.ws_message) returns void language plpgsql as $$
begin
    if (message).json ->> 'event' is null then
        return;
    end if;
    delete from score where player in ((message).json -> 'old' ->> 'player', (message).json -> 'new' ->> 'player');
    insert into score select (message).json -> 'new' ->> 'player', ((message).json -> 'new' ->> 'points')::integer
    where (message).json ->> 'event' <> 'DELETE';
end;
$$;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_tells_a_room_of_every_committed_change_of_a_row() {
    let cluster = Cluster::start();
    cluster.create_database("copy").await;
    let (original, copy) = (cluster.create_extension("postgres").await, cluster.create_extension("copy").await);
    let relay = Relay::start(Stack::Deno);
    copy.exec(FOLLOW).await;
    super::open_with(&copy, "room", &relay.url("score"), ", on_message => 'follow'").await;
    join(&original, "room", &relay.url("score")).await;
    original.exec(BROADCAST).await;
    original.exec("insert into score values ('ada', 1), ('grace', 2)").await;
    original.exec("begin; update score set points = -1; rollback").await;
    original.exec("update score set points = points * 10 where player = 'ada'").await;
    original.exec("delete from score where player = 'grace'").await;
    let heard = hears(&copy, "room", 5).await;
    let told: Vec<Value> = heard[1..].iter().map(|text| serde_json::from_str(text).expect("it is JSON")).collect();
    let events: Vec<&str> = told.iter().filter_map(|told| told["event"].as_str()).collect();
    assert_eq!(events, ["INSERT", "INSERT", "UPDATE", "DELETE"]);
    assert_eq!(told[2]["old"], json!({"player": "ada", "points": 1}));
    assert_eq!(told[2]["new"], json!({"player": "ada", "points": 10}));
    let done = "select count(*) = 0 from edge_store.ws_handling";
    eventually("the copy has done as it was told", SERVER_DEADLINE, || async { copy.one::<bool>(done).await }).await;
    let scores = copy.rows("select player, points from score").await;
    let scores: Vec<(String, i32)> = scores.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(scores, [("ada".to_owned(), 10)]);
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
        super::say(&db, "two", &text).await;
        let payload: Value = serde_json::from_str(listener.next_notification().await.payload()).expect("it is JSON");
        let (id, connection) = (payload["id"].as_i64().expect("an id"), payload["connection_id"].as_i64().expect("so"));
        let sql = "select data from edge.ws_messages where id = $1 and connection_id = $2 and direction = 'in'";
        assert_eq!(listener.one_with::<String>(sql, &[&id, &connection]).await, text);
    }
}
