//! A peer whose answers a test scripts byte by byte. Runs on a thread and runtime of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use url::Url;

/// A running peer. Its thread ends with the test process.
pub struct Peer {
    address: SocketAddr,
    notes: Notes,
}

/// One accepted connection.
pub struct Conn {
    pub stream: TcpStream,
    /// 0 for the first connection the peer accepted.
    pub index: usize,
    notes: Notes,
}

pub type Notes = Arc<Mutex<Vec<String>>>;

impl Peer {
    /// Accepts connections and runs `script` on each.
    pub fn scripted<F>(script: impl Fn(Conn) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let notes = Notes::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let theirs = Arc::clone(&notes);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                for index in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(script(Conn { stream, index, notes: Arc::clone(&theirs) }));
                }
            });
        });
        Self { address, notes }
    }

    /// Answers every request on every connection with the same bytes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::scripted(move |mut conn| {
            let answer = Arc::clone(&answer);
            async move {
                while conn.request().await.is_some() {
                    conn.send(&answer).await;
                }
            }
        })
    }

    /// Takes requests and never answers.
    pub fn silent() -> Self {
        Self::scripted(|mut conn| async move {
            conn.request().await;
            conn.until_closed().await;
        })
    }

    /// The URL of a port of 127.0.0.1 on which nobody listens, nor ever will while the tests run.
    pub fn refusing() -> Url {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        // A port that was given back may be the next peer's.
        std::mem::forget(socket);
        Url::parse(&format!("http://{address}/")).unwrap()
    }

    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happened at the peer, in order: requests, and what the script noted.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    /// Has every script go on that waits to be told.
    pub fn tell(&self) {
        self.notes.lock().unwrap().push("told".to_owned());
    }

    pub fn noted(&self, note: &str) -> usize {
        self.notes().iter().filter(|known| *known == note).count()
    }
}

impl Conn {
    /// Reads one whole request and notes it. `None` once the client has closed the connection.
    pub async fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            if let Some(length) = whole(&bytes) {
                assert_eq!(length, bytes.len(), "the client pipelined");
                let text = String::from_utf8(bytes).unwrap();
                self.note(&text);
                return Some(text);
            }
            if self.stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// A client that has gone away does not fail the script.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Notes `closed` once the client has closed the connection.
    pub async fn until_closed(&mut self) {
        let mut waste = [0; 1_024];
        while self.stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
        self.note("closed");
    }

    /// Waits to be told.
    pub async fn until_told(&mut self) {
        while !self.notes.lock().unwrap().iter().any(|note| note == "told") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Where to note things once the stream has gone elsewhere.
    pub fn notes(&self) -> Notes {
        Arc::clone(&self.notes)
    }

    pub fn note(&self, note: &str) {
        self.notes.lock().unwrap().push(note.to_owned());
    }
}

/// The length of the first request in `bytes`, once it is there as a whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    (bytes.len() >= head + body).then_some(head + body)
}
