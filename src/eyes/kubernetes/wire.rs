//! What every Kubernetes object looks like on the wire, as far as anybody here reads it: metadata, conditions,
//! quantities, times. serde skips the rest, so managed fields and annotations are never held.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::names::{Names, maybe_says, own};
use crate::domain::{
    Condition, Edit, Keeper, Key, Name, Owner, Quantities, STEWARDS, Status, Timestamp, quantity,
};

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::eyes) struct Meta {
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<String>,
    pub finalizers: Option<Vec<String>>,
    pub generation: Option<i64>,
    pub labels: Option<BTreeMap<String, Option<String>>>,
    pub annotations: Option<Annotations>,
    pub owner_references: Option<Vec<OwnerWire>>,
    pub managed_fields: Option<Vec<Managed>>,
}

/// Who wrote to an object, and when; what they wrote is skipped.
#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct Managed {
    pub manager: Option<String>,
    pub time: Option<String>,
    /// `status`, `scale`; None for a write to the object itself.
    pub subresource: Option<String>,
}

/// The annotations that mean something here; `last-applied-configuration` and its like are skipped.
#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct Annotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    pub revision: Option<String>,
    #[serde(rename = "deployment.kubernetes.io/revision-history")]
    pub revision_history: Option<String>,
    #[serde(rename = "kubernetes.io/change-cause")]
    pub change_cause: Option<String>,
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub mirror: Option<String>,
    #[serde(rename = "kubectl.kubernetes.io/restartedAt")]
    pub restarted_at: Option<String>,
    #[serde(rename = "meta.helm.sh/release-name")]
    pub helm_release: Option<String>,
    #[serde(rename = "argocd.argoproj.io/tracking-id")]
    pub argo_tracking: Option<String>,
    #[serde(rename = "k8s.io/initial-events-end")]
    pub initial_events_end: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct OwnerWire {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
    pub controller: Option<bool>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::eyes) struct ConditionWire {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub status: Option<String>,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub last_transition_time: Option<String>,
    pub last_heartbeat_time: Option<String>,
    pub last_update_time: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::eyes) struct SelectorWire {
    pub match_labels: Option<BTreeMap<String, Option<String>>>,
    pub match_expressions: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct Resources {
    pub requests: Option<Amounts>,
    pub limits: Option<Amounts>,
}

/// Quantities as written; JSON numbers are accepted as YAML authors write them.
#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct Amounts {
    pub cpu: Option<Scalar>,
    pub memory: Option<Scalar>,
    pub pods: Option<Scalar>,
    pub storage: Option<Scalar>,
}

/// A string or a number: quantities, ports, percentages.
#[derive(Deserialize, Debug, Clone)]
#[serde(untagged)]
pub(in crate::eyes) enum Scalar {
    Text(String),
    Whole(i64),
    Real(f64),
}

impl Scalar {
    pub(in crate::eyes) fn text(&self) -> String {
        match self {
            Scalar::Text(text) => text.clone(),
            Scalar::Whole(whole) => whole.to_string(),
            Scalar::Real(real) => real.to_string(),
        }
    }

    /// As a quantity in base units (cores, bytes, items).
    pub(in crate::eyes) fn number(&self) -> Option<f64> {
        match self {
            Scalar::Text(text) => quantity(text),
            Scalar::Whole(whole) => Some(*whole as f64),
            Scalar::Real(real) => Some(*real),
        }
        .filter(|number| number.is_finite() && *number >= 0.0)
    }
}

impl Amounts {
    pub(in crate::eyes) fn quantities(this: Option<&Self>) -> Quantities {
        let Some(this) = this else { return Quantities::default() };
        Quantities {
            cpu_milli: this
                .cpu
                .as_ref()
                .and_then(Scalar::number)
                .map(|cores| (cores * 1000.0).round() as u64),
            memory_bytes: this.memory.as_ref().and_then(Scalar::number).map(|bytes| bytes as u64),
        }
    }
}

