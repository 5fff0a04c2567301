//! Silences: what exactly one would quieten now, for one to four hours, with a reason; and their end.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::write::ask;
use crate::domain::{Action, Alerting, Name, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::hazards;
use crate::hands::task::Task;
use crate::probes::alerting::api::{self, AlertNow, Api, shown};
use crate::probes::alerting::document::matcher::{LabelSet, Matcher, all_match, parse_all};
use crate::probes::alerting::health::WATCHDOGS;
use crate::probes::object::string;
use crate::probes::trouble::{Trouble, TroubleKind};

/// Shorter is not worth it, longer is forgotten (audit: 1 to 4 h, never permanent).
const SHORTEST: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(4);

/// What is asked for.
pub(super) struct Wish<'a> {
    pub matchers: &'a [String],
    pub lasts: Duration,
    pub comment: &'a str,
}

impl Wish<'_> {
    fn read(&self) -> Result<Vec<Matcher>, Refusal> {
        let matchers = parse_all(self.matchers.iter().map(String::as_str)).map_err(Refusal::new)?;
        if matchers.is_empty() || matchers.iter().all(|matcher| matcher.matches(&LabelSet::new())) {
            return Err(
                Refusal::new("this would silence every alert").repair("name the alert: alertname=\"…\"")
            );
        }
        if !(SHORTEST..=LONGEST).contains(&self.lasts) {
            let says = format!("a silence lasts 1h to 4h, not {}", text::span(self.lasts));
            return Err(Refusal::new(says).repair("longer trouble is mended, not silenced"));
        }
        if self.comment.trim().is_empty() {
            return Err(Refusal::new("a silence says why: the comment is empty"));
        }
        Ok(matchers)
    }
}

