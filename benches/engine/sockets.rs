//! How many messages a second go over one websocket of the engine, next to a bare tokio-tungstenite client with the same
//! peer, each way and both; and what thousands of idle websockets cost.
//!
//! The engine's messages count once their taking is known; the bare client sends one ping at its end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use pg_edge::domain::socket::acknowledgement::Asking;
use pg_edge::domain::socket::message::Payload;
use pg_edge::domain::socket::plan::{Outgoing, Plan, Rules, SocketId};
use pg_edge::engine::{Engine, SocketEvent};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{accept_hdr_async_with_config, client_async};
use url::Url;

use super::busy;

const MESSAGES: usize = 200_000;
const ROUNDS: usize = 5;
/// How many messages the main thread hands over at a time, and may have handed over that are not taken.
const HANDFUL: usize = 64;
const WINDOW: usize = 512;
const IDLE: u64 = 5_000;

/// What the peer does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Out,
    In,
    Both,
}

fn text() -> String {
    "x".repeat(120)
}

/// The peer has a process of its own, so that its memory is not counted with ours.
struct Peer(std::process::Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// What the process of the peer does.
pub fn serve() {
    println!("{}", peer());
    loop {
        std::thread::park();
    }
}

pub fn measure() {
    let program = std::env::current_exe().unwrap();
    let child = std::process::Command::new(program).arg("sockets-peer").stdout(Stdio::piped()).spawn().unwrap();
    let mut peer = Peer(child);
    let mut address = String::new();
    BufReader::new(peer.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address = address.trim();
    for way in [Way::Out, Way::In, Way::Both] {
        let url = Url::parse(&format!("ws://{address}/{way:?}")).unwrap();
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(through_bare(&url, way));
            engine.push(through_engine(&url, way));
        }
        let (bare, engine) = (super::median(&bare), super::median(&engine));
        println!("{way:?}: bare   {:.0} messages/s, {:.2} us of its thread each", bare.rate, bare.micros);
        println!("{way:?}: engine {:.0} messages/s, {:.2} us of its thread each", engine.rate, engine.micros);
        println!("{way:?}: ratio  {:.3} of the rate", engine.rate / bare.rate);
    }
    idle(&Url::parse(&format!("ws://{address}/Out")).unwrap());
}

fn plan(url: &Url, number: u64) -> Plan {
    let rules = Rules {
        connect: Duration::from_secs(60),
        handshake: Duration::from_secs(60),
        ping_every: Duration::from_secs(20),
        dead_after: Duration::from_secs(40),
        max_message_bytes: 1 << 20,
        heartbeat: None,
        asking: Asking::default(),
    };
    let (headers, subprotocols) = (HeaderMap::new(), Vec::new());
    Plan { socket: SocketId(number), url: url.clone(), headers, subprotocols, identity: None, rules }
}

fn through_engine(url: &Url, way: Way) -> super::Measured {
    let main = std::thread::current();
    let engine = Engine::start(super::settings(1), move || main.unpark()).unwrap();
    engine.open_socket(plan(url, 1));
    let (mut news, mut said, mut taken, mut heard, mut opened) = (Vec::new(), 0, 0, 0, None);
    loop {
        engine.drain_sockets(&mut news);
        for event in news.drain(..).map(|news| news.event) {
            match event {
                SocketEvent::Opened { .. } => opened = Some((Instant::now(), busy(Some("pg_edge engine")))),
                SocketEvent::Received { messages, .. } => heard += messages.len(),
                SocketEvent::Taken(more) => taken += more,
                SocketEvent::Ended(end) => panic!("{end:?}"),
            }
        }
        let done = (way == Way::In || taken == MESSAGES) && (way == Way::Out || heard == MESSAGES);
        if let (true, Some((began, before))) = (done, opened) {
            return super::Measured::new(MESSAGES, began.elapsed(), busy(Some("pg_edge engine")) - before);
        }
        while way != Way::In && opened.is_some() && said < MESSAGES && said - taken + HANDFUL <= WINDOW {
            let more = HANDFUL.min(MESSAGES - said);
            let message = |id: usize| Outgoing { id: id as i64, payload: Payload::Text(text()) };
            engine.say(SocketId(1), (said..said + more).map(message).collect());
            said += more;
        }
        std::thread::park();
    }
}

fn through_bare(url: &Url, way: Way) -> super::Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = client_async(url.as_str(), stream).await.unwrap();
        let (mut sink, mut stream) = socket.split();
        let (began, before) = (Instant::now(), busy(None));
        let out = async {
            for number in 1..=MESSAGES * usize::from(way != Way::In) {
                sink.feed(Message::Text(text().into())).await.unwrap();
                if number % HANDFUL == 0 {
                    sink.flush().await.unwrap();
                }
            }
            sink.feed(Message::Ping("done".into())).await.unwrap();
            sink.flush().await.unwrap();
        };
        let back = async {
            let (mut heard, mut pong) = (0, false);
            while !pong || (way != Way::Out && heard < MESSAGES) {
                match stream.next().await.unwrap().unwrap() {
                    Message::Text(_) => heard += 1,
                    Message::Pong(_) => pong = true,
                    _ => {}
                }
            }
        };
        tokio::join!(out, back);
        super::Measured::new(MESSAGES, began.elapsed(), busy(None) - before)
    })
}

