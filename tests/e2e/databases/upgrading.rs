//! What goes through `pg_upgrade`, and what does not.

use crate::faults::all_ended;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Peer, Reply, eventually};
use crate::scene::call;

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_after_an_upgrade_and_their_functions_are_not_taken_for_others() {
    let mut cluster = Cluster::builder().setting("pg_edge.max_runners", "0").start();
    let db = cluster.create_extension("postgres").await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204)).on("/later", Reply::status(204));
    db.exec(
        "create table ran (name text);
         create function mark(response edge.response) returns void language sql as $$ insert into ran values ('mark') $$",
    )
    .await;
    // In the new cluster one of these has the number that the other has here.
    db.exec(
        "do $$ begin
             for number in 1..3000 loop
                 execute format('create function f%s(response edge.response) returns void language sql
                                 as $f$ insert into ran values (%L) $f$', number, 'f' || number);
             end loop;
         end $$",
    )
    .await;
    let ended = call(&db, "edge.http_get_async($1, on_complete => 'mark')", &peer.url("/")).await;
    all_ended(&cluster, "postgres").await;
    db.exec("select edge.pause()").await;
    let waiting = call(&db, "edge.http_get_async($1, on_complete => 'mark')", &peer.url("/later")).await;
    drop(db);
    cluster.pg_upgrade();
    let db = cluster.connect().await;
    cluster.set("pg_edge.max_runners", "4").await;
    db.exec("select edge.resume()").await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(db.column::<String>("select state from edge.calls order by id").await, ["succeeded", "succeeded"]);
    assert_eq!((peer.count("/"), peer.count("/later")), (1, 1));
    eventually("both functions are said to be gone", SERVER_DEADLINE, || {
        db.one::<bool>(
            "select count(*) = 2 from edge.callback_errors where error = 'the callback function no longer exists'",
        )
    })
    .await;
    assert_eq!(db.column::<String>("select name from ran").await, Vec::<String>::new());
    // What is queued now has a function.
    call(&db, "edge.http_get_async($1, on_complete => 'mark')", &peer.url("/")).await;
    eventually("a new call's function runs", SERVER_DEADLINE, || {
        db.one::<bool>("select coalesce(array_agg(name) = '{mark}', false) from ran")
    })
    .await;
    // A replay of a call of before has none any more either.
    for id in [ended, waiting] {
        db.one_with::<i64>("select edge.replay($1)", &[&id]).await;
    }
    eventually("the functions of both replays are gone", SERVER_DEADLINE, || {
        db.one::<bool>(
            "select count(*) = 4 from edge.callback_errors where error = 'the callback function no longer exists'",
        )
    })
    .await;
}
