//! What one look found, printed for people or scripts.
//!
//! The JSON form is versioned: fields may be added within a version, never renamed or removed.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::{Change, Severity, Timestamp, between, text};

/// The version of the JSON form.
pub const VERSION: u32 = 1;
/// So many symptoms of an incident are asked about and told in full; the table only names the others.
pub const SYMPTOMS: usize = 5;

/// Everything one look found.
#[derive(Serialize, Debug)]
pub struct Report {
    pub version: u32,
    pub at: Timestamp,
    pub verdict: Verdict,
    pub incidents: Vec<IncidentRow>,
    pub anomalies: Vec<AnomalyRow>,
    pub blind: Vec<BlindRow>,
}

/// In words and as exit code.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// 0: every rule sees and none fires.
    Clear,
    /// 1: something is wrong.
    Firing,
    /// 2: nothing fires, but some rules cannot see.
    Blind,
}

#[derive(Serialize, Debug)]
pub struct IncidentRow {
    pub id: String,
    pub title: String,
    pub severity: Severity,
    pub onset: Timestamp,
    /// The id of the anomaly that explains the others.
    pub root: String,
    pub symptoms: Vec<String>,
    pub changes: Vec<Change>,
}

#[derive(Serialize, Debug)]
pub struct AnomalyRow {
    pub id: String,
    pub rule: String,
    pub subject: String,
    /// Where the subject is; None for what is in no namespace.
    pub namespace: Option<String>,
    pub title: String,
    pub severity: Severity,
    pub score: f64,
    pub onset: Timestamp,
    pub causes: Vec<CauseRow>,
    pub evidence: Vec<EvidenceRow>,
    /// What the playbook's own reads brought to light.
    pub found: Vec<FoundRow>,
    pub suggested: Option<Suggestion>,
}

#[derive(Serialize, Debug)]
pub struct CauseRow {
    pub name: String,
    pub says: String,
    pub weight: f64,
}

#[derive(Serialize, Debug)]
pub struct EvidenceRow {
    pub from: &'static str,
    pub says: String,
    pub at: Option<Timestamp>,
}

/// A cause recognised in what was read: a log, events, an answer.
#[derive(Serialize, Debug)]
pub struct FoundRow {
    /// The id of the step that read it.
    pub step: String,
    pub cause: String,
    /// The words that gave it away.
    pub says: String,
}

#[derive(Serialize, Debug)]
pub struct Suggestion {
    /// The step's id in the playbook of the rule: `roll-back`.
    pub step: String,
    pub title: String,
    pub why: String,
    /// What a person could paste instead.
    pub command: Option<String>,
    /// Why somebody else has to do it: this session may only look, or the API server denies us the right.
    pub blocked: Option<String>,
}

#[derive(Serialize, Debug)]
pub struct BlindRow {
    pub rule: String,
    pub why: String,
    pub repair: Option<String>,
    pub since: Timestamp,
}

impl Verdict {
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clear => 0,
            Verdict::Firing => 1,
            Verdict::Blind => 2,
        }
    }
}

impl IncidentRow {
    fn only_named(&self) -> impl Iterator<Item = &str> {
        self.symptoms.iter().skip(SYMPTOMS).map(String::as_str)
    }
}

impl Report {
    /// For people: incidents first, then anomalies with what speaks for them, then what is blind.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let age = |at: Timestamp| text::span(between(at, self.at));
        let since = |at: Timestamp| match between(at, self.at).as_secs() {
            0 => "seen just now".to_owned(),
            _ => format!("since {}", age(at)),
        };
        for incident in &self.incidents {
            let _ = writeln!(out, "{:<8}  {}", incident.severity.as_str().to_uppercase(), incident.title);
            for change in &incident.changes {
                let _ = writeln!(
                    out,
                    "          changed {} ago: {} {}",
                    age(change.at),
                    change.object,
                    change.says
                );
            }
        }
        let named: HashSet<&str> = self.incidents.iter().flat_map(IncidentRow::only_named).collect();
        for anomaly in self.anomalies.iter().filter(|anomaly| !named.contains(&*anomaly.id)) {
            let _ = writeln!(
                out,
                "\n{:<8}  {}  {}{}\n          {}, {}",
                anomaly.severity.as_str(),
                anomaly.rule,
                anomaly.subject,
                anomaly.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default(),
                anomaly.title,
                since(anomaly.onset)
            );
            for cause in &anomaly.causes {
                let _ = writeln!(out, "          cause    {} ({:.0} %)", cause.says, cause.weight * 100.0);
            }
            for evidence in &anomaly.evidence {
                let _ = writeln!(out, "          seen     {}", evidence.says);
            }
            let says = |found: &FoundRow| format!("{}: {}", found.cause, found.says);
            // Several reads may have found the same.
            let mut said: Vec<String> = Vec::new();
            for found in anomaly.found.iter().map(says) {
                if said.contains(&found) {
                    continue;
                }
                let _ = writeln!(out, "          found    {found}");
                said.push(found);
            }
            if let Some(next) = &anomaly.suggested {
                let _ = writeln!(out, "          next     {} ({})", next.title, next.step);
                let _ = writeln!(out, "          why      {}", next.why);
                if let Some(blocked) = &next.blocked {
                    let _ = writeln!(out, "          blocked  {blocked}: somebody else has to do it");
                }
                if let Some(command) = &next.command {
                    let _ = writeln!(out, "          by hand  {command}");
                }
            }
        }
        for incident in &self.incidents {
            let more: Vec<&str> = incident.only_named().collect();
            if !more.is_empty() {
                let _ = writeln!(out, "\nand {} more with {}: {}", more.len(), incident.root, more.join(" "));
            }
        }
        for blind in &self.blind {
            let repair = blind.repair.as_ref().map(|repair| format!(" ({repair})")).unwrap_or_default();
            let _ = writeln!(out, "{:<8}  {}: {}{repair}", "blind", blind.rule, blind.why);
        }
        let _ = match self.verdict {
            Verdict::Clear => writeln!(out, "all clear: every rule sees, none fires"),
            Verdict::Firing => writeln!(
                out,
                "\n{}, {}, {} blind",
                text::count(self.incidents.len(), "incident"),
                text::count(self.anomalies.len(), "anomaly").replace("anomalys", "anomalies"),
                text::count(self.blind.len(), "rule"),
            ),
            Verdict::Blind => writeln!(out, "cannot tell: nothing fires, but the rules above cannot see"),
        };
        out
    }
}
