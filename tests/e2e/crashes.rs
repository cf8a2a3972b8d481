//! Processes that die, at the worst moment: no call is lost, and only calls on the wire may come twice.

mod answers;
mod borders;
mod interruptions;
mod kills;
mod stops;
