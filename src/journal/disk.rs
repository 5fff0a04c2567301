//! The journal's file: one line, one write, synced before a hand moves; shared by cockpits under a lock.
//! Knows files; must not know what the actions do.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::line::{self, Body, Entered};
use super::record::{Closing, Entry, EntryId, Orphan, Outcome, Record};
use super::way_back::WayBack;
use crate::domain::{Timestamp, mask, text};
use crate::guard::Warrant;

const FILE: &str = "journal.jsonl";
const SESSIONS: &str = "sessions";

/// An open journal. Holds a lock on its session's file for as long as it lives, so that another cockpit
/// doesn't take an action in progress for an orphan.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    session: String,
    alive: File,
}

impl Journal {
    /// Opens (or begins) the journal in this directory. Also returns every action without an outcome whose
    /// cockpit is dead; they are named at each start until [`Journal::settle`] closes them.
    ///
    /// # Errors
    /// When the directory or the file can't be created, locked or read: then nothing must be done.
    pub fn open(dir: &Path) -> io::Result<(Journal, Vec<Orphan>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir.join(SESSIONS))?;
        let path = dir.join(FILE);
        let is_new = !path.exists();
        let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path)?;
        if is_new {
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
        }
        forget_the_dead(&dir.join(SESSIONS));
        let session = uuid::Uuid::now_v7().to_string();
        let alive = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock_path(dir, &session))?;
        alive.lock()?;
        let journal = Journal { dir: dir.to_owned(), file, session, alive };
        let orphans = journal.orphans()?;
        Ok((journal, orphans))
    }

    /// Writes the warrant down and syncs it. Only what is on disk may be done.
    ///
    /// # Errors
    /// When it could not be made durable: the action must not happen.
    pub fn enter(&mut self, warrant: Warrant) -> io::Result<Entry> {
        self.enter_undo(warrant, None)
    }

    /// The same for what takes back an earlier action.
    ///
    /// # Errors
    /// As [`Journal::enter`].
    pub fn enter_undo(&mut self, warrant: Warrant, undoes: Option<EntryId>) -> io::Result<Entry> {
        let id = entry_id(warrant.at());
        let preview = warrant.preview();
        let action = preview.action.masked();
        let mut before = preview.before.clone();
        mask(&mut before);
        let body = Body::Entered(Box::new(Entered {
            id: id.clone(),
            at: warrant.at(),
            session: self.session.clone(),
            who: warrant.who().clone(),
            effect: preview.action.effect(),
            title: plain(&preview.title),
            command: plain(&action.as_command()),
            targets: preview.targets.iter().map(|target| plain(target)).collect(),
            pins: preview.pins.clone(),
            hazards: preview.hazards.clone(),
            action: serde_json::to_value(&action)?,
            before,
            undo: preview.undo.as_ref().map(|undo| plain(&undo.says)),
            undoes,
        }));
        self.append(&body)?;
        Ok(Entry::new(id, warrant))
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// When it could not be written: the action then counts as unknown at the next start.
    pub fn close(&mut self, outcome: &Outcome) -> io::Result<()> {
        let closing = Closing {
            at: outcome.at,
            result: outcome.result.as_str().into(),
            says: plain(&outcome.result.says()),
            progress: outcome.progress.iter().map(|line| plain(line)).collect(),
            undo: outcome
                .undo
                .as_ref()
                .map(|undo| format!("{}: {}", plain(&undo.says), plain(&undo.action.masked().as_command()))),
            way_back: outcome.undo.as_ref().and_then(WayBack::of),
        };
        self.append(&Body::Closed { id: outcome.entry.clone(), closing: Box::new(closing) })
    }

    /// Closes an orphan after a person was told of it.
    pub fn settle(&mut self, orphan: &Orphan, says: &str, at: Timestamp) -> io::Result<()> {
        let closing = Closing {
            at,
            result: "unknown".into(),
            says: plain(says),
            progress: Vec::new(),
            undo: None,
            way_back: None,
        };
        self.append(&Body::Closed { id: orphan.id.clone(), closing: Box::new(closing) })
    }

    /// Everything the journal in this directory remembers, oldest first; empty when there is none.
    pub fn read(dir: &Path) -> io::Result<Vec<Record>> {
        let text = match fs::read(dir.join(FILE)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(line::read(&text).0)
    }

    fn orphans(&self) -> io::Result<Vec<Orphan>> {
        let bytes = fs::read(self.dir.join(FILE))?;
        let (_, open) = line::read(&String::from_utf8_lossy(&bytes));
        let dead = |session: &str| session != self.session && !is_alive(&self.dir, session);
        Ok(open.into_iter().filter(|(_, session)| dead(session)).map(|(orphan, _)| orphan).collect())
    }

    fn append(&mut self, body: &Body) -> io::Result<()> {
        self.file.lock()?;
        let written = self.append_locked(body);
        let unlocked = self.file.unlock();
        written.and(unlocked)
    }

    fn append_locked(&mut self, body: &Body) -> io::Result<()> {
        let tail = self.tail()?;
        let (mut line, _) = line::write(body, &line::last_hash(&tail))?;
        if !tail.is_empty() && !tail.ends_with('\n') {
            // A crash tore the last line: end it, so that ours stands alone.
            line.insert(0, '\n');
        }
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()
    }

    /// The end of the file, reaching back over at least one whole line.
    fn tail(&mut self) -> io::Result<String> {
        let length = self.file.seek(SeekFrom::End(0))?;
        let mut reach = 64 * 1024;
        loop {
            let start = length.saturating_sub(reach);
            self.file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            (&self.file).take(length - start).read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if start == 0 || line::last_hash(&text) != line::BEGINNING {
                return Ok(text);
            }
            reach *= 4;
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.alive.unlock();
        let _ = fs::remove_file(lock_path(&self.dir, &self.session));
    }
}

fn lock_path(dir: &Path, session: &str) -> PathBuf {
    dir.join(SESSIONS).join(format!("{session}.lock"))
}

/// Whether the cockpit of that session still holds its lock.
fn is_alive(dir: &Path, session: &str) -> bool {
    // The name comes from a file: it must not lead elsewhere.
    let Ok(session) = uuid::Uuid::parse_str(session) else { return false };
    match File::open(lock_path(dir, &session.to_string())) {
        Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// Removes what killed cockpits left behind. Only old files: a new one may be about to be locked.
fn forget_the_dead(sessions: &Path) {
    for entry in fs::read_dir(sessions).into_iter().flatten().flatten() {
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_hours(24)));
        if is_old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn entry_id(at: Timestamp) -> EntryId {
    let random = uuid::Uuid::now_v7().as_u128() & 0xffff_ffff;
    EntryId(format!("{}-{random:08x}", at.strftime("%Y%m%d-%H%M%S")))
}

fn plain(words: &str) -> String {
    text::redact(&text::clean(words))
}
