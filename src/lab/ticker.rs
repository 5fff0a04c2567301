//! Work done again and again on its own thread, so that heavy work never holds up a connection.
//! It knows nothing of the work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running thread; dropping it stops the work and waits for the step in progress.
pub struct Ticker {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Calls `work`, then rests for `period`, until dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(name: &str, period: Duration, mut work: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopping);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                work();
                thread::park_timeout(period);
            }
        })?;
        Ok(Self { stopping, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in the work has already been reported by its thread.
            let _ = thread.join();
        }
    }
}
