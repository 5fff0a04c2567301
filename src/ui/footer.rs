//! The last line: what was just said, else the keys that matter here, from the one table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, sign};
use crate::app::keys::{Command, ENTER, ESC, KEYS, Press, Scope};
use crate::app::{Act, App, Focus, Layer};
use crate::domain::{Tone, between, text};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    if let Some(toast) = &app.toast {
        let sign = match toast.tone {
            Tone::Good => sign::OK,
            Tone::Bad => sign::WARN,
            _ => sign::OPEN,
        };
        let style = look.tone(toast.tone);
        let line = Line::from(vec![Span::styled(format!(" {sign} "), style), fit::span(&toast.says, style)]);
        return fit::put(&fit::cut(&line, cells), area, 0, buffer);
    }
    let right = running(app, look);
    let mut left = Vec::new();
    for (at, (_, hint)) in placed(app, look, cells).into_iter().enumerate() {
        left.push(Span::raw(if at == 0 { " " } else { "  " }));
        left.extend([Span::styled(hint.press.name(), look.accent), Span::raw(" ")]);
        left.push(Span::styled(hint.label, look.dim));
    }
    fit::put(&fit::two_ends(left, right, cells), area, 0, buffer);
}

/// The key under the pointer. A click never confirms a change.
pub fn at(app: &App, look: &Look, area: Rect, x: u16) -> Option<Press> {
    if app.toast.is_some() {
        return None;
    }
    let x = usize::from(x.checked_sub(area.x)?);
    let hints = placed(app, look, usize::from(area.width));
    let (_, hint) = hints.into_iter().find(|(begins, hint)| (*begins..begins + hint.wide()).contains(&x))?;
    (!hint.confirms).then_some(hint.press)
}

/// What is left out first where there is no room for all: it is in the help, too. What is not named here is left out
/// after these, the last first; the ways to the help and out stay.
const SPARED: &[(Scope, Command)] = &[
    (Scope::Main, Command::NextFocus),
    (Scope::Anywhere, Command::Copy),
    (Scope::Table, Command::Reverse),
    (Scope::Main, Command::Filter),
    (Scope::Anywhere, Command::Journal),
    (Scope::Table, Command::Columns),
    (Scope::Anywhere, Command::Palette),
    (Scope::Table, Command::Sort),
    (Scope::Anywhere, Command::Undo),
];
const STAY: [Command; 2] = [Command::Help, Command::Quit];

/// A key and what it does here.
struct Hint {
    scope: Scope,
    command: Command,
    press: Press,
    label: &'static str,
    /// It says yes to a change.
    confirms: bool,
}

impl Hint {
    fn new(command: Command, press: Press, label: &'static str) -> Self {
        Self { scope: Scope::Anywhere, command, press, label, confirms: false }
    }

    fn wide(&self) -> usize {
        fit::width(&self.press.name()) + 1 + fit::width(self.label)
    }
}

/// Where each hint begins. A hint is there whole or not at all.
fn placed(app: &App, look: &Look, cells: usize) -> Vec<(usize, Hint)> {
    let taken = running(app, look).iter().map(Span::width).sum::<usize>();
    let room = cells.saturating_sub(taken + 1);
    let mut hints = hints(app);
    while hints.iter().map(|hint| hint.wide() + GAP).sum::<usize>() > room + GAP {
        let Some(at) = first_to_go(&hints) else { break };
        hints.remove(at);
    }
    let mut at = 1;
    let mut placed = Vec::new();
    for hint in hints {
        let ends = at + hint.wide();
        if ends > room + 1 {
            break;
        }
        placed.push((at, hint));
        at = ends + GAP;
    }
    placed
}

/// Cells between two hints.
const GAP: usize = 2;

fn first_to_go(hints: &[Hint]) -> Option<usize> {
    let spared = |hint: &Hint| SPARED.iter().position(|known| *known == (hint.scope, hint.command));
    let rank = |at: usize, hint: &Hint| spared(hint).unwrap_or(SPARED.len() + hints.len() - at);
    let may_go = hints.iter().enumerate().filter(|(_, hint)| !STAY.contains(&hint.command));
    may_go.min_by_key(|(at, hint)| rank(*at, hint)).map(|(at, _)| at)
}

