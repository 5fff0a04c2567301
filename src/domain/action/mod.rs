//! Everything the cockpit can do, as a closed list: each action's effect is fixed by its type, and each can
//! be written as the command a person could paste. What is done to Kubernetes stands here; each other system
//! has its own list in its own file.

mod about;
mod alerting;
mod aws;
mod command;
mod machine;
mod network;
mod postgres;
mod redis;
mod rights;
mod script;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Key, Name, ObjectRef, System};

pub use alerting::Alerting;
pub use aws::{Acu, AliasTarget, AwsCall, AwsDoes, NodeQuestion, NodeService, RecordSet, WafRef};
pub use command::shell_quote;
pub use machine::{DockerWaste, Folders, MachineCommand, OnMachine, Unit};
pub use network::NetworkProbe;
pub use postgres::{Pick, SessionTarget, Sql, Which};
pub use redis::RedisCommand;
pub use rights::{Access, RIGHTS, Right, Rights};
pub use script::Script;

/// What an action does to the world (the audit's R, C, D, X).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// No effect on capacity or data; exactly undoable. One key confirms it.
    Change,
    /// Restarts, capacity, connections or traffic. The object's name is typed to confirm it.
    Disruptive,
    /// Data, an instance, a key or evidence cannot come back. The object's name is typed to confirm it.
    Destructive,
}

