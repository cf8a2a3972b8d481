//! What outlives the ring, a promotion, and the copy of a database; and what goes with its owner.

use std::time::SystemTime;

use super::{Stage, all_taken, comes_true, reaches, say};
use crate::faults::dispatcher;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Peer, Reply, WsPeer, eventually};

async fn turns(stage: &Stage, slots: i64) {
    for _ in 0..slots {
        let before: i16 = stage.db.one("select current_slot from edge_store.ring").await;
        let moved = format!("select current_slot <> {before} from edge_store.ring");
        comes_true(&stage.db, "the ring moves on", &moved).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_done_with_outlive_the_ring_and_others_vanish() {
    let stage = Stage::on(Cluster::builder().setting("pg_edge.retention", "1s")).await;
    stage.open("done").await;
    stage.peer.text(1, "heard");
    say(&stage.db, "done", "said").await;
    stage.open("stuck").await;
    stage.peer.stop_reading(2);
    stage.db.exec("select edge.ws_send('stuck', n || repeat('x', 2000)) from generate_series(1, 3000) n").await;
    turns(&stage, 12).await;
    let kept = "select count(*) from edge_store.ws_outgoing where connection_id = (select id from edge.ws_connections where name = 'done')";
    comes_true(&stage.db, "what was sent is gone", &kept.replace("count(*)", "count(*) = 0")).await;
    comes_true(&stage.db, "what was heard is gone", "select count(*) = 0 from edge_store.ws_incoming").await;
    stage.peer.go_on_reading(2);
    stage.peer.wait_for_texts(3001).await;
    let heard: Vec<usize> = stage.peer.texts_of(2).iter().map(|text| number(text)).collect();
    assert_eq!(heard, (1..=3000).collect::<Vec<_>>());
    turns(&stage, 10).await;
    comes_true(
        &stage.db,
        "all is gone",
        "select not exists (select from edge_store.ws_outgoing) and not exists (select from edge_store.ws_outcome)",
    )
    .await;
}

fn number(text: &str) -> usize {
    text.trim_end_matches('x').parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_no_function_has_handled_outlive_the_ring() {
    let builder = Cluster::builder().setting("pg_edge.retention", "1s").setting("max_worker_processes", "3");
    let stage = Stage::on(builder).await;
    stage.db.exec("create table heard (data text)").await;
    stage
        .db
        .exec("create function hear(message edge.ws_message) returns void language sql as $$ insert into heard select message.data $$")
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    for text in ["one", "two", "three"] {
        stage.peer.text(1, text);
    }
    comes_true(&stage.db, "they wait", "select count(*) = 3 from edge_store.ws_handling").await;
    turns(&stage, 12).await;
    assert_eq!(stage.db.one::<i64>("select count(*) from edge_store.ws_incoming").await, 3);
    let Stage { mut cluster, db, peer } = stage;
    drop(db);
    cluster.stop(crate::harness::Stop::Fast);
    let settings = cluster.data_dir().join("postgresql.auto.conf");
    std::fs::write(&settings, "max_worker_processes = 8\n").expect("the data directory can be written");
    cluster.start_again();
    let db = cluster.connect().await;
    comes_true(&db, "all are handled", "select coalesce(array_agg(data) = '{one,two,three}', false) from heard").await;
    drop(peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_be_carried_along_is_not_to_be_run() {
    let builder = Cluster::builder().setting("pg_edge.retention", "1s").setting("pg_edge.max_runners", "0");
    let stage = Stage::on(builder.setting("pg_edge.max_interruptions", "1")).await;
    stage.db.exec("create table heard (data text)").await;
    stage
        .db
        .exec("create function hear(message edge.ws_message) returns void language sql as $$ insert into heard select message.data $$")
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    stage.peer.text(1, "one");
    comes_true(&stage.db, "it waits", "select count(*) = 1 from edge_store.ws_handling").await;
    turns(&stage, 10).await;
    stage.cluster.set("pg_edge.max_runners", "4").await;
    comes_true(&stage.db, "it is handled", "select coalesce(array_agg(data) = '{one}', false) from heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_being_handled_keeps_its_slot_and_nobody_else() {
    let builder = Cluster::builder().setting("pg_edge.retention", "1s").setting("max_worker_processes", "3");
    let stage = Stage::on(builder).await;
    stage
        .db
        .exec("create function hear(message edge.ws_message) returns void language sql as 'select'; create table held (slot int)")
        .await;
    stage.want("a", ", on_message => 'hear'").await;
    reaches(&stage.db, "a", "open").await;
    stage.peer.text(1, "one");
    comes_true(&stage.db, "it waits", "select count(*) = 1 from edge_store.ws_handling").await;
    // As a runner does that is about to read the message.
    let runner = stage.cluster.connect().await;
    runner.exec("begin; insert into held select slot from edge_store.ws_handling for update").await;
    comes_true(
        &stage.db,
        "its slot is the oldest",
        "select (ring.current_slot + 1) % 8 = handling.slot from edge_store.ring, edge_store.ws_handling as handling",
    )
    .await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    // As long as the ring is tried again and again.
    let end = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    while std::time::Instant::now() < end {
        let id: i64 = stage.db.one_with("select edge.http_get_async($1)", &[&peer.url("/")]).await;
        let state = format!("select state = 'succeeded' from edge.wait({id}, '1 min')");
        assert!(stage.db.one::<bool>(&state).await, "calls are made meanwhile");
    }
    let read = "select count(*) from edge_store.ws_incoming as message join held using (slot)";
    assert_eq!(runner.one::<i64>(read).await, 1, "the slot can be read");
    runner.exec("commit").await;
    turns(&stage, 9).await;
    assert_eq!(stage.db.one::<i64>("select count(*) from edge_store.ws_incoming").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_opens_the_websockets_and_sends_what_was_not_taken() {
    let Stage { cluster: mut primary, db, mut peer } = Stage::start().await;
    db.one_with::<i64>("select edge.ws_open('a', $1)", &[&peer.url("/a")]).await;
    reaches(&db, "a", "open").await;
    say(&db, "a", "0").await;
    all_taken(&db).await;
    let mut standby = primary.basebackup_standby();
    // Orders are obeyed one after the other: it has stopped by the time its words have come.
    peer.stop_reading(1);
    peer.text(1, "not listening");
    comes_true(&db, "it reads no more", "select count(*) = 1 from edge_store.ws_incoming").await;
    db.exec("select edge.ws_send('a', n::text) from generate_series(1, 1500) n").await;
    standby.catch_up_with(&primary).await;
    drop(db);
    primary.kill_postmaster();
    peer.stop().await;
    peer.start_again().await;
    standby.promote();
    dispatcher(&standby, "postgres").await;
    let db = standby.connect().await;
    all_taken(&db).await;
    let heard: Vec<usize> = peer.texts_of(peer.newest()).iter().filter_map(|text| text.parse().ok()).collect();
    assert_eq!(heard, (1..=1500).collect::<Vec<_>>());
    reaches(&db, "a", "open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_database_leaves_websockets_and_messages_to_the_original() {
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "200ms").start();
    cluster.create_database("app").await;
    let app = cluster.create_extension("app").await;
    let peer = WsPeer::start().await;
    app.one_with::<i64>("select edge.ws_open('a', $1)", &[&peer.url("/a")]).await;
    reaches(&app, "a", "open").await;
    peer.stop_reading(1);
    app.exec("select edge.ws_send('a', repeat('x', 100000)) from generate_series(1, 200) n").await;
    drop(app);
    // Postgres waits some seconds for whoever is still in there, and no longer.
    let db = cluster.connect().await;
    let away_at: SystemTime = eventually("app is copied", SERVER_DEADLINE, || async {
        let now = db.one("select clock_timestamp()").await;
        db.try_exec("create database copy template app").await.is_ok().then_some(now)
    })
    .await;
    let copy = cluster.connect_as("postgres", "copy").await;
    // Whoever first gives it work has it looked at.
    copy.one_with::<i64>("select edge.ws_open('own', $1)", &[&peer.url("/own")]).await;
    reaches(&copy, "own", "open").await;
    let row = reaches(&copy, "a", "closed").await;
    let error: String = row.get("last_error");
    assert!(error.contains("copy"), "{error}");
    let queued = "select count(*) from edge.ws_messages where connection = 'a' and state = 'queued'";
    assert_eq!(copy.one::<i64>(queued).await, 0);
    let to_a = || peer.arrivals().iter().filter(|arrival| arrival.path.starts_with("/a")).count();
    let app = cluster.connect_as("postgres", "app").await;
    // Its row may still say so of the connection before the copy.
    let again = "select state = 'open' and opened_at > $1 from edge.ws_connections where name = 'a'";
    eventually("the original has it again", SERVER_DEADLINE, || async {
        app.one_with::<Option<bool>>(again, &[&away_at]).await == Some(true)
    })
    .await;
    let before = to_a();
    peer.go_on_reading(peer.arrivals().len());
    copy.exec("select edge.ws_send('own', 'mine'::text)").await;
    eventually("the copy speaks for itself", SERVER_DEADLINE, || async { peer.texts().contains(&"mine".to_owned()) })
        .await;
    assert_eq!(to_a(), before);
    drop(copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_with_the_role_that_wanted_it() {
    let stage = Stage::start().await;
    stage.db.exec("create role ada login; select edge.grant_access('ada')").await;
    let ada = stage.cluster.connect_as("ada", "postgres").await;
    ada.one_with::<i64>("select edge.ws_open('hers', $1)", &[&stage.peer.url("/hers")]).await;
    reaches(&ada, "hers", "open").await;
    drop(ada);
    stage.db.exec("select edge.revoke_access('ada'); drop role ada").await;
    // It is noticed when somebody else's is looked at, or within minutes.
    stage.open("another").await;
    stage.peer.wait_for_end(1).await;
    comes_true(&stage.db, "only the other is left", "select count(*) = 1 from edge_store.ws_connection").await;
    comes_true(&stage.db, "and what is known of it", "select count(*) = 1 from edge_store.ws_state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_long_ago_is_forgotten() {
    let stage = Stage::on(Cluster::builder().setting("pg_edge.retention", "1s")).await;
    stage.open("kept").await;
    stage.open("closed").await;
    stage.db.exec("select edge.ws_close('closed')").await;
    comes_true(&stage.db, "it is forgotten", "select count(*) = 1 from edge_store.ws_connection").await;
    comes_true(&stage.db, "and how it was", "select count(*) = 1 from edge_store.ws_state").await;
    assert_eq!(stage.peer.open(), 1);
    stage.open("closed").await;
}
