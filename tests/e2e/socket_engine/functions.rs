//! Functions that messages are given to, where things go wrong.

use super::{Stage, comes_true, reaches};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_keeps_a_message_from_being_read_is_not_an_error_of_its_function() {
    let stage = Stage::on(Cluster::builder().setting("pg_edge.max_interruptions", "1")).await;
    stage.db.exec("alter role current_user set lock_timeout = '100ms'").await;
    stage.db.exec("create table heard (id bigint, data text)").await;
    stage
        .db
        .exec(
            "create function hear(message edge.ws_message) returns void language sql set lock_timeout = 0 as $$
             select pg_advisory_xact_lock(7);
             insert into heard values (message.id, message.data) $$",
        )
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    stage.db.exec("select pg_advisory_lock(7)").await;
    for text in ["one", "two"] {
        stage.peer.text(1, text);
    }
    let runs = "select count(*) = 1 from pg_stat_activity where wait_event = 'advisory'";
    comes_true(&stage.db, "the first is being handled", runs).await;
    comes_true(&stage.db, "the second waits", "select count(*) = 2 from edge_store.ws_handling").await;
    // The runner's own statement of the next message comes after this in the queue.
    let locking = stage.cluster.connect().await;
    locking.exec("set lock_timeout = 0; begin").await;
    let locked = tokio::spawn(async move {
        locking.exec("lock table edge_store.ws_incoming in access exclusive mode").await;
        locking
    });
    let queued = "select count(*) = 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted";
    comes_true(&stage.db, "the lock is asked for", queued).await;
    stage.db.exec("select pg_advisory_unlock(7)").await;
    let locking = locked.await.expect("the tables are locked");
    eventually("runners give up again and again", SERVER_DEADLINE, || async {
        stage.cluster.log().matches("runner: canceling statement due to lock timeout").count() >= 3
    })
    .await;
    locking.exec("commit").await;
    comes_true(&stage.db, "both are heard", "select array_agg(data order by id) = '{one,two}' from heard").await;
}
