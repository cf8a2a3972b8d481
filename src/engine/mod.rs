//! The engine sends attempts over HTTP and reports how they ended. It knows nothing of Postgres.
//!
//! Two threads meet here. The *main thread* holds the [`Engine`] handle: every method on it returns at once, and only
//! [`Engine::start`] and [`Engine::stop`] wait, each for a bounded time. The *engine thread* is one thread with all
//! signals blocked, running a tokio runtime in which every attempt in flight has a task to itself. Attempts go over by an unbounded
//! channel (the worker bounds what it hands over), reports come back through a queue that rings `wake` once
//! for a burst. Neither side ever waits for the other.
//!
//! | file | idea | thread |
//! |---|---|---|
//! | `message` | what is said between the two threads | both |
//! | `thread` | the one masked thread | main spawns it |
//! | `service` | the loop that obeys commands | engine |
//! | `running` | which attempts are in flight | engine |
//! | `lane` | the task that runs one attempt after another | engine |
//! | `outbox` | finished reports, pieces of streams, news of websockets, and the bell | both |
//! | `queue` | what the main thread has not taken of them | both |
//! | `attempt`, `trail`, `body` | one attempt | engine |
//! | `stream`, `spout` | an answer that comes event by event | engine |
//! | `socket` | websockets: see there | engine |
//! | `flow` | how far streams and websockets may run ahead | both |
//! | `client`, `identities`, `connector` | how connections are made | engine |
//! | `resolver`, `door` | to which addresses | engine |
//! | `trust`, `authorities` | and whether it is the right peer | engine |
//! | `clock` | what the parts of an attempt cost | engine |
//! | `error`, `tls_error` | what an error means | engine |
//! | `log` | warnings on their way to the server log | both |
//! | `descriptors` | how many attempts the process can hold | main |

mod attempt;
mod authorities;
mod body;
mod client;
mod clock;
mod connector;
mod descriptors;
mod door;
mod error;
mod flow;
mod identities;
mod lane;
mod log;
mod message;
mod outbox;
mod queue;
mod resolver;
mod running;
mod service;
mod socket;
mod spout;
mod stream;
mod thread;
mod tls_error;
mod trail;
mod trust;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::attempt::{Attempt, Report};
use crate::domain::call::CallId;
use crate::domain::socket::plan::{Farewell, Outgoing, Plan, SocketId};

use self::log::LogReader;
use self::message::Command;
use self::outbox::Outbox;
use self::resolver::SystemLookups;

pub use self::authorities::{AuthoritiesError, authorities};
pub use self::descriptors::descriptor_budget;
pub use self::flow::Receipt;
pub use self::log::LogLine;
pub use self::message::{OldestTls, Piece, Settings, SocketEvent, SocketNews, StartError, Stopped, TlsSettings};
pub use self::resolver::Lookups;

/// How much longer than its grace [`Engine::stop`] waits for the engine thread to end. Only one that hangs takes it all; on a
/// busy machine it may take a while to drop thousands of connections, and what it says of them should not be lost.
const STOP_MARGIN: Duration = Duration::from_secs(2);

/// The main thread's handle on the engine.
///
/// Dropping it ends the engine at once and gives up what is in flight; [`Engine::stop`] ends it in good order.
pub struct Engine {
    commands: UnboundedSender<Command>,
    outbox: Arc<Outbox>,
    log: LogReader,
    ended: Receiver<Vec<CallId>>,
}

// === impl Engine ===

impl Engine {
    /// Starts the engine on one thread of its own, with all signals blocked in it.
    ///
    /// `wake` is called from the engine thread when there is something to [`drain`](Engine::drain) or
    /// [`drain_log`](Engine::drain_log), and when the engine dies. It must be quick, and must not panic. Waits for
    /// the engine to be ready, which takes as long as reading the trust roots.
    pub fn start(settings: Settings, wake: impl Fn() + Send + Sync + 'static) -> Result<Self, StartError> {
        Self::start_with(settings, Arc::new(SystemLookups), wake)
    }

