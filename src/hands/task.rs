//! One action under way: what it says as it goes, how long it may take, and whether it was called off.
//! Knows no system.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::text;

/// How long hands wait for effects. Calls themselves have their own, shorter deadline.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// One API call.
    pub call: Duration,
    /// A rollout, from write to complete. `kubectl rollout status` in the original had 300 s.
    pub rollout: Duration,
    /// A deleted pod's replacement, from deletion to Ready.
    pub replacement: Duration,
    /// A single eviction refused by a disruption budget.
    pub eviction: Duration,
    /// A Job that was run again, from its creation to its end.
    pub run: Duration,
    /// A command in a container.
    pub exec: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(10),
            rollout: Duration::from_mins(5),
            replacement: Duration::from_mins(2),
            eviction: Duration::from_mins(1),
            run: Duration::from_mins(10),
            exec: Duration::from_secs(30),
        }
    }
}

/// Where an action reports, and from where it is called off.
pub(super) struct Task {
    progress: mpsc::Sender<String>,
    said: Vec<String>,
    cancel: CancellationToken,
}

/// Why waiting ended without what was waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stopped {
    TimedOut,
    CalledOff,
}

impl Task {
    pub(super) fn new(progress: mpsc::Sender<String>, cancel: CancellationToken) -> Self {
        Self { progress, said: Vec::new(), cancel }
    }

    /// Reports a step, once. A screen that is too slow misses it; the outcome still has it.
    pub(super) fn say(&mut self, words: impl AsRef<str>) {
        let words = text::redact(&text::clean(words.as_ref()));
        if self.said.last() != Some(&words) {
            let _ = self.progress.try_send(words.clone());
            self.said.push(words);
        }
    }

    pub(super) fn is_called_off(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits for something, until the deadline or until it is called off.
    pub(super) async fn until<T>(
        &self,
        deadline: Instant,
        what: impl Future<Output = T>,
    ) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stopped::CalledOff),
            done = what => Ok(done),
            () = tokio::time::sleep_until(deadline) => Err(Stopped::TimedOut),
        }
    }

    /// A pause between two looks.
    pub(super) async fn pause(&self, pause: Duration) {
        let _ = self.until(Instant::now() + pause, std::future::pending::<()>()).await;
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.said
    }
}

impl Stopped {
    /// `after 5m` or `stopped watching`.
    pub(super) fn says(&self, after: Duration) -> String {
        match self {
            Stopped::TimedOut => format!("not within {}", text::span(after)),
            Stopped::CalledOff => "watching was called off".into(),
        }
    }
}
