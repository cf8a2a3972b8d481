//! The test's side of streamed answers: takes pieces and reports as they come, and fails the test where they come out of
//! order, twice, or after the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pg_edge::domain::attempt::{Attempt, Report};
use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::{Failure, Head, Outcome, Streamed};
use pg_edge::domain::stream::StreamEvent;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::domain::stream::rules::{Format, StreamRules};
use pg_edge::engine::{Piece, Receipt};
use url::Url;

use super::peer::Conn;
use super::sender::{PATIENCE, Sender, get};

/// What came of one stream.
#[derive(Debug, Default)]
pub struct Told {
    pub head: Option<Head>,
    pub events: Vec<StreamEvent>,
    pub pieces: usize,
    pub report: Option<Report>,
}

/// What came of all streams of a sender.
pub struct Listener<'a> {
    sender: &'a Sender,
    pub told: HashMap<CallId, Told>,
    /// How often the engine woke this listener.
    pub wakes: usize,
    /// Of pieces that are not stored yet; `None` where each is stored as it comes.
    pub kept: Option<Vec<Receipt>>,
}

/// A GET whose answer is streamed where its content type says so.
pub fn streaming(url: &Url) -> Attempt {
    Attempt { stream: Some(rules(Format::Auto)), ..get(url) }
}

pub fn rules(format: Format) -> StreamRules {
    StreamRules { format, max_event_bytes: 1 << 20, max_total_bytes: 1 << 30, idle: None }
}

/// The head of an answer of a content type, sent in chunks.
pub fn chunked(content_type: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n")
}

/// One chunk of a body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub const SSE: &str = "text/event-stream";

impl Conn {
    /// Sends the head of an event stream.
    pub async fn begin(&mut self) -> bool {
        self.send(chunked(SSE).as_bytes()).await
    }

    /// Sends one chunk of a body.
    pub async fn chunk(&mut self, bytes: &[u8]) -> bool {
        self.send(&chunk(bytes)).await
    }

    /// Sends one event.
    pub async fn event(&mut self, data: &str) -> bool {
        self.chunk(format!("data: {data}\n\n").as_bytes()).await
    }

    /// Ends the body.
    pub async fn end(&mut self) {
        self.send(b"0\r\n\r\n").await;
    }
}

impl<'a> Listener<'a> {
    pub fn new(sender: &'a Sender) -> Self {
        Self { sender, told: HashMap::new(), wakes: 0, kept: None }
    }

    /// Sends an attempt, and waits until all is told of it.
    pub fn hear(sender: &'a Sender, attempt: Attempt) -> Told {
        let call = attempt.call;
        let mut listener = Self::new(sender);
        sender.engine.send(attempt);
        listener.until("the report", |listener| listener.ended() == 1);
        listener.told.remove(&call).unwrap()
    }

    /// Takes what has come until something is true. Sleeps between wakes, so a lost wake fails the test.
    pub fn until(&mut self, what: &str, mut is_true: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        self.take();
        while !is_true(self) {
            assert!(began.elapsed() < PATIENCE, "in vain: {what}");
            if self.sender.wakes.recv_timeout(Duration::from_millis(500)).is_ok() {
                self.wakes += 1;
                self.take();
            }
        }
    }

    /// The same, but looks only when it is woken.
    pub fn until_woken(&mut self, what: &str, mut is_true: impl FnMut(&Self) -> bool) {
        while !is_true(self) {
            self.sender.wakes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("in vain: {what}"));
            self.wakes += 1;
            self.take();
        }
    }

    /// How many streams have ended.
    pub fn ended(&self) -> usize {
        self.told.values().filter(|told| told.report.is_some()).count()
    }

    /// How many events have come.
    pub fn events(&self) -> usize {
        self.told.values().map(|told| told.events.len()).sum()
    }

    fn take(&mut self) {
        let (mut pieces, mut reports) = (Vec::new(), Vec::new());
        self.sender.engine.drain(&mut pieces, &mut reports);
        for piece in pieces {
            self.told.entry(piece.call).or_default().add(piece, self.kept.as_mut());
        }
        for report in reports {
            let told = self.told.entry(report.call).or_default();
            assert!(told.report.is_none(), "a second report of {}", report.call);
            told.report = Some(report);
        }
    }
}

impl Told {
    fn add(&mut self, piece: Piece, kept: Option<&mut Vec<Receipt>>) {
        assert!(self.report.is_none(), "a piece of {} after its report", piece.call);
        assert_eq!(piece.first, self.events.len() as u64 + 1, "a gap in {}", piece.call);
        assert_eq!(piece.head.is_some(), self.pieces == 0, "the head comes with the first piece");
        assert_eq!(piece.number, 1);
        self.head = self.head.take().or(piece.head);
        self.events.extend(piece.events);
        self.pieces += 1;
        if let Some(kept) = kept {
            kept.push(piece.receipt);
        }
    }

    pub fn data(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.data.as_str()).collect()
    }

    pub fn streamed(&self) -> &Streamed {
        match &self.report.as_ref().unwrap().outcome {
            Outcome::Streamed(streamed) => {
                assert_eq!(streamed.events, self.events.len() as u64);
                streamed
            }
            ended => panic!("{ended:?}"),
        }
    }

    pub fn ended(&self) -> &Ended {
        &self.streamed().ended
    }

    pub fn failure(&self) -> &Failure {
        match &self.report.as_ref().unwrap().outcome {
            Outcome::Failure(failure) => {
                assert_eq!(failure.events, self.events.len() as u64);
                failure
            }
            ended => panic!("{ended:?}"),
        }
    }
}
