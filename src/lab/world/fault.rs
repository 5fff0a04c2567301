//! Faults striking: each is done to the world as its real cause would do it.
//! It knows objects and nodes, not what follows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::attack::Attack;
use super::cluster::{Cluster, Secret, later};
use super::drill::{Drill, Fault, Filling};
use super::objects::{Config, Deployment, Map, Service, drop_nulls};
use super::registry;
use super::shelf::Key;
use super::upkeep::touch_managed;
use super::{APP, NAMESPACE, World, env};
use crate::lab::store::seconds;

/// What is going to happen.
pub struct Faults {
    at: Option<Timestamp>,
    waiting: Vec<Fault>,
    planned: Option<Timestamp>,
    behaviours: Vec<super::program::Behaviour>,
}

impl Faults {
    pub fn none() -> Self {
        Self { at: None, waiting: Vec::new(), planned: None, behaviours: Vec::new() }
    }

    /// Sets the time; the seed moves it by up to a fifth.
    pub fn plan(drill: Option<&Drill>, now: Timestamp, rng: &mut fastrand::Rng) -> Self {
        let Some(drill) = drill else { return Self::none() };
        let delay = drill.after * (0.8 + 0.4 * rng.f64());
        let at = later(now, jiff::SignedDuration::from_millis((delay * 1000.0) as i64));
        Self {
            at: Some(at),
            waiting: drill.faults.clone(),
            planned: Some(at),
            behaviours: drill.behaviours.clone(),
        }
    }

    pub fn struck(&self) -> bool {
        self.planned.is_some() && self.at.is_none()
    }

    /// When it strikes, or struck.
    pub fn strikes_at(&self) -> Option<Timestamp> {
        self.planned
    }
}

impl World {
    pub(super) fn strike(&mut self) {
        if self.faults.at.is_none_or(|at| at > self.cluster.now) {
            return;
        }
        self.faults.at = None;
        let mut behaviours = std::mem::take(&mut self.faults.behaviours);
        // What is told of a release has been built.
        for (_, tag) in behaviours.iter().filter_map(|behaviour| behaviour.image.split_once(':')) {
            self.kubelet.registry.push(tag);
        }
        behaviours.append(&mut self.kubelet.behaviours);
        self.kubelet.behaviours = behaviours;
        for fault in std::mem::take(&mut self.faults.waiting) {
            self.suffer(&fault);
        }
    }

    fn suffer(&mut self, fault: &Fault) {
        match fault {
            Fault::MonitoringConfig { entry, from, to } => return self.edit_monitoring(entry, from, to),
            Fault::ContainersEnd { namespace, workload, code } => {
                return self.end_containers(namespace, workload, *code);
            }
            Fault::InstanceImpaired => return self.impair_instance(),
            Fault::DnsAstray { host } => return self.lead_astray(host),
            Fault::PortClosed { port } => return self.close_port(*port),
            _ => {}
        }
        let cluster = &mut self.cluster;
        match fault {
            Fault::Revision { .. } => revise(cluster, fault),
            Fault::Config { key, value } => {
                edit::<Config>(cluster, "covetpy-config", |data| data[key.as_str()] = value.clone().into());
            }
            Fault::SecretKey { from, to } => edit::<Secret>(cluster, "covetpy-secrets", |data| {
                if let Some(data) = data.as_object_mut()
                    && let Some(value) = data.remove(from)
                {
                    data.insert(to.clone(), value);
                }
            }),
            Fault::Restart => {
                let at = seconds(cluster.now);
                cluster.update::<Deployment>(&Key::new(NAMESPACE, APP), |deployment| {
                    deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] =
                        at.into();
                });
            }
            Fault::TagMissing { tag } => self.kubelet.registry.remove_tag(tag),
            Fault::TokenExpires => {
                let secret = cluster.secrets.get(&Key::new(NAMESPACE, "regcred"));
                let token = secret
                    .and_then(|secret| registry::token(&env::plain(secret.data.get(".dockerconfigjson")?)));
                if let Some(token) = token {
                    self.kubelet.registry.expire(token);
                }
            }
            Fault::RateLimit { host, seconds } => {
                let until = cluster.after(*seconds);
                self.kubelet.registry.limit(host, until);
            }
            Fault::SolverClass { class, hours_left } => {
                self.age_certificate(*hours_left);
                self.lose_solver_class(class);
            }
            Fault::IssuanceLimited { seconds, hours_left } => {
                self.age_certificate(*hours_left);
                self.limit_issuance(*seconds);
            }
            Fault::ServedStale { hours_left } => self.hold_old_certificate(*hours_left),
            Fault::ControllerGone => {
                let (namespace, name) = super::edge::CONTROLLER;
                cluster.update::<Deployment>(&Key::new(namespace, name), |deployment| {
                    deployment["spec"]["replicas"] = 0.into();
                });
            }
            Fault::ServiceSelector { key, value } => {
                let at = seconds(cluster.now);
                cluster.update::<Service>(&Key::new(NAMESPACE, APP), |service| {
                    service["spec"]["selector"][key.as_str()] = value.clone().into();
                    touch_managed(service, "/spec/selector", "kubectl-edit", &at);
                });
            }
            Fault::MonitoringConfig { .. }
            | Fault::ContainersEnd { .. }
            | Fault::InstanceImpaired
            | Fault::DnsAstray { .. }
            | Fault::PortClosed { .. } => {}
            Fault::Surge { seconds, requests, logins } => {
                let seconds = seconds / cluster.speed;
                self.traffic.surge(cluster.now, seconds, *requests, *logins);
            }
            Fault::PasswordGuessing { addresses, per_second, at_homes, moves_to, finds } => {
                let from = (*addresses, *per_second, *at_homes);
                self.attack = Some(Attack::new(from, moves_to, finds.as_ref(), cluster));
            }
            Fault::HoldConnections { factor } => self.sessions.hold(*factor),
            Fault::LockRoot => self.sessions.lock(&self.signals, cluster.now),
            Fault::IndexMissing { index } => {
                self.signals.write(|shown| shown.database.indexes.retain(|known| known.name != *index));
            }
            Fault::DiskFills { with } => match with {
                Filling::Logs => self.disks.spam(cluster),
                Filling::Images => self.disks.pile(cluster),
                Filling::Files => self.disks.litter(cluster),
            },
            Fault::CacheFills { wanted_mib } => self.keeping.wanted_mib = *wanted_mib,
            Fault::PodFails { errors, log } => {
                let mut serving: Vec<Key> =
                    super::traffic::targets(cluster).iter().map(|pod| Key::of(&**pod)).collect();
                serving.sort_by(|one, other| one.name.cmp(&other.name));
                if serving.is_empty() {
                    return;
                }
                let key = serving.swap_remove(cluster.rng.usize(..serving.len()));
                if let Some(slot) = self.kubelet.runs.get_mut(&key).and_then(|run| run.slots.first_mut()) {
                    slot.life.errors = *errors;
                    let (name, instance) = (slot.name.clone(), slot.restarts);
                    cluster.logs.append(&key.namespace, &key.name, &name, instance, log, cluster.now);
                }
            }
            Fault::KubeletStops => {
                if let Some(node) = victim(cluster) {
                    self.kubelet.stop(&node);
                }
            }
        }
    }
}

