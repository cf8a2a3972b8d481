//! A flat JSON object read as names and texts, as `params` and `headers` are given.
//!
//! Numbers keep the digits they were written with: no value passes through a float.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Why a JSON value is not a flat object of scalars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// The whole value has the wrong shape.
    #[error("it must be a JSON object of names and values, not {0}")]
    NotAnObject(&'static str),
    /// A value has the wrong shape.
    #[error("the value of \"{name}\" must be a string, a number, a boolean or an array of these, not {found}")]
    NotAScalar {
        /// The member's name.
        name: String,
        /// What was found instead.
        found: &'static str,
    },
}

/// The members of `json` in the order of their names; an array gives its name once for each item.
pub fn parse(json: &str) -> Result<Vec<(String, String)>, PairsError> {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else {
        return Err(PairsError::NotAnObject(kind(json)));
    };
    let mut pairs = Vec::with_capacity(members.len());
    for (name, value) in members {
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(items) => {
                for item in items {
                    pairs.push((name.clone(), scalar(&name, item.get())?));
                }
            }
            Err(_) => {
                let text = scalar(&name, value.get())?;
                pairs.push((name, text));
            }
        }
    }
    Ok(pairs)
}

fn scalar(name: &str, json: &str) -> Result<String, PairsError> {
    if let Ok(text) = serde_json::from_str::<String>(json) {
        return Ok(text);
    }
    match kind(json) {
        "a number" | "a boolean" => Ok(json.trim().to_owned()),
        found => Err(PairsError::NotAScalar { name: name.to_owned(), found }),
    }
}

fn kind(json: &str) -> &'static str {
    match json.trim_start().bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
