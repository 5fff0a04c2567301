//! How an eye waits before it looks again: in production as long as it says; where a clock is moved by hand,
//! until that much has passed on it. Deadlines are no waits: they guard against the network and stay real.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::domain::{Timestamp, between};

/// Which time eyes wait in.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<watch::Receiver<()>>);

/// Rings whenever a clock that is moved by hand was moved.
#[derive(Debug)]
pub struct Bell(watch::Sender<()>);

impl Pace {
    /// For eyes whose clock is moved by hand.
    pub fn by_hand() -> (Bell, Pace) {
        let (bell, heard) = watch::channel(());
        (Bell(bell), Pace(Some(heard)))
    }

    pub(super) fn is_by_hand(&self) -> bool {
        self.0.is_some()
    }

    pub(super) async fn rest(&self, clock: fn() -> Timestamp, pause: Duration) {
        let Some(heard) = &self.0 else { return sleep(pause).await };
        let mut heard = heard.clone();
        let began = clock();
        while between(began, clock()) < pause {
            if heard.changed().await.is_err() {
                // Nobody moves the clock any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Bell {
    pub fn ring(&self) {
        self.0.send_replace(());
    }
}

/// Looks at regular times, the first at once. A look that took too long delays the following.
pub(super) enum Beat {
    Real(Interval),
    ByHand { pace: Pace, clock: fn() -> Timestamp, every: Duration, last: Option<Timestamp> },
}

impl Beat {
    pub(super) fn new(pace: &Pace, clock: fn() -> Timestamp, every: Duration) -> Self {
        if pace.is_by_hand() {
            return Beat::ByHand { pace: pace.clone(), clock, every, last: None };
        }
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Beat::Real(ticks)
    }

    pub(super) async fn tick(&mut self) {
        match self {
            Beat::Real(ticks) => {
                ticks.tick().await;
            }
            Beat::ByHand { pace, clock, every, last } => {
                if let Some(last) = *last {
                    pace.rest(*clock, every.saturating_sub(between(last, clock()))).await;
                }
                *last = Some(clock());
            }
        }
    }
}
