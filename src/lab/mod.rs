//! The lab: a pretend production, one world served over the real protocols on loopback.
//! It knows nothing of the cockpit, and the cockpit cannot tell it from the real thing.

pub mod logs;
pub mod object;
pub mod resources;
pub mod promql;
pub mod signals;
pub mod store;
pub mod tsdb;
