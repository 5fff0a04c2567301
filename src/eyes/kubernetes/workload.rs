//! Deployments, ReplicaSets and their templates on the wire, and the slim values made of them.

use serde::Deserialize;

use super::names::Names;
use super::template::{TemplateWire, template};
use super::wire::{ConditionWire, Meta, Scalar, SelectorWire, conditions, count, time};
use crate::domain::{Deployment, DisruptionBudget, IntOrPercent, ReplicaSet, Strategy, Timestamp};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct DeploymentWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<StatusWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    replicas: Option<i64>,
    selector: Option<SelectorWire>,
    strategy: Option<StrategyWire>,
    paused: Option<bool>,
    progress_deadline_seconds: Option<i64>,
    min_ready_seconds: Option<i64>,
    template: Option<TemplateWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StrategyWire {
    #[serde(rename = "type")]
    kind: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    max_surge: Option<Scalar>,
    max_unavailable: Option<Scalar>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    observed_generation: Option<i64>,
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    available_replicas: Option<i64>,
    conditions: Option<Vec<ConditionWire>>,
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ReplicaSetWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<StatusWire>,
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct BudgetWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<BudgetSpec>,
    status: Option<BudgetStatus>,
}

#[derive(Deserialize, Debug, Default)]
struct BudgetSpec {
    selector: Option<SelectorWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct BudgetStatus {
    disruptions_allowed: Option<i64>,
    current_healthy: Option<i64>,
    desired_healthy: Option<i64>,
    expected_pods: Option<i64>,
}

pub(in crate::eyes) fn deployment(wire: DeploymentWire, names: &mut Names) -> Option<Deployment> {
    let DeploymentWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let key = metadata.key(names)?;
    Some(Deployment {
        uid: metadata.uid(),
        resource_version: metadata.version(),
        labels: names.labels(metadata.labels.as_ref()),
        created: metadata.created(),
        generation: metadata.generation.unwrap_or_default(),
        written: metadata.written(),
        revision: metadata.revision(),
        keeper: metadata.keeper(names),
        replicas: count(Some(spec.replicas.unwrap_or(1))),
        selector: names.selector(spec.selector.as_ref()),
        strategy: strategy(spec.strategy),
        paused: spec.paused == Some(true),
        progress_deadline_seconds: count(Some(spec.progress_deadline_seconds.unwrap_or(600))),
        min_ready_seconds: count(spec.min_ready_seconds),
        template: template(spec.template, &key, names),
        // Who counted its replicas saw it, also where nobody wrote down what was seen.
        observed_generation: status
            .observed_generation
            .or(status.replicas.and(metadata.generation))
            .unwrap_or_default(),
        status_replicas: count(status.replicas),
        updated: count(status.updated_replicas),
        ready: count(status.ready_replicas),
        available: count(status.available_replicas),
        progressed: progressed(status.conditions.as_deref().unwrap_or_default()),
        conditions: conditions(status.conditions.as_ref(), names),
        key,
    })
}

fn progressed(conditions: &[ConditionWire]) -> Option<Timestamp> {
    let progressing = conditions.iter().find(|row| row.kind.as_deref() == Some("Progressing"))?;
    // That the deadline has passed is written there too, and is no progress.
    let exceeded = progressing.reason.as_deref() == Some("ProgressDeadlineExceeded");
    time(progressing.last_update_time.as_ref()).filter(|_| !exceeded)
}

pub(in crate::eyes) fn replica_set(wire: ReplicaSetWire, names: &mut Names) -> Option<ReplicaSet> {
    let ReplicaSetWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let key = metadata.key(names)?;
    let labels = names.labels(metadata.labels.as_ref());
    let cause = metadata.annotations.as_ref().and_then(|known| known.change_cause.as_ref());
    Some(ReplicaSet {
        uid: metadata.uid(),
        resource_version: metadata.version(),
        owner: metadata.owner(names),
        created: metadata.created(),
        revision: metadata.revision(),
        earlier_revisions: metadata.earlier_revisions(),
        template_hash: labels.get("pod-template-hash").cloned(),
        change_cause: super::names::maybe_says(cause),
        replicas: count(Some(spec.replicas.unwrap_or(1))),
        ready: count(status.ready_replicas),
        available: count(status.available_replicas),
        conditions: conditions(status.conditions.as_ref(), names),
        template: template(spec.template, &key, names),
        key,
    })
}

pub(in crate::eyes) fn budget(wire: BudgetWire, names: &mut Names) -> Option<DisruptionBudget> {
    let status = wire.status.unwrap_or_default();
    Some(DisruptionBudget {
        key: wire.metadata.key(names)?,
        selector: names.selector(wire.spec.and_then(|spec| spec.selector).as_ref()),
        allowed: count(status.disruptions_allowed),
        healthy: count(status.current_healthy),
        desired_healthy: count(status.desired_healthy),
        expected: count(status.expected_pods),
    })
}

/// Kubernetes' default is a rolling update by quarters.
fn strategy(raw: Option<StrategyWire>) -> Strategy {
    let raw = raw.unwrap_or_default();
    if raw.kind.as_deref() == Some("Recreate") {
        return Strategy::Recreate;
    }
    let rolling = raw.rolling_update.unwrap_or_default();
    Strategy::RollingUpdate {
        max_surge: int_or_percent(rolling.max_surge.as_ref()),
        max_unavailable: int_or_percent(rolling.max_unavailable.as_ref()),
    }
}

fn int_or_percent(raw: Option<&Scalar>) -> IntOrPercent {
    match raw {
        Some(Scalar::Whole(whole)) => IntOrPercent::Int(count(Some(*whole))),
        Some(Scalar::Text(text)) => match text.strip_suffix('%') {
            Some(percent) => IntOrPercent::Percent(percent.parse().unwrap_or(25)),
            None => text.parse().map_or(IntOrPercent::Percent(25), IntOrPercent::Int),
        },
        Some(Scalar::Real(_)) | None => IntOrPercent::Percent(25),
    }
}
