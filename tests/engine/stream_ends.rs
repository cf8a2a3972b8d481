//! Streams that end badly: each ends in a way that says what happened.

use std::time::Duration;

use pg_edge::domain::attempt::Attempt;
use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::{FailureClass, Outcome, Retryability};
use pg_edge::domain::stream::dialect::Dialect;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::domain::stream::rules::{Format, StreamRules};

use super::listener::{Listener, SSE, Told, chunk, chunked, rules, streaming};
use super::peer::{Conn, Peer};
use super::sender::{Sender, eventually, numbered};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: a\n\n";

/// How a peer goes away.
#[derive(Clone, Copy, Debug)]
enum Death {
    Closes,
    Resets,
    Stalls,
}

/// Sends some bytes of a stream, then dies.
fn dying(body: &'static str, death: Death) -> Peer {
    Peer::scripted(move |mut conn: Conn| async move {
        conn.request().await;
        // All at once: a limit counts from the head, and a reset loses what has not left yet.
        let mut answer = chunked(SSE).into_bytes();
        if !body.is_empty() {
            answer.extend(chunk(body.as_bytes()));
        }
        conn.send(&answer).await;
        match death {
            // What is unread when a connection is closed resets it.
            Death::Closes => conn.note("closed"),
            Death::Resets => conn.stream.set_zero_linger().unwrap(),
            Death::Stalls => conn.until_closed().await,
        }
    })
}

fn hear(peer: &Peer, change: impl FnOnce(&mut StreamRules)) -> Told {
    let mut rules = rules(Format::Auto);
    change(&mut rules);
    Listener::hear(&Sender::new(), Attempt { stream: Some(rules), ..streaming(&peer.url()) })
}

#[test]
fn a_connection_that_breaks_after_an_event_has_truncated_the_stream() {
    for death in [Death::Closes, Death::Resets] {
        let told = hear(&dying("data: a\n\ndata: b\n\ndata: unfinished", death), |_| ());
        let Ended::Truncated(why) = told.ended() else { panic!("{death:?}: {:?}", told.ended()) };
        assert!(why.starts_with("the stream cannot be read on: "), "{why}");
        assert_eq!(told.data(), ["a", "b"]);
    }
}

#[test]
fn a_connection_that_breaks_before_the_first_event_fails_as_any_call() {
    for death in [Death::Closes, Death::Resets] {
        for body in ["", ": keep-alive\n\n", "data: unfinished"] {
            let told = hear(&dying(body, death), |_| ());
            let failure = told.failure();
            assert_eq!(failure.class, FailureClass::Protocol, "{death:?} after {body:?}");
            assert_eq!((failure.retryability(), failure.events), (Retryability::Retry, 0));
            assert_eq!(failure.head.as_ref().unwrap().status, 200);
        }
    }
}

#[test]
fn a_peer_that_says_nothing_more_runs_into_the_idle_limit() {
    let message = "no byte of the stream came for 120 ms";
    for (body, events) in [("", 0), (": so far\n", 0), ("data: a\n\n", 1)] {
        let peer = dying(body, Death::Stalls);
        let told = hear(&peer, |rules| rules.idle = Some(Duration::from_millis(120)));
        if events == 0 {
            let failure = told.failure();
            assert_eq!((failure.class, failure.message.as_str()), (FailureClass::IdleTimeout, message));
            assert_eq!((failure.events, failure.retryability()), (0, Retryability::Retry));
        } else {
            assert_eq!(told.ended(), &Ended::GivenUp(FailureClass::IdleTimeout, message.to_owned()));
            assert_eq!(told.data(), ["a"]);
        }
        eventually("the connection is closed", || peer.noted("closed") == 1);
    }
}

#[test]
fn every_byte_keeps_a_stream_alive() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.begin().await;
        for byte in b": a comment is as good as data\n".iter().chain(b"data: a\n\n") {
            conn.chunk(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        conn.end().await;
    });
    // All of it takes longer than that, no two bytes do.
    let idle = Duration::from_secs(4);
    let told = hear(&peer, |rules| rules.idle = Some(idle));
    assert_eq!((told.data(), told.ended()), (vec!["a"], &Ended::Complete));
    assert!(told.report.unwrap().timings.total > idle);
}

