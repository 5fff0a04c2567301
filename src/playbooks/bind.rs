//! A step's `do` becomes a typed Action on real objects. Every value is checked against the type of its
//! parameter; a value is never a piece of a shell line.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::domain::{
    Action, DrainOptions, Effect, ImageChange, Key, Kind, Name, ObjectRef, PatchKind, ResourceChange, System,
    shell_quote,
};

use super::pods::{self, PodSet};
use super::template::Template;
use super::values::{SETTINGS, values};
use super::verb::{self, Arg, Json, Verb};
use super::view::View;
use super::{Facts, Input, MissingInput, Step};

/// Binds a step to real objects, with what a person has put in (by input name).
///
/// # Errors
/// The first value that is missing or not of its type, in words for the person.
pub fn bind(
    step: &Step,
    facts: &Facts<'_>,
    inputs: &BTreeMap<String, String>,
) -> Result<Action, MissingInput> {
    let view = View::new(facts);
    bind_in(&view, &values(&view), step, inputs)
}

/// The inputs of a step with what the playbook computed for them.
pub(super) fn inputs(step: &Step, values: &BTreeMap<String, String>) -> Vec<Input> {
    step.inputs
        .iter()
        .map(|input| {
            let default = input
                .default
                .as_ref()
                .and_then(|template| template.fill(|name| values.get(name).cloned()).ok());
            Input { name: input.name.clone(), label: input.label.clone(), value: default.clone(), default }
        })
        .collect()
}

pub(super) fn bind_in(
    view: &View<'_>,
    values: &BTreeMap<String, String>,
    step: &Step,
    given: &BTreeMap<String, String>,
) -> Result<Action, MissingInput> {
    let mut values = values.clone();
    for input in inputs(step, &values) {
        // What a person gave is taken as it is: the blanks of an edited file are meant.
        match given.get(&input.name).cloned().or(input.value.map(|value| value.trim().to_owned())) {
            Some(value) => values.insert(input.name, value),
            None => values.remove(&input.name),
        };
    }
    let labels = step.inputs.iter().map(|input| (input.name.as_str(), input.label.as_str())).collect();
    Args { view, values: &values, verb: step.todo.verb, given: &step.todo.args, labels }.build()
}

/// The arguments of one step, and how to read them.
struct Args<'a> {
    view: &'a View<'a>,
    values: &'a BTreeMap<String, String>,
    verb: &'static Verb,
    given: &'a BTreeMap<&'static str, Arg>,
    labels: BTreeMap<&'a str, &'a str>,
}

type Bound<T> = Result<T, MissingInput>;

