//! Files in `pg_edge.secrets_directory`, as `${file:NAME}` reads them.
//!
//! Runs on the main thread of a dispatcher. The name is known to be a single part of a path; a symbolic link is
//! refused, since it could lead out of the directory.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::domain::placeholder::LONGEST_VALUE;

/// Why a file gives no value.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("pg_edge.secrets_directory is not set")]
    NoDirectory,
    #[error("it is a symbolic link")]
    Link,
    #[error("it is not a file")]
    NotAFile,
    #[error("it has more than {LONGEST_VALUE} bytes")]
    TooLong,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a file, without the line feed at its end.
pub fn read(directory: Option<&str>, name: &str) -> Result<Zeroizing<String>, FileError> {
    let path = Path::new(directory.ok_or(FileError::NoDirectory)?).join(name);
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = open.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => FileError::Link,
        _ => FileError::Io(error),
    })?;
    if !file.metadata()?.is_file() {
        return Err(FileError::NotAFile);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST_VALUE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_VALUE {
        return Err(FileError::TooLong);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotUtf8)?;
    Ok(Zeroizing::new(text.strip_suffix('\n').unwrap_or(text).to_owned()))
}
