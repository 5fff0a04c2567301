//! The horizontal pod autoscaler (v2): replicas from CPU utilisation, within its bounds.
//! It knows usage by pod as metrics.k8s.io would tell it, not where load comes from.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, Work, later};
use super::conditions::{self, Shown};
use super::events::{About, Source};
use super::objects::{Deployment, Hpa, Pod};
use super::shelf::Key;
use crate::lab::store::seconds;

/// Seconds between looks, width of the dead band, and for how long a higher wish holds back a scale-down:
/// the defaults of kube-controller-manager.
const PERIOD: f64 = 15.0;
const TOLERANCE: f64 = 0.1;
const STABILISATION: f64 = 300.0;

#[derive(Default)]
pub struct Autoscaler {
    /// Recent wishes, for stabilisation.
    wishes: HashMap<Key, Vec<(Timestamp, i32)>>,
    looked: HashMap<Key, Timestamp>,
}

/// What is known about the scaled pods.
struct Measured {
    current: i32,
    /// Mean CPU of ready pods in percent of their request.
    utilisation: Option<f64>,
    average: f64,
    ready: i32,
    unready: i32,
}

impl Autoscaler {
    /// `usage` is cores by pod.
    pub fn reconcile(&mut self, cluster: &mut Cluster, key: &Key, usage: &HashMap<Key, f64>) {
        let Some(hpa) = cluster.hpas.get(key) else { return };
        let target = Key::new(&key.namespace, &hpa.spec.scale_target_ref.name);
        let Some(deployment) = cluster.deployments.get(&target) else { return };
        let measured = measure(cluster, &deployment, usage);
        let due = self.looked.get(key).map(|at| later(*at, cluster.lasting(PERIOD)));
        if let Some(due) = due.filter(|due| *due > cluster.now) {
            cluster.enqueue_at(due, Work::Hpa(key.clone()));
            return;
        }
        self.looked.insert(key.clone(), cluster.now);
        cluster.enqueue_in(PERIOD, Work::Hpa(key.clone()));
        let current = deployment.spec.replicas.unwrap_or(1);
        if current == 0 {
            let disabled = [(
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero".to_owned(),
            )];
            return report(cluster, &hpa, &measured, 0, &disabled, false);
        }
        self.decide(cluster, &hpa, &target, &measured, current);
    }

    fn decide(&mut self, cluster: &mut Cluster, hpa: &Hpa, target: &Key, measured: &Measured, current: i32) {
        let goal = hpa.spec.metrics.iter().find_map(|metric| metric.resource.target.average_utilization);
        let (least, most) = (hpa.spec.min_replicas.unwrap_or(1), hpa.spec.max_replicas);
        let Some((utilisation, goal)) = measured.utilisation.zip(goal) else {
            let unknown = [(
                "ScalingActive",
                "False",
                "FailedGetResourceMetric",
                "the HPA was unable to compute the replica count: failed to get cpu utilization: no metrics returned from resource metrics API".to_owned(),
            )];
            let bounded = current.clamp(least, most);
            if bounded != current {
                resize(
                    cluster,
                    hpa,
                    target,
                    current,
                    bounded,
                    "Current number of replicas outside of bounds",
                );
            }
            return report(cluster, hpa, measured, bounded, &unknown, bounded != current);
        };
        let wish = wish(measured, utilisation, f64::from(goal), current);
        let steady = self.stabilise(cluster, &Key::of(hpa), wish, current);
        let wanted = steady.min((2 * current).max(4)).clamp(least, most);
        let limited = if steady > most {
            ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
        } else if steady < least {
            ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
        } else {
            ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
        };
        if wanted != current {
            let reason = if current < least || current > most {
                "Current number of replicas outside of bounds"
            } else if wanted > current {
                "cpu resource utilization (percentage of request) above target"
            } else {
                "All metrics below target"
            };
            resize(cluster, hpa, target, current, wanted, reason);
        }
        let able = if steady == wish {
            ("ReadyForNewScale", "recommended size matches current size".to_owned())
        } else {
            ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation".to_owned())
        };
        let active = "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)";
        let shown = [
            ("AbleToScale", "True", able.0, able.1),
            ("ScalingActive", "True", "ValidMetricFound", active.to_owned()),
            ("ScalingLimited", limited.0, limited.1, limited.2.to_owned()),
        ];
        report(cluster, hpa, measured, wanted, &shown, wanted != current);
    }

