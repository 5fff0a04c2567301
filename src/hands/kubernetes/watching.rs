//! Watching until an effect is seen. Reads only; never longer than told.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::time::Instant;

use super::super::task::{Stopped, Task};
use crate::domain::{Kind, ObjectRef};
use crate::probes::cluster::{Cluster, value};

/// Follows one object until `judge` has something to say about it (None: it is gone).
pub(super) async fn object<T>(
    cluster: &Cluster,
    object: &ObjectRef,
    task: &mut Task,
    deadline: Instant,
    mut judge: impl FnMut(Option<&Value>, &mut Task) -> Option<T>,
) -> Result<T, Stopped> {
    let fields = format!("metadata.name={}", object.key.name);
    set(cluster, object.kind, &object.key.namespace, "", &fields, task, deadline, |objects, task| {
        judge(objects.values().next(), task)
    })
    .await
}

/// Follows a set of objects until `judge` has something to say about it; looks at least every 5 s, for
/// judgements that depend on time.
#[expect(clippy::too_many_arguments, reason = "a watch is described by this much")]
pub(super) async fn set<T>(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    labels: &str,
    fields: &str,
    task: &mut Task,
    deadline: Instant,
    mut judge: impl FnMut(&BTreeMap<String, Value>, &mut Task) -> Option<T>,
) -> Result<T, Stopped> {
    let mut config = watcher::Config::default().timeout(30);
    config.label_selector = Some(labels.to_owned()).filter(|labels| !labels.is_empty());
    config.field_selector = Some(fields.to_owned()).filter(|fields| !fields.is_empty());
    let stream = watcher::watcher(cluster.api(kind, namespace), config).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut objects: BTreeMap<String, Value> = BTreeMap::new();
    let mut listed = false;
    loop {
        let look = Instant::now() + Duration::from_secs(5);
        match task.until(deadline.min(look), stream.next()).await {
            Ok(Some(Ok(event))) => listed |= learn(&mut objects, event, kind),
            Ok(Some(Err(error))) => {
                let trouble = crate::probes::trouble::Trouble::from(watch_error(error));
                task.say(format!("watching is interrupted: {trouble}"));
            }
            Ok(None) => return Err(Stopped::TimedOut),
            Err(Stopped::TimedOut) if Instant::now() < deadline => {}
            Err(stopped) => return Err(stopped),
        }
        if listed && let Some(judgement) = judge(&objects, task) {
            return Ok(judgement);
        }
    }
}

/// Folds an event; true when the set is known to its end.
fn learn(objects: &mut BTreeMap<String, Value>, event: Event<DynamicObject>, kind: Kind) -> bool {
    let place = |object: &DynamicObject| {
        let metadata = &object.metadata;
        format!("{}/{}", metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""))
    };
    match event {
        Event::Init => {
            objects.clear();
            false
        }
        Event::InitApply(object) => {
            objects.insert(place(&object), value(&object, kind));
            false
        }
        Event::InitDone => true,
        Event::Apply(object) => {
            objects.insert(place(&object), value(&object, kind));
            true
        }
        Event::Delete(object) => {
            objects.remove(&place(&object));
            true
        }
    }
}

fn watch_error(error: watcher::Error) -> kube::Error {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        watcher::Error::NoResourceVersion => kube::Error::Api(Box::new(kube::core::Status::failure(
            "no resourceVersion in a list",
            "Internal",
        ))),
    }
}
