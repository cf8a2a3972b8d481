//! One attempt, from the request to the report. Runs on the engine thread, in a lane.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::domain::attempt::{Attempt, Limits, Report};
use crate::domain::header::own;
use crate::domain::outcome::{Failure, FailureClass, Head, Outcome, Response};
use crate::domain::request::Request;
use crate::domain::stream::rules::{Format, Framing, StreamRules};

use super::body;
use super::client::Wire;
use super::clock::{self, Clock};
use super::error::{self, Phase};
use super::lane::Errand;
use super::spout::Spout;
use super::stream::{self, Terms};
use super::trail::Trail;
use super::trust::Purpose;

/// Tells the peer which try of the call it sees.
const ATTEMPT_NUMBER: HeaderName = HeaderName::from_static(own::ATTEMPT);

/// A time that no timer reaches, for limits too long to be added to the clock.
const FAR_AWAY: Duration = Duration::from_secs(86_400 * 365);

/// What is known of the answer so far, kept outside of the exchange so that it outlives a failure.
#[derive(Default)]
struct Seen {
    first_byte: Option<Duration>,
    remote: Option<SocketAddr>,
    redirected: bool,
}

/// Tries a call once. Ends within the attempt's total limit.
///
/// What is awaited here is built where it is awaited and the attempt stays in its box: every wrapper written as an
/// `async fn` around another future would hold that future twice, and copying it showed as 8 % of the engine's time.
pub(super) async fn run(errand: Errand) -> Report {
    let Errand { wire, attempt, mut spout } = errand;
    let (call, number) = (attempt.call, attempt.number);
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let (clock, mut seen) = (Arc::new(Clock::new(attempt.limits.connect)), Seen::default());
    let exchange = exchange(&wire, attempt, spout.as_deref_mut(), began, &clock, &mut seen);
    let outcome = match contain(clock::time(&clock, exchange)).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let failure = if seen.redirected { error::after_redirect(failure) } else { failure };
            Outcome::Failure(match spout {
                Some(spout) => spout.flow().end(failure),
                None => failure,
            })
        }
    };
    let timings = clock.timings(seen.first_byte, began.elapsed());
    Report { call, number, outcome, started_at, timings, remote: seen.remote }
}

/// Turns a panic of one attempt into its failure, so that the others go on.
fn contain<T>(attempt: impl Future<Output = Result<T, Failure>>) -> impl Future<Output = Result<T, Failure>> {
    // Nothing of the attempt is looked at after a panic but the plain values in `Seen` and `Clock`.
    AssertUnwindSafe(attempt).catch_unwind().map(|ended| {
        ended.unwrap_or_else(|_panic| {
            tracing::error!("an attempt panicked; this is a fault of pg_edge");
            Err(Failure::new(FailureClass::Internal, "pg_edge itself failed while it was sending this call"))
        })
    })
}

async fn exchange(
    wire: &Wire,
    mut attempt: Box<Attempt>,
    spout: Option<&mut Spout>,
    began: Instant,
    clock: &Clock,
    seen: &mut Seen,
) -> Result<Outcome, Failure> {
    let (limits, rules, mut trail) = (attempt.limits, attempt.stream, Trail::begin(&attempt));
    let bodiless = attempt.request.method == Method::HEAD;
    let mut response = loop {
        let response = match timeout_at(after(began, first_limit(&limits)), begin(wire, attempt)?).await {
            Ok(Ok(response)) => response,
            Ok(Err(cause)) => return Err(error::failure(&cause, Phase::Head, clock.stage())),
            Err(_elapsed) => return Err(error::no_head(&limits, clock.stage())),
        };
        seen.first_byte = Some(began.elapsed());
        seen.remote = response.remote_addr();
        match trail.as_mut().map_or(Ok(None), |trail| trail.next(&response)) {
            Ok(None) => break response,
            Ok(Some(next)) => attempt = next,
            Err(error) => return Err(Failure::from(error).with_head(head(&response))),
        }
        seen.redirected = true;
    };
    let head = head(&response);
    if bodiless || has_no_body(response.status()) {
        return Ok(Outcome::Response(Response { head, body: Bytes::new() }));
    }
    let end = after(began, limits.total);
    if let (Some(spout), Some((rules, framing))) = (spout, framing(rules, &head)) {
        if is_packed(&head) {
            return Err(error::packed().with_head(head));
        }
        let terms = Terms { rules, framing, limits, end, stage: clock.stage() };
        // On the heap, for the same reason: few answers are streamed.
        return Box::pin(stream::read(response, head, spout, terms)).await;
    }
    match timeout_at(end, body::read(&mut response, limits.max_response_bytes)).await {
        Ok(Ok(body)) => Ok(Outcome::Response(Response { head, body })),
        Ok(Err(body::ReadError::TooLarge)) => Err(error::too_large(&limits).with_head(head)),
        Ok(Err(body::ReadError::Broken(cause))) => {
            Err(error::failure(&cause, Phase::Body, clock.stage()).with_head(head))
        }
        Err(_elapsed) => Err(error::no_end(&limits).with_head(head)),
    }
}

