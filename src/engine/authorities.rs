//! Certificate authorities of the user's own, beside those of the operating system. Read on the engine thread, and on
//! the main thread where the setting is checked.

use std::fs;
use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// There is no such file, or not for the server's user.
    #[error("the file with certificate authorities cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A directory, say; reading a pipe might never end.
    #[error("the file with certificate authorities is not a regular file")]
    NotAFile,
    /// Not one certificate.
    #[error("the file with certificate authorities holds no certificate in PEM form")]
    Empty,
    /// Something else between the lines that should hold a certificate.
    #[error("certificate {0} of the file with certificate authorities cannot be read")]
    Certificate(usize),
}

/// The authorities in a file, each known to be a certificate.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    if !fs::metadata(file)?.is_file() {
        return Err(AuthoritiesError::NotAFile);
    }
    let pem = fs::read(file)?;
    let mut found = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let unreadable = || AuthoritiesError::Certificate(number);
        let certificate = certificate.map_err(|_| unreadable())?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| unreadable())?;
        found.push(certificate);
    }
    if found.is_empty() { Err(AuthoritiesError::Empty) } else { Ok(found) }
}
