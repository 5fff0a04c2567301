//! The lab: a pretend production, one world served over the real protocols on loopback.
//! It knows nothing of the cockpit, and the cockpit cannot tell it from the real thing.

pub mod signals;
pub mod tsdb;
