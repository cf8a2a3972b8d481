//! What of a URL may be shown.

use pg_edge::domain::redact::url;
use proptest::prelude::*;

#[test]
fn credentials_in_a_url_are_hidden_and_the_rest_is_shown() {
    let table = [
        ("http://host/a?page=2", "http://host/a?page=2"),
        ("http://host/?apikey=hush", "http://host/?apikey=***"),
        ("http://host/?api_key=hush&q=1", "http://host/?api_key=***&q=1"),
        ("http://host/?X-Amz-Signature=hush", "http://host/?X-Amz-Signature=***"),
        ("http://host/?ACCESS_TOKEN=hush", "http://host/?ACCESS_TOKEN=***"),
        ("http://host/?code=hush&state=s", "http://host/?code=***&state=s"),
        ("http://host/?%74oken=hush", "http://host/?token=***"),
        ("http://host/?keyboard=shown", "http://host/?keyboard=shown"),
        ("http://ada:hush@host/", "http://***@host/"),
        ("no url with hush", "***"),
    ];
    for (given, shown) in table {
        assert_eq!(url(given), shown);
    }
}

proptest! {
    #[test]
    fn the_value_of_a_secret_parameter_is_never_shown(
        name in "(x-|my_)?(token|secret|key|password|signature|auth)", before in "[a-z]{0,5}=[a-z]{0,5}"
    ) {
        let shown = url(&format!("https://host/p?{before}&{name}=HUSH7#x"));
        prop_assert!(!shown.contains("HUSH7"), "{shown}");
    }
}
