//! Special addresses: the whole table, its borders, and what embeds them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pg_edge::domain::network::{NetworkError, embedded, parse, special};
use proptest::prelude::*;

/// The first and last address of each range, and what is told of it.
const SPECIAL: [(&str, &str, &str); 39] = [
    ("0.0.0.0", "0.255.255.255", "this network"),
    ("10.0.0.0", "10.255.255.255", "private use"),
    ("100.64.0.0", "100.127.255.255", "carrier-grade NAT"),
    ("127.0.0.0", "127.255.255.255", "loopback"),
    ("168.63.129.16", "168.63.129.16", "the metadata service of Azure"),
    ("169.254.0.0", "169.254.255.255", "link-local"),
    ("169.254.169.254", "169.254.169.254", "the metadata service of most clouds"),
    ("172.16.0.0", "172.31.255.255", "private use"),
    ("192.0.0.0", "192.0.0.255", "protocol assignments"),
    ("192.0.2.0", "192.0.2.255", "documentation"),
    ("192.88.99.0", "192.88.99.255", "6to4 relays"),
    ("192.168.0.0", "192.168.255.255", "private use"),
    ("198.18.0.0", "198.19.255.255", "benchmarking"),
    ("198.51.100.0", "198.51.100.255", "documentation"),
    ("203.0.113.0", "203.0.113.255", "documentation"),
    ("224.0.0.0", "239.255.255.255", "multicast"),
    ("240.0.0.0", "255.255.255.254", "reserved"),
    ("255.255.255.255", "255.255.255.255", "broadcast"),
    ("::", "::", "unspecified"),
    ("::1", "::1", "loopback"),
    ("::2", "::ffff:ffff", "IPv4-compatible"),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", "IPv4-translated"),
    ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "loopback"),
    ("64:ff9b::", "64:ff9b::ffff:ffff", "NAT64"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64"),
    ("100::", "100::ffff:ffff:ffff:ffff", "discard"),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo"),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking"),
    ("2001:10::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol assignments"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment routing"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local"),
    ("fd00:ec2::254", "fd00:ec2::254", "unique local"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
    ("4000::", "4fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not global unicast"),
];

/// Public addresses, many of them right beside a special range.
const PUBLIC: [&str; 38] = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::",
    "2003::",
    "2606:4700:4700::1111",
    "3fff:1000::",
    "::ffff:8.8.8.8",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_special_range_is_known_from_its_first_address_to_its_last() {
    for (first, last, name) in SPECIAL {
        assert_eq!(special(ip(first)), Some(name), "{first}");
        assert_eq!(special(ip(last)), Some(name), "{last}");
    }
}

#[test]
fn public_addresses_are_not_special() {
    for address in PUBLIC {
        assert_eq!(special(ip(address)), None, "{address}");
    }
}

#[test]
fn embedded_addresses_are_found() {
    for (address, found) in [
        ("::10.0.0.1", vec!["10.0.0.1"]),
        ("::ffff:0:10.0.0.1", vec!["10.0.0.1"]),
        ("64:ff9b::10.0.0.1", vec!["10.0.0.1"]),
        ("64:ff9b::808:808", vec!["8.8.8.8"]),
        ("2002:a00:1::", vec!["10.0.0.1"]),
        ("2002:a9fe:a9fe::1", vec!["169.254.169.254"]),
        // 127.0.0.1 with its bits turned around, behind the server 65.54.227.120.
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", vec!["65.54.227.120", "127.0.0.1"]),
        ("2a00:1:2:3:0:5efe:a00:1", vec!["10.0.0.1"]),
        ("2a00:1:2:3:200:5efe:a00:1", vec!["10.0.0.1"]),
        ("::", vec![]),
        ("::1", vec![]),
        ("2606:4700:4700::1111", vec![]),
    ] {
        let six: Ipv6Addr = address.parse().unwrap();
        let expected: Vec<Ipv4Addr> = found.into_iter().map(|four| four.parse().unwrap()).collect();
        assert_eq!(embedded(six).collect::<Vec<_>>(), expected, "{address}");
    }
}

#[test]
fn a_list_holds_networks_and_addresses() {
    let list = parse(" 10.0.0.0/8, ::1,127.0.0.1 ,, fd00::/8, ::ffff:192.168.0.0/112,0.0.0.0/0 ").unwrap();
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "::1/128", "127.0.0.1/32", "fd00::/8", "192.168.0.0/16", "0.0.0.0/0"]);
    assert_eq!(parse(""), Ok(Vec::new()));
}

#[test]
fn a_list_that_is_wrong_names_the_item() {
    for (list, item) in [
        ("10.0.0.0/8, 10.0.0.0/33", "10.0.0.0/33"),
        ("localhost", "localhost"),
        ("10.0.0.0/8 192.168.0.0/16", "10.0.0.0/8 192.168.0.0/16"),
        ("10.0.0/8", "10.0.0/8"),
        ("0x7f.0.0.1", "0x7f.0.0.1"),
        ("[::1]", "[::1]"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ] {
        assert_eq!(parse(list), Err(NetworkError::Shape(item.to_owned())));
    }
    let error = parse("10.0.0.1/8").unwrap_err();
    assert_eq!(error.to_string(), r#""10.0.0.1/8" has bits set to the right of its mask; the network is 10.0.0.0/8"#);
}

proptest! {
    #[test]
    fn only_global_unicast_is_not_special(bits: u128) {
        let six = Ipv6Addr::from(bits);
        if six.to_ipv4_mapped().is_none() && six.segments()[0] & 0xe000 != 0x2000 {
            prop_assert!(special(IpAddr::V6(six)).is_some());
        }
    }

    #[test]
    fn a_mapped_address_is_as_special_as_the_address_it_maps(bits: u32) {
        let four = Ipv4Addr::from(bits);
        prop_assert_eq!(special(IpAddr::V6(four.to_ipv6_mapped())), special(IpAddr::V4(four)));
    }
}
