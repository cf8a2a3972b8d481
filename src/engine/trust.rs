//! TLS: whom to trust and when the handshake begins. Runs on the engine thread.
//!
//! The operating system's trust roots count, read when the client is made (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
//! honoured). The provider of cryptography is named here: the process may hold another extension with rustls in it,
//! so the process-wide default is neither used nor set.
//!
//! rustls does not say when a handshake begins. It does look into its session store right then, so a store that
//! forwards to the real one and tells the clock is how [`Timings::tls`](crate::domain::attempt::Timings::tls) is known.

use std::sync::Arc;

use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::client::{Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::clock::{self, Stage};

/// How many hosts' sessions are kept for resumption. The same as rustls's own default.
const SESSIONS: usize = 256;

/// A session store that tells the clock when it is first asked.
#[derive(Debug)]
struct TimedSessions(ClientSessionMemoryCache);

/// TLS 1.2 and 1.3 with ring, the system's roots, HTTP/2 where the peer offers it and else HTTP/1.1.
pub(super) fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match builder.with_platform_verifier() {
        Ok(builder) => builder,
        Err(error) => {
            // Calls to http:// must work on a machine without trust roots; those to https:// will say why they fail.
            tracing::warn!("no https call can succeed: {error} (on Debian, install ca-certificates)");
            ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(RootCertStore::empty())
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(TimedSessions(ClientSessionMemoryCache::new(SESSIONS))));
    Ok(config)
}

// === impl TimedSessions ===

impl ClientSessionStore for TimedSessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    /// The first thing a handshake asks for, in the turn in which TCP has connected.
    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        clock::enter(Stage::Handshaking);
        self.0.take_tls13_ticket(server_name)
    }
}
