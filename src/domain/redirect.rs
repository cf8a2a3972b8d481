//! Redirects: what is asked next, where a call follows them.
//!
//! The rules are those of RFC 9110, section 15.4, and stricter where a secret could get into the wrong hands: a call
//! that leaves its origin takes along nothing that its user gave but the body and what describes it.

use http::{HeaderMap, HeaderName, Method};

use super::attempt::Route;
use super::header::own;
use super::request::{self, Request, RequestError};

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// What `Location` holds makes no URL that can be called.
    #[error("the peer redirects to something that is not an http or https URL")]
    Target,
    /// Credentials that the peer chose are none of ours.
    #[error("the peer redirects to a URL that holds a user name or password")]
    UserInfo,
    /// What was to be secret would go over the wire in clear.
    #[error("the peer redirects from https to http")]
    Downgrade,
    /// More hops than the route allows.
    #[error("the peer redirects more often than the call may follow")]
    TooMany,
}

/// Headers that go along to another origin: they say what is sent and wanted, and nothing of who sends it.
const HARMLESS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "user-agent",
    own::ATTEMPT,
];

/// What is asked after an answer to `sent`, and how much of the route is left; `None` where the answer is no redirect.
pub fn next(
    sent: &Request,
    route: &Route,
    status: u16,
    location: Option<&[u8]>,
) -> Result<Option<(Request, Route)>, RedirectError> {
    let (Some(location), 301 | 302 | 303 | 307 | 308) = (location, status) else { return Ok(None) };
    let redirects = route.redirects.checked_sub(1).ok_or(RedirectError::TooMany)?;
    let target = sent.url.join(&String::from_utf8_lossy(location)).map_err(|_| RedirectError::Target)?;
    let url = request::target(target.as_str(), None).map_err(|error| match error {
        RequestError::UserInfo => RedirectError::UserInfo,
        _ => RedirectError::Target,
    })?;
    if sent.url.scheme() == "https" && url.scheme() != "https" {
        return Err(RedirectError::Downgrade);
    }
    let mut next = Request { url, ..sent.clone() };
    if matches!(status, 301..=303) {
        become_a_question(&mut next);
    }
    let mut route = Route { redirects, identity: route.identity.clone() };
    if next.url.origin() != sent.url.origin() {
        keep(&mut next.headers, |name| HARMLESS.contains(&name.as_str()));
        route.identity = None;
    }
    Ok(Some((next, route)))
}

/// The answer is elsewhere, to be got: the body, what describes it and what signs it stay behind.
fn become_a_question(request: &mut Request) {
    if request.method != Method::HEAD {
        request.method = Method::GET;
    }
    request.body = None;
    keep(&mut request.headers, |name| {
        let name = name.as_str();
        !name.starts_with("content-") && !name.starts_with("webhook-") && !name.ends_with("digest")
    });
}

fn keep(headers: &mut HeaderMap, wanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| !wanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}
