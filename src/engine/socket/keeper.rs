//! One open websocket: reads, writes and keeps time, in one loop that never waits for the main thread. Runs on the engine
//! thread.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use crate::domain::socket::acknowledgement::Acknowledgement;
use crate::domain::socket::end::End;
use crate::domain::socket::plan::{Farewell, Outgoing, Rules};

use super::line::Line;
use super::mailbox::{Leave, Mailbox};
use super::reading::Reading;
use super::teller::Teller;

/// How long what was handed over may take to be taken, once the websocket is to be closed.
const TO_BE_TAKEN: Duration = Duration::from_secs(5);

/// How long the peer may take to answer a close frame, and we to get rid of ours.
pub(super) const TO_CLOSE: Duration = Duration::from_secs(2);

/// How long it may take to hear why nothing can be written any more.
pub(super) const TO_HEAR_WHY: Duration = Duration::from_secs(1);

/// What keeps a websocket.
pub(super) struct Keeper<S> {
    pub(super) line: Line<S>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) teller: Teller,
    pub(super) rules: Rules,
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) stage: Stage,
    pub(super) writing: Writing,
    /// Done once the main thread has room for more; there only while it has none.
    pub(super) free: Option<BoxFuture<'static, ()>>,
    pub(super) pinged: Instant,
    pub(super) beaten: Option<Instant>,
    pub(super) timer: Pin<Box<Sleep>>,
}

/// How far a websocket is.
pub(super) enum Stage {
    Talking,
    /// To be closed once everything is taken.
    Leaving {
        farewell: Farewell,
        until: Instant,
    },
    /// We have sent a close frame, and wait for the peer's.
    Closing {
        until: Instant,
    },
    /// Nothing more can be written. What there is to be read may say why.
    Losing {
        until: Instant,
        end: End,
    },
    /// Nothing more is read. It has ended once what is to be written has been.
    Ending {
        until: Instant,
        end: End,
    },
}

/// Whether the peer takes what we write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Open,
    Stuck,
}

// === impl Keeper ===

impl<S: AsyncRead + AsyncWrite + Unpin> Keeper<S> {
    pub(super) fn new(line: Line<S>, mailbox: Arc<Mailbox>, teller: Teller, rules: Rules) -> Self {
        let now = Instant::now();
        Self {
            line,
            mailbox,
            teller,
            queue: VecDeque::new(),
            acknowledgement: Acknowledgement::new(rules.asking, rules.ping_every),
            stage: Stage::Talking,
            writing: Writing::Open,
            free: None,
            pinged: now,
            beaten: rules.heartbeat.is_some().then_some(now),
            timer: Box::pin(tokio::time::sleep(rules.ping_every)),
            rules,
        }
    }

    /// Keeps the websocket until its end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.take_mail(context);
        match self.run(context) {
            Ok(()) => Poll::Pending,
            Err(end) => {
                self.teller.hand_over();
                Poll::Ready(end)
            }
        }
    }

    /// The connection, after the end.
    pub(super) fn into_line(self) -> Line<S> {
        self.line
    }

    fn take_mail(&mut self, context: &Context<'_>) {
        let mail = self.mailbox.take(context);
        if matches!(self.stage, Stage::Talking) {
            self.queue.extend(mail.messages);
        }
        match (mail.leave, &self.stage) {
            (Some(Leave::InOrder(farewell)), Stage::Talking) => {
                self.stage = Stage::Leaving { farewell, until: Instant::now() + TO_BE_TAKEN };
            }
            (Some(Leave::AtOnce), Stage::Talking | Stage::Leaving { .. }) => {
                self.close(&Farewell { code: 1001, reason: "going away".to_owned() });
            }
            _ => {}
        }
    }

    /// Does what can be done now; an error is the end.
    fn run(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        loop {
            let now = Instant::now();
            self.write(context, now)?;
            let reading = self.read(context, now)?;
            let next = self.keep_time(now)?;
            if reading == Reading::Paused {
                context.waker().wake_by_ref();
                return Ok(());
            }
            let has_more = self.line.is_dirty() && self.writing == Writing::Open;
            if !has_more && self.sleep(context, next).is_pending() {
                return Ok(());
            }
        }
    }

    fn sleep(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        let until = until.into();
        // A timer that ends too early costs one turn; moving it at every turn would cost more.
        if self.timer.is_elapsed() || until < self.timer.deadline() {
            self.timer.as_mut().reset(until);
        }
        self.timer.as_mut().poll(context)
    }
}
