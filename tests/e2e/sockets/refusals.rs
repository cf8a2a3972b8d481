//! Handshakes that are refused, answered wrongly or not at all, and what follows from it.

use std::time::Duration;

use bytes::Bytes;

use super::bad_peers::Street;
use super::{reaches, shown, wish};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::harness::ws_peer::{Answer, Manner};

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_no_use_to_repeat_is_not_repeated() {
    let street = Street::start().await;
    let huge = format!("HTTP/1.1 101 Switching Protocols\r\nx-huge: {}\r\n\r\n", "x".repeat(300_000));
    let cases = [
        ("/wrong-key", Answer::WrongKey, None, "Sec-WebSocket-Accept"),
        ("/401", Answer::refuse(401), Some(401), "401 Unauthorized"),
        ("/403", Answer::refuse(403), Some(403), "403 Forbidden"),
        ("/404", Answer::refuse(404), Some(404), "404 Not Found"),
        ("/426", Answer::refuse(426), Some(426), "426 Upgrade Required"),
        ("/200", Answer::refuse(200), Some(200), "200 OK"),
        ("/302", Answer::Refuse(302, vec![("location", "/elsewhere".to_owned())]), Some(302), "302 Found"),
        ("/unoffered", Answer::Choose("nobody-asked", Manner::Listen), None, "protocol"),
        ("/nonsense", Answer::Raw("220 smtp ready\r\n\r\n".into()), None, ""),
        ("/huge", Answer::Raw(huge.into()), None, ""),
    ];
    for (path, answer, status, says) in cases {
        street.bad.on(path, answer);
        wish(&street.db, path, &street.bad.url(path), "").await;
        let failed = reaches(&street.db, path, "failed").await;
        let error: String = failed.get("last_error");
        assert!(error.contains(says) && error.len() > 20, "{path}: {error}");
        let shown_status: Option<i16> = failed.try_get("handshake_status").unwrap_or_else(|_| {
            failed.get::<_, Option<i32>>("handshake_status").map(|status| i16::try_from(status).unwrap())
        });
        assert_eq!(shown_status, status, "{path}: {error}");
        street.neighbour_is_untouched(path).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(street.bad.arrivals().len(), 10, "something was tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_may_go_well_later_is_tried_again() {
    let street = Street::impatient().await;
    let retry_after = Answer::Refuse(429, vec![("retry-after", "3600".to_owned())]);
    let cases = [
        ("/408", Answer::refuse(408), "408"),
        ("/425", Answer::refuse(425), "425"),
        ("/429", Answer::refuse(429), "429"),
        ("/500", Answer::refuse(500), "500"),
        ("/503", Answer::refuse(503), "503 Service Unavailable"),
        ("/silent", Answer::Nothing, "4 s"),
        ("/closed", Answer::Raw(Bytes::new()), ""),
    ];
    for (path, answer, says) in cases {
        street.bad.on(path, answer);
        wish(&street.db, path, &street.bad.url(path), "").await;
        eventually(&format!("the error of {path} is shown"), SERVER_DEADLINE, || async {
            let error: Option<String> = shown(&street.db, path).await.get("last_error");
            error.is_some_and(|error| error.contains(says) && error.len() > 15)
        })
        .await;
        eventually(&format!("{path} is tried again"), SERVER_DEADLINE, || async {
            street.bad.arrivals().iter().filter(|arrival| arrival.path == path).count() >= 2
        })
        .await;
        street.bad.on(path, Answer::Accept(Manner::Listen));
        let open = reaches(&street.db, path, "open").await;
        assert_eq!(open.get::<_, Option<String>>("last_error"), None, "{path}");
        street.neighbour_is_untouched(path).await;
    }
    street.bad.on("/later", retry_after);
    wish(&street.db, "later", &street.bad.url("/later"), "").await;
    reaches(&street.db, "later", "waiting").await;
    let wait = "select extract(epoch from next_try_at - now())::float8 from edge.ws_connections where name = 'later'";
    let wait: f64 = street.db.one(wait).await;
    assert!((550.0..=601.0).contains(&wait), "it is tried again in {wait} s: ten minutes are the most");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_waited_for() {
    let street = Street::start().await;
    let address = crate::harness::Peer::refusing_address().await;
    wish(&street.db, "nobody", &format!("ws://{address}/"), "").await;
    reaches(&street.db, "nobody", "waiting").await;
    wish(&street.db, "blocked", "ws://10.255.255.1/", "").await;
    let blocked = reaches(&street.db, "blocked", "failed").await;
    assert!(blocked.get::<_, String>("last_error").contains("not allowed"));
    street.neighbour_is_untouched("nobody").await;
}