pub(super) async fn draft(
    hands: &Hands,
    action: &Alerting,
    wish: &Wish<'_>,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let matchers = wish.read()?;
    let api = alertmanager(hands).await.map_err(refusal)?;
    let alerts = api.alerts().await.map_err(refusal)?;
    let (quiet, rest): (Vec<&AlertNow>, Vec<&AlertNow>) =
        alerts.iter().partition(|alert| all_match(&matchers, &alert.labels));
    let all: Vec<String> = quiet.iter().map(|alert| shown(&alert.labels)).collect();
    let mut hazards = dangers(&matchers, &quiet, alerts.len());
    hazards.extend(hazards::protected(hands));
    let words: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    let diff = difference(wish, &words, &quiet, rest.len(), at);
    let action = Action::Alerting(action.clone());
    Ok(Draft {
        at,
        title: format!(
            "silence {} for {}: {}",
            text::count(quiet.len(), "alert"),
            text::span(wish.lasts),
            words.join(", ")
        ),
        targets: examples(&all),
        diff,
        pins: Vec::new(),
        before: json!(all),
        undo: Some(Undo {
            action: Action::Alerting(Alerting::ExpireSilence { id: "‹the new one›".into() }),
            says: "expire it".into(),
            left: Vec::new(),
        }),
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

/// So many alerts are shown with their labels; of more than that their number says it.
const SHOWN: usize = 5;

fn examples(all: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        shown.push(format!("and {} more", all.len() - SHOWN));
    }
    shown
}

/// What is made, in a few lines, however many alerts it quietens.
fn difference(
    wish: &Wish<'_>,
    words: &[String],
    quiet: &[&AlertNow],
    rest: usize,
    at: Timestamp,
) -> Vec<(DiffTone, String)> {
    let ends = at + SignedDuration::try_from(wish.lasts).unwrap_or(SignedDuration::from_hours(1));
    let already = quiet.iter().filter(|alert| !alert.active).count();
    let already = if already > 0 { format!(", {already} of them suppressed already") } else { String::new() };
    vec![
        (
            DiffTone::Added,
            format!("silences {}: {}{already}", words.join(", "), text::count(quiet.len(), "alert")),
        ),
        (DiffTone::Added, format!("until {} UTC ({})", ends.strftime("%H:%M"), text::span(wish.lasts))),
        (DiffTone::Added, format!("comment: {}", text::redact(wish.comment.trim()))),
        (DiffTone::Same, format!("{} go on", text::count(rest, "other alert"))),
    ]
}

fn dangers(matchers: &[Matcher], quiet: &[&AlertNow], all: usize) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    let critical: Vec<String> =
        quiet.iter().filter(|alert| is_critical(&alert.labels)).map(|alert| shown(&alert.labels)).collect();
    if !critical.is_empty() {
        let says = format!(
            "{} would be quiet: {}",
            text::count(critical.len(), "critical alert"),
            examples(&critical).join(", ")
        );
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    let others = all - quiet.iter().filter(|alert| is_watchdog(&alert.labels)).count();
    if quiet.len() > 1 && quiet.len() >= others {
        hazards.push(Hazard::warn(Guard::Target, "it matches every alert there is now"));
    }
    if quiet.iter().any(|alert| is_watchdog(&alert.labels)) {
        hazards.push(Hazard::warn(Guard::Target, "it silences the Watchdog, which shows that alerts arrive"));
    }
    let named = matchers.iter().any(|matcher| matcher.name == "alertname" && matcher.equal);
    if !named {
        hazards.push(Hazard::warn(
            Guard::Target,
            "without an alertname, alerts that are yet to come are silenced too",
        ));
    }
    if quiet.is_empty() {
        hazards.push(Hazard::note(Guard::Target, "it matches no alert now"));
    }
    hazards
}

pub(super) fn is_critical(labels: &LabelSet) -> bool {
    labels
        .get("severity")
        .is_some_and(|severity| ["critical", "page", "emergency"].contains(&severity.as_str()))
}

fn is_watchdog(labels: &LabelSet) -> bool {
    labels.get("alertname").is_some_and(|name| WATCHDOGS.contains(&name.as_str()))
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, wish: &Wish<'_>, task: &mut Task) -> Done {
    let matchers = match wish.read() {
        Ok(matchers) => matchers,
        Err(refused) => return Done::refused(refused),
    };
    let api = match alertmanager(hands).await {
        Ok(api) => api,
        Err(trouble) => return Done::failed(&trouble),
    };
    match newly_critical(&api, &matchers, warrant).await {
        Ok(None) => {}
        Ok(Some(alert)) => {
            let says =
                format!("{alert} began since you saw the preview, and it is critical; nothing was silenced");
            return Done::moved(Refusal::new(says).repair("preview again"), None);
        }
        Err(trouble) => return Done::failed(&trouble),
    }
    let now = (hands.clock)();
    let who = warrant.who();
    let ends = now + SignedDuration::try_from(wish.lasts).unwrap_or(SignedDuration::from_hours(1));
    let body = json!({
        "matchers": matchers.iter().map(Matcher::to_api).collect::<Vec<_>>(),
        "startsAt": now.to_string(), "endsAt": ends.to_string(),
        "createdBy": format!("{}@{} (covet-tui)", who.os_user, who.host),
        "comment": text::redact(wish.comment.trim()),
    });
    let id = match ask(api.door(), http::Method::POST, "/api/v2/silences", Some(&body)).await {
        Ok(answer) => serde_json::from_str::<Value>(&answer)
            .ok()
            .map(|answer| string(&answer, "/silenceID").to_owned())
            .unwrap_or_default(),
        Err(trouble) if trouble.is(TroubleKind::Unanswered) => {
            task.say(format!("{}; looking whether it was made", trouble.says));
            match made(&api, &body).await {
                Some(id) => id,
                None => {
                    return Done::unknown(format!("{}; a read shows no such silence so far", trouble.says));
                }
            }
        }
        Err(trouble) => return Done::failed(&trouble),
    };
    task.say(format!("silence {id} until {ends}"));
    let undo = Some(Undo {
        action: Action::Alerting(Alerting::ExpireSilence { id: id.as_str().into() }),
        says: "expire it".into(),
        left: Vec::new(),
    });
    match held(&api, &id, &matchers, task).await {
        Ok(count) => Done::performed(
            format!("silence {id} holds until {ends}: {} quiet", text::count(count, "alert")),
            undo,
        ),
        Err(why) => Done::unverified(format!("silence {id} was made, but {why}"), undo),
    }
}

/// A critical alert among those that match now, that was not in the preview.
async fn newly_critical(
    api: &Api,
    matchers: &[Matcher],
    warrant: &Warrant,
) -> Result<Option<String>, Trouble> {
    let seen: Vec<&str> =
        warrant.preview().before.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let alerts = api.alerts().await?;
    let new = alerts.iter().filter(|alert| is_critical(&alert.labels) && all_match(matchers, &alert.labels));
    Ok(new.map(|alert| shown(&alert.labels)).find(|alert| !seen.contains(&alert.as_str())))
}

/// The silence that was posted and not answered for, by its words and its end.
async fn made(api: &Api, body: &Value) -> Option<String> {
    let all: Vec<Value> = api.json("/api/v2/silences", &[]).await.ok()?;
    let same = |row: &&Value| {
        ["comment", "createdBy"].iter().all(|key| row[*key] == body[*key])
            && string(row, "/status/state") == "active"
            && string(row, "/endsAt").get(..19) == string(body, "/endsAt").get(..19)
    };
    all.iter().find(same).map(|row| string(row, "/id").to_owned())
}

/// Waits until the silence is active and what it matches is suppressed by it.
async fn held(api: &Api, id: &str, matchers: &[Matcher], task: &Task) -> Result<usize, String> {
    let mut why = String::new();
    for _ in 0..10 {
        match look(api, id, matchers).await {
            Ok(Ok(count)) => return Ok(count),
            Ok(Err(loud)) => why = format!("{} not suppressed yet", text::count(loud, "alert")),
            Err(trouble) => why = trouble.says,
        }
        task.pause(Duration::from_millis(500)).await;
    }
    Err(why)
}

async fn look(api: &Api, id: &str, matchers: &[Matcher]) -> Result<Result<usize, usize>, Trouble> {
    let silence: Value = api.json(&format!("/api/v2/silence/{id}"), &[]).await?;
    let alerts = api.alerts().await?;
    let ours: Vec<&AlertNow> = alerts.iter().filter(|alert| all_match(matchers, &alert.labels)).collect();
    let loud = ours.iter().filter(|alert| !alert.silenced_by.iter().any(|by| by == id)).count();
    let active = string(&silence, "/status/state") == "active";
    Ok(if active && loud == 0 { Ok(ours.len()) } else { Err(loud) })
}

pub(super) async fn draft_expire(hands: &Hands, id: &Name, at: Timestamp) -> Result<Draft, Refusal> {
    let api = alertmanager(hands).await.map_err(refusal)?;
    let silence = one(&api, id).await.map_err(refusal)?;
    if string(&silence, "/status/state") == "expired" {
        return Err(Refusal::new("this silence has expired already"));
    }
    let alerts = api.alerts().await.map_err(refusal)?;
    let loud = alerts.iter().filter(|alert| alert.silenced_by.iter().any(|by| **by == **id));
    let diff: Vec<_> = loud
        .map(|alert| (DiffTone::Removed, format!("silenced no longer: {}", shown(&alert.labels))))
        .collect();
    let action = Action::Alerting(Alerting::ExpireSilence { id: id.clone() });
    let hazards: Vec<Hazard> = hazards::protected(hands).into_iter().collect();
    Ok(Draft {
        at,
        title: format!("expire silence {id}: {}", text::count(diff.len(), "alert")),
        targets: vec![format!("silence {id}: {}", text::redact(&text::clean(string(&silence, "/comment"))))],
        diff,
        pins: Vec::new(),
        before: json!({"matchers": silence["matchers"], "endsAt": silence["endsAt"], "comment": silence["comment"]}),
        undo: None,
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

async fn one(api: &Api, id: &str) -> Result<Value, Trouble> {
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') || id.is_empty() {
        let says = format!("`{}` is not the id of a silence", text::clean(id));
        return Err(Trouble { kind: TroubleKind::Invalid, says, repair: None });
    }
    api.json(&format!("/api/v2/silence/{id}"), &[]).await
}

pub(super) async fn expire(hands: &Hands, id: &Name, task: &mut Task) -> Done {
    let api = match alertmanager(hands).await {
        Ok(api) => api,
        Err(trouble) => return Done::failed(&trouble),
    };
    if let Err(trouble) = one(&api, id).await {
        return Done::failed(&trouble);
    }
    if let Err(trouble) = ask(api.door(), http::Method::DELETE, &format!("/api/v2/silence/{id}"), None).await
        && !trouble.is(TroubleKind::Unanswered)
    {
        return Done::failed(&trouble);
    }
    task.say("told to expire; looking");
    match one(&api, id).await {
        Ok(silence) if string(&silence, "/status/state") == "expired" => {
            Done::performed(format!("silence {id} has expired"), None)
        }
        Ok(_) => Done::unverified(format!("silence {id} still shows as active"), None),
        Err(trouble) => Done::unknown(format!("whether silence {id} expired is not known: {}", trouble.says)),
    }
}

async fn alertmanager(hands: &Hands) -> Result<Api, Trouble> {
    api::alertmanager(&hands.cluster.client(), &hands.outside).await
}

pub(super) fn refusal(trouble: Trouble) -> Refusal {
    Refusal { says: trouble.says, repair: trouble.repair }
}
