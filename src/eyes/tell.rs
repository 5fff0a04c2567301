//! How an eye speaks: observations with the moment and the origin, into a bounded channel; and how it waits
//! before it looks again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::pace::{Beat, Pace};
use super::roll::Clerk;
use crate::config::ConnectError;
use crate::domain::{Blind, BlindKind, Fact, Observation, Origin, Timestamp};

/// The listener is gone: time to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unheard;

#[derive(Clone)]
pub(super) struct Tell {
    clock: fn() -> Timestamp,
    pace: Pace,
    out: mpsc::Sender<Observation>,
    clerk: Arc<Clerk>,
}

impl Tell {
    pub(super) fn new(
        clock: fn() -> Timestamp,
        pace: Pace,
        out: mpsc::Sender<Observation>,
        clerk: Clerk,
    ) -> Self {
        Self { clock, pace, out, clerk: Arc::new(clerk) }
    }

    /// Waits before it looks again.
    pub(super) async fn rest(&self, pause: Duration) {
        self.pace.rest(self.clock, pause).await;
    }

    /// How long what was seen may wait for more of it; where time is moved by hand, not at all.
    pub(super) fn hold(&self, hold: Duration) -> Duration {
        if self.pace.is_by_hand() { Duration::ZERO } else { hold }
    }

    /// Regular looks.
    pub(super) fn beat(&self, every: Duration) -> Beat {
        Beat::new(&self.pace, self.clock, every)
    }

    pub(super) fn clock(&self) -> fn() -> Timestamp {
        self.clock
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) async fn fact(&self, origin: Origin, fact: Fact) -> Result<(), Unheard> {
        self.send(origin, Ok(fact)).await
    }

    pub(super) async fn blind(&self, origin: Origin, error: ConnectError) -> Result<(), Unheard> {
        self.as_blind(origin, error.into_blind(self.now())).await
    }

    /// As blind as what it depends on.
    pub(super) async fn as_blind(&self, origin: Origin, blind: Blind) -> Result<(), Unheard> {
        self.send(origin, Err(blind)).await
    }

    /// Nobody said where it is.
    pub(super) async fn not_configured(
        &self,
        origin: Origin,
        why: &str,
        repair: &str,
    ) -> Result<(), Unheard> {
        self.blind(origin, ConnectError::new(BlindKind::NotConfigured, why, repair)).await
    }

    async fn send(&self, origin: Origin, seen: Result<Fact, Blind>) -> Result<(), Unheard> {
        let said = Observation { at: self.now(), origin, seen };
        self.clerk.hear(&said);
        self.out.send(said).await.map_err(|_| Unheard)
    }
}

/// Doubling waits with a cap; each is spread by ±25 % so that many cockpits don't return at once.
pub(super) struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, next: first }
    }

    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.cap);
        wait.mul_f64(0.75 + fastrand::f64() * 0.5)
    }

    /// Longer for what was never configured: it is looked for, not waited for.
    pub(super) fn after(&mut self, error: &ConnectError) -> Duration {
        if error.kind == BlindKind::NotConfigured { Duration::from_mins(1) } else { self.next() }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}
