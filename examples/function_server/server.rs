//! What the functions answer, as the table in `main.rs` has it.

#[path = "room.rs"]
mod room;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use room::Rooms;

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What the functions remember between requests.
#[derive(Default)]
struct Memory {
    repaired: bool,
    attempts: HashMap<String, u32>,
    log: Vec<String>,
    rooms: Rooms,
}

/// Answers whoever comes.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let memory = Arc::new(Mutex::new(Memory::default()));
    loop {
        let (stream, _) = listener.accept().await?;
        let memory = Arc::clone(&memory);
        tokio::spawn(async move {
            let service = service_fn(|request| handle(request, Arc::clone(&memory)));
            // A client that breaks off is no matter of ours.
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(mut request: Request<Incoming>, memory: Arc<Mutex<Memory>>) -> Result<Reply, hyper::Error> {
    if request.uri().path() == "/functions/v1/room" {
        let rooms = memory.lock().unwrap_or_else(PoisonError::into_inner).rooms.clone();
        return Ok(enter(&mut request, rooms));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let given: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let path = head.uri.path();
    if path != "/log" {
        memory.log.push(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)));
    }
    Ok(match (&head.method, path) {
        (&Method::POST, "/functions/v1/hello") => {
            // A database webhook has it in the record.
            let name = given["name"].as_str().or(given["record"]["name"].as_str()).unwrap_or("World");
            answer(StatusCode::OK, &json!({ "message": format!("Hello {name}") }))
        }
        (&Method::POST, "/functions/v1/flaky") => {
            let key =
                head.headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
            let attempts = memory.attempts.entry(key.unwrap_or_default()).or_default();
            *attempts += 1;
            if *attempts <= 2 {
                answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "not yet", "attempt": attempts }))
            } else {
                answer(StatusCode::OK, &json!({ "message": "at last", "attempt": attempts }))
            }
        }
        (&Method::POST, "/functions/v1/broken") if memory.repaired => {
            answer(StatusCode::OK, &json!({ "message": "works again" }))
        }
        (&Method::POST, "/functions/v1/broken") => {
            answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "out of order" }))
        }
        (&Method::POST, "/functions/v1/repair") => {
            memory.repaired = true;
            answer(StatusCode::OK, &json!({ "message": "repaired" }))
        }
        (&Method::POST, "/functions/v1/tell") => tell(given["story"].as_str().unwrap_or("Once upon a time")),
        (&Method::GET, "/log") => {
            let contains = head.uri.query().and_then(|query| query.strip_prefix("contains=")).unwrap_or_default();
            let contains = percent_encoding::percent_decode_str(contains).decode_utf8_lossy();
            let lines: Vec<_> = memory.log.iter().filter(|line| line.contains(&*contains)).collect();
            answer(StatusCode::OK, &json!(lines))
        }
        _ => answer(StatusCode::NOT_FOUND, &json!({ "error": format!("no function {} {path}", head.method) })),
    })
}

/// The answer to a handshake, after which the connection is a websocket.
fn enter(request: &mut Request<Incoming>, rooms: Rooms) -> Reply {
    let upgrade = hyper::upgrade::on(&mut *request);
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return answer(StatusCode::UPGRADE_REQUIRED, &json!({ "error": "expected a websocket" }));
    };
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    tokio::spawn(rooms.join(request.uri().query().map(str::to_owned), upgrade));
    let mut reply = Response::new(Full::default().boxed_unsync());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)).ok());
    reply
}

fn answer(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(format!("{body}\n"))).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// One event a word, a little apart, as a language model would send them; the last one says that it is over.
fn tell(story: &str) -> Reply {
    let delta = |word: &str| json!({ "choices": [{ "index": 0, "delta": { "content": word } }] });
    let words = story.split_inclusive(' ').map(|word| delta(word).to_string());
    let events: Vec<String> = words.chain(["[DONE]".to_owned()]).map(|data| format!("data: {data}\n\n")).collect();
    let frames = stream::iter(events).then(|event| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Frame::data(Bytes::from(event)))
    });
    let mut reply = Response::new(StreamBody::new(frames).boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply
}
