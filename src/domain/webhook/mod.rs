//! Database webhooks: a trigger that has a call made of each row that is written.
//!
//! What stands between the parentheses of `edge.webhook(…)` is read here, and what is sent is put together.

pub mod doubt;
pub mod error;
pub mod options;
pub mod payload;
pub mod record;
pub mod shape;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use self::error::WebhookError;
use self::options::Options;
use super::{endpoint, header, request};

/// The endpoint of a function, where none is named.
const DEFAULT_ENDPOINT: &str = "default";

/// What a trigger asks for, checked as far as that can be done without looking at the database.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Whole, or a path of the endpoint; with its parameters.
    pub url: String,
    /// The endpoint that is called; none for a URL alone.
    pub endpoint: Option<String>,
    /// One that has a body.
    pub method: Method,
    /// With a content type.
    pub headers: HeaderMap,
    /// The rest of what was said.
    pub options: Options,
}

impl Webhook {
    /// Reads the arguments of a trigger: a function or a URL, then an endpoint, then options. The endpoint may be left out or
    /// be empty, and the options may stand in its place: no name begins with a brace.
    pub fn parse(arguments: &[&str]) -> Result<Self, WebhookError> {
        let (target, endpoint, options) = match arguments {
            [target] => (*target, "", "{}"),
            [target, options] if options.trim_start().starts_with('{') => (*target, "", *options),
            [target, endpoint] => (*target, *endpoint, "{}"),
            [target, endpoint, options] => (*target, *endpoint, *options),
            other => return Err(WebhookError::Arguments(other.len())),
        };
        let options = Options::parse(options)?;
        let params = options.params.as_deref();
        let is_url = target.contains("://");
        let url = if is_url {
            request::target(target, params)?.into()
        } else {
            endpoint::stored_path(endpoint::function_path(target)?, params)?
        };
        let endpoint = match endpoint {
            "" if is_url => None,
            "" => Some(DEFAULT_ENDPOINT),
            name => Some(endpoint::name(name)?),
        };
        let headers = headers(options.headers.as_deref())?;
        // Tables change hands: the secrets of the owner to come must not go to an address that the one before has chosen.
        if endpoint.is_none() && header::holds_placeholder(&headers)? {
            return Err(WebhookError::SecretWithoutEndpoint);
        }
        Ok(Self {
            url,
            endpoint: endpoint.map(str::to_owned),
            method: method(options.method.as_deref())?,
            headers,
            options,
        })
    }
}

/// POST, where nothing is said. What a GET holds beside its URL means nothing (RFC 9110, section 9.3.1).
fn method(given: Option<&str>) -> Result<Method, WebhookError> {
    match request::method(given.unwrap_or("POST"))? {
        Method::GET | Method::HEAD => Err(WebhookError::NoBody),
        method => Ok(method),
    }
}

fn headers(given: Option<&str>) -> Result<HeaderMap, WebhookError> {
    let mut headers = given.map(header::parse).transpose()?.unwrap_or_default();
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(headers)
}
