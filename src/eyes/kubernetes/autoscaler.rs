//! HorizontalPodAutoscalers (autoscaling/v2) on the wire, and the slim value made of them.

use serde::Deserialize;

use super::names::Names;
use super::wire::{ConditionWire, Meta, Scalar, conditions, count, time};
use crate::domain::{Autoscaler, MetricReading, Name};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct AutoscalerWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<StatusWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Option<TargetRef>,
    min_replicas: Option<i64>,
    max_replicas: Option<i64>,
    metrics: Option<Vec<Metric>>,
}

#[derive(Deserialize, Debug, Default)]
struct TargetRef {
    kind: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    current_replicas: Option<i64>,
    desired_replicas: Option<i64>,
    last_scale_time: Option<String>,
    current_metrics: Option<Vec<Metric>>,
    conditions: Option<Vec<ConditionWire>>,
}

/// A metric's specification and its reading have the same shape, `target` and `current` apart.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Metric {
    resource: Option<Source>,
    container_resource: Option<Source>,
    pods: Option<Source>,
    object: Option<Source>,
    external: Option<Source>,
}

#[derive(Deserialize, Debug, Default)]
struct Source {
    name: Option<String>,
    metric: Option<MetricName>,
    #[serde(alias = "current")]
    target: Option<Amount>,
}

#[derive(Deserialize, Debug, Default)]
struct MetricName {
    name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Amount {
    average_utilization: Option<i64>,
    average_value: Option<Scalar>,
    value: Option<Scalar>,
}

pub(in crate::eyes) fn read(wire: AutoscalerWire, names: &mut Names) -> Option<Autoscaler> {
    let AutoscalerWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let target = spec.scale_target_ref.unwrap_or_default();
    let current = status.current_metrics.unwrap_or_default();
    Some(Autoscaler {
        key: metadata.key(names)?,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        created: metadata.created(),
        edited: metadata.edited(names),
        target_kind: names.shared(target.kind.as_deref().unwrap_or_default()),
        target: names.shared(target.name.as_deref().unwrap_or_default()),
        min: count(Some(spec.min_replicas.unwrap_or(1))),
        max: count(spec.max_replicas),
        current: count(status.current_replicas),
        desired: count(status.desired_replicas),
        last_scaled: time(status.last_scale_time.as_ref()),
        metrics: spec
            .metrics
            .iter()
            .flatten()
            .filter_map(|metric| reading(metric, &current, names))
            .collect(),
        conditions: conditions(status.conditions.as_ref(), names),
    })
}

impl Metric {
    fn source(&self) -> Option<(&'static str, &Source)> {
        let kinds = [
            ("resource", &self.resource),
            ("containerResource", &self.container_resource),
            ("pods", &self.pods),
            ("object", &self.object),
            ("external", &self.external),
        ];
        kinds.into_iter().find_map(|(kind, source)| Some((kind, source.as_ref()?)))
    }
}

impl Source {
    fn metric_name(&self) -> Option<&String> {
        self.name.as_ref().or_else(|| self.metric.as_ref()?.name.as_ref())
    }
}

fn reading(metric: &Metric, current: &[Metric], names: &mut Names) -> Option<MetricReading> {
    let (kind, source) = metric.source()?;
    let name = source.metric_name()?;
    let now = current
        .iter()
        .filter_map(Metric::source)
        .find(|(other, found)| *other == kind && found.metric_name() == Some(name))
        .and_then(|(_, found)| found.target.as_ref());
    let target = source.target.as_ref();
    Some(MetricReading {
        name: names.shared(name),
        current: now.and_then(|now| in_unit_of(target, now)).map(|(text, _)| text),
        target: target.and_then(|target| in_unit_of(Some(target), target)).map(|(text, _)| text),
        ratio: ratio(target, now),
    })
}

fn ratio(target: Option<&Amount>, now: Option<&Amount>) -> Option<f64> {
    let (_, wanted) = in_unit_of(target, target?)?;
    let (_, found) = in_unit_of(target, now?)?;
    (wanted > 0.0).then(|| found / wanted)
}

/// The number of `value` that is comparable with what `target` asks for.
fn in_unit_of(target: Option<&Amount>, value: &Amount) -> Option<(Name, f64)> {
    let target = target.unwrap_or(value);
    if target.average_utilization.is_some() {
        let percent = value.average_utilization?;
        return Some((format!("{percent}%").into(), percent as f64));
    }
    let scalar = if target.average_value.is_some() { &value.average_value } else { &value.value };
    let scalar = scalar.as_ref()?;
    Some((super::names::own(&scalar.text()), scalar.number()?))
}