/// How an answer is streamed, where it was asked for as a stream and is one.
fn framing(rules: Option<StreamRules>, head: &Head) -> Option<(StreamRules, Framing)> {
    let rules = rules?;
    Some((rules, rules.format.framing(head.status, head.header("content-type"))?))
}

/// Whether an answer is packed in a way that the library has not undone.
fn is_packed(head: &Head) -> bool {
    let coding = head.header("content-encoding").map(str::trim).unwrap_or_default();
    !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")
}

/// Hands the request to the library, where the guard lets it through. Nothing of it is copied here.
fn begin(
    wire: &Wire,
    attempt: Box<Attempt>,
) -> Result<impl Future<Output = Result<reqwest::Response, reqwest::Error>> + use<>, Failure> {
    wire.check(&attempt.request.url)?;
    let Attempt { number, request: Request { method, url, headers, body }, route, stream, .. } = *attempt;
    if method == Method::CONNECT {
        return Err(Failure::new(FailureClass::InvalidRequest, "a CONNECT request opens a tunnel and cannot be sent"));
    }
    let mut prepared = reqwest::Request::new(method, url);
    *prepared.headers_mut() = headers;
    prepared.headers_mut().entry(ATTEMPT_NUMBER).or_insert_with(|| HeaderValue::from(number));
    if body.as_ref().is_none_or(Bytes::is_empty) && expects_body(prepared.method()) {
        // RFC 9110, section 8.6: the library says no length for an empty body, and some servers answer 411 to that.
        prepared.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if stream.is_some_and(|rules| rules.format == Format::Sse) {
        // What the standard has every reader of event streams send.
        prepared.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        prepared.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    *prepared.body_mut() = body.map(Into::into);
    let purpose = stream.map_or(Purpose::Calls, |_| Purpose::Streams);
    wire.execute(prepared, route.identity.as_ref(), purpose)
}

/// Whether a request of this method has a body as a rule.
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// How long the head may take.
fn first_limit(limits: &Limits) -> Duration {
    limits.first_byte.map_or(limits.total, |first_byte| first_byte.min(limits.total))
}

fn after(began: Instant, limit: Duration) -> Instant {
    began.checked_add(limit).unwrap_or_else(|| began + FAR_AWAY)
}

/// RFC 9112, section 6.3: like those to HEAD, these answers end with their head, whatever lengths and encodings it names.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The head of an answer, copied.
pub(super) fn head(response: &reqwest::Response) -> Head {
    Head { status: response.status().as_u16(), headers: owned(response.headers()) }
}

/// The headers, copied out of the connection's read buffer so that they do not keep it alive.
fn owned(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let own = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::{Failure, FailureClass, contain};

    #[tokio::test]
    async fn a_panic_becomes_a_failure_of_the_one_attempt() {
        let outcome: Result<(), Failure> = contain(async { panic!("the test panics") }).await;
        assert_eq!(outcome.map_err(|failure| failure.class), Err(FailureClass::Internal));
    }
}
