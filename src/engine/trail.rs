//! The redirects that an attempt follows. Runs on the engine thread.
//!
//! Not the library's own: each hop must pass the guard, and what goes along with it is decided in
//! [`redirect`](crate::domain::redirect).

use http::header::LOCATION;

use crate::domain::attempt::Attempt;
use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::redirect::{self, RedirectError};

/// What was sent last, to make the next request of.
pub(super) struct Trail(Attempt);

// === impl Trail ===

impl Trail {
    /// `None` where the attempt follows no redirects; then nothing is copied.
    pub(super) fn begin(attempt: &Attempt) -> Option<Box<Self>> {
        (attempt.route.redirects > 0).then(|| Box::new(Self(attempt.clone())))
    }

    /// What is sent next; `None` where this is the answer.
    pub(super) fn next(&mut self, response: &reqwest::Response) -> Result<Option<Box<Attempt>>, RedirectError> {
        let location = response.headers().get(LOCATION).map(|value| value.as_bytes());
        let next = redirect::next(&self.0.request, &self.0.route, response.status().as_u16(), location)?;
        Ok(next.map(|(request, route)| {
            self.0 = Attempt { request, route, ..self.0 };
            Box::new(self.0.clone())
        }))
    }
}

// === impl RedirectError ===

impl From<RedirectError> for Failure {
    fn from(error: RedirectError) -> Self {
        Self::new(FailureClass::Redirect, error.to_string())
    }
}
