//! The lab: a pretend production, one world served over the real protocols on loopback.
//! It knows nothing of the cockpit, and the cockpit cannot tell it from the real thing.

pub mod alertmanager;
pub mod https;
pub mod logs;
pub mod object;
pub mod postgres;
pub mod prometheus;
pub mod promql;
pub mod redis;
pub mod resources;
pub mod rules;
pub mod signals;
pub mod store;
pub mod tsdb;
