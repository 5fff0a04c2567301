//! The history of stateful sets and daemon sets: one ControllerRevision for each template they had, and which of
//! their pods belong to which. It knows templates; when pods are replaced is the controllers' business.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::deployment::owner_reference;
use super::objects::{Meta, Pod};
use super::shelf::Key;

pub const HASH: &str = "controller-revision-hash";
const RESOURCE: &str = "controllerrevisions";

/// The name of the revision with this template: the one there is, made the newest again if it is an older one, or a
/// new one.
pub fn of(cluster: &mut Cluster, kind: &str, meta: &Meta, template: &Value) -> String {
    let known: Vec<Value> = cluster
        .store
        .list(RESOURCE, Some(&meta.namespace))
        .0
        .iter()
        .filter(|revision| revision.controller.as_deref() == Some(&*meta.uid))
        .map(|revision| revision.value())
        .collect();
    let number = |revision: &Value| revision["revision"].as_i64().unwrap_or(0);
    let newest = known.iter().map(number).max().unwrap_or(0);
    let data = data(template);
    if let Some(same) = known.iter().find(|revision| revision["data"] == data) {
        let name = same["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if number(same) < newest {
            let now = cluster.now;
            let again = |revision: &mut Value| revision["revision"] = (newest + 1).into();
            let _ = cluster.store.update(RESOURCE, &meta.namespace, &name, now, again);
        }
        return name;
    }
    let hash = hash(&data.to_string());
    let name = format!("{}-{hash}", meta.name);
    let mut labels = template["metadata"]["labels"].clone();
    labels["controller.kubernetes.io/hash"] = hash.into();
    let mut metadata = json!({
        "name": name, "namespace": meta.namespace, "labels": labels,
        "ownerReferences": [owner_reference("apps/v1", kind, &meta.name, &meta.uid)],
    });
    if let Some(cause) = meta.annotations.get("kubernetes.io/change-cause") {
        metadata["annotations"] = json!({ "kubernetes.io/change-cause": cause });
    }
    let revision = json!({ "metadata": metadata, "data": data, "revision": newest + 1 });
    let made = cluster.store.create(RESOURCE, revision, cluster.now);
    debug_assert!(made.is_ok(), "{:?}", made.err());
    name
}

/// The same template has the same hash, as in life; ten letters that spell nothing (FNV-1a).
fn hash(text: &str) -> String {
    const LETTERS: &[u8; 16] = b"4567bcdfghjklmnx";
    let fold = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    (0..10).map(|place| char::from(LETTERS[(sum >> (place * 4) & 15) as usize])).collect()
}

/// A patch that puts the template back, as the controllers record it.
fn data(template: &Value) -> Value {
    let mut template = template.clone();
    template["$patch"] = "replace".into();
    json!({ "spec": { "template": template } })
}

/// The value of a pod's label: daemon sets leave their own name out.
pub fn label<'a>(kind: &str, owner: &str, revision: &'a str) -> &'a str {
    match kind {
        "DaemonSet" => revision.strip_prefix(owner).map_or(revision, |rest| rest.trim_start_matches('-')),
        _ => revision,
    }
}

/// Whether a pod is of this revision. Pods that were there before anybody counted are taken for it.
pub fn is_of(cluster: &mut Cluster, pod: &Pod, label: &str) -> bool {
    if let Some(hash) = pod.metadata.labels.get(HASH) {
        return hash == label;
    }
    let labelled = |pod: &mut Value| pod["metadata"]["labels"][HASH] = label.into();
    cluster.update::<Pod>(&Key::of(pod), labelled)
}

/// Whether the set replaces its pods by itself.
pub fn rolls(cluster: &Cluster, resource: &str, key: &Key) -> bool {
    let set = cluster.store.get(resource, &key.namespace, &key.name).map(|set| set.value());
    set.is_some_and(|set| set["spec"]["updateStrategy"]["type"] != "OnDelete")
}
