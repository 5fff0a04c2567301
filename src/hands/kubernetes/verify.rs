//! Whether a change had its effect: seen by watching, not believed. Knows what each kind of change should
//! bring about.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::Hands;
use super::super::difference::{Regard, content};
use super::super::task::{Stopped, Task};
use super::watching;
use crate::domain::{Kind, ObjectRef};
use crate::probes::object::{flag, is_owned_by, is_ready, label, name, number, selector_query, string, uid};
use crate::probes::rollout::{Rollout, is_on_delete, rollout};

/// What should come of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    /// The object as it was written.
    Stored,
    /// No object any more.
    Gone,
    /// A complete rollout.
    Rollout,
    /// This many replicas, available.
    Replicas(i64),
}

/// What was seen of it.
pub(super) enum Seen {
    Yes(String),
    /// In words why not.
    No(String),
}

impl Proof {
    /// Read off the object before and after.
    pub(super) fn of(kind: Kind, before: Option<&Value>, after: &Value) -> Proof {
        if after.is_null() {
            return Proof::Gone;
        }
        let workload =
            matches!(kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicaSet);
        if !workload || flag(after, "/spec/paused") || is_on_delete(after) {
            return Proof::Stored;
        }
        let same =
            |pointer: &str| before.and_then(|before| before.pointer(pointer)) == after.pointer(pointer);
        if kind != Kind::ReplicaSet && !same("/spec/template") {
            return Proof::Rollout;
        }
        if same("/spec/replicas") { Proof::Stored } else { Proof::Replicas(number(after, "/spec/replicas")) }
    }
}

/// Watches until it is so, it cannot become so, or patience ends.
pub(super) async fn verify(
    hands: &Hands,
    object: &ObjectRef,
    proof: Proof,
    after: &Value,
    task: &mut Task,
) -> Seen {
    let patience = hands.patience.rollout;
    let deadline = Instant::now() + patience;
    let judge = |found: Option<&Value>, task: &mut Task| -> Option<Seen> {
        let Some(found) = found else {
            return Some(match proof {
                Proof::Gone => Seen::Yes("gone".into()),
                _ => Seen::No(format!("{object} is gone")),
            });
        };
        match proof {
            Proof::Stored => Some(Seen::Yes(String::new())),
            Proof::Gone => None,
            Proof::Rollout => match rollout(found) {
                Rollout::Done(says) => Some(Seen::Yes(format!("rolled out: {says}"))),
                Rollout::Stalled(says) => Some(Seen::No(format!("the rollout {says}"))),
                Rollout::Waiting(says) => {
                    task.say(says);
                    None
                }
            },
            Proof::Replicas(wanted) => replicas(found, wanted, task),
        }
    };
    if proof == Proof::Stored {
        return stored(hands, object, after).await;
    }
    let is_ordered = proof == Proof::Rollout && object.kind == Kind::StatefulSet;
    let mut waits_for: Option<String> = None;
    loop {
        let look = if is_ordered { deadline.min(Instant::now() + IN_ORDER) } else { deadline };
        match watching::object(&hands.cluster, object, task, look, judge).await {
            Ok(seen) => return seen,
            Err(Stopped::TimedOut) if Instant::now() < deadline => {
                let behind = left_behind(hands, object).await;
                // One look may have caught it on its way.
                if let Some(pod) = behind.as_ref().filter(|pod| waits_for.as_ref() == Some(*pod)) {
                    return Seen::No(format!(
                        "the rollout waits for {pod}, which is of an older revision and not ready: delete it, the set goes on then"
                    ));
                }
                waits_for = behind;
            }
            Err(stopped) => {
                return Seen::No(format!("its effect was not seen ({})", stopped.says(patience)));
            }
        }
    }
}

/// How often a rollout in order is looked at for what holds it.
const IN_ORDER: Duration = Duration::from_secs(10);

/// The pod that a StatefulSet waits for although it would only replace it (kubernetes/kubernetes#67250).
async fn left_behind(hands: &Hands, object: &ObjectRef) -> Option<String> {
    let set = hands.cluster.get(object).await.ok()?;
    if string(&set, "/spec/podManagementPolicy") == "Parallel" {
        return None;
    }
    let newest = string(&set, "/status/updateRevision");
    let its = selector_query(set.pointer("/spec/selector").unwrap_or(&Value::Null));
    let pods = hands.cluster.list(Kind::Pod, &object.key.namespace, &its, "").await.ok()?;
    let is_behind = |pod: &&Value| {
        is_owned_by(pod, uid(&set))
            && pod.pointer("/metadata/deletionTimestamp").is_none()
            && label(pod, "controller-revision-hash") != Some(newest)
            && !is_ready(pod)
    };
    pods.iter().find(is_behind).map(|pod| name(pod).to_owned())
}

/// A second read: what a controller or GitOps makes of it at once is seen.
async fn stored(hands: &Hands, object: &ObjectRef, after: &Value) -> Seen {
    match hands.cluster.get(object).await {
        Ok(found) if content(&found, Regard::SPEC) == content(after, Regard::SPEC) => {
            Seen::Yes("read back".into())
        }
        Ok(_) => Seen::No("it reads differently already: somebody changed it right after us".into()),
        Err(trouble) => Seen::No(format!("it could not be read back: {trouble}")),
    }
}

fn replicas(found: &Value, wanted: i64, task: &mut Task) -> Option<Seen> {
    let spec = number(found, "/spec/replicas");
    if spec != wanted {
        return Some(Seen::No(format!(
            "somebody set it to {spec} replicas meanwhile: look for an autoscaler"
        )));
    }
    if number(found, "/status/observedGeneration") < number(found, "/metadata/generation") {
        return None;
    }
    // StatefulSets of before 1.22 report no availableReplicas.
    let field = if found.pointer("/status/availableReplicas").is_some() { "available" } else { "ready" };
    let available = number(found, &format!("/status/{field}Replicas"));
    let present = number(found, "/status/replicas");
    if available >= wanted && present == wanted {
        return Some(Seen::Yes(match wanted {
            0 => "no replicas are left".into(),
            _ => format!("{wanted} of {wanted} replicas available"),
        }));
    }
    task.say(if present > wanted {
        format!("{} replicas still to go", present - wanted)
    } else {
        format!("{available} of {wanted} replicas available")
    });
    None
}
