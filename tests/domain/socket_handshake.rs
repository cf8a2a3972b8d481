//! Which answers to a handshake open a websocket.

use bytes::Bytes;
use pg_edge::domain::outcome::Head;
use pg_edge::domain::socket::handshake::{Misfit, Offer, check};

/// Checks an answer with these headers, where these subprotocols were offered.
fn answered(offered: &[&str], headers: &[(&str, &str)]) -> Result<Option<String>, Misfit> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    let head = Head { status: 101, headers: headers.iter().map(owned).collect() };
    let subprotocols: Vec<String> = offered.iter().map(|name| (*name).to_owned()).collect();
    check(&head, Offer { accept: "right", subprotocols: &subprotocols })
}

const GOOD: [(&str, &str); 3] =
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "right")];

/// The same with more headers.
fn good(offered: &[&str], more: &[(&str, &str)]) -> Result<Option<String>, Misfit> {
    answered(offered, &[&GOOD[..], more].concat())
}

#[test]
fn names_tokens_and_lists_are_read_as_http_has_them() {
    let spelled =
        [("upgrade", "WebSocket"), ("CONNECTION", "keep-alive, uPGRADE"), ("sec-websocket-accept", " right ")];
    assert_eq!(answered(&[], &spelled), Ok(None));
    let split =
        [("upgrade", "foo"), ("upgrade", "websocket"), ("connection", "x"), ("connection", ",upgrade"), GOOD[2]];
    assert_eq!(answered(&[], &split), Ok(None));
}

#[test]
fn what_is_missing_or_another_is_named() {
    assert_eq!(answered(&[], &GOOD[1..]), Err(Misfit::Upgrade));
    assert_eq!(answered(&[], &[GOOD[0], GOOD[2]]), Err(Misfit::Connection));
    assert_eq!(answered(&[], &GOOD[..2]), Err(Misfit::Accept));
    assert_eq!(answered(&[], &[GOOD[0], GOOD[1], ("Sec-WebSocket-Accept", "RIGHT")]), Err(Misfit::Accept));
    assert_eq!(answered(&[], &[("upgrade", "websockets"), GOOD[1], GOOD[2]]), Err(Misfit::Upgrade));
    assert_eq!(good(&[], &[("Sec-WebSocket-Accept", "right")]), Err(Misfit::Accept));
}

#[test]
fn extensions_are_not_offered_and_an_empty_list_of_them_is_none() {
    assert_eq!(good(&[], &[("Sec-WebSocket-Extensions", "permessage-deflate")]), Err(Misfit::Extension));
    assert_eq!(good(&[], &[("Sec-WebSocket-Extensions", " , ")]), Ok(None));
}

#[test]
fn of_what_was_offered_one_subprotocol_is_chosen() {
    let chosen = |value| [("sec-websocket-protocol", value)];
    assert_eq!(good(&["a", "b"], &chosen("b")), Ok(Some("b".to_owned())));
    assert_eq!(good(&["a", "b"], &chosen("B")), Err(Misfit::Subprotocol));
    assert_eq!(good(&["a", "b"], &chosen("a, b")), Err(Misfit::Subprotocol));
    assert_eq!(good(&["a", "b"], &[chosen("a"), chosen("b")].concat()), Err(Misfit::Subprotocol));
    assert_eq!(good(&["a"], &[]), Err(Misfit::NoSubprotocol));
    assert_eq!(good(&["a"], &chosen("")), Err(Misfit::NoSubprotocol));
    assert_eq!(good(&[], &chosen("a")), Err(Misfit::Subprotocol));
    assert_eq!(good(&[], &chosen("")), Ok(None));
}
