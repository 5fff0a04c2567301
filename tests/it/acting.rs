//! Acting safely: the guard's types, the journal on disk, and hands and probes against the lab's API server
//! through a wire that records every request and can break.

pub mod bench;
mod changes;
mod guarding;
mod jobs;
mod journaling;
mod pods_and_nodes;
mod reading;
mod revisions;
mod servers;
mod trouble;
mod wire;

pub use bench::who;
