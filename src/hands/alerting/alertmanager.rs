//! Alertmanager's configuration: one merged document, judged before it is written, its effect on the alerts of
//! now shown, loaded and seen to be loaded.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::document::{self, Wish};
use super::silence::{is_critical, refusal};
use super::write::ask;
use crate::domain::{Alerting, Name, Timestamp, text};
use crate::guard::{DiffTone, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;
use crate::probes::alerting::api::{self, AlertNow, Api, labels, shown};
use crate::probes::alerting::document::matcher::{LabelSet, all_match, parse_all};
use crate::probes::alerting::document::{Edited, GroupKey, Routing, edited, read};
use crate::probes::alerting::{held, running};
use crate::probes::trouble::{Trouble, TroubleKind};

/// The kubelet brings a changed ConfigMap into a container within a minute or so.
const LOADED_WITHIN: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How far back labels of alerts are looked for.
const WEEK: i64 = 7 * 86_400;

pub(super) async fn draft(hands: &Hands, action: &Alerting, at: Timestamp) -> Result<Draft, Refusal> {
    let held = held::alertmanager(&hands.cluster).await.map_err(refusal)?;
    let Edited { text, in_place } = edited(&held.text, action).map_err(Refusal::new)?;
    let mut hazards = Vec::new();
    if !in_place {
        let says = "comments, order and style of the document are lost: it is written anew";
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    let mut effects = Vec::new();
    let (_, before) = read(&held.text).map_err(|wrong| Refusal::new(wrong.join("; ")))?;
    let (_, after) = read(&text).map_err(|wrong| Refusal::new(wrong.join("; ")))?;
    match alertmanager(hands).await {
        Ok(api) => {
            if let Ok(running) = running(&api).await
                && let Ok((_, running)) = read(&running)
                && !alike(&running, &before)
            {
                let says = format!(
                    "Alertmanager does not run {} as it is written now: it was not loaded",
                    held.object
                );
                hazards.push(Hazard::warn(Guard::Target, says));
            }
            match api.alerts().await {
                Ok(alerts) => {
                    if let Alerting::InhibitAlerts { source, target, equal } = action {
                        hazards.extend(inhibition(hands, &alerts, source, target, equal, at).await);
                    }
                    effects = effect(&before, &after, &alerts, &mut hazards);
                }
                Err(trouble) => hazards.push(unseen(&trouble)),
            }
        }
        Err(trouble) => hazards.push(unseen(&trouble)),
    }
    let wish = Wish { title: title(action), text, hazards, effects };
    document::draft(hands, action, &held, wish, at).await
}

fn unseen(trouble: &Trouble) -> Hazard {
    Hazard::warn(Guard::Target, format!("the effect on the alerts of now is not known: {}", trouble.says))
}

fn title(action: &Alerting) -> String {
    let list = |words: &[Name]| words.join(", ");
    text::clean(&match action {
        Alerting::GroupAlerts { by, .. } => format!("group alerts by {}", list(by)),
        Alerting::InhibitAlerts { source, target, equal } => format!(
            "while {} fires, keep {} with the same {} quiet",
            source.join(", "),
            target.join(", "),
            list(equal)
        ),
        Alerting::RouteAlerts { matchers, receiver } => {
            format!("route {} to {receiver}", matchers.join(", "))
        }
        _ => "edit Alertmanager's configuration".into(),
    })
}

/// What becomes of the alerts there are: groups, receivers, who is kept quiet.
fn effect(
    before: &Routing,
    after: &Routing,
    alerts: &[AlertNow],
    hazards: &mut Vec<Hazard>,
) -> Vec<(DiffTone, String)> {
    let sets: Vec<LabelSet> = alerts.iter().map(|alert| alert.labels.clone()).collect();
    let groups = |routing: &Routing| -> usize {
        let all: std::collections::BTreeSet<GroupKey> =
            sets.iter().flat_map(|labels| routing.groups(labels)).collect();
        all.len()
    };
    let mut lines = vec![(DiffTone::Place, "the alerts of now".to_owned())];
    let (old, new) = (groups(before), groups(after));
    let said =
        format!("{} in {} instead of {old}", text::count(sets.len(), "alert"), text::count(new, "group"));
    lines.push((if old == new { DiffTone::Same } else { DiffTone::Added }, said));
    let mut critical = Vec::new();
    for labels in &sets {
        let receivers = |routing: &Routing| -> Vec<String> {
            routing.taken_by(labels).iter().map(|route| route.receiver.clone()).collect()
        };
        let (from, to) = (receivers(before), receivers(after));
        if from != to {
            let line = format!("{} goes to {} instead of {}", shown(labels), to.join(", "), from.join(", "));
            lines.push((DiffTone::Added, line));
            if is_critical(labels) {
                critical.push(shown(labels));
            }
        }
        if after.inhibits(labels, &sets) && !before.inhibits(labels, &sets) {
            lines.push((DiffTone::Added, format!("{} becomes quiet", shown(labels))));
            if is_critical(labels) {
                critical.push(shown(labels));
            }
        }
    }
    if !critical.is_empty() {
        let says = format!("it changes who hears of critical alerts: {}", critical.join(", "));
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    lines
}

/// A label that one side lacks is equal to one that the other side lacks: the inhibition would hide what it
/// has nothing to do with (audit D104). So each side has to have each label.
async fn inhibition(
    hands: &Hands,
    alerts: &[AlertNow],
    source: &[String],
    target: &[String],
    equal: &[Name],
    at: Timestamp,
) -> Vec<Hazard> {
    let parsed = (parse_all(source.iter().map(String::as_str)), parse_all(target.iter().map(String::as_str)));
    let (Ok(source), Ok(target)) = parsed else { return Vec::new() };
    let mut known: Vec<LabelSet> = alerts.iter().map(|alert| alert.labels.clone()).collect();
    known.extend(past(hands, at).await);
    let mut hazards = Vec::new();
    for (side, matchers) in [("source", &source), ("target", &target)] {
        let of: Vec<&LabelSet> = known.iter().filter(|labels| all_match(matchers, labels)).collect();
        if of.is_empty() {
            let says =
                format!("no alert of the last 7 days is a {side}: nothing shows that it has the labels");
            hazards.push(Hazard::warn(Guard::Target, says));
            continue;
        }
        for label in equal {
            let without: Vec<&&LabelSet> =
                of.iter().filter(|labels| labels.get(&**label).is_none_or(String::is_empty)).collect();
            if let Some(example) = without.first() {
                let says = format!(
                    "{} of {} {side} alerts have no label {label}, e.g. {}: missing counts as equal, and real alerts would be hidden",
                    without.len(),
                    of.len(),
                    shown(example)
                );
                hazards.push(Hazard::stop(Guard::Target, says));
            }
        }
    }
    if equal.is_empty() {
        let says = "without `equal`, any source keeps every target quiet";
        hazards.push(Hazard::stop(Guard::Target, says));
    }
    hazards
}

/// The label sets of alerts that fired lately, as far as Prometheus tells.
async fn past(hands: &Hands, at: Timestamp) -> Vec<LabelSet> {
    let Ok(api) = api::prometheus(&hands.cluster.client(), &hands.outside).await else { return Vec::new() };
    let query = [
        ("match[]", r#"ALERTS{alertstate="firing"}"#.to_owned()),
        ("start", (at.as_second() - WEEK).to_string()),
        ("end", at.as_second().to_string()),
    ];
    let Ok(Value::Array(rows)) = api.data("/api/v1/series", &query).await else { return Vec::new() };
    rows.iter()
        .map(|row| {
            let mut set = labels(row);
            set.retain(|name, _| name != "__name__" && name != "alertstate");
            set
        })
        .collect()
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, action: &Alerting, task: &mut Task) -> Done {
    let held = match held::alertmanager(&hands.cluster).await {
        Ok(held) => held,
        Err(trouble) => return Done::failed(&trouble),
    };
    let text = match edited(&held.text, action) {
        Ok(Edited { text, .. }) => text,
        Err(why) => return Done::refused(Refusal::new(why).repair("preview again")),
    };
    load(hands, warrant, &held, &text, task).await
}

/// Writes, reloads, and watches until the server runs it.
pub(super) async fn load(
    hands: &Hands,
    warrant: &Warrant,
    held: &held::Held,
    text: &str,
    task: &mut Task,
) -> Done {
    let api = alertmanager(hands).await;
    let before = match &api {
        Ok(api) => running(api).await.ok(),
        Err(_) => None,
    };
    let undo = match document::put(hands, warrant, held, text, task).await {
        Ok(undo) => undo,
        Err(done) => return done,
    };
    let title = warrant.preview().title.clone();
    match api {
        Ok(api) => match loaded(&api, before.as_deref(), text, hands, task).await {
            Ok(says) => Done::performed(format!("{title}: {says}"), Some(undo)),
            Err(says) => Done::unverified(format!("{title}: written, but {says}"), Some(undo)),
        },
        Err(trouble) => Done::unverified(
            format!("{title}: written, but not seen to be loaded: {}", trouble.says),
            Some(undo),
        ),
    }
}

/// The server's own words decide: its status shows another document, with the same routes and inhibitions.
async fn loaded(
    api: &Api,
    before: Option<&str>,
    text: &str,
    hands: &Hands,
    task: &mut Task,
) -> Result<String, String> {
    let Ok((_, wanted)) = read(text) else { return Err("it is not well-formed".into()) };
    let patience = LOADED_WITHIN.min(hands.patience.rollout);
    let deadline = Instant::now() + patience;
    // A refusal may be about the file of before: the new one arrives a little later.
    let mut refused: Option<String> = None;
    loop {
        let reload = ask(api.door(), http::Method::POST, "/-/reload", None).await;
        match running(api).await {
            Ok(now) if before != Some(now.as_str()) => match read(&now) {
                Ok((_, now)) if alike(&now, &wanted) => return Ok("loaded, and its status shows it".into()),
                _ => task.say("the status changed, but not to this document yet"),
            },
            Ok(now)
                if refused.is_some()
                    && reload.is_ok()
                    && read(&now).is_ok_and(|(_, now)| alike(&now, &wanted)) =>
            {
                return Ok("accepted after a refusal, and it runs".into());
            }
            Ok(_) => task.say("waiting for the file to arrive in the container"),
            Err(trouble) => task.say(trouble.says),
        }
        if let Err(trouble) = reload {
            task.say(format!("reload: {}; its reloader may do it", trouble.says));
            if trouble.is(TroubleKind::Refused) {
                refused = Some(trouble.says);
            }
        }
        if Instant::now() > deadline {
            return Err(match refused {
                Some(why) => format!("Alertmanager refuses it and goes on with the old one: {why}"),
                None => format!("its status has not shown it within {}", text::span(patience)),
            });
        }
        if task.is_called_off() {
            return Err("watching was called off".into());
        }
        task.pause(LOOK_EVERY).await;
    }
}

/// The same routes and inhibitions, whatever defaults are written out.
fn alike(one: &Routing, other: &Routing) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

async fn alertmanager(hands: &Hands) -> Result<Api, Trouble> {
    api::alertmanager(&hands.cluster.client(), &hands.outside).await
}
