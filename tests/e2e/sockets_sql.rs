//! Websockets as SQL asks for them and shows them. That they stand, and what goes over them, is tested elsewhere: what is said
//! here in a transaction that does not commit, no dispatcher ever sees.

mod dump;
mod handlers;
mod opening;
mod plans;
mod refused;
mod roles;
mod sending;
mod shown;

use crate::harness::{Cluster, Db};

/// Where nobody is.
const NOWHERE: &str = "ws://127.0.0.1:1/room";

/// A cluster that opens no websocket, and a session in it.
async fn quiet() -> (Cluster, Db) {
    let cluster = Cluster::builder().setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    (cluster, db)
}

/// Asks for a websocket, and gives its number.
async fn open(db: &Db, name: &str) -> i64 {
    db.one(&format!("select edge.ws_open('{name}', '{NOWHERE}')")).await
}

/// The number of the wish that a websocket of this name is.
async fn revision(db: &Db, name: &str) -> i64 {
    db.one(&format!("select revision from edge_store.ws_connection where name = '{name}'")).await
}
