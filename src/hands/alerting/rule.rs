//! One alerting rule tuned: its expression or its `for`, in the PrometheusRule or the rules file it came from,
//! after it was evaluated over the past. Labels and annotations stay.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::document::{self, Wish};
use super::silence::{is_critical, refusal};
use super::trial::tried;
use super::write::{Body, ask, pin, send, version};
use crate::domain::{Action, Alerting, Name, PatchKind, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::difference::{Regard, diff};
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::kubernetes;
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::alerting::api::{self, Api};
use crate::probes::alerting::backtest::Trial;
use crate::probes::alerting::document::splice::{Step, set};
use crate::probes::alerting::document::written;
use crate::probes::alerting::held::Held;
use crate::probes::alerting::prometheus_yml::{expression, same};
use crate::probes::alerting::rules::{Place, Rule, Source, one, source};
use crate::probes::object::yaml;
use crate::probes::trouble::Trouble;

/// How long the new rule may take to be loaded and evaluated.
const LOADED_WITHIN: Duration = Duration::from_secs(150);

/// What is asked for.
pub(super) struct Tuning<'a> {
    pub alert: &'a Name,
    pub group: Option<&'a Name>,
    pub expr: Option<&'a str>,
    pub lasts: Option<Duration>,
}

/// The rule, where it is written, and how it shall be.
struct Plan {
    rule: Rule,
    source: Source,
    /// The keys that change, and their new values.
    changes: Vec<(&'static str, Value)>,
}

impl Plan {
    async fn make(hands: &Hands, api: &Api, wish: &Tuning<'_>) -> Result<Plan, Refusal> {
        let rule = one(api, wish.alert, wish.group.map(|group| &**group)).await.map_err(refusal)?;
        let source = source(&hands.cluster, &rule).await.map_err(refusal)?;
        let mut changes = Vec::new();
        if let Some(expr) = wish.expr {
            expression(expr)
                .map_err(|why| Refusal::new(format!("the new expression is not PromQL: {why}")))?;
            changes.push(("expr", json!(expr)));
        }
        if let Some(lasts) = wish.lasts {
            changes.push(("for", json!(written(lasts))));
        }
        let now = source.written();
        changes.retain(|(key, value)| now.get(*key) != Some(value));
        if changes.is_empty() {
            return Err(Refusal::new("the rule is so already"));
        }
        Ok(Plan { rule, source, changes })
    }

    fn body(&self) -> Result<Body, Refusal> {
        let now = self.source.written();
        match &self.source.place {
            Place::Custom { group, rule } => {
                let path = format!("/spec/groups/{group}/rules/{rule}");
                let name = json!(self.rule.group);
                let mut operations = vec![
                    json!({"op": "test", "path": format!("/spec/groups/{group}/name"), "value": name}),
                    json!({"op": "test", "path": format!("{path}/alert"), "value": self.rule.alert}),
                ];
                for (key, value) in &self.changes {
                    let at = format!("{path}/{key}");
                    match now.get(*key) {
                        Some(old) => {
                            operations.push(json!({"op": "test", "path": at, "value": old}));
                            operations.push(json!({"op": "replace", "path": at, "value": value}));
                        }
                        None => operations.push(json!({"op": "add", "path": at, "value": value})),
                    }
                }
                Ok(Body::Json(operations))
            }
            Place::Document { entry, .. } => {
                Ok(Body::Document { entry: entry.clone(), text: self.document()?.0 })
            }
        }
    }

    /// The whole document with the change, and whether its style was kept.
    fn document(&self) -> Result<(String, bool), Refusal> {
        let Place::Document { group, rule, .. } = self.source.place else {
            return Err(Refusal::new("the rule is not written in a document"));
        };
        let old = self.source.document();
        let mut wanted: Value = serde_saphyr::from_str(old)
            .map_err(|error| Refusal::new(format!("the rules file is not YAML: {error}")))?;
        let mut text = Some(old.to_owned());
        for (key, value) in &self.changes {
            let place = wanted
                .pointer_mut(&format!("/groups/{group}/rules/{rule}"))
                .ok_or_else(|| Refusal::new("the rule is not where it was"))?;
            place[*key] = value.clone();
            let path = [
                Step::Key("groups"),
                Step::Index(group),
                Step::Key("rules"),
                Step::Index(rule),
                Step::Key(key),
            ];
            text = text.and_then(|text| set(&text, &path, value));
        }
        let kept =
            text.filter(|text| serde_saphyr::from_str::<Value>(text).is_ok_and(|value| value == wanted));
        Ok(match kept {
            Some(text) => (text, true),
            None => (yaml(&wanted), false),
        })
    }

