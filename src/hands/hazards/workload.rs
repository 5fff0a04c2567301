//! g1 autoscalers, g5 rollouts in flight, g9 outages by scaling to nothing, g10 evidence that goes.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Action, Kind, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{flag, is_ready, items, label, name, number, restarts, selector_query, string};
use crate::probes::references;
use crate::probes::rollout::{Rollout, is_on_delete, rollout};

/// Most pods whose evidence is worth looking for before a change of a workload.
const PODS: usize = 500;

/// g1: an HPA (or KEDA through one) owns the replicas.
pub(super) async fn autoscaler(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    if scene.object.kind == Kind::HorizontalPodAutoscaler {
        return scene.before.and_then(keda).map(|scaled| {
            let says = format!("KEDA's {scaled} owns this HPA and will set its bounds back");
            Hazard::warn(Guard::Autoscaler, says)
        });
    }
    let replicas = |object: Option<&Value>| object.and_then(|o| o.pointer("/spec/replicas")).cloned();
    if replicas(scene.before) == replicas(Some(scene.after)) {
        return None;
    }
    let namespace = &scene.object.key.namespace;
    let scalers = match cluster.list(Kind::HorizontalPodAutoscaler, namespace, "", "").await {
        Ok(scalers) => scalers,
        Err(trouble) => return Some(blind(Guard::Autoscaler, "HPAs", &trouble)),
    };
    let scaler = scalers.iter().find(|scaler| {
        string(scaler, "/spec/scaleTargetRef/kind") == scene.object.kind.as_str()
            && string(scaler, "/spec/scaleTargetRef/name") == &*scene.object.key.name
    })?;
    let keda = keda(scaler);
    let scales_to_zero = keda.is_some();
    let owner = keda.unwrap_or_else(|| format!("HPA {}", name(scaler)));
    let min = scaler.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
    let max = number(scaler, "/spec/maxReplicas");
    let is_at_rest = scene.before.is_some_and(|before| number(before, "/spec/replicas") == 0);
    let says = match number(scene.after, "/spec/replicas") {
        _ if is_at_rest && !scales_to_zero => {
            let says = format!("{owner} ({min}–{max}) is switched off at 0, and takes over again from here");
            return Some(Hazard::note(Guard::Autoscaler, says));
        }
        0 => format!(
            "{owner} ({min}–{max}) owns the replicas; at 0 it is switched off until they are scaled up"
        ),
        _ => format!(
            "{owner} ({min}–{max}) owns the replicas and sets them back within 15 s: change its bounds"
        ),
    };
    Some(Hazard::warn(Guard::Autoscaler, says))
}

fn keda(scaler: &Value) -> Option<String> {
    let owner = items(scaler, "/metadata/ownerReferences")
        .iter()
        .find(|owner| string(owner, "/kind") == "ScaledObject")
        .map(|owner| string(owner, "/name"));
    owner.or_else(|| label(scaler, "scaledobject.keda.sh/name")).map(|name| format!("ScaledObject {name}"))
}

/// Its new pods would need what does not exist: charts and kustomizations take old ConfigMaps away with their revision.
pub(super) async fn lacks(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    if !changes_pods(scene) {
        return None;
    }
    let absent = references::absent(cluster, scene.after).await;
    let are = if absent.len() == 1 { "does not exist" } else { "do not exist" };
    let says = format!("{}, which its new pods need, {are}: they could not start", absent.join(", "));
    (!absent.is_empty()).then(|| Hazard::warn(Guard::Target, says))
}

/// Whether it is a workload whose pods will be made from another template.
fn changes_pods(scene: &Scene<'_>) -> bool {
    let template = |object: &Value| object.pointer("/spec/template").cloned();
    matches!(scene.object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet)
        && scene.before.and_then(template) != template(scene.after)
}

/// g5: paused, or another rollout on its way.
pub(super) fn rollout_in_flight(scene: &Scene) -> Option<Hazard> {
    let before = scene.before?;
    if !matches!(scene.object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet) {
        return None;
    }
    let changes_pods = changes_pods(scene);
    if flag(before, "/spec/paused") && changes_pods {
        let says = "its rollout is paused: no pod changes until it is resumed";
        return Some(Hazard::warn(Guard::Rollout, says));
    }
    let (Rollout::Waiting(says) | Rollout::Stalled(says)) = rollout(before) else { return None };
    let says = format!("a rollout is under way: {says}");
    // Going back while a rollout hangs is what going back is for.
    let expected = !changes_pods || matches!(scene.action, Action::RolloutUndo { .. });
    Some(if expected { Hazard::note(Guard::Rollout, says) } else { Hazard::warn(Guard::Rollout, says) })
}

/// g5: a StatefulSet that waits for each pod does not replace one that never became ready
/// (kubernetes/kubernetes#67250); with OnDelete it replaces none.
pub(super) fn held_back(scene: &Scene) -> Option<Hazard> {
    let before = scene.before?;
    if before.pointer("/spec/template") == scene.after.pointer("/spec/template") {
        return None;
    }
    if is_on_delete(scene.after) {
        let says = "its strategy is OnDelete: no pod changes until it is deleted";
        return Some(Hazard::warn(Guard::Rollout, says));
    }
    let partition = number(scene.after, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let says = format!("its partition is {partition}: pods with a lower number stay as they are");
        let all = partition >= number(scene.after, "/spec/replicas");
        let level = if all { Hazard::warn } else { Hazard::note };
        return Some(level(Guard::Rollout, says));
    }
    let missing = number(before, "/spec/replicas") - number(before, "/status/readyReplicas");
    let waits =
        scene.object.kind == Kind::StatefulSet && string(before, "/spec/podManagementPolicy") != "Parallel";
    (waits && missing > 0).then(|| {
        let says =
            "it replaces pods in order and waits for a pod that is not ready: delete that pod afterwards";
        Hazard::note(Guard::Rollout, says)
    })
}

/// g9: nothing will be left to answer.
pub(super) fn outage(scene: &Scene) -> Option<Hazard> {
    let before = scene.before?;
    let scaled_away = scene.after.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0)
        && number(before, "/spec/replicas") > 0;
    let ready = number(before, "/status/readyReplicas");
    (scaled_away && ready > 0).then(|| {
        let ready = text::count(ready as usize, "ready replica");
        Hazard::warn(Guard::LastReplica, format!("this is an outage: {ready} will go"))
    })
}

/// g10: previous logs of restarted containers die with their pods.
pub(super) async fn evidence(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let mut listed = Vec::new();
    let pods = if scene.victims.is_empty() {
        if !loses_pods(scene) {
            return None;
        }
        let selector = selector_query(scene.before?.pointer("/spec/selector")?);
        match cluster.list(Kind::Pod, &scene.object.key.namespace, &selector, "").await {
            Ok(pods) => listed.extend(pods.into_iter().take(PODS)),
            Err(trouble) => return Some(blind(Guard::Evidence, "logs that would be lost", &trouble)),
        }
        &listed
    } else {
        scene.victims
    };
    let crashed: Vec<_> = pods.iter().filter(|pod| restarts(pod) > 0 && !is_ready(pod)).map(name).collect();
    let first = crashed.first()?;
    let others = match crashed.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let says = format!("the previous log of {first}{others} goes with it: read it first if you have not");
    Some(Hazard::note(Guard::Evidence, says))
}

fn loses_pods(scene: &Scene) -> bool {
    let Some(before) = scene.before else { return false };
    matches!(scene.object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicaSet)
        && (before.pointer("/spec/template") != scene.after.pointer("/spec/template")
            || number(scene.after, "/spec/replicas") < number(before, "/spec/replicas"))
}
