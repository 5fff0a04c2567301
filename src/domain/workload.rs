//! What runs pods and what bounds them: Deployments, ReplicaSets, autoscalers, disruption budgets, events.

use super::config_object::Edit;
use super::pod::{Condition, Owner};
use super::{Keeper, Key, Labels, Name, ObjectRef, Quantities, Selector, Status, Timestamp};

#[derive(Clone, PartialEq, Debug)]
pub struct Deployment {
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub labels: Labels,
    pub created: Timestamp,
    pub generation: i64,
    /// The last write to it, its status apart; also by an autoscaler.
    pub written: Option<Timestamp>,
    /// Annotation `deployment.kubernetes.io/revision`.
    pub revision: Option<u64>,
    /// Who would revert a change made by hand.
    pub keeper: Option<Keeper>,
    pub replicas: u32,
    pub selector: Selector,
    pub strategy: Strategy,
    pub paused: bool,
    /// `spec.progressDeadlineSeconds`; Kubernetes' default is 600 s.
    pub progress_deadline_seconds: u32,
    /// `spec.minReadySeconds`: how long a pod must be ready before it counts as available.
    pub min_ready_seconds: u32,
    pub template: Template,
    pub observed_generation: i64,
    pub status_replicas: u32,
    pub updated: u32,
    pub ready: u32,
    pub available: u32,
    pub conditions: Box<[Condition]>,
    /// `lastUpdateTime` of Progressing: when its controller last saw the rollout get on; the deadline counts from it.
    pub progressed: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaSet {
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub owner: Option<Owner>,
    pub created: Timestamp,
    /// Annotation `deployment.kubernetes.io/revision`.
    pub revision: Option<u64>,
    /// The numbers it had before undos made it the newest again, the first one first (annotation
    /// `deployment.kubernetes.io/revision-history`).
    pub earlier_revisions: Box<[u64]>,
    /// Label `pod-template-hash`.
    pub template_hash: Option<Name>,
    /// Annotation `kubernetes.io/change-cause`.
    pub change_cause: Option<Name>,
    pub replicas: u32,
    pub ready: u32,
    pub available: u32,
    pub conditions: Box<[Condition]>,
    pub template: Template,
}

/// The part of a pod template that rules and previews look at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Template {
    pub containers: Box<[TemplateContainer]>,
    /// `spec.initContainers`, native sidecars among them.
    pub init_containers: Box<[TemplateContainer]>,
    pub references: Box<[ConfigReference]>,
    pub pull_secrets: Box<[Name]>,
    pub service_account: Option<Name>,
    /// `spec.nodeSelector`.
    pub node_selector: Labels,
    /// Annotation `kubectl.kubernetes.io/restartedAt`.
    pub restarted_at: Option<Name>,
}

impl Template {
    /// One of its containers, whether it is an init container or not.
    pub fn container(&self, name: &str) -> Option<&TemplateContainer> {
        self.containers.iter().chain(&self.init_containers).find(|row| &*row.name == name)
    }

    /// The two differ by the moment of a restart alone: what fails then is what a start reads.
    pub fn is_restart_of(&self, older: &Template) -> bool {
        let same = Template { restarted_at: None, ..self.clone() }
            == Template { restarted_at: None, ..older.clone() };
        same && self.restarted_at != older.restarted_at
    }