    /// The same with names resolved by other means than the operating system's.
    pub fn start_with(
        settings: Settings,
        lookups: Arc<dyn Lookups>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let outbox = Arc::new(Outbox::new(settings.max_in_flight, Box::new(wake)));
        let (log_writer, log) = log::pump(Arc::clone(&outbox));
        let (commands, inbox) = tokio::sync::mpsc::unbounded_channel();
        let ended = service::start(settings, lookups, inbox, Arc::clone(&outbox), log_writer)?;
        Ok(Self { commands, outbox, log, ended })
    }

    /// Hands an attempt over. Exactly one report comes back for it, unless the engine dies or is stopped first.
    ///
    /// A call must not be sent again before its report came: the second attempt fails as internal.
    pub fn send(&self, attempt: Attempt) {
        self.outbox.expect_one();
        self.command(Command::Send(Box::new(attempt)));
    }

    /// Breaks off the attempt of a call: its connection is closed and it is reported as cancelled.
    ///
    /// Nothing happens where the attempt has ended already; its report tells how.
    pub fn cancel(&self, call: CallId) {
        self.command(Command::Cancel(call));
    }

    /// Opens a websocket. Its end is always told, unless the engine dies or is stopped first.
    pub fn open_socket(&self, plan: Plan) {
        self.command(Command::Open(Box::new(plan)));
    }

    /// Hands messages over, to be sent in this order after those before them. They may be handed over before the websocket
    /// stands. To one that has ended, nothing is sent.
    pub fn say(&self, socket: SocketId, messages: Vec<Outgoing>) {
        self.command(Command::Say(socket, messages));
    }

    /// Closes a websocket once the peer has taken what was handed over for it, or has not for a while.
    pub fn close_socket(&self, socket: SocketId, farewell: Farewell) {
        self.command(Command::Close(socket, farewell));
    }

    /// Moves news of websockets to the end of `into`. Never blocks. Called next to [`drain`](Engine::drain), which answers
    /// the bell.
    pub fn drain_sockets(&self, into: &mut Vec<SocketNews>) {
        self.outbox.drain_sockets(into);
    }

    /// Uses other settings for attempts sent from now on. Running ones finish under the old settings.
    ///
    /// The file with certificate authorities is read anew. Where nothing is different, open connections stay; where the
    /// new settings cannot be used, the old ones do, and a log line says why.
    pub fn reconfigure(&self, settings: Settings) {
        self.command(Command::Reconfigure(Box::new(settings)));
    }

    /// Moves what has come of streamed answers to the end of `pieces`, and the reports of ended attempts to the end of
    /// `reports`. Never blocks.
    ///
    /// The last pieces of a stream come before its report or together with it, so pieces are to be looked at first.
    pub fn drain(&self, pieces: &mut Vec<Piece>, reports: &mut Vec<Report>) {
        self.outbox.drain(pieces, reports);
    }

    /// How many attempts have been handed over and have not ended.
    pub fn in_flight(&self) -> usize {
        self.outbox.in_flight()
    }

    /// Moves the engine's log lines to the end of `into`. Gives how many were dropped since the last time because
    /// there were too many to hold.
    pub fn drain_log(&self, into: &mut Vec<LogLine>) -> u64 {
        self.outbox.answer();
        self.log.drain(into)
    }

    /// Whether the engine thread runs. Once it is false nothing handed over will ever be reported.
    pub fn is_alive(&self) -> bool {
        self.outbox.is_alive()
    }

    /// Ends the engine: lets what is in flight finish for `grace`, gives up the rest, and closes every connection.
    ///
    /// Blocks until then, and no longer than `grace` and two seconds.
    pub fn stop(self, grace: Duration) -> Stopped {
        self.command(Command::Stop { grace });
        // An engine that died, or that hangs beyond the margin, cannot say what it gave up.
        let abandoned = self.ended.recv_timeout(grace.saturating_add(STOP_MARGIN)).unwrap_or_default();
        let mut stopped = Stopped { abandoned, ..Stopped::default() };
        self.drain(&mut stopped.pieces, &mut stopped.reports);
        self.drain_sockets(&mut stopped.sockets);
        stopped.dropped_log_lines = self.drain_log(&mut stopped.log);
        stopped
    }

    /// A command to a dead engine is lost; [`Engine::is_alive`] is how the main thread learns of that.
    fn command(&self, command: Command) {
        let _dead = self.commands.send(command);
    }
}