fn hints(app: &App) -> Vec<Hint> {
    if app.is_typing() {
        return typing(app);
    }
    let mut hints: Vec<Hint> = Vec::new();
    for scope in app.scopes() {
        for binding in KEYS.iter().filter(|binding| binding.scope == scope && !binding.label.is_empty()) {
            let Some(press) = binding.keys.first().copied() else { continue };
            let label = label(app, binding.command, binding.label);
            let shadowed = hints.iter().any(|hint| hint.press == press || hint.label == label);
            if !shadowed && !label.is_empty() {
                let confirms = binding.command == Command::Confirm;
                hints.push(Hint { scope, command: binding.command, press, label, confirms });
            }
        }
    }
    if matches!(
        app.layers.last(),
        Some(Layer::Table(_) | Layer::Object(_) | Layer::Text(_) | Layer::Page(..) | Layer::Journal(_))
    ) {
        hints.insert(0, Hint::new(Command::Back, ESC, "back"));
    }
    hints
}

/// While text is typed other keys are letters.
fn typing(app: &App) -> Vec<Hint> {
    let confirming = matches!(app.layers.last(), Some(Layer::Act));
    let mut hints = vec![Hint::new(Command::Back, ESC, "leave")];
    if !(confirming && app.act.as_ref().is_some_and(Act::is_blocked)) {
        hints.insert(0, Hint { confirms: confirming, ..Hint::new(Command::Open, ENTER, enter(app)) });
    }
    if app.sets_config() {
        let editor = KEYS.iter().find(|row| row.scope == Scope::Form && row.command == Command::Editor);
        hints.extend(editor.and_then(|row| Some(Hint::new(Command::Editor, *row.keys.first()?, row.label))));
    }
    hints
}

/// On the main screen a key says what it does here; empty when it would do nothing.
fn label(app: &App, command: Command, label: &'static str) -> &'static str {
    if command == Command::Undo && app.way_back().is_none() {
        return "";
    }
    if let Some(Layer::Table(table)) = app.layers.last() {
        let chart = crate::app::columns(table.panel).is_empty();
        let on_rows = matches!(
            command,
            Command::Open | Command::Filter | Command::Sort | Command::Reverse | Command::Columns
        );
        return if chart && on_rows { "" } else { label };
    }
    if !app.layers.is_empty() {
        return label;
    }
    let plan = app.dossier().and_then(|dossier| dossier.plan.as_ref());
    match (command, app.focus) {
        (Command::Open, Focus::Anomalies) if app.selection.anomaly.is_some() => "playbook",
        (Command::Open, Focus::Anomalies) => "",
        (Command::Open, Focus::Playbook) if on_checklist(app) => "tick",
        (Command::Open, Focus::Playbook) if plan.is_some() => "run step",
        (Command::Open, Focus::Playbook) => "",
        (Command::Suggested, _) if plan.is_none_or(|plan| plan.suggested.is_none()) => "",
        _ => label,
    }
}

fn on_checklist(app: &App) -> bool {
    app.dossier().is_some_and(|dossier| dossier.place().is_some() && dossier.step().is_none())
}

fn enter(app: &App) -> &'static str {
    match app.layers.last() {
        Some(Layer::Act) => "confirm",
        Some(Layer::Form(form)) if !form.is_last() => "next",
        Some(Layer::Form(_)) => "go on",
        Some(Layer::Palette(_)) => "choose",
        _ => "find",
    }
}

/// An action that runs behind what is looked at.
fn running<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    let Some(act) = app.act.as_ref().filter(|act| act.is_running()) else { return Vec::new() };
    if app.layers.iter().any(|layer| matches!(layer, Layer::Act)) {
        return Vec::new();
    }
    let since = match &act.phase {
        crate::app::ActPhase::Running { since, .. } => *since,
        _ => app.now,
    };
    let words = format!(
        "{} {} {} ",
        sign::spinner(app.now.as_millisecond()),
        text::clean(&act.title),
        text::span(between(since, app.now))
    );
    vec![Span::styled(words, look.accent)]
}
