//! The forms in which values of JSON are compared.
//!
//! Read level by level from the text, which alone has the numbers to the last digit.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// Each level is read once more, so there may not be many.
const DEEPEST: usize = 32;

/// A value in the forms that equal values have.
pub struct Look {
    /// With numbers as they are written.
    pub exact: String,
    /// With numbers as doubles.
    pub double: String,
}

/// How a value looks. `None` of one that is nested too deeply, or has what no text can hold.
pub fn look(value: &RawValue) -> Option<Look> {
    within(value, DEEPEST)
}

fn within(value: &RawValue, levels: usize) -> Option<Look> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let mut looks = Vec::new();
            for (name, value) in members {
                let Look { exact, double } = within(value, levels.checked_sub(1)?)?;
                let name = Value::from(name);
                looks.push(Look { exact: format!("{name}:{exact}"), double: format!("{name}:{double}") });
            }
            Some(joined('{', &looks, '}'))
        }
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let levels = levels.checked_sub(1)?;
            let looks: Option<Vec<Look>> = values.into_iter().map(|value| within(value, levels)).collect();
            Some(joined('[', &looks?, ']'))
        }
        b'"' => {
            let text: String = serde_json::from_str(text).ok()?;
            Some(same(Value::from(text).to_string()))
        }
        b't' | b'f' | b'n' => Some(same(text.to_owned())),
        _ => {
            let double = text.parse::<f64>().ok().filter(|double| double.is_finite());
            // Adding zero makes the negative zero a plain one.
            let double = double.map_or_else(|| text.to_owned(), |double| (double + 0.0).to_string());
            Some(Look { exact: text.to_owned(), double })
        }
    }
}

fn same(text: String) -> Look {
    Look { exact: text.clone(), double: text }
}

fn joined(open: char, looks: &[Look], close: char) -> Look {
    let join =
        |part: fn(&Look) -> &str| format!("{open}{}{close}", looks.iter().map(part).collect::<Vec<_>>().join(","));
    Look { exact: join(|look| &look.exact), double: join(|look| &look.double) }
}
