//! What containers suffer, as Prometheus has it from cAdvisor: memory over hours, throttled CPU.

use super::{Key, Name, Series};

/// One look; only what stands out, never every container.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Strain {
    /// The workloads whose memory grows most, with the pods that went before: up to six hours.
    pub memory: Vec<MemoryTrend>,
    /// The most throttled containers first.
    pub throttled: Vec<Throttled>,
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
