//! The test's side of websockets: takes their news as they come, and fails the test where one has two ends, or news after
//! its end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::HeaderMap;
use pg_edge::domain::outcome::{Failure, FailureClass};
use pg_edge::domain::socket::acknowledgement::Asking;
use pg_edge::domain::socket::end::{End, Refusal};
use pg_edge::domain::socket::message::{Payload, Received};
use pg_edge::domain::socket::plan::{Farewell, Outgoing, Plan, Rules, SocketId};
use pg_edge::engine::{Receipt, SocketEvent, SocketNews};
use url::Url;

use super::peer::Peer;
use super::sender::{PATIENCE, Sender};

/// What was told of one websocket.
#[derive(Debug, Default)]
pub struct Story {
    pub opened: usize,
    pub subprotocol: Option<String>,
    pub messages: Vec<Received>,
    /// How many news they came in.
    pub pieces: usize,
    pub taken: usize,
    pub end: Option<End>,
}

/// What was told of all websockets of a sender.
pub struct Side<'a> {
    pub sender: &'a Sender,
    pub stories: HashMap<SocketId, Story>,
    /// How often the engine woke this side.
    pub wakes: usize,
    /// Of messages that are not stored yet; `None` where each is stored as it comes.
    pub kept: Option<Vec<Receipt>>,
}

pub fn rules() -> Rules {
    Rules {
        connect: PATIENCE,
        handshake: PATIENCE,
        ping_every: PATIENCE,
        dead_after: 2 * PATIENCE,
        max_message_bytes: 1 << 20,
        heartbeat: None,
        asking: Asking::default(),
    }
}

/// A websocket with a peer.
pub fn plan(peer: &Peer) -> Plan {
    let mut url = peer.url();
    url.set_scheme("ws").unwrap();
    plan_for(url)
}

pub fn plan_for(url: Url) -> Plan {
    Plan {
        socket: SocketId(1),
        url,
        headers: HeaderMap::new(),
        subprotocols: Vec::new(),
        identity: None,
        rules: rules(),
    }
}

pub fn text(id: i64, text: impl Into<String>) -> Outgoing {
    Outgoing { id, payload: Payload::Text(text.into()) }
}

pub fn farewell(code: u16, reason: &str) -> Farewell {
    Farewell { code, reason: reason.to_owned() }
}

impl Story {
    pub fn texts(&self) -> Vec<&str> {
        let text = |message: &'_ Received| match &message.payload {
            Payload::Text(_) => true,
            Payload::Binary(_) => false,
        };
        assert!(self.messages.iter().all(text), "binary messages");
        self.messages
            .iter()
            .filter_map(|message| match &message.payload {
                Payload::Text(text) => Some(text.as_str()),
                Payload::Binary(_) => None,
            })
            .collect()
    }
}

impl<'a> Side<'a> {
    pub fn new(sender: &'a Sender) -> Self {
        Self { sender, stories: HashMap::new(), wakes: 0, kept: None }
    }

    /// Opens a websocket, and waits until it stands.
    pub fn opened(sender: &'a Sender, plan: Plan) -> Self {
        let mut side = Self::new(sender);
        let socket = plan.socket;
        sender.engine.open_socket(plan);
        side.until("it is open", |side| side.told(socket).opened == 1);
        side
    }

    /// Opens a websocket, and waits for its end.
    pub fn end_of(sender: &'a Sender, plan: Plan) -> End {
        let mut side = Self::new(sender);
        let socket = plan.socket;
        sender.engine.open_socket(plan);
        side.until("the end", |side| side.told(socket).end.is_some());
        side.stories.remove(&socket).unwrap().end.unwrap()
    }

    /// The same, where it is refused.
    pub fn refusal_of(sender: &'a Sender, plan: Plan) -> Refusal {
        match Self::end_of(sender, plan) {
            End::Refused(refusal) => refusal,
            end => panic!("{end:?}"),
        }
    }

    /// The same, where it fails.
    pub fn failure_of(sender: &'a Sender, plan: Plan) -> (FailureClass, String) {
        match Self::end_of(sender, plan) {
            End::Failed(Failure { class, message, head: None, events: 0 }) => (class, message),
            end => panic!("{end:?}"),
        }
    }

    pub fn say(&self, messages: Vec<Outgoing>) {
        self.sender.engine.say(SocketId(1), messages);
    }

    pub fn close(&self, code: u16, reason: &str) {
        self.sender.engine.close_socket(SocketId(1), farewell(code, reason));
    }

    /// Waits for the end of the one websocket.
    pub fn end(&mut self) -> End {
        self.until("the end", |side| side.story().end.is_some());
        self.story().end.clone().unwrap()
    }

    /// Waits for so many messages of the one websocket.
    pub fn hear(&mut self, count: usize) {
        self.until("the messages", |side| side.story().messages.len() >= count);
        assert_eq!(self.story().messages.len(), count);
    }

    /// Waits until so many messages of the one websocket are taken.
    pub fn taken(&mut self, count: usize) {
        self.until("the messages are taken", |side| side.story().taken >= count);
        assert_eq!(self.story().taken, count);
    }

    pub fn story(&self) -> &Story {
        &self.stories[&SocketId(1)]
    }

    pub fn told(&self, socket: SocketId) -> &Story {
        static NOTHING: std::sync::LazyLock<Story> = std::sync::LazyLock::new(Story::default);
        self.stories.get(&socket).unwrap_or(&NOTHING)
    }

    /// Takes what has come until something is true. Sleeps between wakes, so a lost wake fails the test.
    pub fn until(&mut self, what: &str, mut is_true: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        self.take();
        while !is_true(self) {
            assert!(began.elapsed() < PATIENCE, "in vain: {what}: {}", self.summary());
            if self.sender.wakes.recv_timeout(Duration::from_millis(500)).is_ok() {
                self.wakes += 1;
                self.take();
            }
        }
    }

    fn summary(&self) -> String {
        let line = |(socket, story): (&SocketId, &Story)| {
            let Story { opened, messages, taken, end, .. } = story;
            format!("\n{socket}: opened {opened}, {} messages, {taken} taken, {end:?}", messages.len())
        };
        self.stories.iter().map(line).collect()
    }

    /// Takes what has come.
    pub fn take(&mut self) {
        let mut news = Vec::new();
        self.sender.engine.drain_sockets(&mut news);
        self.note(news);
    }

    /// Notes what was told.
    pub fn note(&mut self, news: Vec<SocketNews>) {
        for SocketNews { socket, event } in news {
            let story = self.stories.entry(socket).or_default();
            assert_eq!(story.end, None, "{event:?} after the end of {socket}");
            match event {
                SocketEvent::Opened { subprotocol } => {
                    (story.opened, story.subprotocol) = (story.opened + 1, subprotocol);
                }
                SocketEvent::Received { messages, receipt } => {
                    assert!(story.opened == 1 && !messages.is_empty());
                    story.messages.extend(messages);
                    story.pieces += 1;
                    if let Some(kept) = &mut self.kept {
                        kept.push(receipt);
                    }
                }
                SocketEvent::Taken(more) => {
                    assert!(more > 0);
                    story.taken += more;
                }
                SocketEvent::Ended(end) => story.end = Some(end),
            }
        }
    }
}
