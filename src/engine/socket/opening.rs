//! Opens a websocket: one request over HTTP/1.1, whose connection stays (RFC 6455, section 4.1). Runs on the engine
//! thread.
//!
//! The request goes the way of every other one, through the same guard, resolver, connector and TLS.

use std::sync::Arc;

use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Upgraded;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use url::Url;

use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::socket::end::{End, Refusal};
use crate::domain::socket::handshake::{self, Misfit, Offer};
use crate::domain::socket::plan::{Plan, Rules};
use crate::engine::attempt::head;
use crate::engine::client::Wire;
use crate::engine::clock::{self, Clock};
use crate::engine::error::{self, Phase};
use crate::engine::trust::Purpose;

/// A websocket that stands.
pub(super) struct Opened {
    pub(super) stream: Upgraded,
    pub(super) subprotocol: Option<String>,
    pub(super) rules: Rules,
}

/// Opens a websocket, or says why there is none.
pub(super) async fn open(wire: Wire, plan: Plan) -> Result<Opened, End> {
    let clock = Arc::new(Clock::new(plan.rules.connect));
    let limit = plan.rules.handshake;
    match timeout(limit, clock::time(&clock, shake_hands(wire, plan, &clock))).await {
        Ok(ended) => ended,
        Err(_elapsed) => Err(End::Failed(error::no_handshake(limit, clock.stage()))),
    }
}

async fn shake_hands(wire: Wire, plan: Plan, clock: &Clock) -> Result<Opened, End> {
    wire.check(&plan.url)?;
    let key = generate_key();
    let Plan { subprotocols, identity, rules, .. } = &plan;
    let response = wire.execute(request(&plan, &key)?, identity.as_ref(), Purpose::Sockets)?.await;
    let failed = |cause| End::Failed(error::failure(&cause, Phase::Head, clock.stage()));
    let response = response.map_err(failed)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(End::Refused(refusal(&response)));
    }
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = handshake::check(&head(&response), Offer { accept: &accept, subprotocols })?;
    let stream = response.upgrade().await.map_err(failed)?;
    Ok(Opened { stream, subprotocol, rules: rules.clone() })
}

/// The request that asks for a websocket.
fn request(plan: &Plan, key: &str) -> Result<reqwest::Request, Failure> {
    let invalid = |what: &str| Failure::new(FailureClass::InvalidRequest, what);
    let url = http_url(&plan.url).ok_or_else(|| invalid("the URL of a websocket begins with ws:// or wss://"))?;
    let mut request = reqwest::Request::new(Method::GET, url);
    let headers = request.headers_mut();
    *headers = plan.headers.clone();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let value = |text: &str, what| HeaderValue::from_str(text).map_err(|_| invalid(what));
    headers.insert(SEC_WEBSOCKET_KEY, value(key, "the key of the handshake cannot be sent")?);
    if !plan.subprotocols.is_empty() {
        let offered = value(&plan.subprotocols.join(", "), "a subprotocol cannot be sent in a header")?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
    }
    Ok(request)
}

/// What HTTP calls the URL of a websocket.
fn http_url(url: &Url) -> Option<Url> {
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return None,
    };
    let mut url = url.clone();
    url.set_scheme(scheme).ok()?;
    Some(url)
}

fn refusal(response: &reqwest::Response) -> Refusal {
    let status = response.status();
    let name = status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
    Refusal {
        status: status.as_u16(),
        retry_after: head(response).header("retry-after").map(str::to_owned),
        message: format!("the server answered the handshake with {}{name}", status.as_str()),
    }
}

// === impl End ===

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Misfit> for End {
    fn from(misfit: Misfit) -> Self {
        Self::Violation { code: 1002, message: misfit.to_string() }
    }
}
