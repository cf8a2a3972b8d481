//! A layer around the library's connector that tells the clock when a connection begins and when it stands, and gives
//! up one that takes longer than its attempt allows. Runs on the engine thread.
//!
//! The limit is kept here and not by the library, whose limit is one for all attempts of a client.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use super::clock::{self, Clock, Stage};

/// Wraps a connector into a [`Timed`] one.
#[derive(Clone, Copy)]
pub(super) struct TimedLayer;

/// A connector that tells the clock. The library clones its connector for every request, needed or not, so the inner
/// one is shared and cloned only when a connection is made.
pub(super) struct Timed<S> {
    inner: Arc<S>,
}

/// A connection being made. It keeps its limit also where it has outlived the attempt that asked for it.
pub(super) struct Connecting<F> {
    inner: Pin<Box<F>>,
    limit: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Whose connection it is, until somebody else polls it.
    clock: Option<Arc<Clock>>,
}

/// The connection was not made in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
pub(super) struct TooSlow(pub(super) Duration);

/// What the library wants of a connector's errors.
type BoxError = Box<dyn Error + Send + Sync>;

// === impl TimedLayer ===

impl<S> Layer<S> for TimedLayer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner: Arc::new(inner) }
    }
}

// === impl Timed ===

impl<S> Clone for Timed<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R, Error = BoxError> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Connecting<S::Future>;

    /// The library's connector is always ready, so there is nothing to ask the shared one.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: R) -> Self::Future {
        clock::enter(Stage::Connecting);
        let mut connector = S::clone(&self.inner);
        let clock = clock::current();
        let limit = clock.as_ref().map(|clock| (clock.connect_limit(), Box::pin(sleep(clock.connect_limit()))));
        Connecting { inner: Box::pin(connector.call(target)), limit, clock }
    }
}

// === impl Connecting ===

impl<T, F: Future<Output = Result<T, BoxError>>> Future for Connecting<F> {
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(clock) = self.clock.take_if(|clock| !clock.is_current()) {
            clock.disown();
        }
        let polled = self.inner.as_mut().poll(context);
        if let (Poll::Ready(Ok(_)), Some(clock)) = (&polled, &self.clock) {
            clock.enter(Stage::Connected);
        }
        if let (Poll::Pending, Some((limit, sleep))) = (&polled, &mut self.limit)
            && sleep.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(Box::new(TooSlow(*limit))));
        }
        polled
    }
}
