//! Commands that do nothing but send one request by pg_net, with the same arguments each time.

use super::constant::{Constant, Words};
use super::token::tokens;

/// The request that such a command sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetCall {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Where it goes.
    pub url: String,
    /// What is appended to the URL, as JSON.
    pub params: Option<String>,
    /// Its headers, as JSON.
    pub headers: Option<String>,
    /// Its body, as JSON.
    pub body: Option<String>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<i64>,
}

/// Reads a command; `None` if it is anything else, also one that is the like but whose arguments are computed anew each time.
pub fn net_call(command: &str) -> Option<NetCall> {
    let tokens = tokens(command)?;
    let mut words = Words::new(&tokens);
    words.keyword("select")?;
    if words.sign("*").is_some() {
        words.keyword("from")?;
    }
    words.keyword("net")?;
    words.sign(".")?;
    let (mut call, order) = function(words.name()?)?;
    words.sign("(")?;
    arguments(&mut words, order, &mut call)?;
    if words.keyword("as").is_some() {
        words.name()?;
    } else {
        // A name for the column needs no AS.
        let _ = words.name();
    }
    while words.sign(";").is_some() {}
    (words.is_empty() && !call.url.is_empty()).then_some(call)
}

/// The arguments of a function of pg_net, in their order.
type Order = &'static [&'static str];

fn function(name: &str) -> Option<(NetCall, Order)> {
    let (method, body, order): (_, _, Order) = match name {
        "http_get" => ("GET", None, &["url", "params", "headers", TIMEOUT]),
        "http_post" => ("POST", Some("{}".to_owned()), &["url", "body", "params", "headers", TIMEOUT]),
        "http_delete" => ("DELETE", None, &["url", "params", "headers", TIMEOUT, "body"]),
        _ => return None,
    };
    Some((NetCall { method, url: String::new(), params: None, headers: None, body, timeout_ms: None }, order))
}

const TIMEOUT: &str = "timeout_milliseconds";

fn arguments(words: &mut Words<'_>, order: Order, call: &mut NetCall) -> Option<()> {
    if words.sign(")").is_some() {
        return Some(());
    }
    for place in 0.. {
        let name = match words.argument_name() {
            Some(name) => order.iter().copied().find(|known| *known == name)?,
            None => *order.get(place)?,
        };
        take(name, words.constant()?, call)?;
        if words.sign(")").is_some() {
            return Some(());
        }
        words.sign(",")?;
    }
    None
}

fn take(name: &str, value: Constant, call: &mut NetCall) -> Option<()> {
    let json = |value: Constant| match value {
        Constant::Null => Some(None),
        other => other.into_json().map(Some),
    };
    match (name, value) {
        ("url", Constant::Text(url)) => call.url = url,
        ("params", value) => call.params = json(value)?,
        ("headers", value) => call.headers = json(value)?,
        ("body", value) => call.body = json(value)?,
        (TIMEOUT, value) => call.timeout_ms = Some(value.into_json()?.parse().ok()?),
        _ => return None,
    }
    Some(())
}
