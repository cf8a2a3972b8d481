//! What a peer was asked, and how it is read off the wire: RFC 9112, as far as a client under test may go.

use std::io;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST` and the like.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What follows the question mark, still encoded; empty without one.
    pub query: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, without the chunks it may have come in.
    pub body: Bytes,
    /// When its last byte had come.
    pub at: Instant,
    /// Which of the peer's connections it came on, from 1.
    pub connection: usize,
}

impl Request {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// Reads the next request of a connection; none when the client has closed it.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    connection: usize,
) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let Some(line) = read_line(stream, buffer).await? else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let start = lines.next().ok_or_else(malformed)?;
    let mut words = start.split(' ');
    let method = words.next().ok_or_else(malformed)?.to_owned();
    let target = words.next().ok_or_else(malformed)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<io::Result<_>>()?;
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Bytes::new(),
        at: Instant::now(),
        connection,
    };
    if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(|_| malformed())?;
        request.body = read_exactly(stream, buffer, length).await?;
    } else if request.header("transfer-encoding") == Some("chunked") {
        request.body = read_chunks(stream, buffer).await?;
    }
    request.at = Instant::now();
    Ok(Some(request))
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let line = read_line(stream, buffer).await?.ok_or_else(malformed)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
        body.extend_from_slice(&read_exactly(stream, buffer, size).await?);
        // The end of the chunk, or after the last one the (unused) trailer's.
        read_line(stream, buffer).await?;
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

/// One line without its end; none when the stream ends before it.
async fn read_line(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Option<String>> {
    let mut searched = 0;
    loop {
        if let Some(end) = buffer[searched..].windows(2).position(|pair| pair == b"\r\n") {
            let line = buffer.split_to(searched + end);
            buffer.advance(2);
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
        searched = buffer.len().saturating_sub(1);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    length: usize,
) -> io::Result<Bytes> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(length).freeze())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no HTTP/1.1")
}