    fn held(&self) -> Option<Held> {
        let Place::Document { entry, .. } = &self.source.place else { return None };
        Some(Held {
            object: self.source.object.clone(),
            entry: entry.clone(),
            text: self.source.document().to_owned(),
            value: self.source.value.clone(),
        })
    }

    fn title(&self) -> String {
        let changes: Vec<String> = self
            .changes
            .iter()
            .map(|(key, value)| {
                let now = self.source.written();
                let old = now.get(*key).and_then(Value::as_str).unwrap_or("nothing").to_owned();
                format!("{key} {old} → {}", value.as_str().unwrap_or_default())
            })
            .collect();
        text::clean(&format!("tune {}: {}", self.rule.alert, changes.join(", ")))
    }

    /// The rule before and after, as trials.
    fn trials<'a>(&'a self, wish: &'a Tuning<'_>) -> (Trial<'a>, Trial<'a>) {
        let rule = &self.rule;
        let before = Trial {
            expr: &rule.expr,
            lasts: rule.lasts,
            keep: rule.keep,
            step: rule.interval.as_secs().max(1) as i64,
        };
        let after = Trial {
            expr: wish.expr.unwrap_or(&rule.expr),
            lasts: wish.lasts.unwrap_or(rule.lasts),
            ..before
        };
        (before, after)
    }
}

pub(super) async fn draft(
    hands: &Hands,
    action: &Alerting,
    wish: &Tuning<'_>,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let api = prometheus(hands).await.map_err(refusal)?;
    let plan = Plan::make(hands, &api, wish).await?;
    if let Some(expr) = wish.expr {
        // The server's own opinion, which knows its functions and types.
        api.instant(expr).await.map_err(|trouble| {
            Refusal::new(format!("Prometheus does not evaluate the new expression: {}", trouble.says))
        })?;
    }
    let mut hazards = Vec::new();
    if is_critical(&plan.rule.labels) {
        let says = format!("{} is critical: what it no longer says, nobody else may say", plan.rule.alert);
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    let effects = tried(&api, &plan.rule, plan.trials(wish), at, &mut hazards).await;
    if let Some(held) = plan.held() {
        let (text, in_place) = plan.document()?;
        if !in_place {
            let says = "comments, order and style of the rules file are lost: it is written anew";
            hazards.push(Hazard::warn(Guard::Target, says));
        }
        let wish = Wish { title: plan.title(), text, hazards, effects };
        return document::draft(hands, action, &held, wish, at).await;
    }
    custom(hands, action, &plan, hazards, effects, at).await
}

/// The draft of a JSON patch on a PrometheusRule: a merge patch would delete the other groups (audit D102).
async fn custom(
    hands: &Hands,
    action: &Alerting,
    plan: &Plan,
    mut hazards: Vec<Hazard>,
    effects: Vec<(DiffTone, String)>,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let outer = Action::Alerting(action.clone());
    let (object, before) = (&plan.source.object, &plan.source.value);
    let body = plan.body()?;
    let mut after = before.clone();
    match permission::check(hands, object, "patch", "").await {
        Err(denied) => hazards.push(denied),
        Ok(()) => {
            after = send(&hands.cluster, object, version(before), &body, true).await.map_err(refusal)?;
        }
    }
    let scene = Scene { action: &outer, object, before: Some(before), after: &after, victims: &[] };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::protected(hands));
    let mut lines = diff(Some(before), Some(&after), false);
    lines.extend(effects);
    Ok(Draft {
        at,
        title: plan.title(),
        targets: vec![format!(
            "{} of group {}: {object} in {}",
            plan.rule.alert, plan.rule.group, object.key.namespace
        )],
        diff: lines,
        pins: vec![pin(object, before)],
        before: plan.source.written(),
        undo: back(plan, Vec::new()),
        command: command(plan, &body),
        confirmation: Confirmation::of(&outer, &hazards),
        hazards,
        action: outer,
    })
}

fn command(plan: &Plan, body: &Body) -> String {
    let Body::Json(operations) = body else { return String::new() };
    Action::Patch {
        object: plan.source.object.clone(),
        kind: PatchKind::Json,
        body: Value::Array(operations.clone()),
    }
    .as_command()
}

