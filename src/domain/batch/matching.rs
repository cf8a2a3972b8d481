//! Finding an item by a value that holds all its members, and perhaps more: what a function says of one that has failed.
//!
//! Values compare as a function in JavaScript sees them: members in any order, numbers as doubles.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;
use serde_json::value::RawValue;

/// The items that were sent, to be found by what they hold.
pub struct Known {
    /// The sets of names that items have, the largest first: an item with fewer members is found in more values.
    shapes: Vec<Vec<String>>,
    /// The places of the items that look so and have not been taken.
    places: HashMap<String, VecDeque<usize>>,
}

impl Known {
    /// Those of a list.
    pub fn of(sent: &[&RawValue]) -> Self {
        let mut shapes: Vec<Vec<String>> = Vec::new();
        let mut places: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (place, item) in sent.iter().enumerate() {
            // One that is nested too deeply to be read cannot be found.
            let Ok(item) = serde_json::from_str::<Value>(item.get()) else { continue };
            if let Value::Object(members) = &item {
                let mut names: Vec<String> = members.keys().cloned().collect();
                names.sort_unstable();
                if !shapes.contains(&names) {
                    shapes.push(names);
                }
            }
            places.entry(look(&item)).or_default().push_back(place);
        }
        shapes.sort_by_key(|names| std::cmp::Reverse(names.len()));
        Self { shapes, places }
    }

    /// The place of the first item that the value holds and that was not taken before.
    pub fn take(&mut self, value: &Value) -> Option<usize> {
        let looks = match value {
            Value::Object(members) => {
                let project = |names: &Vec<String>| {
                    let members = names.iter().map(|name| Some((name.as_str(), members.get(name)?)));
                    members.collect::<Option<BTreeMap<_, _>>>().map(|members| object(members.into_iter()))
                };
                self.shapes.iter().filter_map(project).collect()
            }
            other => vec![look(other)],
        };
        looks.iter().find_map(|look| self.places.get_mut(look)?.pop_front())
    }
}

/// A value in the one form that equal values have.
fn look(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
        // Adding zero makes the negative zero a plain one.
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |double| (double + 0.0).to_string())
        }
        Value::Array(values) => format!("[{}]", values.iter().map(look).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let sorted: BTreeMap<&str, &Value> = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
            object(sorted.into_iter())
        }
    }
}

/// The form of an object whose members are in order.
fn object<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let members: Vec<String> = members.map(|(name, value)| format!("{}:{}", Value::from(name), look(value))).collect();
    format!("{{{}}}", members.join(","))
}
