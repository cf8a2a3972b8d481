//! Streamed answers as SQL reads them: what is stored, and what is still coming.

mod forms;
mod limits;
mod live;
pub mod screen;
mod stored;
mod waking;
