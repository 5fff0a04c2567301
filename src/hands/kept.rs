//! What may be wanted back and must not be written down: the data of Secrets, in memory only, for as long as this
//! session lives. Knows nothing of what it keeps.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// A place that only this session has. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<Value>>>);

impl Kept {
    /// Keeps it, and gives the number it is asked for by.
    pub(super) fn keep(&self, data: Value) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(data);
        kept.len() as u64
    }

    pub(super) fn get(&self, number: u64) -> Option<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        kept.get(place).cloned()
    }
}
