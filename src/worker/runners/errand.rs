//! What a runner runs for its role: a callback for a call that has ended, or a function for a message that came. One row each,
//! which is deleted in the transaction that runs it.

use pgrx::prelude::*;

use crate::domain::callback::Past;
use crate::error::Error;
use crate::store::callbacks;
use crate::store::calls::{self, Viewer};
use crate::store::invocation::{self, Invocation};
use crate::store::owner;
use crate::store::sockets::handling;

/// What may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Callback,
    Message,
}

/// One of them that is this transaction's alone.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    Callback(callbacks::TakenCallback),
    Message(handling::TakenMessage),
}

/// What is to be called: the function, and its argument.
pub(super) struct Ready {
    pub invocation: Invocation,
    pub argument: pg_sys::Datum,
}

impl Kind {
    /// The one that comes when this one has had its turn.
    pub fn other(self) -> Self {
        match self {
            Self::Callback => Self::Message,
            Self::Message => Self::Callback,
        }
    }

    /// The next one of a role, locked until the transaction ends.
    pub fn next(self, role: pg_sys::Oid) -> Result<Option<Errand>, Error> {
        owner::acting(|| {
            Ok(match self {
                Self::Callback => callbacks::next(role)?.map(Errand::Callback),
                Self::Message => handling::next(role)?.map(Errand::Message),
            })
        })
    }
}

impl Errand {
    /// The number of the call or message.
    pub fn key(&self) -> i64 {
        match self {
            Self::Callback(taken) => taken.call,
            Self::Message(taken) => taken.message,
        }
    }

    /// What is known of earlier runs.
    pub fn past(&self) -> Past {
        match self {
            Self::Callback(taken) => taken.past,
            Self::Message(taken) => taken.past,
        }
    }

    /// What is said of it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Callback(_) => "callback",
            Self::Message(_) => "function",
        }
    }

    /// Notes that it is about to be run, for the so-manieth time.
    pub fn count_run(&self, runs: u32) -> Result<(), Error> {
        owner::acting(|| match self {
            Self::Callback(taken) => callbacks::count_run(taken.call, runs),
            Self::Message(taken) => handling::count_run(taken.message, runs),
        })
    }

    /// Forgets it, and writes down why it failed.
    pub fn record_error(&self, role: pg_sys::Oid, sqlstate: &str, error: &str) -> Result<(), Error> {
        owner::acting(|| match self {
            Self::Callback(taken) => callbacks::record_error(role, taken, sqlstate, error),
            Self::Message(taken) => handling::record_error(taken, sqlstate, error),
        })
    }

    /// Forgets it, and gives what is to be called. `None` where there is nothing that it could be called with: whatever its row
    /// says, a role's function is given what is that role's.
    pub fn prepare(&self, role: pg_sys::Oid) -> Result<Option<Ready>, Error> {
        let (invocation, argument) = match self {
            Self::Callback(taken) => {
                owner::acting(|| callbacks::forget(taken.call))?;
                let viewer = Viewer { role, sees_all: false };
                let response = owner::acting(|| calls::response(taken.call, viewer))?;
                let invocation = owner::acting(|| invocation::of_callback(taken.function))?;
                (invocation, response.map(|response| response.datum()))
            }
            Self::Message(taken) => {
                owner::acting(|| handling::forget(taken.message))?;
                let message = owner::acting(|| handling::message(taken, role))?;
                let invocation = owner::acting(|| handling::invocation(taken.connection))?;
                (invocation, message.map(|message| message.datum()))
            }
        };
        let Some(invocation) = invocation else {
            let gone = match self {
                Self::Callback(_) => "the callback function no longer exists",
                Self::Message(_) => {
                    "the function does not exist, or belongs to another role than when edge.ws_open named it"
                }
            };
            ereport!(ERROR, PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION, gone);
        };
        Ok(argument.map(|argument| Ready { invocation, argument }))
    }
}
