//! What pg_edge keeps: every SQL statement, one function each, named after what it means; rows that are written and read without
//! SQL, because every call needs them (`table`, `by_key`); and the files of keys and secrets.
//!
//! Runs on the main thread of a backend or a worker. Nothing here decides anything.

pub mod attempts;
mod by_key;
pub mod callbacks;
pub mod calls;
pub mod collected;
pub mod composite;
pub mod control;
pub mod datum;
pub mod deferred;
pub mod endpoints;
mod error_code;
pub mod event_batch;
pub mod events;
pub mod failed_items;
pub mod fresh;
pub mod invocation;
pub mod jobs;
pub mod jsonb_array;
pub mod key_file;
pub mod leases;
mod lists;
pub mod literal;
pub mod notify;
pub mod offspring;
pub mod owner;
pub mod queue;
pub mod recovery;
pub mod replays;
pub mod responses;
pub mod retention;
mod rows;
pub mod scan;
pub mod schedules;
pub mod secret_file;
pub mod secrets;
mod slots;
pub mod sockets;
pub mod statement;
pub mod syntax;
pub mod table;
pub mod time;
pub mod transaction;
pub mod trigger;
pub mod usage;
pub mod vault;
pub mod zone;
