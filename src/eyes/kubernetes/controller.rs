//! StatefulSets, DaemonSets and their ControllerRevisions on the wire, and the slim values made of them.

use serde::Deserialize;

use super::names::{Names, maybe_says};
use super::template::{TemplateWire, template};
use super::wire::{Meta, SelectorWire, count};
use crate::domain::{Controller, ControllerRevision, Kind, Update};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ControllerWire {
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
    pod_management_policy: Option<String>,
    min_ready_seconds: Option<i64>,
    update_strategy: Option<Strategy>,
    template: Option<TemplateWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Strategy {
    #[serde(rename = "type")]
    kind: Option<String>,
    rolling_update: Option<Rolling>,
}

#[derive(Deserialize, Debug, Default)]
struct Rolling {
    partition: Option<i64>,
}

/// A StatefulSet's and a DaemonSet's fields beside each other.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    available_replicas: Option<i64>,
    update_revision: Option<String>,
    desired_number_scheduled: Option<i64>,
    current_number_scheduled: Option<i64>,
    updated_number_scheduled: Option<i64>,
    number_ready: Option<i64>,
    number_available: Option<i64>,
}

pub(in crate::eyes) fn stateful_set(wire: ControllerWire, names: &mut Names) -> Option<Controller> {
    read(Kind::StatefulSet, wire, names)
}

pub(in crate::eyes) fn daemon_set(wire: ControllerWire, names: &mut Names) -> Option<Controller> {
    read(Kind::DaemonSet, wire, names)
}

fn read(kind: Kind, wire: ControllerWire, names: &mut Names) -> Option<Controller> {
    let ControllerWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let strategy = spec.update_strategy.unwrap_or_default();
    let partition = strategy.rolling_update.and_then(|rolling| rolling.partition);
    let key = metadata.key(names)?;
    let is_set = kind == Kind::StatefulSet;
    Some(Controller {
        kind,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        created: metadata.created(),
        edited: metadata.edited(names),
        keeper: metadata.keeper(names),
        selector: names.selector(spec.selector.as_ref()),
        update: match strategy.kind.as_deref() {
            Some("OnDelete") => Update::OnDelete,
            _ => Update::Rolling { partition: count(partition) },
        },
        is_ordered: is_set && spec.pod_management_policy.as_deref() != Some("Parallel"),
        min_ready_seconds: count(spec.min_ready_seconds),
        desired: if is_set {
            count(Some(spec.replicas.unwrap_or(1)))
        } else {
            count(status.desired_number_scheduled)
        },
        existing: count(status.replicas.or(status.current_number_scheduled)),
        updated: count(status.updated_replicas.or(status.updated_number_scheduled)),
        ready: count(status.ready_replicas.or(status.number_ready)),
        available: count(status.available_replicas.or(status.number_available)),
        update_revision: names.maybe(status.update_revision.as_ref()),
        template: template(spec.template, &key, names),
        key,
    })
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct RevisionWire {
    #[serde(default)]
    metadata: Meta,
    revision: Option<i64>,
    data: Option<Data>,
}

/// A patch that puts the template back; other owners of revisions keep what they like in it.
#[derive(Deserialize, Debug, Default)]
struct Data {
    spec: Option<DataSpec>,
}

#[derive(Deserialize, Debug, Default)]
struct DataSpec {
    template: Option<TemplateWire>,
}

pub(in crate::eyes) fn revision(wire: RevisionWire, names: &mut Names) -> Option<ControllerRevision> {
    let RevisionWire { metadata, revision, data } = wire;
    let key = metadata.key(names)?;
    let cause = metadata.annotations.as_ref().and_then(|known| known.change_cause.as_ref());
    Some(ControllerRevision {
        owner: metadata.owner(names),
        created: metadata.created(),
        revision: u64::try_from(revision.unwrap_or_default()).unwrap_or_default(),
        change_cause: maybe_says(cause),
        template: template(data.and_then(|data| data.spec).and_then(|spec| spec.template), &key, names),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_kind_is_read_by_its_own_fields() {
        let read = |kind: Kind, text: &str| {
            super::read(kind, serde_json::from_str(text).expect("a controller"), &mut Names::default())
                .expect("a name")
        };
        let set = read(
            Kind::StatefulSet,
            r#"{"metadata": {"name": "db", "namespace": "shop", "generation": 2}, "spec": {"replicas": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, "template": {}},
            "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2,
            "updateRevision": "db-7d9"}}"#,
        );
        assert_eq!((set.desired, set.existing, set.due(), set.seems_to_roll()), (3, 3, 1, false));
        assert!(set.is_ordered && set.update_revision.as_deref() == Some("db-7d9"));
        let agents = read(
            Kind::DaemonSet,
            r#"{"metadata": {"name": "agent", "namespace": "obs"}, "spec": {"updateStrategy": {"type": "OnDelete"}},
            "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 4}}"#,
        );
        assert_eq!((agents.desired, agents.existing, agents.updated, agents.due()), (5, 4, 0, 0));
        assert!(!agents.is_ordered && !agents.seems_to_roll());
    }
}
