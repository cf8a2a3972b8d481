//! Real TLS, with certificates made for the test.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pg_edge::domain::outcome::{FailureClass, Outcome};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use url::Url;

use super::child::{self, report_with_environment};
use super::peer::Peer;
use super::sender::{Sender, get, numbered};

/// A server that answers with the HTTP version it was asked in, and the file with the authority behind its certificate.
struct TlsServer {
    url: Url,
    authority: PathBuf,
}

impl TlsServer {
    /// `names` go into the certificate; the server can be reached as localhost.
    fn start(file: &str, names: &[&str], protocols: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new([]).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = std::env::temp_dir().join(format!("pg_edge-{}-{file}.pem", std::process::id()));
        std::fs::write(&authority, root.self_signed(&key).unwrap().pem()).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, key)).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let peer = Peer::scripted(move |conn| {
            let acceptor = acceptor.clone();
            async move {
                // A client that does not trust the certificate ends the handshake, which is what some tests want.
                let Ok(stream) = acceptor.accept(conn.stream).await else { return };
                let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.http2().max_concurrent_streams(2);
                let _ended = server.serve_connection(TokioIo::new(stream), service_fn(version)).await;
            }
        });
        let mut url = peer.url();
        url.set_scheme("https").unwrap();
        url.set_host(Some("localhost")).unwrap();
        Self { url, authority }
    }

    fn trusted(&self) -> [(&'static str, &str); 1] {
        [("SSL_CERT_FILE", self.authority.to_str().unwrap())]
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.authority);
    }
}

async fn version(request: hyper::Request<hyper::body::Incoming>) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    tokio::task::yield_now().await;
    Ok(hyper::Response::new(Full::new(format!("over {:?}", request.version()).into())))
}

#[test]
fn a_certificate_of_an_unknown_issuer_is_refused_in_plain_words() {
    let server = TlsServer::start("unknown", &["localhost"], &["h2", "http/1.1"]);
    let (class, message) = Sender::new().refusal(get(&server.url));
    assert_eq!(class, FailureClass::Tls);
    assert_eq!(
        message,
        "the TLS handshake failed: the certificate's issuer is trusted neither by this system nor by pg_edge.ca_file"
    );
}

#[test]
fn a_certificate_for_another_name_is_refused_in_plain_words() {
    let server = TlsServer::start("name", &["elsewhere.example"], &["h2"]);
    let report = report_with_environment(&server.url, &server.trusted());
    assert!(report.contains("class: Tls") && report.contains("the certificate is for another name"), "{report}");
}

#[test]
fn http_2_is_spoken_where_the_peer_offers_it_and_the_handshake_is_timed() {
    let server = TlsServer::start("h2", &["localhost"], &["h2", "http/1.1"]);
    let report = report_with_environment(&server.url, &server.trusted());
    assert!(report.contains("over HTTP/2.0"), "{report}");
    for part in ["dns: Some", "connect: Some", "tls: Some"] {
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn http_1_1_is_spoken_where_the_peer_offers_nothing_else() {
    let server = TlsServer::start("h1", &["localhost"], &["http/1.1"]);
    let report = report_with_environment(&server.url, &server.trusted());
    assert!(report.contains("over HTTP/1.1"), "{report}");
}

#[test]
fn a_peer_that_does_not_speak_tls_fails_the_handshake() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.send(b"220 mail.example ESMTP\r\n").await;
        conn.until_closed().await;
    });
    let mut url = peer.url();
    url.set_scheme("https").unwrap();
    let (class, message) = Sender::new().refusal(get(&url));
    assert_eq!(class, FailureClass::Tls, "{message}");
}

#[test]
fn a_peer_that_hangs_up_in_the_handshake_fails_the_handshake() {
    let peer = Peer::scripted(|conn| async move { drop(conn) });
    let mut url = peer.url();
    url.set_scheme("https").unwrap();
    let (class, message) = Sender::new().refusal(get(&url));
    assert_eq!(class, FailureClass::Tls, "{message}");
}

#[test]
fn a_peers_limit_on_streams_makes_calls_wait_and_not_fail() {
    let server = TlsServer::start("streams", &["localhost"], &["h2"]);
    let report = child::run("tls::sends_many_calls", &server.url, &server.trusted());
    assert!(report.contains("200 of 200 over HTTP/2.0"), "{report}");
}

#[test]
#[ignore = "is the child process of another test"]
fn sends_many_calls() {
    let url = child::given_url();
    let sender = Sender::new();
    for call in 0..200 {
        sender.engine.send(numbered(call, get(&url)));
    }
    let reports = sender.reports(200);
    let good =
        reports.iter().filter(|report| matches!(&report.outcome, Outcome::Response(r) if r.body == "over HTTP/2.0"));
    println!("{} of 200 over HTTP/2.0", good.count());
    let failures: Vec<_> = reports.iter().filter(|r| matches!(r.outcome, Outcome::Failure(_))).take(3).collect();
    println!("{failures:?}");
}