/// One typed action, bound to real targets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    // Reads: performed by `probes`, without any confirmation.
    /// Pods and their states; `waiting` keeps those that wait for one of these reasons.
    ListPods {
        namespace: Name,
        selector: Option<String>,
        node: Option<Name>,
        waiting: Vec<Name>,
    },
    ListNodes,
    ListReplicaSets {
        deployment: Key,
    },
    /// Warning events of an object and everything it owns.
    ListEvents {
        about: ObjectRef,
    },
    Describe {
        object: ObjectRef,
    },
    Logs {
        pods: Vec<Key>,
        container: Option<Name>,
        previous: bool,
        tail: u32,
        since: Option<Duration>,
    },
    /// Failed logins in the pods' logs, by address and user.
    LoginFailures {
        pods: Vec<Key>,
        since: Duration,
    },
    PodUsage {
        namespace: Name,
        pods: Vec<Key>,
    },
    NodeUsage,
    /// Requests of the pods on each node against what it can allocate.
    NodeAllocation {
        node: Option<Name>,
    },
    /// Which ConfigMaps the workload references, which are missing, which changed lately.
    CheckConfigMaps {
        object: ObjectRef,
    },
    /// The same for Secrets: key names only, never values.
    CheckSecrets {
        object: ObjectRef,
    },
    ListExternalSecrets {
        namespace: Name,
    },
    /// Which revisions of a Deployment, StatefulSet or DaemonSet crash, and which are healthy.
    CompareRevisions {
        object: ObjectRef,
    },
    /// Of a Deployment, StatefulSet or DaemonSet.
    RolloutStatus {
        object: ObjectRef,
        timeout: Duration,
    },
    /// Pull secrets the pod uses, and whether their registry host matches the image.
    CheckPullSecrets {
        pod: Key,
    },
    NodeLease {
        node: Name,
    },
    /// What the kubelet says of its disks, and which pods fill them.
    NodeDisk {
        node: Name,
    },
    /// Events about a node and evictions from it, whatever their type.
    NodeEvents {
        node: Name,
    },

    // Changes: performed by `hands`, each with a Warrant.
    Scale {
        object: ObjectRef,
        replicas: u32,
    },
    AutoscalerBounds {
        autoscaler: Key,
        min: u32,
        max: u32,
    },
    Patch {
        object: ObjectRef,
        kind: PatchKind,
        body: Value,
    },
    RolloutRestart {
        object: ObjectRef,
    },
    /// Of a Deployment, StatefulSet or DaemonSet, to a pinned revision: pressing twice does not flip back
    /// (audit D112).
    RolloutUndo {
        object: ObjectRef,
        to_revision: u64,
    },
    RolloutPause {
        deployment: Key,
    },
    RolloutResume {
        deployment: Key,
    },
    /// One by one, within the disruption budget.
    DeletePods {
        pods: Vec<PodTarget>,
    },
    Evict {
        pod: PodTarget,
    },
    Cordon {
        node: Name,
    },
    Uncordon {
        node: Name,
    },
    Drain {
        node: Name,
        options: DrainOptions,
    },
    /// Sets (Some) or removes (None) annotations.
    Annotate {
        object: ObjectRef,
        annotations: Vec<(String, Option<String>)>,
    },
    /// Adds networks (CIDR) to those that the ingress controller turns away from this Ingress.
    DenyAtIngress {
        ingress: Key,
        networks: Vec<String>,
    },
    Label {
        object: ObjectRef,
        labels: Vec<(String, Option<String>)>,
    },
    /// Adds (or removes, with `remove`) a taint `key=value:effect`.
    Taint {
        node: Name,
        key: String,
        value: String,
        effect: String,
        remove: bool,
    },
    /// Server-side apply with field manager `covet-tui`.
    Apply {
        manifest: Value,
        force: bool,
    },
    /// A Secret of type kubernetes.io/dockerconfigjson. The token is never part of the action: the hand
    /// takes it from the environment variable named here at the moment it acts.
    PullSecret {
        secret: Key,
        registry: String,
        username: String,
        token_env: String,
    },
    /// Puts a Secret's data back as it was before a pull secret was written over it; where there was none, deletes
    /// it. The data stays in the memory of the session that wrote: `kept` only names it.
    RestoreSecret {
        secret: Key,
        kept: Option<u64>,
    },
    /// Adds a pull secret to a Deployment's template.
    ReferencePullSecret {
        deployment: Key,
        secret: Name,
    },
    /// Of a Deployment, StatefulSet or DaemonSet.
    SetImage {
        object: ObjectRef,
        images: Vec<ImageChange>,
    },
    /// Of a Deployment, StatefulSet or DaemonSet.
    SetResources {
        object: ObjectRef,
        container: Name,
        change: ResourceChange,
    },
    /// The work of a Job once more, by a new Job: of a CronJob's template, as `kubectl create job --from` makes it, or
    /// a copy of a Job that nobody owns.
    RunJobAgain {
        from: ObjectRef,
        /// Of the new Job; a preview chooses one.
        name: Option<Name>,
    },
    /// Takes away a Job that was run again, and its pods, while it runs.
    DeleteJob {
        job: Key,
        uid: Name,
    },
    /// Keys of a ConfigMap: Some sets, None removes.
    SetConfig {
        config_map: Key,
        data: Vec<(String, Option<String>)>,
    },
    /// `argv` in a container, no shell, no terminal.
    Exec {
        pod: Key,
        container: Name,
        argv: Vec<String>,
    },
    /// Merge patch on the `status` subresource.
    PatchStatus {
        object: ObjectRef,
        body: Value,
    },
    DeleteNode {
        node: Name,
    },

    // Other systems.
    Postgres(Sql),
    Redis(RedisCommand),
    /// Prometheus and Alertmanager.
    Alerting(Alerting),
    Aws(AwsCall),
    /// A command on a node's machine.
    Machine(OnMachine),
    /// TLS, DNS, HTTP and registries, as anybody on the network sees them.
    Network(NetworkProbe),
    /// A script of the team's own.
    Script(Script),

    /// An action on a system this build has no hands for yet; always blocked as "not configured".
    Elsewhere {
        system: System,
        operation: String,
        effect: Effect,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchKind {
    Strategic,
    Merge,
    Json,
}

/// A pod, pinned by uid: a pod of the same name that came later is not meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodTarget {
    pub key: Key,
    pub uid: Name,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrainOptions {
    /// Evict pods with emptyDir volumes, whose data is lost.
    pub delete_empty_dir: bool,
    /// Delete pods that no controller will recreate.
    pub force: bool,
    pub timeout: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageChange {
    pub container: Name,
    pub image: String,
}

/// New requests and limits as Kubernetes quantities; None leaves one as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ResourceChange {
    pub cpu_request: Option<String>,
    pub cpu_limit: Option<String>,
    pub memory_request: Option<String>,
    pub memory_limit: Option<String>,
}

impl Action {
    /// Fixed by the type, never by a playbook's author.
    pub fn effect(&self) -> Effect {
        match self {
            Action::ListPods { .. }
            | Action::ListNodes
            | Action::ListReplicaSets { .. }
            | Action::ListEvents { .. }
            | Action::Describe { .. }
            | Action::Logs { .. }
            | Action::LoginFailures { .. }
            | Action::PodUsage { .. }
            | Action::NodeUsage
            | Action::NodeAllocation { .. }
            | Action::CheckConfigMaps { .. }
            | Action::CheckSecrets { .. }
            | Action::ListExternalSecrets { .. }
            | Action::CompareRevisions { .. }
            | Action::RolloutStatus { .. }
            | Action::CheckPullSecrets { .. }
            | Action::NodeLease { .. }
            | Action::NodeDisk { .. }
            | Action::NodeEvents { .. } => Effect::Read,
            Action::Cordon { .. }
            | Action::Uncordon { .. }
            | Action::Annotate { .. }
            | Action::Label { .. }
            | Action::SetConfig { .. }
            | Action::PullSecret { .. }
            | Action::PatchStatus { .. }
            | Action::RunJobAgain { .. }
            | Action::RolloutPause { .. }
            | Action::RolloutResume { .. } => Effect::Change,
            Action::Scale { .. }
            | Action::AutoscalerBounds { .. }
            | Action::Patch { .. }
            | Action::RolloutRestart { .. }
            | Action::DenyAtIngress { .. }
            | Action::RolloutUndo { .. }
            | Action::DeletePods { .. }
            | Action::DeleteJob { .. }
            | Action::Evict { .. }
            | Action::Taint { .. }
            | Action::Apply { .. }
            | Action::RestoreSecret { .. }
            | Action::ReferencePullSecret { .. }
            | Action::SetImage { .. }
            | Action::SetResources { .. }
            | Action::Exec { .. } => Effect::Disruptive,
            Action::Drain { options, .. } if options.delete_empty_dir || options.force => Effect::Destructive,
            Action::Drain { .. } => Effect::Disruptive,
            Action::DeleteNode { .. } => Effect::Destructive,
            Action::Postgres(sql) => sql.effect(),
            Action::Redis(command) => command.effect(),
            Action::Alerting(call) => call.effect(),
            Action::Aws(call) => call.effect(),
            Action::Machine(command) => command.effect(),
            Action::Network(probe) => probe.effect(),
            Action::Script(script) => script.effect(),
            Action::Elsewhere { effect, .. } => *effect,
        }
    }
}
