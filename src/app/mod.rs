//! Event in, Effects out: values only, synchronous and replayable.
//! Knows what a person looks at, what was judged and what is under way; never how anything is drawn or done.

mod act;
mod board;
mod cells;
mod colours;
mod columns;
mod copy;
mod dossier;
mod earlier;
mod editing;
mod event;
mod form;
mod go;
mod judge;
pub mod keys;
mod line;
mod list;
mod object;
mod palette;
mod panel;
pub mod picker;
mod pointer;
mod press;
mod reading;
mod rights;
mod rows;
mod score;
mod table;
mod text_view;
mod undo;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::{AnomalyId, Change, Name, Snapshot, System, Timestamp, Tone, between};
use crate::journal::{Orphan, Record};
use crate::playbooks::Library;
use crate::rules::Thresholds;

pub use act::{Act, Origin as ActOrigin, Phase as ActPhase};
pub use board::{Health, PodBoard};
pub use cells::{Cell, days_left, node_rank, node_status};
pub use colours::Colours;
pub use columns::{Chooser, Column, columns};
pub use dossier::{Asked, Dossier};
pub use earlier::Earlier;
pub use editing::Editing;
pub use event::{Document, Effect, Event, Request};
pub use form::{Field, Form};
pub use judge::Verdict;
pub use keys::{Command, Scope};
pub use line::Line;
pub use list::{Place, Row};
pub use object::{LogView, ObjectView, Tab};
pub use palette::{Entry as PaletteEntry, Palette};
pub use panel::Panel;
pub use pointer::{Gesture, Target};
pub use rows::CertificateRow;
pub use score::{Known, Score, Truth, Worse, is_like};
pub use table::TableView;
pub use text_view::TextView;
pub use undo::Undoable;

/// What a cockpit is told when it starts.
#[derive(Debug, Default)]
pub struct Options {
    /// The kube context, or what stands for it.
    pub context: String,
    /// None: all namespaces.
    pub namespace: Option<Name>,
    /// The context is a production one by the settings: it must be unmistakable.
    pub protected: bool,
    /// False in a read-only session.
    pub armed: bool,
    /// The drill that is being practised, if it is one.
    pub drill: Option<String>,
    /// What is true of it, for the score alone.
    pub truth: Option<Truth>,
    pub library: Library,
    pub thresholds: Thresholds,
    /// Values for playbook placeholders from settings.
    pub bindings: BTreeMap<String, String>,
    /// The systems that are configured.
    pub systems: BTreeSet<System>,
    /// `dark` or `light`.
    pub theme: String,
    /// What the terminal can show.
    pub colours: Colours,
    /// Actions of an earlier session whose outcome nobody knows.
    pub orphans: Vec<Orphan>,
    /// What earlier sessions did here.
    pub earlier: Earlier,
    /// Why there is nothing to connect to, and what would help; then the drill is offered.
    pub trouble: Option<Trouble>,
}

/// Why there is no cluster to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub says: String,
    /// What a person can do about it, one a line.
    pub repairs: Vec<String>,
}

/// What keys go to on the main screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    Panel(Panel),
    Anomalies,
    Playbook,
}

/// What lies over the main screen; the last one gets the keys.
#[derive(Debug)]
pub enum Layer {
    /// A panel full screen.
    Table(Box<TableView>),
    /// An object in full.
    Object(Box<ObjectView>),
    /// The lines of a reading or an outcome.
    Text(Box<TextLayer>),
    /// Values a step needs.
    Form(Form),
    /// The columns of the table below.
    Columns(Chooser),
    /// The act under way, [`App::act`].
    Act,
    Palette(Palette),
    Page(Page, usize),
    Journal(JournalView),
}

/// Pages that only scroll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    Help,
    Changes,
    Blindness,
    /// What Alertmanager holds.
    Alerts,
    /// How the drill goes, or went.
    Score,
}

/// Text with a title, and the command that gives the same.
#[derive(Debug)]
pub struct TextLayer {
    pub title: String,
    pub text: TextView,
    pub command: Option<String>,
}

/// The journal, newest first.
#[derive(Debug, Default)]
pub struct JournalView {
    /// Into the records, newest first; records are only ever appended at the other end.
    pub cursor: usize,
    pub open: bool,
    pub scroll: usize,
}

/// A line at the bottom that goes away by itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Toast {
    pub at: Timestamp,
    pub tone: Tone,
    pub says: String,
}

/// Which anomaly is looked at, and whether a person chose it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    pub anomaly: Option<AnomalyId>,
    pub by_person: bool,
}

