//! Rows about Prometheus itself, its alerts and their noise.

use std::time::Duration;

use covet_tui::domain::{
    Alert, AlertState, Delivery, Fact, Flapping, Key, Kind, Labels, Monitoring, MonitoringPod, Name, Noise,
    ObjectRef, Observation, Origin, Target, Volume,
};
use serde::Deserialize;

use super::world::{ago, span};

/// `alertname` is `name`; everything else is a label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRow {
    pub name: String,
    #[serde(default = "AlertRow::warning")]
    pub severity: String,
    pub node: Option<String>,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    /// How long it has been active.
    pub age: String,
    #[serde(default)]
    pub silenced: bool,
}

impl AlertRow {
    fn warning() -> String {
        "warning".into()
    }
}

pub fn alert(row: &AlertRow) -> Alert {
    let mut labels: Vec<(Name, Name)> = vec![
        ("alertname".into(), row.name.as_str().into()),
        ("severity".into(), row.severity.as_str().into()),
    ];
    for (label, value) in [("node", &row.node), ("namespace", &row.namespace), ("pod", &row.pod)] {
        labels.extend(value.as_ref().map(|value| (Name::from(label), Name::from(value.as_str()))));
    }
    Alert {
        fingerprint: format!("{row:?}").into(),
        name: row.name.as_str().into(),
        labels: Labels::new(labels),
        summary: None,
        starts: ago(&row.age),
        state: if row.silenced { AlertState::Silenced { by: Box::default() } } else { AlertState::Active },
    }
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseRow {
    pub flaps: Vec<(String, f64)>,
    /// How long ago they began to come and go, six hours if nothing is said; when the last one came, a minute ago; and how
    /// far they are apart, five minutes.
    pub since: Option<String>,
    pub last: Option<String>,
    pub every: Option<String>,
    pub shares: Vec<(String, f64)>,
    pub sent_15m: Option<f64>,
    pub sent_1h: Option<f64>,
    pub sent_12h: Option<f64>,
}

impl NoiseRow {
    pub fn fact(&self) -> Noise {
        let rows = |rows: &[(String, f64)]| {
            rows.iter().map(|(name, value)| (name.as_str().into(), *value)).collect()
        };
        let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let flaps = self.flaps.iter().map(|(alert, times)| Flapping {
            alert: alert.as_str().into(),
            times: *times,
            since: ago(&or(&self.since, "6h")),
            last: ago(&or(&self.last, "1m")),
            every: span(&or(&self.every, "5m")),
        });
        Noise {
            flaps: flaps.collect(),
            sent_15m: self.sent_15m,
            shares: rows(&self.shares),
            sent_1h: self.sent_1h,
            sent_12h: self.sent_12h,
        }
    }
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct MonitoringRow {
    pub silent: Option<String>,
    pub unready: Option<String>,
    pub replaying: Option<(u64, u64)>,
    pub refused: bool,
    pub ingest: Option<f64>,
    pub stale: Option<String>,
    pub targets: Option<(u32, u32)>,
    /// How long it has been so.
    pub age: Option<String>,
    /// How long ago the Watchdog was last seen.
    pub watchdog: Option<String>,
    pub replicas: Option<u32>,
    /// `operator`: a Prometheus of it; else a Deployment.
    pub kind: Option<String>,
    /// None: the cluster does not show its pods.
    pub pods: Option<Vec<ServerRow>>,
    /// Share of its volume in use.
    pub volume: Option<f64>,
    /// Alerts sent, dropped, and dropped minutes before, each per second.
    pub delivery: Option<(f64, f64, f64)>,
    /// How long it takes to say that it is alive.
    pub took: Option<String>,
    pub down: Vec<TargetRow>,
    /// Alertmanager refuses its configuration, as Prometheus has it.
    pub notifier_refuses: bool,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ServerRow {
    pub ready: bool,
    /// How long it has not been ready.
    pub unready: Option<String>,
    pub age: Option<String>,
    pub deleting: bool,
    pub waits: Option<String>,
    pub message: Option<String>,
    pub ended: Option<String>,
    pub restarts: u32,
    pub node: Option<String>,
}

/// A target that does not answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRow {
    pub instance: String,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    /// How long ago it answered; never, if nothing is said.
    pub last_up: Option<String>,
    pub error: Option<String>,
}

fn target(row: &TargetRow) -> Target {
    Target {
        job: "pods".into(),
        instance: row.instance.as_str().into(),
        namespace: row.namespace.as_deref().map(Name::from),
        pod: row.pod.as_deref().map(Name::from),
        last_up: row.last_up.as_deref().map(ago),
        error: row.error.as_deref().map(Name::from),
    }
}

impl MonitoringRow {
    fn seen(&self) -> Monitoring {
        let name = |text: &Option<String>| text.as_deref().map(Name::from);
        let kind = if self.kind.is_some() { Kind::Prometheus } else { Kind::Deployment };
        let pods = self.pods.as_ref().map(|pods| {
            let row = |(index, row): (usize, &ServerRow)| MonitoringPod {
                key: Key::new("monitoring", format!("prometheus-server-{index}")),
                uid: format!("uid-{index}").into(),
                node: name(&row.node),
                ready: row.ready,
                unready_since: row.unready.as_deref().map(ago),
                created: Some(ago(row.age.as_deref().unwrap_or("9d"))),
                deleting: row.deleting,
                waits: name(&row.waits),
                message: name(&row.message),
                ended: name(&row.ended),
                restarts: row.restarts,
                container: Some("prometheus-server".into()),
            };
            pods.iter().enumerate().map(row).collect()
        });
        Monitoring {
            silent: name(&self.silent),
            unready: name(&self.unready),
            replaying: self.replaying,
            loaded: Some(!self.refused),
            ingest: self.ingest.or(Some(1200.0)),
            stale: self.stale.as_deref().map(span).or(Some(Duration::from_secs(9))),
            targets: self.targets,
            workload: Some(ObjectRef::new(kind, Key::new("monitoring", "prometheus-server"))),
            replicas: self.replicas.or(Some(1)),
            pods,
            delivery: self.delivery.map(|(sent, dropped, dropped_before)| Delivery {
                sent,
                dropped,
                dropped_before,
            }),
            took: self.took.as_deref().map(span),
            down: self.down.iter().map(target).collect(),
            config_file: None,
            notifier_loaded: Some(!self.notifier_refuses),
            volume: self.volume.map(|fill| Volume {
                claim: Key::new("monitoring", "prometheus-server"),
                usage: Some(((fill * f64::from(1 << 30)) as u64 * 8, 8 << 30)),
            }),
        }
    }

    /// The same, seen for the first time when it began; and the Watchdog, seen for the last time.
    pub fn looks(&self) -> Vec<Observation> {
        let mut looks = Vec::new();
        if let Some(age) = &self.watchdog {
            let row = AlertRow {
                name: "Watchdog".into(),
                severity: "none".into(),
                node: None,
                namespace: None,
                pod: None,
                age: "9d".into(),
                silenced: false,
            };
            let fact = Fact::Alerts { alerts: vec![alert(&row)], silences: Vec::new(), loaded: None };
            looks.push(Observation { at: ago(age), origin: Origin::Alertmanager, seen: Ok(fact) });
        }
        if let Some(age) = &self.age {
            let fact = Fact::Monitoring(Box::new(self.seen()));
            looks.push(Observation { at: ago(age), origin: Origin::Monitoring, seen: Ok(fact) });
        }
        looks
    }

    pub fn now(&self) -> Observation {
        let fact = Fact::Monitoring(Box::new(self.seen()));
        Observation { at: super::world::now(), origin: Origin::Monitoring, seen: Ok(fact) }
    }
}
