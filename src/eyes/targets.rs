//! What Prometheus scrapes and cannot: which, since when, and in its own words why.

use std::collections::HashMap;

use prometheus_http_query::response::InstantVector;
use serde_json::Value;

use super::kubernetes::names::{own, says};
use super::prometheus::{Prometheus, moment};
use crate::domain::{Name, Target};

/// So many are told of.
const MOST: usize = 20;

/// Those that do not answer; what was known of them at the last look is not asked again. Nothing where Prometheus cannot
/// be asked: then other words say so.
pub(super) async fn down(prometheus: &Prometheus, scope: Option<&str>, before: &[Target]) -> Vec<Target> {
    let those = match scope {
        Some(namespace) => format!("(up{{namespace=\"{namespace}\"}} or up{{namespace=\"\"}})"),
        None => "up".to_owned(),
    };
    let Ok(found) = prometheus.instant(&format!("{those} == 0")).await else { return Vec::new() };
    let mut found: Vec<Target> = found.iter().filter_map(|row| target(row.metric())).collect();
    found.sort_by(|one, other| (&one.job, &one.instance).cmp(&(&other.job, &other.instance)));
    found.truncate(MOST);
    let is_same = |one: &Target, other: &Target| one.job == other.job && one.instance == other.instance;
    if found.iter().all(|target| before.iter().any(|known| is_same(known, target))) {
        let known = |target: &Target| before.iter().find(|known| is_same(known, target)).cloned();
        return found.iter().filter_map(known).collect();
    }
    let since = format!("max_over_time(timestamp({those} == 1)[6h:1m]) and {those} == 0");
    let (seen_up, errors) = tokio::join!(prometheus.instant(&since), prometheus.targets());
    let (seen_up, errors) = (seen_up.unwrap_or_default(), errors.unwrap_or_default());
    for target in &mut found {
        let is_its =
            |row: &&InstantVector| self::target(row.metric()).is_some_and(|other| is_same(&other, target));
        target.last_up = seen_up.iter().find(is_its).and_then(|row| moment(row.sample().value()));
        target.error = error(&errors, target);
    }
    found
}

fn target(labels: &HashMap<String, String>) -> Option<Target> {
    let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).map(|value| own(value));
    Some(Target {
        job: label("job")?,
        instance: label("instance")?,
        namespace: label("namespace"),
        pod: label("pod"),
        last_up: None,
        error: None,
    })
}

/// Why its last scrape failed.
fn error(targets: &Value, target: &Target) -> Option<Name> {
    let text =
        |row: &Value, path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows = targets.get("activeTargets")?.as_array()?;
    let row = rows.iter().find(|row| {
        text(row, "/labels/job") == *target.job && text(row, "/labels/instance") == *target.instance
    })?;
    Some(text(row, "/lastError")).filter(|error| !error.is_empty()).map(|error| says(&error))
}
