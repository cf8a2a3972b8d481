//! What may be said of a websocket when it is asked for: where it goes, with what, and how it is closed.

use pg_edge::domain::endpoint;
use pg_edge::domain::header::HeaderError;
use pg_edge::domain::socket::address::{AddressError, resolve, stored};
use pg_edge::domain::socket::wish::{WishError, farewell, headers, subprotocols};
use proptest::prelude::*;
use url::Url;

fn base(url: &str) -> Url {
    endpoint::base_url(url).unwrap()
}

#[test]
fn a_url_is_one_of_a_websocket_and_one_of_http_is_turned() {
    let table = [
        ("ws://host/", "ws://host/"),
        ("wss://host", "wss://host/"),
        ("WSS://Host:443/Room?A=b", "wss://host/Room?A=b"),
        ("ws://host:80/", "ws://host/"),
        ("http://host:80/a", "ws://host/a"),
        ("https://host/a?room=1", "wss://host/a?room=1"),
        ("https://host:444/a", "wss://host:444/a"),
        ("http://host:443/", "ws://host:443/"),
        (" wss://host/a b", "wss://host/a%20b"),
        ("wss://b\u{fc}cher.example/", "wss://xn--bcher-kva.example/"),
        ("ws://[::1]:8000/", "ws://[::1]:8000/"),
        ("ws://127.1/", "ws://127.0.0.1/"),
    ];
    for (given, wanted) in table {
        let kept = stored(given, None).unwrap();
        assert_eq!(kept, wanted, "{given}");
        assert_eq!(resolve(&kept, None).unwrap().as_str(), wanted, "{given}");
    }
}