fn idle(url: &Url) {
    let main = std::thread::current();
    let engine = Engine::start(super::settings(1), move || main.unpark()).unwrap();
    let before = super::streams::resident();
    (0..IDLE).for_each(|number| engine.open_socket(plan(url, number)));
    let (mut news, mut open) = (Vec::new(), 0);
    while open < IDLE {
        std::thread::park_timeout(Duration::from_millis(100));
        engine.drain_sockets(&mut news);
        for event in news.drain(..).map(|news| news.event) {
            match event {
                SocketEvent::Opened { .. } => open += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let each = (super::streams::resident() - before) / IDLE as usize;
    println!("{IDLE} idle websockets: {each} bytes each");
    let (began, busy_before) = (Instant::now(), busy(Some("pg_edge engine")));
    std::thread::sleep(Duration::from_secs(25));
    let share = (busy(Some("pg_edge engine")) - busy_before).as_secs_f64() / began.elapsed().as_secs_f64();
    println!("{IDLE} idle websockets: {:.2} % of a core for pings", 100.0 * share);
}

/// Takes, sends or echoes, as its path says.
fn peer() -> std::net::SocketAddr {
    super::serve(|stream| async move {
        stream.set_nodelay(true)?;
        let mut path = String::new();
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let note = |request: &http::Request<()>, response| {
            path = request.uri().path().to_owned();
            Ok(response)
        };
        let config = WebSocketConfig::default().read_buffer_size(4_096);
        let socket = accept_hdr_async_with_config(stream, note, Some(config)).await;
        let mut socket = socket.map_err(std::io::Error::other)?;
        if path == "/In" {
            for number in 1..=MESSAGES {
                socket.feed(Message::Text(text().into())).await.map_err(std::io::Error::other)?;
                if number % HANDFUL == 0 {
                    socket.flush().await.map_err(std::io::Error::other)?;
                }
            }
        }
        while let Some(Ok(message)) = socket.next().await {
            if path == "/Both" && message.is_text() {
                socket.feed(message).await.map_err(std::io::Error::other)?;
            }
            if path == "/Both" {
                // What is there already is echoed together.
                while let Some(Some(Ok(message))) = futures_util::FutureExt::now_or_never(socket.next()) {
                    if message.is_text() {
                        socket.feed(message).await.map_err(std::io::Error::other)?;
                    }
                }
                socket.flush().await.map_err(std::io::Error::other)?;
            }
        }
        Ok(())
    })
}
