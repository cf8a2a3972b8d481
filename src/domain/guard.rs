//! Where calls may go: not to addresses inside of the network the database stands in, unless its administrator says so.
//!
//! A call's URL is any user's to choose, and its answer is any user's to read, so without a guard everybody who may
//! queue a call could read what only the database server can reach.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::network;

/// What is let through and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Special addresses that calls may go to all the same.
    pub allowed_networks: Vec<IpNet>,
    /// Hosts that calls may go to whatever their addresses.
    pub allowed_hosts: Vec<HostPattern>,
    /// Hosts that calls may not go to, whatever else is allowed.
    pub denied_hosts: Vec<HostPattern>,
}

/// A host, or the hosts below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// One name, in lower case and without a dot at its end.
    Name(String),
    /// The names that end in a dot and this one.
    Below(String),
    /// One address, where it stands in the URL itself.
    Address(IpAddr),
}

/// Why a call may not go somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host is in `denied_hosts`.
    #[error("the host is denied")]
    Host,
    /// The address is special, and nothing allows it.
    #[error("the host's address is not allowed")]
    Address {
        /// What it is for. Not told to the caller, who could explore the network by it.
        range: &'static str,
    },
}

/// What a host's name says about its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They may be anything.
    Any,
    /// Each is looked at.
    Judged,
}

/// Why a list of hosts was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a host name, nor *. and a host name, nor an IP address")]
pub struct HostError(pub String);

// === impl Guard ===

impl Guard {
    /// Whether a request for this URL may be begun. A name passes here and is judged by what it resolves to.
    ///
    /// `is_own` knows the addresses of this very machine. It is asked about public ones that nothing allows.
    pub fn check_url(&self, url: &Url, is_own: impl Fn(IpAddr) -> bool) -> Result<(), Refusal> {
        let address = match url.host() {
            None => return Err(Refusal::Host),
            Some(Host::Domain(name)) => return self.check_name(name).map(|_| ()),
            Some(Host::Ipv4(four)) => IpAddr::V4(four),
            Some(Host::Ipv6(six)) => IpAddr::V6(six).to_canonical(),
        };
        let is_it = |pattern: &HostPattern| *pattern == HostPattern::Address(address);
        if self.denied_hosts.iter().any(is_it) {
            return Err(Refusal::Host);
        }
        if self.allowed_hosts.iter().any(is_it) {
            return Ok(());
        }
        self.check_address(address, is_own)
    }

    /// What is known of a host by its name alone.
    pub fn check_name(&self, name: &str) -> Result<Trust, Refusal> {
        if self.denied_hosts.iter().any(|pattern| pattern.matches(name)) {
            return Err(Refusal::Host);
        }
        let trusted = self.allowed_hosts.iter().any(|pattern| pattern.matches(name));
        Ok(if trusted { Trust::Any } else { Trust::Judged })
    }

    /// Whether a connection may be made to this address. One that embeds another must pass as both.
    pub fn check_address(&self, address: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<(), Refusal> {
        let address = address.to_canonical();
        self.check_by_itself(address, &is_own)?;
        match address {
            IpAddr::V4(_) => Ok(()),
            IpAddr::V6(six) => {
                network::embedded(six).try_for_each(|four| self.check_by_itself(IpAddr::V4(four), &is_own))
            }
        }
    }

    fn check_by_itself(&self, address: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<(), Refusal> {
        if self.allowed_networks.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        match network::special(address) {
            Some(range) => Err(Refusal::Address { range }),
            // What listens here for the machine alone would be reached from within, past its firewall.
            None if is_own(address) => Err(Refusal::Address { range: "this machine's own" }),
            None => Ok(()),
        }
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Reads a list of patterns, separated by commas.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, HostError> {
        list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Self::parse).collect()
    }

    fn parse(item: &str) -> Result<Self, HostError> {
        let refused = || HostError(item.to_owned());
        if let Ok(address) = item.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let (name, below) = item.strip_prefix("*.").map_or((item, false), |name| (name, true));
        // The URL's own rules, so that a host is written here as it is in a URL: any case, international, any notation.
        match Host::parse(name).map_err(|_| refused())? {
            Host::Domain(name) => {
                let name = without_dot(&name).to_owned();
                let is_name = !name.is_empty() && !name.contains('*');
                if !is_name {
                    return Err(refused());
                }
                Ok(if below { Self::Below(name) } else { Self::Name(name) })
            }
            _ if below => Err(refused()),
            Host::Ipv4(four) => Ok(Self::Address(IpAddr::V4(four))),
            Host::Ipv6(six) => Ok(Self::Address(IpAddr::V6(six).to_canonical())),
        }
    }

    /// Whether a host name of a parsed URL, which is in lower case, is meant.
    fn matches(&self, name: &str) -> bool {
        let name = without_dot(name);
        match self {
            Self::Name(known) => name == known,
            Self::Below(parent) => name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.')),
            Self::Address(_) => false,
        }
    }
}

/// `example.com.` is `example.com`, written out to the root.
fn without_dot(name: &str) -> &str {
    name.trim_end_matches('.')
}
