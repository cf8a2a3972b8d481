//! What somebody tries who has access to pg_edge, or none, and wants what is another role's: its calls, or its rights.

mod ids;
mod install;
mod objects;
mod rows;
mod runners;
mod vanishing;
