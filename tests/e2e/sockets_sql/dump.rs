//! Websockets are part of a dump; what went over them is not.

use std::path::PathBuf;

use super::NOWHERE;
use crate::harness::{Cluster, programs};
use crate::scene::Scene;

/// Dumps the database, and gives the file.
fn dump_of(cluster: &Cluster) -> PathBuf {
    let dump = cluster.socket_dir().join("dump.sql");
    let mut pg_dump = programs::server_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(cluster.socket_dir());
    programs::run(pg_dump.arg("--file").arg(&dump));
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_carries_the_websockets_with_their_owners_and_functions_by_name() {
    let quiet = || Cluster::builder().setting("pg_edge.ws_max_connections", "0");
    let scene = Scene::on(quiet()).await;
    let (ada, bob) = (scene.role("ada").await, scene.role("bob").await);
    scene.db.exec("create function hear(edge.ws_message) returns void language sql as 'select'").await;
    ada.exec(&format!(
        "select edge.ws_open('room', '{NOWHERE}?r=1', '{{\"x-a\": \"b\"}}', '{{v2,v1}}', 'hear', 'tick', '140 s');
         select edge.ws_send('room', 'before the dump')"
    ))
    .await;
    ada.exec(&format!("select edge.ws_open('over', '{NOWHERE}'); select edge.ws_close('over', 4001, 'bye')")).await;
    bob.exec(&format!("select edge.ws_open('his', '{NOWHERE}')")).await;
    drop(bob);
    scene.db.exec("drop owned by bob; drop role bob").await;
    let dump = dump_of(&scene.cluster);
    let other = quiet().start();
    // The roles have other numbers there, and so have functions.
    other
        .connect()
        .await
        .exec("create role first; create role ada login; create function f() returns void language sql as ''")
        .await;
    let mut psql = other.psql_command();
    programs::run(psql.args(["--quiet", "--file"]).arg(&dump));
    let copy = other.connect().await;
    let kept =
        "select concat_ws('|', id, owner, name, url, headers, subprotocols, on_message, on_message_of, heartbeat, max_age, revision,
                                 wanted, close_code, close_reason, created_at, updated_at)
                from edge_store.ws_connection where name <> 'his' order by id";
    let (before, after) = (scene.db.column::<String>(kept).await, copy.column::<String>(kept).await);
    assert_eq!(before.len(), 2);
    assert_eq!(before, after);
    let names = "select name from edge_store.ws_connection order by name";
    assert_eq!(copy.column::<String>(names).await, ["over", "room"], "nobody has the third any more");
    assert_eq!(copy.one::<i64>("select count(*) from edge.ws_messages").await, 0);
    assert!(
        copy.one::<bool>(
            "select to_regprocedure(on_message) = 'hear'::regproc from edge.ws_connections where name = 'room'"
        )
        .await
    );
    let new: i64 = copy.one(&format!("select edge.ws_open('new', '{NOWHERE}')")).await;
    assert!(new > 3, "numbers go on where they were: {new}");
}
