//! What is wrong, judged: an anomaly with its evidence and its causes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Name, ObjectRef, Origin, Timestamp};

/// Stable as long as the anomaly lasts: `crash-loop/deployment/shop/web`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct AnomalyId(pub Name);

impl fmt::Display for AnomalyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Anomaly {
    pub id: AnomalyId,
    /// The rule's name, e.g. `crash-loop`; also the id of its playbook.
    pub rule: Name,
    pub subject: Subject,
    pub severity: Severity,
    /// 0 to 1; shown from 0.5, opens an incident by itself from 0.7 (audit, section 3).
    pub score: f64,
    /// When it began, as well as it can be known.
    pub onset: Timestamp,
    /// One line in words: `2 of 4 pods crash-looping: OOMKilled`.
    pub title: String,
    pub evidence: Vec<Evidence>,
    /// The likeliest first.
    pub causes: Vec<Cause>,
    /// Everything it touches, for joining causes to effects: pods, their ReplicaSet and Deployment, nodes, …
    pub touches: Vec<ObjectRef>,
    /// Values for playbook placeholders, e.g. `pod`, `container`, `deployment`, `namespace`, `node`,
    /// `good_revision`, `bad_revision`, `memory_suggestion`.
    pub bindings: BTreeMap<&'static str, String>,
    /// When the public alert for it would page, if its `for` has not passed yet or just has.
    pub pages_at: Option<Timestamp>,
}

/// What an anomaly is about.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Subject {
    Object(ObjectRef),
    /// The application's traffic as a whole, by namespace.
    Traffic(Name),
    /// A database server, by host or name.
    Database(Name),
    Cache(Name),
    /// A public host name; with its port, where that is another than 443.
    Host(Name),
    /// The cluster as a whole.
    Cluster,
}

impl Subject {
    /// Where it is; None for what is in no namespace.
    pub fn namespace(&self) -> Option<&Name> {
        let namespace = match self {
            Subject::Object(object) => &object.key.namespace,
            Subject::Traffic(namespace) => namespace,
            _ => return None,
        };
        (!namespace.is_empty()).then_some(namespace)
    }

    /// With its namespace where all of them are looked at: `deployment/web in shop`.
    pub fn placed(&self, everywhere: bool) -> String {
        match (self, self.namespace()) {
            (Subject::Object(object), Some(namespace)) if everywhere => format!("{object} in {namespace}"),
            _ => self.to_string(),
        }
    }
}

impl Subject {
    /// The host that it is about, and its port where that is not the usual one.
    pub fn host(&self) -> Option<(&str, Option<u16>)> {
        let Subject::Host(host) = self else { return None };
        let port = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        Some(port.map_or((host, None), |(name, port)| (name, Some(port))))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Object(object) => write!(f, "{object}"),
            Subject::Traffic(namespace) if namespace.is_empty() => f.write_str("traffic"),
            Subject::Traffic(namespace) => write!(f, "traffic/{namespace}"),
            Subject::Database(name) => write!(f, "database/{name}"),
            Subject::Cache(name) => write!(f, "cache/{name}"),
            Subject::Host(name) => write!(f, "host/{name}"),
            Subject::Cluster => f.write_str("cluster"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// First samples: worth a look, may pass by itself.
    Suspect,
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Suspect => "suspect",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// One observed fact that speaks for an anomaly or its cause.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    pub at: Option<Timestamp>,
    pub from: Origin,
    pub says: String,
}

/// A named cause, from the vocabulary of [`super::cause`] that playbooks refer to (`for_causes`).
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    /// E.g. `oom-killed`, `missing-reference`, `bad-revision`, `image-not-found`.
    pub name: &'static str,
    /// In words, with the numbers: `OOMKilled at 2.0 GiB limit, 9 s after start`.
    pub says: String,
    /// How sure, 0 to 1.
    pub weight: f64,
}
