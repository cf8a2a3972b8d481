//! Real TLS: who is trusted, what is spoken, and what is said when it fails.

use std::path::Path;
use std::time::Duration;

use pg_edge::domain::guard::Guard;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use pg_edge::engine::{OldestTls, Settings, TlsSettings, authorities};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::child::{self, report_with_environment};
use super::peer::Peer;
use super::sender::{Sender, eventually, get, numbered, settings};
use super::tls_peer::{Authority, TlsOptions, TlsPeer};

fn trusting(file: &Path) -> Settings {
    Settings { tls: TlsSettings { ca_file: Some(file.to_owned()), oldest: OldestTls::V1_2 }, ..settings() }
}

fn handshake_failed(because: &str) -> (FailureClass, String) {
    (FailureClass::Tls, format!("the TLS handshake failed: {because}"))
}

#[test]
fn an_authority_of_ones_own_is_trusted() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions::default());
    assert_eq!(Sender::with(trusting(authority.file())).response(get(&peer.url)).body, "over HTTP/2.0");
}

#[test]
fn a_certificate_that_is_not_valid_is_refused_in_plain_words() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = TlsOptions::default;
    for (signer, options, because) in [
        (&stranger, good(), "the certificate's issuer is trusted neither by this system nor by pg_edge.ca_file"),
        (&authority, TlsOptions { names: &["elsewhere.example"], ..good() }, "the certificate is for another name"),
        (&authority, TlsOptions { years: (2000, 2001), ..good() }, "the certificate has expired"),
        (&authority, TlsOptions { years: (3000, 3001), ..good() }, "the certificate is not valid yet"),
    ] {
        let peer = TlsPeer::start(signer, &options);
        let refusal = Sender::with(trusting(authority.file())).refusal(get(&peer.url));
        assert_eq!(refusal, handshake_failed(because));
    }
}

#[test]
fn the_systems_authorities_are_trusted_and_those_of_the_file_beside_them() {
    let (system, own) = (Authority::new(), Authority::new());
    let variables =
        [("SSL_CERT_FILE", system.file().to_str().unwrap()), ("TEST_CA_FILE", own.file().to_str().unwrap())];
    for (authority, variables) in [(&system, &variables[..1]), (&system, &variables[..]), (&own, &variables[..])] {
        let peer = TlsPeer::start(authority, &TlsOptions::default());
        let report = child::run("tls::trusts_a_file", &peer.url, variables);
        assert!(report.contains("over HTTP/2.0"), "{report}");
    }
}

#[test]
#[ignore = "is the child process of another test"]
fn trusts_a_file() {
    let settings = std::env::var_os("TEST_CA_FILE").map_or_else(settings, |file| trusting(Path::new(&file)));
    println!("{:?}", Sender::with(settings).report(get(&child::given_url())));
}

#[test]
fn a_file_of_authorities_may_hold_several_and_other_things() {
    let (first, second, bundle) = (Authority::new(), Authority::new(), Authority::new());
    let text = format!("# ours\n{}\nand theirs\n{}", first.pem(), second.pem());
    std::fs::write(bundle.file(), text).unwrap();
    let sender = Sender::with(trusting(bundle.file()));
    for authority in [&first, &second] {
        let peer = TlsPeer::start(authority, &TlsOptions::default());
        assert_eq!(sender.response(get(&peer.url)).body, "over HTTP/2.0");
    }
    assert_eq!(authorities(bundle.file()).unwrap().len(), 2);
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_says_why() {
    let file = Authority::new();
    let broken = file.pem().replacen("MII", "AAA", 1);
    for (content, because) in [
        ("", "the file with certificate authorities holds no certificate in PEM form"),
        ("nonsense", "the file with certificate authorities holds no certificate in PEM form"),
        (broken.as_str(), "certificate 1 of the file with certificate authorities cannot be read"),
    ] {
        std::fs::write(file.file(), content).unwrap();
        assert_eq!(authorities(file.file()).unwrap_err().to_string(), because, "{content}");
    }
    let not_there = authorities(Path::new("/not/there.pem")).unwrap_err().to_string();
    assert!(not_there.starts_with("the file with certificate authorities cannot be read: No such file"), "{not_there}");
    let directory = authorities(&std::env::temp_dir()).unwrap_err().to_string();
    assert_eq!(directory, "the file with certificate authorities is not a regular file");
}

#[test]
fn authorities_that_cannot_be_read_any_more_stay_and_the_other_settings_change() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions::default());
    let sender = Sender::with(trusting(authority.file()));
    std::fs::write(authority.file(), "nonsense").unwrap();
    sender.engine.reconfigure(Settings { user_agent: "renamed".to_owned(), ..trusting(authority.file()) });
    assert_eq!(sender.response(get(&peer.url)).body, "over HTTP/2.0");
    sender.engine.reconfigure(Settings { guard: Guard::default(), ..trusting(authority.file()) });
    assert_eq!(sender.failure(get(&peer.url)).class, FailureClass::Blocked);
    let mut lines = Vec::new();
    eventually("lines are logged", || {
        sender.engine.drain_log(&mut lines);
        lines.len() == 3
    });
    assert!(lines[0].message.starts_with("the engine keeps its former certificate authorities: "), "{lines:?}");
}

