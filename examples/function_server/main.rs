//! A local function server for `make run` and for trying things out: it answers like a small edge runtime.
//!
//! | request | answer |
//! |---|---|
//! | `POST /functions/v1/hello` with `{"name":"Ada"}` | `{"message":"Hello Ada"}` |
//! | `POST /functions/v1/flaky` | 503 to the first two attempts of an idempotency key, then 200 |
//! | `POST /functions/v1/broken` | 500, until somebody calls `POST /functions/v1/repair` |
//! | `POST /functions/v1/tell` with `{"story":"Once upon a time"}` | the words as a language model would stream them: server-sent events in the dialect of OpenAI's chat completions |
//! | a websocket to `/functions/v1/room?room=lobby` | what others in the room say; 426 without a websocket |
//! | `GET /log?contains=…` | what was received: one line a request, those that contain the text |
//!
//! `--listen ADDRESS` chooses where it listens (a free port of 127.0.0.1 by default); `--address-file FILE` gets the
//! address written to it once requests are taken. Postgres calls it only with
//! `pg_edge.allowed_networks = '127.0.0.0/8, ::1'`: by default, loopback addresses are refused.
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

mod server;

use std::error::Error;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = argument("--listen").unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    if let Some(file) = argument("--address-file") {
        tokio::fs::write(file, address.to_string()).await?;
    }
    println!("listening on http://{address}");
    Ok(server::serve(listener).await?)
}

fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}
