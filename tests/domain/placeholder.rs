//! Placeholders: what is one, what is not, and what is refused.

use pg_edge::domain::placeholder::{Kind, Placeholder, PlaceholderError, Segment, is_in, parse};
use proptest::prelude::*;

fn text(text: &str) -> Segment {
    Segment::Text(text.to_owned())
}

fn placeholder(kind: Kind, name: &str) -> Segment {
    Segment::Placeholder(Placeholder { kind, name: name.to_owned() })
}

#[test]
fn the_three_kinds_are_replaced_wherever_they_stand() {
    let table = [
        ("${secret:api_key}", vec![placeholder(Kind::Secret, "api_key")]),
        ("Bearer ${secret:_a.b-c1}", vec![text("Bearer "), placeholder(Kind::Secret, "_a.b-c1")]),
        ("${file:token.txt}!", vec![placeholder(Kind::File, "token.txt"), text("!")]),
        ("${vault:my key}", vec![placeholder(Kind::Vault, "my key")]),
        ("${secret:a}${vault:b}", vec![placeholder(Kind::Secret, "a"), placeholder(Kind::Vault, "b")]),
        ("${x${secret:a}", vec![text("${x"), placeholder(Kind::Secret, "a")]),
    ];
    for (given, segments) in table {
        assert_eq!(parse(given), Ok(segments), "{given}");
        assert_eq!(is_in(given), Ok(true), "{given}");
    }
}

#[test]
fn everything_else_stays_as_it_is() {
    for given in
        ["$", "${", "}", "$secret:a", "${other}", "${secret}", "${ secret:a}", "${a-b:c}", "${:a}", "a$", "$$", "é${x}"]
    {
        assert_eq!(parse(given), Ok(vec![text(given)]), "{given}");
        assert_eq!(is_in(given), Ok(false), "{given}");
    }
    assert_eq!(parse(""), Ok(Vec::new()));
}

#[test]
fn a_second_dollar_sign_keeps_a_placeholder_from_being_one() {
    assert_eq!(parse("$${secret:a}"), Ok(vec![text("${secret:a}")]));
    assert_eq!(
        parse("x $${file:../..} ${secret:b}"),
        Ok(vec![text("x ${file:../..} "), placeholder(Kind::Secret, "b")])
    );
    assert_eq!(is_in("$${secret:a}"), Ok(false));
    assert_eq!(parse("a$${env:HOME}b"), Ok(vec![text("a${env:HOME}b")]));
}

#[test]
fn what_begins_like_a_placeholder_must_be_one() {
    let secret = |name: &str| PlaceholderError::SecretName(name.to_owned());
    let file = |name: &str| PlaceholderError::FileName(name.to_owned());
    let vault = |name: &str| PlaceholderError::VaultName(name.to_owned());
    let long = "a".repeat(64);
    let table = [
        ("${Secret:a}", PlaceholderError::Kind("Secret".to_owned())),
        ("Bearer ${secrets:a}", PlaceholderError::Kind("secrets".to_owned())),
        ("${secret:", PlaceholderError::Open("secret")),
        ("Bearer ${file:a", PlaceholderError::Open("file")),
        ("${secret:}", secret("")),
        ("${secret:1a}", secret("1a")),
        ("${secret:a b}", secret("a b")),
        ("${secret:é}", secret("é")),
        ("${secret:a${secret:b}}", secret("a${secret:b")),
        ("${file:}", file("")),
        ("${file:..}", file("..")),
        ("${file:.}", file(".")),
        ("${file:../key}", file("../key")),
        ("${file:/etc/passwd}", file("/etc/passwd")),
        ("${file:a\0}", file("a\0")),
        ("${vault:}", vault("")),
        ("${vault:a\n}", vault("a\n")),
    ];
    for (given, error) in table {
        assert_eq!(parse(given), Err(error), "{given}");
    }
    assert_eq!(parse(&format!("${{secret:{long}}}")), Err(secret(&long)));
    assert!(parse(&format!("${{secret:{}}}", &long[1..])).is_ok());
}

/// The text without the dollar signs that keep what follows from being a placeholder.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("$${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word = part.split_once(':').map_or("", |(word, _)| word);
        let is_escaped = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        whole.push_str(if is_escaped { "${" } else { "$${" });
        whole.push_str(part);
    }
    whole
}

proptest! {
    #[test]
    fn what_is_cut_can_be_put_together_again(given in "([a-z${}:]|\\$\\{secret:[a-z]{1,3}\\}){0,20}") {
        if let Ok(segments) = parse(&given) {
            let whole: String = segments.iter().map(|segment| match segment {
                Segment::Text(text) => text.clone(),
                Segment::Placeholder(placeholder) => placeholder.to_string(),
            }).collect();
            prop_assert_eq!(whole, without_escapes(&given));
        }
    }
}
