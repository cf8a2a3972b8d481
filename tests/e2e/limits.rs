//! Limits of our own: how many calls a role may have, and how large the parts of one may be.

mod queued;
mod sizes;
