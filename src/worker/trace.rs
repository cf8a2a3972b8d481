//! What is written down of an attempt: when and how long, with whom, and what was wrong.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::SocketAddr;

use crate::domain::attempt::Report;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::profile::said::Said;
use crate::store::responses::Trace;

/// What is written down of an attempt whose peer's platform said this.
pub(super) fn trace(report: &Report, said: &Said) -> Trace {
    let (error_class, error) =
        fault(&report.outcome, said).map(|(class, why)| (class.name(), why.into_owned())).unzip();
    Trace {
        started_at: Some(report.started_at),
        timings: report.timings,
        remote: report.remote.map(text_of),
        status: report.outcome.head().map(|head| head.status),
        error_class,
        error,
    }
}

thread_local! {
    /// The address that was written last, with its text: mostly it is the next one as well.
    static LAST_ADDRESS: RefCell<Option<(SocketAddr, String)>> = const { RefCell::new(None) };
}

fn text_of(address: SocketAddr) -> String {
    LAST_ADDRESS.with_borrow_mut(|last| match last {
        Some((known, text)) if *known == address => text.clone(),
        _ => last.insert((address, address.to_string())).1.clone(),
    })
}

/// What is wrong with an outcome, where something is: the class, and a sentence for the user.
pub(super) fn fault<'a>(outcome: &'a Outcome, said: &Said) -> Option<(FailureClass, Cow<'a, str>)> {
    match outcome {
        Outcome::Failure(failure) => Some((failure.class, Cow::Borrowed(failure.message.as_str()))),
        Outcome::Response(response) if matches!(response.head.status, 200..=299) => None,
        Outcome::Streamed(streamed) => streamed.fault().map(|(class, why)| (class, Cow::Borrowed(why))),
        Outcome::Response(response) => {
            let status = status_line(response.head.status);
            let sentence = match said.words() {
                Some(words) => format!("the peer answered {status} ({words})"),
                None => format!("the peer answered {status}"),
            };
            Some((FailureClass::HttpStatus, Cow::Owned(sentence)))
        }
    }
}

fn status_line(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}
