//! The one table of keys: it drives the key map, the help overlay, the footer and the README.
//! It knows what a key means, never what happens then.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::panel::Panel;

/// What a person can ask for with one key or one palette entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
    NextFocus,
    PreviousFocus,
    Focus(Panel),
    /// Goes deeper into what is selected: open, run, preview.
    Open,
    /// One step back: closes what is on top.
    Back,
    /// Runs the suggested step of the selected anomaly.
    Suggested,
    /// Runs the selected step again.
    Again,
    /// Changes the values of the selected step before it runs.
    Edit,
    /// Previews the undo of the last action that has one.
    Undo,
    Copy,
    Filter,
    Sort,
    Reverse,
    Columns,
    /// Shows or hides the column the cursor is on.
    Toggle,
    /// The columns as they were at first.
    Usual,
    /// Changes the current value of a ConfigMap's key in the person's editor.
    Editor,
    /// Goes to the list of anomalies.
    Anomalies,
    Playbook,
    Journal,
    Changes,
    Blindness,
    Alerts,
    Score,
    Palette,
    Help,
    Follow,
    Previous,
    Container,
    Search,
    NextMatch,
    PreviousMatch,
    Confirm,
    Hide,
    Drill,
    Redraw,
    Suspend,
    Quit,
}

/// Where a key has its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everywhere, unless a narrower scope says otherwise or text is being typed.
    Anywhere,
    /// The main screen.
    Main,
    /// A panel opened full screen.
    Table,
    /// The columns of a list.
    Columns,
    /// Values for a step.
    Form,
    /// What was done.
    Journal,
    /// An object opened: its tabs.
    Object,
    /// The tab with logs.
    Logs,
    /// A preview that waits for one key.
    Confirm,
    /// An action that runs.
    Running,
    /// An action that ended.
    Outcome,
    /// The first screen when there is nothing to connect to.
    Welcome,
}

/// One key, perhaps with Ctrl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Press {
    pub code: KeyCode,
    pub ctrl: bool,
}

/// One row of the table.
#[derive(Debug)]
pub struct Binding {
    pub scope: Scope,
    pub keys: &'static [Press],
    pub command: Command,
    /// For the footer, a word or two; empty means not shown there.
    pub label: &'static str,
    /// For the help.
    pub says: &'static str,
}

const fn key(character: char) -> Press {
    Press { code: KeyCode::Char(character), ctrl: false }
}

const fn ctrl(character: char) -> Press {
    Press { code: KeyCode::Char(character), ctrl: true }
}

const fn code(code: KeyCode) -> Press {
    Press { code, ctrl: false }
}

const fn row(
    scope: Scope,
    keys: &'static [Press],
    command: Command,
    label: &'static str,
    says: &'static str,
) -> Binding {
    Binding { scope, keys, command, label, says }
}

pub const ENTER: Press = code(KeyCode::Enter);
pub const ESC: Press = code(KeyCode::Esc);

