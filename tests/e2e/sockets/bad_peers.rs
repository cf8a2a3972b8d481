//! Peers that close, break off or break the protocol: each connection ends in the state that its fault deserves, and another
//! one beside it is none the worse.

use super::{hears, open, reaches, say, texts};
use crate::harness::{Cluster, ClusterBuilder, Db, WsPeer};

/// A cluster, a bad peer, and a connection to a good one.
pub struct Street {
    pub cluster: Cluster,
    pub db: Db,
    pub bad: WsPeer,
    good: WsPeer,
}

impl Street {
    pub async fn start() -> Self {
        Self::on(Cluster::builder()).await
    }

    /// Where patience with handshakes and with silence is lost quickly, though not with a neighbour on a busy machine.
    pub async fn impatient() -> Self {
        let builder = Cluster::builder().setting("pg_edge.ws_handshake_timeout", "4s");
        Self::on(builder.setting("pg_edge.ws_dead_after", "5s")).await
    }

    async fn on(builder: ClusterBuilder) -> Self {
        let cluster = builder
            .setting("pg_edge.ws_max_backoff", "200ms")
            .setting("pg_edge.ws_ping_interval", "300ms")
            .setting("pg_edge.ws_max_message_bytes", "10kB")
            .start();
        let db = cluster.create_extension("postgres").await;
        let (bad, good) = (WsPeer::start().await, WsPeer::echo().await);
        open(&db, "good", &good.url("/")).await;
        Self { cluster, db, bad, good }
    }

    /// The good neighbour still has its first connection, and answers over it.
    pub async fn neighbour_is_untouched(&self, after: &str) {
        let before = texts(&self.db, "good", "in").await.len();
        say(&self.db, "good", after).await;
        let heard = hears(&self.db, "good", before + 1).await;
        assert_eq!(heard.last().map(String::as_str), Some(after));
        assert_eq!(self.good.arrivals().len(), 1, "the neighbour was opened anew after {after}");
        let errors: Option<String> = self.db.one("select last_error from edge.worker_status()").await;
        assert_eq!(errors, None, "the worker itself had an error after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_code_decides_whether_a_websocket_is_opened_again() {
    let street = Street::start().await;
    for code in [1001, 1011, 1012, 1013, 1014] {
        let name = format!("{code}");
        let before = street.bad.arrivals().len();
        open(&street.db, &name, &street.bad.url("/")).await;
        street.bad.close(street.bad.newest(), code, "be back");
        street.bad.wait_for_arrivals(before + 2).await;
        let again = reaches(&street.db, &name, "open").await;
        assert_eq!(again.get::<_, i64>("reconnects"), 1, "{code}");
    }
    for code in [1002, 1003, 1007, 1008, 1009, 1010, 3000, 4001] {
        let name = format!("{code}");
        open(&street.db, &name, &street.bad.url("/")).await;
        street.bad.close(street.bad.newest(), code, "go away");
        let failed = reaches(&street.db, &name, "failed").await;
        assert_eq!(failed.get::<_, Option<i32>>("close_code"), Some(i32::from(code)));
        assert_eq!(failed.get::<_, Option<String>>("close_reason").as_deref(), Some("go away"));
        assert!(failed.get::<_, String>("last_error").contains(&name), "{code}");
    }
    open(&street.db, "normal", &street.bad.url("/")).await;
    street.bad.close(street.bad.newest(), 1000, "done");
    reaches(&street.db, "normal", "closed").await;
    open(&street.db, "no code", &street.bad.url("/")).await;
    street.bad.close_without_code(street.bad.newest());
    reaches(&street.db, "no code", "closed").await;
    street.neighbour_is_untouched("all of them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_opened_again() {
    let street = Street::start().await;
    for (name, breaks) in [("reset", WsPeer::reset as fn(&WsPeer, usize)), ("hung up", WsPeer::hang_up)] {
        let before = street.bad.arrivals().len();
        open(&street.db, name, &street.bad.url("/")).await;
        breaks(&street.bad, street.bad.newest());
        street.bad.wait_for_arrivals(before + 2).await;
        reaches(&street.db, name, "open").await;
        street.neighbour_is_untouched(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_the_protocol_is_told_so_and_left() {
    let street = Street::start().await;
    let endless = [vec![0x01, 0x7e, 0x07, 0xd0], vec![b'x'; 2_000]].concat();
    let endless = [endless, [vec![0x00, 0x7e, 0x07, 0xd0], vec![b'x'; 2_000]].concat().repeat(8)].concat();
    let too_large = [vec![0x81, 0x7e, 0x2e, 0xe0], vec![b'x'; 12_000]].concat();
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("too large", too_large, 1009),
        ("announces a terabyte", vec![0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0], 1009),
        ("pieces without an end", endless, 1009),
        ("no UTF-8", vec![0x81, 0x02, 0xc3, 0x28], 1007),
        ("reserved bit", vec![0xc1, 0x01, b'x'], 1002),
        ("unknown opcode", vec![0x83, 0x00], 1002),
        ("masked", vec![0x81, 0x81, 1, 2, 3, 4, b'x' ^ 1], 1002),
        ("ping in pieces", vec![0x09, 0x00], 1002),
    ];
    for (name, bytes, code) in cases {
        open(&street.db, name, &street.bad.url("/")).await;
        let connection = street.bad.newest();
        street.bad.text(connection, "an honest message");
        street.bad.raw(connection, bytes);
        let failed = reaches(&street.db, name, "failed").await;
        assert!(failed.get::<_, String>("last_error").len() > 20, "{name}");
        assert_eq!(texts(&street.db, name, "in").await, ["an honest message"], "{name}");
        let said = street.bad.wait_for_end(connection).await;
        assert_eq!(said.and_then(|(code, _)| code), Some(code), "{name}: the peer was not told why");
        street.neighbour_is_untouched(name).await;
    }
    assert_eq!(street.bad.arrivals().len(), 8, "something was tried again");
}
