//! How a websocket ended.

use crate::domain::outcome::Failure;

/// How a websocket ended, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer answered the handshake, and not with a websocket.
    Refused(Refusal),
    /// There is no connection any more, or there never was: the network, TLS, a limit of time, or the guard.
    Failed(Failure),
    /// The peer has closed it. Without a code it gave none (RFC 6455 calls that 1005).
    ClosedByPeer {
        /// The close code.
        code: Option<u16>,
        /// What the peer said of it; may be empty.
        reason: String,
    },
    /// We have closed it, as we were told to.
    ClosedByUs,
    /// The peer broke the protocol or a limit. It was told so with this code.
    Violation {
        /// 1002, 1007 or 1009.
        code: u16,
        /// One sentence for the user.
        message: String,
    },
    /// The peer was silent for too long.
    Silent,
}

/// An answer to a handshake that is no websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// Of a `Retry-After` header, if there was one.
    pub retry_after: Option<String>,
    /// One sentence for the user.
    pub message: String,
}
