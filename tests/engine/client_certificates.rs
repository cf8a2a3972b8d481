//! Client certificates: who sees them, and what is said when they will not do.

use std::sync::Arc;

use pg_edge::domain::attempt::{Attempt, Identity};
use pg_edge::domain::outcome::FailureClass;
use pg_edge::engine::{OldestTls, Settings, TlsSettings};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::sender::{Sender, get, settings};
use super::tls_peer::{Authority, TlsOptions, TlsPeer};

const YEARS: (i32, i32) = (2000, 4000);

fn trusting(authority: &Authority) -> Settings {
    Settings { tls: TlsSettings { ca_file: Some(authority.file().to_owned()), oldest: OldestTls::V1_2 }, ..settings() }
}

fn showing(identity: &Identity, mut attempt: Attempt) -> Attempt {
    attempt.route.identity = Some(Arc::new(identity.clone()));
    attempt
}

fn asking(authority: &Authority) -> TlsOptions<'_> {
    TlsOptions { clients_of: Some(authority), ..TlsOptions::default() }
}

#[test]
fn a_client_certificate_is_shown_to_a_peer_that_asks() {
    let authority = Authority::new();
    let identity = authority.identity(YEARS);
    for versions in [&[&TLS12], &[&TLS13]] {
        let peer = TlsPeer::start(&authority, &TlsOptions { versions, ..asking(&authority) });
        let sender = Sender::with(trusting(&authority));
        let response = sender.response(showing(&identity, get(&peer.url)));
        assert_eq!(response.body, "over HTTP/2.0 from a known client");
        sender.response(showing(&identity, get(&peer.url)));
        assert_eq!(peer.handshakes(), 1, "the same certificate, read anew, uses the same connection");
    }
}

#[test]
fn a_connection_of_one_certificate_serves_no_call_without_it() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &asking(&authority));
    let sender = Sender::with(trusting(&authority));
    let (first, second) = (authority.identity(YEARS), authority.identity(YEARS));
    sender.response(showing(&first, get(&peer.url)));
    assert_eq!(sender.failure(get(&peer.url)).class, FailureClass::Tls);
    sender.response(showing(&second, get(&peer.url)));
    assert_eq!(peer.handshakes(), 2);
}

#[test]
fn a_peer_that_requires_a_certificate_is_understood() {
    let authority = Authority::new();
    for versions in [&[&TLS12], &[&TLS13]] {
        let peer = TlsPeer::start(&authority, &TlsOptions { versions, ..asking(&authority) });
        let (class, message) = Sender::with(trusting(&authority)).refusal(get(&peer.url));
        assert_eq!(class, FailureClass::Tls);
        assert_eq!(message, "the TLS handshake failed: the peer requires a client certificate");
    }
}

#[test]
fn a_peer_that_does_not_like_the_certificate_is_understood() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let peer = TlsPeer::start(&authority, &asking(&authority));
    for (identity, because) in [
        (stranger.identity(YEARS), "the peer does not know the issuer of the client certificate"),
        (authority.identity((2000, 2001)), "the peer finds that the client certificate has expired"),
    ] {
        let (class, message) = Sender::with(trusting(&authority)).refusal(showing(&identity, get(&peer.url)));
        assert_eq!((class, message), (FailureClass::Tls, format!("the TLS handshake failed: {because}")));
    }
}

#[test]
fn a_certificate_that_cannot_be_used_fails_the_call_and_shows_none_of_it() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &asking(&authority));
    let (good, other) = (authority.identity(YEARS), authority.identity(YEARS));
    let broken_key = String::from_utf8(good.key.to_vec()).unwrap().replacen("MI", "!secret!", 1);
    for (certificate_chain, key, because) in [
        ("".into(), good.key.clone(), "it holds no certificate in PEM form"),
        (good.key.clone(), good.key.clone(), "it holds no certificate in PEM form"),
        (good.certificate_chain.clone(), "".into(), "its key is no private key in PEM form"),
        (good.certificate_chain.clone(), broken_key.into(), "its key is no private key in PEM form"),
        (good.certificate_chain.clone(), other.key, "its key is another certificate's"),
    ] {
        let identity = Identity { certificate_chain, key };
        let (class, message) = Sender::with(trusting(&authority)).refusal(showing(&identity, get(&peer.url)));
        assert_eq!(class, FailureClass::InvalidRequest);
        assert_eq!(message, format!("the client certificate cannot be used: {because}"));
    }
    assert_eq!(format!("{good:?}"), "Identity");
}

#[test]
fn a_redirect_to_another_origin_does_not_take_the_certificate_along() {
    let authority = Authority::new();
    let second = TlsPeer::start(&authority, &asking(&authority));
    let first = TlsPeer::start(&authority, &TlsOptions { redirect: Some(&second.url), ..asking(&authority) });
    let mut attempt = showing(&authority.identity(YEARS), get(&first.url));
    attempt.route.redirects = 1;
    let (class, message) = Sender::with(trusting(&authority)).refusal(attempt);
    assert_eq!(class, FailureClass::Tls);
    assert_eq!(message, "after a redirect: the TLS handshake failed: the peer requires a client certificate");
    assert_eq!(first.handshakes(), 1);
}
