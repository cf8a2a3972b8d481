//! What is wrong with an outcome, in a sentence: for whoever made the call, and for everybody who may see how its endpoint is doing.

use std::borrow::Cow;

use super::outcome::{FailureClass, Outcome};
use super::profile::diagnosis::Diagnosis;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// Of what kind it is.
    pub class: FailureClass,
    /// A sentence for the user.
    pub sentence: Cow<'a, str>,
}

impl<'a> Fault<'a> {
    /// That of an outcome, if there is any.
    pub fn of(outcome: &'a Outcome, diagnosis: &Diagnosis) -> Option<Self> {
        let (class, sentence) = match outcome {
            Outcome::Failure(failure) => (failure.class, Cow::Borrowed(failure.message.as_str())),
            Outcome::Response(response) if matches!(response.head.status, 200..=299) => return None,
            Outcome::Streamed(streamed) => {
                let (class, why) = streamed.fault()?;
                (class, Cow::Borrowed(why))
            }
            Outcome::Response(response) => {
                let status = status_line(response.head.status);
                let sentence = match diagnosis.words() {
                    Some(words) => format!("the peer answered {status} ({words})"),
                    None => format!("the peer answered {status}"),
                };
                (FailureClass::HttpStatus, Cow::Owned(sentence))
            }
        };
        Some(Self { class, sentence })
    }

    /// What every role may read of it at the endpoint; nothing, if it is not the endpoint's doing.
    pub fn at_endpoint(self) -> Option<Cow<'a, str>> {
        match self.class {
            FailureClass::Cancelled | FailureClass::Interrupted => None,
            // The stream's own words are its owner's alone.
            FailureClass::Stream => Some(Cow::Borrowed("a streamed answer said that it failed")),
            _ => Some(self.sentence),
        }
    }
}

fn status_line(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}
