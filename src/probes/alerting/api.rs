//! The HTTP APIs of Prometheus and Alertmanager, asked on demand: by the given URL, or through the API server's
//! service proxy. Reads only: posting is for hands.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::matcher::LabelSet;
use crate::config::{ConnectError, Door, Outside, discovery};
use crate::domain::{BlindKind, Key, Timestamp, text};
use crate::probes::trouble::{Trouble, TroubleKind};

/// Most points of one range query; Prometheus refuses more than 11 000.
const POINTS: i64 = 10_000;

/// One of the two.
pub struct Api {
    door: Door,
    name: &'static str,
}

/// A line an expression draws: seconds and values.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    pub labels: LabelSet,
    pub points: Vec<(f64, f64)>,
}

/// An alert as Alertmanager has it.
#[derive(Clone, Debug)]
pub struct AlertNow {
    pub labels: LabelSet,
    pub starts: Option<Timestamp>,
    pub active: bool,
    pub silenced_by: Vec<String>,
    pub inhibited_by: Vec<String>,
    pub receivers: Vec<String>,
}

/// Where the services are, when the cluster knows.
pub enum Which {
    Prometheus,
    Alertmanager,
}

pub async fn prometheus(client: &kube::Client, outside: &Outside) -> Result<Api, Trouble> {
    reach(client, outside.prometheus_url.as_deref(), Which::Prometheus).await
}

pub async fn alertmanager(client: &kube::Client, outside: &Outside) -> Result<Api, Trouble> {
    reach(client, outside.alertmanager_url.as_deref(), Which::Alertmanager).await
}

async fn reach(client: &kube::Client, url: Option<&str>, which: Which) -> Result<Api, Trouble> {
    let (name, variable) = match which {
        Which::Prometheus => ("Prometheus", "PROMETHEUS_URL"),
        Which::Alertmanager => ("Alertmanager", "ALERTMANAGER_URL"),
    };
    let unknown = |why: &str| Trouble {
        kind: TroubleKind::Absent,
        says: format!("{name}: {why}"),
        repair: Some(format!("set {variable}")),
    };
    let door = match url {
        Some("off") => return Err(unknown("switched off in the settings")),
        Some(url) => Door::to(url, name, variable).map_err(|error| trouble(name, error))?,
        None => match found(client, &which).await.map_err(|error| trouble(name, error))? {
            Some(found) => found.door,
            None => return Err(unknown("no service in the cluster looks like it")),
        },
    };
    Ok(Api { door, name })
}

async fn found(client: &kube::Client, which: &Which) -> Result<Option<discovery::Discovered>, ConnectError> {
    match which {
        Which::Prometheus => discovery::prometheus(client).await,
        Which::Alertmanager => discovery::alertmanager(client).await,
    }
}

/// The service, whatever URL was given; None when the cluster has none that can be recognised.
pub async fn service(client: &kube::Client, which: Which) -> Option<Key> {
    let found = found(client, &which).await.ok().flatten()?;
    let (namespace, rest) = found.object.strip_prefix("service ")?.split_once('/')?;
    Some(Key::new(namespace, rest.split(':').next()?))
}

fn trouble(name: &str, error: ConnectError) -> Trouble {
    let kind = match error.kind {
        BlindKind::NotConfigured => TroubleKind::Absent,
        BlindKind::Refused => TroubleKind::Forbidden,
        BlindKind::Unreachable => TroubleKind::Unanswered,
        BlindKind::Broken => TroubleKind::Refused,
    };
    Trouble { kind, says: format!("{name}: {}", error.why), repair: error.repair }
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Value>,
    error: Option<String>,
}

impl Api {
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// The body of a successful answer.
    pub async fn text(&self, path: &str, query: &[(&str, String)]) -> Result<String, Trouble> {
        self.door.get(path, query).await.map_err(|error| trouble(self.name, error))
    }

    pub async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Trouble> {
        let body = self.text(path, query).await?;
        serde_json::from_str(&body).map_err(|error| self.broken(&error.to_string()))
    }

