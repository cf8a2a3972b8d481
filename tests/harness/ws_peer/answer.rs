//! How a handshake is answered.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::record::Arrival;

/// What becomes of a handshake.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is a websocket, which does this.
    Accept(Manner),
    /// The same, and this subprotocol is said to have been chosen, whether it was offered or not.
    Choose(&'static str, Manner),
    /// It gets a status, these headers, and no websocket.
    Refuse(u16, Vec<(&'static str, String)>),
    /// It is said to be a websocket, with a key that is not the answer to the client's.
    WrongKey,
    /// It is answered by bytes that may be no HTTP, and the connection is closed.
    Raw(Bytes),
    /// Nobody ever answers it.
    Nothing,
}

/// What a websocket does of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It listens. Pings are answered.
    Listen,
    /// It says back what it hears.
    Echo,
    /// It hands on what it hears to all others in its room.
    Relay,
    /// It reads nothing, from the beginning.
    Ignore,
}

impl Answer {
    /// It gets a status, and no websocket.
    pub fn refuse(status: u16) -> Self {
        Self::Refuse(status, Vec::new())
    }

    /// What is written, if anything is.
    pub(super) fn head(&self, arrival: &Arrival) -> Bytes {
        let accept = |key: &str, more: &str| {
            let accept = derive_accept_key(key.as_bytes());
            let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
            Bytes::from(format!("{switch}sec-websocket-accept: {accept}\r\n{more}\r\n"))
        };
        let key = arrival.header("sec-websocket-key").unwrap_or_default();
        match self {
            Self::Accept(_) => accept(key, ""),
            Self::Choose(protocol, _) => accept(key, &format!("sec-websocket-protocol: {protocol}\r\n")),
            Self::WrongKey => accept("this is not what was asked", ""),
            Self::Refuse(status, headers) => {
                let reason = http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
                let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let reason = reason.unwrap_or("Unnamed");
                Bytes::from(format!("HTTP/1.1 {status} {reason}\r\n{lines}content-length: 0\r\n\r\n"))
            }
            Self::Raw(bytes) => bytes.clone(),
            Self::Nothing => Bytes::new(),
        }
    }

    /// What the websocket does that it becomes, if it becomes one.
    pub(super) fn manner(&self) -> Option<Manner> {
        match self {
            Self::Accept(manner) | Self::Choose(_, manner) => Some(*manner),
            _ => None,
        }
    }
}
