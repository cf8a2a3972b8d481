//! The peers: what they record, and each way of answering.

use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{FastPeer, Gate, Peer, Reply, eventually};

const SOON: Duration = Duration::from_secs(60);

fn client() -> Client {
    // Another test may have been the first: then there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_recorded_as_it_came() {
    let peer = Peer::start().await;
    peer.on("/hello", Reply::json(201, &json!({"message": "Hello Ada"})).header("x-twice", "1").header("x-twice", "2"));
    let request = client().post(peer.url("/hello?a=1&b=%20")).header("X-Name", "value").body(r#"{"name":"Ada"}"#);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers().get_all("x-twice").iter().count(), 2);
    assert_eq!(response.text().await.unwrap(), r#"{"message":"Hello Ada"}"#);
    let request = &peer.wait_for(1).await[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.query.as_str()),
        ("POST", "/hello", "a=1&b=%20")
    );
    assert_eq!(request.header("x-name"), Some("value"));
    assert_eq!(request.json(), json!({"name": "Ada"}));
    assert_eq!(request.connection, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_request_is_put_together() {
    let peer = Peer::start().await;
    let pieces = ["one ", "two ", "three"].map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    client().put(peer.url("/")).body(body).send().await.unwrap();
    assert_eq!(peer.requests()[0].text(), "one two three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_ends_in_its_last_reply() {
    let peer = Peer::start().await;
    peer.sequence("/flaky", [Reply::status(503).header("retry-after", "1"), Reply::status(204)]);
    let mut seen = Vec::new();
    for path in ["/flaky", "/flaky", "/flaky", "/unknown"] {
        seen.push(client().get(peer.url(path)).send().await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [503, 204, 204, 404]);
    assert_eq!(peer.count("/flaky"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_until_its_client_goes() {
    let peer = Peer::start().await;
    peer.on("/", Reply::text(200, "one of two"));
    let mut stream = TcpStream::connect(peer.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: peer\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"one of two") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the peer closed the connection");
        }
    }
    assert_eq!((peer.count("/"), peer.connections(), peer.open_connections()), (2, 1, 1));
    drop(stream);
    eventually("the peer sees the client go", SOON, || async { peer.open_connections() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_answers_by_what_it_is_asked() {
    let peer = Peer::start().await;
    peer.answer("/echo", |request| Reply::bytes(200, "text/plain", request.body.clone()));
    peer.otherwise(|request| Reply::text(418, &request.path));
    assert_eq!(client().post(peer.url("/echo")).body("again").send().await.unwrap().text().await.unwrap(), "again");
    assert_eq!(client().get(peer.url("/tea")).send().await.unwrap().text().await.unwrap(), "/tea");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_holds_replies_back_until_it_opens() {
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/slow", Reply::gate(&gate));
    let request = tokio::spawn(client().get(peer.url("/slow")).send());
    eventually("the request is in flight", SOON, || async { peer.in_flight() == 1 }).await;
    assert!(!request.is_finished());
    gate.open();
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(peer.most_in_flight(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_comes_piece_by_piece() {
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/sse", Reply::stream("text/event-stream").send("data: 1\n\n").hold(&gate).send("data: 2\n\n"));
    let mut response = client().get(peer.url("/sse")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    gate.open();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 2\n\n");
    assert!(response.chunk().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_answers_are_broken_at_the_client() {
    let peer = Peer::start().await;
    peer.on("/cut", Reply::stream("text/plain").send("half").then_close());
    peer.on("/lie", Reply::text(200, "short").header("content-length", "999").then_close());
    peer.on("/reset", Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").then_reset());
    peer.on("/nonsense", Reply::raw("220 smtp ready\r\n"));
    for path in ["/cut", "/lie", "/reset", "/nonsense"] {
        let broken = match client().get(peer.url(path)).send().await {
            Ok(response) => response.text().await.is_err(),
            Err(_) => true,
        };
        assert!(broken, "{path}");
    }
    let refused = client().get(format!("http://{}/", Peer::refusing_address().await)).send().await;
    assert!(refused.unwrap_err().is_connect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_or_endless_answer_ends_with_its_client() {
    let peer = Peer::start().await;
    peer.on("/hang", Reply::hang()).on("/endless", Reply::endless());
    let hanging = tokio::spawn(client().get(peer.url("/hang")).send());
    let mut endless = client().get(peer.url("/endless")).send().await.unwrap();
    assert!(!endless.chunk().await.unwrap().unwrap().is_empty());
    eventually("both are in flight", SOON, || async { peer.in_flight() == 2 }).await;
    hanging.abort();
    drop(endless);
    eventually("both connections are gone", SOON, || async { peer.open_connections() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fast_peer_answers_and_counts() {
    let peer = FastPeer::start(r#"{"ok":true}"#);
    let client = client();
    for _ in 0..3 {
        let response = client.post(peer.url("/any")).body("x".repeat(20_000)).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), r#"{"ok":true}"#);
    }
    assert_eq!(peer.count(), 3);
}
