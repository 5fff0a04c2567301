//! g3 disruption budgets and g9 the last ready replica or endpoint, for pods that are about to go.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Kind, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{is_owned_by, is_ready, labels, name, number, owner, selects, string, uid};
use crate::probes::trouble::Trouble;

/// The disruption budgets of a namespace.
pub(crate) async fn budgets(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>, Trouble> {
    cluster.list(Kind::PodDisruptionBudget, namespace, "", "").await
}

/// The budgets that forbid taking this pod now, in words with their numbers.
pub(crate) fn blockers(budgets: &[Value], pod: &Value) -> Vec<String> {
    budgets
        .iter()
        .filter(|budget| covers(budget, pod) && number(budget, "/status/disruptionsAllowed") == 0)
        .map(says)
        .collect()
}

fn covers(budget: &Value, pod: &Value) -> bool {
    string(budget, "/metadata/namespace") == string(pod, "/metadata/namespace")
        && selects(budget.pointer("/spec/selector"), labels(pod))
}

fn says(budget: &Value) -> String {
    let status = |field: &str| number(budget, &format!("/status/{field}"));
    let allowed = usize::try_from(status("disruptionsAllowed")).unwrap_or_default();
    format!(
        "PDB {} allows {} now ({} healthy, {} needed)",
        name(budget),
        text::count(allowed, "disruption"),
        status("currentHealthy"),
        status("desiredHealthy")
    )
}

/// What the budgets, owners and services of the victims have to say.
pub(super) async fn hazards(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let ready: Vec<&Value> = scene.victims.iter().filter(|pod| is_ready(pod)).collect();
    let mut namespaces: Vec<&str> = ready.iter().map(|pod| string(pod, "/metadata/namespace")).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut hazards = Vec::new();
    for namespace in namespaces {
        let going: Vec<&Value> =
            ready.iter().copied().filter(|pod| string(pod, "/metadata/namespace") == namespace).collect();
        hazards.extend(headroom(cluster, namespace, &going).await);
        hazards.extend(last_ones(cluster, namespace, &going, scene.victims).await);
    }
    hazards
}

/// g3. Taking a pod that isn't ready costs no budget, so only ready ones count.
async fn headroom(cluster: &Cluster, namespace: &str, going: &[&Value]) -> Vec<Hazard> {
    let budgets = match budgets(cluster, namespace).await {
        Ok(budgets) => budgets,
        Err(trouble) => return vec![blind(Guard::DisruptionBudget, "disruption budgets", &trouble)],
    };
    let mut hazards: Vec<Hazard> = Vec::new();
    for pod in going {
        let names: Vec<&str> = budgets.iter().filter(|budget| covers(budget, pod)).map(name).collect();
        if names.len() > 1 {
            let says = format!(
                "{} is covered by {}: the API server evicts no such pod",
                name(pod),
                names.join(" and ")
            );
            hazards.push(Hazard::warn(Guard::DisruptionBudget, says));
        }
    }
    let numbers = budgets.iter().filter_map(|budget| {
        let taken = going.iter().filter(|pod| covers(budget, pod)).count() as i64;
        let allowed = number(budget, "/status/disruptionsAllowed");
        match taken {
            0 => None,
            _ if allowed == 0 => Some(Hazard::warn(Guard::DisruptionBudget, says(budget))),
            _ if taken > allowed => Some(Hazard::warn(
                Guard::DisruptionBudget,
                format!("{}: {taken} pods must go one after the other", says(budget)),
            )),
            _ => Some(Hazard::note(Guard::DisruptionBudget, says(budget))),
        }
    });
    hazards.extend(numbers);
    hazards
}

/// g9.
async fn last_ones(cluster: &Cluster, namespace: &str, going: &[&Value], victims: &[Value]) -> Vec<Hazard> {
    let (pods, services) = tokio::join!(
        cluster.list(Kind::Pod, namespace, "", "status.phase=Running"),
        cluster.list(Kind::Service, namespace, "", "")
    );
    let pods = match pods {
        Ok(pods) => pods,
        Err(trouble) => return vec![blind(Guard::LastReplica, "other replicas", &trouble)],
    };
    let stays = |pod: &Value| is_ready(pod) && !victims.iter().any(|victim| uid(victim) == uid(pod));
    let mut words: Vec<String> = Vec::new();
    for pod in going {
        let Some(owner) = owner(pod) else { continue };
        let controller = string(owner, "/uid");
        let others = pods.iter().any(|other| stays(other) && is_owned_by(other, controller));
        if !others {
            let (kind, owner) = (string(owner, "/kind"), string(owner, "/name"));
            words.push(format!("{} is among the last ready pods of {kind} {owner}", name(pod)));
        }
    }
    for service in services.unwrap_or_default() {
        let selector = service.pointer("/spec/selector").cloned().unwrap_or_default();
        let selector = serde_json::json!({"matchLabels": selector});
        let serves = |pod: &Value| selects(Some(&selector), labels(pod));
        if going.iter().any(|pod| serves(pod)) && !pods.iter().any(|pod| stays(pod) && serves(pod)) {
            words.push(format!("service {} loses its last ready endpoint", name(&service)));
        }
    }
    words.sort();
    words.dedup();
    words.into_iter().map(|says| Hazard::warn(Guard::LastReplica, says)).collect()
}
