//! URLs and headers as users of pg_net give them.

use pg_edge::domain::net::{encode, headers, with_params};

#[test]
fn a_text_keeps_its_unreserved_characters_and_nothing_else() {
    assert_eq!(encode("AZaz09-._~"), "AZaz09-._~");
    assert_eq!(encode("a b+&=/?#%é\u{1F600}"), "a%20b%2B%26%3D%2F%3F%23%25%C3%A9%F0%9F%98%80");
}

#[test]
fn parameters_follow_those_that_the_url_has() {
    let table = [
        ("http://host", &[][..], "http://host/"),
        ("http://host", &["a=1"], "http://host/?a=1"),
        ("http://host/?", &["a=1", "b=%20"], "http://host/?a=1&b=%20"),
        ("https://host/p?x=%20y", &["a=1"], "https://host/p?x=%20y&a=1"),
    ];
    for (url, params, whole) in table {
        let params: Vec<String> = params.iter().map(|param| (*param).to_owned()).collect();
        assert_eq!(with_params(url, &params).unwrap(), whole);
    }
}

#[test]
fn what_is_no_url_is_refused_in_the_words_of_pg_net_and_hides_credentials() {
    let table = [
        ("localhost:80", "invalid URL \"localhost:80\": Unsupported URL scheme"),
        ("file:///etc/passwd", "invalid URL \"file:///etc/passwd\": Unsupported URL scheme"),
        ("", "invalid URL \"\": Bad scheme"),
        ("host/path", "invalid URL \"host/path\": Bad scheme"),
        ("http://", "invalid URL \"http://\": No host part in the URL"),
        ("http://a b/", "invalid URL \"http://a b/\": Malformed input to a URL function"),
        ("http://host/\r\n", "invalid URL \"http://host/\r\n\": Malformed input to a URL function"),
        ("http://ada:hush@[::/", "invalid URL \"***@[::/\": Bad hostname"),
        (
            "http://host:port/",
            "invalid URL \"http://host:port/\": Port number was not a decimal number between 0 and 65535",
        ),
    ];
    for (url, said) in table {
        assert_eq!(with_params(url, &[]).unwrap_err().to_string(), said);
    }
}

#[test]
fn headers_without_a_value_are_left_out_and_the_others_keep_their_digits() {
    assert_eq!(headers(r#"{"a": null, "b": "", "c": 1.50, "d": "x"}"#), r#"{"c":1.50,"d":"x"}"#);
    for other in ["[]", "null", "1", "{\"a\": 1"] {
        assert_eq!(headers(other), other);
    }
}
