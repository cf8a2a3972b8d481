//! Where calls may go: spellings of addresses, lists, and which of them wins.

use std::net::IpAddr;

use pg_edge::domain::guard::{Guard, HostError, HostPattern, Refusal, Trust};
use pg_edge::domain::network;
use pg_edge::domain::request;
use proptest::prelude::*;
use url::Url;

fn guard(networks: &str, allowed: &str, denied: &str) -> Guard {
    Guard {
        allowed_networks: network::parse(networks).unwrap(),
        allowed_hosts: HostPattern::parse_list(allowed).unwrap(),
        denied_hosts: HostPattern::parse_list(denied).unwrap(),
    }
}

fn url(host: &str) -> Url {
    request::target(&format!("http://{host}/"), None).unwrap()
}

/// The machine's own addresses.
fn is_own(address: IpAddr) -> bool {
    ["192.0.3.1", "2606:4700::1", "10.0.0.9"].iter().any(|own| own.parse() == Ok(address))
}

/// Whether an address in a URL passes.
fn passes(guard: &Guard, host: &str) -> bool {
    guard.check_url(&url(host), is_own).is_ok()
}

#[test]
fn no_spelling_of_a_special_address_passes() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.0x0.0x0.0x1",
        "0177.0.0.1",
        "017700000001",
        "00000177.0x0.1",
        "0",
        "0x",
        "0.0.0.0",
        "%31%32%37.0.0.1",
        "１２７.０.０.１",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "169.16689662",
        "0251.0376.0251.0376",
        "10.0.0.1",
        "192.168.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::8.8.8.8]",
        "[64:ff9b:1::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[2a00:1:2:3:0:5efe:a00:1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
    ] {
        assert!(!passes(&Guard::default(), host), "{host}");
    }
}

#[test]
fn addresses_with_a_zone_are_no_urls_at_all() {
    for host in ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1", "127.0.0.256", "1.2.3.4.5", "0x100000000"] {
        assert!(request::target(&format!("http://{host}/"), None).is_err(), "{host}");
    }
}

#[test]
fn control_characters_and_empty_hosts_make_no_other_host() {
    for refused in
        ["http:///", "http://./", "http://../", "http://a\0b/", "http://a b/", "http://a%00b/", "http://:80/"]
    {
        assert!(request::target(refused, None).is_err(), "{refused:?}");
    }
    // As in browsers, these are removed before anything is read, and the guard reads what is left.
    assert_eq!(url("127.0\t.0\n.1").host_str(), Some("127.0.0.1"));
}

#[test]
fn public_addresses_and_names_pass() {
    for host in ["8.8.8.8", "[2606:4700:4700::1111]", "[::ffff:8.8.8.8]", "example.com", "localhost"] {
        assert!(passes(&Guard::default(), host), "{host}");
    }
}

#[test]
fn an_allowed_network_lets_its_addresses_pass_and_no_others() {
    let guard = guard("10.1.0.0/16, ::1", "", "");
    for (host, expected) in [
        ("10.1.2.3", true),
        ("10.2.0.0", false),
        ("[::ffff:10.1.2.3]", true),
        ("[::1]", true),
        ("[::2]", false),
        ("127.0.0.1", false),
        ("8.8.8.8", true),
    ] {
        assert_eq!(passes(&guard, host), expected, "{host}");
    }
}

#[test]
fn the_machines_own_public_addresses_pass_only_where_they_are_allowed() {
    for host in ["192.0.3.1", "[::ffff:192.0.3.1]", "[2606:4700::1]", "0xc0.0.3.1"] {
        assert!(!passes(&Guard::default(), host), "{host}");
        assert!(passes(&guard("192.0.3.0/24, 2606:4700::/32", "", ""), host), "{host}");
    }
    assert!(passes(&Guard::default(), "192.0.3.2"));
    assert!(!passes(&guard("64:ff9b::/96", "", ""), "[64:ff9b::192.0.3.1]"));
}

