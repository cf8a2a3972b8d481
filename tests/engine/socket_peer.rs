//! A peer of websockets, scripted frame by frame.

use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::peer::Conn;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame from the client, without its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// A frame as a server sends it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    framed(0x80 | opcode, payload)
}

/// A frame whose message goes on.
pub fn fragment(opcode: u8, payload: &[u8]) -> Vec<u8> {
    framed(opcode, payload)
}

/// A close frame.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        medium @ 126..65_536 => {
            bytes.push(126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// The value of a header of a request.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|it| it.1)
}

/// The answer that opens a websocket, with more headers.
pub fn welcome(request: &str, more: &str) -> String {
    let accept = derive_accept_key(header(request, "sec-websocket-key").expect("a key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n{more}\r\n"
    )
}

impl Conn {
    /// Answers the handshake. Gives the request.
    pub async fn welcome(&mut self) -> String {
        let request = self.request().await.expect("a handshake");
        self.send(welcome(&request, "").as_bytes()).await;
        request
    }

    /// The next frame of the client; `None` once it has closed the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        let stream = &mut self.stream;
        let (first, second) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
        assert_eq!(second & 0x80, 0x80, "a client masks");
        assert_eq!(first & 0x70, 0, "no extension is known");
        let length = match second & 0x7f {
            126 => u64::from(stream.read_u16().await.ok()?),
            127 => stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await.ok()?;
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.ok()?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some(Frame { opcode: first & 0x0f, payload })
    }

    /// The next message of the client. Its pings are answered on the way.
    pub async fn message(&mut self) -> Option<Frame> {
        loop {
            let next = self.frame().await?;
            match next.opcode {
                PING => drop(self.send(&frame(PONG, &next.payload)).await),
                PONG => {}
                _ => return Some(next),
            }
        }
    }

    /// Reads to the end, answers pings and notes the rest: texts as they are, a close frame as `close 1000 reason`. A close
    /// frame is answered.
    pub async fn converse(&mut self) {
        while let Some(next) = self.message().await {
            if next.opcode == CLOSE {
                let code = next.payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                let reason = String::from_utf8_lossy(next.payload.get(2..).unwrap_or_default()).into_owned();
                self.note(format!("close {} {reason}", code.unwrap_or(0)).trim_end());
                self.send(&frame(CLOSE, &next.payload)).await;
                return;
            }
            self.note(&String::from_utf8_lossy(&next.payload));
        }
        self.note("gone");
    }
}
