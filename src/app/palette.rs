//! The command palette: every command, anomaly, object and playbook, found by a few letters.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::event::Effect;
use super::keys::{Command, KEYS, Press, Scope};
use super::line::Line;
use super::panel::Panel;
use super::{App, Focus, Layer, TextLayer, TextView};
use crate::domain::{AnomalyId, Key, Kind, ObjectRef, Tone};

/// Rows kept; nobody reads more than the first few.
const SHOWN: usize = 100;
/// Pods offered while nothing is typed.
const OFFERED: usize = 50;

#[derive(Debug)]
pub struct Palette {
    pub line: Line,
    pub at: usize,
    /// The best first.
    pub entries: Vec<Entry>,
}

/// One thing that can be chosen.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// `command`, `anomaly`, `pod`, …
    pub kind: &'static str,
    pub says: String,
    /// Its key, for commands.
    pub key: String,
    pub does: Does,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Does {
    Command(Command),
    Panel(Panel),
    Anomaly(AnomalyId),
    /// A step of the playbook that is looked at: goes there, and does nothing yet.
    Step(String),
    Object(ObjectRef),
    Playbook(String),
}

impl Palette {
    pub fn new(app: &App) -> Self {
        let mut palette = Self { line: Line::default(), at: 0, entries: Vec::new() };
        palette.find(app);
        palette
    }

    pub fn go(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.entries.len().saturating_sub(1));
    }

    /// Finds again what the line asks for.
    pub fn find(&mut self, app: &App) {
        self.at = 0;
        let wanted = self.line.text().trim().to_owned();
        if wanted.is_empty() {
            self.entries = fixed(app).chain(pods(app).take(OFFERED)).take(SHOWN).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(&wanted, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, Entry)> = Vec::new();
        for entry in fixed(app).chain(pods(app)) {
            let haystack = Utf32Str::new(&entry.says, &mut buffer);
            let kind_bonus = if entry.kind == "pod" { 0 } else { 8 };
            if let Some(score) = pattern.score(haystack, &mut matcher) {
                scored.push((score + kind_bonus, entry));
            }
        }
        scored.sort_by(|(one, first), (other, second)| {
            other
                .cmp(one)
                .then_with(|| first.says.len().cmp(&second.says.len()))
                .then_with(|| first.says.cmp(&second.says))
        });
        self.entries = scored.into_iter().take(SHOWN).map(|(_, entry)| entry).collect();
    }
}

impl App {
    pub(super) fn choose(&mut self, does: Does) -> Vec<Effect> {
        match does {
            Does::Command(command) => self.command(command),
            Does::Panel(panel) => self.open_panel(panel),
            Does::Anomaly(id) => {
                self.layers.clear();
                self.select(id);
                self.focus = Focus::Playbook;
                self.advise()
            }
            Does::Step(step) => {
                self.layers.clear();
                self.stand_on(Some(step));
                Vec::new()
            }
            Does::Object(object) => self.open_object(object),
            Does::Playbook(id) => {
                self.open_playbook(&id);
                Vec::new()
            }
        }
    }

    fn open_playbook(&mut self, id: &str) {
        let Some(playbook) = self.options.library.get(id) else { return };
        let mut lines = vec![(Tone::Heading, playbook.title.clone())];
        lines.extend(playbook.symptoms.iter().map(|symptom| (Tone::Dim, format!("  {symptom}"))));
        for step in &playbook.steps {
            lines.push((Tone::Plain, format!("{:<12} {}", step.phase.as_str(), step.id)));
            lines.push((Tone::Dim, format!("{:<12} {}", "", step.why)));
        }
        lines.push((Tone::Heading, "Resolved when".into()));
        lines.push((Tone::Plain, format!("  {}", playbook.resolved.says)));
        let layer = TextLayer { title: playbook.id.clone(), text: TextView::new(lines), command: None };
        self.layers.push(Layer::Text(Box::new(layer)));
    }
}

/// Everything but pods.
fn fixed(app: &App) -> impl Iterator<Item = Entry> + '_ {
    let anomalies = app.every_row().into_iter().filter_map(|row| {
        let dossier = app.dossiers.get(&row.id).map(|dossier| &dossier.anomaly);
        let anomaly = app.verdict.anomaly(&row.id).or(dossier)?;
        let subject = anomaly.subject.placed(app.snapshot.is_everywhere());
        Some(entry("anomaly", format!("{subject} {}", anomaly.title), Does::Anomaly(row.id)))
    });
    let commands = KEYS
        .iter()
        .filter(|binding| matches!(binding.scope, Scope::Main | Scope::Anywhere))
        .filter(|binding| {
            use Command::{Down, First, Focus, Last, Left, Open, PageDown, PageUp, Right, Up};
            let moves =
                matches!(binding.command, Up | Down | Left | Right | PageUp | PageDown | First | Last);
            !moves && !matches!(binding.command, Open | Focus(_) | Command::Palette | Command::Back)
        })
        .map(|binding| Entry {
            kind: "command",
            says: binding.says.to_owned(),
            key: binding.keys.first().map(|press: &Press| press.name()).unwrap_or_default(),
            does: Does::Command(binding.command),
        });
    let panels = Panel::ALL.into_iter().map(|panel| Entry {
        kind: "panel",
        says: format!("open {}", panel.title()),
        key: panel.number().to_string(),
        does: Does::Panel(panel),
    });
    let steps = app.dossier().map(super::Dossier::steps).unwrap_or_default();
    let steps = steps
        .into_iter()
        .map(|step| entry("step", format!("{} ({})", step.title, step.id), Does::Step(step.id.clone())));
    let object = |kind: Kind, key: &Key| {
        let name = if kind == Kind::Node { "node" } else { "deployment" };
        entry(name, key.to_string(), Does::Object(ObjectRef::new(kind, key.clone())))
    };
    let nodes = app.snapshot.nodes.iter().map(move |node| object(Kind::Node, &node.key));
    let deployments = app.snapshot.deployments.iter().map(move |row| object(Kind::Deployment, &row.key));
    let playbooks = app.options.library.iter().map(|playbook| {
        entry(
            "playbook",
            format!("{} — {}", playbook.id, playbook.title),
            Does::Playbook(playbook.id.clone()),
        )
    });
    anomalies.chain(steps).chain(commands).chain(panels).chain(playbooks).chain(deployments).chain(nodes)
}

fn pods(app: &App) -> impl Iterator<Item = Entry> + '_ {
    app.board
        .iter()
        .map(|(_, key)| entry("pod", key.to_string(), Does::Object(ObjectRef::new(Kind::Pod, key.clone()))))
}

fn entry(kind: &'static str, says: String, does: Does) -> Entry {
    Entry { kind, says, key: String::new(), does }
}
