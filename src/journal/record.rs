//! Entries, outcomes and what is read back. Entries are made by the journal alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::way_back::WayBack;
use crate::domain::{Action, Effect, Timestamp};
use crate::guard::{Actor, Hazard, Pin, Preview, Refusal, Undo, Warrant};

/// Readable and short: `20261123-031207-4f2a`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct EntryId(pub String);

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A warrant that is on disk. Consumed by the hands; nothing else makes one.
///
/// ```no_run
/// fn look(entry: &covet_tui::journal::Entry) -> String { entry.id().to_string() }
/// ```
/// ```compile_fail
/// fn copy(entry: &covet_tui::journal::Entry) -> covet_tui::journal::Entry { entry.clone() }
/// ```
/// ```compile_fail
/// fn forge(warrant: covet_tui::guard::Warrant) -> covet_tui::journal::Entry {
///     covet_tui::journal::Entry { id: covet_tui::journal::EntryId("1".into()), warrant }
/// }
/// ```
#[must_use]
#[derive(Debug)]
pub struct Entry {
    id: EntryId,
    warrant: Warrant,
}

impl Entry {
    pub(super) fn new(id: EntryId, warrant: Warrant) -> Self {
        Self { id, warrant }
    }

    pub fn id(&self) -> &EntryId {
        &self.id
    }

    pub fn warrant(&self) -> &Warrant {
        &self.warrant
    }
}

/// How an action ended, with the way back if there is one.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub entry: EntryId,
    pub action: Action,
    pub result: Ending,
    pub at: Timestamp,
    pub undo: Option<Undo>,
    /// What happened on the way, oldest first.
    pub progress: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Ending {
    /// Done, and seen to have had its effect.
    Performed(String),
    /// Written, but its effect was not seen: it timed out, stalled, or watching was stopped.
    Unverified(String),
    /// Nothing was written. With a fresh preview when the world had moved.
    Refused(Refusal, Option<Box<Preview>>),
    /// The other side said no; nothing (or, for several targets, not everything) was changed.
    Failed(String),
    /// The write was sent and not answered, and a read could not show that it took effect.
    Unknown(String),
}

impl Ending {
    /// `performed`, `unverified`, `refused`, `failed`, `unknown`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Ending::Performed(_) => "performed",
            Ending::Unverified(_) => "unverified",
            Ending::Refused(..) => "refused",
            Ending::Failed(_) => "failed",
            Ending::Unknown(_) => "unknown",
        }
    }

    pub fn says(&self) -> String {
        match self {
            Ending::Performed(says)
            | Ending::Unverified(says)
            | Ending::Failed(says)
            | Ending::Unknown(says) => says.clone(),
            Ending::Refused(refusal, _) => refusal.to_string(),
        }
    }
}

/// What the journal remembers of one action.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    pub id: EntryId,
    pub at: Timestamp,
    pub who: Actor,
    pub effect: Effect,
    pub title: String,
    pub command: String,
    pub targets: Vec<String>,
    pub pins: Vec<Pin>,
    pub hazards: Vec<Hazard>,
    /// Masked.
    pub action: Value,
    /// Masked.
    pub before: Value,
    /// The way back as it was planned, in words.
    pub undo: Option<String>,
    /// The action that this one took back.
    pub undoes: Option<EntryId>,
    pub closing: Option<Closing>,
    /// The hash chain holds up to here.
    pub intact: bool,
}

/// How it ended, as remembered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closing {
    pub at: Timestamp,
    /// [`Ending::as_str`].
    pub result: String,
    pub says: String,
    pub progress: Vec<String>,
    pub undo: Option<String>,
    /// The same for a later session, where it may be taken there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
}

impl Record {
    /// It took effect, as far as anybody saw.
    pub fn was_done(&self) -> bool {
        let done = |closing: &Closing| matches!(&*closing.result, "performed" | "unverified");
        self.closing.as_ref().is_some_and(done)
    }
}

/// An action whose cockpit died before it could say how it ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Orphan {
    pub id: EntryId,
    pub at: Timestamp,
    pub title: String,
    pub command: String,
    pub targets: Vec<String>,
}
