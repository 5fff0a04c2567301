//! Any expression, and the history of alerts: who is noisy, who flaps, what that made in notifications.

use std::time::Duration;

use super::api::{Api, shown, window};
use super::document::written;
use crate::domain::{Timestamp, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::trouble::Trouble;

/// Most elements shown.
const SHOWN: usize = 200;
/// Points of a line drawn when nobody says the step.
const DRAWN: u64 = 60;
/// More fires and resolves than this in the window flap (audit, section 3: 5 in 6 h).
pub const FLAPS: f64 = 5.0;
/// One alert with more than this share of all firing dominates (audit, section 3).
const DOMINANT: f64 = 0.4;

pub(super) async fn promql(
    api: &Api,
    expr: &str,
    over: Option<Duration>,
    step: Option<Duration>,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let mut answer = Answer::new();
    let Some(over) = over else {
        let found = api.instant(expr).await?;
        answer.summary(match found.as_slice() {
            [] => "nothing: the expression has no element now".to_owned(),
            [(labels, value)] => format!("{} {value}", shown(labels)).trim().to_owned(),
            several => text::count(several.len(), "element"),
        });
        if let Some((_, value)) = found.first() {
            answer.bind("value", value.to_string());
        }
        for (labels, value) in found.iter().take(SHOWN) {
            answer.line(Tone::Plain, format!("{} {value}", shown(labels)).trim());
        }
        answer.dropped(found.len().saturating_sub(SHOWN));
        return Ok(answer);
    };
    let step = step.map_or_else(|| (over.as_secs() / DRAWN).max(15), |step| step.as_secs().max(1)) as i64;
    let (from, to) = window(now, over, step);
    let lines = api.range(expr, from, to, step).await?;
    answer.summary(format!("{} over {}", text::count(lines.len(), "line"), text::span(over)));
    let heading = ["SERIES", "LAST", "MIN", "MAX", "MEAN"].map(str::to_owned).to_vec();
    let rows = lines.iter().take(SHOWN).map(|line| {
        let values = || line.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let mean = values().sum::<f64>() / values().count().max(1) as f64;
        let last = line.points.last().map_or(f64::NAN, |(_, value)| *value);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        vec![shown(&line.labels), short(last), short(low), short(high), short(mean)]
    });
    let cells: Vec<_> = std::iter::once(heading).chain(rows).collect();
    answer.lines(std::iter::once(Tone::Heading).chain(std::iter::repeat(Tone::Plain)).zip(columns(&cells)));
    answer.dropped(lines.len().saturating_sub(SHOWN));
    Ok(answer)
}

fn short(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        "–".into()
    }
}

/// Who is noisy over a week, who flaps in the window, and the notifications of the last hour and half day.
pub(super) async fn history(api: &Api, over: Duration) -> Result<Answer, Trouble> {
    let flaps = api.instant(&flaps_query(over)).await?;
    let noise = api
        .instant(r#"sum by (alertname, severity) (count_over_time(ALERTS{alertstate="firing"}[7d]))"#)
        .await?;
    let mut answer = Answer::new();
    let total: f64 = noise.iter().map(|(_, value)| value).sum();
    let name =
        |labels: &super::document::matcher::LabelSet| labels.get("alertname").cloned().unwrap_or_default();
    let mut rows: Vec<(String, String, f64, f64)> = noise
        .iter()
        .filter(|(labels, _)| !super::health::WATCHDOGS.contains(&name(labels).as_str()))
        .map(|(labels, value)| {
            let of = name(labels);
            let flapped =
                flaps.iter().find(|(labels, _)| name(labels) == of).map_or(0.0, |(_, flaps)| *flaps);
            let severity = labels.get("severity").cloned().unwrap_or_else(|| "none".into());
            (of, severity, value / total.max(1.0), flapped)
        })
        .collect();
    rows.sort_by(|one, other| other.3.total_cmp(&one.3).then(other.2.total_cmp(&one.2)));
    weigh(&rows, over, &mut answer);
    notifications(api, &mut answer).await;
    let heading = ["ALERT", "SEVERITY", "SHARE 7d", &format!("AGAIN {}", text::span_short(over))]
        .map(str::to_owned)
        .to_vec();
    let cells: Vec<Vec<String>> = std::iter::once(heading)
        .chain(rows.iter().take(SHOWN).map(|(alert, severity, share, flaps)| {
            vec![alert.clone(), severity.clone(), format!("{:.0} %", share * 100.0), format!("{flaps:.0}")]
        }))
        .collect();
    let tones = rows.iter().map(|row| if row.3 >= FLAPS { Tone::Bad } else { Tone::Plain });
    answer.lines(std::iter::once(Tone::Heading).chain(tones).zip(columns(&cells)));
    Ok(answer)
}

/// How often each alert became active again: the moment that it is active since changes.
pub fn flaps_query(over: Duration) -> String {
    format!("sum by (alertname) (changes(ALERTS_FOR_STATE[{}]))", written(over))
}

fn weigh(rows: &[(String, String, f64, f64)], over: Duration, answer: &mut Answer) {
    let Some((worst, severity, _, flaps)) = rows.first() else {
        answer.summary("no alert has fired in the last week");
        return;
    };
    answer.bind("noisy_alert", worst);
    answer.bind("noisy_severity", severity);
    let window = text::span(over);
    let mut says = format!("{worst} became active again {flaps:.0} times in {window}");
    if *flaps >= FLAPS {
        answer.found(cause::ALERT_FLAPPING, &says);
    }
    if let Some((loud, _, share, _)) = rows.iter().find(|row| row.2 > DOMINANT) {
        let loud = format!("{loud} makes {:.0} % of all firing in 7 d", share * 100.0);
        answer.found(cause::ALERT_DOMINANT, &loud);
        says = format!("{says}; {loud}");
    }
    answer.summary(says);
}

async fn notifications(api: &Api, answer: &mut Answer) {
    for (over, what) in [("1h", "the last hour"), ("12h", "the last 12 h")] {
        match api.number(&format!("sum(increase(alertmanager_notifications_total[{over}]))")).await {
            Ok(Some(sent)) => {
                answer.line(Tone::Plain, format!("{sent:.0} notifications in {what}"));
                answer.bind(
                    if over == "1h" { "notifications_1h" } else { "notifications_12h" },
                    format!("{sent:.0}"),
                );
            }
            _ => {
                answer.line(
                    Tone::Dim,
                    "Prometheus does not scrape Alertmanager: notifications are not counted",
                );
                return;
            }
        }
    }
}
