//! Prometheus as the world runs it: its pod, its volume, and the files its container sees. What the server itself
//! answers is read off here by its own router.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use super::drill::Furnishing;
use super::objects::Config;
use super::shelf::Key;
use crate::lab::signals::{Server, Serving};
use crate::lab::store::seconds;

const SPACE: &str = "monitoring";
const SERVER: &str = "prometheus-server";
const CLAIM: &str = "prometheus-server";
/// Seconds until the kubelet has brought a changed ConfigMap into its volume.
const MOUNTED: f64 = 20.0;
/// Seconds until a grown claim has its size.
const GROWS: f64 = 12.0;
/// What the samples of the lab take, in bytes: 7.9 GiB, so that a claim of 8 is full.
const USED: u64 = 8_482_560_410;
/// Segments of the write-ahead log that a long start replays.
const SEGMENTS: u64 = 48;

/// The configuration that the chart wrote.
pub const PROMETHEUS_YML: &str = "global:\n  scrape_interval: 15s\n  scrape_timeout: 10s\n  evaluation_interval: 15s\nrule_files:\n- /etc/config/alerting_rules.yml\nscrape_configs:\n- job_name: prometheus\n  static_configs:\n  - targets: ['localhost:9090']\n- job_name: kubernetes-pods\n  kubernetes_sd_configs:\n  - role: pod\nalerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['alertmanager:9093']\n";

/// What is on its way.
#[derive(Default)]
pub struct Watch {
    mounts: Option<(Timestamp, String, String)>,
    grows: Option<(Timestamp, String)>,
}

/// The ConfigMaps of the monitoring, as `kubectl apply` left them.
pub fn config_maps(furnishing: &Furnishing) -> Vec<Value> {
    let map = |name: &str, label: &str, data: Value| {
        let applied = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": SPACE }, "data": data,
        });
        json!({
            "metadata": {
                "name": name, "namespace": SPACE, "labels": { "app.kubernetes.io/name": label },
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": applied.to_string() },
            },
            "data": data,
        })
    };
    vec![
        map(
            SERVER,
            "prometheus",
            json!({ "prometheus.yml": PROMETHEUS_YML, "alerting_rules.yml": furnishing.rules_file() }),
        ),
        map("alertmanager", "alertmanager", json!({ "alertmanager.yml": furnishing.alertmanager_file() })),
    ]
}

impl World {
    /// What a container of Prometheus finds when it starts, as if in its environment.
    pub(super) fn facts_of_monitoring(&self) -> Vec<(String, String)> {
        let config = self.cluster.config_maps.get(&Key::new(SPACE, SERVER));
        let text = config.and_then(|config| config.data.get("prometheus.yml").cloned()).unwrap_or_default();
        vec![(".config".to_owned(), text), (".volume-gib".to_owned(), gib(&capacity(self)).to_string())]
    }

    /// Brings what the servers see up to date.
    pub(super) fn monitor(&mut self) {
        self.grow();
        let key = |name: &str| Key::new(SPACE, name);
        let entry = |name: &str, entry: &str| {
            let found = self.cluster.config_maps.get(&key(name));
            found
                .and_then(|config: std::sync::Arc<Config>| config.data.get(entry).cloned())
                .unwrap_or_default()
        };
        let files = (
            entry(SERVER, "prometheus.yml"),
            entry(SERVER, "alerting_rules.yml"),
            entry("alertmanager", "alertmanager.yml"),
        );
        let server = self.server();
        let now = self.cluster.now;
        let mounted = self.signals.read(|shown| shown.server.mounted.clone());
        let first = mounted.is_none();
        let files = Some(files);
        let arrives = if mounted == files || first {
            self.watch.mounts = None;
            first
        } else {
            let until = self.cluster.after(MOUNTED);
            let waiting = self.watch.mounts.get_or_insert((until, String::new(), String::new()));
            waiting.0 <= now
        };
        let space = gib(&capacity(self)) << 30;
        self.signals.write(|shown| {
            if arrives {
                shown.server.mounted = files;
            }
            if server != shown.server.serving {
                shown.server.serving = server;
                // A start reads what is there.
                if matches!(server, Serving::Yes { .. }) {
                    shown.server.loaded = None;
                }
            }
            shown.server.volume = (USED.min(space), space);
        });
        if arrives {
            self.watch.mounts = None;
        }
    }

