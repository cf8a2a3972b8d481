//! Redirects: what is asked next, what goes along, and what is not followed.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pg_edge::domain::attempt::{Identity, Route};
use pg_edge::domain::redirect::{RedirectError, next};
use pg_edge::domain::request::{Request, target};

const HEADERS: [&str; 11] = [
    "authorization",
    "cookie",
    "apikey",
    "idempotency-key",
    "x-custom",
    "webhook-signature",
    "content-digest",
    "content-type",
    "content-encoding",
    "accept",
    "user-agent",
];

fn sent(method: Method, url: &str) -> Request {
    let headers: HeaderMap =
        HEADERS.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect();
    Request { method, url: target(url, None).unwrap(), headers, body: Some(Bytes::from_static(b"body")) }
}

fn route(redirects: u8) -> Route {
    let identity = Identity { certificate_chain: "chain".into(), key: "key".into() };
    Route { redirects, identity: Some(Arc::new(identity)) }
}

fn follow(sent: &Request, status: u16, location: &str) -> Result<Option<(Request, Route)>, RedirectError> {
    next(sent, &route(5), status, Some(location.as_bytes()))
}

fn names(request: &Request) -> Vec<&str> {
    HEADERS.into_iter().filter(|name| request.headers.contains_key(*name)).collect()
}

#[test]
fn the_method_and_the_body_stay_or_go_by_the_status() {
    for (status, method, becomes, with_body) in [
        (301, Method::POST, Method::GET, false),
        (302, Method::PUT, Method::GET, false),
        (303, Method::DELETE, Method::GET, false),
        (303, Method::GET, Method::GET, false),
        (301, Method::HEAD, Method::HEAD, false),
        (307, Method::POST, Method::POST, true),
        (308, Method::PATCH, Method::PATCH, true),
    ] {
        let (request, _) = follow(&sent(method, "https://a.example/"), status, "/next").unwrap().unwrap();
        assert_eq!((request.method, request.body.is_some()), (becomes, with_body), "{status}");
        assert_eq!(request.headers.contains_key("content-type"), with_body, "{status}");
        assert_eq!(request.headers.contains_key("webhook-signature"), with_body, "{status}");
    }
}

#[test]
fn a_location_is_resolved_against_the_url_that_was_asked() {
    for (location, url) in [
        ("/b", "https://a.example/b"),
        ("b", "https://a.example/dir/b"),
        ("?q=1", "https://a.example/dir/page?q=1"),
        ("//b.example/x", "https://b.example/x"),
        ("https://b.example:444/x#fragment", "https://b.example:444/x"),
        ("", "https://a.example/dir/page?old"),
        ("/ü", "https://a.example/%C3%BC"),
    ] {
        let (request, _) =
            follow(&sent(Method::GET, "https://a.example/dir/page?old"), 302, location).unwrap().unwrap();
        assert_eq!(request.url.as_str(), url, "{location}");
    }
}

#[test]
fn another_origin_gets_nothing_that_could_be_a_secret() {
    let everything = HEADERS.to_vec();
    let harmless = vec!["content-type", "content-encoding", "accept", "user-agent"];
    for (location, expected, certificate) in [
        ("https://a.example/next", &everything, true),
        ("https://a.example:443/next", &everything, true),
        ("https://b.example/next", &harmless, false),
        ("https://a.example:8443/next", &harmless, false),
        ("https://a.example.b.example/next", &harmless, false),
        ("https://sub.a.example/next", &harmless, false),
    ] {
        let (request, route) = follow(&sent(Method::POST, "https://a.example/"), 307, location).unwrap().unwrap();
        assert_eq!(names(&request), *expected, "{location}");
        assert_eq!(route.identity.is_some(), certificate, "{location}");
    }
    let (request, _) = follow(&sent(Method::POST, "http://a.example/"), 307, "https://a.example/").unwrap().unwrap();
    assert_eq!(names(&request), harmless);
}

#[test]
fn what_was_left_behind_does_not_come_back_with_the_first_origin() {
    let (away, route) = follow(&sent(Method::POST, "https://a.example/"), 307, "https://b.example/").unwrap().unwrap();
    let (back, route) = next(&away, &route, 307, Some(b"https://a.example/")).unwrap().unwrap();
    assert!(!back.headers.contains_key("authorization"));
    assert!(route.identity.is_none());
}

#[test]
fn what_is_no_redirect_is_an_answer() {
    for status in [200, 201, 300, 304, 305, 306, 404] {
        assert!(follow(&sent(Method::GET, "https://a.example/"), status, "/next").unwrap().is_none(), "{status}");
    }
    assert!(next(&sent(Method::GET, "https://a.example/"), &route(5), 302, None).unwrap().is_none());
}

#[test]
fn some_redirects_are_not_followed() {
    for (location, error) in [
        ("http://a.example/", RedirectError::Downgrade),
        ("http://b.example/", RedirectError::Downgrade),
        ("ftp://a.example/", RedirectError::Target),
        ("file:///etc/passwd", RedirectError::Target),
        ("javascript:alert(1)", RedirectError::Target),
        ("https://", RedirectError::Target),
        ("https://./", RedirectError::Target),
        ("https://a.example:99999/", RedirectError::Target),
        ("https://user:pass@b.example/", RedirectError::UserInfo),
    ] {
        assert_eq!(follow(&sent(Method::GET, "https://a.example/"), 302, location).unwrap_err(), error, "{location}");
    }
}

#[test]
fn no_more_hops_are_made_than_the_route_allows() {
    let first = sent(Method::GET, "https://a.example/");
    let (second, left) = next(&first, &route(1), 302, Some(b"/b")).unwrap().unwrap();
    assert_eq!(left.redirects, 0);
    assert_eq!(next(&second, &left, 302, Some(b"/c")).unwrap_err(), RedirectError::TooMany);
    assert!(next(&second, &left, 200, None).unwrap().is_none());
}
