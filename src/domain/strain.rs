//! What Prometheus has of hours: memory and throttled CPU of containers, from cAdvisor; disks of nodes, from the
//! node exporter.

use super::{Key, Name, Series};

/// One look; only what stands out, never every container.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Strain {
    /// The workloads whose memory grows most, with the pods that went before: up to six hours.
    pub memory: Vec<MemoryTrend>,
    /// The most throttled containers first.
    pub throttled: Vec<Throttled>,
    /// Disks of nodes that fill.
    pub disks: Vec<DiskTrend>,
}

/// The free share of a node's file system over a day, 0 to 1.
#[derive(Clone, PartialEq, Debug)]
pub struct DiskTrend {
    pub node: Name,
    pub mountpoint: Name,
    pub free: Series,
}

/// The working set of one container over time, in bytes. Its pod may be gone.
#[derive(Clone, PartialEq, Debug)]
pub struct MemoryTrend {
    pub pod: Key,
    pub container: Name,
    pub bytes: Series,
}

/// A container whose CPU limit stops it.
#[derive(Clone, PartialEq, Debug)]
pub struct Throttled {
    pub pod: Key,
    pub container: Name,
    /// Throttled periods ÷ all periods over five minutes, 0 to 1.
    pub share: f64,
}