/// The release pipeline rolls out a new template.
fn revise(cluster: &mut Cluster, fault: &Fault) {
    let Fault::Revision { image, change_cause, env, requests, limits, readiness_path, recreate } = fault
    else {
        return;
    };
    let at = seconds(cluster.now);
    cluster.update::<Deployment>(&Key::new(NAMESPACE, APP), |deployment| {
        deployment["metadata"]["annotations"]["kubernetes.io/change-cause"] = change_cause.clone().into();
        let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
        container["image"] = image.clone().into();
        let mut variables = container["env"].as_array().cloned().unwrap_or_default();
        for (name, value) in env {
            variables.retain(|variable| variable["name"] != name.as_str());
            variables.push(json!({ "name": name, "value": value }));
        }
        container["env"] = variables.into();
        for (field, amounts) in [("requests", requests), ("limits", limits)] {
            for (resource, amount) in amounts {
                container["resources"][field][resource] = amount.clone().into();
            }
        }
        if let Some(path) = readiness_path {
            container["readinessProbe"]["httpGet"]["path"] = path.clone().into();
        }
        if *recreate {
            deployment["spec"]["strategy"] = json!({ "type": "Recreate" });
        }
        for entry in deployment["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            if entry["manager"] == "deploy-bot" {
                entry["time"] = at.clone().into();
            }
        }
        drop_nulls(deployment);
    });
}

fn edit<K: super::cluster::Kind>(cluster: &mut Cluster, name: &str, change: impl FnOnce(&mut Value)) {
    let at = seconds(cluster.now);
    cluster.update::<K>(&Key::new(NAMESPACE, name), |object| {
        change(&mut object["data"]);
        touch_managed(object, "/data", "kubectl-edit", &at);
    });
}

/// A node that runs the app, but not what every node depends on; the seed chooses.
pub(super) fn victim(cluster: &mut Cluster) -> Option<String> {
    let on = |app: &str| -> Vec<String> {
        let has = |labels: &Map| labels.get("app").is_some_and(|label| label == app);
        let pods = cluster.pods.iter().filter(|(_, pod)| has(&pod.metadata.labels));
        pods.map(|(_, pod)| pod.spec.node_name.clone()).collect()
    };
    let (spared, mut nodes) = (on("redis"), on("covetpy"));
    nodes.sort();
    nodes.dedup();
    let chosen: Vec<&String> = nodes.iter().filter(|node| !spared.contains(node)).collect();
    let chosen = if chosen.is_empty() { nodes.iter().collect() } else { chosen };
    (!chosen.is_empty()).then(|| chosen[cluster.rng.usize(..chosen.len())].clone())
}
