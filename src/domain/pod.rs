//! A pod, slim: only the fields that rules and panels use.

use std::time::Duration;

use super::{Key, Labels, Name, Timestamp, between};

/// A pod as the API server last told it.
#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub labels: Labels,
    /// The controller that owns it, if any.
    pub owner: Option<Owner>,
    pub created: Timestamp,
    /// `metadata.deletionTimestamp`: the pod is being deleted.
    pub deleting: Option<Timestamp>,
    /// `metadata.finalizers`: each has to be taken off by whoever set it before the pod goes.
    pub finalizers: Box<[Name]>,
    /// `spec.nodeName`, once scheduled.
    pub node: Option<Name>,
    pub phase: Phase,
    /// `status.reason`, e.g. `Evicted`, `NodeLost`.
    pub reason: Option<Name>,
    pub message: Option<Name>,
    pub conditions: Box<[Condition]>,
    /// Init containers first, then containers, in the order of the spec.
    pub containers: Box<[Container]>,
    /// Has an `emptyDir` volume, whose data a drain destroys.
    pub has_empty_dir: bool,
    /// Static (mirror) pods cannot be evicted.
    pub is_mirror: bool,
    /// Claims of its persistent volumes.
    pub claims: Box<[Name]>,
    pub priority_class: Option<Name>,
}

/// `metadata.ownerReferences` entry with `controller: true`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Owner {
    /// As written, because owners can be of kinds we don't know.
    pub kind: Name,
    pub name: Name,
    pub uid: Name,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// A condition's status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Status {
    True,
    False,
    #[default]
    Unknown,
}

/// A status condition of any object.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// `type`, e.g. `Ready`, `PodScheduled`, `Progressing`.
    pub kind: Name,
    pub status: Status,
    pub reason: Option<Name>,
    pub message: Option<Name>,
    /// `lastTransitionTime`.
    pub since: Option<Timestamp>,
}

/// Requests or limits of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quantities {
    /// Thousandths of a core.
    pub cpu_milli: Option<u64>,
    pub memory_bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Container {
    pub name: Name,
    pub init: bool,
    pub image: Name,
    pub ready: bool,
    pub restarts: u32,
    pub state: ContainerState,
    /// `lastState.terminated`.
    pub last: Option<Terminated>,
    pub requests: Quantities,
    pub limits: Quantities,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub enum ContainerState {
    Waiting {
        reason: Name,
        message: Option<Name>,
    },
    Running {
        since: Option<Timestamp>,
    },
    Terminated(Terminated),
    /// No status yet.
    #[default]
    Unreported,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Terminated {
    /// `Error`, `OOMKilled`, `Completed`, `StartError`, …
    pub reason: Name,
    pub exit_code: i32,
    pub signal: Option<i32>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub message: Option<Name>,
}

impl Terminated {
    /// How long the container lived.
    pub fn lived(&self) -> Option<Duration> {
        Some(between(self.started?, self.finished?))
    }

    /// How it ended, after the verb: `OOMKilled (137)`, `with exit 1` where the runtime names no reason.
    pub fn how(&self) -> String {
        match &*self.reason {
            "" => format!("with exit {}", self.exit_code),
            reason => format!("{reason} ({})", self.exit_code),
        }
    }
}

impl Container {
    /// `state.waiting.reason`, if it waits.
    pub fn waiting(&self) -> Option<&Name> {
        match &self.state {
            ContainerState::Waiting { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// `state.waiting.message`, if it waits and says why.
    pub fn waiting_message(&self) -> Option<&Name> {
        match &self.state {
            ContainerState::Waiting { message, .. } => message.as_ref(),
            _ => None,
        }
    }

    /// Whether its last run was killed at its memory limit.
    pub fn was_out_of_memory(&self) -> bool {
        self.termination().is_some_and(|end| &*end.reason == "OOMKilled")
    }

    /// The latest termination: of the present state, else the last one.
    pub fn termination(&self) -> Option<&Terminated> {
        match &self.state {
            ContainerState::Terminated(terminated) => Some(terminated),
            _ => self.last.as_ref(),
        }
    }
}

impl Pod {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| &*condition.kind == kind)
    }

    /// Condition `Ready` is True and the pod is not being deleted.
    pub fn is_ready(&self) -> bool {
        self.deleting.is_none()
            && self.condition("Ready").is_some_and(|condition| condition.status == Status::True)
    }

    /// Succeeded or failed: it holds no resources any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Restarts of all containers, as kubectl counts them.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().filter(|container| !container.init).map(|container| container.restarts).sum()
    }

    /// Owned by a controller of this kind (`ReplicaSet`, `Job`, …).
    pub fn is_owned_by(&self, kind: &str) -> bool {
        self.owner.as_ref().is_some_and(|owner| &*owner.kind == kind)
    }

    /// Label `pod-template-hash`: which revision of its Deployment it belongs to.
    pub fn template_hash(&self) -> Option<&Name> {
        self.labels.get("pod-template-hash")
    }

    /// The STATUS column of `kubectl get pods`.
    pub fn headline(&self) -> Name {
        if self.deleting.is_some() {
            return match self.reason.as_deref() {
                Some("NodeLost") => "Unknown".into(),
                _ => "Terminating".into(),
            };
        }
        if let Some(text) = self.init_headline() {
            return text;
        }
        let mut text = self.reason.clone().unwrap_or_else(|| self.phase.as_str().into());
        for container in self.containers.iter().rev().filter(|container| !container.init) {
            match &container.state {
                ContainerState::Waiting { reason, .. } if !reason.is_empty() => text = reason.clone(),
                ContainerState::Terminated(terminated) if !terminated.reason.is_empty() => {
                    text = terminated.reason.clone();
                }
                _ => {}
            }
        }
        text
    }

    fn init_headline(&self) -> Option<Name> {
        let total = self.containers.iter().filter(|container| container.init).count();
        let done = |container: &Container| {
            container.ready
                || matches!(&container.state, ContainerState::Terminated(terminated) if terminated.exit_code == 0)
        };
        let (index, stuck) =
            self.containers.iter().filter(|container| container.init).enumerate().find(|(_, c)| !done(c))?;
        Some(match &stuck.state {
            ContainerState::Waiting { reason, .. } if &**reason != "PodInitializing" => {
                format!("Init:{reason}").into()
            }
            ContainerState::Terminated(terminated) => format!("Init:{}", terminated.reason).into(),
            _ => format!("Init:{index}/{total}").into(),
        })
    }
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        }
    }
}
