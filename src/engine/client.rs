//! The HTTP clients of attempts and of websockets' handshakes, and with them the connections. Runs on the engine thread.
//!
//! There is a client for the calls whose answers are bodies, one for those that are streamed, and one for websockets, which
//! keeps no idle connections. Each client certificate has clients of its own: a connection belongs to who made it.

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
use super::trust::{self, Purpose, Trust};

/// What an HTTP/2 peer may send of one answer that is not read. It is kept in our memory, unlike what a peer sends over a
/// connection of its own, so it is less than the library's default.
const UNREAD_OF_ONE: u32 = 512 << 10;

/// What an HTTP/2 peer may send of all answers on one connection that are not read. Streams that stand still must not
/// take all of it, or the calls beside them would stand still too.
const UNREAD_OF_ALL: u32 = 32 << 20;

/// What an attempt needs to reach the wire. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire(Arc<Kit>);

/// What comes from one reading of the settings.
struct Kit {
    calls: Clients,
    streams: Clients,
    sockets: Clients,
    settings: Settings,
    trust: Trust,
    door: Arc<Door>,
    resolver: Arc<Resolver>,
    lookups: Arc<dyn Lookups>,
}

/// The clients of one purpose.
struct Clients {
    anonymous: reqwest::Client,
    identified: Mutex<Identities>,
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
        let clients = |purpose| {
            let config = trust.config(purpose).map_err(StartError::Tls)?;
            let anonymous = client(&settings, config, purpose, &resolver).map_err(StartError::Client)?;
            Ok::<_, StartError>(Clients { anonymous, identified: Mutex::default() })
        };
        let (calls, streams) = (clients(Purpose::Calls)?, clients(Purpose::Streams)?);
        let sockets = clients(Purpose::Sockets)?;
        Ok(Self(Arc::new(Kit { calls, streams, sockets, settings, trust, door, resolver, lookups })))
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
        purpose: Purpose,
    ) -> Result<impl Future<Output = Result<reqwest::Response, reqwest::Error>> + use<>, Failure> {
        Ok(self.0.client(purpose, identity)?.execute(request))
    }
}

// === impl Kit ===

impl Kit {
    /// The client that shows this certificate, or none.
    fn client(&self, purpose: Purpose, identity: Option<&Arc<Identity>>) -> Result<reqwest::Client, Failure> {
        let clients = match purpose {
            Purpose::Calls => &self.calls,
            Purpose::Streams => &self.streams,
            Purpose::Sockets => &self.sockets,
        };
        let Some(identity) = identity else { return Ok(clients.anonymous.clone()) };
        let mut identified = clients.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = identified.get(identity) {
            return Ok(known);
        }
        let unusable = |reason: String| Failure::new(FailureClass::InvalidRequest, reason);
        let config = self.trust.config_for(identity, purpose).map_err(|error| unusable(error.to_string()))?;
        let client = client(&self.settings, config, purpose, &self.resolver);
        let client = client.map_err(|error| unusable(error.to_string()))?;
        identified.put(Arc::clone(identity), client.clone());
        Ok(client)
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
    purpose: Purpose,
    resolver: &Arc<Resolver>,
) -> Result<reqwest::Client, reqwest::Error> {
    let builder = match purpose {
        Purpose::Calls => pooled(settings),
        // To unpack brotli takes up to 16 MB. A body is short-lived, but there may be thousands of streams, and they may last
        // for hours; what they may be packed with takes some kilobytes.
        Purpose::Streams => pooled(settings).no_brotli(),
        // Each of its connections becomes a websocket or is of no use. Some servers only know the names of headers as
        // they are usually written.
        Purpose::Sockets => {
            let builder = reqwest::Client::builder().no_gzip().no_brotli();
            builder.http1_only().http1_title_case_headers().pool_max_idle_per_host(0)
        }
    };
    builder
        .tls_backend_preconfigured(config)
        .dns_resolver(Arc::clone(resolver))
        .connector_layer(TimedLayer)
        .http2_initial_stream_window_size(UNREAD_OF_ONE)
        .http2_initial_connection_window_size(UNREAD_OF_ALL)
        .user_agent(settings.user_agent.as_str())
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .build()
}

/// One that keeps connections for later.
fn pooled(settings: &Settings) -> reqwest::ClientBuilder {
    let idle = settings.max_idle_per_host;
    reqwest::Client::builder().pool_idle_timeout(settings.idle_connection_timeout).pool_max_idle_per_host(idle)
}
