//! One websocket, from its plan to its end. Runs on the engine thread.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use reqwest::Upgraded;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::socket::end::End;
use crate::domain::socket::plan::Plan;
use crate::engine::client::Wire;

use super::ear::Ear;
use super::keeper::Keeper;
use super::line::Line;
use super::mailbox::Mailbox;
use super::opening::{self, Opened};
use super::register::Sockets;
use super::teller::Teller;

/// How long the server has to close the connection itself, as is its part.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what it sends in the meantime is read and thrown away.
const WASTE: usize = 256 << 10;

/// The connection that is left over at the end, where there is one.
type Rest = Option<Ear<Upgraded>>;

/// Opens a websocket, keeps it, and tells its end.
///
/// Most of what is awaited here is in boxes: there may be thousands of these, and they wait in the smallest of their states.
pub(super) async fn run(sockets: Arc<Sockets>, wire: Wire, plan: Box<Plan>, mailbox: Arc<Mailbox>, teller: Teller) {
    let socket = plan.socket;
    let (end, rest) = contain(talk(wire, plan, mailbox, teller)).await;
    sockets.finish(socket, end);
    if let Some(rest) = rest {
        // Closed with something unread, the connection would be reset, and the close frame lost on its way.
        let _gone = tokio::time::timeout(LINGER, Box::pin(waste(rest))).await;
    }
}

/// Turns a panic of one websocket into its end, so that the others go on.
fn contain(talk: impl Future<Output = (End, Rest)>) -> impl Future<Output = (End, Rest)> {
    // Nothing of the websocket is looked at after a panic.
    AssertUnwindSafe(talk).catch_unwind().map(|ended| {
        ended.unwrap_or_else(|_panic| {
            tracing::error!("a websocket panicked; this is a fault of pg_edge");
            let message = "pg_edge itself failed while it was keeping this websocket";
            (End::Failed(Failure::new(FailureClass::Internal, message)), None)
        })
    })
}

async fn talk(wire: Wire, plan: Box<Plan>, mailbox: Arc<Mailbox>, teller: Teller) -> (End, Rest) {
    let told_to_leave = poll_fn(|context| match mailbox.is_to_leave(context) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    });
    let opening = Box::pin(opening::open(wire, *plan));
    let Opened { stream, subprotocol, rules } = match select(opening, told_to_leave).await {
        Either::Left((Ok(opened), _)) => opened,
        Either::Left((Err(end), _)) => return (end, None),
        // Dropping the handshake closes its connection.
        Either::Right(_) => return (End::ClosedByUs, None),
    };
    teller.opened(subprotocol);
    let line = Line::new(stream, rules.max_message_bytes).await;
    let mut keeper = Box::new(Keeper::new(line, mailbox, teller, rules));
    let end = poll_fn(|context| keeper.poll(context)).await;
    let rest = match end {
        End::Failed(_) | End::Silent => None,
        _ => Some(keeper.into_line().into_stream()),
    };
    (end, rest)
}

/// Reads to the end, or to where it is enough.
async fn waste(mut stream: impl AsyncRead + Unpin) {
    let (mut buffer, mut left) = ([0; 1_024], WASTE);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, FailureClass, contain};

    #[tokio::test]
    async fn a_panic_becomes_the_end_of_the_one_websocket() {
        let (end, rest) = contain(async { panic!("the test panics") }).await;
        assert!(matches!(end, End::Failed(failure) if failure.class == FailureClass::Internal));
        assert!(rest.is_none());
    }
}
