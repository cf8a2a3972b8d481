//! Functions that messages are given to.

use crate::faults::SOON;
use crate::harness::{Db, WsPeer, eventually};
use crate::scene::Scene;

/// Opens a websocket of a role whose messages are given to `hear`, and gives the peer's number of the connection.
async fn open(db: &Db, peer: &WsPeer) -> usize {
    db.exec(&format!("select edge.ws_open('room', '{}', on_message => 'hear')", peer.url("/"))).await;
    peer.wait_for_open(1).await;
    peer.newest()
}

/// Waits until so many messages have come, and all functions have been run.
async fn handled(scene: &Scene, messages: i64) {
    let sql = "select (select count(*) from edge.ws_messages where direction = 'in') = $1
                      and not exists (select from edge_store.ws_handling)";
    eventually("all messages have been handled", SOON, || async { scene.db.one_with::<bool>(sql, &[&messages]).await })
        .await;
}

const ERRORS: &str = "select coalesce(error, 'fine') from edge.ws_messages where direction = 'in' order by id";

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_given_to_the_function_as_it_is_shown_in_order_as_its_owner() {
    let scene = Scene::start().await;
    let (ada, peer) = (scene.role("ada").await, WsPeer::start().await);
    scene.db.exec("grant create on schema public to ada").await;
    ada.exec("create table heard (n bigserial, by text, message edge.ws_message)").await;
    ada.exec(
        "create function hear(m edge.ws_message) returns void language sql as
             $$ insert into public.heard (by, message) values (current_user, m) $$",
    )
    .await;
    let room = open(&ada, &peer).await;
    for n in 0..20 {
        peer.text(room, format!("{{\"n\": {n}}}"));
    }
    peer.text(room, "no json, caf\u{e9}");
    peer.text(room, "with \0 in it");
    peer.bytes(room, &b"\x00\xff"[..]);
    handled(&scene, 23).await;
    assert_eq!(ada.column::<String>("select distinct by from heard").await, ["ada"]);
    // Compared by what is shown of rows, since edge.ws_messages has columns of its own behind these.
    let given = "select message::text from heard order by n";
    let shown =
        "select row(id, connection, direction, kind, data, data_bytes, json, at, state, error, connection_id)::text
                 from edge.ws_messages order by id";
    let (given, shown) = (ada.column::<String>(given).await, ada.column::<String>(shown).await);
    assert_eq!(given.len(), 23);
    assert_eq!(given, shown);
    let numbers = "select (message).json ->> 'n' from heard where (message).json is not null order by n";
    let numbers: Vec<String> = ada.column(numbers).await;
    assert_eq!(numbers, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    let last =
        "select (message).kind || ' ' || coalesce((message).data, encode((message).data_bytes, 'escape')) from heard
                order by n desc limit 3";
    assert_eq!(
        ada.column::<String>(last).await,
        ["bytes \\000\\377", "text with \\000 in it", "text no json, caf\u{e9}"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_function_is_shown_with_its_message_and_the_next_one_is_next() {
    let scene = Scene::start().await;
    let (ada, peer) = (scene.role("ada").await, WsPeer::start().await);
    scene.db.exec("grant create on schema public to ada").await;
    ada.exec("create table heard (what text)").await;
    ada.exec(
        "create function hear(m edge.ws_message) returns void language plpgsql as $$
         begin
             insert into public.heard values (m.data);
             if m.data = 'bad' then raise exception 'not this' using errcode = 'XX123'; end if;
         end $$",
    )
    .await;
    let room = open(&ada, &peer).await;
    for words in ["good", "bad", "better"] {
        peer.text(room, words);
    }
    handled(&scene, 3).await;
    assert_eq!(ada.column::<String>(ERRORS).await, ["fine", "on_message failed (XX123): not this", "fine"]);
    assert_eq!(ada.column::<String>("select what from heard").await, ["good", "better"], "it is undone");
    let state: String = ada.one("select state || coalesce(last_error, '') from edge.ws_connections").await;
    assert_eq!(state, "open", "the websocket does not mind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_be_made_anew_by_its_owner_and_not_by_anybody_else() {
    let scene = Scene::start().await;
    let (ada, eve, peer) = (scene.role("ada").await, scene.role("eve").await, WsPeer::start().await);
    scene
        .db
        .exec("grant create on schema public to ada, eve; create table who (name text); grant all on who to public")
        .await;
    let hear = |name: &str| {
        format!(
            "create function hear(m edge.ws_message) returns void language sql as
                 $$ insert into public.who values ('{name} as ' || current_user) $$"
        )
    };
    ada.exec(&hear("first")).await;
    let room = open(&ada, &peer).await;
    peer.text(room, "one");
    handled(&scene, 1).await;
    ada.exec(&format!("drop function hear; {}", hear("second"))).await;
    peer.text(room, "two");
    handled(&scene, 2).await;
    ada.exec("drop function hear").await;
    peer.text(room, "three");
    handled(&scene, 3).await;
    eve.exec(&hear("evil")).await;
    peer.text(room, "four");
    handled(&scene, 4).await;
    assert_eq!(scene.db.column::<String>("select name from who").await, ["first as ada", "second as ada"]);
    let gone = "on_message failed (42883): the function does not exist, or belongs to another role than when edge.ws_open named it";
    assert_eq!(ada.column::<String>(ERRORS).await, ["fine", "fine", gone, gone]);
    assert_eq!(peer.arrivals().len(), 1, "none of that touches the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_can_answer_over_the_websocket_that_it_heard() {
    let scene = Scene::start().await;
    let (ada, peer) = (scene.role("ada").await, WsPeer::start().await);
    scene.db.exec("grant create on schema public to ada").await;
    ada.exec(
        "create function hear(m edge.ws_message) returns void language sql as
             $$ select edge.ws_send(m.connection, m.data || ' yourself') $$",
    )
    .await;
    let room = open(&ada, &peer).await;
    peer.text(room, "hello");
    assert_eq!(peer.wait_for_texts(1).await, ["hello yourself"]);
}