#[test]
fn what_is_no_url_of_a_websocket_is_refused_with_its_reason() {
    let long = format!("wss://host/{}", "x".repeat(16 * 1024));
    let host = format!("wss://{}/", "x".repeat(254));
    let table = [
        ("", "it must begin with wss:// or ws://"),
        ("/room", "it must begin with wss:// or ws://"),
        ("host/room", "it must begin with wss:// or ws://"),
        ("wss://", "empty host"),
        ("ws://host:99999/", "invalid port number"),
        ("ftp://host/", "the URL scheme \"ftp\" is not supported for a websocket; use wss or ws"),
        ("wss+unix://host/", "the URL scheme \"wss+unix\""),
        ("javascript:alert(1)", "the URL scheme \"javascript\""),
        ("wss://ada:hush@host/", "user name or password"),
        ("wss://ada@host/", "user name or password"),
        ("wss://./", "names no host"),
        ("wss://host/#here", "must not have a fragment"),
        ("wss://host/#", "must not have a fragment"),
        ("wss://host/?token=${secret:x}", "secrets are for headers"),
        ("wss://host/?token=${secret:x", "secrets are for headers"),
        (&long, "more than the 16384"),
        (&host, "more than the 253"),
    ];
    for (given, words) in table {
        let refused = stored(given, None).unwrap_err().to_string();
        assert!(refused.contains(words), "{given}: {refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
}

#[test]
fn with_an_endpoint_a_path_follows_its_base() {
    let one = base("https://one.example/functions/v1/");
    for (given, kept, there) in [
        ("room?id=1", "room?id=1", "ws://two:8000/f/room?id=1"),
        ("/room", "room", "ws://two:8000/f/room"),
        ("", "", "ws://two:8000/f"),
        ("//evil.example/x", "evil.example/x", "ws://two:8000/f/evil.example/x"),
    ] {
        assert_eq!(stored(given, Some(&one)).unwrap(), kept, "{given}");
        assert_eq!(resolve(kept, Some(&base("http://two:8000/f"))).unwrap().as_str(), there, "{given}");
    }
    assert_eq!(resolve("room", Some(&one)).unwrap().as_str(), "wss://one.example/functions/v1/room");
}

#[test]
fn with_an_endpoint_a_whole_url_is_at_its_origin_whichever_scheme_it_has() {
    let one = base("https://one.example/functions/v1");
    for given in ["wss://one.example/x", "https://one.example/x", "WSS://ONE.example:443/x", " wss:one.example/x"] {
        let kept = stored(given, Some(&one)).unwrap();
        assert_eq!(resolve(&kept, Some(&one)).unwrap().as_str(), "wss://one.example/x", "{given}");
    }
    for given in ["ws://one.example/x", "wss://two.example/x", "http://one.example/x", "wss://one.example:444/x"] {
        let refused = stored(given, Some(&one)).unwrap_err();
        assert!(matches!(refused, AddressError::Endpoint(_)), "{given}: {refused:?}");
        assert!(refused.to_string().contains("https://one.example"), "{refused}");
    }
    assert_eq!(stored("room#1", Some(&one)), Err(AddressError::Fragment));
    assert_eq!(stored("room?t=${secret:x}", Some(&one)), Err(AddressError::Secret));
}

proptest! {
    #[test]
    fn what_is_kept_always_means_a_websocket(given in "(wss?|https?|ftp|ws)?:?(//)?[a-z@:\\[\\]%./?#\\\\ {}$0-9\u{e4}\u{1F600}]{0,24}") {
        if let Ok(kept) = stored(&given, None) {
            let url = resolve(&kept, None).unwrap();
            prop_assert!(matches!(url.scheme(), "ws" | "wss"), "{given} {url}");
            prop_assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
            prop_assert_eq!(url.as_str(), kept);
        }
        let one = base("https://one.example/f");
        if let Ok(kept) = stored(&given, Some(&one)) {
            let url = resolve(&kept, Some(&one)).unwrap();
            prop_assert_eq!(url.scheme(), "wss");
            prop_assert_eq!(url.host_str(), Some("one.example"), "{}", given);
        }
    }
}

#[test]
fn subprotocols_are_tokens_and_each_is_there_once() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for good in [&["graphql-transport-ws"][..], &["v1.chat", "V1.chat"], &["jwt-ey.A_b-c"], &["!#$%&'*+-.^_`|~"], &[]] {
        assert_eq!(subprotocols(&names(good)), Ok(()), "{good:?}");
    }
    for bad in ["", "a b", "a,b", "a/b", "\"a\"", "a;b", "a\n", "caf\u{e9}", "(a)", "a=b", "${secret:x}", "a\0"] {
        assert_eq!(subprotocols(&names(&["ok", bad])), Err(WishError::Subprotocol(bad.to_owned())), "{bad:?}");
    }
    assert_eq!(subprotocols(&names(&["a", "b", "a"])), Err(WishError::Twice("a".to_owned())));
    let long = "x".repeat(8 * 1024 - 2);
    assert_eq!(subprotocols(&names(&[&long])), Ok(()));
    assert_eq!(subprotocols(&names(&[&long, "y"])), Err(WishError::TooManySubprotocols));
    let bad = subprotocols(&names(&["a\u{1b}[2J"])).unwrap_err().to_string();
    assert!(bad.contains("\\u{1b}"), "what is shown on a terminal does nothing to it: {bad}");
}

#[test]
fn headers_of_the_handshake_are_not_the_users() {
    let reserved = [
        "Host",
        "Connection",
        "Upgrade",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Anything",
    ];
    for name in reserved {
        let refused = headers(&format!("{{\"{name}\": \"x\"}}"));
        assert!(matches!(refused, Err(WishError::Header(HeaderError::Reserved(_)))), "{name}: {refused:?}");
    }
    let refused = headers(r#"{"Sec-WebSocket-Protocol": "chat"}"#).unwrap_err();
    assert!(refused.to_string().contains("by the argument subprotocols"), "{refused}");
    assert!(headers(r#"{"x": "a\nb"}"#).is_err());
    let good =
        headers(r#"{"Authorization": "Bearer ${secret:x}", "Origin": "https://a.example", "Sec-Fetch-Mode": "x"}"#);
    assert_eq!(good.unwrap().len(), 3);
}

#[test]
fn a_close_code_is_one_that_a_page_could_use_and_a_reason_fits_its_frame() {
    for code in [1000, 3000, 3999, 4000, 4999] {
        assert_eq!(i32::from(farewell(code, "bye".to_owned()).unwrap().code), code);
    }
    for code in [i32::MIN, -1, 0, 999, 1001, 1005, 1006, 1015, 2999, 5000, 65536 + 1000, i32::MAX] {
        assert_eq!(farewell(code, String::new()), Err(WishError::Code(code)));
    }
    assert!(farewell(1000, "x".repeat(123)).is_ok());
    assert_eq!(farewell(1000, "x".repeat(124)), Err(WishError::Reason(124)));
    assert_eq!(farewell(1000, "\u{e9}".repeat(62)), Err(WishError::Reason(124)), "bytes are counted, not letters");
}
