//! Which URLs an endpoint takes, and what they mean as its base changes.

use pg_edge::domain::endpoint::{self, EndpointError};
use url::Url;

fn base(url: &str) -> Url {
    endpoint::base_url(url).unwrap()
}

#[test]
fn names_look_like_names_and_not_like_origins() {
    let long = "x".repeat(64);
    for (name, is_one) in [
        ("default", true),
        ("_a-b.c2", true),
        ("", false),
        ("2nd", false),
        ("https://host", false),
        ("a b", false),
        ("a\n", false),
        ("caf\u{e9}", false),
        (&long, false),
    ] {
        assert_eq!(endpoint::name(name).is_ok(), is_one, "{name:?}");
    }
}

#[test]
fn a_base_is_a_url_without_query_and_fragment() {
    for url in ["ftp://host", "https://user@host/", "https://host/?a=b", "https://host/#x", "host/path", ""] {
        assert!(endpoint::base_url(url).is_err(), "{url}");
    }
    assert_eq!(base("HTTPS://Host/v1").as_str(), "https://host/v1");
}

#[test]
fn a_path_is_kept_as_one_and_follows_the_base() {
    let table = [
        ("hello", None, "hello"),
        ("/hello/x", None, "hello/x"),
        ("hello?a=b", Some("{\"c\": \"d e\"}"), "hello?a=b&c=d%20e"),
        ("", None, ""),
        ("//evil.example/x", None, "evil.example/x"),
    ];
    for (url, params, kept) in table {
        let stored = endpoint::stored(&base("https://one/functions/v1/"), url, params).unwrap();
        assert_eq!(stored, kept, "{url}");
        let later = endpoint::resolve(&base("http://two:8000/f"), &stored).unwrap();
        assert_eq!(later.host_str(), Some("two"), "{url}");
        assert!(later.path().starts_with("/f"), "{later}");
    }
}

#[test]
fn a_whole_url_must_be_at_the_endpoint_s_origin() {
    let base = base("https://api.example.com/v1");
    assert!(endpoint::stored(&base, "https://api.example.com/v2/x", None).is_ok());
    for url in [
        "https://evil.example/v1",
        "http://api.example.com/v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com.evil.example/",
        "HTTPS://evil.example",
        " https://evil.example",
        "\thttps:evil.example",
        "https:/\\evil.example",
    ] {
        let refused = endpoint::stored(&base, url, None);
        assert!(matches!(refused, Err(EndpointError::Elsewhere(_))), "{url}: {refused:?}");
    }
    let moved = endpoint::base_url("https://new.example.com").unwrap();
    assert!(endpoint::resolve(&moved, "https://api.example.com/v2/x").is_err(), "the base has moved away");
}

#[test]
fn no_path_leads_to_another_origin() {
    let base = base("https://api.example.com/v1");
    for path in [
        "../../x",
        "..\\..\\x",
        "/\\evil.example",
        "\\\\evil.example",
        "@evil.example",
        ":99/x",
        "ftp://evil.example",
        "x\u{0}y",
    ] {
        if let Ok(stored) = endpoint::stored(&base, path, None) {
            let url = endpoint::resolve(&base, &stored).unwrap();
            assert_eq!(url.origin(), base.origin(), "{path}: {url}");
        }
    }
}

#[test]
fn functions_have_names() {
    for (name, is_one) in [
        ("hello", true),
        ("/hello", true),
        ("hello/sub/path", true),
        ("", false),
        ("a//b", false),
        ("a/../b", false),
        ("a?b=c", false),
        ("a#b", false),
        ("a b", false),
        ("a%2fb", false),
        ("https://evil.example", false),
    ] {
        assert_eq!(endpoint::function_path(name).is_ok(), is_one, "{name:?}");
    }
    assert!(
        endpoint::region("us-east-1").is_ok() && endpoint::region("us east").is_err() && endpoint::region("").is_err()
    );
}