/// RFC 3339, as all times of Kubernetes; anything else is no time.
pub(in crate::eyes) fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Counts that should not be negative.
pub(in crate::eyes) fn count(number: Option<i64>) -> u32 {
    u32::try_from(number.unwrap_or(0).max(0)).unwrap_or(u32::MAX)
}

impl Meta {
    /// None for an object without a name, which cannot be kept.
    pub(in crate::eyes) fn key(&self, names: &mut Names) -> Option<Key> {
        let name = self.name.as_deref().filter(|name| !name.is_empty())?;
        let namespace = names.shared(self.namespace.as_deref().unwrap_or_default());
        Some(Key { namespace, name: own(name) })
    }

    pub(in crate::eyes) fn uid(&self) -> Name {
        own(self.uid.as_deref().unwrap_or_default())
    }

    pub(in crate::eyes) fn version(&self) -> Name {
        own(self.resource_version.as_deref().unwrap_or_default())
    }

    /// The epoch, if the server didn't say.
    pub(in crate::eyes) fn created(&self) -> Timestamp {
        time(self.creation_timestamp.as_ref()).unwrap_or_default()
    }

    /// The owner with `controller: true`; where no owner has it, the only one that runs pods.
    pub(in crate::eyes) fn owner(&self, names: &mut Names) -> Option<Owner> {
        let owners = || self.owner_references.iter().flatten();
        let runs_pods = |kind: &str| {
            let kinds = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"];
            kinds.contains(&kind)
        };
        let mut others = owners().filter(|owner| owner.kind.as_deref().is_some_and(runs_pods));
        let only = others.next().filter(|_| others.next().is_none());
        let owner = owners().find(|owner| owner.controller == Some(true)).or(only)?;
        Some(Owner {
            kind: names.shared(owner.kind.as_deref()?),
            name: names.shared(owner.name.as_deref()?),
            uid: names.shared(owner.uid.as_deref().unwrap_or_default()),
        })
    }

    pub(in crate::eyes) fn revision(&self) -> Option<u64> {
        self.annotations.as_ref()?.revision.as_ref()?.parse().ok()
    }

    pub(in crate::eyes) fn earlier_revisions(&self) -> Box<[u64]> {
        let history = self.annotations.as_ref().and_then(|known| known.revision_history.as_deref());
        history.unwrap_or_default().split(',').filter_map(|number| number.trim().parse().ok()).collect()
    }

    /// The last write to the object itself, by whoever has a mind of their own.
    pub(in crate::eyes) fn edited(&self, names: &mut Names) -> Option<Edit> {
        let own = |entry: &&Managed| {
            entry.subresource.as_deref().unwrap_or_default().is_empty()
                && !entry.manager.as_deref().is_some_and(|manager| STEWARDS.contains(&manager))
        };
        let writes = self.managed_fields.iter().flatten().filter(own);
        let (at, by) = writes
            .filter_map(|entry| Some((time(entry.time.as_ref())?, entry.manager.as_ref())))
            .max_by_key(|(at, _)| *at)?;
        Some(Edit { at, by: names.maybe(by) })
    }

    /// The last write to anything but the status, by anybody.
    pub(in crate::eyes) fn written(&self) -> Option<Timestamp> {
        let writes = self.managed_fields.iter().flatten();
        let writes = writes.filter(|entry| entry.subresource.as_deref() != Some("status"));
        writes.filter_map(|entry| time(entry.time.as_ref())).max()
    }

