//! The guard at work: what it refuses becomes a failure, and a line for the administrator. Runs on the engine thread.
//!
//! A name is judged in the resolver, by the very addresses that the library then connects to; there is no second lookup
//! whose answer could differ. An address in the URL itself never comes to the resolver and is judged before the request
//! is begun.
//!
//! The machine's own addresses are looked up anew when they are asked for and have become old: a fail-over may move one.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::domain::guard::{Guard, Refusal, Trust};
use crate::domain::outcome::{Failure, FailureClass};

use super::resolver::Lookups;

/// How often a refusal is logged. Each is in the call's own row anyway, without the address.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// How long the machine's own addresses are taken for known.
const OWN_ADDRESSES_LAST: Duration = Duration::from_secs(5);

/// The guard of one client.
pub(super) struct Door {
    guard: Guard,
    lookups: Arc<dyn Lookups>,
    own: Mutex<Own>,
    said: Mutex<Said>,
}

/// The machine's own addresses.
#[derive(Default)]
struct Own {
    addresses: Vec<IpAddr>,
    since: Option<Instant>,
}

/// What has been logged.
#[derive(Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

/// A name none of whose addresses is allowed, on its way through the library's errors.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Refused(Refusal);

// === impl Door ===

impl Door {
    pub(super) fn new(guard: Guard, lookups: Arc<dyn Lookups>) -> Self {
        Self { guard, lookups, own: Mutex::default(), said: Mutex::default() }
    }

    /// Judges what the URL itself says. Called for every request, redirects included.
    pub(super) fn check(&self, url: &Url) -> Result<(), Failure> {
        self.guard.check_url(url, |address| self.is_own(address)).map_err(|refusal| {
            self.say(url.host_str().unwrap_or_default(), refusal, None);
            Refused(refusal).into()
        })
    }

    /// The addresses of a name that may be connected to.
    pub(super) fn admit(&self, name: &str, addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, Refused> {
        match self.guard.check_name(name) {
            Ok(Trust::Any) => return Ok(addresses.to_vec()),
            Ok(Trust::Judged) => {}
            Err(refusal) => return Err(Refused(refusal)),
        }
        let (mut admitted, mut refused) = (Vec::with_capacity(addresses.len()), None);
        for address in addresses {
            match self.guard.check_address(address.ip(), |address| self.is_own(address)) {
                Ok(()) => admitted.push(*address),
                Err(refusal) => refused = refused.or(Some((refusal, *address))),
            }
        }
        match refused {
            Some((refusal, address)) if admitted.is_empty() => {
                self.say(name, refusal, Some(address));
                Err(Refused(refusal))
            }
            _ => Ok(admitted),
        }
    }

    fn is_own(&self, address: IpAddr) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.since.is_none_or(|since| since.elapsed() > OWN_ADDRESSES_LAST) {
            own.since = Some(Instant::now());
            match self.lookups.own_addresses() {
                Ok(addresses) => own.addresses = addresses,
                Err(error) => tracing::warn!("this machine's own addresses cannot be listed: {error}"),
            }
        }
        own.addresses.contains(&address)
    }

    /// Tells the administrator what the caller is not told.
    fn say(&self, host: &str, refusal: Refusal, address: Option<SocketAddr>) {
        let Some(unsaid) = self.unsaid() else { return };
        let resolved = address.map(|address| format!(", which is at {},", address.ip())).unwrap_or_default();
        let reason = match refusal {
            Refusal::Host => "is in pg_edge.denied_hosts".to_owned(),
            Refusal::Address { range } => format!("is refused ({range}); pg_edge.allowed_networks could allow it"),
        };
        let more = if unsaid == 0 { String::new() } else { format!(" ({unsaid} more refusals were not logged)") };
        tracing::warn!("a call to {host}{resolved} {reason}{more}");
    }

    /// How many refusals were not logged since one was; `None` where it is too early for the next line.
    fn unsaid(&self) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < BETWEEN_LINES) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(Instant::now());
        Some(std::mem::take(&mut said.unsaid))
    }
}

// === impl Refused ===

impl From<Refused> for Failure {
    fn from(Refused(refusal): Refused) -> Self {
        Self::new(FailureClass::Blocked, refusal.to_string())
    }
}
