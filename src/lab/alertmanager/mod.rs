//! The lab's Alertmanager, API v2: alerts told by the rules (or posted), silences that suppress, inhibition.
//! It knows nothing of rules and samples. Whom it notifies is counted; nobody hears of it.

mod config;
mod matcher;
mod notify;
mod render;
mod silence;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json_, json};

use super::prometheus::Form;
use super::rules::Notice;
use super::signals::Signals;
use super::tsdb::Labels;
use config::Config;
use matcher::{Matcher, all_match};
use notify::Notifier;
use silence::{Posted, Silence};

/// The configuration it begins with: one receiver, grouping, one inhibition.
pub const CONFIG: &str = "route:\n  receiver: on-call\n  group_by:\n  - alertname\n  - namespace\n\
    inhibit_rules:\n- source_matchers:\n  - severity=\"critical\"\n  target_matchers:\n  - severity=~\"warning|info\"\n  \
    equal:\n  - namespace\n  - alertname\nreceivers:\n- name: on-call\n";
/// An alert not told again for this long counts as resolved; Prometheus itself promises four resends.
const RESOLVE_AFTER: SignedDuration = SignedDuration::from_secs(4 * 60);

/// The Alertmanager. Clones share one state.
#[derive(Clone)]
pub struct Alertmanager {
    state: Arc<Mutex<Held>>,
    started: Timestamp,
    /// Where its file is, when it has one.
    files: Option<Signals>,
    clock: fn() -> Timestamp,
}

struct Held {
    alerts: BTreeMap<Labels, Alert>,
    silences: Vec<Silence>,
    config: Config,
    notifier: Notifier,
}

/// An alert as it was last told.
#[derive(Clone)]
struct Alert {
    labels: Labels,
    annotations: BTreeMap<String, String>,
    starts: Timestamp,
    ends: Timestamp,
    updated: Timestamp,
    generator: String,
}

/// Who keeps an alert from being notified.
#[derive(Default)]
struct Suppression {
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
}

impl Alertmanager {
    pub fn new(started: Timestamp) -> Self {
        Self::of(CONFIG, started)
    }

    /// With this configuration, or none where it is not sound.
    pub fn of(config: &str, started: Timestamp) -> Self {
        let held = Held {
            alerts: BTreeMap::new(),
            silences: Vec::new(),
            config: Config::read(config).unwrap_or_default(),
            notifier: Notifier::default(),
        };
        Self { state: Arc::new(Mutex::new(held)), started, clock: Timestamp::now, files: None }
    }

    /// It loads what the world has put into its container, and says there how many notifications it sent.
    #[must_use]
    pub fn reading(self, files: Signals) -> Self {
        Self { files: Some(files), ..self }
    }

