//! Small functions that the views and the response row are made with.

use pgrx::prelude::*;

use crate::domain::header::block;
use crate::domain::schedule::Schedule;
use crate::domain::socket::address;
use crate::domain::{endpoint, redact, request, text};
use crate::store::datum::Jsonb;
use crate::store::owner;

/// The endpoint that a URL belongs to.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn origin(url: &str) -> Option<String> {
    request::target(url, None).ok().map(|url| request::origin(&url))
}

/// A URL as it may be shown. What is kept of a call to a named endpoint is shown below the endpoint's base.
#[pg_extern(schema = "edge_store", immutable, parallel_safe)]
pub fn redacted_url(url: Option<&str>, base: default!(Option<&str>, "NULL")) -> Option<String> {
    let base = base.and_then(|base| endpoint::base_url(base).ok());
    match base.and_then(|base| endpoint::resolve(&base, url?).ok()) {
        Some(whole) => Some(redact::url(whole.as_str())),
        None => url.map(redact::url),
    }
}

/// The URL of a websocket as it may be shown, below its endpoint's base where it has one.
#[pg_extern(schema = "edge_store", immutable, parallel_safe)]
pub fn websocket_url(url: Option<&str>, base: default!(Option<&str>, "NULL")) -> Option<String> {
    let base = base.and_then(|base| endpoint::base_url(base).ok());
    match address::resolve(url?, base.as_ref()) {
        Ok(whole) => Some(redact::url(whole.as_str())),
        Err(_) => url.map(redact::url),
    }
}

/// An endpoint's headers as they may be shown.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn redacted_headers(headers: &str) -> Option<Jsonb> {
    let shown = block::pairs(headers).map(|(name, value)| format!("{name}: {}\n", redact::header(name, value)));
    headers_json(&shown.collect::<String>())
}

/// The role that the present statement runs as.
#[pg_extern(schema = "edge_store", stable, parallel_restricted)]
pub fn current_role_oid() -> pg_sys::Oid {
    owner::current_role()
}

/// A schedule in English, where it can be read.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn schedule_description(schedule: &str) -> Option<String> {
    Schedule::parse(schedule).ok().map(|schedule| schedule.describe())
}

/// Stored headers as a JSON object; a header that came more than once gives an array.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn headers_json(headers: &str) -> Option<Jsonb> {
    let mut object = serde_json::Map::new();
    for (name, value) in block::pairs(headers) {
        let value = serde_json::Value::from(value);
        match object.entry(name.to_ascii_lowercase()) {
            serde_json::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                serde_json::Value::Array(values) => values.push(value),
                first => {
                    let values = vec![first.take(), value];
                    *first = serde_json::Value::Array(values);
                }
            },
        }
    }
    Jsonb::parse(&serde_json::Value::Object(object).to_string())
}

/// The content type among stored headers.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn content_type(headers: &str) -> Option<String> {
    content_type_of(headers).map(str::to_owned)
}

/// A body as text, where it is text.
#[pg_extern(schema = "edge_store", immutable, parallel_safe)]
pub fn body_text(headers: Option<&str>, body: Option<&[u8]>) -> Option<String> {
    text::decode(headers.and_then(content_type_of), body?).map(std::borrow::Cow::into_owned)
}

/// A body as JSON, where it is JSON that jsonb can hold.
#[pg_extern(schema = "edge_store", immutable, parallel_safe)]
pub fn body_json(headers: Option<&str>, body: Option<&[u8]>) -> Option<Jsonb> {
    let body = body?;
    // JSON allows no raw NUL, and text::decode would hide one.
    if body.is_empty() || body.contains(&0) {
        return None;
    }
    Jsonb::parse(&text::decode(headers.and_then(content_type_of), body)?)
}

/// The data of an event as JSON, where it is JSON that jsonb can hold.
#[pg_extern(schema = "edge_store", immutable, strict, parallel_safe)]
pub fn event_json(data: &str) -> Option<Jsonb> {
    // Plain words are told from JSON without the detour of an error.
    serde_json::from_str::<serde::de::IgnoredAny>(data).ok()?;
    Jsonb::parse(data)
}

fn content_type_of(headers: &str) -> Option<&str> {
    block::pairs(headers).find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value)
}
