//! Alerting rules as Prometheus runs them, and where each was written: a PrometheusRule of the operator, or a
//! document in a ConfigMap of the chart.

use std::time::Duration;

use serde_json::Value;

use super::api::{Api, Which, labels, service};
use super::document::matcher::LabelSet;
use super::prometheus_yml::same;
use crate::domain::{Kind, Name, ObjectRef, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, key, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// One alerting rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub alert: String,
    pub group: String,
    pub file: String,
    /// Of its group.
    pub interval: Duration,
    pub expr: String,
    /// `for`.
    pub lasts: Duration,
    /// `keep_firing_for`.
    pub keep: Duration,
    pub labels: LabelSet,
    pub annotations: LabelSet,
    pub health: String,
    pub error: Option<String>,
    pub state: String,
    pub active: usize,
}

/// Where a rule was written.
#[derive(Clone, Debug)]
pub struct Source {
    pub object: ObjectRef,
    /// The whole object.
    pub value: Value,
    pub place: Place,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `/spec/groups/G/rules/R` of a PrometheusRule.
    Custom { group: usize, rule: usize },
    /// `groups[G].rules[R]` of a document.
    Document { entry: String, group: usize, rule: usize },
}

/// Every alerting rule, as Prometheus evaluates it.
pub async fn all(api: &Api) -> Result<Vec<Rule>, Trouble> {
    let data = api.data("/api/v1/rules", &[("type", "alert".into())]).await?;
    let seconds = |value: &Value| Duration::from_secs_f64(value.as_f64().unwrap_or_default().max(0.0));
    let mut rules = Vec::new();
    for group in items(&data, "/groups") {
        for rule in items(group, "/rules").iter().filter(|rule| string(rule, "/type") != "recording") {
            rules.push(Rule {
                alert: string(rule, "/name").to_owned(),
                group: string(group, "/name").to_owned(),
                file: string(group, "/file").to_owned(),
                interval: seconds(&group["interval"]).max(Duration::from_secs(1)),
                expr: string(rule, "/query").to_owned(),
                lasts: seconds(&rule["duration"]),
                keep: seconds(&rule["keepFiringFor"]),
                labels: labels(&rule["labels"]),
                annotations: labels(&rule["annotations"]),
                health: string(rule, "/health").to_owned(),
                error: rule["lastError"].as_str().filter(|why| !why.is_empty()).map(str::to_owned),
                state: string(rule, "/state").to_owned(),
                active: items(rule, "/alerts").len(),
            });
        }
    }
    Ok(rules)
}

/// The one rule that is meant.
pub async fn one(api: &Api, alert: &str, group: Option<&str>) -> Result<Rule, Trouble> {
    let mut found: Vec<Rule> = all(api)
        .await?
        .into_iter()
        .filter(|rule| rule.alert == alert && group.is_none_or(|group| rule.group == group))
        .collect();
    let wrong = |says: String, repair: &str| Trouble {
        kind: TroubleKind::Absent,
        says: text::clean(&says),
        repair: (!repair.is_empty()).then(|| repair.to_owned()),
    };
    match found.len() {
        0 => Err(wrong(format!("Prometheus has no alerting rule {alert}"), "look at alert-rules")),
        1 => Ok(found.remove(0)),
        several => Err(wrong(format!("{several} rules are called {alert}"), "tune each in its own place")),
    }
}

/// Where a rule was written, if the cluster shows it.
pub async fn source(cluster: &Cluster, rule: &Rule) -> Result<Source, Trouble> {
    let mut found = custom(cluster, rule).await?;
    if found.is_empty() {
        found = documents(cluster, rule).await?;
    }
    // Prometheus writes expressions in its own way: it only decides between namesakes.
    if found.len() > 1 {
        found.retain(|source| same(source.written()["expr"].as_str().unwrap_or_default(), &rule.expr));
    }
    let unknown = |says: String| Trouble {
        kind: TroubleKind::Absent,
        says,
        repair: Some(format!("edit {} by hand where it comes from", text::clean(&rule.file))),
    };
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(unknown(format!(
            "no PrometheusRule and no rules file in a ConfigMap holds {} of group {}",
            rule.alert, rule.group
        ))),
        several => Err(unknown(format!("{several} places hold a rule like {}", rule.alert))),
    }
}

impl Source {
    /// The rule as it was written.
    pub fn written(&self) -> Value {
        match &self.place {
            Place::Custom { group, rule } => {
                self.value.pointer(&format!("/spec/groups/{group}/rules/{rule}")).cloned().unwrap_or_default()
            }
            Place::Document { group, rule, .. } => {
                let document: Value = serde_saphyr::from_str(self.document()).unwrap_or_default();
                document.pointer(&format!("/groups/{group}/rules/{rule}")).cloned().unwrap_or_default()
            }
        }
    }

    /// The text of the document; empty for a PrometheusRule.
    pub fn document(&self) -> &str {
        match &self.place {
            Place::Document { entry, .. } => self
                .value
                .get("data")
                .and_then(|data| data.get(entry))
                .and_then(Value::as_str)
                .unwrap_or_default(),
            Place::Custom { .. } => "",
        }
    }
}

async fn custom(cluster: &Cluster, rule: &Rule) -> Result<Vec<Source>, Trouble> {
    let objects = match cluster.list(Kind::PrometheusRule, "", "", "").await {
        Ok(objects) => objects,
        Err(trouble) if trouble.is(TroubleKind::Absent) => return Ok(Vec::new()),
        Err(trouble) => return Err(trouble),
    };
    let mut found = Vec::new();
    for value in objects {
        for (group, index) in positions(items(&value, "/spec/groups"), rule) {
            let object = ObjectRef::new(Kind::PrometheusRule, key(&value));
            found.push(Source { object, value: value.clone(), place: Place::Custom { group, rule: index } });
        }
    }
    Ok(found)
}