/// Every key. Narrow scopes first, then what holds everywhere.
pub const KEYS: &[Binding] = &[
    row(Scope::Main, &[ENTER], Command::Open, "open", "open the panel, the playbook, or the step"),
    row(Scope::Main, &[key('n')], Command::Suggested, "next step", "run the suggested step"),
    row(Scope::Main, &[key('r')], Command::Again, "", "run the selected step again"),
    row(Scope::Main, &[key('e')], Command::Edit, "", "change the step's values before it runs"),
    row(Scope::Main, &[key('E')], Command::Editor, "", "change a ConfigMap's value in your editor"),
    row(Scope::Main, &[key('/')], Command::Filter, "filter", "list only anomalies that contain the text"),
    row(Scope::Main, &[code(KeyCode::Tab)], Command::NextFocus, "focus", "next part of the screen"),
    row(Scope::Main, &[code(KeyCode::BackTab)], Command::PreviousFocus, "", "previous part of the screen"),
    row(Scope::Main, &[key('1')], Command::Focus(Panel::Pods), "", "go to Pods; again to open it"),
    row(Scope::Main, &[key('2')], Command::Focus(Panel::Nodes), "", "go to Nodes"),
    row(Scope::Main, &[key('3')], Command::Focus(Panel::Autoscalers), "", "go to Autoscalers"),
    row(Scope::Main, &[key('4')], Command::Focus(Panel::Database), "", "go to DB connections"),
    row(Scope::Main, &[key('5')], Command::Focus(Panel::Latency), "", "go to Latency"),
    row(Scope::Main, &[key('6')], Command::Focus(Panel::Certificates), "", "go to Certificates"),
    row(Scope::Main, &[key('a')], Command::Anomalies, "", "go to the list of anomalies"),
    row(Scope::Main, &[key('p')], Command::Playbook, "", "go to the playbook"),
    row(Scope::Main, &[key('c')], Command::Changes, "", "what changed, as a list"),
    row(Scope::Main, &[key('b')], Command::Blindness, "", "what is not seen, since when and why"),
    row(Scope::Main, &[key('A')], Command::Alerts, "", "alerts that fire, as a list"),
    row(Scope::Main, &[key('S')], Command::Score, "", "how the drill goes"),
    row(Scope::Table, &[ENTER], Command::Open, "open", "open the selected object"),
    row(Scope::Table, &[key('/')], Command::Filter, "filter", "show only rows that contain the text"),
    row(Scope::Table, &[key('s')], Command::Sort, "sort", "sort by the next column"),
    row(Scope::Table, &[key('r')], Command::Reverse, "reverse", "reverse the order"),
    row(Scope::Table, &[key('c')], Command::Columns, "columns", "choose the columns"),
    row(Scope::Columns, &[ENTER, key(' ')], Command::Toggle, "show or hide", "show or hide the column"),
    row(Scope::Columns, &[key('r')], Command::Usual, "the usual", "the columns as they were at first"),
    row(Scope::Columns, &[ESC, key('c')], Command::Back, "done", "back to the list"),
    row(
        Scope::Form,
        &[ctrl('o')],
        Command::Editor,
        "in your editor",
        "change the current value in your editor",
    ),
    row(Scope::Journal, &[ENTER], Command::Open, "open", "open the action, or go back to the list"),
    row(Scope::Logs, &[key('f')], Command::Follow, "follow", "follow the end of the log, or stop there"),
    row(
        Scope::Logs,
        &[key('p')],
        Command::Previous,
        "previous",
        "the container's previous life, or this one",
    ),
    row(Scope::Logs, &[key('c')], Command::Container, "container", "next container"),
    row(Scope::Object, &[code(KeyCode::Tab)], Command::NextFocus, "tab", "next tab"),
    row(Scope::Object, &[code(KeyCode::BackTab)], Command::PreviousFocus, "", "previous tab"),
    row(Scope::Object, &[key('/')], Command::Search, "search", "search in the text"),
    row(Scope::Object, &[key('n')], Command::NextMatch, "", "next match"),
    row(Scope::Object, &[key('N')], Command::PreviousMatch, "", "previous match"),
    row(Scope::Confirm, &[key('y')], Command::Confirm, "yes, do it", "do what the preview shows"),
    row(Scope::Confirm, &[key('n'), ESC], Command::Back, "no", "leave without doing anything"),
    row(Scope::Confirm, &[key('c')], Command::Copy, "copy command", "copy the equivalent command"),
    row(Scope::Running, &[ESC], Command::Back, "cancel", "stop at the next safe point"),
    row(Scope::Running, &[key('h'), ENTER], Command::Hide, "hide", "go on in the background"),
    row(Scope::Outcome, &[key('u')], Command::Undo, "undo", "preview the undo of this action"),
    row(Scope::Outcome, &[ENTER, ESC], Command::Back, "close", "back to the playbook"),
    row(Scope::Welcome, &[key('d'), ENTER], Command::Drill, "drill", "start a drill on a pretend production"),
    row(Scope::Anywhere, &[code(KeyCode::Up), key('k')], Command::Up, "", "up"),
    row(Scope::Anywhere, &[code(KeyCode::Down), key('j')], Command::Down, "", "down"),
    row(Scope::Anywhere, &[code(KeyCode::Left), key('h')], Command::Left, "", "left"),
    row(Scope::Anywhere, &[code(KeyCode::Right), key('l')], Command::Right, "", "right"),
    row(Scope::Anywhere, &[code(KeyCode::PageUp), ctrl('b')], Command::PageUp, "", "a page up"),
    row(Scope::Anywhere, &[code(KeyCode::PageDown), ctrl('f')], Command::PageDown, "", "a page down"),
    row(Scope::Anywhere, &[code(KeyCode::Home), key('g')], Command::First, "", "to the top"),
    row(Scope::Anywhere, &[code(KeyCode::End), key('G')], Command::Last, "", "to the bottom"),
    row(Scope::Anywhere, &[ESC], Command::Back, "", "back; on the main screen: follow the worst"),
    row(Scope::Anywhere, &[key('?')], Command::Help, "help", "these keys"),
    row(
        Scope::Anywhere,
        &[key(':'), ctrl('p')],
        Command::Palette,
        "commands",
        "find any command, object or playbook",
    ),
    row(Scope::Anywhere, &[key('y')], Command::Copy, "copy", "copy the equivalent shell command"),
    row(Scope::Anywhere, &[key('u')], Command::Undo, "undo", "preview the undo of the last action"),
    row(Scope::Anywhere, &[key('J')], Command::Journal, "journal", "what was done"),
    row(Scope::Anywhere, &[ctrl('l')], Command::Redraw, "", "draw the screen again"),
    row(Scope::Anywhere, &[ctrl('z')], Command::Suspend, "", "to the shell; come back with fg"),
    row(Scope::Anywhere, &[key('q'), ctrl('c')], Command::Quit, "quit", "close what is on top, then quit"),
];

