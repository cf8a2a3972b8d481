//! The file that holds the keys of secrets: `pg_edge.secret_key_file`, outside of every table, WAL record and dump.
//!
//! Runs in sessions and in dispatchers of all databases of the cluster, which share the file. It is made whole or not
//! at all, and only ever grows: a reader sees a line that is being written as cut off, and passes over it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::domain::seal::{KEY_BYTES, Key, Keyring, NONCE_BYTES};
use crate::error::Error;

/// No file of keys is larger; what is, is something else.
const LARGEST: u64 = 1024 * 1024;

/// Bits of a file's mode that let others than its owner in.
const OTHERS: u32 = 0o077;

/// Reads the keys.
pub fn read(file: &str) -> Result<Keyring, Error> {
    let mut open = open(file, OpenOptions::new().read(true))?;
    parse(file, &text(file, &mut open)?)
}

/// Reads the keys, after making the file with a first one where there is none.
pub fn read_or_make(file: &str) -> Result<Keyring, Error> {
    if matches!(fs::symlink_metadata(file), Err(error) if error.kind() == ErrorKind::NotFound) {
        make(file).map_err(|error| cannot_use(file, &error))?;
    }
    read(file)
}

/// Adds a key, with which new values are sealed from now on. The old ones stay: a dump, or another database, may need
/// them.
pub fn add_key(file: &str) -> Result<Keyring, Error> {
    read_or_make(file)?;
    let mut open = open(file, OpenOptions::new().read(true).write(true))?;
    // Two sessions may do this at once, in two databases even. The lock goes with the file.
    open.lock().map_err(|error| cannot_use(file, &error))?;
    let text = text(file, &mut open)?;
    parse(file, &text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1) as u64;
    let key = draw_key()?;
    let added = open.set_len(whole).and_then(|()| open.seek(SeekFrom::Start(whole)));
    let added = added.and_then(|_| open.write_all(key.line().as_bytes())).and_then(|()| open.sync_all());
    added.map_err(|error| cannot_use(file, &error))?;
    read(file)
}

/// A nonce that was never used before: of that many random bytes, no two are ever the same.
pub fn draw_nonce() -> Result<[u8; NONCE_BYTES], Error> {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut nonce).map_err(|_| Error::NoRandomness)?;
    Ok(nonce)
}

fn draw_key() -> Result<Key, Error> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| Error::NoRandomness)?;
    Ok(Key::new(bytes))
}

/// Writes a first key aside and gives it the file's name once it is on disk, unless another session was faster.
fn make(file: &str) -> io::Result<()> {
    let key = draw_key().map_err(io::Error::other)?;
    let aside = PathBuf::from(format!("{file}.{}.new", std::process::id()));
    // Left there by a process of the same number that crashed right here; its key was never used.
    let _ = fs::remove_file(&aside);
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    new.write_all(key.line().as_bytes())?;
    new.sync_all()?;
    let named = fs::hard_link(&aside, file);
    fs::remove_file(&aside)?;
    match named {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory(Path::new(file)),
    }
}

/// A new name is on disk only when its directory is.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn open(file: &str, how: &mut OpenOptions) -> Result<File, Error> {
    // Opening a pipe would wait for somebody to write into it.
    let open = how.custom_flags(libc::O_NONBLOCK).open(file).map_err(|error| cannot_use(file, &error))?;
    let about = open.metadata().map_err(|error| cannot_use(file, &error))?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(Error::KeyFile { file: file.to_owned(), reason: "it is not a file of keys".to_owned() });
    }
    if about.mode() & OTHERS != 0 {
        let reason = format!("others than its owner have rights on it (mode {:04o})", about.mode() & 0o7777);
        return Err(Error::KeyFile { file: file.to_owned(), reason });
    }
    Ok(open)
}

fn text(file: &str, open: &mut File) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    open.read_to_string(&mut text).map_err(|error| cannot_use(file, &error))?;
    Ok(text)
}

fn parse(file: &str, text: &str) -> Result<Keyring, Error> {
    Keyring::parse(text).map_err(|error| Error::KeyFile { file: file.to_owned(), reason: error.to_string() })
}

fn cannot_use(file: &str, error: &io::Error) -> Error {
    Error::KeyFile { file: file.to_owned(), reason: error.to_string() }
}
