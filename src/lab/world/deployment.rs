//! The deployment controller: one ReplicaSet per template, moved between by the strategy.
//! It knows ReplicaSets' numbers, never pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Cluster, Work};
use super::events::{About, Source};
use super::objects::{Deployment, ReplicaSet};
use super::rollout;
use super::rollout_status;
use super::shelf::Key;

pub const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub const HASH: &str = "pod-template-hash";

/// A deployment with its ReplicaSets.
pub struct Rollout {
    pub key: Key,
    pub deployment: Arc<Deployment>,
    pub new: Option<Arc<ReplicaSet>>,
    /// Oldest first.
    pub old: Vec<Arc<ReplicaSet>>,
}

pub fn reconcile(cluster: &mut Cluster, key: &Key) {
    let Some(mut rollout) = Rollout::find(cluster, key) else { return };
    let deployment = rollout.deployment.clone();
    let spec = &deployment.spec;
    if deployment.metadata.deletion_timestamp.is_some() {
        return;
    }
    if spec.paused {
        rollout::scale(cluster, &rollout);
    } else {
        if !rollout.ensure_new(cluster) {
            return;
        }
        if rollout.is_scaling() {
            rollout::scale(cluster, &rollout);
        } else if spec.strategy.r#type == "Recreate" {
            rollout::recreate(cluster, &rollout);
        } else {
            rollout::roll(cluster, &rollout);
        }
    }
    if let Some(rollout) = Rollout::find(cluster, key) {
        rollout_status::sync(cluster, &rollout);
        rollout.forget_history(cluster);
    }
}

