//! What a playbook is: a trigger, steps, what must hold in the end, and a checklist for afterwards.
//! Values only; reading them from TOML is `parse`, binding them to real objects is `bind`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use regex::Regex;

use super::checklist::Check;
use super::finds::Finder;
use super::guards::Guard;
use super::resolved::Condition;
use super::template::Template;
use super::verb::Todo;

#[derive(Clone, Debug)]
pub struct Playbook {
    /// Lower case and dashes; for the product's own, the name of the rule that opens it.
    pub id: String,
    pub title: String,
    pub category: String,
    pub symptoms: Vec<String>,
    pub trigger: Trigger,
    /// Where the trigger is written: `team.toml:12`.
    pub place: String,
    /// Thresholds this playbook sets for its rule, each with its source.
    pub thresholds: Vec<Threshold>,
    /// In the order in which they would be suggested, other things being equal.
    pub steps: Vec<Step>,
    /// When the right thing is to wait, or to open another playbook first.
    pub holds: Vec<Hold>,
    pub resolved: Resolved,
    /// What to see to when it is over, so that it does not come back.
    pub follow_up: Vec<FollowUp>,
}

/// What opens a playbook.
#[derive(Clone, PartialEq, Debug)]
pub enum Trigger {
    /// A rule of this build, by name.
    Rule(String),
    /// An alert with all these labels.
    Alert(BTreeMap<String, String>),
    /// A PromQL expression beyond a bound for some time.
    Promql { expr: String, above: Option<f64>, below: Option<f64>, for_: Duration },
    /// The first column of the first row above a bound for some time.
    Sql { query: String, above: f64, for_: Duration },
    /// A field (a JSON pointer) of an object of this kind equal to a value, or matching a pattern.
    Object { kind: String, field: String, equals: Option<String>, matches: Option<Pattern>, for_: Duration },
}

/// A regular expression, compiled when it is first needed: a start should not pay for what it may not use.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern that is known to compile.
    pub(super) fn trusted(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: OnceLock::new() }
    }

    /// # Errors
    /// Why it does not compile.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let compiled = Regex::new(text)?;
        Ok(Self { text: text.to_owned(), compiled: OnceLock::from(Some(compiled)) })
    }

    /// Where it matches first.
    pub fn find(&self, line: &str) -> Option<Range<usize>> {
        self.compiled
            .get_or_init(|| Regex::new(&self.text).ok())
            .as_ref()?
            .find(line)
            .map(|found| found.range())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// Of the rule, e.g. `restarts`.
    pub key: String,
    pub value: f64,
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepPhase {
    Investigate,
    Mitigate,
    Resolve,
    Verify,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub id: String,
    pub phase: StepPhase,
    pub title: Template,
    /// One line for a tired person.
    pub why: String,
    /// One typed action and its parameters, with placeholders.
    pub todo: Todo,
    /// What a person may change before it runs.
    pub inputs: Vec<InputSpec>,
    pub for_causes: Vec<String>,
    pub not_for_causes: Vec<String>,
    /// Placeholders that must not have another value than these; an empty one must have none.
    pub only_where: Vec<(String, String)>,
    /// A placeholder with several words: the step is done for those that it had, and open again for a new one.
    pub each: Option<String>,
    pub finds: Vec<Finder>,
    pub guards: Vec<Guard>,
    /// Steps that have to be done first for this one to be suggested.
    pub after: Vec<String>,
    /// How it is taken back, in words; None if it can't be (`undo = "none"`), which raises the confirmation.
    pub undo: Option<Template>,
    /// The steps that show whether it worked.
    pub verify: Vec<String>,
    /// How long to wait after it before judging again.
    pub settle: Duration,
    /// Not suggested before the anomaly is this old: it may pass by itself.
    pub not_before: Duration,
    /// Suggested whatever the cause once the anomaly is this old, or once users are affected.
    pub anyway_after: Option<Duration>,
    /// Whether it runs by itself when its anomaly is opened. Only reads that cost the sick system little.
    pub auto: bool,
    /// How long what it read holds; then it is read again by itself. None: until something else outdates it.
    pub fresh_for: Option<Duration>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputSpec {
    pub name: String,
    pub label: String,
    /// A person has to give it when its placeholders can't be filled.
    pub default: Option<Template>,
}

/// For these causes nothing is to be done here: it takes time, or another playbook goes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    pub for_causes: Vec<String>,
    pub not_for_causes: Vec<String>,
    /// The playbook that goes first.
    pub to: Option<String>,
    pub why: Template,
    /// The reads that are suggested meanwhile: the first of them that can run.
    pub steps: Vec<String>,
    /// What only other reads found has to be found by this one, too.
    pub confirm: bool,
    /// Only when no change fits and everything was read.
    pub last: bool,
}

/// What must hold, and for how long, before a playbook calls its anomaly resolved.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Resolved {
    pub says: String,
    pub conditions: Vec<Condition>,
    /// Steps that must have passed.
    pub steps: Vec<String>,
    pub for_: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowUp {
    pub id: String,
    pub says: String,
    /// What can be seen without asking: the name of a check.
    pub check: Option<Check>,
}

/// Something wrong in a playbook file, where, and what is allowed instead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lint {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
}

impl StepPhase {
    pub const ALL: [(&'static str, StepPhase); 4] = [
        ("investigate", StepPhase::Investigate),
        ("mitigate", StepPhase::Mitigate),
        ("resolve", StepPhase::Resolve),
        ("verify", StepPhase::Verify),
    ];

    pub fn parse(name: &str) -> Option<StepPhase> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, phase)| *phase)
    }

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, phase)| *phase == self).map_or("", |(name, _)| name)
    }
}

impl std::fmt::Display for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}
