//! What moves in a lab as time goes by: the world, and the rules that watch it.
//! It knows when each is due, not who moves the clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::alertmanager::Alertmanager;
use super::rules::Rules;
use super::signals::{Serving, Signals};
use super::tsdb::Tsdb;
use super::world::World;

/// How often the rules are evaluated: often enough for a drill, seldom enough for a full cluster.
pub(super) const EVALUATE: Duration = Duration::from_secs(5);
/// The same on a clock that is moved by hand: the `evaluation_interval` of most Prometheus servers.
const INTERVAL: SignedDuration = SignedDuration::from_secs(15);

/// Clones share one world.
#[derive(Clone)]
pub(super) struct Moves {
    pub(super) clock: fn() -> Timestamp,
    world: Arc<Mutex<World>>,
    pub(super) evaluation: Evaluation,
}

/// The alerting rules at work.
#[derive(Clone)]
pub(super) struct Evaluation {
    rules: Rules,
    tsdb: Tsdb,
    alertmanager: Alertmanager,
    /// The Prometheus that alerts say they come from.
    generator: String,
    last: Arc<Mutex<Option<Timestamp>>>,
    signals: Signals,
}

impl Moves {
    pub(super) fn new(clock: fn() -> Timestamp, world: World, evaluation: Evaluation) -> Self {
        Self { clock, world: Arc::new(Mutex::new(world)), evaluation }
    }

    /// Works on the world; it stands still meanwhile.
    pub(super) fn world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        work(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Evaluation {
    pub(super) fn new(
        rules: Rules,
        tsdb: Tsdb,
        alertmanager: Alertmanager,
        generator: String,
        signals: Signals,
    ) -> Self {
        Self { rules, tsdb, alertmanager, generator, last: Arc::default(), signals }
    }

    /// Evaluates every rule and tells the Alertmanager.
    pub(super) fn run(&self, now: Timestamp) {
        // A server that is down evaluates nothing and tells nobody.
        let serves = self.signals.read(|shown| matches!(shown.server.serving, Serving::Yes { .. }));
        let told = if serves { self.rules.evaluate(&self.tsdb, now) } else { Vec::new() };
        self.alertmanager.tell(told, &self.generator, now);
    }

    /// The same, unless it was done less than [`INTERVAL`] ago.
    pub(super) fn when_due(&self, now: Timestamp) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.duration_since(last) >= INTERVAL) {
            *last = Some(now);
            self.run(now);
        }
    }
}