#[test]
fn the_limit_of_the_whole_attempt_holds_for_streams() {
    let (peer, sender) = (dying("data: a\n\n", Death::Stalls), Sender::new());
    let mut listener = Listener::new(&sender);
    for (call, idle) in [(1, None), (2, Some(Duration::from_secs(30)))] {
        let mut attempt = numbered(call, streaming(&peer.url()));
        attempt.stream = Some(StreamRules { idle, ..rules(Format::Auto) });
        attempt.limits.total = Duration::from_secs(4);
        sender.engine.send(attempt);
    }
    listener.until("both ends", |listener| listener.ended() == 2);
    for told in listener.told.values() {
        let message = "the response body did not end within 4 s".to_owned();
        assert_eq!((told.ended(), told.data()), (&Ended::GivenUp(FailureClass::Timeout, message), vec!["a"]));
    }
}

#[test]
fn an_event_over_the_limit_ends_the_stream_after_those_before_it() {
    let peer = dying("data: a\n\ndata: 0123456789abcdef0123456789abcdef0123456789\n\n", Death::Stalls);
    for (most, wanted) in [(12, Err(FailureClass::EventTooLarge)), (1_000, Ok(2))] {
        let told = hear(&peer, |rules| (rules.max_event_bytes, rules.idle) = (most, Some(Duration::from_millis(300))));
        match wanted {
            Ok(events) => assert_eq!(told.events.len(), events),
            Err(class) => {
                assert_eq!((told.failure().class, told.data()), (class, vec!["a"]));
                assert_eq!(told.failure().message, "an event of the stream is larger than the limit of 12 bytes");
                assert_eq!(told.failure().retryability(), Retryability::Final);
            }
        }
    }
}

#[test]
fn a_stream_over_the_limit_ends_at_the_limit() {
    // Each comment has two hundred bytes, and the event after it nine.
    let body = format!(": {}\ndata: a\n\n", "x".repeat(197));
    let (commented, announced) = (
        repeating(body),
        Peer::answering(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999999\r\n\r\ndata: a\n\n",
        ),
    );
    for (peer, events) in [(&commented, 100), (&announced, 0)] {
        let told = hear(peer, |rules| rules.max_total_bytes = 20_905);
        assert_eq!(told.failure().class, FailureClass::ResponseTooLarge);
        assert_eq!(told.failure().message, "the stream is larger than the limit of 20905 bytes");
        assert_eq!(told.events.len(), events);
    }
    eventually("the connection is closed", || commented.noted("closed") == 1);
}