    /// Whether the server container serves, replays, or is not there.
    fn server(&self) -> Serving {
        let pods =
            self.cluster.pods.within(SPACE).filter(|(key, _)| key.name.starts_with("prometheus-server-"));
        let mut best = Serving::No;
        for (key, pod) in pods {
            let Some(run) = self.kubelet.run(key) else { continue };
            let slots = run.slots.iter().zip(&pod.spec.containers);
            let Some((slot, _)) = slots.into_iter().find(|(_, container)| container.name == SERVER) else {
                continue;
            };
            let Some(since) = slot.running_since() else { continue };
            let boot = self.cluster.lasting(slot.life.boot);
            // It ends before it opens its storage.
            if slot.life.exit.is_some() && boot.is_zero() {
                continue;
            }
            let up = self.cluster.now.duration_since(since);
            if slot.life.exit.is_none() && up >= boot {
                return Serving::Yes { since };
            }
            let share = up.as_secs_f64() / boot.as_secs_f64().max(1.0);
            best = Serving::Replays {
                current: ((SEGMENTS as f64 * share) as u64).min(SEGMENTS - 1),
                last: SEGMENTS,
            };
        }
        best
    }

    /// A claim that asks for more gets it, a little later.
    fn grow(&mut self) {
        let Some(claim) = self.cluster.store.get("persistentvolumeclaims", SPACE, CLAIM) else { return };
        let value = claim.value();
        let wanted =
            value["spec"]["resources"]["requests"]["storage"].as_str().unwrap_or_default().to_owned();
        let has = value["status"]["capacity"]["storage"].as_str().unwrap_or_default();
        if gib(&wanted) <= gib(has) {
            self.watch.grows = None;
            return;
        }
        let now = self.cluster.now;
        let until = self.cluster.after(GROWS);
        let (due, size) = self.watch.grows.get_or_insert((until, wanted.clone()));
        if *size != wanted {
            (*due, *size) = (until, wanted);
            return;
        }
        if *due > now {
            return;
        }
        let size = size.clone();
        // It was there a moment ago.
        let _ = self.cluster.store.update("persistentvolumeclaims", SPACE, CLAIM, now, |object| {
            object["status"]["capacity"]["storage"] = size.clone().into();
        });
    }

    /// Somebody edits the configuration of Prometheus by hand.
    pub(super) fn edit_monitoring(&mut self, entry: &str, from: &str, to: &str) {
        let at = seconds(self.cluster.now);
        self.cluster.update::<Config>(&Key::new(SPACE, SERVER), |object| {
            let text = object["data"][entry].as_str().unwrap_or_default().replace(from, to);
            object["data"][entry] = text.into();
            super::upkeep::touch_managed(object, "/data", "kubectl-edit", &at);
        });
    }

    /// The containers of a workload's pods end, as a crash or a node would have it.
    pub(super) fn end_containers(&mut self, namespace: &str, workload: &str, code: i32) {
        let prefix = format!("{workload}-");
        let keys: Vec<Key> = self
            .cluster
            .pods
            .within(namespace)
            .filter(|(key, _)| key.name.starts_with(&prefix))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.kubelet.crash(&mut self.cluster, &key, code);
            self.cluster.enqueue(super::cluster::Work::Pod(key));
        }
    }
}

fn capacity(world: &World) -> String {
    let claim = world.cluster.store.get("persistentvolumeclaims", SPACE, CLAIM);
    let value = claim.map(|claim| claim.value().clone());
    value
        .and_then(|value| value["status"]["capacity"]["storage"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// `12Gi` in gibibytes.
fn gib(quantity: &str) -> u64 {
    quantity.strip_suffix("Gi").and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Whether `Server` shows a start that is as good as over.
pub(super) fn is_gap(server: &Server) -> bool {
    !matches!(server.serving, Serving::Yes { .. })
}
