//! The lab: a pretend production, one world served over the real protocols on loopback.
//! It knows nothing of the cockpit, and the cockpit cannot tell it from the real thing.

mod access;
pub mod alertmanager;
pub mod api;
pub mod aws;
pub mod database;
pub mod dns;
mod folder;
pub mod https;
mod job;
pub mod logs;
mod moves;
pub mod object;
pub mod postgres;
pub mod prometheus;
pub mod promql;
pub mod redis;
pub mod registry;
pub mod resources;
pub mod rules;
mod running;
pub mod signals;
pub mod ssh;
mod start;
pub mod store;
mod ticker;
pub mod tsdb;
pub mod world;

pub use running::{Addresses, Lab};
pub use start::{LabError, Options, start};
pub use world::{Drill, drills};