#[test]
fn a_stream_of_next_to_nothing_many_times_over_ends_at_the_limit_too() {
    let peer = repeating("data\n\n".to_owned());
    let told = hear(&peer, |rules| rules.max_total_bytes = 13_505);
    assert_eq!(told.failure().class, FailureClass::ResponseTooLarge);
    assert!(told.failure().message.starts_with("the events of the stream, at 128 bytes each"), "{told:?}");
    assert_eq!(told.events.len(), 100);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn an_id_as_long_as_an_event_ends_the_stream() {
    let body: &'static str = Box::leak(format!("data: a\n\nid: {}\ndata: b\n\n", "x".repeat(500_000)).into_boxed_str());
    let told = hear(&dying(body, Death::Stalls), |rules| rules.idle = Some(Duration::from_secs(30)));
    assert_eq!((told.failure().class, told.data()), (FailureClass::EventTooLarge, vec!["a"]));
}

#[test]
fn what_is_cut_in_the_middle_of_an_event_is_told_although_http_ended_well() {
    let truncated = Ended::Truncated("the stream ended in the middle of an event".to_owned());
    let foreign = Ended::Failed("the answer holds no event: its lines are none of an event stream".to_owned());
    let delta = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    for (body, events, ended) in [
        ("data: one\n\ndata: two, cut in the mid".to_owned(), 1, truncated.clone()),
        ("data: one\n\ndata: two\n".to_owned(), 1, truncated),
        (format!("{delta}data: [DONE]\n"), 1, Ended::Complete),
        (format!("{delta}data: [DONE]"), 1, Ended::Complete),
        ("ok".to_owned(), 0, foreign.clone()),
        ("{\"a\": 1}\n".to_owned(), 0, foreign),
        (": nothing to say\n".to_owned(), 0, Ended::Complete),
    ] {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n", body.len());
        let told = hear(&Peer::answering(head + &body), |_| ());
        assert_eq!((told.ended(), told.events.len()), (&ended, events), "{body:?}");
    }
    let begun = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 8\r\n\r\ndata: on";
    let told = hear(&Peer::answering(begun), |_| ());
    let failure = told.failure();
    assert_eq!((failure.class, failure.retryability()), (FailureClass::Protocol, Retryability::Retry));
    assert_eq!(failure.message, "the stream ended in the middle of its first event");
}

#[test]
fn an_error_in_the_stream_fails_it_whatever_its_status() {
    let error = r#"data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let body: &'static str = Box::leak(format!("data: {{\"type\":\"message_start\"}}\n\n{error}\n\n").into_boxed_str());
    for death in [Death::Closes, Death::Resets] {
        let told = hear(&dying(body, death), |_| ());
        assert_eq!(told.ended(), &Ended::Failed("overloaded_error: Overloaded".to_owned()), "{death:?}");
        assert_eq!(told.streamed().head.status, 200);
    }
}

#[test]
fn the_stream_of_a_model_without_its_last_event_is_truncated_although_http_ended_well() {
    let delta = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    for (body, ended) in [
        (
            delta.to_owned(),
            Ended::Truncated("the stream ended without the event that ends one of openai_chat".to_owned()),
        ),
        (format!("{delta}data: [DONE]\n\n"), Ended::Complete),
    ] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(hear(&Peer::answering(answer), |_| ()).ended(), &ended);
    }
}

#[test]
fn what_happens_to_the_connection_after_the_last_event_of_a_model_does_not_matter() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n";
    for death in [Death::Closes, Death::Resets, Death::Stalls] {
        let told = hear(&dying(body, death), |rules| rules.idle = Some(Duration::from_millis(150)));
        assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, 2), "{death:?}");
    }
}

#[test]
fn a_stream_that_is_over_is_not_waited_for_although_its_connection_stays_open() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n";
    let pinging = Peer::scripted(move |mut conn| async move {
        conn.request().await;
        conn.begin().await;
        conn.chunk(body.as_bytes()).await;
        while conn.chunk(b": ping\n\n").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        conn.note("closed");
    });
    for peer in [&dying(body, Death::Stalls), &pinging] {
        let mut attempt = streaming(&peer.url());
        attempt.limits.total = Duration::from_secs(25);
        let told = Listener::hear(&Sender::new(), attempt);
        assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, 2));
        let total = told.report.as_ref().unwrap().timings.total;
        assert!(total < Duration::from_secs(20), "the stream was read for {total:?}");
        eventually("the connection is closed", || peer.noted("closed") == 1);
    }
}

#[test]
fn what_follows_the_last_event_at_once_is_taken() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.begin().await;
        conn.event(r#"{"candidates":[{"finishReason":"STOP"}]}"#).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        conn.event(r#"{"usageMetadata":{"totalTokenCount":9}}"#).await;
        conn.until_closed().await;
    });
    let told = hear(&peer, |_| ());
    assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, 2));
    assert_eq!(told.streamed().account.usage.as_ref().unwrap()["totalTokenCount"], 9);
}

#[test]
fn a_cancelled_stream_is_reported_once_and_its_connection_closed() {
    let (peer, sender) = (endless(), Sender::new());
    let mut listener = Listener::new(&sender);
    sender.engine.send(numbered(7, streaming(&peer.url())));
    listener.until("events", |listener| listener.events() > 10);
    sender.engine.cancel(CallId(7));
    listener.until("the report", |listener| listener.ended() == 1);
    let failure = listener.told[&CallId(7)].failure();
    assert_eq!((failure.class, failure.retryability()), (FailureClass::Cancelled, Retryability::Final));
    eventually("the connection is closed", || peer.noted("closed") == 1);
    assert_eq!(sender.engine.in_flight(), 0);
}

