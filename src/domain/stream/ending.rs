//! How a stream has ended, from why nothing more is read of it.

use super::follower::{Ended, Follower};
use crate::domain::outcome::{Failure, FailureClass};

/// Why nothing more is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The answer has ended in good order, as far as HTTP knows.
    Ended(Rest),
    /// The connection broke, or what came cannot be decoded.
    Broken(Failure),
    /// It took too long.
    Late(Failure),
    /// It is larger than what is allowed.
    Exceeded(Failure),
}

/// What an answer held behind its last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// An event without its end, and what there is of its data.
    Unfinished(String),
    /// No event at all was in it, but lines that are none of an event stream.
    Foreign,
}

/// How a stream has ended after so many events. One that has said that it is over has lost nothing by whatever happens then.
/// One that has only begun is cut short, where it broke off or took too long; where nothing was handed on it is no stream yet,
/// and fails as any call.
pub fn decide(follower: &Follower, events: u64, stop: Stop) -> Result<Ended, Failure> {
    match stop {
        Stop::Exceeded(failure) => Err(failure),
        _ if follower.is_over() => Ok(follower.ended()),
        Stop::Broken(failure) if events > 0 => Ok(Ended::Truncated(failure.message)),
        Stop::Late(failure) if events > 0 => Ok(Ended::GivenUp(failure.class, failure.message)),
        Stop::Broken(failure) | Stop::Late(failure) => Err(failure),
        Stop::Ended(Rest::Unfinished(_)) if events > 0 => {
            Ok(Ended::Truncated("the stream ended in the middle of an event".to_owned()))
        }
        Stop::Ended(Rest::Unfinished(_)) => {
            Err(Failure::new(FailureClass::Protocol, "the stream ended in the middle of its first event"))
        }
        Stop::Ended(Rest::Foreign) => {
            Ok(Ended::Failed("the answer holds no event: its lines are none of an event stream".to_owned()))
        }
        Stop::Ended(Rest::Nothing) => Ok(follower.ended()),
    }
}
