//! What is hidden where a URL is shown.

use url::Url;

/// Words in a query parameter's name that say its value is a credential.
const SECRET_WORDS: [&str; 10] =
    ["token", "secret", "key", "password", "passwd", "signature", "sig", "auth", "credential", "code"];

/// The URL with the values of parameters that look like credentials replaced by `***`.
///
/// What is not a URL is hidden whole, since nothing is known of its parts.
pub fn url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "***".to_owned() };
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

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.split(['-', '_', '.']).any(|part| part == *word) || name.ends_with(word))
}
