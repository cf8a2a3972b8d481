//! What a failed handshake means, in plain words. Runs on the engine thread.

use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

/// How rustls begins to tell an alert.
const ALERT: &str = "received fatal alert: ";

/// What went wrong with TLS; `None` where it was something else.
///
/// Since TLS 1.3, a peer refuses a client certificate only when the client takes the handshake for done. HTTP/2 then
/// keeps of the error nothing but its text.
pub(super) fn about_tls(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    match error.downcast_ref::<Error>() {
        Some(Error::InvalidCertificate(error)) => Some(about_certificate(error)),
        Some(Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )) => Some(NO_VERSION.to_owned()),
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            Some("the peer does not speak TLS here".to_owned())
        }
        Some(Error::AlertReceived(alert)) => Some(about_alert(&format!("{alert:?}"))),
        Some(rare) => Some(rare.to_string()),
        None if error.source().is_none() => error.to_string().strip_prefix(ALERT).map(about_alert),
        None => None,
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
fn about_alert(alert: &str) -> String {
    let plain = match alert {
        "ProtocolVersion" => NO_VERSION,
        "CertificateRequired" => "the peer requires a client certificate",
        "CertificateExpired" => "the peer finds that the client certificate has expired",
        "CertificateRevoked" => "the peer finds that the client certificate has been revoked",
        "UnknownCA" => "the peer does not know the issuer of the client certificate",
        "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "AccessDenied" => {
            "the peer does not accept the client certificate, or misses one"
        }
        "HandshakeFailure" => "the peer found no common ground; it may require a client certificate, or other ciphers",
        "UnrecognisedName" => "the peer serves no host of this name",
        rare => return format!("the peer ended it: {rare}"),
    };
    plain.to_owned()
}
