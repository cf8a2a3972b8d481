//! What the main thread and the engine thread say to each other. Used on both.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::attempt::{Attempt, Report};
use crate::domain::call::CallId;
use crate::domain::guard::Guard;
use crate::domain::outcome::Head;
use crate::domain::socket::end::End;
use crate::domain::socket::message::Received;
use crate::domain::socket::plan::{Farewell, Outgoing, Plan, SocketId};
use crate::domain::stream::StreamEvent;

use super::flow::Receipt;
use super::log::LogLine;

/// What holds for every attempt alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an unused connection is kept.
    pub idle_connection_timeout: Duration,
    /// How many unused connections are kept for one host.
    pub max_idle_per_host: usize,
    /// Sent as `User-Agent` where a request has none.
    pub user_agent: String,
    /// How many attempts there may be at once. Sizes the queues; the engine does not enforce it.
    pub max_in_flight: usize,
    /// Where attempts may go.
    pub guard: Guard,
    /// Whom to trust.
    pub tls: TlsSettings,
}

/// Whom to trust, beside the operating system's authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A file with more authorities, in PEM form.
    pub ca_file: Option<PathBuf>,
    /// No older version is spoken.
    pub oldest: OldestTls,
}

/// The oldest version of TLS that is spoken. rustls has none before 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldestTls {
    /// TLS 1.2, and 1.3 where the peer can.
    #[default]
    V1_2,
    /// TLS 1.3 alone.
    V1_3,
}

/// An order from the main thread.
pub(super) enum Command {
    Send(Box<Attempt>),
    Cancel(CallId),
    Open(Box<Plan>),
    Say(SocketId, Vec<Outgoing>),
    Close(SocketId, Farewell),
    Reconfigure(Box<Settings>),
    Stop { grace: Duration },
}

/// A part of an answer that is being streamed. The pieces of an attempt come in order and without gaps, and its report
/// comes after the last of them, or in the same drain.
#[derive(Debug)]
pub struct Piece {
    /// The call that is answered.
    pub call: CallId,
    /// The number its attempt was sent under.
    pub number: u32,
    /// Status and headers, in the first piece. It comes as soon as the head does, so it may be without events.
    pub head: Option<Head>,
    /// The number that the first of these events has in its stream; it counts from 1.
    pub first: u64,
    /// What has come, in order.
    pub events: Vec<StreamEvent>,
    /// To be kept until the events are stored for good, and dropped then. Streams that are far ahead of their receipts
    /// are not read on.
    pub receipt: Receipt,
}

/// What became of a websocket. The news of one come in order, and nothing comes after its end.
#[derive(Debug)]
pub struct SocketNews {
    /// Whose.
    pub socket: SocketId,
    /// What.
    pub event: SocketEvent,
}

/// What may become of a websocket.
#[derive(Debug)]
pub enum SocketEvent {
    /// The handshake has been answered.
    Opened {
        /// What the peer chose of those that were offered.
        subprotocol: Option<String>,
    },
    /// Messages have come.
    Received {
        /// In order.
        messages: Vec<Received>,
        /// To be kept until they are stored for good, and dropped then. A websocket that is far ahead of its receipts is not
        /// read on.
        receipt: Receipt,
    },
    /// The peer has taken so many more of the messages that it was sent, in their order.
    Taken(usize),
    /// There is no connection any more. What it was sent and has not been said to be taken may or may not have arrived.
    Ended(End),
}

/// What a stopped engine leaves behind.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Events that came and were not drained before, those of abandoned calls among them.
    pub pieces: Vec<Piece>,
    /// Attempts that ended and were not drained before.
    pub reports: Vec<Report>,
    /// News of websockets that were not drained before.
    pub sockets: Vec<SocketNews>,
    /// Calls whose attempt was still in flight when the grace ended. Whether the peer acted on them is unknown.
    pub abandoned: Vec<CallId>,
    /// Log lines that were not drained before.
    pub log: Vec<LogLine>,
    /// How many log lines were dropped since the last drain.
    pub dropped_log_lines: u64,
}

/// Why the engine could not be started or reconfigured.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signals could not be blocked around the start of the thread.
    #[error("signals could not be blocked for the engine thread: {0}")]
    Signals(#[source] io::Error),
    /// The operating system refused a thread.
    #[error("the engine thread could not be started: {0}")]
    Thread(#[source] io::Error),
    /// The operating system refused what the runtime needs, such as an epoll descriptor.
    #[error("the engine's runtime could not be started: {0}")]
    Runtime(#[source] io::Error),
    /// The settings make no HTTP client, for example because the user agent holds a line feed.
    #[error("no HTTP client can be made from these settings: {0}")]
    Client(#[source] reqwest::Error),
    /// The TLS library refused its own defaults.
    #[error("TLS could not be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The engine thread ended before it was ready.
    #[error("the engine thread died while it was starting")]
    Died,
}
