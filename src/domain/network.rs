//! Which addresses are not on the public Internet, and lists of networks.
//!
//! The ranges are those of IANA's special-purpose registries for IPv4 and IPv6, with what cloud providers have made of
//! public addresses. Of IPv6, only `2000::/3` has ever been given out as global unicast, so all else is special too.
//! Registries: <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>,
//! <https://www.iana.org/assignments/ipv6-address-space>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 ranges that no public service has its address in. The narrower range comes first, so that its name is told.
#[rustfmt::skip]
const SPECIAL_V4: [(Ipv4Net, &str); 18] = [
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private use"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([168, 63, 129, 16], 32), "the metadata service of Azure"),
    (v4([169, 254, 169, 254], 32), "the metadata service of most clouds"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private use"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relays"),
    (v4([192, 168, 0, 0], 16), "private use"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The same of IPv6. IPv4-mapped addresses are not here: they are another way to write an IPv4 address.
#[rustfmt::skip]
const SPECIAL_V6: [(Ipv6Net, &str); 21] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 3), "not global unicast"),
    (v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2), "not global unicast"),
    (v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1), "not global unicast"),
];

/// Why a list of networks was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither a network nor an address.
    #[error("\"{0}\" is neither a network such as 10.0.0.0/8 or fd00::/8 nor an IP address")]
    Shape(String),
    /// The address does not stand at the beginning of its network, so one of the two is a mistake.
    #[error("\"{given}\" has bits set to the right of its mask; the network is {network}")]
    Bits {
        /// As it was given.
        given: String,
        /// What it lies in.
        network: String,
    },
}

/// Reads a list of networks, separated by commas. An address alone is a network of one.
pub fn parse(list: &str) -> Result<Vec<IpNet>, NetworkError> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(parse_one).collect()
}

fn parse_one(item: &str) -> Result<IpNet, NetworkError> {
    let network: IpNet = match item.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => item.parse().map_err(|_| NetworkError::Shape(item.to_owned()))?,
    };
    if network.addr() != network.network() {
        return Err(NetworkError::Bits { given: item.to_owned(), network: network.trunc().to_string() });
    }
    Ok(without_mapping(network))
}

/// A network of IPv4-mapped addresses as the IPv4 network that it is.
fn without_mapping(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    match (six.addr().to_ipv4_mapped(), six.prefix_len().checked_sub(96)) {
        (Some(four), Some(length)) => Ipv4Net::new(four, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// What is special about an address, by itself and without regard to one that it may embed.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(four) => SPECIAL_V4.iter().find(|(range, _)| range.contains(&four)).map(|(_, name)| *name),
        IpAddr::V6(six) => SPECIAL_V6.iter().find(|(range, _)| range.contains(&six)).map(|(_, name)| *name),
    }
}

/// The IPv4 addresses that a tunnel or translator would send a packet for this IPv6 address to.
///
/// Local NAT64 (RFC 8215) is not among them: where in its addresses the IPv4 address stands is each network's choice.
pub fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let words = address.segments();
    let at = |first: usize| Ipv4Addr::from((u32::from(words[first]) << 16) | u32::from(words[first + 1]));
    let found = match words {
        // The unspecified and the loopback address look IPv4-compatible and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // IPv4-compatible (RFC 4291, section 2.5.5.1), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(at(6)), None],
        // Teredo (RFC 4380, section 4): the server, and the client with all bits turned around.
        [0x2001, 0, ..] => [Some(at(2)), Some(Ipv4Addr::from(!u32::from(at(6))))],
        // 6to4 (RFC 3056).
        [0x2002, ..] => [Some(at(1)), None],
        // ISATAP (RFC 5214, section 6.1), below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => [Some(at(6)), None],
        _ => [None, None],
    };
    found.into_iter().flatten()
}

const fn v4(address: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(address: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = address;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}
