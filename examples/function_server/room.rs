//! Rooms: whoever opens a websocket is in the room that its URL names, and what one says, all others in it hear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Who is where.
#[derive(Clone, Default)]
pub struct Rooms(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    last: u64,
    members: BTreeMap<u64, Member>,
}

struct Member {
    room: String,
    hears: UnboundedSender<Message>,
}

impl Rooms {
    /// Has a websocket be in the room that the query names, from when it stands until it is closed.
    pub async fn join(self, query: Option<String>, upgrade: OnUpgrade) {
        // A client that breaks off is no matter of ours.
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (mut speaks, mut said) = socket.split();
        let (hears, mut handed_on) = unbounded_channel();
        let query = query.unwrap_or_default();
        let room = query.split('&').find_map(|pair| pair.strip_prefix("room=")).unwrap_or("lobby").to_owned();
        let number = self.enter(Member { room, hears });
        loop {
            let went_well = tokio::select! {
                message = said.next() => match message {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        self.hand_on(number, &message);
                        true
                    }
                    // The library has prepared the answer to a ping or a close frame.
                    Some(Ok(_)) => speaks.flush().await.is_ok(),
                    _ => false,
                },
                Some(message) = handed_on.recv() => speaks.send(message).await.is_ok(),
            };
            if !went_well {
                break;
            }
        }
        self.with(|inner| inner.members.remove(&number));
    }

    fn enter(&self, member: Member) -> u64 {
        self.with(|inner| {
            inner.last += 1;
            inner.members.insert(inner.last, member);
            inner.last
        })
    }

    fn hand_on(&self, from: u64, message: &Message) {
        self.with(|inner| {
            let room = inner.members.get(&from).map(|member| &member.room);
            for (_, other) in
                inner.members.iter().filter(|(number, other)| **number != from && Some(&other.room) == room)
            {
                // Whoever is leaving hears no more.
                let _ = other.hears.send(message.clone());
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
