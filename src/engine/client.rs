//! The HTTP clients of the attempts, and with them the connections. Runs on the engine thread.
//!
//! One client serves all attempts whose answers are bodies, and one those that are streamed. Those that show a client
//! certificate have others: a connection belongs to who made it, so each certificate has clients, and with them connections,
//! of its own.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use url::Url;

use crate::domain::attempt::Identity;
use crate::domain::outcome::{Failure, FailureClass};

use super::connector::TimedLayer;
use super::door::Door;
use super::identities::Identities;
use super::message::{Settings, StartError};
use super::resolver::{Lookups, Resolver};
use super::trust::{self, Trust};

/// What an HTTP/2 peer may send of one answer that is not read. It is kept in our memory, unlike what a peer sends over a
/// connection of its own, so it is less than the library's default.
const UNREAD_OF_ONE: u32 = 512 << 10;

/// What an HTTP/2 peer may send of all answers on one connection that are not read. Streams that stand still must not
/// take all of it, or the calls beside them would stand still too.
const UNREAD_OF_ALL: u32 = 32 << 20;

/// What an answer may be packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// With whatever is common. To unpack brotli takes up to 16 MB, but a body is short-lived. Zstandard, which may take
    /// eight times that, is not among it: the library knows no limit for it.
    Any,
    /// With what takes some kilobytes to unpack, as long as that lasts: there may be thousands of streams, and they may last
    /// for hours.
    Light,
}

/// One for each packing.
#[derive(Default)]
struct ByPacking<T> {
    any: T,
    light: T,
}

/// What an attempt needs to reach the wire. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire(Arc<Kit>);

/// What comes from one reading of the settings.
struct Kit {
    clients: ByPacking<reqwest::Client>,
    identified: ByPacking<Mutex<Identities>>,
    settings: Settings,
    trust: Trust,
    door: Arc<Door>,
    resolver: Arc<Resolver>,
    lookups: Arc<dyn Lookups>,
}

// === impl Wire ===

impl Wire {
    /// Authorities that cannot be read cost the calls that need them, and no others.
    pub(super) fn new(settings: Settings, lookups: Arc<dyn Lookups>) -> Result<Self, StartError> {
        let own = trust::read(&settings.tls).unwrap_or_else(|error| {
            tracing::error!("only the system's certificate authorities are trusted: {error}");
            Vec::new()
        });
        Self::assemble(settings, own, lookups)
    }

    /// One for other settings, without the connections of this one; `None` where nothing is different.
    pub(super) fn renewed(&self, settings: Settings) -> Result<Option<Self>, StartError> {
        // A file that cannot be read any more does not keep the other settings, the guard's above all, from being used.
        let own = trust::read(&settings.tls).unwrap_or_else(|error| {
            tracing::error!("the engine keeps its former certificate authorities: {error}");
            self.0.trust.own().to_vec()
        });
        if settings == self.0.settings && own == self.0.trust.own() {
            return Ok(None);
        }
        Self::assemble(settings, own, Arc::clone(&self.0.lookups)).map(Some)
    }

    fn assemble(
        settings: Settings,
        own: Vec<CertificateDer<'static>>,
        lookups: Arc<dyn Lookups>,
    ) -> Result<Self, StartError> {
        let trust = Trust::new(own, settings.tls.oldest);
        let door = Arc::new(Door::new(settings.guard.clone(), Arc::clone(&lookups)));
        let resolver = Arc::new(Resolver::new(Arc::clone(&door), Arc::clone(&lookups)));
        let config = trust.config().map_err(StartError::Tls)?;
        let client = |packing| client(&settings, config.clone(), &resolver, packing).map_err(StartError::Client);
        let clients = ByPacking { any: client(Packing::Any)?, light: client(Packing::Light)? };
        Ok(Self(Arc::new(Kit { clients, identified: ByPacking::default(), settings, trust, door, resolver, lookups })))
    }

    /// Whether a request for this URL may be begun.
    pub(super) fn check(&self, url: &Url) -> Result<(), Failure> {
        self.0.door.check(url)
    }

    /// Hands a request to the library, with the client certificate where there is one.
    pub(super) fn execute(
        &self,
        request: reqwest::Request,
        identity: Option<&Arc<Identity>>,
        packing: Packing,
    ) -> Result<impl Future<Output = Result<reqwest::Response, reqwest::Error>> + use<>, Failure> {
        Ok(match identity {
            None => self.0.clients.of(packing).execute(request),
            Some(identity) => self.identified(identity, packing)?.execute(request),
        })
    }

    /// The client that shows this certificate.
    fn identified(&self, identity: &Arc<Identity>, packing: Packing) -> Result<reqwest::Client, Failure> {
        let mut identified = self.0.identified.of(packing).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = identified.get(identity) {
            return Ok(known);
        }
        let unusable = |reason: String| Failure::new(FailureClass::InvalidRequest, reason);
        let config = self.0.trust.config_for(identity).map_err(|error| unusable(error.to_string()))?;
        let client = client(&self.0.settings, config, &self.0.resolver, packing);
        let client = client.map_err(|error| unusable(error.to_string()))?;
        identified.put(Arc::clone(identity), client.clone());
        Ok(client)
    }
}

// === impl ByPacking ===

impl<T> ByPacking<T> {
    fn of(&self, packing: Packing) -> &T {
        match packing {
            Packing::Any => &self.any,
            Packing::Light => &self.light,
        }
    }
}

/// A client that does what the call says and nothing else: no redirects, no proxies from the environment, no
/// cookies, no referer. It retries by itself only what a peer is known not to have processed: a request on a
/// connection that closed before the request was written, and a stream an HTTP/2 peer refused.
///
/// It has no connect timeout, because the limit is each attempt's own: see `connector`.
fn client(
    settings: &Settings,
    config: ClientConfig,
    resolver: &Arc<Resolver>,
    packing: Packing,
) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .dns_resolver(Arc::clone(resolver))
        .connector_layer(TimedLayer)
        .pool_idle_timeout(settings.idle_connection_timeout)
        .pool_max_idle_per_host(settings.max_idle_per_host)
        .http2_initial_stream_window_size(UNREAD_OF_ONE)
        .http2_initial_connection_window_size(UNREAD_OF_ALL)
        .brotli(packing == Packing::Any)
        .user_agent(settings.user_agent.as_str())
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .build()
}
