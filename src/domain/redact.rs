//! What is hidden where a URL is shown.

use url::Url;

use super::placeholder::{self, Segment};

/// Words in a query parameter's name that say its value is a credential.
const SECRET_WORDS: [&str; 10] =
    ["token", "secret", "key", "password", "passwd", "signature", "sig", "auth", "credential", "code"];

/// The URL with the values of parameters that look like credentials replaced by `***`.
///
/// What is neither a URL nor a path is hidden whole, since nothing is known of its parts.
pub fn url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return path(text) };
    if !url.username().is_empty() || url.password().is_some() {
        // Neither setter can fail on a URL that has user information.
        let _ = url.set_username("***");
        let _ = url.set_password(None);
    }
    if url.query().is_none() || !url.query_pairs().any(|(name, _)| is_secret(&name)) {
        return url.into();
    }
    let shown: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| {
            let value = if is_secret(&name) { "***".to_owned() } else { value.into_owned() };
            (name.into_owned(), value)
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(shown);
    url.into()
}

/// What is kept of a call to a named endpoint that is gone: a path. Nothing is known of its query, so that is hidden.
fn path(text: &str) -> String {
    match text.split_once('?') {
        _ if text.contains([':', '@', ' ']) => "***".to_owned(),
        Some((path, _)) => format!("{path}?***"),
        None => text.to_owned(),
    }
}

/// Headers that are no credentials.
const HARMLESS: [&str; 10] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "prefer",
    "user-agent",
    "x-region",
];

/// The value of a header as it may be shown: whole, if the header is no credential; else the placeholders in it, which only
/// name secrets that are kept elsewhere, and a scheme such as `Bearer`.
pub fn header(name: &str, value: &str) -> String {
    if HARMLESS.contains(&name) {
        return value.to_owned();
    }
    let shown = |segment: Segment| match segment {
        Segment::Placeholder(placeholder) => placeholder.to_string(),
        Segment::Text(text) if SCHEMES.contains(&text.trim()) => text,
        Segment::Text(_) => "***".to_owned(),
    };
    placeholder::parse(value).unwrap_or_default().into_iter().map(shown).collect()
}

/// What stands before a credential in `Authorization`.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Token", "ApiKey"];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.split(['-', '_', '.']).any(|part| part == *word) || name.ends_with(word))
}
