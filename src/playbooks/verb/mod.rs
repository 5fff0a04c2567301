//! The verbs of playbooks: one for each action of the product, with the parameters it takes and their types.
//! Knows what may be written; what it is bound to is `bind`'s.

mod alerting;
mod aws;
mod kubernetes;
mod machine;
mod network;
mod postgres;
mod redis;
mod script;

use std::collections::BTreeMap;

use crate::domain::{Effect, System};

use super::pods::PodSet;
use super::template::Template;

pub(super) use alerting::{VERBS as ALERTING, is_workload};

/// What a step does: a verb and its arguments.
#[derive(Clone, Debug)]
pub struct Todo {
    pub verb: &'static Verb,
    pub args: BTreeMap<&'static str, Arg>,
}

/// An argument as written, with its placeholders.
#[derive(Clone, PartialEq, Debug)]
pub enum Arg {
    Text(Template),
    List(Vec<Template>),
    Flag(bool),
    Pods(PodSet),
    /// Names to values; None removes.
    Pairs(Vec<(Template, Option<Template>)>),
    Json(Json),
}

/// A JSON value whose strings are templates. A string that is nothing but one placeholder becomes a number if
/// its value reads as a whole number; in a list, it becomes an item for each of its words between commas.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Template),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// One row of the tables of verbs.
#[derive(Debug)]
pub struct Verb {
    /// As written after `action =`; the same word as in the journal.
    pub name: &'static str,
    pub params: &'static [Param],
    /// The effect, when it does not depend on the arguments.
    pub effect: Effect,
    /// What has to be configured for it.
    pub system: System,
}

#[derive(Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: ParamKind,
    pub required: bool,
}

/// The type of a parameter: what a linter accepts, and what binding checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamKind {
    /// The name of an object: lower case letters, digits, `-` and `.`.
    Name,
    /// A whole number.
    Count,
    /// A quantity of Kubernetes, `1536Mi` or `250m`.
    Quantity,
    /// `90s`, `5m`, `1h30m`.
    Span,
    /// One line of text.
    Line,
    /// An `http` or `https` URL.
    Url,
    /// A host name or an address, with or without a port.
    Host,
    /// An image reference.
    Image,
    /// The name of an environment variable.
    Variable,
    /// A network, `203.0.113.0/24`, or one address.
    Cidr,
    /// A kind of object, written out: `ConfigMap`.
    Kind,
    /// A kind of object that is only read.
    AnyKind,
    /// A kind with rollouts.
    Workload,
    /// A kind that runs to its end: `CronJob` or `Job`.
    Runs,
    /// One of these words, written out.
    OneOf(&'static [&'static str]),
    Flag,
    Words,
    Pods,
    Pairs,
    Json,
}

const fn must(name: &'static str, kind: ParamKind) -> Param {
    Param { name, kind, required: true }
}

const fn may(name: &'static str, kind: ParamKind) -> Param {
    Param { name, kind, required: false }
}

/// Where a namespaced object lives; without it, the namespace of the anomaly.
const IN: Param = may("namespace", Name);

const fn reads(name: &'static str, params: &'static [Param]) -> Verb {
    Verb { name, params, effect: Effect::Read, system: System::Kubernetes }
}

const fn changes(name: &'static str, params: &'static [Param]) -> Verb {
    Verb { name, params, effect: Effect::Change, system: System::Kubernetes }
}

const fn disrupts(name: &'static str, params: &'static [Param]) -> Verb {
    Verb { name, params, effect: Effect::Disruptive, system: System::Kubernetes }
}

const fn destroys(name: &'static str, params: &'static [Param]) -> Verb {
    Verb { name, params, effect: Effect::Destructive, system: System::Kubernetes }
}

/// Every verb, by system; the test beside says that none is missing.
static TABLES: &[&[Verb]] = &[
    kubernetes::VERBS,
    postgres::VERBS,
    redis::VERBS,
    alerting::VERBS,
    aws::VERBS,
    machine::VERBS,
    network::VERBS,
    script::VERBS,
    &[ELSEWHERE],
];

const ELSEWHERE: Verb = reads(
    "elsewhere",
    &[
        must("system", OneOf(&["aws", "ssh", "network", "postgres"])),
        must("operation", Line),
        must("effect", OneOf(&["read", "change", "disruptive", "destructive"])),
        // The one line that would configure the system.
        must("configure", Line),
    ],
);

use ParamKind::{
    AnyKind, Cidr, Count, Flag, Host, Image, Json as JsonKind, Kind, Line, Name, OneOf, Pairs, Pods,
    Quantity, Runs, Span, Url, Variable, Words, Workload,
};

impl Verb {
    pub fn all() -> impl Iterator<Item = &'static Verb> {
        TABLES.iter().copied().flatten()
    }

    pub fn find(name: &str) -> Option<&'static Verb> {
        Verb::all().find(|verb| verb.name == name)
    }

    /// The same verb, on another system than Kubernetes.
    const fn on(self, system: System) -> Verb {
        Verb { system, ..self }
    }

    pub fn param(&self, name: &str) -> Option<&'static Param> {
        self.params.iter().find(|param| param.name == name)
    }
}

