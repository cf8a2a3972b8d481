//! The engine as the agent that is tested: it opens a websocket for each case, and echoes.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use http::HeaderMap;
use pg_edge::domain::guard::Guard;
use pg_edge::domain::network;
use pg_edge::domain::socket::acknowledgement::Asking;
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::message::{Payload, Received};
use pg_edge::domain::socket::plan::{Outgoing, Plan, Rules, SocketId};
use pg_edge::engine::{Engine, Settings, SocketEvent, SocketNews, TlsSettings};
use url::Url;

/// Longer than any case takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many cases run at a time.
const AT_ONCE: usize = 8;

/// A ping that comes before a case has closed counts as its failure, though the standard allows one at any time. Ours come after
/// a few milliseconds, so the speed of the machine would decide. They have their own tests, beside those of the engine.
const NEVER: Asking = Asking { after: Duration::MAX, many: u64::MAX };

/// What is answered to a message.
pub type Answer = fn(Payload) -> Payload;

pub struct Agent {
    engine: Engine,
    wakes: Receiver<()>,
    last: u64,
}

/// Of a websocket that has ended.
pub struct Story {
    pub messages: Vec<Payload>,
    pub end: End,
}

impl Agent {
    pub fn new() -> Self {
        let settings = Settings {
            idle_connection_timeout: Duration::from_secs(30),
            max_idle_per_host: 1,
            user_agent: "pg_edge".to_owned(),
            max_in_flight: 1,
            guard: Guard { allowed_networks: network::parse("127.0.0.1").unwrap(), ..Guard::default() },
            tls: TlsSettings::default(),
        };
        let (wake, wakes) = channel();
        let engine = Engine::start(settings, move || wake.send(()).unwrap_or_default()).unwrap();
        Self { engine, wakes, last: 0 }
    }

    /// Listens until the peer has closed.
    pub fn listen(&mut self, url: Url) -> Story {
        let mut stories = self.run(vec![url], None);
        assert_eq!(stories.len(), 1);
        stories.remove(0)
    }

    /// Answers every message of all these peers.
    pub fn answer(&mut self, urls: Vec<Url>, answer: Answer) -> Vec<Story> {
        self.run(urls, Some(answer))
    }

    fn run(&mut self, urls: Vec<Url>, answer: Option<Answer>) -> Vec<Story> {
        let (mut ended, mut open) = (Vec::new(), HashMap::<SocketId, Vec<Payload>>::new());
        let (mut urls, mut progressed) = (urls.into_iter(), Instant::now());
        loop {
            while open.len() < AT_ONCE
                && let Some(url) = urls.next()
            {
                open.insert(self.open(url), Vec::new());
            }
            if open.is_empty() {
                return ended;
            }
            let mut news = Vec::new();
            self.engine.drain_sockets(&mut news);
            for SocketNews { socket, event } in news {
                progressed = Instant::now();
                match event {
                    SocketEvent::Received { messages, .. } => match answer {
                        Some(answer) => {
                            self.engine.say(socket, messages.into_iter().map(|it| reply(it, answer)).collect())
                        }
                        None => open.get_mut(&socket).unwrap().extend(messages.into_iter().map(|it| it.payload)),
                    },
                    SocketEvent::Ended(end) => ended.push(Story { messages: open.remove(&socket).unwrap(), end }),
                    SocketEvent::Opened { .. } | SocketEvent::Taken(_) => {}
                }
            }
            assert!(progressed.elapsed() < PATIENCE, "nothing happens any more");
            let _none = self.wakes.recv_timeout(Duration::from_secs(1));
        }
    }

    fn open(&mut self, url: Url) -> SocketId {
        self.last += 1;
        let rules = Rules {
            connect: PATIENCE,
            handshake: PATIENCE,
            ping_every: Duration::from_secs(20),
            dead_after: Duration::from_secs(40),
            max_message_bytes: 32 << 20,
            heartbeat: None,
            asking: NEVER,
        };
        let socket = SocketId(self.last);
        let (headers, subprotocols) = (HeaderMap::new(), Vec::new());
        self.engine.open_socket(Plan { socket, url, headers, subprotocols, identity: None, rules });
        socket
    }
}

fn reply(message: Received, answer: Answer) -> Outgoing {
    Outgoing { id: 0, payload: answer(message.payload) }
}
