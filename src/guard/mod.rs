//! Who may act: Armed, Preview, Warrant and refusals. Without a Warrant nothing is written anywhere.
//! Knows no client and no clock; it must never learn how an action is carried out.
//!
//! The types are sealed. A warrant comes only from [`Armed::confirm`], and `Armed` only from
//! [`Armed::arm`], which `main` calls unless the session is read-only.
//!
//! ```no_run
//! // What follows fails for want of a right, not of a name: this compiles.
//! let armed = covet_tui::guard::Armed::arm();
//! fn look(warrant: &covet_tui::guard::Warrant, preview: &covet_tui::guard::Preview) -> usize {
//!     warrant.preview().targets.len() + preview.targets.len()
//! }
//! ```
//! ```compile_fail
//! let armed = covet_tui::guard::Armed { _seal: () };
//! ```
//! ```compile_fail
//! fn copy<T: Clone>(_: &T) {}
//! copy(&covet_tui::guard::Armed::arm());
//! ```
//! ```compile_fail
//! let armed = covet_tui::guard::Armed::default();
//! ```
//! ```compile_fail
//! fn copy(warrant: &covet_tui::guard::Warrant) -> covet_tui::guard::Warrant { warrant.clone() }
//! ```
//! ```compile_fail
//! let warrant = covet_tui::guard::Warrant::default();
//! ```
//! ```compile_fail
//! let warrant: covet_tui::guard::Warrant = serde_json::from_str("{}").unwrap();
//! ```
//! ```compile_fail
//! let text = |warrant: covet_tui::guard::Warrant| serde_json::to_string(&warrant);
//! ```
//! ```compile_fail
//! // A preview shows what would happen; nobody may change it afterwards.
//! fn widen(mut preview: covet_tui::guard::Preview) { preview.targets.clear(); }
//! ```

mod actor;
mod preview;

pub use actor::Actor;
pub use preview::{Confirmation, DiffTone, Draft, Guard, Hazard, Level, Pin, Preview, Undo};

use std::time::Duration;

use crate::domain::{Action, Effect, Timestamp, between};

/// How long a confirmation holds before the hand must have begun.
pub const WARRANT_LIFE: Duration = Duration::from_mins(1);

/// How old a preview may be when it is confirmed: what was shown should still be what is.
pub const PREVIEW_LIFE: Duration = Duration::from_mins(10);

/// The right to change anything at all. Exists only in sessions that are not read-only.
#[derive(Debug)]
pub struct Armed {
    _seal: (),
}

/// A person's leave for one action, as they saw it previewed. Used up by the journal.
#[must_use]
#[derive(Debug)]
pub struct Warrant {
    preview: Preview,
    who: Actor,
    at: Timestamp,
}

/// Why something will not be done, and what would make it possible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub says: String,
    pub repair: Option<String>,
}

impl Refusal {
    pub fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), repair: None }
    }

    #[must_use]
    pub fn repair(self, repair: impl Into<String>) -> Self {
        Self { repair: Some(repair.into()), ..self }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repair {
            Some(repair) => write!(f, "{}; {repair}", self.says),
            None => f.write_str(&self.says),
        }
    }
}

impl Armed {
    /// Called by `main` alone, and never in a read-only session.
    #[must_use]
    pub fn arm() -> Armed {
        Armed { _seal: () }
    }

    /// Closes a draft: from here on it can be read and confirmed, not changed.
    pub fn seal(&self, draft: Draft) -> Preview {
        Preview::seal(draft)
    }

    /// What a person typed against what the preview asks for. Refuses reads, previews with a hazard that
    /// stops, stale previews, and anything but the exact name where a name is asked for.
    pub fn confirm(
        &self,
        preview: Preview,
        typed: &str,
        who: Actor,
        now: Timestamp,
    ) -> Result<Warrant, Refusal> {
        if preview.action.effect() == Effect::Read {
            return Err(Refusal::new("a read needs no confirmation"));
        }
        if let Some(stop) = preview.hazards.iter().find(|hazard| hazard.level == Level::Stop) {
            return Err(Refusal::new(stop.says.clone()).repair("remove the cause, then preview again"));
        }
        if between(preview.at, now) > PREVIEW_LIFE {
            return Err(Refusal::new("this preview is more than 10 minutes old").repair("preview again"));
        }
        if let Confirmation::Type(name) = &preview.confirmation
            && typed.trim() != &**name
        {
            return Err(Refusal::new(format!("the name does not match: type {name} to confirm")));
        }
        Ok(Warrant { preview, who, at: now })
    }
}

impl Warrant {
    pub fn action(&self) -> &Action {
        &self.preview.action
    }

    pub fn preview(&self) -> &Preview {
        &self.preview
    }

    pub fn who(&self) -> &Actor {
        &self.who
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Closes a fresh draft of the same action, for a hand that found the world moved. It must be confirmed
    /// like any other.
    pub fn seal(&self, draft: Draft) -> Preview {
        Preview::seal(draft)
    }

    /// A confirmation that was not acted on in time must be asked for again.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        between(self.at, now) > WARRANT_LIFE
    }
}
