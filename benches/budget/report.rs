//! The table: one row a line of the budget, and whether it is met.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{machine, scale};

/// What was measured so far.
pub struct Report {
    machine: Vec<(&'static str, String)>,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    what: String,
    unit: &'static str,
    measured: f64,
    limit: f64,
    budget: Budget,
}

/// What a row must hold to.
#[derive(Clone, Copy)]
pub enum Budget {
    /// At least so many times the limit.
    AtLeast(f64),
    /// At most so many times the limit.
    AtMost(f64),
    /// No more than the limit itself.
    Within,
    /// No line of the budget: shown because it is worth knowing.
    None,
}

impl Report {
    /// An empty table.
    pub fn new() -> Self {
        let machine = machine::describe();
        for (name, value) in &machine {
            println!("{name}: {value}");
        }
        if scale::quick() {
            println!("a quick run: small sizes, few rounds");
        }
        Self { machine, rows: Vec::new() }
    }

    /// Adds a row. `what` says what was measured and what the limit is.
    pub fn row(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        measured: f64,
        limit: f64,
        budget: Budget,
    ) {
        let row = Row { name, what: what.into(), unit, measured, limit, budget };
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Prints and stores the table; fails when a row missed its budget.
    pub fn finish(self) -> ExitCode {
        println!("\n{:<24} {:>12} {:>12} {:>7}  {:<10} {:<6} what", "row", "measured", "limit", "ratio", "budget", "");
        for row in &self.rows {
            println!("{}", row.line());
        }
        let machine: serde_json::Map<_, _> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let table = json!({ "machine": machine, "quick": scale::quick(), "rows": rows });
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let text = serde_json::to_string_pretty(&table).expect("a table can be written as JSON");
        std::fs::write(target.join("bench.json"), text).expect("the target directory can be written");
        if self.rows.iter().all(Row::met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        (self.limit > 0.0).then(|| self.measured / self.limit)
    }

    fn met(&self) -> bool {
        match self.budget {
            Budget::AtLeast(times) => self.measured >= self.limit * times,
            Budget::AtMost(times) => self.measured <= self.limit * times,
            Budget::Within => self.measured <= self.limit,
            Budget::None => true,
        }
    }

    fn budget(&self) -> String {
        match self.budget {
            Budget::AtLeast(times) => format!(">= {times}"),
            Budget::AtMost(times) => format!("<= {times}"),
            Budget::Within => "<= limit".to_owned(),
            Budget::None => "none".to_owned(),
        }
    }

    fn line(&self) -> String {
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let met = match self.budget {
            Budget::None => "-",
            _ if self.met() => "met",
            _ => "MISSED",
        };
        let (measured, limit) = (number(self.measured), number(self.limit));
        let (name, budget) = (self.name, self.budget());
        format!("{name:<24} {measured:>12} {limit:>12} {ratio:>7}  {budget:<10} {met:<6} {} ({})", self.what, self.unit)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "row": self.name,
            "what": self.what,
            "unit": self.unit,
            "measured": self.measured,
            "limit": self.limit,
            "ratio": self.ratio(),
            "budget": self.budget(),
            "met": self.met(),
        })
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
