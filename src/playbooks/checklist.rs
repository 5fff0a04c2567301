//! The follow-up checklist: what the cockpit can tick by itself from the Snapshot, and what only people know.

use crate::domain::{Strategy, TemplateContainer};

use super::shortfall::is_killed_for_memory;
use super::view::View;
use super::{ChecklistItem, FollowUp};

/// A check by its name in a playbook.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Check {
    /// Every container has requests and a memory limit.
    ResourcesSet,
    /// Every container has a readiness and a liveness probe.
    ProbesSet,
    /// An alert of this name is known to exist (seen at Alertmanager now).
    AlertSeen(String),
    /// Every image is pinned: a digest, or a tag other than `latest`.
    ImagesPinned,
    /// maxUnavailable keeps at least half of the replicas.
    StrategySafe,
    /// Usage of the containers is measured.
    UsageMeasured,
    /// A disruption budget covers the pods.
    BudgetExists,
    /// The node reports more conditions than the kubelet's own: a node-problem-detector runs.
    NodeProblemDetector,
    /// Something in the cluster replaces broken nodes (Karpenter or a cluster autoscaler).
    AutoRepair,
    /// cert-manager looks after the host's certificate.
    CertificateManaged,
}

impl Check {
    pub const NAMES: [&'static str; 10] = [
        "resources-set",
        "probes-set",
        "alert-seen:NAME",
        "images-pinned",
        "strategy-safe",
        "usage-measured",
        "budget-exists",
        "node-problem-detector",
        "auto-repair",
        "certificate-managed",
    ];

    pub fn parse(name: &str) -> Option<Check> {
        Some(match name {
            "resources-set" => Check::ResourcesSet,
            "probes-set" => Check::ProbesSet,
            "images-pinned" => Check::ImagesPinned,
            "strategy-safe" => Check::StrategySafe,
            "usage-measured" => Check::UsageMeasured,
            "budget-exists" => Check::BudgetExists,
            "node-problem-detector" => Check::NodeProblemDetector,
            "auto-repair" => Check::AutoRepair,
            "certificate-managed" => Check::CertificateManaged,
            other => Check::AlertSeen(
                other.strip_prefix("alert-seen:").filter(|name| !name.is_empty())?.to_owned(),
            ),
        })
    }
}

/// Node conditions that every kubelet (or cloud controller) sets.
const USUAL_CONDITIONS: [&str; 5] =
    ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

/// The checklist with what can be ticked by itself.
pub(super) fn items(view: &View<'_>, follow_up: &[FollowUp]) -> Vec<ChecklistItem> {
    follow_up
        .iter()
        .map(|item| ChecklistItem {
            id: item.id.clone(),
            says: item.says.clone(),
            auto: item.check.as_ref().and_then(|check| check.look(view)),
        })
        .collect()
}

impl Check {
    /// True or false where it can be seen; None where it can't.
    fn look(&self, view: &View<'_>) -> Option<bool> {
        let snapshot = view.snapshot();
        let every = |fine: fn(&TemplateContainer) -> bool| {
            let containers = &view.deployment?.template.containers;
            (!containers.is_empty()).then(|| containers.iter().all(fine))
        };
        match self {
            // A container that is killed at its limit needs another.
            Check::ResourcesSet if view.staying().any(is_killed_for_memory) => Some(false),
            Check::ResourcesSet => every(|row| {
                row.requests.cpu_milli.is_some()
                    && row.requests.memory_bytes.is_some()
                    && row.limits.memory_bytes.is_some()
            }),
            Check::ProbesSet => every(|row| row.readiness.is_some() && row.liveness.is_some()),
            Check::ImagesPinned => every(|row| is_pinned(&row.image)),
            // An alert that does not fire now may exist all the same.
            Check::AlertSeen(name) => {
                snapshot.alerts.iter().any(|alert| *alert.name == **name).then_some(true)
            }
            Check::StrategySafe => {
                let deployment = view.deployment?;
                Some(match deployment.strategy {
                    Strategy::RollingUpdate { .. } => deployment.max_unavailable() * 2 <= deployment.replicas,
                    Strategy::Recreate => false,
                })
            }
            Check::UsageMeasured => {
                let measured = |(key, _): &(crate::domain::Key, crate::domain::Name)| {
                    view.pods.iter().any(|pod| pod.key == *key)
                };
                snapshot.usage_source.map(|_| snapshot.pod_usage.keys().any(measured))
            }
            Check::BudgetExists => {
                let pod = view.pods.first()?;
                let covers = |budget: &crate::domain::DisruptionBudget| {
                    budget.key.namespace == pod.key.namespace && budget.selector.matches(&pod.labels)
                };
                snapshot
                    .disruption_budgets
                    .is_listed()
                    .then(|| snapshot.disruption_budgets.iter().any(covers))
            }
            Check::NodeProblemDetector => {
                let node = view.node.or_else(|| snapshot.nodes.iter().next())?;
                let unusual = |kind: &str| !USUAL_CONDITIONS.contains(&kind);
                Some(node.conditions.iter().any(|row| unusual(&row.condition.kind)))
            }
            // Where it runs (and whether it may) is not always for us to see: only yes is an answer.
            Check::AutoRepair => {
                let replaces =
                    |name: &str| name.starts_with("karpenter") || name.contains("cluster-autoscaler");
                snapshot.deployments.iter().any(|deployment| replaces(&deployment.key.name)).then_some(true)
            }
            Check::CertificateManaged => {
                if view.certificate().is_some_and(|key| snapshot.certificates.get(&key).is_some()) {
                    return Some(true);
                }
                let (host, _) = view.facts.anomaly.subject.host()?;
                let names = |certificate: &crate::domain::Certificate| {
                    certificate.dns_names.iter().any(|name| **name == *host)
                };
                snapshot.certificates.is_listed().then(|| snapshot.certificates.iter().any(names))
            }
        }
    }
}

/// A digest, or a tag that is not `latest`.
fn is_pinned(image: &str) -> bool {
    if image.contains("@sha256:") {
        return true;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}
