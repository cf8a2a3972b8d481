//! What a trigger is given by Postgres: its arguments, its table and the rows; and what the catalog says of it.
//!
//! Runs on the main thread of whoever writes to the table, as that role.

pub mod callback;
pub mod catalog;
pub mod fired;
pub mod json;
pub mod lineage;
pub mod row;
pub mod table;
pub mod transition;
