//! Which columns of a long list are shown: chosen by a person, kept for the session.

use std::collections::{BTreeMap, BTreeSet};

use super::panel::Panel;
use super::{App, Layer};

#[derive(Debug)]
pub struct Column {
    pub title: &'static str,
    /// In cells; the first column takes what is left.
    pub width: u16,
    /// Numbers stand at the right.
    pub right: bool,
    /// Not shown until a person asks for it.
    pub extra: bool,
    /// What it tells.
    pub says: &'static str,
}

const fn left(title: &'static str, width: u16, says: &'static str) -> Column {
    Column { title, width, right: false, extra: false, says }
}

const fn right(title: &'static str, width: u16, says: &'static str) -> Column {
    Column { title, width, right: true, extra: false, says }
}

const fn extra(column: Column) -> Column {
    Column { extra: true, ..column }
}

const NAMESPACE: Column = left("NAMESPACE", 16, "where it lives");
const AGE: Column = right("AGE", 6, "since it was created");

/// The columns of a panel's rows, the name first; none for panels that are one chart.
pub fn columns(panel: Panel) -> &'static [Column] {
    const PODS: &[Column] = &[
        left("NAME", 0, ""),
        NAMESPACE,
        right("READY", 5, "containers that are ready, of all"),
        left("STATUS", 20, "as kubectl says it"),
        right("RESTARTS", 8, "of all its containers"),
        right("CPU", 6, "in use, in cores"),
        right("MEMORY", 9, "in use"),
        left("NODE", 14, "where it runs"),
        AGE,
        extra(left("LAST EXIT", 24, "how a container last ended, and when")),
        extra(right("OF LIMIT", 8, "memory in use, of its limits")),
        extra(left("OWNER", 30, "the controller that made it")),
        extra(left("IMAGE", 40, "of its first container")),
    ];
    const NODES: &[Column] = &[
        left("NAME", 0, ""),
        left("STATUS", 30, "ready, cordoned, under pressure"),
        right("PODS", 8, "on it, and how many it takes"),
        right("CPU", 6, "in use, of allocatable"),
        right("MEMORY", 6, "in use, of allocatable"),
        right("TAINTS", 6, "how many"),
        left("VERSION", 12, "of its kubelet"),
        AGE,
        extra(left("ADDRESS", 15, "its internal address")),
        extra(left("ZONE", 14, "label topology.kubernetes.io/zone")),
        extra(left("TYPE", 14, "label node.kubernetes.io/instance-type")),
        extra(left("SYSTEM", 26, "its operating system")),
        extra(left("RUNTIME", 20, "its container runtime")),
    ];
    const AUTOSCALERS: &[Column] = &[
        left("NAME", 0, ""),
        NAMESPACE,
        left("TARGET", 28, "what it scales"),
        right("REPLICAS", 8, "now"),
        right("WANTED", 6, "by its metrics"),
        right("MIN", 4, "lower bound"),
        right("MAX", 4, "upper bound"),
        left("LOAD", 22, "metrics, now / wanted"),
    ];
    const CERTIFICATES: &[Column] = &[
        left("HOST", 0, ""),
        right("LEFT", 6, "days until it expires"),
        left("EXPIRES", 16, "in UTC"),
        left("ISSUER", 24, "who signed it"),
        left("SEEN", 28, "where it was seen, or what is wrong"),
    ];
    match panel {
        Panel::Pods => PODS,
        Panel::Nodes => NODES,
        Panel::Autoscalers => AUTOSCALERS,
        Panel::Certificates => CERTIFICATES,
        Panel::Database | Panel::Latency => &[],
    }
}

/// The columns of a panel, to be shown or hidden.
#[derive(Clone, Copy, Debug)]
pub struct Chooser {
    pub panel: Panel,
    /// Into [`columns`]; the name is always shown, so it begins at 1.
    pub at: usize,
}

impl Chooser {
    pub fn go(&mut self, by: isize) {
        let last = columns(self.panel).len().saturating_sub(1).max(1);
        self.at = self.at.saturating_add_signed(by).clamp(1, last);
    }
}

/// What is hidden until a person says otherwise.
pub(super) fn usual() -> BTreeMap<Panel, BTreeSet<usize>> {
    Panel::ALL.into_iter().map(|panel| (panel, extras(panel))).collect()
}

fn extras(panel: Panel) -> BTreeSet<usize> {
    columns(panel).iter().enumerate().filter(|(_, column)| column.extra).map(|(at, _)| at).collect()
}

impl App {
    /// Whether a person wants to see this column.
    pub fn is_shown(&self, panel: Panel, column: usize) -> bool {
        !self.hidden.get(&panel).is_some_and(|hidden| hidden.contains(&column))
    }

    pub(super) fn choose_columns(&mut self) {
        if let Some(Layer::Table(table)) = self.layers.last()
            && columns(table.panel).len() > 1
        {
            self.layers.push(Layer::Columns(Chooser { panel: table.panel, at: 1 }));
        }
    }

    /// Shows or hides the column the cursor is on.
    pub(super) fn toggle_column(&mut self) {
        let Some(Layer::Columns(Chooser { panel, at })) = self.layers.last() else { return };
        let (panel, at) = (*panel, *at);
        let hidden = self.hidden.entry(panel).or_default();
        if !hidden.remove(&at) {
            hidden.insert(at);
        }
    }

    /// The columns as they are at the start.
    pub(super) fn usual_columns(&mut self) {
        if let Some(Layer::Columns(chooser)) = self.layers.last() {
            self.hidden.insert(chooser.panel, extras(chooser.panel));
        }
    }
}