    /// With the time of this clock.
    #[must_use]
    pub fn at(self, clock: fn() -> Timestamp) -> Self {
        Self { clock, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Takes what the rules say; `generator` is the Prometheus it comes from.
    pub fn tell(&self, notices: Vec<Notice>, generator: &str, now: Timestamp) {
        let sent = self.with(|held| {
            for Notice { labels, annotations, starts, ends } in notices {
                let ends = ends.unwrap_or_else(|| now.saturating_add(RESOLVE_AFTER).unwrap_or(now));
                let generator = format!("{generator}/graph");
                held.alerts.insert(
                    labels.clone(),
                    Alert { labels, annotations, starts, ends, updated: now, generator },
                );
            }
            held.alerts.retain(|_, alert| alert.ends > now);
            held.notify(now)
        });
        if let Some(files) = &self.files {
            files.write(|shown| shown.notified = sent);
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Held) -> R) -> R {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Held {
    fn notify(&mut self, now: Timestamp) -> u64 {
        let mut firing: BTreeMap<_, BTreeSet<Labels>> = BTreeMap::new();
        for (alert, by) in self.current(now) {
            if by.silenced_by.is_empty() && by.inhibited_by.is_empty() {
                for group in self.config.groups(&alert.labels) {
                    firing.entry(group).or_default().insert(alert.labels.clone());
                }
            }
        }
        self.notifier.flush(&firing, now)
    }

    /// Alerts that have not ended, each with what suppresses it.
    fn current(&self, now: Timestamp) -> Vec<(&Alert, Suppression)> {
        let live: Vec<&Alert> = self.alerts.values().filter(|alert| alert.ends > now).collect();
        live.iter().map(|alert| (*alert, self.suppression(alert, &live, now))).collect()
    }

    fn receivers(&self, alert: &Alert) -> Vec<String> {
        self.config.groups(&alert.labels).into_iter().map(|(receiver, _)| receiver).collect()
    }

    fn suppression(&self, alert: &Alert, live: &[&Alert], now: Timestamp) -> Suppression {
        let silences = self.silences.iter().filter(|silence| silence.suppresses(&alert.labels, now));
        let inhibitors = live.iter().filter(|source| self.config.inhibits(&source.labels, &alert.labels));
        Suppression {
            silenced_by: silences.map(|silence| silence.id.clone()).collect(),
            inhibited_by: inhibitors.map(|source| render::fingerprint(&source.labels)).collect(),
        }
    }
}

/// The whole API.
pub fn router(alertmanager: Alertmanager) -> Router {
    Router::new()
        .route("/api/v2/status", get(status))
        .route("/api/v2/receivers", get(receivers))
        .route("/-/reload", post(reload).put(reload))
        .route("/api/v2/alerts", get(alerts).post(post_alerts))
        .route("/api/v2/alerts/groups", get(groups))
        .route("/api/v2/silences", get(silences).post(post_silence))
        .route("/api/v2/silence/{id}", get(silence).delete(expire_silence))
        .route("/-/ready", get(|| async { "OK" }))
        .route("/-/healthy", get(|| async { "OK" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
        .with_state(alertmanager)
}

/// An error in the Alertmanager's own form: a JSON string.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn bad_request(why: impl Into<String>) -> Failure {
    Failure(StatusCode::BAD_REQUEST, why.into())
}

async fn receivers(State(alertmanager): State<Alertmanager>) -> response::Json<Json_> {
    let name = |name: &String| json!({"name": name});
    Json(alertmanager.with(|held| held.config.receivers.iter().map(name).collect()))
}

/// Loads the file as it is in the container now, or refuses and goes on.
async fn reload(State(alertmanager): State<Alertmanager>) -> Response {
    let Some(files) = &alertmanager.files else { return StatusCode::OK.into_response() };
    let mounted = files.read(|shown| shown.server.mounted.clone());
    let Some((_, _, text)) = mounted else { return StatusCode::OK.into_response() };
    match Config::read(&text) {
        Ok(config) => {
            alertmanager.with(|held| held.config = config);
            StatusCode::OK.into_response()
        }
        Err(why) => {
            let says = format!("failed to reload config: {why}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, says).into_response()
        }
    }
}

async fn status(State(alertmanager): State<Alertmanager>) -> response::Json<Json_> {
    let original = alertmanager.with(|held| held.config.original.clone());
    Json(json!({
        "cluster": {"status": "disabled", "peers": []},
        "config": {"original": original},
        "uptime": alertmanager.started.to_string(),
        "versionInfo": {"version": "0.25.0", "revision": "lab", "branch": "HEAD", "buildUser": "covet-tui lab",
                        "buildDate": "20221222-14:51:36", "goVersion": ""},
    }))
}

/// What a listing asks for.
struct Wanted {
    active: bool,
    silenced: bool,
    inhibited: bool,
    filters: Vec<Matcher>,
    receiver: Option<regex::Regex>,
}

impl Wanted {
    fn read(url: Option<&str>) -> Result<Self, Failure> {
        let form = Form::read(url, &[]);
        let wants = |name| form.get(name) != Some("false");
        let filters =
            form.all("filter").map(matcher::parse).collect::<Result<_, _>>().map_err(bad_request)?;
        let receiver = form.get("receiver").and_then(|text| regex::Regex::new(&format!("^(?:{text})$")).ok());
        let (active, silenced, inhibited) = (wants("active"), wants("silenced"), wants("inhibited"));
        Ok(Self { active, silenced, inhibited, filters, receiver })
    }

    fn hears(&self, receivers: &[String]) -> bool {
        self.receiver.as_ref().is_none_or(|wanted| receivers.iter().any(|name| wanted.is_match(name)))
    }

    fn takes(&self, alert: &Alert, suppression: &Suppression) -> bool {
        let (silenced, inhibited) =
            (!suppression.silenced_by.is_empty(), !suppression.inhibited_by.is_empty());
        all_match(&self.filters, &alert.labels)
            && (self.active || silenced || inhibited)
            && (self.silenced || !silenced)
            && (self.inhibited || !inhibited)
    }
}

async fn alerts(
    State(alertmanager): State<Alertmanager>,
    RawQuery(url): RawQuery,
) -> Result<Json<Json_>, Failure> {
    let wanted = Wanted::read(url.as_deref())?;
    Ok(Json(alertmanager.with(|held| {
        let current = held.current(alertmanager.now()).into_iter();
        current
            .filter(|(alert, by)| wanted.takes(alert, by))
            .map(|(alert, by)| (alert, by, held.receivers(alert)))
            .filter(|(.., receivers)| wanted.hears(receivers))
            .map(|(alert, by, receivers)| render::alert(alert, &by, &receivers))
            .collect()
    })))
}

async fn groups(
    State(alertmanager): State<Alertmanager>,
    RawQuery(url): RawQuery,
) -> Result<Json<Json_>, Failure> {
    let wanted = Wanted::read(url.as_deref())?;
    Ok(Json(alertmanager.with(|held| {
        let mut groups: BTreeMap<(String, Labels), Vec<Json_>> = BTreeMap::new();
        for (alert, by) in held.current(alertmanager.now()) {
            if wanted.takes(alert, &by) {
                for group in held.config.groups(&alert.labels) {
                    if wanted.hears(std::slice::from_ref(&group.0)) {
                        let row = render::alert(alert, &by, &held.receivers(alert));
                        groups.entry(group).or_default().push(row);
                    }
                }
            }
        }
        let group = |((receiver, labels), alerts): ((String, Labels), Vec<Json_>)| {
            json!({"labels": render::labels(&labels), "receiver": {"name": receiver}, "alerts": alerts})
        };
        groups.into_iter().map(group).collect()
    })))
}

async fn post_alerts(State(alertmanager): State<Alertmanager>, body: Bytes) -> Result<(), Failure> {
    let posted: Vec<render::PostedAlert> =
        serde_json::from_slice(&body).map_err(|why| bad_request(why.to_string()))?;
    let now = alertmanager.now();
    if posted.iter().any(|alert| alert.labels.is_empty()) {
        return Err(bad_request("at least one label pair required"));
    }
    alertmanager.with(|held| {
        for alert in posted {
            let alert = alert.received(now);
            held.alerts.insert(alert.labels.clone(), alert);
        }
    });
    Ok(())
}

async fn silences(
    State(alertmanager): State<Alertmanager>,
    RawQuery(url): RawQuery,
) -> Result<Json<Json_>, Failure> {
    let form = Form::read(url.as_deref(), &[]);
    let filters: Vec<Matcher> =
        form.all("filter").map(matcher::parse).collect::<Result<_, _>>().map_err(bad_request)?;
    let now = alertmanager.now();
    Ok(Json(alertmanager.with(|held| {
        held.silences.iter().filter(|silence| silence.is_about(&filters)).map(|s| s.to_json(now)).collect()
    })))
}

async fn post_silence(State(alertmanager): State<Alertmanager>, body: Bytes) -> Result<Json<Json_>, Failure> {
    let posted: Posted = serde_json::from_slice(&body).map_err(|why| bad_request(why.to_string()))?;
    let now = alertmanager.now();
    let id = alertmanager.with(|held| silence::accept(&mut held.silences, posted, now))?;
    Ok(Json(json!({"silenceID": id})))
}

async fn silence(
    State(alertmanager): State<Alertmanager>,
    Path(id): Path<String>,
) -> Result<Json<Json_>, Failure> {
    let now = alertmanager.now();
    alertmanager.with(|held| {
        let found = held.silences.iter().find(|silence| silence.id == id);
        found.map(|silence| Json(silence.to_json(now))).ok_or_else(|| not_found(&id))
    })
}

async fn expire_silence(
    State(alertmanager): State<Alertmanager>,
    Path(id): Path<String>,
) -> Result<(), Failure> {
    let now = alertmanager.now();
    alertmanager.with(|held| {
        let found = held.silences.iter_mut().find(|silence| silence.id == id);
        found.ok_or_else(|| not_found(&id))?.expire(now)
    })
}

fn not_found(id: &str) -> Failure {
    Failure(StatusCode::NOT_FOUND, format!("silence {id} not found"))
}
