//! A panel opened full screen: which rows, in which order, and where the cursor is, by key.

use super::event::Effect;
use super::keys::Command;
use super::line::Line;
use super::panel::Panel;
use super::{App, Focus, Layer, columns};
use crate::domain::Key;

#[derive(Debug)]
pub struct TableView {
    pub panel: Panel,
    pub cursor: Option<Key>,
    /// None: the natural order, the worst first.
    pub sort: Option<usize>,
    pub reverse: bool,
    pub filter: Line,
    pub filtering: bool,
    /// Rows that pass the filter, in order; made when something changes, never when drawing.
    pub order: Vec<Key>,
    /// How many there are without the filter.
    pub total: usize,
    /// Scrolled lines, for panels that are one chart.
    pub scroll: usize,
}

impl TableView {
    pub fn new(panel: Panel) -> Self {
        Self {
            panel,
            cursor: None,
            sort: None,
            reverse: false,
            filter: Line::default(),
            filtering: false,
            order: Vec::new(),
            total: 0,
            scroll: 0,
        }
    }

    /// Where the cursor is now; the top while it is nowhere.
    pub fn position(&self) -> usize {
        self.cursor.as_ref().and_then(|cursor| self.order.iter().position(|key| key == cursor)).unwrap_or(0)
    }

    pub fn go(&mut self, by: isize) {
        if self.order.is_empty() {
            self.scroll = self.scroll.saturating_add_signed(by);
            return;
        }
        let to = self.position().saturating_add_signed(by).min(self.order.len() - 1);
        self.cursor = self.order.get(to).cloned();
    }

    /// Sorts by this column; by the same again, in reverse.
    pub fn sort_by(&mut self, column: usize) {
        if self.sort == Some(column) {
            self.reverse = !self.reverse;
        } else {
            (self.sort, self.reverse) = (Some(column), false);
        }
    }
}

impl App {
    /// Rows of opened tables follow what is seen.
    pub(super) fn refresh_tables(&mut self) {
        let mut layers = std::mem::take(&mut self.layers);
        for layer in &mut layers {
            if let Layer::Table(table) = layer {
                self.fill(table);
            }
        }
        self.layers = layers;
    }

    /// Sorts by the next column that is shown; after the last one, the worst first again.
    pub(super) fn next_sort(&self, table: &mut TableView) {
        let from = table.sort.map_or(0, |column| column + 1);
        table.sort = (from..columns(table.panel).len()).find(|column| self.is_shown(table.panel, *column));
    }

    pub(super) fn fill(&self, table: &mut TableView) {
        let keys = self.keys_of(table.panel);
        table.total = keys.len();
        let wanted = table.filter.text().to_lowercase();
        let mut keys: Vec<Key> = if wanted.is_empty() {
            keys
        } else {
            keys.into_iter().filter(|key| self.matches(table.panel, key, &wanted)).collect()
        };
        if let Some(column) = table.sort {
            let mut ranked: Vec<_> =
                keys.into_iter().map(|key| (self.rank(table.panel, &key, column), key)).collect();
            ranked
                .sort_by(|(one, first), (other, second)| one.compare(other).then_with(|| first.cmp(second)));
            keys = ranked.into_iter().map(|(_, key)| key).collect();
        }
        if table.reverse {
            keys.reverse();
        }
        table.order = keys;
    }

    /// Names first, because they are at hand; then what a person would read in the row.
    fn matches(&self, panel: Panel, key: &Key, wanted: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(wanted);
        if has(&key.name) || has(&key.namespace) {
            return true;
        }
        match panel {
            Panel::Pods => self
                .snapshot
                .pods
                .get(key)
                .is_some_and(|pod| has(&pod.headline()) || pod.node.as_deref().is_some_and(has)),
            _ => self.cells(panel, key).iter().any(|cell| has(&cell.text)),
        }
    }

    /// What the keys of a list do; `/` on the main screen filters what has the focus.
    pub(super) fn table_command(&mut self, command: Command) -> Vec<Effect> {
        match (command, self.layers.last_mut()) {
            (Command::Columns, _) => self.choose_columns(),
            (Command::Filter, None) => match self.focus {
                Focus::Panel(panel) => {
                    self.open_panel(panel);
                    return self.table_command(command);
                }
                Focus::Anomalies | Focus::Playbook => {
                    (self.focus, self.filtering) = (Focus::Anomalies, true);
                }
            },
            (Command::Filter, Some(Layer::Table(table))) if !columns(table.panel).is_empty() => {
                table.filtering = true;
            }
            (Command::Reverse, Some(Layer::Table(table))) => table.reverse = !table.reverse,
            (Command::Sort, Some(Layer::Table(_))) => {
                if let Some(Layer::Table(mut table)) = self.layers.pop() {
                    self.next_sort(&mut table);
                    self.layers.push(Layer::Table(table));
                }
            }
            _ => return Vec::new(),
        }
        self.refresh_tables();
        Vec::new()
    }
}
