//! A panel opened full screen: which rows, in which order, and where the cursor is, by key.

use std::collections::BTreeSet;

use super::line::Line;
use super::panel::Panel;
use super::rows::columns;
use super::{App, Layer};
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
    /// Columns that are not shown.
    pub hidden: BTreeSet<usize>,
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
            hidden: BTreeSet::new(),
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

    pub fn next_sort(&mut self) {
        let count = columns(self.panel).len();
        self.sort = match self.sort {
            None if count > 0 => Some(0),
            Some(column) if column + 1 < count => Some(column + 1),
            _ => None,
        };
    }

    /// All columns, or only those that fit a small screen.
    pub fn toggle_columns(&mut self) {
        let all = columns(self.panel).len();
        self.hidden = if self.hidden.is_empty() { (4..all).collect() } else { BTreeSet::new() };
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
}
