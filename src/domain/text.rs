//! A response body as text, where it is text.

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

/// The same text with U+FFFD for each U+0000.
pub fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}
