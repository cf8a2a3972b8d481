//! The benchmarks' peer: one canned answer, as fast as one thread gives it, so that what is measured is the client.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A running peer on a thread of its own. Dropping it ends the thread.
pub struct FastPeer {
    address: SocketAddr,
    served: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FastPeer {
    /// A peer on a free port of 127.0.0.1 that answers 200 with this JSON text, whatever it is asked.
    pub fn start(body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        let answer: Arc<[u8]> = (head + body).into_bytes().into();
        let listener = StdListener::bind("127.0.0.1:0").expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let served = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counter = Arc::clone(&served);
        // In this process there is no Postgres whose signals a thread could take.
        #[expect(clippy::disallowed_methods, reason = "the thread rule is for threads inside the server")]
        let thread = std::thread::spawn(move || serve(listener, answer, counter, stopped));
        Self { address, served, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests were answered.
    pub fn count(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for FastPeer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: StdListener, answer: Arc<[u8]>, served: Arc<AtomicU64>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime.expect("a runtime can be built").block_on(async move {
        let listener = TcpListener::from_std(listener).expect("the runtime takes sockets");
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_all(stream, Arc::clone(&answer), Arc::clone(&served)));
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

async fn answer_all(mut stream: TcpStream, answer: Arc<[u8]>, served: Arc<AtomicU64>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut answers = Vec::new();
    while stream.read_buf(&mut buffer).await? > 0 {
        let mut start = 0;
        while let Some(length) = whole_request(&buffer[start..]) {
            start += length;
            answers.extend_from_slice(&answer);
            served.fetch_add(1, Ordering::Relaxed);
        }
        buffer.drain(..start);
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
    }
    Ok(())
}

/// The length of the first request, once it is all there. Bodies must have a Content-Length.
fn whole_request(buffer: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    let mut body = 0;
    loop {
        let line = &buffer[line_start..];
        let end = line.iter().position(|&byte| byte == b'\n')?;
        // Only the line's end is left: the head is over.
        if end <= 1 {
            let length = line_start + end + 1 + body;
            return (buffer.len() >= length).then_some(length);
        }
        if let Some(length) = content_length(&line[..end]) {
            body = length;
        }
        line_start += end + 1;
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
}
