//! What may stand in a setting that is a text.

use std::path::Path;

use crate::domain::guard::HostPattern;
use crate::domain::network;
use crate::engine::{self, OldestTls};

/// What may stand in a setting.
pub(super) trait Check {
    /// Why the text cannot be used.
    fn check(text: &str) -> Result<(), String>;
}

/// A list of networks.
pub(super) struct Networks;

/// A list of host names.
pub(super) struct Hosts;

/// A file with certificate authorities, or nothing.
pub(super) struct Authorities;

/// A version of TLS.
pub(super) struct Version;

/// Any text but none.
pub(super) struct NotEmpty;

/// A path that means the same to everybody, or none.
pub(super) struct AbsoluteOrEmpty;

impl Check for NotEmpty {
    fn check(text: &str) -> Result<(), String> {
        if text.is_empty() { Err("It must not be empty.".to_owned()) } else { Ok(()) }
    }
}

impl Check for AbsoluteOrEmpty {
    fn check(text: &str) -> Result<(), String> {
        let good = text.is_empty() || text.starts_with('/');
        if good { Ok(()) } else { Err("It must be an absolute path.".to_owned()) }
    }
}

impl Check for Networks {
    fn check(text: &str) -> Result<(), String> {
        network::parse(text).map(drop).map_err(|error| error.to_string())
    }
}

impl Check for Hosts {
    fn check(text: &str) -> Result<(), String> {
        HostPattern::parse_list(text).map(drop).map_err(|error| error.to_string())
    }
}

impl Check for Authorities {
    fn check(text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        engine::authorities(Path::new(text)).map(drop).map_err(|error| error.to_string())
    }
}

impl Check for Version {
    fn check(text: &str) -> Result<(), String> {
        version(text).map(drop).ok_or_else(|| format!("\"{text}\" is neither 1.2 nor 1.3"))
    }
}

/// Reads a version of TLS.
pub(super) fn version(text: &str) -> Option<OldestTls> {
    match text.trim() {
        "1.2" => Some(OldestTls::V1_2),
        "1.3" => Some(OldestTls::V1_3),
        _ => None,
    }
}
