//! Name resolution: the system's getaddrinfo, once for all who ask for the same name at the same time.
//!
//! The futures run on the engine thread. getaddrinfo blocks, so tokio runs it on a thread of its blocking pool, which
//! is started from the engine thread and inherits its signal mask. Sharing one lookup keeps a burst to one host, or a
//! host whose name server hangs, from taking a thread for each attempt. Nothing is cached beyond the lookup itself.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::clock::{self, Stage};

/// Resolves names for the client.
#[derive(Default)]
pub(super) struct Resolver {
    lookups: Arc<Mutex<HashMap<String, WeakShared<Lookup>>>>,
}

/// A name that could not be resolved.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(super) struct Unresolved(#[source] Arc<io::Error>);

type Lookup = BoxFuture<'static, Result<Arc<[SocketAddr]>, Unresolved>>;

// === impl Resolver ===

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.join(name.as_str());
        Box::pin(async move {
            clock::enter(Stage::Resolving);
            let addresses = lookup.await?;
            clock::enter(Stage::Connecting);
            let owned: Vec<_> = addresses.to_vec();
            Ok(Box::new(owned.into_iter()) as Addrs)
        })
    }
}

impl Resolver {
    /// The lookup of this name that is under way, or a new one.
    fn join(&self, name: &str) -> Shared<Lookup> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        // A lookup that ended may still be held by one who has not polled it yet: it is not joined, it is old.
        let under_way = lookups.get(name).and_then(WeakShared::upgrade).filter(|lookup| lookup.peek().is_none());
        under_way.unwrap_or_else(|| {
            lookups.retain(|_, lookup| lookup.upgrade().is_some());
            let lookup = look_up(name.to_owned()).boxed().shared();
            lookups.extend(lookup.downgrade().map(|weak| (name.to_owned(), weak)));
            lookup
        })
    }
}

async fn look_up(name: String) -> Result<Arc<[SocketAddr]>, Unresolved> {
    // Port 0 stands for the scheme's own port, which the library fills in.
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| Unresolved(Arc::new(error)))?;
    let addresses: Arc<[SocketAddr]> = found.collect();
    if addresses.is_empty() {
        return Err(Unresolved(Arc::new(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))));
    }
    Ok(addresses)
}
