//! What is asked of the views most is found by keys.

use super::{open, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_websocket_and_one_message_are_found_without_reading_the_others() {
    let (_cluster, db) = quiet().await;
    for name in ["room", "other"] {
        open(&db, name).await;
    }
    // A day of talk in other rooms.
    db.exec(
        "insert into edge_store.ws_outgoing (id, connection_id, queued_at, owner, slot, kind, data)
         select n, 2 + n % 50, now(), 10, n % 8, 't', 'x' from generate_series(1, 20000) as n;
         insert into edge_store.ws_incoming (id, connection_id, received_at, owner, slot, kind, data)
         select n, 2 + n % 50, now(), 10, n % 8, 't', 'x' from generate_series(20001, 40000) as n;
         insert into edge_store.ws_outcome (message_id, at, slot, state) select n, now(), n % 8, 's' from generate_series(1, 20000) as n;
         insert into edge_store.ws_connection (id, owner, name, url, revision, wanted, created_at, updated_at)
         select n, 10, 'of ' || n, 'ws://127.0.0.1:1/', 1, false, now(), now() from generate_series(3, 60) as n;
         analyze edge_store.ws_outgoing; analyze edge_store.ws_incoming; analyze edge_store.ws_outcome; analyze edge_store.ws_connection",
    )
    .await;
    for question in [
        "connection = 'room'",
        "connection = 'room' and id > 17",
        "connection_id = 1",
        "id = 17",
        "connection_id = 1 and id = 17",
    ] {
        let plan: Vec<String> = db.column(&format!("explain select * from edge.ws_messages where {question}")).await;
        let whole: Vec<_> = plan
            .iter()
            .filter(|line| line.contains("Seq Scan on ws_outgoing") || line.contains("Seq Scan on ws_incoming"))
            .collect();
        assert!(whole.is_empty() && plan.len() > 5, "{question}:\n{}", plan.join("\n"));
    }
    let plan: Vec<String> = db.column("explain select name, queued from edge.ws_connections").await;
    assert!(!plan.iter().any(|line| line.contains("Seq Scan on ws_out")), "{}", plan.join("\n"));
}
