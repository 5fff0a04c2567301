//! Playbooks: what they hold, what their linter says, and what they advise.

mod again;
mod asking;
mod catalogue;
mod decisions;
mod deliveries;
mod disks;
mod finding;
mod linter;
mod network;
mod nodes;
mod noise;
mod outdated;
mod refusals;
mod resolution;
mod sessions;
pub mod world;
