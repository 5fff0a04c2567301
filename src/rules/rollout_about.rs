//! What a rollout that does not get on is about: the objects it touches, and what its playbook fills in.

use crate::domain::{Deployment, IntOrPercent, Kind, ObjectRef, Pod, ReplicaSet, Strategy};

use super::Scene;
use super::rollout_cause::Obstacle;
use super::workload::{Bindings, describe_deployment, service};

pub(super) fn touches(
    deployment: &Deployment,
    newest: Option<&ReplicaSet>,
    unready: &[&Pod],
) -> Vec<ObjectRef> {
    let mut touches = vec![ObjectRef::new(Kind::Deployment, deployment.key.clone())];
    touches.extend(newest.map(|set| ObjectRef::new(Kind::ReplicaSet, set.key.clone())));
    touches.extend(unready.iter().map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone())));
    touches.sort();
    touches
}

pub(super) fn bindings(
    scene: &Scene<'_>,
    deployment: &Deployment,
    newest: Option<&ReplicaSet>,
    unready: &[&Pod],
    obstacle: Option<&Obstacle>,
) -> Bindings {
    let mut bindings = Bindings::from([
        ("namespace", deployment.key.namespace.to_string()),
        ("deployment", deployment.key.name.to_string()),
        ("workload", format!("deployment/{}", deployment.key.name)),
        ("workload_kind", "Deployment".to_owned()),
        ("workload_name", deployment.key.name.to_string()),
        ("updated", deployment.updated.to_string()),
        ("available", deployment.available.to_string()),
        ("progress_deadline", deployment.progress_deadline_seconds.to_string()),
    ]);
    describe_deployment(scene, deployment, &mut bindings);
    if let Strategy::RollingUpdate { max_surge, max_unavailable } = deployment.strategy {
        bindings.insert("max_surge", as_written(max_surge));
        bindings.insert("max_unavailable", as_written(max_unavailable));
    }
    if let Some(set) = newest {
        bindings.insert("replica_set", set.key.name.to_string());
        bindings.extend(set.template_hash.as_ref().map(|hash| ("rollout", hash.to_string())));
    }
    if let Some(container) = deployment.template.containers.first() {
        bindings.insert("container", container.name.to_string());
        bindings.insert("image", container.image.to_string());
    }
    let names: Vec<&str> = unready.iter().take(20).map(|pod| &*pod.key.name).collect();
    if let Some(first) = unready.first() {
        bindings.insert("pod", first.key.name.to_string());
        bindings.insert("unready_pods", names.join(","));
        bindings.extend(service(scene, first));
    }
    if let Some(obstacle) = obstacle {
        bindings.extend(obstacle.bindings.clone());
        if let Some((pod, container)) = &obstacle.pod {
            bindings.insert("pod", pod.key.name.to_string());
            bindings.extend(container.clone().map(|name| ("container", name)));
            let node = scene.snapshot.pods.get(&pod.key).and_then(|pod| pod.node.clone());
            bindings.extend(node.map(|node| ("node", node.to_string())));
        }
    }
    bindings
}

fn as_written(value: IntOrPercent) -> String {
    match value {
        IntOrPercent::Int(count) => count.to_string(),
        IntOrPercent::Percent(percent) => format!("{percent}%"),
    }
}
