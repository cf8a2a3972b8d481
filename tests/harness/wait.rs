//! The only way tests wait: poll until something holds, and say what was awaited when it never does.

use std::time::{Duration, Instant};

/// Between two looks. Short, so that a test is as fast as what it waits for.
const POLL: Duration = Duration::from_millis(10);

/// What a probe gives back: `bool`, or an `Option` whose value the test goes on with.
pub trait Seen {
    /// What `eventually` returns once it was seen.
    type Found;
    /// The value, when what was awaited has come.
    fn seen(self) -> Option<Self::Found>;
}

impl Seen for bool {
    type Found = ();
    fn seen(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Seen for Option<T> {
    type Found = T;
    fn seen(self) -> Option<T> {
        self
    }
}

/// Looks again and again until `probe` sees it, and panics with the sentence `what` at the deadline.
/// The last look is taken after the deadline, so a slow machine cannot fail a test that would have passed.
pub async fn eventually<S: Seen, F: Future<Output = S>>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> S::Found {
    let end = Instant::now() + deadline;
    loop {
        let last = Instant::now() >= end;
        if let Some(found) = probe().await.seen() {
            return found;
        }
        assert!(!last, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The same for code that blocks, such as the start and stop of servers.
pub fn eventually_blocking<S: Seen>(what: &str, deadline: Duration, mut probe: impl FnMut() -> S) -> S::Found {
    let end = Instant::now() + deadline;
    loop {
        let last = Instant::now() >= end;
        if let Some(found) = probe().seen() {
            return found;
        }
        assert!(!last, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// Awaits one future, and panics with the sentence `what` when it takes longer than the deadline.
pub async fn within<T>(what: &str, deadline: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {deadline:?} in vain: {what}"),
    }
}
