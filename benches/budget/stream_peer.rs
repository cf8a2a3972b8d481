//! A peer that streams its answers by plan, on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// What every answer is like.
#[derive(Clone, Copy)]
pub enum Plan {
    /// So many events, each written by itself when its time comes.
    Ticking { events: usize, every: Duration },
    /// So many events of so many bytes, as fast as they are read.
    AtOnce { events: usize, bytes: usize, text: Filling },
    /// The head, after a while one event, after a while the end.
    One,
}

/// What the text of an event is.
#[derive(Clone, Copy)]
pub enum Filling {
    /// One letter, over and over: a table stores it in next to nothing.
    Alike,
    /// Letters at random, of which no table can store less.
    Random,
}

/// A running peer. Dropping it ends the thread.
pub struct StreamPeer {
    address: SocketAddr,
    /// When first events were written.
    written: Arc<Mutex<Vec<Instant>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// The text of an event that is all of its chunk.
const TOKEN: &str = " token";

/// How long the parts of [`Plan::One`] are apart: long enough for what went before to be dealt with.
const APART: Duration = Duration::from_millis(30);

/// One event, as a language model sends them, with this text.
pub fn event(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

/// The same, so many bytes long.
pub fn event_of(bytes: usize, filling: Filling) -> String {
    event(&filling.of(bytes - event("").len()))
}

impl Filling {
    /// For the reader of a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alike => "that compress well",
            Self::Random => "that do not compress",
        }
    }

    fn of(self, length: usize) -> String {
        match self {
            Self::Alike => "x".repeat(length),
            Self::Random => (0..length).map(|_| fastrand::alphanumeric()).collect(),
        }
    }
}

impl StreamPeer {
    /// A peer on a free port of 127.0.0.1.
    pub fn start(plan: Plan) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let written = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let noted = Arc::clone(&written);
        // In this process there is no Postgres whose signals a thread could take.
        #[expect(clippy::disallowed_methods, reason = "the thread rule is for threads inside the server")]
        let thread = std::thread::spawn(move || serve(listener, plan, &noted, stopped));
        Self { address, written, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// When the last first event was written.
    pub fn last_written(&self) -> Instant {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner).last().expect("an event was written")
    }
}

impl Drop for StreamPeer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: StdListener, plan: Plan, written: &Arc<Mutex<Vec<Instant>>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async move {
        let listener = TcpListener::from_std(listener).expect("the runtime takes sockets");
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, plan, Arc::clone(written)));
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

async fn answer(mut stream: TcpStream, plan: Plan, written: Arc<Mutex<Vec<Instant>>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(4 * 1024);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(HEAD).await?;
    match plan {
        Plan::Ticking { events, every } => {
            let one = event(TOKEN);
            let mut ticks = interval(every);
            // One that is late sends what it owes, so that all send as much.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for _ in 1..events {
                ticks.tick().await;
                stream.write_all(one.as_bytes()).await?;
            }
        }
        Plan::AtOnce { events, bytes, text } => {
            let at_once = (256 * 1024 / bytes).max(1);
            let many: String = (0..at_once).map(|_| event_of(bytes, text)).collect();
            let mut left = events - 1;
            while left > 0 {
                let now = left.min(at_once);
                stream.write_all(&many.as_bytes()[..now * bytes]).await?;
                left -= now;
            }
        }
        Plan::One => {
            sleep(APART).await;
            written.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            stream.write_all(event(TOKEN).as_bytes()).await?;
            sleep(APART).await;
        }
    }
    stream.write_all(b"data: [DONE]\n\n").await?;
    stream.shutdown().await
}