/// The whole state of the cockpit.
#[derive(Debug)]
pub struct App {
    pub options: Options,
    /// As of the last event.
    pub now: Timestamp,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    pub snapshot: Snapshot,
    pub board: PodBoard,
    pub verdict: Verdict,
    pub selection: Selection,
    pub dossiers: BTreeMap<AnomalyId, Dossier>,
    pub focus: Focus,
    pub layers: Vec<Layer>,
    /// At most one action is under way at a time.
    pub act: Option<Act>,
    /// What can be taken back, oldest first.
    pub undos: Vec<Undoable>,
    pub toast: Option<Toast>,
    /// Only anomalies that contain this are listed.
    pub filter: Line,
    pub filtering: bool,
    /// Columns that are not shown, by panel, for the session.
    pub hidden: BTreeMap<Panel, BTreeSet<usize>>,
    /// Oldest first, as last read.
    pub journal: Vec<Record>,
    rights: rights::Rights,
    started: Timestamp,
    next_request: u64,
    /// Something was folded since the last judgement.
    unjudged: bool,
    judged: Option<Timestamp>,
    clicked: Option<pointer::Clicked>,
    /// When a person last did anything.
    handled: Timestamp,
    /// Anomalies a person has dealt with the checklist of, by item.
    pub ticked: BTreeSet<(AnomalyId, String)>,
    /// How the drill is played, if it is one.
    pub score: Option<Score>,
}

/// The rules are asked at most this often.
const PAUSE: Duration = Duration::from_millis(250);
/// A spinner turns this often.
const TURN: Duration = Duration::from_millis(120);
/// A toast stays this long.
const TOAST: Duration = Duration::from_secs(6);
/// What changed is shown this far back.
pub const WINDOW: Duration = Duration::from_mins(30);

impl App {
    /// A cockpit that has seen nothing yet. Its first frame needs nothing else.
    pub fn new(mut options: Options, now: Timestamp) -> App {
        let toast = orphan_notice(&options.orphans, now);
        let Earlier { deeds, undos } = std::mem::take(&mut options.earlier);
        let mut snapshot = Snapshot::watching(options.namespace.clone(), options.library.triggers());
        snapshot.deeds = deeds;
        let score = options.truth.take().map(|truth| Score::new(truth, now));
        App {
            options,
            now,
            size: (80, 24),
            snapshot,
            board: PodBoard::default(),
            verdict: Verdict::default(),
            selection: Selection::default(),
            dossiers: BTreeMap::new(),
            focus: Focus::Anomalies,
            layers: Vec::new(),
            act: None,
            undos,
            toast,
            filter: Line::default(),
            filtering: false,
            hidden: columns::usual(),
            journal: Vec::new(),
            rights: rights::Rights::default(),
            started: now,
            next_request: 0,
            unjudged: false,
            judged: None,
            clicked: None,
            handled: now,
            ticked: BTreeSet::new(),
            score,
        }
    }

    /// When the next [`Event::Tick`] should come at the latest.
    pub fn wake_after(&self) -> Duration {
        let until_judged = match self.judged {
            Some(judged) if self.unjudged => PAUSE.saturating_sub(between(judged, self.now)),
            _ => Duration::from_secs(1),
        };
        if self.is_busy() { until_judged.min(TURN) } else { until_judged }.max(Duration::from_millis(10))
    }

    /// Something a person waits for is under way.
    pub fn is_busy(&self) -> bool {
        self.act.as_ref().is_some_and(Act::is_waiting)
            || self.dossiers.values().any(|dossier| !dossier.asked.is_empty())
            || self.layers.iter().any(|layer| match layer {
                Layer::Object(object) => object.is_waiting(),
                Layer::Form(form) => form.editing.is_some(),
                _ => false,
            })
    }

    /// Nothing was heard from anybody yet.
    pub fn is_starting(&self) -> bool {
        self.judged.is_none() && between(self.started, self.now) < Duration::from_secs(30)
    }

    /// The dossier of the anomaly that is looked at.
    pub fn dossier(&self) -> Option<&Dossier> {
        self.dossiers.get(self.selection.anomaly.as_ref()?)
    }

    /// Changes of the last half hour, the latest first.
    pub fn changes(&self) -> &[Change] {
        &self.verdict.changes
    }

    /// Tells the person something in passing.
    pub(crate) fn say(&mut self, tone: Tone, says: impl Into<String>) {
        self.toast = Some(Toast { at: self.now, tone, says: says.into() });
    }

    pub(crate) fn request(&mut self) -> Request {
        self.next_request += 1;
        Request(self.next_request)
    }
}

fn orphan_notice(orphans: &[Orphan], now: Timestamp) -> Option<Toast> {
    let orphan = orphans.last()?;
    let says = match orphans.len() {
        1 => format!(
            "the last session ended during “{}”: its outcome is unknown; see the journal (J)",
            orphan.title
        ),
        more => format!("{more} actions of earlier sessions have no known outcome; see the journal (J)"),
    };
    Some(Toast { at: now, tone: Tone::Bad, says })
}
