//! Waiting in a session for news of a call.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use crate::error::Error;
use crate::failpoint;
use crate::worker::client;
use crate::worker::latch::{Waited, wait_in_session};
use crate::worker::lock;
use crate::worker::waiters::Registration;

/// How often a session looks that found no room to be told.
const LOOK: Duration = Duration::from_millis(100);

/// How often one looks that will be told. A dispatcher that dies between its commit and telling tells nobody, and on a
/// standby there is none.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);

/// How long a session is willing to wait, from when it began.
#[derive(Clone, Copy)]
pub struct Patience {
    began: Instant,
    /// `None` is for ever.
    most: Option<Duration>,
}

/// A session that will be told of news of one call. Look at the call after this was made, not before.
pub struct Watch {
    registration: Option<Registration>,
    patience: Patience,
    function: &'static str,
}

impl Patience {
    /// Not to wait at all.
    pub fn none() -> Self {
        Self::of(Some(Duration::ZERO))
    }

    /// From now on.
    pub fn of(most: Option<Duration>) -> Self {
        Self { began: Instant::now(), most }
    }

    /// Whether nothing is left of it.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    fn left(self) -> Duration {
        self.most.map_or(Duration::MAX, |most| most.saturating_sub(self.began.elapsed()))
    }
}

impl Watch {
    /// Begins. `function` is the one that waits, for the error.
    pub fn over(call: i64, patience: Patience, function: &'static str) -> Self {
        Self { registration: Registration::new(call), patience, function }
    }

    /// Blocks on the latch until there may be news. `None` when the time is up.
    pub fn wait(&self) -> Result<Option<Waited>, Error> {
        if sees_only_its_first_snapshot() {
            return Err(Error::FrozenSnapshot(self.function));
        }
        if self.patience.is_over() {
            return Ok(None);
        }
        let waited = wait_in_session(self.patience.left().min(self.look()));
        if waited == Waited::InVain {
            client::check();
            if lock::is_extension_changing() {
                return Err(Error::ExtensionChanging(self.function));
            }
        }
        Ok(Some(waited))
    }

    /// How long it sleeps at most before it looks by itself.
    fn look(&self) -> Duration {
        match &self.registration {
            None => LOOK,
            // With this a test shows that being told is enough.
            Some(_) if failpoint::stands("no_second_look") => Duration::MAX,
            Some(_) => LOOK_ANYWAY,
        }
    }
}

/// REPEATABLE READ and SERIALIZABLE never see what commits after their first statement.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn sees_only_its_first_snapshot() -> bool {
    // SAFETY: a variable of the process, read on its main thread.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
