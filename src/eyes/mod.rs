//! Continuous watching: one file per outside system, each an endless stream of observations that reconnects by
//! itself. Eyes only ever get, list and watch; they know nothing of what is judged or shown.

mod alert_history;
mod alertmanager;
mod api_server;
mod charts;
mod cloudwatch;
mod discover;
mod disk_history;
mod disks;
mod doctor;
mod doctor_outside;
mod kubernetes;
mod metrics;
mod monitoring;
mod needs;
mod pace;
mod postgres;
mod prometheus;
mod reach;
mod redis;
mod roll;
mod strain;
mod targets;
mod tell;
mod tls;
mod traffic;
mod triggers;
mod trouble;
mod usage;
mod workloads;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use self::api_server::Clients;
pub use self::discover::discover;
pub use self::doctor::{DoctorRow, doctor, doctor_table};
pub use self::needs::{Need, Where, Who, needs};
pub use self::pace::{Bell, Pace};
use self::tell::Tell;
use crate::config::Settings;
use crate::domain::{Observation, Timestamp, Trigger};

/// Every eye that is open. Dropping it closes them all.
pub struct Eyes {
    tasks: JoinSet<()>,
    clients: Clients,
}

impl Eyes {
    /// Opens them all and returns at once; what they see goes to `out`, and a full channel makes them wait.
    /// `triggers` are those of the team's own playbooks.
    pub async fn open(
        settings: &Settings,
        triggers: &[Trigger],
        clock: fn() -> Timestamp,
        out: mpsc::Sender<Observation>,
    ) -> Eyes {
        Self::open_at(Pace::default(), settings, triggers, clock, out).await
    }

    /// The same, waiting at this pace between two looks.
    #[expect(clippy::unused_async, reason = "the loop awaits it; opening may come to need it")]
    pub async fn open_at(
        pace: Pace,
        settings: &Settings,
        triggers: &[Trigger],
        clock: fn() -> Timestamp,
        out: mpsc::Sender<Observation>,
    ) -> Eyes {
        let (clerk, roll) = roll::open();
        let tell = Tell::new(clock, pace, out, clerk);
        let mut tasks = JoinSet::new();
        let (announced, sessions) = watch::channel(None);
        let (connected, clients) = watch::channel(None);
        let announce = api_server::Announce { sessions: announced, clients: connected };
        tasks.spawn(api_server::keep(settings.clone(), tell.clone(), announce));
        kubernetes::open(&settings.namespace, &sessions, &tell, &mut tasks);
        let (found, prometheus) = watch::channel(None);
        tasks.spawn(prometheus::watch(settings.clone(), sessions.clone(), tell.clone(), found));
        tasks.spawn(monitoring::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(alert_history::watch(prometheus.clone(), tell.clone()));
        triggers::open(settings, triggers, &sessions, &prometheus, &tell, &mut tasks);
        tasks.spawn(usage::watch(
            settings.namespace.value.clone(),
            sessions.clone(),
            prometheus,
            tell.clone(),
        ));
        tasks.spawn(disks::watch(sessions.clone(), roll, tell.clone()));
        tasks.spawn(alertmanager::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(postgres::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(redis::watch(settings.clone(), tell.clone()));
        tasks.spawn(cloudwatch::watch(settings.clone(), tell.clone()));
        tasks.spawn(tls::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(reach::watch(settings.clone(), sessions, tell));
        Eyes { tasks, clients }
    }

    /// The way to the API server, each time it is built anew.
    pub fn clients(&self) -> Clients {
        self.clients.clone()
    }

    /// How many sources are being watched.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}
