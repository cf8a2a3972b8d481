//! Sealing secrets, and the file that holds the keys.
//!
//! XChaCha20-Poly1305 with the secret's name as associated data, so that a value cannot be moved to another name by
//! somebody who can write the table. The nonce is random and 24 bytes long: random ones of that length never meet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;

/// A key and its name.
pub struct Key {
    /// The first eight bytes of the key's SHA-256, in hexadecimal: names the key and gives nothing of it away.
    pub id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys of a key file, oldest first. New values are sealed with the last.
pub struct Keyring(Vec<Key>);

/// A sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which key it was sealed with.
    pub key_id: String,
    /// As it was drawn.
    pub nonce: Vec<u8>,
    /// The value, encrypted, and its tag.
    pub ciphertext: Vec<u8>,
}

/// Why a value cannot be sealed or opened, or a key file not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A line that is no key.
    #[error("line {0} is not a key: it must be a key id, a space and 32 bytes in base64")]
    Line(usize),
    /// The id says that the key was changed.
    #[error("the key in line {0} does not belong to the id before it")]
    Damaged(usize),
    /// There is no key at all.
    #[error("it holds no key")]
    NoKey,
    /// The key is not there.
    #[error("it does not hold key {0}, with which the secret was encrypted")]
    MissingKey(String),
    /// The ciphertext was made with another key or name, or was changed.
    #[error("the secret does not open with key {0}: it was damaged, or belongs to another name")]
    DoesNotOpen(String),
    /// Too long for the cipher.
    #[error("the value cannot be encrypted")]
    TooLong,
}

impl Key {
    /// A key of these bytes, which somebody has drawn at random.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let digest = Sha256::digest(bytes.as_slice());
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }

    /// Its line in the key file.
    pub fn line(&self) -> Zeroizing<String> {
        let base64 = Zeroizing::new(STANDARD.encode(self.bytes.as_slice()));
        Zeroizing::new(format!("{} {}\n", self.id, *base64))
    }

    /// Seals a value under a nonce that was never used before.
    pub fn seal(&self, name: &str, nonce: [u8; NONCE_BYTES], value: &[u8]) -> Result<Sealed, SealError> {
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let ciphertext = sealed.map_err(|_| SealError::TooLong)?;
        Ok(Sealed { key_id: self.id.clone(), nonce: nonce.to_vec(), ciphertext })
    }

    fn open(&self, name: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        if sealed.nonce.len() != NONCE_BYTES {
            return None;
        }
        let payload = Payload { msg: &sealed.ciphertext, aad: name.as_bytes() };
        self.cipher().decrypt(XNonce::from_slice(&sealed.nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.as_slice().into())
    }
}

impl Keyring {
    /// Reads a key file: one key a line, empty lines and those that begin with `#` aside. A last line without its line
    /// feed was not written to its end, and nothing was ever sealed with its key.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut keys = Vec::new();
        for (index, line) in whole.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, base64) = line.split_once(' ').ok_or(SealError::Line(number))?;
            let decoded = STANDARD.decode(base64.trim()).map(Zeroizing::new).map_err(|_| SealError::Line(number))?;
            let bytes = <[u8; KEY_BYTES]>::try_from(decoded.as_slice()).map_err(|_| SealError::Line(number))?;
            let key = Key::new(Zeroizing::new(bytes));
            if key.id != id {
                return Err(SealError::Damaged(number));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// The key for new values.
    pub fn newest(&self) -> Result<&Key, SealError> {
        self.0.last().ok_or(SealError::NoKey)
    }

    /// Opens a sealed value.
    pub fn open(&self, name: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| SealError::MissingKey(sealed.key_id.clone()))?;
        key.open(name, sealed).ok_or_else(|| SealError::DoesNotOpen(sealed.key_id.clone()))
    }
}
