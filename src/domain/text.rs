//! Text as Postgres can hold it: a response body, where it is text, and what peers say in messages.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// The body decoded by the charset of its content type (UTF-8 where none is named), or `None` where the bytes
/// are not text in that charset or the charset is unknown.
///
/// Postgres' `text` cannot hold U+0000, so it becomes U+FFFD.
pub fn decode<'a>(content_type: Option<&str>, body: &'a [u8]) -> Option<Cow<'a, str>> {
    let encoding = match content_type.and_then(charset) {
        Some(label) => Encoding::for_label(label.as_bytes())?,
        None => UTF_8,
    };
    let body = if encoding == UTF_8 { body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body) } else { body };
    let text = encoding.decode_without_bom_handling_and_without_replacement(body)?;
    Some(without_nul(text))
}

/// The charset parameter of a content type (RFC 9110, section 8.3.2).
pub(super) fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// The same text with U+FFFD for each U+0000, not copied where it has none.
pub fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_some() { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}

/// The beginning of a text of which nobody knows how long it is, for a message: at most so many bytes, without U+0000.
pub fn beginning(text: &str, most: usize) -> String {
    let kept = &text[..text.floor_char_boundary(most)];
    let whole = without_nul(kept.into()).into_owned();
    if kept.len() < text.len() { whole + "…" } else { whole }
}
