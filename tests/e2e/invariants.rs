//! The invariants of ARCHITECTURE.md, each put to the test.

mod commitment;
mod endpoints;
mod poison;
mod quiet;
mod threads;
