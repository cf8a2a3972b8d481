//! What an error of the library means for an open websocket. Runs on the engine thread.

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::socket::end::End;
use crate::engine::error;

/// What an error means.
pub(super) enum Fault {
    /// There is no connection any more.
    Lost(Failure),
    /// The peer broke the protocol or a limit. It is told so.
    Violation {
        code: u16,
        /// For the peer.
        reason: &'static str,
        /// For the user.
        message: String,
    },
}

// === impl Fault ===

impl Fault {
    pub(super) fn of(error: &Error, max_message_bytes: usize) -> Self {
        let violation = |code, reason, message: &str| Self::Violation { code, reason, message: message.to_owned() };
        match error {
            Error::Io(cause) => Self::Lost(error::lost(Some(cause))),
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Lost(error::lost(None)),
            Error::Capacity(_) => Self::Violation {
                code: 1009,
                reason: "message too large",
                message: format!("the server sent a message larger than the limit of {max_message_bytes} bytes"),
            },
            Error::Utf8(_) => violation(1007, "invalid UTF-8", "the server sent text that is not valid UTF-8"),
            Error::Protocol(broken) => violation(1002, "protocol error", about(broken)),
            rare => {
                tracing::error!("a websocket failed in an unforeseen way: {rare}");
                let message = "pg_edge itself failed while it was keeping this websocket";
                Self::Lost(Failure::new(FailureClass::Internal, message))
            }
        }
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(failure) => Self::Failed(failure),
            Fault::Violation { code, message, .. } => Self::Violation { code, message },
        }
    }
}

fn about(broken: &ProtocolError) -> &'static str {
    match broken {
        ProtocolError::NonZeroReservedBits => "the server sent a frame with reserved bits set",
        ProtocolError::MaskedFrameFromServer => "the server sent a masked frame, as only clients may",
        ProtocolError::FragmentedControlFrame => "the server sent a control frame in fragments",
        ProtocolError::ControlFrameTooBig => "the server sent a control frame larger than 125 bytes",
        ProtocolError::UnknownControlFrameType(_)
        | ProtocolError::UnknownDataFrameType(_)
        | ProtocolError::InvalidOpcode(_) => "the server sent a frame of an unknown kind",
        ProtocolError::UnexpectedContinueFrame => "the server continued a message that it had not begun",
        ProtocolError::ExpectedFragment(_) => "the server began a message within another one",
        ProtocolError::InvalidCloseSequence => "the server sent a close frame that cannot be read",
        _ => "the server broke the websocket protocol",
    }
}
