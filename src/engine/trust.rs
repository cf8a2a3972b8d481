//! TLS: whom to trust, which versions, which certificate to show, and when the handshake begins. Runs on the engine
//! thread.
//!
//! The operating system's trust roots count, read when the client is made (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
//! honoured), and beside them the authorities that the settings name. The provider of cryptography is named here: the
//! process may hold another extension with rustls in it, so the process-wide default is neither used nor set.
//!
//! rustls does not say when a handshake begins. It does look into its session store right then, so a store that
//! forwards to the real one and tells the clock is how [`Timings::tls`](crate::domain::attempt::Timings::tls) is known.

use std::sync::Arc;

use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::client::{Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, NamedGroup, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;

use crate::domain::attempt::Identity;

use super::authorities::{AuthoritiesError, authorities};
use super::clock::{self, Stage};
use super::message::{OldestTls, TlsSettings};

/// How many hosts' sessions are kept for resumption. The same as rustls's own default.
const SESSIONS: usize = 256;

/// What all handshakes of a client have in common.
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    /// `None` where nobody at all is trusted.
    verifier: Option<Arc<Verifier>>,
    oldest: OldestTls,
    own: Vec<CertificateDer<'static>>,
}

/// What connections are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// HTTP/2 where the peer offers it, and else HTTP/1.1.
    Calls,
    /// The same, for calls whose answers are streamed.
    Streams,
    /// HTTP/1.1 alone, which can become a websocket.
    Sockets,
}

/// Why a client certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("the client certificate cannot be used: it holds no certificate in PEM form")]
    NoCertificate,
    #[error("the client certificate cannot be used: its key is no private key in PEM form")]
    NoKey,
    #[error("the client certificate cannot be used: its key is another certificate's")]
    AnothersKey,
    #[error("the client certificate cannot be used: {0}")]
    Refused(rustls::Error),
}

/// A session store that tells the clock when it is first asked. Each client certificate has its own, since a resumed
/// session is that of whoever began it.
#[derive(Debug)]
struct TimedSessions(ClientSessionMemoryCache);

/// The authorities that the settings name.
pub(super) fn read(settings: &TlsSettings) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    Ok(settings.ca_file.as_deref().map(authorities).transpose()?.unwrap_or_default())
}

// === impl Trust ===

impl Trust {
    /// Reads the system's roots, and takes the user's own beside them.
    pub(super) fn new(own: Vec<CertificateDer<'static>>, oldest: OldestTls) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match Verifier::new_with_extra_roots(own.iter().cloned(), Arc::clone(&provider)) {
            Ok(verifier) => Some(Arc::new(verifier)),
            Err(error) => {
                // Calls to http:// must work on a machine without trust roots; those to https:// will say why they fail.
                tracing::warn!("no https call can succeed: {error} (on Debian, install ca-certificates)");
                None
            }
        };
        Self { provider, verifier, oldest, own }
    }

    /// The user's own authorities.
    pub(super) fn own(&self) -> &[CertificateDer<'static>] {
        &self.own
    }

    /// The allowed versions with ring, and no client certificate.
    pub(super) fn config(&self, purpose: Purpose) -> Result<ClientConfig, rustls::Error> {
        Ok(finish(self.builder()?.with_no_client_auth(), purpose))
    }

    /// The same with a client certificate.
    pub(super) fn config_for(&self, identity: &Identity, purpose: Purpose) -> Result<ClientConfig, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&identity.certificate_chain)
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::NoCertificate)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        // What the parser says could hold some of the key.
        let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| IdentityError::NoKey)?;
        let builder = self.builder().map_err(IdentityError::Refused)?;
        builder.with_client_auth_cert(chain, key).map(|config| finish(config, purpose)).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => IdentityError::AnothersKey,
            other => IdentityError::Refused(other),
        })
    }

    fn builder(&self) -> Result<Builder, rustls::Error> {
        let versions: &[&SupportedProtocolVersion] = match self.oldest {
            OldestTls::V1_2 => &[&TLS13, &TLS12],
            OldestTls::V1_3 => &[&TLS13],
        };
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_protocol_versions(versions)?;
        Ok(match &self.verifier {
            Some(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::clone(verifier) as _),
            None => builder.with_root_certificates(RootCertStore::empty()),
        })
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn finish(mut config: ClientConfig, purpose: Purpose) -> ClientConfig {
    config.alpn_protocols = match purpose {
        Purpose::Calls | Purpose::Streams => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Purpose::Sockets => vec![b"http/1.1".to_vec()],
    };
    config.resumption = Resumption::store(Arc::new(TimedSessions(ClientSessionMemoryCache::new(SESSIONS))));
    config
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
