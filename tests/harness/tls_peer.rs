//! A peer that speaks TLS, and the authority behind its certificate.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

/// Answers every request with 200. Its certificate is for 127.0.0.1.
pub struct TlsPeer {
    address: SocketAddr,
    authority: String,
}

impl TlsPeer {
    /// One that speaks these versions.
    pub async fn start(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let (config, authority) = certified(versions);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends the handshake.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(|_| async {
                        Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"{}"))))
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _gone = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, authority }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The authority's certificate in PEM form.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

fn certified(versions: &[&'static SupportedProtocolVersion]) -> (ServerConfig, String) {
    let generate = || KeyPair::generate().expect("ring makes keys");
    let key = generate();
    let mut root = CertificateParams::new([]).expect("no names are good names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = root.self_signed(&key).expect("it can sign").pem();
    let leaf_key = generate();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("it is an address");
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, key)).expect("it can sign");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
        .expect("the key is the certificate's");
    (config, authority)
}
