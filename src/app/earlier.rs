//! What earlier sessions of this person did in this context, by the journal: the deeds for the timeline, and the ways
//! back that are still open.

use jiff::SignedDuration;

use super::Undoable;
use super::act::{OF_THE_JOURNAL, Origin};
use crate::domain::{Action, AnomalyId, Change, ChangeKind, Timestamp};
use crate::journal::Record;

/// What is older is not offered: somebody else's work has come to stand on it.
const BACK: SignedDuration = SignedDuration::from_hours(24);

/// Of the day before.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Oldest first.
    pub deeds: Vec<Change>,
    /// Oldest first.
    pub undos: Vec<Undoable>,
}

impl Earlier {
    /// From all that the journal remembers.
    pub fn of(records: &[Record], context: &str, now: Timestamp) -> Self {
        let of_here = |record: &&Record| {
            record.who.context == context && record.was_done() && now.duration_since(record.at) <= BACK
        };
        let here = || records.iter().filter(of_here);
        Self {
            deeds: here().filter_map(deed).collect(),
            undos: here().filter_map(|record| way_back(record, records)).collect(),
        }
    }
}

fn deed(record: &Record) -> Option<Change> {
    let action: Action = serde_json::from_value(record.action.clone()).ok()?;
    let closing = record.closing.as_ref()?;
    let by = Some(record.who.to_string().into());
    Some(Change {
        at: record.at,
        kind: ChangeKind::Ours,
        object: action.object()?,
        says: closing.says.clone(),
        by,
    })
}

/// Unless it was taken already.
fn way_back(record: &Record, all: &[Record]) -> Option<Undoable> {
    if all.iter().any(|other| other.was_done() && other.undoes.as_ref() == Some(&record.id)) {
        return None;
    }
    let undo = record.closing.as_ref()?.way_back.as_ref()?.undo()?;
    let of = record.undoes.as_ref().and_then(|of| all.iter().find(|other| other.id == *of));
    // The anomaly it was for is another session's.
    let anomaly = AnomalyId(format!("{OF_THE_JOURNAL}{}", record.id).into());
    let origin = Origin { anomaly, step: record.id.0.clone(), undoing: record.undoes.is_some() };
    Some(Undoable { origin, entry: record.id.clone(), title: of.unwrap_or(record).title.clone(), undo })
}
