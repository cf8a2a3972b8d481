//! pg_edge: Postgres calls edge functions, and any HTTP endpoint, by itself: durably, from SQL.
//!
//! # Floors
//!
//! `domain` is pure, `engine` knows HTTP, `store` knows tables, `worker` joins the last two, `api` is SQL's
//! way in. A floor uses only what lies below it; ARCHITECTURE.md draws the picture and lists the invariants.
//! The first two build without Postgres (`--no-default-features`), so the compiler holds that border.
//!
//! # Threads
//!
//! Postgres is single-threaded. In a dispatcher process the main thread alone calls Postgres, and the engine
//! thread alone does HTTP. They meet in two places: channels of plain values, and one call of `SetLatch`
//! (`worker::latch`). Every signal is blocked in every engine thread.

pub mod domain;
pub mod engine;

#[cfg(feature = "pg")]
mod api;
#[cfg(feature = "pg")]
mod conceal;
#[cfg(feature = "pg")]
mod error;
#[cfg(feature = "pg")]
mod failpoint;
#[cfg(feature = "pg")]
mod guc;
#[cfg(feature = "pg")]
mod init;
#[cfg(feature = "pg")]
mod store;
#[cfg(feature = "pg")]
mod worker;

#[cfg(feature = "pg")]
::pgrx::pg_module_magic!(name, version);

/// For Rust's own allocations only; Postgres keeps its memory contexts. Answers are made on the engine's thread and
/// dropped on the main thread, which is what the C library's allocator is slowest at.
#[cfg(feature = "pg")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(all(feature = "pg", not(panic = "unwind")))]
compile_error!("Postgres errors travel through Rust frames as unwinding panics: build with panic = \"unwind\"");
