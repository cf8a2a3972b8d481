//! Commands that need a database without sessions: the dispatcher lets go of it, and comes back.

use crate::faults::{SOON, all_ended, dispatcher, find_worker, holds, queue, queue_one};
use crate::harness::{Cluster, Db, Peer, Reply, eventually};

/// A database `app` with the extension, calls of it that hang, and a healthy peer: at the endpoint of the hanging ones
/// another call would rightly wait.
async fn hanging(cluster: &Cluster) -> (Db, Peer, Peer) {
    cluster.create_database("app").await;
    let app = cluster.create_extension("app").await;
    let peer = Peer::start().await;
    peer.on("/", Reply::hang());
    let healthy = Peer::start().await;
    healthy.on("/ok", Reply::status(204));
    queue(&app, &peer.url("/"), 100).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 64 }).await;
    drop(app);
    is_left(cluster, "app").await;
    (cluster.connect().await, peer, healthy)
}

/// Waits until no session of a client is in the database any more: closing one is not waited for.
async fn is_left(cluster: &Cluster, database: &str) {
    let left = format!(
        "select not exists (select from pg_stat_activity where datname = '{database}' and backend_type = 'client backend')"
    );
    eventually("its sessions have ended", SOON, || holds(cluster, "postgres", &left)).await;
}

/// The database's calls go out.
async fn works(cluster: &Cluster, database: &str, peer: &Peer) {
    let db = cluster.connect_as("postgres", database).await;
    let call = queue_one(&db, &peer.url("/ok")).await;
    let state: String = db.one(&format!("select (edge.wait({call}, '60 s')).state")).await;
    assert_eq!(state, "succeeded", "calls of {database} are served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_can_be_dropped_while_its_calls_hang() {
    let cluster = Cluster::start();
    let (db, hanging_peer, peer) = hanging(&cluster).await;
    db.exec("drop database app").await;
    eventually("its connections are closed", SOON, || async { hanging_peer.in_flight() == 0 }).await;
    assert_eq!(find_worker(&cluster, "dispatcher", "app").await, None);
    // Another one of its name is another database.
    cluster.create_database("app").await;
    cluster.create_extension("app").await;
    works(&cluster, "app", &peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_can_be_renamed_and_copied_while_its_calls_hang() {
    let cluster = Cluster::start();
    let (db, _hanging, peer) = hanging(&cluster).await;
    db.exec("alter database app rename to renamed").await;
    works(&cluster, "renamed", &peer).await;
    is_left(&cluster, "renamed").await;
    db.exec("create database copy template renamed").await;
    works(&cluster, "renamed", &peer).await;
    works(&cluster, "copy", &peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_comes_back_when_the_command_fails_or_is_rolled_back() {
    let cluster = Cluster::start();
    let (db, _hanging, peer) = hanging(&cluster).await;
    let worker = dispatcher(&cluster, "app").await;
    db.exec("begin; alter database app rename to other").await;
    eventually("the dispatcher has left", SOON, || async {
        find_worker(&cluster, "dispatcher", "app").await != Some(worker)
    })
    .await;
    db.exec("rollback").await;
    works(&cluster, "app", &peer).await;
    // Two in one transaction.
    cluster.create_database("more").await;
    cluster.create_extension("more").await;
    works(&cluster, "more", &peer).await;
    db.exec("begin; alter database app rename to a; alter database more rename to m; rollback").await;
    works(&cluster, "app", &peer).await;
    works(&cluster, "more", &peer).await;
    let occupant = cluster.connect_as("postgres", "app").await;
    assert_eq!(db.fails("drop database app").await.sqlstate, "55006");
    drop(occupant);
    works(&cluster, "app", &peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_can_be_created_while_template1_has_the_extension() {
    let cluster = Cluster::start();
    cluster.create_extension("template1").await;
    dispatcher(&cluster, "template1").await;
    for name in ["born", "later"] {
        cluster.create_database(name).await;
    }
    let peer = Peer::start().await;
    peer.on("/ok", Reply::status(204));
    works(&cluster, "born", &peer).await;
    works(&cluster, "later", &peer).await;
    all_ended(&cluster, "born").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_leaves_the_calls_of_its_queue_to_the_original() {
    let cluster = Cluster::start();
    cluster.create_database("app").await;
    let app = cluster.create_extension("app").await;
    let peer = Peer::start().await;
    peer.on("/ok", Reply::status(204));
    app.exec("select edge.pause()").await;
    let call = queue_one(&app, &peer.url("/ok")).await;
    drop(app);
    is_left(&cluster, "app").await;
    cluster.connect().await.exec("create database copy template app").await;
    let copy = cluster.connect_as("postgres", "copy").await;
    // The copy is paused as its original is, and is told of by the first thing done in it.
    copy.exec("select edge.resume()").await;
    works(&cluster, "copy", &peer).await;
    assert_eq!(copy.one::<String>(&format!("select (edge.wait({call}, '60 s')).state")).await, "cancelled");
    let app = cluster.connect_as("postgres", "app").await;
    app.exec("select edge.resume()").await;
    assert_eq!(app.one::<String>(&format!("select (edge.wait({call}, '60 s')).state")).await, "succeeded");
    let keys: Vec<_> =
        peer.requests().iter().map(|request| request.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0].rsplit_once('-').unwrap().0, keys[1].rsplit_once('-').unwrap().0);
}
