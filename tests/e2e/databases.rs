//! Which databases have a dispatcher, and what becomes of it when they or their extension change.

mod lifecycle;
mod locks;
mod servers;
mod stepping_aside;
mod upgrading;
