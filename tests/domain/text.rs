//! Bytes as text: by charset, or not at all.

use pg_edge::domain::text::decode;
use proptest::prelude::*;

#[test]
fn a_body_is_decoded_by_the_charset_of_its_content_type() {
    let table: [(Option<&str>, &[u8], Option<&str>); 15] = [
        (None, b"plain", Some("plain")),
        (None, b"", Some("")),
        (None, "ä".as_bytes(), Some("ä")),
        (None, b"\xff", None),
        (None, b"\xef\xbb\xbfbom", Some("bom")),
        (None, b"a\0b", Some("a\u{fffd}b")),
        (Some("text/plain"), b"\xe4", None),
        (Some("text/plain; charset=latin1"), b"\xe4\x80", Some("ä€")),
        (Some("text/plain;CHARSET=\"UTF-8\""), "ä".as_bytes(), Some("ä")),
        (Some("text/plain; charset=utf-16be"), b"\0h\0i", Some("hi")),
        (Some("text/plain; charset=utf-16be"), b"\0h\0", None),
        (Some("text/plain; charset=unknown"), b"x", None),
        (Some("text/plain; boundary=\"a;b\"; charset=shift_jis"), b"\x93\xfa", Some("日")),
        (Some("charset=latin1"), b"\xe4", None),
        (Some("text/plain; charset="), b"x", None),
    ];
    for (content_type, body, text) in table {
        assert_eq!(decode(content_type, body).as_deref(), text, "{content_type:?} {body:?}");
    }
}

proptest! {
    #[test]
    fn utf8_comes_back_as_it_is_but_for_nul(text in any::<String>()) {
        let given = text.strip_prefix('\u{feff}').unwrap_or(&text).replace('\0', "\u{fffd}");
        let decoded = decode(Some("text/plain"), text.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Some(given.as_str()));
    }

    #[test]
    fn no_text_holds_a_nul(body in any::<Vec<u8>>(), charset in "utf-8|latin1|utf-16le|gbk|iso-2022-jp") {
        if let Some(text) = decode(Some(&format!("text/plain; charset={charset}")), &body) {
            prop_assert!(!text.contains('\0'));
        }
    }
}