    /// Who would put a hand-made change back: Flux and Argo CD by their marks, Helm at its next upgrade.
    pub(in crate::eyes) fn keeper(&self, names: &mut Names) -> Option<Keeper> {
        let label = |key: &str| self.labels.as_ref()?.get(key)?.as_deref();
        let annotations = self.annotations.as_ref();
        let argo = annotations.and_then(|known| known.argo_tracking.as_deref());
        let helm = annotations.and_then(|known| known.helm_release.as_deref());
        let (tool, name) = if let Some(name) = label("kustomize.toolkit.fluxcd.io/name") {
            ("Flux", name)
        } else if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
            ("Flux", name)
        } else if let Some(id) = argo {
            ("Argo CD", id.split(':').next().unwrap_or(id))
        } else if let Some(name) = label("argocd.argoproj.io/instance") {
            ("Argo CD", name)
        } else {
            ("Helm", helm?)
        };
        Some(Keeper { tool: names.shared(tool), name: names.shared(name) })
    }
}

pub(in crate::eyes) fn conditions(raw: Option<&Vec<ConditionWire>>, names: &mut Names) -> Box<[Condition]> {
    raw.into_iter().flatten().filter_map(|raw| condition(raw, names)).collect()
}

pub(in crate::eyes) fn condition(raw: &ConditionWire, names: &mut Names) -> Option<Condition> {
    Some(Condition {
        kind: names.shared(raw.kind.as_deref()?),
        status: match raw.status.as_deref() {
            Some("True") => Status::True,
            Some("False") => Status::False,
            _ => Status::Unknown,
        },
        reason: names.maybe(raw.reason.as_ref()),
        message: maybe_says(raw.message.as_ref()),
        since: time(raw.last_transition_time.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_a_write_to_the_object_itself() {
        let meta: Meta = serde_json::from_str(
            r#"{"managedFields": [{"manager": "helm", "time": "2026-03-01T01:00:00Z"},
            {"manager": "kubectl-edit", "time": "2026-03-01T02:00:00Z"},
            {"manager": "nginx-ingress-controller", "subresource": "status", "time": "2026-03-01T03:00:00Z"},
            {"manager": "kube-controller-manager", "subresource": "scale", "time": "2026-03-01T02:30:00Z"}]}"#,
        )
        .expect("metadata");
        assert_eq!(meta.written().map(|at| at.to_string()).as_deref(), Some("2026-03-01T02:30:00Z"));
        let edit = meta.edited(&mut Names::default()).expect("somebody wrote");
        assert_eq!(
            (edit.at.to_string().as_str(), edit.by.as_deref()),
            ("2026-03-01T02:00:00Z", Some("kubectl-edit"))
        );
    }

    #[test]
    fn an_owner_is_the_controller_or_the_only_one_that_runs_pods() {
        let owner = |references: &str| {
            let meta: Meta =
                serde_json::from_str(&format!(r#"{{"ownerReferences": [{references}]}}"#)).expect("metadata");
            meta.owner(&mut Names::default()).map(|owner| owner.name.to_string())
        };
        let set = r#"{"kind": "ReplicaSet", "name": "web-1", "uid": "1"}"#;
        let other = r#"{"kind": "ReplicaSet", "name": "web-2", "uid": "2"}"#;
        let flow = r#"{"kind": "Workflow", "name": "etl", "uid": "3", "controller": true}"#;
        assert_eq!(owner(set).as_deref(), Some("web-1"));
        assert_eq!(owner(&format!("{set}, {flow}")).as_deref(), Some("etl"));
        assert_eq!(owner(&format!("{set}, {other}")), None);
        assert_eq!(owner(r#"{"kind": "ConfigMap", "name": "web", "uid": "4"}"#), None);
    }

    #[test]
    fn quantities_of_every_shape() {
        for (text, value) in [
            ("250m", 0.25),
            ("1.5", 1.5),
            ("2Gi", 2_147_483_648.0),
            ("128M", 128e6),
            ("1e3", 1000.0),
            ("500000000n", 0.5),
        ] {
            assert!((quantity(text).unwrap() - value).abs() < 1e-6, "{text}");
        }
        assert_eq!(quantity("much"), None);
        assert_eq!(Scalar::Text("-1".into()).number(), None);
    }
}
