//! One connection of a peer: a request is read, its reply played, and so on until either side ends it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::pending;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::reply::{End, Framing, Reply, Step};
use super::request;
use super::script::{Counted, State};

/// Serves a connection to its end. Errors end it as well: the client may break off at any time.
pub async fn serve(stream: TcpStream, number: usize, state: Arc<State>) {
    let _open = Counted::up(&state.open, None);
    // A reply in several pieces must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut connection = Connection { stream, buffer: BytesMut::with_capacity(8 * 1024) };
    while let Ok(Some(request)) = request::read(&mut connection.stream, &mut connection.buffer, number).await {
        let has_body = request.method != "HEAD";
        let in_flight = Counted::up(&state.in_flight, Some(&state.most_in_flight));
        let reply = state.reply_to(request);
        if !matches!(connection.play(reply, has_body, in_flight).await, Ok(End::KeepAlive)) {
            return;
        }
    }
}

struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    /// The request counts as in flight until just before what the client takes for the end of its answer is written: once it has
    /// that, it may send another over another connection, before this task goes on.
    async fn play(&mut self, reply: Reply, has_body: bool, in_flight: Counted<'_>) -> io::Result<End> {
        // Neither has a body, whatever its head says: RFC 9112, 6.3.
        let has_body = has_body && !matches!(reply.status, 204 | 304);
        for step in reply.before {
            self.take(step, Framing::Raw).await?;
        }
        // Head and first piece go out together, as from any real server.
        let mut head = head_of(reply.status, &reply.headers, reply.framing, &reply.steps);
        let mut steps: VecDeque<Step> = reply.steps.into_iter().filter(|_| has_body).collect();
        if let Some(Step::Send(first)) = steps.pop_front_if(|step| matches!(step, Step::Send(_))) {
            frame(&mut head, &first, reply.framing);
        }
        let last_chunk = reply.framing == Framing::Chunked && reply.end == End::KeepAlive && has_body;
        let ends_with_a_piece = !last_chunk && reply.end != End::Hang;
        let mut in_flight = Some(in_flight).filter(|_| !steps.is_empty() || !ends_with_a_piece);
        self.stream.write_all(&head).await?;
        while let Some(step) = steps.pop_front() {
            if steps.is_empty() && ends_with_a_piece && matches!(step, Step::Send(_)) {
                in_flight = None;
            }
            self.take(step, reply.framing).await?;
        }
        let _until_it_hangs_up = in_flight.filter(|_| reply.end == End::Hang);
        match reply.end {
            End::KeepAlive if last_chunk => self.stream.write_all(b"0\r\n\r\n").await?,
            End::KeepAlive => {}
            End::Close => self.stream.shutdown().await?,
            End::Reset => self.stream.set_zero_linger()?,
            End::Hang => self.unless_closed(pending()).await?,
        }
        Ok(reply.end)
    }

    async fn take(&mut self, step: Step, framing: Framing) -> io::Result<()> {
        match step {
            Step::Send(bytes) => self.write_piece(&bytes, framing).await,
            Step::Pause(duration) => self.unless_closed(tokio::time::sleep(duration)).await,
            Step::Hold(gate) => self.unless_closed(gate.passed()).await,
            Step::Forever(bytes) => loop {
                self.write_piece(&bytes, framing).await?;
            },
        }
    }

    async fn write_piece(&mut self, bytes: &Bytes, framing: Framing) -> io::Result<()> {
        let mut piece = BytesMut::with_capacity(bytes.len() + 16);
        frame(&mut piece, bytes, framing);
        self.stream.write_all(&piece).await
    }

    /// Waits, but notices when the client goes away meanwhile. What it sends before is kept for the next request.
    async fn unless_closed(&mut self, wait: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return Ok(()),
                read = self.stream.read_buf(&mut self.buffer) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
            }
        }
    }
}

fn head_of(status: u16, headers: &[(String, String)], framing: Framing, steps: &[Step]) -> BytesMut {
    let mut head = BytesMut::new();
    if framing == Framing::Raw {
        return head;
    }
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Unnamed"));
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let own_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if framing == Framing::Chunked {
        text.push_str("transfer-encoding: chunked\r\n");
    } else if !own_length && status != 204 {
        // A script that gives the length itself is free to lie.
        let length: usize = steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum();
        let _ = write!(text, "content-length: {length}\r\n");
    }
    text.push_str("\r\n");
    head.extend_from_slice(text.as_bytes());
    head
}

/// An empty chunk would end the body, so it is left out.
fn frame(out: &mut BytesMut, bytes: &Bytes, framing: Framing) {
    if framing != Framing::Chunked {
        out.extend_from_slice(bytes);
    } else if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}
