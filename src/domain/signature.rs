//! Signing requests by Standard Webhooks 1.0.
//!
//! Signed are the id, the attempt's time in whole seconds and the exact bytes of the body, with full stops between.
//! Every key gives one signature, so that a receiver can change keys while both are in use.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use super::call::CallId;

/// Names the message; the same on every attempt.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");

/// When the attempt was made, in seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// The signatures, one a key.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The secret lengths that the specification allows for HMAC.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key to sign with.
pub enum SigningKey {
    /// `v1`: shared with the receiver.
    Hmac(hmac::Key),
    /// `v1a`: the receiver has the public half.
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why nothing can be signed. Never holds a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither kind of key.
    #[error("a signing secret must begin with whsec_ (HMAC-SHA256) or whsk_ (Ed25519)")]
    Prefix,
    /// Not base64.
    #[error("a signing secret is not base64 after its prefix")]
    Base64,
    /// Too short to be safe, or too long.
    #[error("a signing secret that begins with whsec_ must hold 24 to 64 bytes, not {0}")]
    HmacLength(usize),
    /// Neither a seed nor a seed with its public key.
    #[error("a signing secret that begins with whsk_ must hold 32 bytes, or 64 with the public key, not {0}")]
    Ed25519Length(usize),
    /// The public half is another key's.
    #[error("the public key in a signing secret that begins with whsk_ does not belong to its private key")]
    Ed25519Mismatch,
    /// It would make what is signed ambiguous.
    #[error("the id of a signed message must be visible ASCII without a full stop")]
    Id,
    /// Before 1970.
    #[error("the clock stands before 1970")]
    Clock,
}

impl SigningKey {
    /// Reads `whsec_…` or `whsk_…`.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if let Some(base64) = text.strip_prefix("whsec_") {
            let secret = decode(base64)?;
            if !HMAC_BYTES.contains(&secret.len()) {
                return Err(SignatureError::HmacLength(secret.len()));
            }
            return Ok(Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
        }
        let base64 = text.strip_prefix("whsk_").ok_or(SignatureError::Prefix)?;
        let secret = decode(base64)?;
        let pair = match secret.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(&secret),
            64 => Ed25519KeyPair::from_seed_and_public_key(&secret[..32], &secret[32..]),
            length => return Err(SignatureError::Ed25519Length(length)),
        };
        pair.map(|pair| Self::Ed25519(Box::new(pair))).map_err(|_| SignatureError::Ed25519Mismatch)
    }

    /// The signature with its version, as it stands in the header.
    fn sign(&self, signed: &[u8]) -> String {
        match self {
            Self::Hmac(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, signed))),
            Self::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(signed))),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "SigningKey::Hmac",
            Self::Ed25519(_) => "SigningKey::Ed25519",
        })
    }
}

fn decode(base64: &str) -> Result<Zeroizing<Vec<u8>>, SignatureError> {
    // Postgres' encode() breaks long lines.
    let base64: Zeroizing<String> = Zeroizing::new(base64.split_ascii_whitespace().collect());
    STANDARD.decode(base64.as_bytes()).map(Zeroizing::new).map_err(|_| SignatureError::Base64)
}

/// The id of a call's message: the same on every attempt, different from that of any other call of any database.
pub fn message_id(database_id: &str, call: CallId) -> String {
    format!("msg_{}_{}", database_id.replace('.', "-"), call.0)
}

/// The three headers of an attempt. A request without a body is signed as one of no bytes.
pub fn headers(
    keys: &[SigningKey],
    id: &str,
    attempted_at: SystemTime,
    body: Option<&[u8]>,
) -> Result<HeaderMap, SignatureError> {
    if id.is_empty() || id.contains('.') || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SignatureError::Id);
    }
    let seconds = attempted_at.duration_since(UNIX_EPOCH).map_err(|_| SignatureError::Clock)?.as_secs();
    let mut signed = format!("{id}.{seconds}.").into_bytes();
    signed.extend_from_slice(body.unwrap_or_default());
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&signed)).collect();
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(ID, HeaderValue::from_str(id).map_err(|_| SignatureError::Id)?);
    headers.insert(TIMESTAMP, HeaderValue::from(seconds));
    // Base64 and commas make a valid value, whatever the keys are.
    if let Ok(value) = HeaderValue::from_str(&signatures.join(" ")) {
        headers.insert(SIGNATURE, value);
    }
    Ok(headers)
}
