//! What each action is about: its target as typed to confirm it, its system, and its Kubernetes object.

use serde_json::Value;

use super::Action;
use crate::domain::{Key, Kind, Name, ObjectRef, System};

impl Action {
    /// What it acts on, as typed to confirm it: the object's bare name.
    pub fn target(&self) -> Option<Name> {
        match self {
            Action::Postgres(sql) => sql.target(),
            Action::Redis(command) => command.target(),
            Action::Alerting(call) => call.target(),
            Action::Aws(call) => call.target(),
            Action::Machine(command) => command.target(),
            Action::Network(_) => None,
            Action::Script(script) => script.target(),
            _ => self.object().map(|object| object.key.name),
        }
    }

    /// The system that has to be reached for it.
    pub fn system(&self) -> System {
        match self {
            Action::Postgres(_) => System::Postgres,
            Action::Redis(_) => System::Redis,
            Action::Alerting(call) => call.system(),
            Action::Aws(_) => System::Aws,
            Action::Machine(_) => System::Ssh,
            Action::Network(_) => System::Network,
            Action::Script(_) => System::Scripts,
            Action::Elsewhere { system, .. } => *system,
            _ => System::Kubernetes,
        }
    }

    /// The Kubernetes object it is about; the first one of several.
    pub fn object(&self) -> Option<ObjectRef> {
        let (kind, key) = match self {
            Action::Scale { object, .. }
            | Action::Patch { object, .. }
            | Action::RolloutRestart { object }
            | Action::RolloutUndo { object, .. }
            | Action::SetImage { object, .. }
            | Action::SetResources { object, .. }
            | Action::Annotate { object, .. }
            | Action::Label { object, .. }
            | Action::PatchStatus { object, .. }
            | Action::Describe { object }
            | Action::RolloutStatus { object, .. }
            | Action::CheckConfigMaps { object }
            | Action::CheckSecrets { object }
            | Action::CompareRevisions { object }
            | Action::ListEvents { about: object } => return Some(object.clone()),
            Action::RunJobAgain { from, .. } => return Some(from.clone()),
            Action::DeleteJob { job, .. } => (Kind::Job, job.clone()),
            Action::AutoscalerBounds { autoscaler, .. } => {
                (Kind::HorizontalPodAutoscaler, autoscaler.clone())
            }
            Action::DenyAtIngress { ingress, .. } => (Kind::Ingress, ingress.clone()),
            Action::RolloutPause { deployment }
            | Action::RolloutResume { deployment }
            | Action::ListReplicaSets { deployment }
            | Action::ReferencePullSecret { deployment, .. } => (Kind::Deployment, deployment.clone()),
            Action::PullSecret { secret, .. } | Action::RestoreSecret { secret, .. } => {
                (Kind::Secret, secret.clone())
            }
            Action::SetConfig { config_map, .. } => (Kind::ConfigMap, config_map.clone()),
            Action::CheckPullSecrets { pod } | Action::Exec { pod, .. } => (Kind::Pod, pod.clone()),
            Action::DeletePods { pods } => (Kind::Pod, pods.first()?.key.clone()),
            Action::Evict { pod } => (Kind::Pod, pod.key.clone()),
            Action::Logs { pods, .. } | Action::LoginFailures { pods, .. } => {
                (Kind::Pod, pods.first()?.clone())
            }
            Action::Cordon { node }
            | Action::Uncordon { node }
            | Action::Drain { node, .. }
            | Action::Taint { node, .. }
            | Action::DeleteNode { node }
            | Action::NodeLease { node }
            | Action::NodeDisk { node }
            | Action::NodeEvents { node } => (Kind::Node, Key::cluster(node.clone())),
            // What is done to its machine is done to the node.
            Action::Machine(command) => (Kind::Node, Key::cluster(command.node().clone())),
            Action::Apply { manifest, .. } => applied(manifest)?,
            Action::ListPods { .. }
            | Action::ListNodes
            | Action::PodUsage { .. }
            | Action::NodeUsage
            | Action::NodeAllocation { .. }
            | Action::ListExternalSecrets { .. }
            | Action::Postgres(_)
            | Action::Redis(_)
            | Action::Alerting(_)
            | Action::Aws(_)
            | Action::Network(_)
            | Action::Script(_)
            | Action::Elsewhere { .. } => return None,
        };
        Some(ObjectRef::new(kind, key))
    }
}

fn applied(manifest: &Value) -> Option<(Kind, Key)> {
    let text = |path| manifest.pointer(path).and_then(Value::as_str);
    let kind = Kind::parse(text("/kind")?)?;
    Some((kind, Key::new(text("/metadata/namespace").unwrap_or_default(), text("/metadata/name")?)))
}
