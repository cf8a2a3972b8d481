//! A peer that speaks real TLS, with certificates made for the test.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pg_edge::domain::attempt::Identity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use url::Url;

use super::peer::{Conn, Notes, Peer};

/// Someone who signs certificates.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

/// What a peer is to be like.
pub struct TlsOptions<'a> {
    /// Go into the certificate; the peer can be reached as localhost.
    pub names: &'a [&'a str],
    /// Names of application protocols.
    pub protocols: &'a [&'a str],
    /// First and last year of the certificate.
    pub years: (i32, i32),
    pub versions: &'a [&'static SupportedProtocolVersion],
    /// Whose client certificates are asked for.
    pub clients_of: Option<&'a Authority>,
    /// Redirects every request there.
    pub redirect: Option<&'a Url>,
    /// How many requests a connection may carry at once.
    pub at_once: u32,
}

/// A server that answers with the HTTP version it was asked in, and whether it saw a client certificate.
pub struct TlsPeer {
    pub url: Url,
    peer: Peer,
}

impl Authority {
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Authorities of the same name would be taken for each other.
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, format!("authority {number} of {}", std::process::id()));
        let certificate = params.self_signed(&key).unwrap();
        let file = std::env::temp_dir().join(format!("pg_edge-{}-authority-{number}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        Self { certificate, issuer: Issuer::new(params, key), file }
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A file with its certificate, as long as this lives.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A certificate for these names and years, with its key.
    fn sign(&self, names: &[&str], years: (i32, i32)) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 12, 31);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client certificate.
    pub fn identity(&self, years: (i32, i32)) -> Identity {
        let (certificate, key) = self.sign(&["client.example"], years);
        Identity { certificate_chain: certificate.pem().into(), key: key.serialize_pem().into() }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.file);
    }
}

impl Default for TlsOptions<'_> {
    fn default() -> Self {
        Self {
            names: &["localhost"],
            protocols: &["h2", "http/1.1"],
            years: (2000, 4000),
            versions: ALL_VERSIONS,
            clients_of: None,
            redirect: None,
            at_once: 2,
        }
    }
}

impl TlsOptions<'_> {
    /// What accepts connections like this.
    pub fn acceptor(&self, authority: &Authority) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(config(authority, self)))
    }
}

impl TlsPeer {
    pub fn start(authority: &Authority, options: &TlsOptions<'_>) -> Self {
        let acceptor = options.acceptor(authority);
        let redirect = options.redirect.map(Url::to_string);
        let at_once = options.at_once;
        let peer = Peer::scripted(move |conn| serve(acceptor.clone(), redirect.clone(), at_once, conn));
        let mut url = peer.url();
        url.set_scheme("https").unwrap();
        url.set_host(Some("localhost")).unwrap();
        Self { url, peer }
    }

    /// What happened at the peer, in order.
    pub fn noted(&self, note: &str) -> usize {
        self.peer.noted(note)
    }

    /// The handshakes that were completed.
    pub fn handshakes(&self) -> usize {
        self.peer.noted("handshake")
    }
}

fn config(authority: &Authority, options: &TlsOptions<'_>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(options.versions).unwrap();
    let builder = match options.clients_of {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (leaf, key) = authority.sign(options.names, options.years);
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = builder.with_single_cert(vec![leaf.der().clone()], key).unwrap();
    config.alpn_protocols = options.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn serve(acceptor: TlsAcceptor, redirect: Option<String>, at_once: u32, conn: Conn) {
    let notes = conn.notes();
    let stream = match acceptor.accept(conn.stream).into_fallible().await {
        Ok(stream) => stream,
        Err((_error, stream)) => return linger(stream).await,
    };
    notes.lock().unwrap().push("handshake".to_owned());
    let known = stream.get_ref().1.peer_certificates().is_some();
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (redirect, notes) = (redirect.clone(), Arc::clone(&notes));
        async move {
            tokio::task::yield_now().await;
            let client = if known { " from a known client" } else { "" };
            let whole = Full::new(Bytes::from(format!("over {:?}{client}", request.version())));
            let body = match request.uri().path() {
                "/events" => return Ok(events(3, notes)),
                "/flood" => return Ok(events(1_000_000, notes)),
                _ => whole.boxed(),
            };
            let response = hyper::Response::builder();
            let response = match redirect {
                Some(location) => response.status(307).header("location", location),
                None => response,
            };
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    server.http2().max_concurrent_streams(at_once);
    let _ended = server.serve_connection(TokioIo::new(stream), answer).await;
}

/// An event stream, over HTTP/2 as fast as it is read. Each kilobyte that the server could get rid of is noted.
fn events(count: usize, notes: Notes) -> hyper::Response<BoxBody<Bytes, Infallible>> {
    let frames = futures_util::stream::iter(0..count).map(move |number| {
        notes.lock().unwrap().push("event".to_owned());
        Ok(Frame::data(Bytes::from(format!("data: {number} {}\n\n", "x".repeat(1_000)))))
    });
    let response = hyper::Response::builder().header("content-type", "text/event-stream");
    response.body(BodyExt::boxed(StreamBody::new(frames))).unwrap()
}

/// An alert has been written. Closing with something unread would lose it on the way.
async fn linger(mut stream: TcpStream) {
    let _gone = stream.shutdown().await;
    let mut waste = [0; 1_024];
    while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}
