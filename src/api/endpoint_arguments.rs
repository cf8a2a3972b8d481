//! Checking what an endpoint is given.

use std::fmt::Display;
use std::ops::RangeInclusive;

use pgrx::datum::{AnyNumeric, Interval};

use super::arguments;
use crate::domain::endpoint;
use crate::domain::header;
use crate::domain::placeholder;
use crate::domain::profile::Profile;
use crate::domain::quota::Action;
use crate::domain::rate::Rate;
use crate::domain::retry_policy::Written;
use crate::domain::signature::SigningKey;
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::endpoints::Changes;

/// The arguments of `edge.create_endpoint` and `edge.alter_endpoint`, unchecked.
pub struct Given {
    pub base_url: Option<Text>,
    pub headers: Option<Jsonb>,
    pub profile: Option<Text>,
    pub retry: Option<Jsonb>,
    pub timeout: Option<Interval>,
    pub connect_timeout: Option<Interval>,
    pub max_concurrency: Option<i32>,
    pub max_rate: Option<AnyNumeric>,
    pub max_request_bytes: Option<i32>,
    pub max_response_bytes: Option<i32>,
    pub signing_secrets: Option<Vec<Option<String>>>,
    pub monthly_quota: Option<i64>,
    pub quota_action: Option<Text>,
    pub max_redirects: Option<i32>,
    pub client_certificate: Option<Text>,
    pub client_key: Option<Text>,
}

/// The largest body that Postgres can hold in a value, with some to spare.
const LARGEST_BODY: i32 = 512 * 1024 * 1024;

/// The name of an endpoint.
pub fn name(argument: Option<Text>) -> Result<String, Error> {
    let name = arguments::required(argument, "name")?.read("name")?;
    endpoint::name(&name)?;
    Ok(name)
}

/// A certificate is of no use without its key, nor a key without its certificate.
pub fn identity_is_whole(changes: &Changes) -> Result<(), Error> {
    if changes.client_certificate.is_some() == changes.client_key.is_some() {
        return Ok(());
    }
    let (wanted, given) = ("given together with client_key", "one of the two alone".to_owned());
    Err(Error::OutOfRange { argument: "client_certificate", wanted, given })
}

/// What can be left open again, by the names of the arguments.
const RESETTABLE: [&str; 9] = [
    "retry",
    "timeout",
    "connect_timeout",
    "max_concurrency",
    "max_rate",
    "max_request_bytes",
    "max_response_bytes",
    "monthly_quota",
    "client_certificate",
];

/// The settings of an endpoint that are to be left open again.
pub fn reset(argument: Option<Vec<Option<String>>>) -> Result<Vec<String>, Error> {
    let wanted = "names among retry, timeout, connect_timeout, max_concurrency, max_rate, max_request_bytes, \
                  max_response_bytes, monthly_quota and client_certificate (with its key)";
    let check = |name: Option<String>| {
        let name = name.unwrap_or_default();
        let is_one = RESETTABLE.contains(&name.as_str());
        if is_one { Ok(name) } else { Err(Error::OutOfRange { argument: "reset", wanted, given: format!("{name:?}") }) }
    };
    argument.unwrap_or_default().into_iter().map(check).collect()
}

impl Given {
    /// Checks all of them.
    pub fn check(self) -> Result<Changes, Error> {
        let read = |argument: Option<Text>, name| argument.map(|text| text.read(name)).transpose();
        Ok(Changes {
            base_url: read(self.base_url, "base_url")?
                .map(|url| endpoint::base_url(&url).map(String::from))
                .transpose()?,
            headers: self.headers.map(headers).transpose()?,
            profile: read(self.profile, "profile")?.map(|name| Profile::parse(&name).map(|_| name)).transpose()?,
            retry: self.retry.map(retry).transpose()?,
            timeout_ms: arguments::timeout(self.timeout)?,
            connect_timeout_ms: arguments::named_timeout("connect_timeout", self.connect_timeout)?,
            max_concurrency: within("max_concurrency", "between 1 and 10000", 1..=10_000, self.max_concurrency)?,
            max_rate: self.max_rate.map(rate).transpose()?,
            max_request_bytes: size("max_request_bytes", self.max_request_bytes)?,
            max_response_bytes: size("max_response_bytes", self.max_response_bytes)?,
            signing_secrets: self.signing_secrets.map(secrets).transpose()?,
            monthly_quota: within("monthly_quota", "zero or more", 0..=i64::MAX, self.monthly_quota)?,
            quota_action: read(self.quota_action, "quota_action")?.map(quota_action).transpose()?,
            max_redirects: within("max_redirects", "between 0 and 20", 0..=20, self.max_redirects)?
                .and_then(|hops| i16::try_from(hops).ok()),
            client_certificate: read(self.client_certificate, "client_certificate")?.map(pem).transpose()?,
            client_key: read(self.client_key, "client_key")?.map(pem).transpose()?,
            reset: Vec::new(),
        })
    }
}

/// As a block; an empty one says that there are none.
fn headers(given: Jsonb) -> Result<String, Error> {
    let headers = header::parse(&given.read("headers")?)?;
    header::holds_placeholder(&headers)?;
    Ok(header::to_block(&headers).unwrap_or_default())
}

fn retry(given: Jsonb) -> Result<Jsonb, Error> {
    Written::parse(&given.read("retry")?)?.policy()?;
    Ok(given)
}

fn rate(given: AnyNumeric) -> Result<f64, Error> {
    let wanted = "between one call a day (1.0 / 86400) and 1000000 calls a second";
    let shown = given.to_string();
    let rate = f64::try_from(given).ok().and_then(Rate::new).map(Rate::per_second);
    rate.ok_or(Error::OutOfRange { argument: "max_rate", wanted, given: shown })
}

fn size(argument: &'static str, given: Option<i32>) -> Result<Option<i32>, Error> {
    within(argument, "between 0 and 536870912 bytes", 0..=LARGEST_BODY, given)
}

fn secrets(given: Vec<Option<String>>) -> Result<Vec<String>, Error> {
    given
        .into_iter()
        .map(|secret| signing_secret(secret.ok_or(Error::NullArgument("an item of signing_secrets"))?))
        .collect()
}

/// A key as it stands, or a text with placeholders that will give one.
fn signing_secret(given: String) -> Result<String, Error> {
    if !placeholder::is_in(&given)? {
        SigningKey::parse(&given)?;
    }
    Ok(given)
}

/// PEM, or a text with placeholders for it.
fn pem(given: String) -> Result<String, Error> {
    placeholder::is_in(&given)?;
    Ok(given)
}

fn quota_action(given: String) -> Result<String, Error> {
    if Action::parse(&given).is_some() {
        return Ok(given);
    }
    Err(Error::OutOfRange { argument: "quota_action", wanted: "warn or hold", given })
}

fn within<T: PartialOrd + Display + Copy>(
    argument: &'static str,
    wanted: &'static str,
    range: RangeInclusive<T>,
    given: Option<T>,
) -> Result<Option<T>, Error> {
    match given {
        Some(value) if !range.contains(&value) => Err(Error::OutOfRange { argument, wanted, given: value.to_string() }),
        other => Ok(other),
    }
}
