//! A peer that speaks TLS, and the authority behind its certificate.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// Answers every request with 200. Its certificate is for 127.0.0.1.
pub struct TlsPeer {
    address: SocketAddr,
    authority: String,
    client: Client,
}

/// Who may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    Anyone,
    /// Whoever shows the peer's [`Client`] certificate.
    Known,
}

/// A client certificate of the peer's authority, and its key, in PEM form.
pub struct Client {
    pub certificate: String,
    pub key: String,
}

/// A certificate for 127.0.0.1, its key and its authority in PEM form, for servers that are programs of their own.
pub struct Loopback {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Loopback {
    pub fn generate() -> Self {
        let (authority, issuer) = authority();
        let (certificate, key) = sign("127.0.0.1", &issuer);
        Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl TlsPeer {
    /// One that speaks these versions with these clients.
    pub async fn start(versions: &[&'static SupportedProtocolVersion], clients: Clients) -> Self {
        let (config, authority, client) = certified(versions, clients);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let stream = match acceptor.accept(stream).into_fallible().await {
                        Ok(stream) => stream,
                        Err((_refused, stream)) => return linger(stream).await,
                    };
                    let answer = service_fn(|_| async {
                        Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"{}"))))
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _gone = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, authority, client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The certificate that it lets in.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The authority's certificate in PEM form.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

/// An alert has been written. Closing with something unread would lose it on the way.
async fn linger(mut stream: TcpStream) {
    let _gone = stream.shutdown().await;
    let mut waste = [0; 1_024];
    while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}

fn authority() -> (Certificate, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().expect("ring makes keys");
    let mut root = CertificateParams::new([]).expect("no names are good names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&key).expect("it can sign");
    (certificate, Issuer::new(root, key))
}

fn sign(name: &str, issuer: &Issuer<'_, KeyPair>) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().expect("ring makes keys");
    let leaf = CertificateParams::new([name.to_owned()]).expect("it is a name or an address");
    (leaf.signed_by(&key, issuer).expect("it can sign"), key)
}

fn certified(versions: &[&'static SupportedProtocolVersion], clients: Clients) -> (ServerConfig, String, Client) {
    let (authority, issuer) = authority();
    let ((leaf, leaf_key), (client, client_key)) = (sign("127.0.0.1", &issuer), sign("client.example", &issuer));
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("it is a certificate");
    let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let builder = builder.expect("ring speaks them");
    let builder = match clients {
        Clients::Anyone => builder.with_no_client_auth(),
        Clients::Known => builder.with_client_cert_verifier(known.build().expect("there is an authority")),
    };
    let config = builder
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
        .expect("the key is the certificate's");
    (config, authority.pem(), Client { certificate: client.pem(), key: client_key.serialize_pem() })
}
