//! What a failed handshake means, in plain words. Runs on the engine thread.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// The common reasons; `None` where rustls's own words have to do.
pub(super) fn about_tls(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(error) => Some(about_certificate(error)),
        Error::AlertReceived(alert) => Some(about_alert(*alert)),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Some(NO_VERSION.to_owned()),
        _ => None,
    }
}

const NO_VERSION: &str = "the peer speaks no version of TLS that pg_edge.tls_min_version allows";

fn about_certificate(error: &CertificateError) -> String {
    let plain = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::Revoked => "the certificate has been revoked",
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is trusted neither by this system nor by pg_edge.ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        rare => return format!("the certificate is not valid: {rare}"),
    };
    plain.to_owned()
}

/// The peer ended the handshake. What it says of a certificate, it says of the client's.
fn about_alert(alert: AlertDescription) -> String {
    let plain = match alert {
        AlertDescription::ProtocolVersion => NO_VERSION,
        AlertDescription::CertificateRequired => "the peer requires a client certificate",
        AlertDescription::CertificateExpired => "the peer finds that the client certificate has expired",
        AlertDescription::CertificateRevoked => "the peer finds that the client certificate has been revoked",
        AlertDescription::UnknownCA => "the peer does not know the issuer of the client certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "the peer does not accept the client certificate, or misses one",
        AlertDescription::HandshakeFailure => {
            "the peer found no common ground; it may require a client certificate, or other ciphers"
        }
        AlertDescription::UnrecognisedName => "the peer serves no host of this name",
        rare => return format!("the peer ended it: {rare:?}"),
    };
    plain.to_owned()
}
