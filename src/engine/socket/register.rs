//! Which websockets there are. Lives on the engine thread; its lock is never contended and only there because tokio wants
//! tasks that could move between threads.
//!
//! Whoever takes a websocket out of this map tells its end, so each has exactly one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::socket::end::End;
use crate::domain::socket::plan::{Farewell, Outgoing, Plan, SocketId};
use crate::engine::client::Wire;
use crate::engine::flow::{Flow, OF_A_SOCKET, Room};
use crate::engine::message::{SocketEvent, SocketNews};
use crate::engine::outbox::Outbox;

use super::mailbox::{Leave, Mailbox};
use super::task;
use super::teller::Teller;

/// The websockets of an engine.
pub(in crate::engine) struct Sockets {
    mailboxes: Mutex<HashMap<SocketId, Arc<Mailbox>>>,
    outbox: Arc<Outbox>,
    room: Arc<Room>,
    emptied: Notify,
}

// === impl Sockets ===

impl Sockets {
    pub(in crate::engine) fn new(outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self { mailboxes: Mutex::default(), outbox, room: Room::of_all(), emptied: Notify::new() })
    }

    /// Opens a websocket, and keeps it to its end.
    pub(in crate::engine) fn open(self: &Arc<Self>, wire: Wire, plan: Box<Plan>) {
        let mailbox = match self.mailboxes().entry(plan.socket) {
            Entry::Vacant(free) => Arc::clone(free.insert(Arc::default())),
            Entry::Occupied(_) => {
                // Its end is told once, as that of the first one.
                tracing::error!("pg_edge opened websocket {} twice", plan.socket);
                return;
            }
        };
        let flow = Flow::new(OF_A_SOCKET, Arc::clone(&self.room));
        let teller = Teller::new(plan.socket, flow, Arc::clone(&self.outbox));
        tokio::spawn(task::run(Arc::clone(self), wire, plan, mailbox, teller));
    }

    /// Sends messages. To a websocket that has ended, nothing is sent.
    pub(in crate::engine) fn say(&self, socket: SocketId, messages: Vec<Outgoing>) {
        if let Some(mailbox) = self.mailboxes().get(&socket) {
            mailbox.say(messages);
        }
    }

    /// Closes a websocket in good order.
    pub(in crate::engine) fn close(&self, socket: SocketId, farewell: Farewell) {
        if let Some(mailbox) = self.mailboxes().get(&socket) {
            mailbox.leave(Leave::InOrder(farewell));
        }
    }

    /// Closes all of them at once.
    pub(in crate::engine) fn close_all(&self) {
        self.mailboxes().values().for_each(|mailbox| mailbox.leave(Leave::AtOnce));
    }

    /// Waits until there is none.
    pub(in crate::engine) async fn idle(&self) {
        while !self.mailboxes().is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Tells the end of one.
    pub(super) fn finish(&self, socket: SocketId, end: End) {
        let mut mailboxes = self.mailboxes();
        let was_there = mailboxes.remove(&socket).is_some();
        if mailboxes.is_empty() {
            self.emptied.notify_one();
        }
        drop(mailboxes);
        if was_there {
            self.outbox.tell(SocketNews { socket, event: SocketEvent::Ended(end) });
        }
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashMap<SocketId, Arc<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
