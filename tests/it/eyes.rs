//! The eyes against the lab and against servers that misbehave.

use std::path::Path;
use std::time::Duration;

use covet_tui::config::{self, Flags, Settings};
use covet_tui::domain::{Age, Blind, Observation, Origin, Snapshot};
use covet_tui::eyes::Eyes;
use covet_tui::lab::{self, Lab};
use jiff::Timestamp;
use tokio::sync::mpsc;

mod check;
mod doctor;
mod gate;
mod kubernetes;
mod monitored;
mod outside;
mod plugin;
pub mod real;
mod rights;
mod scripted;
mod server;
mod settings;
mod traffic;
mod trouble;
mod ways;

/// Settings as the environment of a lab makes them.
fn settings(lab: &Lab, kubeconfig: &Path, more: &[(&str, &str)]) -> Settings {
    let mut env = lab.env();
    env.retain(|(name, _)| *name != "KUBECONFIG");
    env.push(("KUBECONFIG", kubeconfig.display().to_string()));
    let find = |name: &str| {
        let more = more.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        more.or_else(|| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()))
    };
    config::load(&Flags::default(), &find, None).unwrap()
}

/// A snapshot that eyes fill.
struct Watcher {
    snapshot: Snapshot,
    heard: mpsc::Receiver<Observation>,
    _eyes: Eyes,
}

impl Watcher {
    async fn open(settings: &Settings) -> Self {
        let (out, heard) = mpsc::channel(64);
        let eyes = Eyes::open(settings, &[], Timestamp::now, out).await;
        Self { snapshot: Snapshot::default(), heard, _eyes: eyes }
    }

    /// Folds what is heard until the snapshot is as wanted; says what stands in the way after a minute.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while !wanted(&self.snapshot) {
            match tokio::time::timeout_at(deadline, self.heard.recv()).await {
                Ok(Some(observation)) => self.snapshot.fold(observation),
                _ => panic!("not within a minute: {what}; {}", self.ages()),
            }
        }
    }

    fn ages(&self) -> String {
        let now = Timestamp::now();
        let ages = Origin::ALL
            .iter()
            .map(|origin| format!("{}: {:?}", origin.as_str(), self.snapshot.age(*origin, now)));
        ages.collect::<Vec<_>>().join("\n")
    }

    fn blind(&self, origin: Origin) -> Option<Blind> {
        blind(&self.snapshot, origin)
    }
}

fn blind(snapshot: &Snapshot, origin: Origin) -> Option<Blind> {
    match snapshot.age(origin, Timestamp::now()) {
        Age::Blind(blind, _) => Some(blind),
        _ => None,
    }
}
