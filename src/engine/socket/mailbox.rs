//! What the main thread wants of one websocket. Filled where commands are obeyed, emptied by the websocket's own task.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;

use crate::domain::socket::plan::{Farewell, Outgoing};

/// A mailbox.
#[derive(Default)]
pub(in crate::engine) struct Mailbox {
    mail: Mutex<Mail>,
    reader: AtomicWaker,
}

/// What was in one.
#[derive(Default)]
pub(super) struct Mail {
    /// To be sent, in order.
    pub(super) messages: Vec<Outgoing>,
    /// That the websocket is to be closed.
    pub(super) leave: Option<Leave>,
}

/// How a websocket is to be closed.
pub(super) enum Leave {
    /// Once the peer has taken what was handed over for it.
    InOrder(Farewell),
    /// Now: the engine ends.
    AtOnce,
}

// === impl Mailbox ===

impl Mailbox {
    /// To a websocket that is to be closed, nothing more is said.
    pub(super) fn say(&self, mut messages: Vec<Outgoing>) {
        let mut mail = self.mail();
        if mail.leave.is_some() {
            return;
        }
        if mail.messages.is_empty() {
            mail.messages = messages;
        } else {
            mail.messages.append(&mut messages);
        }
        drop(mail);
        self.reader.wake();
    }

    pub(super) fn leave(&self, leave: Leave) {
        self.mail().leave = Some(leave);
        self.reader.wake();
    }

    /// Takes what is there. The task is woken for what comes later.
    pub(super) fn take(&self, context: &Context<'_>) -> Mail {
        self.reader.register(context.waker());
        std::mem::take(&mut *self.mail())
    }

    /// Whether the websocket is to be closed. The task is woken once it is.
    pub(super) fn is_to_leave(&self, context: &Context<'_>) -> bool {
        self.reader.register(context.waker());
        self.mail().leave.is_some()
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
