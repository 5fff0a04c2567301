//! Events as kubelet, scheduler and controllers record them: repeated ones count up, old ones go.
//! It knows their form and age, not when one is due.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::objects::Meta;
use crate::lab::store::{Resource, resource, seconds};

/// The API server keeps events this long (`--event-ttl`, default 1 h).
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// What has been said, so that repetition is counted.
#[derive(Default)]
pub struct Recorder {
    said: HashMap<u64, (String, String)>,
    by_age: VecDeque<(Timestamp, u64)>,
}

/// Who an event is from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub component: &'static str,
    /// The node, for a kubelet.
    pub host: &'a str,
}

impl Source<'_> {
    pub fn of(component: &'static str) -> Self {
        Self { component, host: "" }
    }
}

/// The object an event is about.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Plural of the resource.
    pub resource: &'static str,
    pub meta: &'a Meta,
    /// `spec.containers{name}` for one container's events, else empty.
    pub field: &'a str,
}

impl<'a> About<'a> {
    pub fn new(resource: &'static str, meta: &'a Meta) -> Self {
        Self { resource, meta, field: "" }
    }

    fn reference(&self) -> Value {
        let row = resource(self.resource);
        let mut reference = json!({
            "kind": row.map_or("", |row| row.kind),
            "apiVersion": row.map(Resource::api_version).unwrap_or_default(),
            "name": self.meta.name,
            "uid": self.meta.uid,
        });
        if self.meta.namespace.is_empty() {
            // kubelets and the node controller put the node's name where its uid belongs
            reference["uid"] = self.meta.name.clone().into();
        } else {
            reference["namespace"] = self.meta.namespace.clone().into();
        }
        if !self.field.is_empty() {
            reference["fieldPath"] = self.field.into();
        }
        reference
    }
}

impl Cluster {
    pub fn normal(&mut self, about: About<'_>, source: Source<'_>, reason: &str, message: &str) {
        self.event(about, source, "Normal", reason, message);
    }

    pub fn warn(&mut self, about: About<'_>, source: Source<'_>, reason: &str, message: &str) {
        self.event(about, source, "Warning", reason, message);
    }

    fn event(&mut self, about: About<'_>, source: Source<'_>, kind: &str, reason: &str, message: &str) {
        if self.furnishing {
            return;
        }
        let mut hasher = DefaultHasher::new();
        (&about.meta.uid, &about.meta.name, about.field, reason, message).hash(&mut hasher);
        let identity = hasher.finish();
        let now = seconds(self.now);
        if let Some((namespace, name)) = self.events.said.get(&identity) {
            let repeated = self.store.update("events", namespace, name, self.now, |event| {
                event["count"] = (event["count"].as_i64().unwrap_or(1) + 1).into();
                event["lastTimestamp"] = now.clone().into();
            });
            if repeated.is_ok() {
                return;
            }
        }
        let namespace = if about.meta.namespace.is_empty() { "default" } else { &about.meta.namespace };
        let name = format!("{}.{:016x}", about.meta.name, self.now.as_nanosecond() as u64 ^ (identity >> 16));
        let event = event_json(&about, source, kind, reason, message, (namespace, &name, &now));
        if self.store.create("events", event, self.now).is_ok() {
            self.events.said.insert(identity, (namespace.to_owned(), name));
            self.events.by_age.push_back((self.now, identity));
        }
    }

    /// Drops what is over an hour old.
    pub fn forget_events(&mut self) {
        while let Some((said, identity)) = self.events.by_age.front().copied() {
            if self.now.duration_since(said) < KEPT {
                return;
            }
            self.events.by_age.pop_front();
            if let Some((namespace, name)) = self.events.said.remove(&identity) {
                let _gone_already = self.store.delete("events", &namespace, &name);
            }
        }
    }
}

fn event_json(
    about: &About<'_>,
    source: Source<'_>,
    kind: &str,
    reason: &str,
    message: &str,
    (namespace, name, at): (&str, &str, &str),
) -> Value {
    let mut from = json!({ "component": source.component });
    if !source.host.is_empty() {
        from["host"] = source.host.into();
    }
    json!({
        "metadata": { "name": name, "namespace": namespace, "creationTimestamp": at },
        "involvedObject": about.reference(),
        "reason": reason,
        "message": message,
        "source": from,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "type": kind,
        "eventTime": null,
        "reportingComponent": source.component,
        "reportingInstance": source.host,
    })
}