    /// What Prometheus packs into `data`.
    pub async fn data(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Trouble> {
        let envelope: Envelope = self.json(path, query).await?;
        envelope.data.ok_or_else(|| self.broken(&envelope.error.unwrap_or_else(|| "no data".into())))
    }

    /// What an expression is now. A scalar is one element without labels.
    pub async fn instant(&self, expr: &str) -> Result<Vec<(LabelSet, f64)>, Trouble> {
        let data = self.data("/api/v1/query", &[("query", expr.to_owned())]).await?;
        Ok(match data["resultType"].as_str() {
            Some("scalar") => vec![(LabelSet::new(), number(&data["result"][1]))],
            _ => rows(&data).map(|row| (labels(&row["metric"]), number(&row["value"][1]))).collect(),
        })
    }

    /// The only number an expression is now, if it is one.
    pub async fn number(&self, expr: &str) -> Result<Option<f64>, Trouble> {
        Ok(self.instant(expr).await?.first().map(|(_, value)| *value))
    }

    /// The lines an expression draws, asked for piece by piece where they are long. In whole seconds.
    pub async fn range(&self, expr: &str, from: i64, to: i64, step: i64) -> Result<Vec<Line>, Trouble> {
        let step = step.max(1);
        let mut lines: std::collections::BTreeMap<LabelSet, Line> = std::collections::BTreeMap::new();
        let mut start = from;
        while start <= to {
            let end = (start + (POINTS - 1) * step).min(to);
            let query = [
                ("query", expr.to_owned()),
                ("start", start.to_string()),
                ("end", end.to_string()),
                ("step", step.to_string()),
            ];
            let data = self.data("/api/v1/query_range", &query).await?;
            for row in rows(&data) {
                let labels = labels(&row["metric"]);
                let line = lines.entry(labels.clone()).or_insert_with(|| Line { labels, points: Vec::new() });
                let points = row["values"].as_array().into_iter().flatten();
                line.points
                    .extend(points.map(|pair| (pair[0].as_f64().unwrap_or_default(), number(&pair[1]))));
            }
            start = end + step;
        }
        Ok(lines.into_values().collect())
    }

    /// Every alert that Alertmanager has.
    pub async fn alerts(&self) -> Result<Vec<AlertNow>, Trouble> {
        let all: Vec<Value> = self.json("/api/v2/alerts", &[]).await?;
        Ok(all.iter().map(alert).collect())
    }

    fn broken(&self, why: &str) -> Trouble {
        Trouble {
            kind: TroubleKind::Refused,
            says: format!("{}: {}", self.name, text::redact(&text::clean(why))),
            repair: None,
        }
    }
}

/// An alert of `/api/v2/alerts` or of a group.
pub fn alert(row: &Value) -> AlertNow {
    let names = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let receivers = row["receivers"].as_array().into_iter().flatten();
    AlertNow {
        labels: labels(&row["labels"]),
        starts: row["startsAt"].as_str().and_then(|at| at.parse().ok()),
        active: row["status"]["state"] == "active",
        silenced_by: names(&row["status"]["silencedBy"]),
        inhibited_by: names(&row["status"]["inhibitedBy"]),
        receivers: receivers.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect(),
    }
}

pub fn labels(map: &Value) -> LabelSet {
    let pairs = map.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn rows(data: &Value) -> impl Iterator<Item = &Value> {
    data["result"].as_array().into_iter().flatten()
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("+Inf" | "Inf") => f64::INFINITY,
        Some("-Inf") => f64::NEG_INFINITY,
        Some(text) => text.parse().unwrap_or(f64::NAN),
        None => f64::NAN,
    }
}

/// `HighCPU{namespace="shop", pod="web-1"}`, for a person.
pub fn shown(labels: &LabelSet) -> String {
    let name = labels.get("alertname").or_else(|| labels.get("__name__")).cloned().unwrap_or_default();
    let rest: Vec<String> = labels
        .iter()
        .filter(|(key, _)| !["alertname", "__name__"].contains(&key.as_str()))
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    let rest = if rest.is_empty() { String::new() } else { format!("{{{}}}", rest.join(", ")) };
    text::clean(&format!("{name}{rest}"))
}

/// From that long before `now` until now, in whole seconds on whole steps.
pub fn window(now: Timestamp, window: Duration, step: i64) -> (i64, i64) {
    let to = now.as_second() / step * step;
    (to - window.as_secs() as i64 / step * step, to)
}
