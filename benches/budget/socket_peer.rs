//! A websocket peer on a thread of its own, which counts what it reads and sends as much as it is asked for.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// A running peer. Dropping it ends the thread.
pub struct SocketPeer {
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it has seen.
struct Seen {
    began: Instant,
    /// Websockets that stand.
    open: AtomicU64,
    /// Text messages that were read.
    messages: AtomicU64,
    /// When the last one was, in nanoseconds since it began.
    last: AtomicU64,
}

/// A message of this text has it send as many messages as are said after it, in [`SIZE`] bytes each.
pub const SEND: &str = "send ";

/// How long each message is: as a small change of a row in JSON.
pub const SIZE: usize = 128;

/// One message.
pub fn text() -> Utf8Bytes {
    let frame = r#"{"note": ""}"#.len();
    format!(r#"{{"note": "{}"}}"#, "x".repeat(SIZE - frame)).into()
}

impl SocketPeer {
    /// A peer on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let (open, messages, last) = Default::default();
        let seen = Arc::new(Seen { began: Instant::now(), open, messages, last });
        let (stop, stopped) = oneshot::channel();
        let noted = Arc::clone(&seen);
        // In this process there is no Postgres whose signals a thread could take.
        #[expect(clippy::disallowed_methods, reason = "the thread rule is for threads inside the server")]
        let thread = std::thread::spawn(move || serve(listener, &noted, stopped));
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a URL.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// How many websockets stand.
    pub fn open(&self) -> u64 {
        self.seen.open.load(Ordering::Relaxed)
    }

    /// How many text messages were read.
    pub fn messages(&self) -> u64 {
        self.seen.messages.load(Ordering::Acquire)
    }

    /// When the last of them was.
    pub fn last_read(&self) -> Instant {
        self.seen.began + Duration::from_nanos(self.seen.last.load(Ordering::Relaxed))
    }
}

impl Drop for SocketPeer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: StdListener, seen: &Arc<Seen>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async move {
        let listener = TcpListener::from_std(listener).expect("the runtime takes sockets");
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(seen);
                tokio::spawn(async move {
                    // Whatever ends it, the client has gone.
                    let _gone = talk(stream, &seen).await;
                    seen.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

async fn talk(stream: TcpStream, seen: &Seen) -> Result<(), Error> {
    seen.open.fetch_add(1, Ordering::Relaxed);
    stream.set_nodelay(true)?;
    // Thousands are held at once, and this process has better uses for its memory.
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024).write_buffer_size(64 * 1024);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(said) => {
                if let Some(count) = said.strip_prefix(SEND) {
                    let one = Message::Text(text());
                    for _ in 0..count.parse().unwrap_or(0_u64) {
                        socket.feed(one.clone()).await?;
                    }
                    socket.flush().await?;
                } else {
                    let now = u64::try_from(seen.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    seen.last.store(now, Ordering::Relaxed);
                    seen.messages.fetch_add(1, Ordering::Release);
                }
            }
            Message::Ping(_) | Message::Close(_) => socket.flush().await?,
            _ => {}
        }
    }
    Ok(())
}