impl Args<'_> {
    fn build(&self) -> Bound<Action> {
        Ok(match self.verb.name {
            "list-pods" => Action::ListPods {
                // What runs on a node is of any namespace.
                namespace: match (self.given.get("namespace"), self.given.get("node")) {
                    (None, Some(_)) => Name::from(""),
                    _ => self.namespace()?,
                },
                selector: self.maybe("selector")?,
                node: self.maybe("node")?.map(Name::from),
                waiting: self.words("waiting")?.into_iter().map(Name::from).collect(),
            },
            "list-nodes" => Action::ListNodes,
            "list-replica-sets" => Action::ListReplicaSets { deployment: self.key("deployment")? },
            "list-events" => Action::ListEvents { about: self.object()? },
            "describe" => Action::Describe { object: self.object()? },
            "logs" => Action::Logs {
                pods: self.pods()?.iter().map(|pod| pod.key.clone()).collect(),
                container: self.maybe("container")?.map(Name::from),
                previous: self.flag("previous"),
                tail: self.maybe_count("tail")?.unwrap_or(100),
                since: self.maybe_span("since")?,
            },
            "pod-usage" => Action::PodUsage {
                namespace: self.namespace()?,
                pods: if self.given.contains_key("pods") {
                    self.pods()?.iter().map(|pod| pod.key.clone()).collect()
                } else {
                    Vec::new()
                },
            },
            "node-usage" => Action::NodeUsage,
            "node-allocation" => Action::NodeAllocation { node: self.maybe("node")?.map(Name::from) },
            "check-config-maps" => Action::CheckConfigMaps { deployment: self.key("deployment")? },
            "check-secrets" => Action::CheckSecrets { deployment: self.key("deployment")? },
            "list-external-secrets" => Action::ListExternalSecrets { namespace: self.namespace()? },
            "compare-revisions" => Action::CompareRevisions { deployment: self.key("deployment")? },
            "rollout-status" => Action::RolloutStatus {
                deployment: self.key("deployment")?,
                timeout: self.maybe_span("timeout")?.unwrap_or(Duration::from_mins(5)),
            },
            "check-pull-secrets" => Action::CheckPullSecrets { pod: self.key("pod")? },
            "ping-database" => Action::PingDatabase,
            "http-probe" => {
                Action::HttpProbe { url: self.text("url")?, times: self.maybe_count("times")?.unwrap_or(1) }
            }
            "node-lease" => Action::NodeLease { node: self.name("node")? },
            "elsewhere" => self.elsewhere()?,
            _ => self.build_change()?,
        })
    }

    fn build_change(&self) -> Bound<Action> {
        Ok(match self.verb.name {
            "scale" => Action::Scale { object: self.object()?, replicas: self.count("replicas")? },
            "autoscaler-bounds" => {
                let (min, max) = (self.count("min")?, self.count("max")?);
                if min == 0 || min > max {
                    return Err(missing("max", format!("the bounds {min} to {max} are the wrong way round")));
                }
                Action::AutoscalerBounds { autoscaler: self.key("hpa")?, min, max }
            }
            "patch" => Action::Patch {
                object: self.object()?,
                kind: match self.text("type")?.as_str() {
                    "strategic" => PatchKind::Strategic,
                    "json" => PatchKind::Json,
                    _ => PatchKind::Merge,
                },
                body: self.json("body")?,
            },
            "rollout-restart" => Action::RolloutRestart { object: self.object()? },
            "rollout-undo" => Action::RolloutUndo {
                deployment: self.key("deployment")?,
                to_revision: u64::from(self.count("to_revision")?),
            },
            "rollout-pause" => Action::RolloutPause { deployment: self.key("deployment")? },
            "rollout-resume" => Action::RolloutResume { deployment: self.key("deployment")? },
            "delete-pods" => Action::DeletePods { pods: pods::targets(&self.pods()?) },
            "evict" => match pods::targets(&self.pods()?).into_iter().next() {
                Some(pod) => Action::Evict { pod },
                None => return Err(self.no_pods()),
            },
            "cordon" => Action::Cordon { node: self.name("node")? },
            "uncordon" => Action::Uncordon { node: self.name("node")? },
            "drain" => Action::Drain {
                node: self.name("node")?,
                options: DrainOptions {
                    delete_empty_dir: self.flag("delete_empty_dir"),
                    force: self.flag("force"),
                    timeout: self.maybe_span("timeout")?.unwrap_or(Duration::from_mins(5)),
                },
            },
            "annotate" => {
                Action::Annotate { object: self.object()?, annotations: self.pairs("annotations")? }
            }
            "label" => Action::Label { object: self.object()?, labels: self.pairs("labels")? },
            "taint" => Action::Taint {
                node: self.name("node")?,
                key: self.text("key")?,
                value: self.maybe("value")?.unwrap_or_default(),
                effect: self.text("effect")?,
                remove: self.flag("remove"),
            },
            "apply" => Action::Apply { manifest: self.json("manifest")?, force: self.flag("force") },
            "pull-secret" => Action::PullSecret {
                secret: self.key("secret")?,
                registry: self.text("registry")?,
                username: self.text("username")?,
                token_env: self.text("token_env")?,
            },
            "reference-pull-secret" => Action::ReferencePullSecret {
                deployment: self.key("deployment")?,
                secret: self.name("secret")?,
            },
            "set-image" => Action::SetImage {
                deployment: self.key("deployment")?,
                images: vec![ImageChange { container: self.name("container")?, image: self.text("image")? }],
            },
            "set-resources" => Action::SetResources {
                deployment: self.key("deployment")?,
                container: self.name("container")?,
                change: ResourceChange {
                    cpu_request: self.maybe("cpu_request")?,
                    cpu_limit: self.maybe("cpu_limit")?,
                    memory_request: self.maybe("memory_request")?,
                    memory_limit: self.maybe("memory_limit")?,
                },
            },
            "set-config" => {
                Action::SetConfig { config_map: self.key("config_map")?, data: self.pairs("data")? }
            }
            "exec" => Action::Exec {
                pod: self.key("pod")?,
                container: self.name("container")?,
                argv: self.words("argv")?,
            },
            "patch-status" => Action::PatchStatus { object: self.object()?, body: self.json("body")? },
            "delete-node" => Action::DeleteNode { node: self.name("node")? },
            other => return Err(missing(other, format!("this build cannot do `{other}`"))),
        })
    }

    /// Only ever shown and copied by a person, so its values are quoted as a shell would need them.
    fn elsewhere(&self) -> Bound<Action> {
        let Some(Arg::Text(operation)) = self.given.get("operation") else {
            return Err(missing("operation", "no operation"));
        };
        let quoted = operation.fill(|name| self.values.get(name).map(|value| shell_quote(value)));
        Ok(Action::Elsewhere {
            system: match self.text("system")?.as_str() {
                "aws" => System::Aws,
                "ssh" => System::Ssh,
                "postgres" => System::Postgres,
                _ => System::Registry,
            },
            operation: quoted.map_err(|name| self.unknown(name))?,
            effect: match self.text("effect")?.as_str() {
                "change" => Effect::Change,
                "disruptive" => Effect::Disruptive,
                "destructive" => Effect::Destructive,
                _ => Effect::Read,
            },
        })
    }

    fn fill(&self, template: &Template) -> Bound<String> {
        template.fill(|name| self.values.get(name).cloned()).map_err(|name| self.unknown(name))
    }

    fn maybe(&self, param: &str) -> Bound<Option<String>> {
        let Some(Arg::Text(template)) = self.given.get(param) else { return Ok(None) };
        let value = self.fill(template)?;
        if let Some(kind) = self.verb.param(param).map(|param| param.kind) {
            let name = template.sole_placeholder().unwrap_or(param);
            kind.check(&value).map_err(|says| missing(name, says))?;
        }
        Ok(Some(value))
    }

    fn text(&self, param: &str) -> Bound<String> {
        self.maybe(param)?.ok_or_else(|| missing(param, format!("`{param}` is not given")))
    }

    fn name(&self, param: &str) -> Bound<Name> {
        self.text(param).map(Name::from)
    }

    fn count(&self, param: &str) -> Bound<u32> {
        self.maybe_count(param)?.ok_or_else(|| missing(param, format!("`{param}` is not given")))
    }

    fn maybe_count(&self, param: &str) -> Bound<Option<u32>> {
        let number =
            |text: String| text.parse().map_err(|_| missing(param, format!("`{text}` is not a number")));
        self.maybe(param)?.map(number).transpose()
    }

    fn maybe_span(&self, param: &str) -> Bound<Option<Duration>> {
        Ok(self.maybe(param)?.and_then(|text| verb::span(&text)))
    }

    fn flag(&self, param: &str) -> bool {
        matches!(self.given.get(param), Some(Arg::Flag(true)))
    }

    fn words(&self, param: &str) -> Bound<Vec<String>> {
        match self.given.get(param) {
            Some(Arg::List(words)) => words.iter().map(|word| self.fill(word)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn pairs(&self, param: &str) -> Bound<Vec<(String, Option<String>)>> {
        let Some(Arg::Pairs(pairs)) = self.given.get(param) else { return Ok(Vec::new()) };
        pairs
            .iter()
            .map(|(name, value)| {
                Ok((self.fill(name)?, value.as_ref().map(|value| self.fill(value)).transpose()?))
            })
            .collect()
    }

    fn json(&self, param: &str) -> Bound<Value> {
        match self.given.get(param) {
            Some(Arg::Json(json)) => self.fill_json(json),
            _ => Ok(Value::Null),
        }
    }

    fn fill_json(&self, json: &Json) -> Bound<Value> {
        Ok(match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.clone()),
            Json::Text(template) => {
                let text = self.fill(template)?;
                match text.parse::<i64>() {
                    Ok(number) if template.sole_placeholder().is_some() => Value::from(number),
                    _ => Value::String(text),
                }
            }
            Json::List(items) => {
                Value::Array(items.iter().map(|item| self.fill_json(item)).collect::<Bound<_>>()?)
            }
            Json::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.fill_json(value)?)))
                    .collect::<Bound<_>>()?,
            ),
        })
    }

    fn namespace(&self) -> Bound<Name> {
        match self.maybe("namespace")? {
            Some(namespace) => Ok(namespace.into()),
            None => self
                .values
                .get("namespace")
                .map(|name| name.as_str().into())
                .ok_or_else(|| self.unknown("namespace")),
        }
    }

    fn key(&self, param: &str) -> Bound<Key> {
        Ok(Key { name: self.name(param)?, namespace: self.namespace()? })
    }

    fn object(&self) -> Bound<ObjectRef> {
        let kind = match self.maybe("kind")? {
            Some(kind) => {
                Kind::parse(&kind).ok_or_else(|| missing("kind", format!("`{kind}` is no kind")))?
            }
            None => Kind::Deployment,
        };
        let name = self.name("name")?;
        let key = if kind.is_namespaced() {
            Key { namespace: self.namespace()?, name }
        } else {
            Key::cluster(name)
        };
        Ok(ObjectRef::new(kind, key))
    }

    fn pods(&self) -> Bound<Vec<&crate::domain::Pod>> {
        let set = match self.given.get("pods") {
            Some(Arg::Pods(set)) => *set,
            _ => PodSet::Worst,
        };
        let pods = set.of(self.view);
        if pods.is_empty() { Err(self.no_pods()) } else { Ok(pods) }
    }

    fn no_pods(&self) -> MissingInput {
        let which = match self.given.get("pods") {
            Some(Arg::Pods(set)) => set.as_str(),
            _ => "such",
        };
        missing("pods", format!("there is no pod that is `{which}` now"))
    }

    /// In words: what is not known, and how it could be.
    fn unknown(&self, name: &str) -> MissingInput {
        if let Some(label) = self.labels.get(name) {
            return missing(name, format!("{label}: to be given"));
        }
        if let Some((_, what, line)) = SETTINGS.iter().find(|(known, ..)| *known == name) {
            return missing(name, format!("not configured: {what}; {line}"));
        }
        let what =
            super::values::BINDINGS.iter().find(|(known, _)| *known == name).map_or(name, |(_, what)| *what);
        missing(name, format!("not known: {what}"))
    }
}

fn missing(name: &str, says: impl Into<String>) -> MissingInput {
    MissingInput { name: name.to_owned(), says: says.into() }
}