#[test]
fn what_a_stream_has_told_of_itself_is_known_however_it_ends() {
    const BEGUN: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25}}}\n\n";
    let sender = Sender::new();
    let (stalling, large) = (
        dying(BEGUN, Death::Stalls),
        dying(Box::leak(format!("{BEGUN}data: {}\n\n", "x".repeat(2_000)).into_boxed_str()), Death::Stalls),
    );
    let mut listener = Listener::new(&sender);
    sender.engine.send(numbered(1, streaming(&stalling.url())));
    listener.until("the event", |listener| listener.events() == 1);
    sender.engine.cancel(CallId(1));
    for (call, url, idle) in [(2, stalling.url(), Some(Duration::from_millis(100))), (3, large.url(), None)] {
        let limited = StreamRules { idle, max_event_bytes: 1_000, ..rules(Format::Auto) };
        sender.engine.send(Attempt { stream: Some(limited), ..numbered(call, streaming(&url)) });
    }
    listener.until("all ends", |listener| listener.ended() == 3);
    assert_eq!(listener.told[&CallId(2)].streamed().account.dialect, Some(Dialect::Anthropic));
    for (call, class) in [(1, FailureClass::Cancelled), (3, FailureClass::EventTooLarge)] {
        let failure = listener.told[&CallId(call)].failure();
        let account = failure.account.clone().unwrap();
        assert_eq!((failure.class, account.dialect), (class, Some(Dialect::Anthropic)));
        assert_eq!(account.usage.unwrap()["input_tokens"], 25);
    }
}

#[test]
fn streams_cancelled_at_any_moment_are_each_reported_once_and_after_their_last_piece() {
    let (short, endless, sender) = (Peer::answering(ANSWER), endless(), Sender::new());
    let mut listener = Listener::new(&sender);
    for call in 0..150 {
        let url = if call % 2 == 0 { short.url() } else { endless.url() };
        sender.engine.send(numbered(call, streaming(&url)));
        // Those before it are at every stage by now.
        sender.engine.cancel(CallId(call - call % 7));
        if call % 10 == 0 {
            listener.until("whatever has come", |_| true);
        }
    }
    (0..150).for_each(|call| sender.engine.cancel(CallId(call)));
    listener.until("all reports", |listener| listener.ended() == 150);
    for (call, told) in &listener.told {
        match told.report.as_ref().map(|report| &report.outcome) {
            Some(Outcome::Streamed(_)) => assert_eq!((call.0 % 2, told.streamed().events), (0, 1)),
            _ => assert_eq!(told.failure().class, FailureClass::Cancelled),
        }
    }
    assert_eq!(sender.engine.in_flight(), 0);
}

#[test]
fn a_stopped_engine_lists_its_streams_and_gives_out_what_it_has_of_them() {
    let (peer, sender) = (endless(), Sender::new());
    for call in 0..5 {
        sender.engine.send(numbered(call, streaming(&peer.url())));
    }
    eventually("the requests arrive", || peer.noted("begun") == 5);
    // In this time it reads what they have sent, and none of them ends.
    let mut stopped = sender.engine.stop(Duration::from_secs(4));
    stopped.abandoned.sort();
    assert!(stopped.abandoned.into_iter().eq((0..5).map(CallId)));
    assert_eq!((stopped.reports.len(), stopped.pieces.len()), (0, 5));
    assert!(stopped.pieces.iter().all(|piece| piece.head.is_some() && piece.first == 1));
    eventually("the connections are closed", || peer.noted("closed") == 5);
}

/// Sends the same small event as long as somebody reads.
fn endless() -> Peer {
    repeating("data: a\n\n".to_owned())
}

/// Sends the same as long as somebody reads.
fn repeating(body: String) -> Peer {
    Peer::scripted(move |mut conn| {
        let body = body.clone();
        async move {
            conn.request().await;
            conn.begin().await;
            conn.note("begun");
            while conn.chunk(body.as_bytes()).await {}
            conn.note("closed");
        }
    })
}
