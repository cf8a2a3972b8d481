//! Reads a response body, and stops where it grows beyond what is allowed. Runs on the engine thread.
//!
//! The library decodes gzip and brotli chunk by chunk, so the limit counts decoded bytes and a compression bomb
//! costs one chunk beyond it. Dropping the response unread closes its connection.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// Why there is no whole body.
pub(super) enum ReadError {
    TooLarge,
    Broken(reqwest::Error),
}

/// The whole body, at most `limit` bytes.
pub(super) async fn read(response: &mut Response, limit: usize) -> Result<Bytes, ReadError> {
    // Known only where the peer named a length and the body is not encoded.
    let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > limit) {
        return Err(ReadError::TooLarge);
    }
    let Some(first) = next(response, limit).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(response, limit - first.len()).await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(chunk) = next(response, limit - whole.len()).await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

async fn next(response: &mut Response, room: usize) -> Result<Option<Bytes>, ReadError> {
    match response.chunk().await.map_err(ReadError::Broken)? {
        Some(chunk) if chunk.len() > room => Err(ReadError::TooLarge),
        chunk => Ok(chunk),
    }
}
