//! An image that could not be pulled a short while ago, and would come back.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Kind, Timestamp, between, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::events::latest;
use crate::probes::object::{items, string};

/// Events live for an hour by default (kube-apiserver: `--event-ttl`).
pub(super) async fn hazard(cluster: &Cluster, scene: &Scene<'_>, now: Timestamp) -> Option<Hazard> {
    let new = brought(scene);
    if new.is_empty() {
        return None;
    }
    let failed = match cluster.list(Kind::Event, &scene.object.key.namespace, "", "reason=Failed").await {
        Ok(events) => events,
        Err(trouble) => return Some(blind(Guard::Target, "whether its image can be pulled", &trouble)),
    };
    let (image, at) = new.into_iter().find_map(|image| Some((image, last_failure(&failed, image)?)))?;
    let ago = text::span(between(at, now));
    Some(Hazard::warn(Guard::Target, format!("{image} could not be pulled, the last time {ago} ago")))
}

/// Images that its pods would have and do not have now.
fn brought<'a>(scene: &Scene<'a>) -> Vec<&'a str> {
    let images = |object: &'a Value| {
        let lists = ["/spec/template/spec/containers", "/spec/template/spec/initContainers"];
        lists.into_iter().flat_map(move |list| items(object, list)).map(|row| string(row, "/image"))
    };
    let now: Vec<&str> = scene.before.into_iter().flat_map(images).collect();
    images(scene.after).filter(|image| !image.is_empty() && !now.contains(image)).collect()
}

fn last_failure(events: &[Value], image: &str) -> Option<Timestamp> {
    let words = format!("Failed to pull image \"{image}\"");
    let about = events.iter().filter(|event| string(event, "/message").starts_with(&words));
    about.filter_map(latest).max()
}
