//! A layer around the library's connector that tells the clock when a connection begins and when it stands.
//! Runs on the engine thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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

/// A connection being made.
pub(super) struct Connecting<F> {
    inner: Pin<Box<F>>,
    /// Whose connection it is, until somebody else polls it.
    clock: Option<Arc<Clock>>,
}

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
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Connecting<S::Future>;

    /// The library's connector is always ready, so there is nothing to ask the shared one.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: R) -> Self::Future {
        clock::enter(Stage::Connecting);
        let mut connector = S::clone(&self.inner);
        Connecting { inner: Box::pin(connector.call(target)), clock: clock::current() }
    }
}

// === impl Connecting ===

impl<T, E, F: Future<Output = Result<T, E>>> Future for Connecting<F> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(clock) = self.clock.take_if(|clock| !clock.is_current()) {
            clock.disown();
        }
        let polled = self.inner.as_mut().poll(context);
        if let (Poll::Ready(Ok(_)), Some(clock)) = (&polled, &self.clock) {
            clock.enter(Stage::Connected);
        }
        polled
    }
}
