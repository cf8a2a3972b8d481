//! Background jobs: the row of each.

pub mod deliveries;
pub mod hold;
mod letter;
pub mod reports;
