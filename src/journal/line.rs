//! One line of the journal: a body, chained by hash to the line before. Knows text, not files.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::record::{Closing, EntryId, Orphan, Record};
use crate::domain::{Effect, Timestamp};
use crate::guard::{Actor, Hazard, Pin};

/// What the first line of a journal is chained to.
pub(super) const BEGINNING: &str = "covet-tui journal 1";

/// What a line says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Body {
    Entered(Box<Entered>),
    Closed {
        id: EntryId,
        #[serde(flatten)]
        closing: Box<Closing>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Entered {
    pub(super) id: EntryId,
    pub(super) at: Timestamp,
    /// The cockpit that wrote it: its lock tells whether it still lives.
    pub(super) session: String,
    pub(super) who: Actor,
    pub(super) effect: Effect,
    pub(super) title: String,
    pub(super) command: String,
    pub(super) targets: Vec<String>,
    pub(super) pins: Vec<Pin>,
    pub(super) hazards: Vec<Hazard>,
    pub(super) action: Value,
    pub(super) before: Value,
    pub(super) undo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undoes: Option<EntryId>,
}

#[derive(Serialize)]
struct Written<'a> {
    prev: &'a str,
    hash: &'a str,
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Read<'a> {
    prev: String,
    hash: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The line for a body after a line with hash `prev`, with its newline, and its own hash.
pub(super) fn write(body: &Body, prev: &str) -> serde_json::Result<(String, String)> {
    let body = serde_json::value::to_raw_value(body)?;
    let hash = chain(prev, body.get());
    let mut line = serde_json::to_string(&Written { prev, hash: &hash, body: &body })?;
    line.push('\n');
    Ok((line, hash))
}

/// The hash of the last whole line, or [`BEGINNING`].
pub(super) fn last_hash(text: &str) -> String {
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str::<Read>(line).ok())
        .map_or_else(|| BEGINNING.into(), |read| read.hash)
}

/// Everything that can be read. Lines torn by a crash are skipped; a line that was altered, or whose
/// predecessor is missing, is kept and marked.
pub(super) fn read(text: &str) -> (Vec<Record>, Vec<(Orphan, String)>) {
    let mut records: Vec<(Record, String)> = Vec::new();
    let mut prev = BEGINNING.to_owned();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Read>(line) else { continue };
        let intact = line.prev == prev && line.hash == chain(&line.prev, line.body.get());
        prev = line.hash;
        match serde_json::from_str::<Body>(line.body.get()) {
            Ok(Body::Entered(entered)) => {
                let session = entered.session.clone();
                records.push((record(*entered, intact), session));
            }
            Ok(Body::Closed { id, closing }) => {
                if let Some((record, _)) = records.iter_mut().rev().find(|(record, _)| record.id == id) {
                    record.intact &= intact;
                    record.closing = Some(*closing);
                }
            }
            Err(_) => {}
        }
    }
    let orphans = records
        .iter()
        .filter(|(record, _)| record.closing.is_none())
        .map(|(record, session)| (orphan(record), session.clone()))
        .collect();
    (records.into_iter().map(|(record, _)| record).collect(), orphans)
}

fn record(entered: Entered, intact: bool) -> Record {
    Record {
        id: entered.id,
        at: entered.at,
        who: entered.who,
        effect: entered.effect,
        title: entered.title,
        command: entered.command,
        targets: entered.targets,
        pins: entered.pins,
        hazards: entered.hazards,
        action: entered.action,
        before: entered.before,
        undo: entered.undo,
        undoes: entered.undoes,
        closing: None,
        intact,
    }
}

fn orphan(record: &Record) -> Orphan {
    Orphan {
        id: record.id.clone(),
        at: record.at,
        title: record.title.clone(),
        command: record.command.clone(),
        targets: record.targets.clone(),
    }
}

fn chain(prev: &str, body: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(prev.as_bytes());
    hasher.update(b"\n");
    hasher.update(body.as_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
