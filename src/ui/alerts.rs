//! What Alertmanager holds, the gravest first: the page behind the header's count.

use std::cmp::Reverse;

use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, sign};
use crate::app::App;
use crate::domain::{Age, Alert, AlertGrade, AlertState, Origin, between, text};

/// What every alert of a name says, or what its row says already.
const TOLD: &[&str] = &["alertname", "severity", "prometheus"];

/// A heading for each name and severity, and one line for each of its alerts, the oldest first.
pub fn lines<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    if let Age::Blind(blind, _) = app.snapshot.age(Origin::Alertmanager, app.now) {
        let repair = blind.repair.as_ref().map(|repair| format!(" → {repair}")).unwrap_or_default();
        let words = format!("{}: {}{repair}", frame::since(&blind, app.now), blind.why);
        return vec![Line::styled(text::clean(&words), look.note)];
    }
    let mut alerts: Vec<&Alert> = app.snapshot.alerts_in_scope().collect();
    if alerts.is_empty() {
        return vec![Line::styled("no alert fires", look.good)];
    }
    alerts.sort_by(|one, other| order(one).cmp(&order(other)));
    let mut lines = Vec::new();
    for group in alerts.chunk_by(|one, other| kind(one) == kind(other)) {
        let Some(first) = group.first() else { continue };
        lines.push(heading(first, group.len(), look));
        lines.extend(group.iter().map(|alert| row(app, alert, look, cells)));
    }
    lines
}

/// Those that reach nobody last, then by how grave they are.
fn kind(alert: &Alert) -> (bool, Reverse<AlertGrade>, &str, &str) {
    let quiet = alert.state != AlertState::Active;
    (quiet, Reverse(alert.grade()), &alert.name, severity(alert))
}

fn severity(alert: &Alert) -> &str {
    alert.labels.get("severity").map_or("", |word| word)
}

fn order(alert: &Alert) -> impl Ord {
    (kind(alert), alert.starts, &alert.fingerprint)
}

fn heading<'a>(first: &Alert, count: usize, look: &Look) -> Line<'a> {
    let (sign, style) = match (&first.state, first.grade()) {
        (AlertState::Active, AlertGrade::Grave) => (sign::BAD, look.bad),
        (AlertState::Active, AlertGrade::Warning) => (sign::WARN, look.warn),
        _ => (sign::OPEN, look.dim),
    };
    let severity = Some(severity(first)).filter(|word| !word.is_empty()).unwrap_or("no severity");
    Line::from(vec![
        Span::styled(format!("{sign} "), style),
        fit::span(&first.name, look.strong),
        fit::span(format!("  {severity}  "), style),
        Span::styled(text::count(count, "alert"), look.dim),
    ])
}

fn row<'a>(app: &App, alert: &Alert, look: &Look, cells: usize) -> Line<'a> {
    let labels = alert.labels.0.iter().filter(|(name, _)| !TOLD.contains(&&**name));
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    let state = match &alert.state {
        AlertState::Active => "",
        AlertState::Silenced { .. } => "silenced  ",
        AlertState::Inhibited { .. } => "inhibited  ",
        AlertState::Unprocessed => "not routed yet  ",
    };
    let summary = alert.summary.as_deref().unwrap_or_default();
    let left = vec![
        Span::styled(format!("    {state}"), look.note),
        fit::span(labels.join(" "), look.text),
        fit::span(format!("  {summary}"), look.dim),
    ];
    let age = format!("for {}", text::span(between(alert.starts, app.now)));
    fit::two_ends(left, vec![Span::styled(age, look.dim)], cells)
}
