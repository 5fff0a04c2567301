//! Who belongs to whom among what is known, and what is known to be gone.

use super::{
    Autoscaler, Change, ChangeKind, Controller, Deployment, Event, Key, Keyed, Kind, Name, ObjectRef, Pod,
    ReplicaSet, Snapshot, Subject, Table, Timestamp,
};

impl Snapshot {
    /// Pods of a Deployment, through its ReplicaSets.
    pub fn pods_of(&self, deployment: &Deployment) -> Vec<&Pod> {
        let uids: Vec<&Name> = self
            .replica_sets
            .iter()
            .filter(|set| set.owner.as_ref().is_some_and(|owner| owner.uid == deployment.uid))
            .map(|set| &set.uid)
            .collect();
        self.pods
            .iter()
            .filter(|pod| pod.owner.as_ref().is_some_and(|owner| uids.contains(&&owner.uid)))
            .collect()
    }

    /// Pods that belong to this owner itself.
    pub fn owned_by(&self, uid: &Name) -> Vec<&Pod> {
        self.pods.iter().filter(|pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == *uid)).collect()
    }

    /// ReplicaSets of a Deployment, newest revision first.
    pub fn revisions_of(&self, deployment: &Deployment) -> Vec<&ReplicaSet> {
        let mut sets: Vec<_> = self
            .replica_sets
            .iter()
            .filter(|set| set.owner.as_ref().is_some_and(|owner| owner.uid == deployment.uid))
            .collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.revision));
        sets
    }

    /// The Deployment a pod belongs to.
    pub fn deployment_of(&self, pod: &Pod) -> Option<&Deployment> {
        let owner = pod.owner.as_ref().filter(|owner| &*owner.kind == "ReplicaSet")?;
        let set = self.replica_sets.get(&Key::new(pod.key.namespace.clone(), owner.name.clone()))?;
        let owner = set.owner.as_ref()?;
        self.deployments.get(&Key::new(pod.key.namespace.clone(), owner.name.clone()))
    }

    /// When a ReplicaSet that was brought back was scaled up for that, after `since`: by the event, and by its pods where
    /// that is over (an hour) or was not seen. Pods alone would not do: each that is evicted has a younger one for it.
    pub fn brought_back_at(&self, set: &ReplicaSet, since: Timestamp) -> Option<Timestamp> {
        let named = |event: &Event| {
            let mut words = event.message.split_whitespace();
            event.message.starts_with("Scaled up") && words.any(|word| word == &*set.key.name)
        };
        let told = self.events.iter().filter(|event| {
            &*event.reason == "ScalingReplicaSet"
                && event.about.namespace == set.key.namespace
                && set.owner.as_ref().is_some_and(|owner| owner.name == event.about.name)
                && named(event)
        });
        let told: Vec<&Event> = told.filter(|event| event.last >= since).collect();
        // The same words were said when it came for the first time.
        let from_nothing = told.iter().filter(|event| event.message.contains(" from 0 to "));
        let anew = from_nothing.map(|event| event.last).max();
        let told = told.iter().map(|event| if event.first >= since { event.first } else { event.last });
        let pods = self.owned_by(&set.uid).into_iter().map(|pod| pod.created);
        anew.or_else(|| told.chain(pods).filter(|at| *at >= since).min())
    }

    /// The StatefulSet or DaemonSet of that name.
    pub fn controller(&self, kind: Kind, key: &Key) -> Option<&Controller> {
        match kind {
            Kind::StatefulSet => self.stateful_sets.get(key),
            Kind::DaemonSet => self.daemon_sets.get(key),
            _ => None,
        }
    }

    /// Whether what an anomaly is about is known not to be there any more, so that nothing of it can come back.
    pub fn is_over(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Object(object) => self.is_absent(object),
            Subject::Host(_) => subject.host().is_some_and(|(host, _)| {
                !self.reaches.contains_key(host) && !self.handshakes.keys().any(|(known, _)| &**known == host)
            }),
            _ => false,
        }
    }

    /// Whether a workload, a node or an Ingress is known not to be there (any more): its kind is listed, and it is not.
    /// Pods come and go under one name and are never said to be.
    fn is_absent(&self, object: &ObjectRef) -> bool {
        fn lacks<T: Keyed>(table: &Table<T>, key: &Key) -> bool {
            table.is_listed() && table.get(key).is_none()
        }
        let key = &object.key;
        match object.kind {
            Kind::Deployment => lacks(&self.deployments, key),
            Kind::StatefulSet => lacks(&self.stateful_sets, key),
            Kind::DaemonSet => lacks(&self.daemon_sets, key),
            Kind::Job => lacks(&self.jobs, key),
            Kind::CronJob => lacks(&self.cron_jobs, key),
            Kind::Node => lacks(&self.nodes, key),
            Kind::Ingress => lacks(&self.ingresses, key),
            _ => false,
        }
    }

    /// Whether it was from here, in this session or an earlier one, that the node was cordoned last.
    pub fn was_cordoned_from_here(&self, node: &Key) -> bool {
        let about = |deed: &&Change| {
            deed.kind == ChangeKind::Ours && deed.object.kind == Kind::Node && deed.object.key == *node
        };
        let words = |deed: &Change| deed.says.to_lowercase();
        // A drain begins with it.
        let closes_or_opens =
            |deed: &&Change| ["cordon", "drained"].iter().any(|word| words(deed).contains(word));
        let last = self.deeds.iter().filter(about).filter(closes_or_opens);
        last.max_by_key(|deed| deed.at).is_some_and(|deed| !words(deed).contains("uncordon"))
    }

    /// The autoscaler whose target this workload is.
    pub fn autoscaler_of(&self, kind: &str, key: &Key) -> Option<&Autoscaler> {
        self.autoscalers.iter().find(|scaler| {
            &*scaler.target_kind == kind && scaler.target == key.name && scaler.key.namespace == key.namespace
        })
    }
}
