//! URLs and methods: what is accepted, what is sent, what is refused and how it is said.

use pg_edge::domain::request::{RequestError, metadata_within_limit, method, origin, target};
use proptest::prelude::*;

#[test]
fn a_url_is_sent_in_its_canonical_form() {
    let table = [
        ("http://host", "{}", "http://host/"),
        ("HTTP://HOST:80/a/../b", "{}", "http://host/b"),
        ("https://host:443/?a=b#frag", "{}", "https://host/?a=b"),
        ("http://bücher.example/ä b", "{}", "http://xn--bcher-kva.example/%C3%A4%20b"),
        ("http://host/?", r#"{"a": 1}"#, "http://host/?a=1"),
        ("http://host/?x=a+b", r#"{"a": "a+b c"}"#, "http://host/?x=a+b&a=a%2Bb%20c"),
        ("http://host/", r#"{"a": ["1", "2"], "B": "ß&="}"#, "http://host/?B=%C3%9F%26%3D&a=1&a=2"),
        ("http://host/", r#"{"": ""}"#, "http://host/?="),
        ("http://0x7f.1/", "{}", "http://127.0.0.1/"),
        ("http://[::1]:8080/", "{}", "http://[::1]:8080/"),
    ];
    for (url, params, sent) in table {
        assert_eq!(target(url, Some(params)).unwrap().as_str(), sent, "{url} {params}");
    }
}

#[test]
fn what_is_not_an_http_url_is_refused() {
    for url in ["", "host", "//host/", "/path", "http://", "http:///", "http://a b/", "http://host:70000/"] {
        assert!(matches!(target(url, None), Err(RequestError::Url { .. })), "{url}: {:?}", target(url, None));
    }
    for url in ["ftp://host/", "file:///x", "data:,x", "ws://host/", "unix:/x"] {
        assert!(matches!(target(url, None), Err(RequestError::Scheme(_))), "{url}");
    }
    for url in ["http://u@host/", "http://u:p@host/", "http://:p@host/", "http://%75@host/"] {
        assert_eq!(target(url, None), Err(RequestError::UserInfo), "{url}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (url, expected) in [
        ("http://host/a?b", "http://host"),
        ("https://HOST:443/", "https://host"),
        ("http://host:8080/", "http://host:8080"),
        ("http://[::1]:9/", "http://[::1]:9"),
    ] {
        assert_eq!(origin(&target(url, None).unwrap()), expected);
    }
}

#[test]
fn methods_are_tokens_and_never_a_tunnel() {
    for (given, sent) in [("get", "GET"), ("Patch", "PATCH"), ("REPORT", "REPORT"), ("M-SEARCH", "M-SEARCH")] {
        assert_eq!(method(given).unwrap().as_str(), sent);
    }
    for given in ["", "connect", "GE T", "GET\r\n", "GET\0", "ä"] {
        assert!(matches!(method(given), Err(RequestError::Method(_))), "{given:?}");
    }
}

proptest! {
    #[test]
    fn a_parameter_arrives_as_it_was_given(name in ".{0,12}", value in ".{0,24}") {
        let params = serde_json::json!({&name: &value}).to_string();
        let url = target("http://host/p?first=1", Some(&params)).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(pairs, vec![("first".to_owned(), "1".to_owned()), (name, value)]);
        prop_assert!(!url.query().unwrap().contains('+'));
    }

    #[test]
    fn what_is_stored_reads_back_the_same(path in "[ -~]{0,30}", query in "[ -~]{0,30}") {
        if let Ok(url) = target(&format!("http://host/{path}?{query}"), None) {
            prop_assert_eq!(target(url.as_str(), None).unwrap(), url);
        }
    }
}

#[test]
fn a_url_may_have_16_kb_with_its_parameters() {
    let base = "http://host/";
    let fits = format!("{base}{}", "p".repeat(16_384 - base.len()));
    assert_eq!(target(&fits, None).map(|url| url.as_str().len()), Ok(16_384));
    assert_eq!(target(&format!("{fits}p"), None), Err(RequestError::UrlTooLong(16_385)));
    assert_eq!(target(&fits, Some(r#"{"a": 1}"#)), Err(RequestError::UrlTooLong(16_388)));
    // A fragment is not sent.
    assert!(target(&format!("{fits}#{}", "f".repeat(100_000)), None).is_ok());
}

#[test]
fn metadata_may_have_64_kb() {
    assert_eq!(metadata_within_limit(65_536), Ok(()));
    assert_eq!(metadata_within_limit(65_537), Err(RequestError::MetadataTooLarge(65_537)));
}
