//! Alertmanager v2: active, silenced and inhibited alerts, the silences, and whether it runs what is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api_server::{Sessions, session_for};
use super::kubernetes::names::{Names, own, says};
use super::tell::{Backoff, Tell};
use crate::config::{ConnectError, Door, Settings, discovery};
use crate::domain::{Alert, AlertState, BlindKind, Fact, Name, Origin, Silence, Timestamp};

/// Between two looks: alerts are evaluated each 15 to 60 s.
const EVERY: Duration = Duration::from_secs(15);
const REPAIR: &str = "set ALERTMANAGER_URL or [alertmanager] url";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertWire {
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    labels: BTreeMap<String, Option<String>>,
    #[serde(default)]
    annotations: BTreeMap<String, Option<String>>,
    starts_at: Option<Timestamp>,
    #[serde(default)]
    status: StatusWire,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    #[serde(default)]
    state: String,
    silenced_by: Option<Vec<String>>,
    inhibited_by: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SilenceWire {
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: StatusWire,
    #[serde(default)]
    matchers: Vec<Matcher>,
    ends_at: Option<Timestamp>,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Matcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    is_equal: Option<bool>,
}

/// Finds Alertmanager: by the given URL, else in the cluster.
pub(super) async fn find(settings: &Settings, client: Option<&kube::Client>) -> Result<Door, ConnectError> {
    let unknown = |why: &str| ConnectError::new(BlindKind::NotConfigured, why, REPAIR);
    match settings.alertmanager_url.as_deref() {
        Some("off") => Err(unknown("Alertmanager is switched off in the settings")),
        Some(url) => Door::to(url, "Alertmanager", "ALERTMANAGER_URL"),
        None => {
            let client =
                client.ok_or_else(|| unknown("no URL was given, and there is no cluster to look in"))?;
            match discovery::alertmanager(client).await? {
                Some(found) => Ok(found.door),
                None => Err(unknown("no service in the cluster looks like Alertmanager")),
            }
        }
    }
}

/// Looks for ever.
pub(super) async fn watch(settings: Settings, mut sessions: Sessions, tell: Tell) {
    let mut backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(30));
    loop {
        let client = match settings.alertmanager_url.value {
            Some(_) => None,
            None => match session_for(Origin::Alertmanager, REPAIR, &mut sessions, &tell).await {
                Some(session) => Some(session.client),
                None => return,
            },
        };
        let error = match find(&settings, client.as_ref()).await {
            Ok(door) => match follow(&door, &tell, &mut backoff).await {
                Some(error) => error,
                None => return,
            },
            Err(error) => error,
        };
        let wait = backoff.after(&error);
        if tell.blind(Origin::Alertmanager, error).await.is_err() {
            return;
        }
        tell.rest(wait).await;
    }
}

/// Until it fails (what with), or nobody listens (None).
async fn follow(door: &Door, tell: &Tell, backoff: &mut Backoff) -> Option<ConnectError> {
    let mut names = Names::default();
    let mut ticks = tell.beat(EVERY);
    loop {
        ticks.tick().await;
        match look(door, &mut names, tell.now()).await {
            Ok(fact) => {
                backoff.reset();
                if tell.fact(Origin::Alertmanager, fact).await.is_err() {
                    return None;
                }
            }
            Err(error) => return Some(error),
        }
    }
}

/// One look.
pub(super) async fn look(door: &Door, names: &mut Names, now: Timestamp) -> Result<Fact, ConnectError> {
    let (alerts, silences, loaded) = tokio::try_join!(
        ask::<Vec<AlertWire>>(door, "/api/v2/alerts"),
        ask::<Vec<SilenceWire>>(door, "/api/v2/silences"),
        async { Ok(is_loaded(door).await) }
    )?;
    Ok(Fact::Alerts {
        alerts: alerts.into_iter().map(|wire| alert(wire, names, now)).collect(),
        silences: silences
            .iter()
            .filter(|wire| wire.status.state == "active")
            .map(|wire| silence(wire, now))
            .collect(),
        loaded,
    })
}

/// Whether its last reload took, by its own metrics; None where they do not say.
async fn is_loaded(door: &Door) -> Option<bool> {
    let metrics = door.get("/metrics", &[]).await.ok()?;
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix("alertmanager_config_last_reload_successful "))?;
    value.trim().parse::<f64>().ok().map(|value| value > 0.0)
}

async fn ask<T: DeserializeOwned>(door: &Door, path: &str) -> Result<T, ConnectError> {
    let body = door
        .get(path, &[])
        .await
        .map_err(|error| ConnectError { why: format!("Alertmanager: {}", error.why), ..error })?;
    serde_json::from_str(&body).map_err(|error| {
        let why = format!("Alertmanager's answer is not understood: {error}");
        ConnectError::new(BlindKind::Broken, why, "check its URL: version 0.22 or later, API v2")
    })
}

fn alert(wire: AlertWire, names: &mut Names, now: Timestamp) -> Alert {
    let said = ["summary", "description", "message"];
    let summary = said.iter().find_map(|key| wire.annotations.get(*key)?.as_deref()).map(says);
    let by = |list: Option<Vec<String>>| -> Box<[Name]> { list.iter().flatten().map(|id| own(id)).collect() };
    let StatusWire { state, silenced_by, inhibited_by } = wire.status;
    let silenced = silenced_by.as_ref().is_some_and(|list| !list.is_empty());
    let name = wire.labels.get("alertname").and_then(Option::as_deref).unwrap_or("unnamed");
    Alert {
        fingerprint: own(&wire.fingerprint),
        name: names.shared(name),
        labels: names.labels(Some(&wire.labels)),
        summary,
        starts: wire.starts_at.unwrap_or(now),
        state: match state.as_str() {
            "active" => AlertState::Active,
            "suppressed" if silenced => AlertState::Silenced { by: by(silenced_by) },
            "suppressed" => AlertState::Inhibited { by: by(inhibited_by) },
            _ => AlertState::Unprocessed,
        },
    }
}

fn silence(wire: &SilenceWire, now: Timestamp) -> Silence {
    let matcher = |matcher: &Matcher| {
        let operator = match (matcher.is_equal != Some(false), matcher.is_regex) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        };
        says(&format!("{}{operator}\"{}\"", matcher.name, matcher.value))
    };
    Silence {
        id: own(&wire.id),
        matchers: wire.matchers.iter().map(matcher).collect(),
        ends: wire.ends_at.unwrap_or(now),
        by: own(&wire.created_by),
        comment: says(&wire.comment),
    }
}
