//! Two databases in one room.

use super::relay::{Relay, Stack};
use super::{all_sent, hears, join, numbers, reaches, say, texts};
use crate::harness::Cluster;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;

const SAID: [&str; 4] = ["Grüße, 世界 😀", "two\nlines", "[1, 2", r#"{"n": 1}"#];

async fn two_databases_talk_through(stack: Stack) {
    let cluster = Cluster::start();
    cluster.create_database("grace").await;
    let (ada, grace) = (cluster.create_extension("postgres").await, cluster.create_extension("grace").await);
    let relay = Relay::start(stack);
    join(&ada, "ada", &relay.url("a")).await;
    join(&grace, "grace", &relay.url("a")).await;
    join(&grace, "elsewhere", &relay.url("b")).await;
    for text in SAID {
        say(&ada, "ada", text).await;
    }
    assert_eq!(hears(&grace, "grace", 4).await, SAID);
    ada.exec("select edge.ws_send('ada', '{\"kind\": \"greeting\"}'::jsonb)").await;
    ada.exec(r"select edge.ws_send('ada', '\x00ff80'::bytea)").await;
    hears(&grace, "grace", 6).await;
    let sql = "select json ->> 'kind', data_bytes from edge.ws_messages
               where connection = 'grace' and direction = 'in' order by id offset 4";
    let rows = grace.rows(sql).await;
    assert_eq!(rows[0].get::<_, Option<String>>(0).as_deref(), Some("greeting"));
    assert_eq!(rows[1].get::<_, Option<&[u8]>>(1), Some(&[0x00, 0xff, 0x80][..]));
    for text in SAID {
        say(&grace, "grace", text).await;
    }
    // Grace's own joining was the first that Ada heard.
    assert_eq!(hears(&ada, "ada", 5).await[1..], SAID);
    assert!(texts(&grace, "elsewhere", "in").await.is_empty(), "another room was spoken into");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_talk_through_a_room_on_deno() {
    two_databases_talk_through(Stack::Deno).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_talk_through_a_room_on_node() {
    two_databases_talk_through(Stack::Node).await;
}

/// Both talk at once, in many transactions: a conversation is in the order in which each has said it.
async fn both_talk_at_once_through(stack: Stack) {
    const MESSAGES: usize = 500;
    let cluster = Cluster::start();
    cluster.create_database("grace").await;
    let (ada, grace) = (cluster.create_extension("postgres").await, cluster.create_extension("grace").await);
    let relay = Relay::start(stack);
    join(&ada, "ada", &relay.url("a")).await;
    join(&grace, "grace", &relay.url("a")).await;
    let talk = |db, name: &'static str| async move {
        for number in 1..=MESSAGES {
            say(db, name, &format!("{name} {number}")).await;
        }
    };
    tokio::join!(talk(&ada, "ada"), talk(&grace, "grace"));
    let wanted: Vec<usize> = (1..=MESSAGES).collect();
    assert_eq!(numbers(&hears(&grace, "grace", MESSAGES).await, "ada"), wanted);
    assert_eq!(numbers(&hears(&ada, "ada", MESSAGES + 1).await, "grace"), wanted);
    for (db, name) in [(&ada, "ada"), (&grace, "grace")] {
        all_sent(db, name).await;
        let counted = "select sent = $2 from edge.ws_connections where name = $1";
        eventually("what was sent is counted", SERVER_DEADLINE, || async {
            db.one_with::<bool>(counted, &[&name, &(MESSAGES as i64 + 1)]).await
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_talk_at_once_through_deno_in_order() {
    both_talk_at_once_through(Stack::Deno).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_talk_at_once_through_node_in_order() {
    both_talk_at_once_through(Stack::Node).await;
}

/// Over TLS, whose authority the server is told to trust.
async fn a_room_behind_tls_is_entered_on(stack: Stack) {
    let relay = Relay::over_tls(stack);
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "200ms").start();
    let db = cluster.create_extension("postgres").await;
    super::wish(&db, "one", &relay.url("a"), "").await;
    let stranger = reaches(&db, "one", "waiting").await;
    let error: String = stranger.get("last_error");
    assert!(error.contains("issuer is trusted neither"), "{error}");
    std::fs::write(cluster.data_dir().join("ca.pem"), relay.authority()).expect("the data directory can be written");
    cluster.set("pg_edge.ca_file", "ca.pem").await;
    join(&db, "one", &relay.url("a")).await;
    join(&db, "two", &relay.url("a")).await;
    say(&db, "two", "in confidence").await;
    assert_eq!(hears(&db, "one", 2).await, ["two joins", "in confidence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_behind_tls_is_entered_on_deno() {
    a_room_behind_tls_is_entered_on(Stack::Deno).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_behind_tls_is_entered_on_node() {
    a_room_behind_tls_is_entered_on(Stack::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_leaves_the_room_and_opens_anew_when_asked() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let relay = Relay::start(Stack::Deno);
    join(&db, "one", &relay.url("a")).await;
    join(&db, "two", &relay.url("a")).await;
    hears(&db, "one", 1).await;
    say(&db, "one", "before").await;
    assert!(db.one::<bool>("select edge.ws_close('one', 3001, 'enough')").await);
    let closed = reaches(&db, "one", "closed").await;
    assert_eq!(closed.get::<_, Option<i32>>("close_code"), Some(3001));
    assert_eq!(hears(&db, "two", 1).await, ["before"]);
    say(&db, "two", "to nobody").await;
    all_sent(&db, "two").await;
    join(&db, "one", &relay.url("a")).await;
    say(&db, "two", "to one").await;
    hears(&db, "one", 2).await;
    assert_eq!(texts(&db, "one", "in").await, ["two joins", "to one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_may_hold_many_connections_to_one_room() {
    const MEMBERS: usize = 20;
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let relay = Relay::start(Stack::Node);
    for member in 1..=MEMBERS {
        super::wish(&db, &format!("member {member}"), &relay.url("a"), "").await;
    }
    for member in 1..=MEMBERS {
        reaches(&db, &format!("member {member}"), "open").await;
    }
    join(&db, "speaker", &relay.url("a")).await;
    say(&db, "speaker", "to all").await;
    for member in 1..=MEMBERS {
        let heard = hears(&db, &format!("member {member}"), 2).await;
        assert_eq!(heard, ["speaker joins", "to all"], "member {member}");
    }
}