    /// The two differ by the memory of their containers alone, and this one gives more: what lacks memory in it did
    /// so before.
    pub fn only_adds_memory_to(&self, older: &Template) -> bool {
        let otherwise = |template: &Template| {
            let mut otherwise = Template { restarted_at: None, ..template.clone() };
            for row in &mut otherwise.containers {
                row.requests.memory_bytes = None;
                row.limits.memory_bytes = None;
            }
            otherwise
        };
        // Without a limit it may have all there is.
        let limit = |row: &TemplateContainer| row.limits.memory_bytes.unwrap_or(u64::MAX);
        let limits = || self.containers.iter().map(limit).zip(older.containers.iter().map(limit));
        otherwise(self) == otherwise(older)
            && limits().all(|(new, old)| new >= old)
            && limits().any(|(new, old)| new > old)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct TemplateContainer {
    pub name: Name,
    pub image: Name,
    pub requests: Quantities,
    pub limits: Quantities,
    pub ports: Box<[u16]>,
    pub liveness: Option<Probe>,
    pub readiness: Option<Probe>,
    pub startup: Option<Probe>,
}

/// A probe, as far as a person wants to see it.
#[derive(Clone, PartialEq, Debug)]
pub struct Probe {
    /// `httpGet.path`, if it is an HTTP probe.
    pub path: Option<Name>,
    /// `httpGet.port` or `tcpSocket.port`, as written.
    pub port: Option<Name>,
    pub period_seconds: u32,
    pub failure_threshold: u32,
    pub timeout_seconds: u32,
}

/// A ConfigMap or Secret (and key) the template needs, through `env`, `envFrom` or a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigReference {
    /// [`super::Kind::ConfigMap`] or [`super::Kind::Secret`] and its key.
    pub object: ObjectRef,
    /// A single key, or None when the whole object is used.
    pub key: Option<Name>,
    pub optional: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Strategy {
    RollingUpdate { max_surge: IntOrPercent, max_unavailable: IntOrPercent },
    Recreate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntOrPercent {
    Int(u32),
    Percent(u32),
}

impl IntOrPercent {
    /// Of `replicas`, rounded up as for maxSurge and minAvailable.
    pub fn up(self, replicas: u32) -> u32 {
        match self {
            Self::Int(count) => count,
            Self::Percent(percent) => (u64::from(replicas) * u64::from(percent)).div_ceil(100) as u32,
        }
    }

    /// Of `replicas`, rounded down as for maxUnavailable.
    pub fn down(self, replicas: u32) -> u32 {
        match self {
            Self::Int(count) => count,
            Self::Percent(percent) => (u64::from(replicas) * u64::from(percent) / 100) as u32,
        }
    }
}

impl Deployment {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| &*condition.kind == kind)
    }

    /// `kubectl rollout status` would say "successfully rolled out".
    pub fn is_rolled_out(&self) -> bool {
        self.observed_generation >= self.generation
            && self.updated >= self.replicas
            && self.status_replicas <= self.updated
            && self.available >= self.updated
    }

    /// Its newest revision was rolled out to the end once, and no pod of an older one is left: what is missing now is
    /// missing of that revision.
    pub fn was_completed(&self) -> bool {
        let progressing = self.condition("Progressing").and_then(|row| row.reason.as_deref());
        progressing == Some("NewReplicaSetAvailable") && self.status_replicas <= self.updated
    }

    /// How many replicas may be missing by the strategy.
    pub fn max_unavailable(&self) -> u32 {
        match self.strategy {
            Strategy::RollingUpdate { max_unavailable, .. } => max_unavailable.down(self.replicas),
            Strategy::Recreate => self.replicas,
        }
    }
}

/// A HorizontalPodAutoscaler (autoscaling/v2).
#[derive(Clone, PartialEq, Debug)]
pub struct Autoscaler {
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub created: Timestamp,
    pub edited: Option<Edit>,
    /// `spec.scaleTargetRef`: kind as written, and name.
    pub target_kind: Name,
    pub target: Name,
    pub min: u32,
    pub max: u32,
    pub current: u32,
    pub desired: u32,
    pub last_scaled: Option<Timestamp>,
    pub metrics: Box<[MetricReading]>,
    pub conditions: Box<[Condition]>,
}

/// One metric of an autoscaler, in the unit of its target.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricReading {
    /// `cpu`, `memory`, or the custom metric's name.
    pub name: Name,
    pub current: Option<Name>,
    pub target: Option<Name>,
    /// current ÷ target, where both are numbers.
    pub ratio: Option<f64>,
}

impl Autoscaler {
    /// The condition that says that it gets no metric, or does not find what it scales. One that is switched off by
    /// scaling to 0 wants nothing.
    pub fn cannot_measure(&self) -> Option<&Condition> {
        ["AbleToScale", "ScalingActive"].into_iter().find_map(|kind| {
            self.condition(kind)
                .filter(|row| row.status == Status::False && row.reason.as_deref() != Some("ScalingDisabled"))
        })
    }

    /// That it wants more replicas than its maximum, in its own words (`ScalingLimited`, `TooManyReplicas`).
    pub fn held_at_its_maximum(&self) -> Option<&Condition> {
        let limited = self.condition("ScalingLimited").filter(|row| row.status == super::Status::True);
        limited.filter(|row| row.reason.as_deref() == Some("TooManyReplicas"))
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| &*condition.kind == kind)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct DisruptionBudget {
    pub key: Key,
    pub selector: Selector,
    /// `status.disruptionsAllowed`.
    pub allowed: u32,
    pub healthy: u32,
    pub desired_healthy: u32,
    pub expected: u32,
}

/// An event, of core/v1 or events.k8s.io/v1 (they are the same objects).
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub key: Key,
    /// What it is about; the kind as written, because events are about anything.
    pub about_kind: Name,
    pub about: Key,
    pub about_uid: Option<Name>,
    pub warning: bool,
    pub reason: Name,
    pub message: Name,
    pub count: u32,
    pub first: Timestamp,
    /// The latest of eventTime, series.lastObservedTime and lastTimestamp (audit D113).
    pub last: Timestamp,
    pub source: Option<Name>,
}
