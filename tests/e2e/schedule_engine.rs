//! What schedules make of time: each slot is run once, whatever happens to the server, and every one that is not has a row
//! that says why. The rows are written here as the SQL functions would, so that the engine is tried by itself.

#[path = "schedule_engine/bad_rows.rs"]
mod bad_rows;
#[path = "schedule_engine/catching_up.rs"]
mod catching_up;
#[path = "schedule_engine/clock.rs"]
mod clock;
#[path = "schedule_engine/crowding.rs"]
mod crowding;
#[path = "schedule_engine/faults.rs"]
mod faults;
#[path = "schedule_engine/idle.rs"]
mod idle;
#[path = "schedule_engine/job.rs"]
pub mod job;
#[path = "schedule_engine/outcomes.rs"]
mod outcomes;
#[path = "schedule_engine/overlaps.rs"]
mod overlaps;
#[path = "schedule_engine/pausing.rs"]
mod pausing;
#[path = "schedule_engine/slots.rs"]
mod slots;
