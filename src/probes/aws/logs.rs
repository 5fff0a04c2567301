//! Log groups of CloudWatch: lines that match a pattern, and who was refused by the Kubernetes API.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::aws::{AwsError, Session};
use crate::domain::{AwsDoes, Name, Timestamp, Tone, text};
use crate::probes::answer::{Answer, columns};

/// Pages of one question: FilterLogEvents may return many empty ones.
const PAGES: usize = 20;
/// Events that are looked at.
const MOST: usize = 5_000;

/// A line of a log group.
struct Event {
    at: Option<Timestamp>,
    message: String,
}

pub(super) async fn events(
    session: &Session,
    group: &str,
    pattern: &str,
    window: Duration,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let (events, more) = filter(session, group, pattern, window, now).await?;
    let mut answer = Answer::new();
    for event in &events {
        let at = event.at.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
        answer.line(Tone::Plain, format!("{at} {}", event.message.trim()));
    }
    let note = if more { ", and more" } else { "" };
    answer.summary(format!("{} in {group}{note}", text::count(events.len(), "matching event")));
    Ok(answer)
}

/// 401 and 403 of the EKS audit log, by who and what. Kubernetes events never show them.
pub(super) async fn denials(
    session: &Session,
    cluster: &Name,
    window: Duration,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let group = format!("/aws/eks/{cluster}/cluster");
    let (events, more) = filter(session, &group, AwsDoes::DENIALS, window, now).await?;
    let mut by: BTreeMap<[String; 4], usize> = BTreeMap::new();
    for event in &events {
        // Application lines share the group; only audit events are JSON with a response.
        let Ok(audit) = serde_json::from_str::<Value>(&event.message) else { continue };
        let text = |path: &str| audit.pointer(path).and_then(Value::as_str).unwrap_or("?").to_owned();
        let code = audit.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
        if code != 401 && code != 403 {
            continue;
        }
        let what = format!("{code} {} {}", text("/verb"), text("/objectRef/resource"));
        let key = [text("/user/username"), text("/sourceIPs/0"), what, text("/userAgent")];
        *by.entry(key).or_default() += 1;
    }
    let mut rows: Vec<_> = by.into_iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.1));
    let mut answer = Answer::new();
    let mut table = vec![["TIMES", "WHO", "FROM", "WHAT", "WITH"].map(str::to_owned).to_vec()];
    for ([who, from, what, agent], times) in &rows {
        table.push(vec![times.to_string(), who.clone(), from.clone(), what.clone(), agent.clone()]);
    }
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    let who: std::collections::BTreeSet<&String> = rows.iter().map(|([who, ..], _)| who).collect();
    let all: usize = rows.iter().map(|(_, times)| times).sum();
    let note = if more { ", and more" } else { "" };
    answer.summary(format!(
        "{} by {}{note}",
        text::count(all, "refused call"),
        text::count(who.len(), "principal")
    ));
    Ok(answer)
}

/// The matching events of the window, and whether there are more than were taken.
async fn filter(
    session: &Session,
    group: &str,
    pattern: &str,
    window: Duration,
    now: Timestamp,
) -> Result<(Vec<Event>, bool), AwsError> {
    let from = now.checked_sub(window).unwrap_or(now);
    let mut body = json!({
        "logGroupName": group,
        "filterPattern": pattern,
        "startTime": from.as_millisecond(),
        "endTime": now.as_millisecond(),
    });
    let mut events = Vec::new();
    let mut more = false;
    for _ in 0..PAGES {
        let page = session.logs().look("FilterLogEvents", body.clone()).await?;
        events.extend(page.get("events").and_then(Value::as_array).into_iter().flatten().map(Event::of));
        let token = page.get("nextToken").filter(|token| token.is_string());
        more = token.is_some();
        match token {
            Some(token) if events.len() < MOST => body["nextToken"] = token.clone(),
            _ => break,
        }
    }
    events.truncate(MOST);
    events.sort_by_key(|event| event.at);
    Ok((events, more))
}

impl Event {
    fn of(event: &Value) -> Event {
        let at = event.get("timestamp").and_then(Value::as_i64);
        let message = event.get("message").and_then(Value::as_str);
        Event {
            at: at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            message: message.unwrap_or_default().to_owned(),
        }
    }
}
