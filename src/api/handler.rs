//! Functions that pg_edge is to run for a role: checked when they are named.

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::datum::RegProc;
use crate::store::{calls, owner};

/// What a function is to take as its only argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Response,
    Message,
}

/// A function that will do.
pub struct Handler {
    pub function: pg_sys::Oid,
    /// With its schema and the types of its arguments.
    pub name: String,
    pub owner: pg_sys::Oid,
}

/// Looks whether a role may execute a function, and whether it fits.
pub fn check(role: pg_sys::Oid, function: RegProc, takes: Takes) -> Result<Handler, Error> {
    match owner::acting(|| calls::callback(role, function.0, takes.type_name()))? {
        None => Err(Error::NotExecutable(function.0.to_u32().to_string())),
        Some(found) if !found.executable => Err(Error::NotExecutable(found.name)),
        Some(found) if !found.fits => Err(takes.misfit(found.name)),
        Some(found) => Ok(Handler { function: function.0, name: found.name, owner: found.owner }),
    }
}

impl Takes {
    const fn type_name(self) -> &'static str {
        match self {
            Self::Response => "edge.response",
            Self::Message => "edge.ws_message",
        }
    }

    fn misfit(self, name: String) -> Error {
        match self {
            Self::Response => Error::NotACallback(name),
            Self::Message => Error::NotAReceiver(name),
        }
    }
}
