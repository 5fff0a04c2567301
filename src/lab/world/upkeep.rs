//! The small controllers: disruption budgets, orphans, secrets synced from the vault.
//! Each knows its own kind only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cluster::{Cluster, Kind, Secret};
use super::conditions::{self, Shown};
use super::events::{About, Source};
use super::objects::{Bare, ExternalSecret, Job, Map, Named, Pdb, Pod, ReplicaSet};
use super::shelf::Key;
use crate::lab::store::seconds;

/// How many pods may go now, from how many are healthy and how many must be.
pub fn disruption_budget(cluster: &mut Cluster, key: &Key) {
    let Some(pdb) = cluster.pdbs.get(key) else { return };
    let pods: Vec<Arc<Pod>> = cluster
        .pods
        .within(&key.namespace)
        .filter(|(_, pod)| pod.is_active() && pdb.spec.selector.matches(&pod.metadata.labels))
        .map(|(_, pod)| pod.clone())
        .collect();
    let expected = expected(cluster, &pods);
    let healthy = pods.iter().filter(|pod| pod.is_ready()).count() as i32;
    let desired = match (&pdb.spec.max_unavailable, &pdb.spec.min_available) {
        (Some(most), _) => (expected - most.of(expected, true)).max(0),
        (None, Some(least)) => least.of(expected, true),
        (None, None) => 0,
    };
    let allowed = (healthy - desired).max(0);
    let at = seconds(cluster.now);
    cluster.update::<Pdb>(key, |pdb| {
        let generation = pdb["metadata"]["generation"].clone();
        if !pdb["status"].is_object() {
            pdb["status"] = json!({});
        }
        let status = &mut pdb["status"];
        status["observedGeneration"] = generation;
        status["currentHealthy"] = healthy.into();
        status["desiredHealthy"] = desired.into();
        status["expectedPods"] = expected.into();
        status["disruptionsAllowed"] = allowed.into();
        let (holds, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        conditions::put(
            status,
            &Shown { kind: "DisruptionAllowed", status: holds, reason, message: "" },
            &at,
        );
    });
}

/// Whether the disruption budgets of a pod let it go now.
pub fn may_evict(cluster: &Cluster, pod: &Pod) -> bool {
    let of_it = |(_, pdb): &(&Key, &Arc<Pdb>)| pdb.spec.selector.matches(&pod.metadata.labels);
    let allows = |pdb: &Pdb| pdb.status.disruptions_allowed > 0 || !pod.is_ready();
    cluster.pdbs.within(&pod.metadata.namespace).filter(of_it).all(|(_, pdb)| allows(pdb))
}

/// The replicas the controllers of these pods want.
fn expected(cluster: &Cluster, pods: &[Arc<Pod>]) -> i32 {
    let mut owners: Vec<Key> = Vec::new();
    for pod in pods {
        if let Some(owner) = pod.metadata.controller() {
            let set = cluster.replica_sets.get(&Key::new(&pod.metadata.namespace, &owner.name));
            let owner = set
                .as_ref()
                .and_then(|set| set.metadata.controller())
                .map_or(&owner.name, |owner| &owner.name);
            owners.push(Key::new(&pod.metadata.namespace, owner));
        }
    }
    owners.sort();
    owners.dedup();
    let wanted = owners.iter().map(|owner| {
        let deployment = cluster.deployments.get(owner).and_then(|deployment| deployment.spec.replicas);
        deployment.or_else(|| cluster.stateful_sets.get(owner).and_then(|set| set.spec.replicas)).unwrap_or(1)
    });
    wanted.sum()
}

/// An owner is gone: what it controlled goes too.
pub fn collect_orphans(cluster: &mut Cluster, uid: &str) {
    for pod in cluster.owned_pods(uid) {
        cluster.delete_gracefully(&pod);
    }
    let owned = |object: &dyn Named| object.meta().owner_references.iter().any(|owner| owner.uid == uid);
    let sets: Vec<Key> =
        cluster.replica_sets.iter().filter(|(_, set)| owned(&***set)).map(|(key, _)| key.clone()).collect();
    let jobs: Vec<Key> =
        cluster.jobs.iter().filter(|(_, job)| owned(&***job)).map(|(key, _)| key.clone()).collect();
    let slices: Vec<Key> =
        cluster.slices.iter().filter(|(_, slice)| owned(&***slice)).map(|(key, _)| key.clone()).collect();
    delete_all::<ReplicaSet>(cluster, &sets);
    delete_all::<Job>(cluster, &jobs);
    delete_all::<Bare>(cluster, &slices);
}

fn delete_all<T: Kind>(cluster: &mut Cluster, keys: &[Key]) {
    for key in keys {
        cluster.delete::<T>(key);
    }
}

/// The vault the external secrets come from: values by Secret and key.
#[derive(Default)]
pub struct Vault {
    secrets: Map<Map>,
    /// The last force-sync annotation acted upon, by ExternalSecret.
    synced: Map,
}

const FORCE_SYNC: &str = "force-sync";

impl Vault {
    pub fn keep(&mut self, secret: &str, data: &[(&str, &str)]) {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.secrets.insert(secret.to_owned(), data);
    }

    pub fn value(&self, secret: &str, key: &str) -> Option<&str> {
        self.secrets.get(secret)?.get(key).map(String::as_str)
    }

    /// `data` of the Secret as the vault has it.
    pub fn encoded(&self, secret: &str) -> Value {
        let data = self.secrets.get(secret).into_iter().flatten();
        data.map(|(key, value)| (key.clone(), Value::String(STANDARD.encode(value))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Writes the Secret anew when somebody asks by annotation; the usual hourly refresh is far away.
    pub fn reconcile(&mut self, cluster: &mut Cluster, key: &Key) {
        let Some(external) = cluster.external_secrets.get(key) else { return };
        let asked = external.metadata.annotation(FORCE_SYNC).unwrap_or_default().to_owned();
        let last = self.synced.entry(key.name.clone()).or_default();
        if *last == asked {
            return;
        }
        *last = asked;
        let target = match external.spec.target.name.as_str() {
            "" => key.name.as_str(),
            target => target,
        };
        if !self.secrets.contains_key(target) {
            return;
        }
        let data = self.encoded(target);
        let at = seconds(cluster.now);
        cluster.update::<Secret>(&Key::new(&key.namespace, target), |secret| {
            secret["data"] = data;
            touch_managed(secret, "/data", "external-secrets", &at);
        });
        cluster.update::<ExternalSecret>(key, |external| {
            external["status"]["refreshTime"] = at.clone().into();
            let shown =
                Shown { kind: "Ready", status: "True", reason: "SecretSynced", message: "secret synced" };
            conditions::put(&mut external["status"], &shown, &at);
        });
        let about = About::new("externalsecrets", &external.metadata);
        cluster.normal(about, Source::of("external-secrets"), "Updated", "Updated Secret");
    }
}

/// Records in `managedFields` who changed a part of an object, such as `/data`, and when.
pub fn touch_managed(object: &mut Value, part: &str, manager: &str, at: &str) {
    let keys = object.pointer(part).and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys);
    let fields: serde_json::Map<String, Value> = keys.map(|key| (format!("f:{key}"), json!({}))).collect();
    let outward = part.split('/').skip(1).collect::<Vec<_>>().into_iter().rev();
    let fields = outward.fold(Value::Object(fields), |inner, name| json!({ format!("f:{name}"): inner }));
    let entry = json!({
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": at,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let others = list.into_iter().filter(|old| old["manager"] != manager);
    object["metadata"]["managedFields"] = others.chain([entry]).collect();
}