impl Rollout {
    pub fn find(cluster: &Cluster, key: &Key) -> Option<Self> {
        let deployment = cluster.deployments.get(key)?;
        let mut sets: Vec<Arc<ReplicaSet>> = cluster
            .replica_sets
            .within(&key.namespace)
            .filter(|(_, set)| {
                set.metadata.controller().is_some_and(|owner| owner.uid == deployment.metadata.uid)
            })
            .map(|(_, set)| set.clone())
            .collect();
        sets.sort_by_key(|set| (set.metadata.creation_timestamp, set.metadata.name.clone()));
        let wanted = template_without_hash(&deployment.spec.template);
        let at = sets.iter().position(|set| template_without_hash(&set.spec.template) == wanted);
        let new = at.map(|at| sets.remove(at));
        Some(Self { key: key.clone(), deployment, new, old: sets })
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new)
    }

    pub fn replicas(&self) -> i32 {
        self.deployment.spec.replicas.unwrap_or(1)
    }

    pub fn max_surge(&self) -> i32 {
        if self.deployment.spec.strategy.r#type == "Recreate" {
            return 0;
        }
        let surge = &self.deployment.spec.strategy.rolling_update.max_surge;
        surge.as_ref().map_or_else(|| quarter(self.replicas(), true), |surge| surge.of(self.replicas(), true))
    }

    pub fn max_unavailable(&self) -> i32 {
        if self.deployment.spec.strategy.r#type == "Recreate" {
            return 0;
        }
        let limit = &self.deployment.spec.strategy.rolling_update.max_unavailable;
        let limit = limit
            .as_ref()
            .map_or_else(|| quarter(self.replicas(), false), |limit| limit.of(self.replicas(), false));
        // 0/0 after rounding would never move
        let limit = if limit == 0 && self.max_surge() == 0 { 1 } else { limit };
        limit.min(self.replicas())
    }

    /// Somebody changed `spec.replicas`, as opposed to the template.
    fn is_scaling(&self) -> bool {
        self.all().filter(|set| size(set) > 0).any(|set| {
            let desired = set.metadata.annotation(DESIRED).and_then(|text| text.parse::<i32>().ok());
            desired.is_some_and(|desired| desired != self.replicas())
        })
    }

    /// Makes sure that the template has its ReplicaSet, numbered as the newest revision.
    /// False when one was made: there will be another look.
    fn ensure_new(&mut self, cluster: &mut Cluster) -> bool {
        let last = self.old.iter().map(|set| revision(set)).max().unwrap_or(0);
        let Some(new) = &self.new else {
            self.create_set(cluster, last + 1);
            return false;
        };
        let number = revision(new).max(last + 1);
        let (set, before) = (Key::of(&**new), revision(new));
        if before != number {
            cluster.update::<ReplicaSet>(&set, |set| {
                let notes = &mut set["metadata"]["annotations"];
                let past = notes[HISTORY].as_str().map_or(String::new(), |past| format!("{past},"));
                notes[HISTORY] = format!("{past}{before}").into();
                notes[REVISION] = number.to_string().into();
            });
        }
        self.annotate_revision(cluster, number);
        true
    }

    fn create_set(&self, cluster: &mut Cluster, number: i64) {
        let Deployment { metadata, spec, .. } = &*self.deployment;
        let template = template_without_hash(&spec.template);
        let hash = template_hash(&template);
        let name = format!("{}-{hash}", metadata.name);
        let mut template = template;
        template["metadata"]["labels"][HASH] = hash.clone().into();
        let mut selector = json!({ "matchLabels": spec.selector.match_labels });
        selector["matchLabels"][HASH] = hash.into();
        let mut notes = json!({});
        for (note, value) in &metadata.annotations {
            if !note.starts_with("deployment.kubernetes.io/") && !note.ends_with("last-applied-configuration")
            {
                notes[note] = value.clone().into();
            }
        }
        notes[REVISION] = number.to_string().into();
        let made = cluster.create::<ReplicaSet>(json!({
            "metadata": {
                "name": name,
                "namespace": metadata.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": notes,
                "ownerReferences": [owner_reference("apps/v1", "Deployment", &metadata.name, &metadata.uid)],
            },
            "spec": {
                "replicas": 0, "selector": selector, "template": template,
                "minReadySeconds": spec.min_ready_seconds,
            },
            "status": { "replicas": 0 },
        }));
        if let Ok(set) = made {
            self.note_desired(cluster, &Key::of(&*set));
            self.annotate_revision(cluster, number);
            rollout_status::created(cluster, self, &set.metadata.name);
            cluster.enqueue(Work::Deployment(self.key.clone()));
        }
    }

    fn annotate_revision(&self, cluster: &mut Cluster, number: i64) {
        let number = number.to_string();
        if self.deployment.metadata.annotation(REVISION) != Some(number.as_str()) {
            cluster.update::<Deployment>(&self.key, |deployment| {
                deployment["metadata"]["annotations"][REVISION] = number.into();
            });
        }
    }

    fn note_desired(&self, cluster: &mut Cluster, set: &Key) {
        let (desired, most) = (self.replicas().to_string(), (self.replicas() + self.max_surge()).to_string());
        cluster.update::<ReplicaSet>(set, |set| {
            set["metadata"]["annotations"][DESIRED] = desired.into();
            set["metadata"]["annotations"][MAX] = most.into();
        });
    }

    /// Gives a ReplicaSet its new size and says so.
    pub fn resize(&self, cluster: &mut Cluster, set: &Arc<ReplicaSet>, to: i32) {
        let (key, from) = (Key::of(&**set), size(set));
        self.note_desired(cluster, &key);
        if from == to {
            return;
        }
        cluster.update::<ReplicaSet>(&key, |set| set["spec"]["replicas"] = to.into());
        let (direction, name) = (if to > from { "up" } else { "down" }, &key.name);
        cluster.normal(
            About::new("deployments", &self.deployment.metadata),
            Source::of("deployment-controller"),
            "ScalingReplicaSet",
            &format!("Scaled {direction} replica set {name} from {from} to {to}"),
        );
    }

    /// The size a ReplicaSet was part of when it was last sized.
    pub fn noted_max(set: &ReplicaSet) -> i32 {
        set.metadata.annotation(MAX).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn forget_history(&self, cluster: &mut Cluster) {
        let kept = self.deployment.spec.revision_history_limit.unwrap_or(10);
        let idle: Vec<_> = self.old.iter().filter(|set| size(set) == 0 && set.status.replicas == 0).collect();
        let mut by_revision = idle.clone();
        by_revision.sort_by_key(|set| revision(set));
        for set in by_revision.iter().take(idle.len().saturating_sub(kept)) {
            cluster.delete::<ReplicaSet>(&Key::of(&***set));
        }
    }
}

pub fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub fn revision(set: &ReplicaSet) -> i64 {
    set.metadata.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn owner_reference(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn quarter(whole: i32, up: bool) -> i32 {
    if up { (whole + 3) / 4 } else { whole / 4 }
}

fn template_without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    super::objects::drop_nulls(&mut template);
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    template
}

/// Ten letters that cannot spell words, from the template's content (as `rand.SafeEncodeString`).
pub fn template_hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash: u64 = 0x811c_9dc5;
    for byte in template.to_string().bytes() {
        hash = ((hash ^ u64::from(byte)) * 0x0100_0193) & 0xffff_ffff;
    }
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}