#[test]
fn an_address_that_embeds_another_must_pass_as_both() {
    for (networks, expected) in [
        ("", false),
        ("64:ff9b::/96", false),
        ("10.0.0.0/8", false),
        ("64:ff9b::/96, 10.0.0.0/8", true),
        ("::/0", false),
        ("::/0, 0.0.0.0/0", true),
    ] {
        assert_eq!(passes(&guard(networks, "", ""), "[64:ff9b::10.0.0.1]"), expected, "{networks}");
    }
    assert!(passes(&guard("64:ff9b::/96", "", ""), "[64:ff9b::8.8.8.8]"));
}

#[test]
fn names_are_found_in_lists_however_they_are_written() {
    let guard = guard("", "Intern.Example, *.intern.example, MÜNCHEN.example.", "*.evil.example");
    for (name, expected) in [
        ("intern.example", Ok(Trust::Any)),
        ("INTERN.example.", Ok(Trust::Any)),
        ("a.b.intern.example", Ok(Trust::Any)),
        ("münchen.example", Ok(Trust::Any)),
        ("xintern.example", Ok(Trust::Judged)),
        ("intern.example.com", Ok(Trust::Judged)),
        ("evil.example", Ok(Trust::Judged)),
        ("a.evil.example", Err(Refusal::Host)),
        ("A.EVIL.EXAMPLE.", Err(Refusal::Host)),
    ] {
        assert_eq!(guard.check_name(url(name).host_str().unwrap()), expected, "{name}");
    }
}

#[test]
fn a_denied_host_is_denied_whatever_else_is_allowed() {
    let guard = guard("0.0.0.0/0, ::/0", "both.example, 10.0.0.1", "both.example, 10.0.0.1, [::2], 8.8.8.8");
    for host in ["both.example", "10.0.0.1", "0xa.1", "[::ffff:10.0.0.1]", "[::2]", "[0::2]", "8.8.8.8"] {
        assert_eq!(guard.check_url(&url(host), is_own), Err(Refusal::Host), "{host}");
    }
    assert!(passes(&guard, "10.0.0.2"));
}

#[test]
fn an_allowed_host_may_be_an_address() {
    let guard = guard("", "10.0.0.1, ::1", "");
    assert!(passes(&guard, "10.0.0.1") && passes(&guard, "012.0.0.1") && passes(&guard, "[::1]"));
    assert!(!passes(&guard, "10.0.0.2"));
}

#[test]
fn a_list_of_hosts_that_is_wrong_names_the_item() {
    for item in ["*", "*.", "*.*.example", "a b", "http://host", "host:80", "*.10.0.0.1", "exa*mple", ".", "10.0.0.0/8"]
    {
        let list = format!("good.example, {item}");
        assert_eq!(HostPattern::parse_list(&list), Err(HostError(item.to_owned())));
    }
    assert_eq!(HostPattern::parse_list(" , "), Ok(Vec::new()));
}

#[test]
fn what_the_caller_is_told_does_not_hold_the_address() {
    let refusal = Guard::default().check_url(&url("10.1.2.3"), is_own).unwrap_err();
    assert_eq!(refusal.to_string(), "the host's address is not allowed");
    assert_eq!(refusal, Refusal::Address { range: "private use" });
}

proptest! {
    #[test]
    fn a_url_never_passes_that_its_address_does_not(bits: u32, form in 0..5) {
        let four = std::net::Ipv4Addr::from(bits);
        let [a, b, c, d] = four.octets();
        let host = match form {
            0 => format!("{bits}"),
            1 => format!("{bits:#x}"),
            2 => format!("0{a:o}.{b:#x}.{}", u32::from(c) << 8 | u32::from(d)),
            3 => format!("[::ffff:{:x}:{:x}]", bits >> 16, bits & 0xffff),
            _ => four.to_string(),
        };
        prop_assert_eq!(passes(&Guard::default(), &host), network::special(four.into()).is_none());
    }
}
