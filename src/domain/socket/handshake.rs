//! Whether an answer to a websocket's handshake opens one (RFC 6455, section 4.1).

use crate::domain::outcome::Head;

/// What was sent, as far as the answer has to fit it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What the peer has to make of our key.
    pub accept: &'a str,
    /// The subprotocols.
    pub subprotocols: &'a [String],
}

/// What an answer has against it, though it says that it opens a websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// `Upgrade` is missing, or something else.
    #[error("the server's answer to the handshake does not say \"Upgrade: websocket\"")]
    Upgrade,
    /// `Connection` is missing, or something else.
    #[error("the server's answer to the handshake does not say \"Connection: Upgrade\"")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing, or somebody else's.
    #[error("the server's answer to the handshake has a wrong Sec-WebSocket-Accept")]
    Accept,
    /// We offer no extension.
    #[error("the server chose an extension that it was not offered")]
    Extension,
    /// None of those that were offered.
    #[error("the server chose a subprotocol that it was not offered")]
    Subprotocol,
    /// Some were offered. As in browsers, one that is offered is needed.
    #[error("the server chose none of the subprotocols that it was offered")]
    NoSubprotocol,
}

/// The subprotocol that an answer with status 101 chose.
pub fn check(head: &Head, offer: Offer<'_>) -> Result<Option<String>, Misfit> {
    if !tokens(head, "upgrade").any(|token| token.eq_ignore_ascii_case("websocket")) {
        return Err(Misfit::Upgrade);
    }
    if !tokens(head, "connection").any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return Err(Misfit::Connection);
    }
    let mut accepts = values(head, "sec-websocket-accept");
    if (accepts.next(), accepts.next()) != (Some(offer.accept), None) {
        return Err(Misfit::Accept);
    }
    if tokens(head, "sec-websocket-extensions").next().is_some() {
        return Err(Misfit::Extension);
    }
    let mut chosen = values(head, "sec-websocket-protocol").filter(|value| !value.is_empty());
    match (chosen.next(), chosen.next()) {
        (None, _) if offer.subprotocols.is_empty() => Ok(None),
        (None, _) => Err(Misfit::NoSubprotocol),
        (Some(one), None) if offer.subprotocols.iter().any(|offered| offered == one) => Ok(Some(one.to_owned())),
        (Some(_), _) => Err(Misfit::Subprotocol),
    }
}

/// The values of a header, where they are text.
fn values<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = head.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
    named.filter_map(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
}

/// The parts of a header that is a list.
fn tokens<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = &'a str> {
    values(head, name).flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}
