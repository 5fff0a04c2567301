//! What can happen to the cockpit, and what it can ask for. Values only: `run` turns the world into Events
//! and Effects into work; this room never does either.

use crossterm::event::KeyEvent;

use super::pointer::{Gesture, Target};
use crate::domain::{Access, Action, Key, Name, ObjectRef, Observation, Reading, Tone};
use crate::guard::{Preview, Refusal, Undo};
use crate::journal::{EntryId, Outcome, Record};

/// Names one thing asked for, so that its answer finds its way back and can be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Request(pub u64);

/// An object as the detail view shows it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Document {
    pub describe: Vec<(Tone, String)>,
    pub events: Vec<(Tone, String)>,
    /// Without managed fields, secret values masked.
    pub yaml: Vec<String>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The eyes saw something. Batches may be as large as the channel was full.
    Observed(Vec<Observation>),
    Key(KeyEvent),
    /// The mouse, with what lies under it.
    Pointed {
        target: Option<Target>,
        /// Column and row.
        cell: (u16, u16),
        gesture: Gesture,
    },
    /// Bracketed paste: goes to the field being typed into, or nowhere.
    Paste(String),
    /// Columns and rows.
    Resized(u16, u16),
    /// Time passed: at the latest after [`super::App::wake_after`].
    Tick,
    /// A read on demand came back.
    Read {
        request: Request,
        reading: Reading,
    },
    /// A line of a read or an action that still runs: for spinners and progress.
    Progress {
        request: Request,
        says: String,
    },
    Previewed {
        request: Request,
        preview: Result<Preview, Refusal>,
    },
    /// The guard did not let it pass (a wrong name, a stop, an outdated preview) or the journal could not
    /// be written; nothing was done.
    Refused {
        request: Request,
        refusal: Refusal,
    },
    /// An action ended.
    Finished {
        request: Request,
        outcome: Outcome,
    },
    /// Whether the API server lets us; nothing is said when it did not answer.
    Reviewed {
        access: Access,
        allowed: bool,
    },
    /// The value of a ConfigMap's key as it is now, None when there is none, or why it could not be read.
    Value {
        request: Request,
        value: Result<Option<String>, String>,
    },
    /// The keys of a ConfigMap.
    Keys {
        config_map: Key,
        keys: Vec<String>,
    },
    /// The person left the editor: with a text, without one (it ended with an error, as by `:cq`), or it could
    /// not be started.
    Edited {
        request: Request,
        text: Result<Option<String>, String>,
    },
    /// An object in full, redacted, or why not.
    Document {
        request: Request,
        document: Result<Document, String>,
    },
    /// Lines of a followed log; `dropped` counts lines left out before these, because we were too slow.
    LogLines {
        request: Request,
        lines: Vec<String>,
        dropped: u64,
    },
    /// A followed log ended: None at its natural end, else why.
    LogEnded {
        request: Request,
        why: Option<String>,
    },
    /// The journal as it is on disk, oldest first (the answer to [`Effect::ReadJournal`]).
    Journal(Vec<Record>),
    /// The cockpit itself has something to say (e.g. a signal, a source that was reconfigured).
    Notice(String),
}

impl Event {
    /// Nothing is judged or painted for it before the next second.
    pub fn is_routine(&self) -> bool {
        matches!(self, Event::Observed(seen) if seen.iter().all(Observation::is_routine))
    }
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Perform a read; answered by [`Event::Read`].
    Read {
        request: Request,
        action: Action,
    },
    /// Ask the API server whether it lets us; answered by [`Event::Reviewed`], or not at all.
    Review {
        request: Request,
        access: Access,
    },
    /// Preview a change (server-side dry run); answered by [`Event::Previewed`].
    Preview {
        request: Request,
        action: Action,
    },
    /// Preview a way back, which is refused when somebody moved the object since; answered by
    /// [`Event::Previewed`].
    PreviewUndo {
        request: Request,
        undo: Undo,
    },
    /// A person confirmed exactly this preview; answered by [`Event::Finished`] or [`Event::Refused`].
    Confirm {
        request: Request,
        preview: Box<Preview>,
        typed: String,
        /// The action it takes back.
        undoes: Option<EntryId>,
    },
    /// Read which keys a ConfigMap has; answered by [`Event::Keys`], or not at all.
    ReadKeys {
        request: Request,
        config_map: Key,
    },
    /// Read the value of a ConfigMap's key, exactly; answered by [`Event::Value`].
    ReadValue {
        request: Request,
        config_map: Key,
        key: String,
    },
    /// Give the terminal to the person's editor with this text in a private file; answered by
    /// [`Event::Edited`]. `name` is a hint for the name of the file.
    Edit {
        request: Request,
        name: String,
        text: String,
    },
    /// Fetch an object in full; answered by [`Event::Document`].
    Fetch {
        request: Request,
        object: ObjectRef,
    },
    /// Stream a container's log; answered by [`Event::LogLines`] until [`Event::LogEnded`].
    Follow {
        request: Request,
        pod: Key,
        container: Option<Name>,
        previous: bool,
        /// Lines from the end to begin with.
        tail: u32,
    },
    /// Stop whatever this request started. An action being performed stops at the next safe point and still
    /// answers [`Event::Finished`].
    Cancel(Request),
    /// Put this on the clipboard (OSC 52).
    Copy(String),
    ReadJournal,
    /// Leave the cockpit and start `covet-tui drill` (offered when there is no kubeconfig).
    Drill,
    /// Give the terminal back to the shell until resumed (Ctrl-Z).
    Suspend,
    /// Forget what the terminal shows and draw everything again.
    Redraw,
    Quit,
}