impl Press {
    /// Whether this key was pressed. Shift is part of the character.
    pub fn is(self, event: &KeyEvent) -> bool {
        self.code == event.code
            && self.ctrl == event.modifiers.contains(KeyModifiers::CONTROL)
            && !event.modifiers.contains(KeyModifiers::ALT)
    }

    /// As written in the help: `Ctrl-L`, `Enter`, `↑`.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(character) => character.to_string(),
            KeyCode::Enter => "Enter".into(),
            KeyCode::Esc => "Esc".into(),
            KeyCode::Tab => "Tab".into(),
            KeyCode::BackTab => "Shift-Tab".into(),
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::PageUp => "PgUp".into(),
            KeyCode::PageDown => "PgDn".into(),
            KeyCode::Home => "Home".into(),
            KeyCode::End => "End".into(),
            other => format!("{other:?}"),
        };
        if self.ctrl { format!("Ctrl-{}", name.to_uppercase()) } else { name }
    }
}

impl Scope {
    pub const ALL: [Scope; 12] = [
        Scope::Main,
        Scope::Anywhere,
        Scope::Table,
        Scope::Columns,
        Scope::Form,
        Scope::Journal,
        Scope::Object,
        Scope::Logs,
        Scope::Confirm,
        Scope::Running,
        Scope::Outcome,
        Scope::Welcome,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Scope::Anywhere => "Everywhere",
            Scope::Main => "Main screen",
            Scope::Table => "Full-screen list",
            Scope::Columns => "Columns of a list",
            Scope::Form => "Values of a step",
            Scope::Journal => "Journal",
            Scope::Object => "Opened object",
            Scope::Logs => "Logs",
            Scope::Confirm => "Preview",
            Scope::Running => "Running action",
            Scope::Outcome => "Outcome",
            Scope::Welcome => "Without a cluster",
        }
    }
}

/// What this key means in these scopes, the narrowest first.
pub fn meaning(event: &KeyEvent, scopes: &[Scope]) -> Option<Command> {
    scopes.iter().find_map(|scope| {
        KEYS.iter()
            .find(|binding| binding.scope == *scope && binding.keys.iter().any(|press| press.is(event)))
            .map(|binding| binding.command)
    })
}

/// The first key of a command in a scope, for hints on the screen.
pub fn key_for(command: Command, scope: Scope) -> String {
    KEYS.iter()
        .find(|binding| {
            binding.command == command && (binding.scope == scope || binding.scope == Scope::Anywhere)
        })
        .and_then(|binding| binding.keys.first())
        .map(|press| press.name())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_in_one_scope() {
        for scope in Scope::ALL {
            let mut seen: Vec<Press> = Vec::new();
            for press in KEYS.iter().filter(|binding| binding.scope == scope).flat_map(|binding| binding.keys)
            {
                assert!(!seen.contains(press), "{scope:?}: {}", press.name());
                seen.push(*press);
            }
            assert!(!seen.is_empty(), "{scope:?} has no keys");
        }
    }
}