    /// Growth is at once; shrinking waits until no recent wish was higher.
    fn stabilise(&mut self, cluster: &Cluster, key: &Key, wish: i32, current: i32) -> i32 {
        let wishes = self.wishes.entry(key.clone()).or_default();
        let oldest = later(cluster.now, -cluster.lasting(STABILISATION));
        wishes.retain(|(at, _)| *at >= oldest);
        if wishes.is_empty() {
            wishes.push((cluster.now, current));
        }
        wishes.push((cluster.now, wish));
        let highest = wishes.iter().map(|(_, wish)| *wish).max().unwrap_or(wish);
        if wish >= current { wish } else { highest.min(current) }
    }
}

fn wish(measured: &Measured, utilisation: f64, goal: f64, current: i32) -> i32 {
    let ratio = utilisation / goal;
    if (ratio - 1.0).abs() <= TOLERANCE {
        return current;
    }
    let (ready, unready) = (f64::from(measured.ready), f64::from(measured.unready));
    if measured.unready == 0 || ratio < 1.0 {
        return (ratio * ready.max(1.0)).ceil() as i32;
    }
    // pods that are not ready yet count as idle when the wish is to grow
    let damped = utilisation * ready / (ready + unready) / goal;
    if damped <= 1.0 + TOLERANCE { current } else { (damped * (ready + unready)).ceil() as i32 }
}

fn measure(cluster: &Cluster, deployment: &Deployment, usage: &HashMap<Key, f64>) -> Measured {
    let pods: Vec<Arc<Pod>> = cluster
        .pods
        .within(&deployment.metadata.namespace)
        .filter(|(_, pod)| pod.is_active() && deployment.spec.selector.matches(&pod.metadata.labels))
        .map(|(_, pod)| pod.clone())
        .collect();
    let ready: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pod.is_ready()).collect();
    let used: f64 = ready.iter().filter_map(|pod| usage.get(&Key::of(&***pod))).sum();
    let asked: f64 = ready.iter().map(|pod| pod.requests("cpu")).sum();
    Measured {
        current: deployment.status.replicas,
        utilisation: (asked > 0.0).then(|| used / asked * 100.0),
        average: used / (ready.len().max(1) as f64),
        ready: ready.len() as i32,
        unready: (pods.len() - ready.len()) as i32,
    }
}

fn resize(cluster: &mut Cluster, hpa: &Hpa, target: &Key, from: i32, to: i32, reason: &str) {
    cluster.update::<Deployment>(target, |deployment| deployment["spec"]["replicas"] = to.into());
    let message = format!("New size: {to}; reason: {reason}");
    let about = About::new("horizontalpodautoscalers", &hpa.metadata);
    cluster.normal(about, Source::of("horizontal-pod-autoscaler"), "SuccessfulRescale", &message);
    debug_assert_ne!(from, to);
}

fn report(
    cluster: &mut Cluster,
    hpa: &Hpa,
    measured: &Measured,
    wanted: i32,
    shown: &[(&str, &str, &str, String)],
    rescaled: bool,
) {
    let at = seconds(cluster.now);
    cluster.update::<Hpa>(&Key::of(hpa), |hpa| {
        let generation = hpa["metadata"]["generation"].clone();
        if !hpa["status"].is_object() {
            hpa["status"] = json!({});
        }
        let status = &mut hpa["status"];
        if !generation.is_null() {
            status["observedGeneration"] = generation;
        }
        status["currentReplicas"] = measured.current.into();
        status["desiredReplicas"] = wanted.into();
        if rescaled {
            status["lastScaleTime"] = at.clone().into();
        }
        status["currentMetrics"] = metrics(measured);
        for (kind, holds, reason, message) in shown {
            conditions::put(status, &Shown { kind, status: holds, reason, message }, &at);
        }
    });
}

fn metrics(measured: &Measured) -> Value {
    match measured.utilisation {
        None => Value::Null,
        Some(utilisation) => json!([{ "type": "Resource", "resource": { "name": "cpu", "current": {
            "averageUtilization": utilisation.round() as i64,
            "averageValue": format!("{}m", (measured.average * 1000.0).round() as i64),
        } } }]),
    }
}
