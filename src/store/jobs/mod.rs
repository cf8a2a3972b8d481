//! Background jobs: the row of each.

pub mod deliveries;
pub mod hold;
pub mod reports;
