//! Words and lists.

/// `one`, `one and two`, `one, two and three`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [head @ .., word] => format!("{} and {word}", head.join(", ")),
    }
}

/// The numbers of the bits that are set.
pub fn numbers(bits: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| bits >> bit & 1 == 1)
}

/// The values as a list in which three or more in a row become a range.
pub fn ranges(bits: u64, name: impl Fn(u32) -> String) -> String {
    let mut words = Vec::new();
    let mut rest: Vec<u32> = numbers(bits).collect();
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(value, expected)| *value == expected).count();
        let taken = if run >= 3 { run } else { 1 };
        words.push(match taken {
            1 => name(first),
            _ => format!("{} to {}", name(first), name(rest[taken - 1])),
        });
        rest.drain(..taken);
    }
    list(&words)
}

/// The step of values that go through the whole of `0..end` without a break at its end; 1 if all are meant.
pub fn even_step(bits: u64, end: u32) -> Option<u32> {
    (1..end).filter(|step| end.is_multiple_of(*step)).find(|step| numbers(bits).eq((0..end).step_by(*step as usize)))
}

/// `every hour`, `every 2 hours`.
pub fn every(number: u32, unit: &str) -> String {
    match number {
        1 => format!("every {unit}"),
        _ => format!("every {number} {unit}s"),
    }
}

/// `minute 5`, `minutes 5 and 10`.
pub fn named(unit: &str, bits: u64) -> String {
    let plural = if bits.count_ones() == 1 { "" } else { "s" };
    format!("{unit}{plural} {}", ranges(bits, |number| number.to_string()))
}

/// `1st`, `2nd`, `3rd`, `4th`.
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// With its first letter large.
pub fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