impl Todo {
    /// The effect before anything is bound: the action's, never the author's claim. The one exception is a
    /// system without hands, where the effect is all there is.
    pub fn effect(&self) -> Effect {
        match (self.verb.name, self.args.get("effect")) {
            ("elsewhere", Some(Arg::Text(word))) => match word.show(&BTreeMap::new()).as_str() {
                "change" => Effect::Change,
                "disruptive" => Effect::Disruptive,
                "destructive" => Effect::Destructive,
                _ => Effect::Read,
            },
            ("drain", _) if self.flag("delete_empty_dir") || self.flag("force") => Effect::Destructive,
            _ => self.verb.effect,
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.args.get(name), Some(Arg::Flag(true)))
    }

    /// Every placeholder that has to be filled.
    pub fn placeholders(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for arg in self.args.values() {
            arg.placeholders(&mut names);
        }
        names
    }
}

impl Arg {
    fn placeholders<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Arg::Text(text) => names.extend(text.placeholders()),
            Arg::List(texts) => names.extend(texts.iter().flat_map(Template::placeholders)),
            Arg::Pairs(pairs) => {
                for (name, value) in pairs {
                    names.extend(name.placeholders());
                    names.extend(value.iter().flat_map(Template::placeholders));
                }
            }
            Arg::Json(json) => json.placeholders(names),
            Arg::Flag(_) | Arg::Pods(_) => {}
        }
    }
}

impl Json {
    fn placeholders<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Json::Text(text) => names.extend(text.placeholders()),
            Json::List(items) => items.iter().for_each(|item| item.placeholders(names)),
            Json::Object(fields) => fields.iter().for_each(|(_, value)| value.placeholders(names)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
}

impl ParamKind {
    /// For a linter's help.
    pub fn says(self) -> String {
        match self {
            Name => "the name of an object: lower case letters, digits, `-` and `.`".into(),
            Count => "a whole number".into(),
            Quantity => "a quantity such as \"1536Mi\" or \"250m\"".into(),
            Span => "a time such as \"90s\", \"5m\" or \"1h30m\"".into(),
            Line => "one line of text".into(),
            Url => "an http or https URL".into(),
            Host => "a host name or an address, with or without a port".into(),
            Image => "an image reference".into(),
            Cidr => "a network such as \"203.0.113.0/24\", or one address".into(),
            Variable => "the name of an environment variable".into(),
            Kind => "a kind of object, written out: \"ConfigMap\"".into(),
            AnyKind => "a kind of object, as \"ConfigMap\"".into(),
            Workload => "Deployment, StatefulSet or DaemonSet".into(),
            Runs => "CronJob or Job".into(),
            OneOf(words) => format!("one of {}", words.join(", ")),
            Flag => "true or false".into(),
            Words => "a list of strings".into(),
            Pods => format!("one of {}", PodSet::ALL.map(|(name, _)| name).join(", ")),
            Pairs => "a table of strings; false removes an entry".into(),
            JsonKind => "a table".into(),
        }
    }

    /// What is wrong with a value, if it is.
    pub fn check(self, value: &str) -> Result<(), String> {
        let wrong = |is: bool| if is { Err(format!("`{value}` is not {}", self.says())) } else { Ok(()) };
        match self {
            Name => wrong(!is_name(value)),
            Count => wrong(value.parse::<u32>().is_err()),
            Quantity => wrong(!is_quantity(value)),
            Span => wrong(span(value).is_none()),
            Line => wrong(value.chars().any(char::is_control)),
            Url => wrong(!is_url(value)),
            Host => wrong(!is_host(value)),
            Image => wrong(!is_image(value)),
            Cidr => wrong(value.parse::<crate::domain::Cidr>().is_err()),
            Variable => wrong(!is_variable(value)),
            Kind | AnyKind => wrong(crate::domain::Kind::parse(value).is_none()),
            Workload => wrong(!["Deployment", "StatefulSet", "DaemonSet"].contains(&value)),
            Runs => wrong(!["CronJob", "Job"].contains(&value)),
            OneOf(words) => wrong(!words.contains(&value)),
            Pods => wrong(PodSet::parse(value).is_none()),
            Flag | Words | Pairs | JsonKind => Ok(()),
        }
    }
}

fn is_name(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !value.is_empty()
        && value.len() <= 253
        && value.chars().all(inner)
        && value.starts_with(edge)
        && value.ends_with(edge)
}

fn is_quantity(value: &str) -> bool {
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    number.parse::<f64>().is_ok_and(|number| number > 0.0)
        && ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"].contains(&unit)
}

fn is_url(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !value.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_host(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:*[]".contains(c);
    !value.is_empty() && value.len() <= 260 && value.chars().all(allowed) && !value.starts_with(['-', '.'])
}

fn is_image(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    !value.is_empty() && value.chars().all(allowed) && value.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_variable(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A time as playbooks write it.
pub fn span(value: &str) -> Option<std::time::Duration> {
    value.parse::<jiff::SignedDuration>().ok().and_then(|span| std::time::Duration::try_from(span).ok())
}
