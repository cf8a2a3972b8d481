//! The HTTP client that all attempts share, and with it the connections. Runs on the engine thread.

use reqwest::redirect::Policy;

use super::connector::TimedLayer;
use super::message::{Settings, StartError};
use super::resolver::Resolver;
use super::trust;

/// What an attempt needs to reach the wire. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) client: reqwest::Client,
}

// === impl Wire ===

impl Wire {
    /// A client that does what the call says and nothing else: no redirects, no proxies from the environment, no
    /// cookies, no referer. It retries by itself only what a peer is known not to have processed: a request on a
    /// connection that closed before the request was written, and a stream an HTTP/2 peer refused.
    pub(super) fn new(settings: &Settings) -> Result<Self, StartError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::tls_config().map_err(StartError::Tls)?)
            .dns_resolver(Resolver::default())
            .connector_layer(TimedLayer)
            .pool_idle_timeout(settings.idle_connection_timeout)
            .pool_max_idle_per_host(settings.max_idle_per_host)
            .user_agent(settings.user_agent.as_str())
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(StartError::Client)?;
        Ok(Self { client })
    }
}