/// The old values, by the same kind of patch.
fn back(plan: &Plan, left: Vec<crate::guard::Pin>) -> Option<Undo> {
    let Place::Custom { group, rule } = plan.source.place else { return None };
    let now = plan.source.written();
    let mut operations = Vec::new();
    for (key, value) in &plan.changes {
        let path = format!("/spec/groups/{group}/rules/{rule}/{key}");
        operations.push(json!({"op": "test", "path": path, "value": value}));
        operations.push(match now.get(*key) {
            Some(old) => json!({"op": "replace", "path": path, "value": old}),
            None => json!({"op": "remove", "path": path}),
        });
    }
    let action = Action::Patch {
        object: plan.source.object.clone(),
        kind: PatchKind::Json,
        body: Value::Array(operations),
    };
    Some(Undo { action, says: "the old rule".into(), left })
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, wish: &Tuning<'_>, task: &mut Task) -> Done {
    let api = match prometheus(hands).await {
        Ok(api) => api,
        Err(trouble) => return Done::failed(&trouble),
    };
    let plan = match Plan::make(hands, &api, wish).await {
        Ok(plan) => plan,
        Err(refused) => return Done::refused(refused),
    };
    let undo = match plan.held() {
        Some(held) => match plan.document() {
            Ok((text, _)) => document::put(hands, warrant, &held, &text, task).await.map(Some),
            Err(refused) => Err(Done::refused(refused)),
        },
        None => put(hands, warrant, &plan, task).await,
    };
    let undo = match undo {
        Ok(undo) => undo,
        Err(done) => return done,
    };
    match loaded(hands, &api, wish, task).await {
        Ok(says) => Done::performed(format!("{}: {says}", plan.title()), undo),
        Err(says) => Done::unverified(format!("{}: written, but {says}", plan.title()), undo),
    }
}

async fn put(hands: &Hands, warrant: &Warrant, plan: &Plan, task: &mut Task) -> Result<Option<Undo>, Done> {
    let (object, value) = (&plan.source.object, &plan.source.value);
    let pinned = warrant.preview().pins.iter().find(|pin| pin.object == *object);
    if !pinned.is_some_and(|pin| kubernetes::still(pin, Some(value), Regard::SPEC)) {
        let refusal = Refusal::new(format!("{object} changed since you saw it; nothing was written"));
        let fresh = hands.draft(warrant.action().clone(), (hands.clock)()).await.ok();
        let fresh = fresh.map(|draft| warrant.seal(draft));
        return Err(Done::moved(refusal.repair("look at the new preview"), fresh));
    }
    if task.is_called_off() {
        return Err(Done::refused(Refusal::new("called off before anything was written")));
    }
    let body = plan.body().map_err(Done::refused)?;
    match send(&hands.cluster, object, version(value), &body, false).await {
        Ok(after) => {
            task.say(format!("written: {object}"));
            Ok(back(plan, vec![pin(object, &after)]))
        }
        Err(trouble) if trouble.is(crate::probes::trouble::TroubleKind::Unanswered) => {
            let rule = source(&hands.cluster, &plan.rule).await.map(|source| source.written());
            match rule {
                Ok(now) if plan.changes.iter().all(|(key, value)| now.get(*key) == Some(value)) => {
                    task.say("no answer came, but a read shows that it was written");
                    Ok(back(plan, Vec::new()))
                }
                _ => Err(Done::unknown(format!("{}; a read does not show the change", trouble.says))),
            }
        }
        Err(trouble) => Err(Done::failed(&trouble)),
    }
}

/// Until Prometheus runs the new rule and can evaluate it.
async fn loaded(hands: &Hands, api: &Api, wish: &Tuning<'_>, task: &mut Task) -> Result<String, String> {
    let patience = LOADED_WITHIN.min(hands.patience.rollout);
    let deadline = Instant::now() + patience;
    loop {
        let reload = ask(api.door(), http::Method::POST, "/-/reload", None).await;
        if let Err(trouble) = &reload {
            if trouble.says.contains("failed to reload") || trouble.says.contains("error loading") {
                return Err(format!(
                    "Prometheus refuses it and goes on with the old rules: {}",
                    trouble.says
                ));
            }
            task.say(format!("reload: {}; its reloader may do it", trouble.says));
        }
        match one(api, wish.alert, wish.group.map(|group| &**group)).await {
            Ok(rule) if is_new(&rule, wish) => match rule.health.as_str() {
                "ok" => return Ok("loaded, and it evaluates".into()),
                "err" => return Err(format!("it cannot be evaluated: {}", rule.error.unwrap_or_default())),
                _ => task.say("loaded; waiting for its first evaluation"),
            },
            Ok(_) => task.say("waiting for the rule to be loaded"),
            Err(trouble) => task.say(trouble.says),
        }
        if Instant::now() > deadline {
            return Err(format!("Prometheus was not seen to load it within {}", text::span(patience)));
        }
        if task.is_called_off() {
            return Err("watching was called off".into());
        }
        task.pause(Duration::from_secs(2)).await;
    }
}

fn is_new(rule: &Rule, wish: &Tuning<'_>) -> bool {
    wish.lasts.is_none_or(|lasts| rule.lasts == lasts) && wish.expr.is_none_or(|expr| same(expr, &rule.expr))
}

async fn prometheus(hands: &Hands) -> Result<Api, Trouble> {
    api::prometheus(&hands.cluster.client(), &hands.outside).await
}