async fn documents(cluster: &Cluster, rule: &Rule) -> Result<Vec<Source>, Trouble> {
    let mut found = Vec::new();
    for value in config_maps(cluster, &Which::Prometheus, "app.kubernetes.io/name=prometheus").await? {
        for (entry, text) in value.get("data").and_then(Value::as_object).into_iter().flatten() {
            let Some(text) = text.as_str().filter(|text| text.contains(&rule.alert)) else { continue };
            let Ok(document) = serde_saphyr::from_str::<Value>(text) else { continue };
            for (group, index) in positions(items(&document, "/groups"), rule) {
                let place = Place::Document { entry: entry.clone(), group, rule: index };
                let object = ObjectRef::new(Kind::ConfigMap, key(&value));
                found.push(Source { object, value: value.clone(), place });
            }
        }
    }
    Ok(found)
}

/// The ConfigMaps beside the service; where the cluster shows no service, those with the label anywhere.
pub(super) async fn config_maps(
    cluster: &Cluster,
    which: &Which,
    label: &str,
) -> Result<Vec<Value>, Trouble> {
    let which = match which {
        Which::Prometheus => Which::Prometheus,
        Which::Alertmanager => Which::Alertmanager,
    };
    match service(&cluster.client(), which).await {
        Some(service) => cluster.list(Kind::ConfigMap, &service.namespace, "", "").await,
        None => cluster.list(Kind::ConfigMap, "", label, "").await,
    }
}

fn positions(groups: &[Value], rule: &Rule) -> Vec<(usize, usize)> {
    let named = groups.iter().enumerate().filter(|(_, group)| string(group, "/name") == rule.group);
    named
        .flat_map(|(index, group)| {
            let rules = items(group, "/rules").iter().enumerate();
            rules
                .filter(|(_, found)| string(found, "/alert") == rule.alert)
                .map(move |(rule, _)| (index, rule))
        })
        .collect()
}

/// The rules with state, health and source, the unwell first.
pub(super) async fn list(api: &Api, cluster: &Cluster, alert: Option<&Name>) -> Result<Answer, Trouble> {
    let mut rules = all(api).await?;
    if let Some(alert) = alert {
        rules.retain(|rule| rule.alert == **alert);
    }
    rules.sort_by_key(|rule| (rule.health == "ok", std::cmp::Reverse(rule.active), rule.alert.clone()));
    let mut answer = Answer::new();
    let sick = rules.iter().filter(|rule| rule.health == "err").count();
    let firing: usize = rules.iter().filter(|rule| rule.state == "firing").count();
    answer.summary(match (rules.len(), sick) {
        (0, _) => "no such alerting rule".to_owned(),
        (all, 0) => {
            format!("{}, {firing} firing, every expression evaluates", text::count(all, "alerting rule"))
        }
        (all, sick) => format!("{sick} of {} cannot be evaluated", text::count(all, "alerting rule")),
    });
    let heading = ["ALERT", "STATE", "FOR", "HEALTH", "SEVERITY", "GROUP"].map(str::to_owned).to_vec();
    let rows = rules.iter().map(|rule| {
        vec![
            rule.alert.clone(),
            if rule.active > 0 { format!("{} ({})", rule.state, rule.active) } else { rule.state.clone() },
            text::span(rule.lasts),
            rule.error.clone().map_or_else(|| rule.health.clone(), |why| format!("{}: {why}", rule.health)),
            rule.labels.get("severity").cloned().unwrap_or_else(|| "none".into()),
            rule.group.clone(),
        ]
    });
    let cells: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let tones = rules.iter().map(|rule| if rule.health == "err" { Tone::Bad } else { Tone::Plain });
    answer.lines(std::iter::once(Tone::Heading).chain(tones).zip(columns(&cells)));
    unlabelled(&rules, &mut answer);
    if let [rule] = rules.as_slice() {
        bind(&mut answer, rule);
        match source(cluster, rule).await {
            Ok(found) => {
                answer.bind("rule_source", found.object.to_string());
                answer.line(
                    Tone::Plain,
                    format!("written in {} of {}", found.object, found.object.key.namespace),
                );
            }
            Err(trouble) => {
                answer.bind("rule_unkept", trouble.to_string());
                answer.line(Tone::Dim, trouble.to_string());
            }
        }
    }
    Ok(answer)
}

fn bind(answer: &mut Answer, rule: &Rule) {
    answer.line(Tone::Plain, format!("expr {}", rule.expr));
    answer.bind("rule_expr", &rule.expr);
    answer.bind("rule_group", &rule.group);
    answer.bind("rule_for", text::span(rule.lasts));
    answer.bind("rule_severity", rule.labels.get("severity").map_or("none", String::as_str));
}

/// Rules nobody can route or act on (audit, section 3).
fn unlabelled(rules: &[Rule], answer: &mut Answer) {
    let without: Vec<&str> = rules
        .iter()
        .filter(|rule| !rule.labels.contains_key("severity"))
        .map(|rule| rule.alert.as_str())
        .collect();
    if !without.is_empty() {
        let says = format!("without a severity: {}", without.join(", "));
        answer.found(cause::ALERT_UNROUTED, &says);
        answer.line(Tone::Bad, says);
    }
    let silent: Vec<&str> = rules
        .iter()
        .filter(|rule| !rule.annotations.keys().any(|key| key.starts_with("runbook")))
        .map(|rule| rule.alert.as_str())
        .collect();
    if !silent.is_empty() {
        answer.line(Tone::Dim, format!("{} without a runbook", text::count(silent.len(), "rule")));
    }
}
