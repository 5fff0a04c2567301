//! Alertmanager: how alerts are grouped and routed now, what is silenced, and the configuration it runs.

use serde_json::Value;

use super::api::{AlertNow, Api, alert, labels, shown};
use super::document::{Routing, read, redacted};
use super::held;
use crate::domain::{Timestamp, Tone, between, cause, masked, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, string};
use crate::probes::trouble::Trouble;

/// More groups of one cause than this are not grouped (a handful is usual: a few namespaces, a few jobs).
const GROUPS: usize = 5;
/// Alerts that have been active for so long are standing (audit, section 3).
const STANDING: std::time::Duration = std::time::Duration::from_hours(24);
/// So many standing alerts are worth a word (audit, section 3).
const MANY_STANDING: usize = 5;

pub(super) async fn groups(api: &Api, now: Timestamp) -> Result<Answer, Trouble> {
    let groups: Vec<Value> = api.json("/api/v2/alerts/groups", &[]).await?;
    let alerts = api.alerts().await?;
    let mut answer = Answer::new();
    let quiet = alerts.iter().filter(|alert| !alert.active).count();
    answer.summary(format!(
        "{} in {}, {quiet} of them suppressed",
        text::count(alerts.len(), "alert"),
        text::count(groups.len(), "group")
    ));
    answer.bind("alert_groups", groups.len().to_string());
    answer.bind("alerts_active", (alerts.len() - quiet).to_string());
    let mut rows: Vec<(usize, String, String, Vec<AlertNow>)> = groups
        .iter()
        .map(|group| {
            let inside: Vec<AlertNow> = items(group, "/alerts").iter().map(alert).collect();
            (
                inside.len(),
                string(group, "/receiver/name").to_owned(),
                shown(&labels(&group["labels"])),
                inside,
            )
        })
        .collect();
    rows.sort_by(|one, other| other.0.cmp(&one.0).then(one.2.cmp(&other.2)));
    let heading = ["ALERTS", "RECEIVER", "GROUPED BY"].map(str::to_owned).to_vec();
    let cells: Vec<_> = std::iter::once(heading)
        .chain(rows.iter().map(|(count, receiver, by, _)| {
            let by = if by.is_empty() { "nothing".to_owned() } else { by.clone() };
            vec![count.to_string(), receiver.clone(), by]
        }))
        .collect();
    answer.lines(std::iter::once(Tone::Heading).chain(std::iter::repeat(Tone::Plain)).zip(columns(&cells)));
    ungrouped(&rows, &mut answer);
    standing(&alerts, now, &mut answer);
    Ok(answer)
}

/// Groups of one alert each, all of the same alert: they are notified one by one.
fn ungrouped(rows: &[(usize, String, String, Vec<AlertNow>)], answer: &mut Answer) {
    let names = rows
        .iter()
        .filter(|row| row.0 == 1)
        .filter_map(|row| row.3.first().filter(|alert| alert.active)?.labels.get("alertname"));
    let counted = crate::probes::object::tally(names.map(String::as_str));
    if let Some((name, count)) = counted.first().filter(|(_, count)| *count >= GROUPS) {
        answer.found(
            cause::ALERT_UNGROUPED,
            format!("{count} groups of one {name} each: it is notified {count} times"),
        );
    }
}

fn standing(alerts: &[AlertNow], now: Timestamp, answer: &mut Answer) {
    let long: Vec<String> = alerts
        .iter()
        .filter(|alert| alert.active && alert.starts.is_some_and(|since| between(since, now) > STANDING))
        .filter_map(|alert| alert.labels.get("alertname").cloned())
        .filter(|name| !super::health::WATCHDOGS.contains(&name.as_str()))
        .collect();
    if long.len() >= MANY_STANDING {
        let says = format!("{} alerts active for more than a day: {}", long.len(), long.join(", "));
        answer.found(cause::ALERT_STANDING, says);
    }
}

