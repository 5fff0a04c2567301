//! Continuous watching: one file per outside system, each an endless stream of observations that reconnects by
//! itself. Eyes only ever get, list and watch; they know nothing of what is judged or shown.

mod alertmanager;
mod api_server;
mod discover;
mod doctor;
mod doctor_outside;
mod kubernetes;
mod needs;
mod postgres;
mod prometheus;
mod reach;
mod redis;
mod tell;
mod tls;
mod traffic;
mod trouble;
mod usage;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use self::discover::discover;
pub use self::doctor::{DoctorRow, doctor, doctor_table};
pub use self::needs::{Need, Where, Who, needs};
use self::tell::Tell;
use crate::config::Settings;
use crate::domain::{Observation, Timestamp};

/// Every eye that is open. Dropping it closes them all.
pub struct Eyes {
    tasks: JoinSet<()>,
}

impl Eyes {
    /// Opens them all and returns at once; what they see goes to `out`, and a full channel makes them wait.
    #[expect(clippy::unused_async, reason = "the loop awaits it; opening may come to need it")]
    pub async fn open(settings: &Settings, clock: fn() -> Timestamp, out: mpsc::Sender<Observation>) -> Eyes {
        let tell = Tell::new(clock, out);
        let mut tasks = JoinSet::new();
        let (announce, sessions) = watch::channel(None);
        tasks.spawn(api_server::keep(settings.clone(), tell.clone(), announce));
        kubernetes::open(&settings.namespace, &sessions, &tell, &mut tasks);
        let (found, prometheus) = watch::channel(None);
        tasks.spawn(prometheus::watch(settings.clone(), sessions.clone(), tell.clone(), found));
        tasks.spawn(usage::watch(
            settings.namespace.value.clone(),
            sessions.clone(),
            prometheus,
            tell.clone(),
        ));
        tasks.spawn(alertmanager::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(postgres::watch(settings.clone(), tell.clone()));
        tasks.spawn(redis::watch(settings.clone(), tell.clone()));
        tasks.spawn(tls::watch(settings.clone(), sessions.clone(), tell.clone()));
        tasks.spawn(reach::watch(settings.clone(), sessions, tell));
        Eyes { tasks }
    }

    /// How many sources are being watched.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}