#[test]
fn authorities_are_read_anew_with_the_settings() {
    let (old, new) = (Authority::new(), Authority::new());
    let peer = TlsPeer::start(&new, &TlsOptions::default());
    let sender = Sender::with(trusting(old.file()));
    assert_eq!(sender.failure(get(&peer.url)).class, FailureClass::Tls);
    std::fs::write(old.file(), new.pem()).unwrap();
    sender.engine.reconfigure(trusting(old.file()));
    assert_eq!(sender.response(get(&peer.url)).body, "over HTTP/2.0");
    sender.engine.reconfigure(trusting(old.file()));
    sender.response(get(&peer.url));
    assert_eq!(peer.handshakes(), 1, "what is the same does not cost the open connections");
}

#[test]
fn an_engine_starts_although_its_authorities_cannot_be_read() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let sender = Sender::with(trusting(Path::new("/not/there.pem")));
    assert_eq!(sender.response(get(&peer.url())).body, "ok");
    let mut lines = Vec::new();
    sender.engine.drain_log(&mut lines);
    assert!(lines[0].message.starts_with("only the system's certificate authorities are trusted: "), "{lines:?}");
}

#[test]
fn a_version_that_is_too_old_is_not_spoken() {
    let authority = Authority::new();
    let old = TlsPeer::start(&authority, &TlsOptions { versions: &[&TLS12], ..TlsOptions::default() });
    let new = TlsPeer::start(&authority, &TlsOptions { versions: &[&TLS13], ..TlsOptions::default() });
    let sender = Sender::with(trusting(authority.file()));
    for peer in [&old, &new] {
        assert_eq!(sender.response(get(&peer.url)).body, "over HTTP/2.0");
    }
    let mut strict = trusting(authority.file());
    strict.tls.oldest = OldestTls::V1_3;
    sender.engine.reconfigure(strict);
    let because = "the peer speaks no version of TLS that pg_edge.tls_min_version allows";
    assert_eq!(sender.refusal(get(&old.url)), handshake_failed(because));
    assert_eq!(sender.response(get(&new.url)).body, "over HTTP/2.0");
}

#[test]
fn a_handshake_that_hangs_runs_into_the_connect_limit() {
    let mut url = Peer::silent().url();
    url.set_scheme("https").unwrap();
    let mut attempt = get(&url);
    attempt.limits.connect = Duration::from_secs(2);
    let (class, message) = Sender::new().refusal(attempt);
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 2 s: the TLS handshake did not end");
}

#[test]
fn http_2_is_spoken_where_the_peer_offers_it_and_the_handshake_is_timed() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions::default());
    let report = report_with_environment(&peer.url, &[("SSL_CERT_FILE", authority.file().to_str().unwrap())]);
    assert!(report.contains("over HTTP/2.0"), "{report}");
    for part in ["dns: Some", "connect: Some", "tls: Some"] {
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn http_1_1_is_spoken_where_the_peer_offers_nothing_else() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions { protocols: &["http/1.1"], ..TlsOptions::default() });
    assert_eq!(Sender::with(trusting(authority.file())).response(get(&peer.url)).body, "over HTTP/1.1");
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
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions { protocols: &["h2"], ..TlsOptions::default() });
    let sender = Sender::with(trusting(authority.file()));
    for call in 0..200 {
        sender.engine.send(numbered(call, get(&peer.url)));
    }
    let reports = sender.reports(200);
    let is_good = |outcome: &Outcome| matches!(outcome, Outcome::Response(r) if r.body == "over HTTP/2.0");
    assert!(reports.iter().all(|report| is_good(&report.outcome)), "{reports:?}");
}
