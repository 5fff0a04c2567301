//! Answers as JSON in the shapes and number formats of Prometheus 2.42.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::lab::promql::{Line, Point, Value};
use crate::lab::rules::{Active, Group, Rule, state_name};
use crate::lab::tsdb::{Labels, NAME, Series};

/// `data` of an instant query.
pub(super) fn value(value: &Value, at: i64) -> Json {
    let (kind, result) = match value {
        Value::Scalar(value) => ("scalar", pair(at, *value)),
        Value::String(text) => ("string", json!([time(at), text])),
        Value::Vector(points) => {
            let point =
                |point: &Point| json!({"metric": labels(&point.labels), "value": pair(at, point.value)});
            ("vector", points.iter().map(point).collect())
        }
        Value::Matrix(lines) => return matrix(lines),
    };
    json!({"resultType": kind, "result": result})
}

/// `data` of a range query.
pub(super) fn matrix(lines: &[Line]) -> Json {
    let line = |line: &Line| {
        let values: Vec<Json> = line.samples.iter().map(|sample| pair(sample.at, sample.value)).collect();
        json!({"metric": labels(&line.labels), "values": values})
    };
    json!({"resultType": "matrix", "result": lines.iter().map(line).collect::<Vec<_>>()})
}

pub(super) fn labels(labels: &Labels) -> Json {
    Json::Object(labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect())
}

fn pair(at: i64, value: f64) -> Json {
    json!([time(at), number(value)])
}

/// Seconds, with a fraction only when there is one.
fn time(at: i64) -> Json {
    if at % 1000 == 0 { Json::from(at / 1000) } else { Json::from(at as f64 / 1e3) }
}

/// As Go's encoding/json writes floats: plain, or with a two-digit exponent when very large or small.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size > 0.0 && !(1e-6..1e21).contains(&size) { exponential(value) } else { value.to_string() }
}

/// Go's `%e` with the shortest mantissa: `1e+00`.
fn exponential(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `data` of `/api/v1/rules`.
pub(super) fn rules(groups: &[Group]) -> Json {
    let group = |group: &Group| {
        let evaluated = group.rules.iter().filter_map(|rule| rule.evaluated).max();
        json!({
            "name": group.name, "file": "/etc/config/alerting_rules.yml", "interval": 15, "limit": 0,
            "evaluationTime": 0.001, "lastEvaluation": moment(evaluated),
            "rules": group.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    json!({"groups": groups.iter().map(group).collect::<Vec<_>>()})
}

fn rule(rule: &Rule) -> Json {
    let firing = rule.active.values().any(|active| active.firing);
    let state = if rule.active.is_empty() { "inactive" } else { state_name(firing) };
    let health = match (&rule.failed, rule.evaluated) {
        (Some(_), _) => "err",
        (None, None) => "unknown",
        (None, Some(_)) => "ok",
    };
    let mut json = json!({
        "state": state, "name": rule.name, "query": rule.query, "duration": rule.holds.as_secs_f64(), "keepFiringFor": 0,
        "labels": rule.labels, "annotations": rule.annotations, "alerts": rule_alerts(rule),
        "health": health, "evaluationTime": 0.0001, "lastEvaluation": moment(rule.evaluated),
        "type": "alerting",
    });
    if let Some(why) = &rule.failed {
        json["lastError"] = Json::from(why.as_str());
    }
    json
}

/// `data` of `/api/v1/alerts`.
pub(super) fn alerts(groups: &[Group]) -> Json {
    let alerts: Vec<Json> = groups.iter().flat_map(|group| &group.rules).flat_map(rule_alerts).collect();
    json!({"alerts": alerts})
}

fn rule_alerts(rule: &Rule) -> Vec<Json> {
    let alert = |(of, active): (&Labels, &Active)| {
        json!({
            "labels": labels(of), "annotations": active.annotations, "state": state_name(active.firing),
            "activeAt": active.since.to_string(), "value": exponential(active.value),
        })
    };
    rule.active.iter().map(alert).collect()
}

/// `data` of `/api/v1/targets`, told from the series `up`.
pub(super) fn targets(up: &[Series]) -> Json {
    let target = |series: &Series| {
        let of = series.labels.retain(|name| name != NAME);
        let last = series.samples.last();
        let instance = of.get("instance");
        let healthy = last.is_some_and(|sample| sample.value > 0.0);
        let scraped = last.and_then(|sample| Timestamp::from_millisecond(sample.at).ok());
        let url = format!("http://{instance}/metrics");
        let discovered: Map<String, Json> = [
            ("__address__".to_owned(), Json::from(instance)),
            ("__metrics_path__".to_owned(), Json::from("/metrics")),
            ("__scheme__".to_owned(), Json::from("http")),
            ("job".to_owned(), Json::from(of.get("job"))),
        ]
        .into_iter()
        .collect();
        json!({
            "discoveredLabels": discovered, "labels": labels(&of), "scrapePool": of.get("job"),
            "scrapeUrl": url, "globalUrl": url, "lastScrape": moment(scraped), "lastScrapeDuration": 0.01,
            "lastError": if healthy { "" } else { "context deadline exceeded" },
            "health": if healthy { "up" } else { "down" }, "scrapeInterval": "15s", "scrapeTimeout": "10s",
        })
    };
    json!({"activeTargets": up.iter().map(target).collect::<Vec<_>>(), "droppedTargets": []})
}

/// RFC 3339; Go's zero time when there is none.
fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}