pub(super) async fn silences(api: &Api, now: Timestamp) -> Result<Answer, Trouble> {
    let all: Vec<Value> = api.json("/api/v2/silences", &[]).await?;
    let active: Vec<&Value> = all.iter().filter(|row| string(row, "/status/state") == "active").collect();
    let mut answer = Answer::new();
    answer.summary(match active.len() {
        0 => "nothing is silenced".to_owned(),
        some => format!("{} in force", text::count(some, "silence")),
    });
    for row in active {
        let ends = string(row, "/endsAt").parse::<Timestamp>().ok();
        let left = ends.map(|ends| text::span(between(now, ends))).unwrap_or_default();
        let matchers: Vec<String> = items(row, "/matchers").iter().map(matcher).collect();
        answer.line(
            Tone::Plain,
            format!(
                "{}  {left} left  {}  by {}: {}",
                string(row, "/id"),
                matchers.join(","),
                string(row, "/createdBy"),
                string(row, "/comment")
            ),
        );
        answer.bind("silence", string(row, "/id"));
    }
    Ok(answer)
}

fn matcher(row: &Value) -> String {
    let flag = |key: &str, usual: bool| row[key].as_bool().unwrap_or(usual);
    let operator = match (flag("isEqual", true), flag("isRegex", false)) {
        (true, false) => "=",
        (true, true) => "=~",
        (false, false) => "!=",
        (false, true) => "!~",
    };
    format!("{}{operator}{:?}", string(row, "/name"), string(row, "/value"))
}

/// What it runs, without secrets; whether that is what is kept; and what the kept one would be refused for.
pub(super) async fn config(api: &Api, cluster: &Cluster) -> Result<Answer, Trouble> {
    let running = running(api).await?;
    let mut answer = Answer::new();
    let mut says = format!("runs {}", masked(&running));
    let routing = match read(&running) {
        Ok((_, routing)) => Some(routing),
        Err(wrong) => {
            answer.line(Tone::Dim, format!("not fully understood: {}", wrong.join("; ")));
            None
        }
    };
    match held::alertmanager(cluster).await {
        Ok(kept) => {
            let place = format!("{} {} ({})", kept.object, kept.entry, kept.object.key.namespace);
            says = format!("{says}; kept in {place}");
            answer.bind("alertmanager_document", kept.object.to_string());
            match read(&kept.text) {
                Ok(_) => answer.line(Tone::Good, format!("{place} is well-formed")),
                Err(wrong) => {
                    for why in &wrong {
                        answer.line(Tone::Bad, format!("{place}: {why}"));
                    }
                    answer.found(
                        cause::ALERTMANAGER_CONFIG,
                        format!("{place} would be refused: {}", wrong.join("; ")),
                    );
                }
            }
        }
        Err(trouble) => {
            answer.bind("config_unkept", trouble.to_string());
            answer.line(Tone::Dim, trouble.to_string());
        }
    }
    answer.summary(says);
    if let Some(routing) = routing {
        routed(api, &routing, &mut answer).await;
    }
    answer.lines(redacted(&running).lines().map(|line| (Tone::Plain, line.to_owned())));
    Ok(answer)
}

/// Alerts that only the root route takes although others have routes of their own.
async fn routed(api: &Api, routing: &Routing, answer: &mut Answer) {
    let Ok(alerts) = api.alerts().await else { return };
    let by = |alert: &AlertNow| routing.taken_by(&alert.labels).first().map(|route| route.receiver.clone());
    let receivers = crate::probes::object::tally(
        alerts.iter().filter_map(by).collect::<Vec<_>>().iter().map(String::as_str),
    )
    .into_iter()
    .map(|(receiver, count)| format!("{count} to {receiver}"))
    .collect::<Vec<_>>();
    if !receivers.is_empty() {
        answer.line(Tone::Plain, format!("alerts now: {}", receivers.join(", ")));
    }
}

/// The document Alertmanager runs, as it tells it: with `<secret>` for secrets.
pub async fn running(api: &Api) -> Result<String, Trouble> {
    let status: Value = api.json("/api/v2/status", &[]).await?;
    Ok(string(&status, "/config/original").to_owned())
}
