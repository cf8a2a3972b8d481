//! Functions that messages are given to, where things go wrong.

use super::{Stage, comes_true, reaches};
use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_its_process_down_is_given_up_and_the_next_message_is_handled() {
    let stage = Stage::on(Cluster::builder().setting("pg_edge.max_interruptions", "2")).await;
    stage.db.exec("create table heard (id bigint, data text)").await;
    stage
        .db
        .exec(
            "create function hear(message edge.ws_message) returns void language plpgsql as $$
             begin
                 if message.data = 'deadly' then
                     perform pg_terminate_backend(pg_backend_pid());
                     perform pg_sleep(10);
                 end if;
                 insert into heard values (message.id, message.data);
             end $$",
        )
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    for text in ["before", "deadly", "after"] {
        stage.peer.text(1, text);
    }
    comes_true(&stage.db, "all are done with", "select count(*) = 3 from edge_store.ws_incoming").await;
    comes_true(&stage.db, "none waits", "select count(*) = 0 from edge_store.ws_handling").await;
    let heard: Vec<String> = stage.db.column("select data from heard order by id").await;
    assert_eq!(heard, ["before", "after"]);
    let error: String = stage.db.one("select error from edge.ws_messages where data = 'deadly'").await;
    assert!(error.contains("was begun 2 times"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_callbacks_of_a_role_are_both_run() {
    let stage = Stage::start().await;
    let http = crate::harness::Peer::start().await;
    http.on("/", crate::harness::Reply::status(204));
    stage.db.exec("create table done (what text)").await;
    stage
        .db
        .exec(
            "create function hear(message edge.ws_message) returns void language sql as $$ insert into done values ('message') $$;
             create function called(response edge.response) returns void language sql as $$ insert into done values ('call') $$",
        )
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    for number in 0..100 {
        stage.peer.text(1, number.to_string());
    }
    let url = http.url("/");
    stage
        .db
        .exec(&format!("select edge.http_get_async('{url}', on_complete => 'called') from generate_series(1, 100)"))
        .await;
    comes_true(
        &stage.db,
        "all are run",
        "select count(*) filter (where what = 'message') = 100 and count(*) filter (where what = 'call') = 100 from done",
    )
    .await;
}
