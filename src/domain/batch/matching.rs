//! Finding an item by a value that holds all its members, and perhaps more: what a function says of one that has failed.
//!
//! Values compare as a function in JavaScript sees them: members in any order, numbers as doubles. Where doubles do not tell
//! items apart, the text of the numbers does; and where that cannot either, all that may be meant are sent again.
//!
//! Whoever queues the items also chooses how they look, so the work is counted, and given up where it grows too much.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::value::RawValue;

use super::look::{Look, look};

/// Names that are compared for one answer, and not more: a part of a second.
const MOST_WORK: usize = 2_000_000;

/// The items that were sent, to be found by what they hold.
pub struct Known {
    names: HashMap<String, usize>,
    /// The looks of members and of items without members.
    looks: HashMap<String, usize>,
    shapes: HashMap<Vec<usize>, usize>,
    /// The sets of names that items have, the largest first: an item with fewer members is found in more values.
    by_size: Vec<(Vec<usize>, usize)>,
    alike: HashMap<Key, Alike>,
    work: usize,
}

/// Why a value does not lead to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfound {
    /// No item that was not taken before looks so.
    Unknown,
    /// It would take too long to say.
    TooMuchWork,
}

/// A shape, if it has members, and how they look as doubles.
type Key = (Option<usize>, Vec<usize>);

/// Items that doubles do not tell apart.
#[derive(Default)]
struct Alike {
    /// The places of those that have not been taken, by how they look to the last digit.
    untaken: HashMap<Vec<usize>, VecDeque<usize>>,
    /// They are not the same to the last digit.
    differ: bool,
    /// How many values may still be said of items that were all taken at once.
    answered_for: usize,
}

/// How a member of a value looks, among the looks that items have.
struct Seen {
    double: usize,
    exact: Option<usize>,
    is_plain: bool,
}

impl Known {
    /// Those of a list.
    pub fn of(sent: &[&RawValue]) -> Self {
        let (names, looks, shapes) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut known = Self { names, looks, shapes, by_size: Vec::new(), alike: HashMap::new(), work: 0 };
        for (place, item) in sent.iter().enumerate() {
            // What cannot be read cannot be found.
            known.add(place, item);
        }
        let mut by_size: Vec<_> = known.shapes.iter().map(|(names, shape)| (names.clone(), *shape)).collect();
        by_size.sort_by_key(|(names, shape)| (std::cmp::Reverse(names.len()), *shape));
        known.by_size = by_size;
        known
    }

    fn add(&mut self, place: usize, item: &RawValue) -> Option<()> {
        let (shape, found) = match members(item) {
            Some(members) => {
                let mut looks = Vec::new();
                for (name, value) in members {
                    looks.push((id(&mut self.names, name), look(value)?));
                }
                looks.sort_unstable_by_key(|(name, _)| *name);
                let (names, looks): (Vec<usize>, Vec<Look>) = looks.into_iter().unzip();
                (Some(id(&mut self.shapes, names)), looks)
            }
            None => (None, vec![look(item)?]),
        };
        let (mut doubles, mut exact) = (Vec::new(), Vec::new());
        for look in found {
            doubles.push(id(&mut self.looks, look.double));
            exact.push(id(&mut self.looks, look.exact));
        }
        let alike = self.alike.entry((shape, doubles)).or_default();
        alike.untaken.entry(exact).or_default().push_back(place);
        alike.differ = alike.untaken.len() > 1;
        Some(())
    }

    /// The places of the items that the value means. None, where they were taken with others that look the same.
    pub fn take(&mut self, value: &RawValue) -> Result<Vec<usize>, Unfound> {
        let Some(members) = members(value) else {
            let seen = look(value).and_then(|look| self.seen(&look)).ok_or(Unfound::Unknown)?;
            return self.take_alike((None, vec![seen.double]), &[&seen]).ok_or(Unfound::Unknown);
        };
        let mut seen: BTreeMap<usize, Seen> = BTreeMap::new();
        for (name, value) in members {
            // What no item has was added by the function, and need not even be readable.
            let Some(name) = self.names.get(&name).copied() else { continue };
            if let Some(look) = look(value).and_then(|look| self.seen(&look)) {
                seen.insert(name, look);
            }
        }
        // Most functions add the same to each item, if anything: no other set of names is larger than the one that fits.
        let fitting: Vec<usize> = seen.keys().copied().collect();
        let fitting = self.shapes.get(&fitting).map(|shape| (fitting, *shape));
        if let Some(places) = fitting.and_then(|(names, shape)| self.project(&names, shape, &seen)) {
            return Ok(places);
        }
        let by_size = std::mem::take(&mut self.by_size);
        let found = self.search(&by_size, &seen);
        self.by_size = by_size;
        found
    }

    fn search(&mut self, shapes: &[(Vec<usize>, usize)], seen: &BTreeMap<usize, Seen>) -> Result<Vec<usize>, Unfound> {
        let first = shapes.partition_point(|(names, _)| names.len() > seen.len());
        for (names, shape) in shapes.iter().skip(first) {
            if self.work > MOST_WORK {
                return Err(Unfound::TooMuchWork);
            }
            if let Some(places) = self.project(names, *shape, seen) {
                return Ok(places);
            }
        }
        Err(Unfound::Unknown)
    }

    /// Takes what looks like these members of a value.
    fn project(&mut self, names: &[usize], shape: usize, seen: &BTreeMap<usize, Seen>) -> Option<Vec<usize>> {
        self.work += 1;
        let mut found = Vec::new();
        for name in names {
            self.work += 1;
            found.push(seen.get(name)?);
        }
        let doubles = found.iter().map(|seen| seen.double).collect();
        self.take_alike((Some(shape), doubles), &found)
    }

    fn take_alike(&mut self, key: Key, seen: &[&Seen]) -> Option<Vec<usize>> {
        let alike = self.alike.get_mut(&key)?;
        if !alike.differ {
            return alike.untaken.values_mut().next()?.pop_front().map(|place| vec![place]);
        }
        // A number that is written as a double would be may have been another before it became one.
        let told_apart = seen.iter().any(|seen| !seen.is_plain);
        let exact: Option<Vec<usize>> = seen.iter().map(|seen| seen.exact).collect();
        if let Some(places) = exact.filter(|_| told_apart).and_then(|exact| alike.untaken.get_mut(&exact))
            && let Some(place) = places.pop_front()
        {
            return Some(vec![place]);
        }
        let all: Vec<usize> = alike.untaken.drain().flat_map(|(_, places)| places).collect();
        alike.answered_for += all.len();
        alike.answered_for = alike.answered_for.checked_sub(1)?;
        Some(all)
    }

    fn seen(&self, look: &Look) -> Option<Seen> {
        let double = *self.looks.get(&look.double)?;
        Some(Seen { double, exact: self.looks.get(&look.exact).copied(), is_plain: look.exact == look.double })
    }
}

/// The members of an object.
fn members(value: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok())?
}

/// The number by which something is known.
fn id<T: std::hash::Hash + Eq>(known: &mut HashMap<T, usize>, of: T) -> usize {
    let next = known.len();
    *known.entry(of).or_insert(next)
}
