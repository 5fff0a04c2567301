//! A step's `do` becomes a typed Action on real objects. Every value is checked against the type of its
//! parameter; a value is never a piece of a shell line.

mod alerting;
mod aws;
mod kubernetes;
mod machine;
mod network;
mod postgres;
mod redis;
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::domain::{Action, Effect, Key, Kind, Name, ObjectRef, System, shell_quote};

use super::placeholders::{BINDINGS, SETTINGS};
use super::pods::PodSet;
use super::template::Template;
use super::values::values;
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
        match self.verb.system {
            _ if self.verb.name == "elsewhere" => self.elsewhere(),
            // What mends Prometheus is done to the cluster.
            System::Kubernetes if alerting::knows(self.verb) => alerting::bind(self).map(Action::Alerting),
            System::Kubernetes => kubernetes::read(self),
            System::Postgres => postgres::bind(self).map(Action::Postgres),
            System::Redis => redis::bind(self).map(Action::Redis),
            System::Prometheus | System::Alertmanager => alerting::bind(self).map(Action::Alerting),
            System::Aws => aws::bind(self).map(Action::Aws),
            System::Ssh => machine::bind(self).map(Action::Machine),
            System::Network => network::bind(self).map(Action::Network),
            System::Scripts => script::bind(self).map(Action::Script),
        }
    }

    /// A verb of a table without an arm in its binder.
    fn cannot(&self) -> MissingInput {
        missing(self.verb.name, format!("this build cannot do `{}`", self.verb.name))
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
                _ => System::Network,
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
                let mut filled = Vec::new();
                for item in items {
                    match item {
                        // One item for each of several names.
                        Json::Text(template) if template.sole_placeholder().is_some() => {
                            filled
                                .extend(self.fill(template)?.split(',').map(|word| Value::from(word.trim())));
                        }
                        other => filled.push(self.fill_json(other)?),
                    }
                }
                Value::Array(filled)
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

    /// A workload that has rollouts.
    fn rolled_out(&self) -> Bound<ObjectRef> {
        let object = self.object()?;
        match object.kind {
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => Ok(object),
            kind => Err(missing("kind", format!("a {} has no rollouts", kind.as_str()))),
        }
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
        let what = BINDINGS.iter().find(|(known, _)| *known == name).map_or(name, |(_, what)| *what);
        missing(name, format!("not known: {what}"))
    }
}

/// Networks in CIDR notation; a placeholder may hold several, separated by commas or spaces.
fn networks(args: &Args<'_>, param: &str) -> Bound<Vec<String>> {
    let words = args.words(param)?;
    let split = words.iter().flat_map(|words| words.split([',', ' '])).filter(|word| !word.is_empty());
    let mut found: Vec<String> = Vec::new();
    for word in split {
        verb::ParamKind::Cidr.check(word).map_err(|says| missing(param, says))?;
        if !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    }
    if found.is_empty() { Err(missing(param, "no network is given")) } else { Ok(found) }
}

fn missing(name: &str, says: impl Into<String>) -> MissingInput {
    MissingInput { name: name.to_owned(), says: says.into() }
}
