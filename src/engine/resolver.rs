//! Name resolution: once for all who ask for the same name at the same time, and only what the guard admits.
//!
//! The futures run on the engine thread. getaddrinfo blocks, so tokio runs it on a thread of its blocking pool, which
//! is started from the engine thread and inherits its signal mask. Sharing one lookup keeps a burst to one host, or a
//! host whose name server hangs, from taking a thread for each attempt. Nothing is cached beyond the lookup itself.
//!
//! A lookup has no limit of its own: whoever waits for it gives up when its connection has taken too long.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::clock::{self, Stage};
use super::door::Door;

/// Knows addresses: those of names, and the machine's own.
pub trait Lookups: Send + Sync + 'static {
    /// The addresses of this machine's network interfaces.
    fn own_addresses(&self) -> io::Result<Vec<IpAddr>>;

    /// The addresses of a name. Their port is 0, which stands for the one of the URL.
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// Asks the operating system.
pub(super) struct SystemLookups;

/// Resolves names for the client.
pub(super) struct Resolver {
    door: Arc<Door>,
    lookups: Arc<dyn Lookups>,
    under_way: Mutex<HashMap<String, WeakShared<Lookup>>>,
}

/// A name that could not be resolved.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(super) struct Unresolved(#[source] Arc<io::Error>);

type Lookup = BoxFuture<'static, Result<Arc<[SocketAddr]>, Unresolved>>;

// === impl SystemLookups ===

impl Lookups for SystemLookups {
    fn own_addresses(&self) -> io::Result<Vec<IpAddr>> {
        Ok(if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect())
    }

    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed()
    }
}

// === impl Resolver ===

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, door) = (self.join(name.as_str()), Arc::clone(&self.door));
        Box::pin(async move {
            clock::enter(Stage::Resolving);
            let addresses = lookup.await?;
            clock::enter(Stage::Connecting);
            Ok(Box::new(door.admit(name.as_str(), &addresses)?.into_iter()) as Addrs)
        })
    }
}

impl Resolver {
    pub(super) fn new(door: Arc<Door>, lookups: Arc<dyn Lookups>) -> Self {
        Self { door, lookups, under_way: Mutex::default() }
    }

    /// The lookup of this name that is under way, or a new one.
    fn join(&self, name: &str) -> Shared<Lookup> {
        let mut lookups = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // A lookup that ended may still be held by one who has not polled it yet: it is not joined, it is old.
        let under_way = lookups.get(name).and_then(WeakShared::upgrade).filter(|lookup| lookup.peek().is_none());
        under_way.unwrap_or_else(|| {
            lookups.retain(|_, lookup| lookup.upgrade().is_some());
            let lookup = self.lookups.look_up(name).map(addresses).boxed().shared();
            lookups.extend(lookup.downgrade().map(|weak| (name.to_owned(), weak)));
            lookup
        })
    }
}

fn addresses(found: io::Result<Vec<SocketAddr>>) -> Result<Arc<[SocketAddr]>, Unresolved> {
    let found = found.map_err(|error| Unresolved(Arc::new(error)))?;
    if found.is_empty() {
        return Err(Unresolved(Arc::new(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))));
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Lookups, SystemLookups};

    #[test]
    fn the_machine_knows_its_own_addresses() {
        let own = SystemLookups.own_addresses();
        assert!(own.is_ok_and(|own| own.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))));
    }
}
