//! Object triggers: any kind watched for one field. Whole objects pass through, one at a time; only which of them
//! match, and since when, is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use regex::Regex;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::answer;
use crate::config::{ConnectError, Scope};
use crate::domain::{Ask, BlindKind, Case, Key, Kind, Labels, Name, ObjectRef, Timestamp, Trigger};
use crate::eyes::api_server::{Sessions, session};
use crate::eyes::kubernetes::names::{own, says};
use crate::eyes::tell::{Backoff, Tell, Unheard};
use crate::eyes::trouble::Trouble;

/// Changes are told together after so long.
const HOLD: Duration = Duration::from_millis(500);
/// A kind where more match is not a trigger.
const MOST: usize = 100;
/// The server ends a watch after so many seconds: a dead connection is noticed soon after.
const WATCH_SECONDS: u32 = 50;
/// A permission or a definition may appear later.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// What is looked for.
struct Wanted {
    kind: Kind,
    field: String,
    equals: Option<String>,
    matches: Option<Regex>,
}

/// Watches for ever.
pub(super) async fn watch(scope: Scope, trigger: Trigger, mut sessions: Sessions, tell: Tell) {
    let Ask::Object { kind, field, equals, matches } = &trigger.ask else { return };
    let wanted = Wanted {
        kind: *kind,
        field: field.clone(),
        equals: equals.clone(),
        // It compiled when the file was read.
        matches: matches.as_ref().and_then(|pattern| Regex::new(pattern).ok()),
    };
    let mut held = BTreeMap::new();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    while let Some(session) = session(&mut sessions).await {
        let api = api(session.client, &scope, wanted.kind);
        let Ok(trouble) = follow(api, &wanted, &trigger, &mut held, &tell, &mut backoff).await else {
            return;
        };
        let refused = matches!(trouble, Trouble::Forbidden(_) | Trouble::Absent);
        let namespace = scope.one().filter(|_| wanted.kind.is_namespaced());
        if answer(&tell, &trigger, Err(trouble.explain_for(wanted.kind, namespace))).await.is_err() {
            return;
        }
        tell.rest(if refused { REFUSED_AGAIN } else { backoff.next() }).await;
    }
}

fn api(client: kube::Client, scope: &Scope, kind: Kind) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: kind.group().into(),
        version: kind.version().into(),
        api_version: kind.api_version(),
        kind: kind.as_str().into(),
        plural: kind.plural().into(),
    };
    match scope.one().filter(|_| kind.is_namespaced()) {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Until the server refuses or the connection breaks.
async fn follow(
    api: Api<DynamicObject>,
    wanted: &Wanted,
    trigger: &Trigger,
    held: &mut BTreeMap<Key, Case>,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Result<Trouble, Unheard> {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = watcher(api, config).boxed();
    let mut listed = false;
    let mut fresh: BTreeMap<Key, Case> = BTreeMap::new();
    let mut due: Option<Instant> = None;
    loop {
        let next = match due {
            Some(at) => match timeout_at(at, events.try_next()).await {
                Ok(next) => next,
                Err(_) => {
                    due = None;
                    told(tell, trigger, held).await?;
                    continue;
                }
            },
            None => events.try_next().await,
        };
        match next {
            Ok(Some(Event::Init)) => fresh.clear(),
            Ok(Some(Event::InitApply(object))) => wanted.learn(&object, held, &mut fresh, tell.now()),
            Ok(Some(Event::InitDone)) => {
                *held = std::mem::take(&mut fresh);
                listed = true;
                backoff.reset();
                told(tell, trigger, held).await?;
            }
            Ok(Some(Event::Apply(object))) => {
                let key = key(&object);
                let mut one = BTreeMap::new();
                wanted.learn(&object, held, &mut one, tell.now());
                match one.remove(&key) {
                    Some(case) => drop(held.insert(key, case)),
                    None => drop(held.remove(&key)),
                }
                due = due.or(listed.then(|| Instant::now() + tell.hold(HOLD)));
            }
            Ok(Some(Event::Delete(object))) => {
                held.remove(&key(&object));
                due = due.or(listed.then(|| Instant::now() + tell.hold(HOLD)));
            }
            Ok(None) => return Ok(Trouble::Unreachable("the watch ended".into())),
            Err(error) => match trouble(error) {
                // Its version is no longer kept: the watcher lists again by itself.
                Trouble::Gone => {}
                trouble => return Ok(trouble),
            },
        }
    }
}

fn trouble(error: watcher::Error) -> Trouble {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error.into(),
        watcher::Error::WatchError(status) => Trouble::answered(status.code, &status.message),
        other => Trouble::Undecodable(other.to_string()),
    }
}

async fn told(tell: &Tell, trigger: &Trigger, held: &BTreeMap<Key, Case>) -> Result<(), Unheard> {
    let seen = if held.len() > MOST {
        let why = format!("more than {MOST} objects match");
        Err(ConnectError::new(BlindKind::Broken, why, "ask for something rarer"))
    } else {
        Ok(held.values().cloned().collect())
    };
    answer(tell, trigger, seen).await
}

fn key(object: &DynamicObject) -> Key {
    let metadata = &object.metadata;
    Key::new(
        own(metadata.namespace.as_deref().unwrap_or_default()),
        own(metadata.name.as_deref().unwrap_or_default()),
    )
}

impl Wanted {
    /// Puts an object that matches among the cases; one that matched before keeps its beginning.
    fn learn(
        &self,
        object: &DynamicObject,
        held: &BTreeMap<Key, Case>,
        into: &mut BTreeMap<Key, Case>,
        now: Timestamp,
    ) {
        let Ok(whole) = serde_json::to_value(object) else { return };
        let Some(found) = whole.pointer(&self.field) else { return };
        let text = match found {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let holds = match (&self.equals, &self.matches) {
            (Some(equals), _) => text == *equals,
            (None, Some(matches)) => matches.is_match(&text),
            (None, None) => false,
        };
        if !holds {
            return;
        }
        let key = key(object);
        let since = held
            .get(&key)
            .map(|case| case.since)
            .or_else(|| self.changed(&whole).filter(|at| *at <= now))
            .unwrap_or(now);
        let labels: Vec<(Name, Name)> =
            object.metadata.labels.iter().flatten().map(|(name, value)| (plain(name), says(value))).collect();
        let kind = ObjectRef::new(self.kind, key.clone());
        // What is secret by its kind is not quoted.
        let shown = if self.kind == Kind::Secret { "as asked".to_owned() } else { text };
        let case = Case {
            labels: Labels::new(labels),
            value: found.as_f64(),
            says: says(&format!("{kind}: {} is {shown}", self.field)),
            object: Some(kind),
            since,
        };
        into.insert(key, case);
    }

    /// When the field changed, where the object says so beside it: `lastTransitionTime` of a condition.
    fn changed(&self, whole: &Value) -> Option<Timestamp> {
        let (beside, _) = self.field.rsplit_once('/')?;
        whole.pointer(beside)?.get("lastTransitionTime")?.as_str()?.parse().ok()
    }
}

/// A label's name as a placeholder can say it: `app_kubernetes_io_name`.
fn plain(name: &str) -> Name {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>().into()
}
