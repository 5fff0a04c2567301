//! What each command does to where a person is: focus, layers, selection, scrolling.

use super::event::Effect;
use super::keys::Command;
use super::object::{ObjectView, Tab};
use super::palette::Palette;
use super::panel::Panel;
use super::table::TableView;
use super::{App, Focus, JournalView, Layer, Page, Selection};
use crate::domain::{Kind, ObjectRef, Tone};

impl App {
    pub(super) fn command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Up => self.vertical(-1),
            Command::Down => self.vertical(1),
            Command::PageUp => self.vertical(-(self.page() as isize)),
            Command::PageDown => self.vertical(self.page() as isize),
            Command::First => self.vertical(-1_000_000),
            Command::Last => self.vertical(1_000_000),
            Command::Left => self.horizontal(-1),
            Command::Right => self.horizontal(1),
            Command::NextFocus => self.cycle(1),
            Command::PreviousFocus => self.cycle(-1),
            Command::Focus(panel) if self.focus == Focus::Panel(panel) => self.open_panel(panel),
            Command::Focus(panel) => self.focus_on(Focus::Panel(panel)),
            Command::Anomalies => self.focus_on(Focus::Anomalies),
            Command::Playbook => self.focus_on(Focus::Playbook),
            Command::Open => self.open(),
            Command::Back => self.back(),
            Command::Quit => self.quit(),
            Command::Suggested => self.suggested(),
            Command::Again => self.again(),
            Command::Edit => self.edit_step(),
            Command::Undo => self.undo(),
            Command::Copy => self.copy(),
            Command::Confirm => self.confirm(),
            Command::Hide => {
                self.drop_act_layer();
                Vec::new()
            }
            Command::Journal => {
                self.layers.push(Layer::Journal(JournalView::default()));
                vec![Effect::ReadJournal]
            }
            Command::Changes => self.page_layer(Page::Changes),
            Command::Blindness => self.page_layer(Page::Blindness),
            Command::Alerts => self.page_layer(Page::Alerts),
            Command::Score => self.page_layer(Page::Score),
            Command::Help => self.page_layer(Page::Help),
            Command::Palette => {
                let palette = Palette::new(self);
                self.layers.push(Layer::Palette(palette));
                Vec::new()
            }
            Command::Drill => vec![Effect::Drill],
            Command::Redraw => vec![Effect::Redraw],
            Command::Suspend => vec![Effect::Suspend],
            Command::Toggle => {
                self.toggle_column();
                Vec::new()
            }
            Command::Usual => {
                self.usual_columns();
                Vec::new()
            }
            Command::Editor => self.edit_in_editor(),
            Command::Filter | Command::Sort | Command::Reverse | Command::Columns => {
                self.table_command(command)
            }
            _ => self.text_command(command),
        }
    }

    /// Rows of a page, for scrolling: the screen without its frames.
    pub(super) fn page(&self) -> usize {
        usize::from(self.size.1.saturating_sub(8)).max(1)
    }

    fn focus_on(&mut self, focus: Focus) -> Vec<Effect> {
        self.layers.clear();
        self.focus = focus;
        Vec::new()
    }

    fn page_layer(&mut self, page: Page) -> Vec<Effect> {
        match self.layers.last() {
            Some(Layer::Page(open, _)) if *open == page => {
                self.layers.pop();
            }
            _ => self.layers.push(Layer::Page(page, 0)),
        }
        Vec::new()
    }

    pub(super) fn vertical(&mut self, by: isize) -> Vec<Effect> {
        let page = self.page();
        let records = self.journal.len();
        match self.layers.last_mut() {
            Some(Layer::Table(table)) => table.go(by),
            Some(Layer::Object(object)) => object.text_mut().scroll(by, page),
            Some(Layer::Text(layer)) => layer.text.scroll(by, page),
            Some(Layer::Palette(palette)) => palette.go(by),
            Some(Layer::Form(form)) => form.go(by.signum()),
            Some(Layer::Columns(chooser)) => chooser.go(by),
            Some(Layer::Page(_, scroll)) => *scroll = scroll.saturating_add_signed(by).min(10_000),
            Some(Layer::Journal(journal)) if journal.open => {
                journal.scroll = journal.scroll.saturating_add_signed(by).min(10_000);
            }
            Some(Layer::Journal(journal)) => {
                journal.cursor = journal.cursor.saturating_add_signed(by).min(records.saturating_sub(1));
            }
            Some(Layer::Act) => {
                if let Some(act) = &mut self.act {
                    act.scroll = act.scroll.saturating_add_signed(by).min(10_000);
                }
            }
            None => return self.vertical_on_main(by),
        }
        Vec::new()
    }

    fn vertical_on_main(&mut self, by: isize) -> Vec<Effect> {
        match self.focus {
            Focus::Anomalies => {
                self.move_selection(by);
                self.advise()
            }
            Focus::Playbook => {
                if let Some(dossier) =
                    self.selection.anomaly.as_ref().and_then(|id| self.dossiers.get_mut(id))
                {
                    let places: Vec<String> = dossier.places().into_iter().map(str::to_owned).collect();
                    let here = dossier.place().and_then(|place| places.iter().position(|id| id == place));
                    let there =
                        here.unwrap_or(0).saturating_add_signed(by).min(places.len().saturating_sub(1));
                    dossier.cursor = places.get(there).cloned();
                    // From here on this anomaly is what the person works on.
                    self.selection.by_person = true;
                }
                Vec::new()
            }
            Focus::Panel(_) if by > 0 => self.focus_on(Focus::Anomalies),
            Focus::Panel(_) => Vec::new(),
        }
    }

    fn horizontal(&mut self, by: isize) -> Vec<Effect> {
        match self.layers.last_mut() {
            Some(Layer::Object(object)) if object.tab != Tab::Logs => {
                object.next_tab(by);
                return self.enter_tab();
            }
            Some(Layer::Object(object)) => {
                let text = object.text_mut();
                text.right = text.right.saturating_add_signed(by * 8).min(4_000);
            }
            Some(Layer::Text(layer)) => {
                layer.text.right = layer.text.right.saturating_add_signed(by * 8).min(4_000);
            }
            Some(_) => {}
            None => {
                self.focus = match self.focus {
                    Focus::Anomalies | Focus::Playbook if by > 0 => Focus::Playbook,
                    Focus::Anomalies | Focus::Playbook => Focus::Anomalies,
                    Focus::Panel(panel) => {
                        let here = panel as isize;
                        Focus::Panel(Panel::ALL[(here + by).clamp(0, Panel::ALL.len() as isize - 1) as usize])
                    }
                };
            }
        }
        Vec::new()
    }

    /// Tab: the next part of the main screen, or the next tab of an object.
    fn cycle(&mut self, by: isize) -> Vec<Effect> {
        if let Some(Layer::Object(object)) = self.layers.last_mut() {
            object.next_tab(by);
            return self.enter_tab();
        }
        if !self.layers.is_empty() {
            return Vec::new();
        }
        let mut ring = vec![Focus::Anomalies, Focus::Playbook];
        ring.extend(Panel::ALL.map(Focus::Panel));
        let here = ring.iter().position(|focus| *focus == self.focus).unwrap_or(0) as isize;
        self.focus = ring[(here + by).rem_euclid(ring.len() as isize) as usize];
        Vec::new()
    }

    fn open(&mut self) -> Vec<Effect> {
        match self.layers.last() {
            Some(Layer::Table(table)) => {
                let kind = match table.panel {
                    Panel::Pods => Kind::Pod,
                    Panel::Nodes => Kind::Node,
                    Panel::Autoscalers => Kind::HorizontalPodAutoscaler,
                    Panel::Database | Panel::Latency | Panel::Certificates => return Vec::new(),
                };
                match table.order.get(table.position()).cloned() {
                    Some(key) => self.open_object(ObjectRef::new(kind, key)),
                    None => Vec::new(),
                }
            }
            Some(Layer::Journal(_)) => {
                if let Some(Layer::Journal(journal)) = self.layers.last_mut() {
                    (journal.open, journal.scroll) = (!journal.open, 0);
                }
                Vec::new()
            }
            Some(_) => self.back(),
            None => match self.focus {
                Focus::Panel(panel) => self.open_panel(panel),
                Focus::Anomalies => {
                    if self.selection.anomaly.is_some() {
                        self.selection.by_person = true;
                        self.focus = Focus::Playbook;
                    }
                    Vec::new()
                }
                Focus::Playbook => self.take(false),
            },
        }
    }

    pub(super) fn open_panel(&mut self, panel: Panel) -> Vec<Effect> {
        let mut table = TableView::new(panel);
        self.fill(&mut table);
        table.cursor = table.order.first().cloned();
        self.layers.push(Layer::Table(Box::new(table)));
        Vec::new()
    }

    pub(super) fn open_object(&mut self, object: ObjectRef) -> Vec<Effect> {
        let pod = if object.kind == Kind::Pod { self.snapshot.pods.get(&object.key) } else { None };
        let mut view = ObjectView::new(object.clone(), pod);
        let request = self.request();
        view.fetching = Some((request, self.now));
        self.layers.push(Layer::Object(Box::new(view)));
        vec![Effect::Fetch { request, object }]
    }

    fn take(&mut self, again: bool) -> Vec<Effect> {
        let Some(id) = self.selection.anomaly.clone() else { return Vec::new() };
        let Some(dossier) = self.dossiers.get(&id) else { return Vec::new() };
        let Some(place) = dossier.place().map(str::to_owned) else { return Vec::new() };
        let is_step = dossier.plan.as_ref().is_some_and(|plan| plan.step(&place).is_some());
        if is_step {
            return self.take_step(&id, &place, again);
        }
        let tick = (id, place);
        if !self.ticked.remove(&tick) {
            self.ticked.insert(tick);
        }
        Vec::new()
    }

    fn again(&mut self) -> Vec<Effect> {
        if self.focus == Focus::Playbook { self.take(true) } else { Vec::new() }
    }

    fn suggested(&mut self) -> Vec<Effect> {
        let Some(id) = self.selection.anomaly.clone() else { return Vec::new() };
        let suggestion = self.dossier().and_then(|dossier| dossier.plan.as_ref()?.suggestion());
        let Some(step) = suggestion.map(|step| step.id.clone()) else {
            self.say(Tone::Dim, "no step is suggested now");
            return Vec::new();
        };
        self.selection.by_person = true;
        self.focus = Focus::Playbook;
        if let Some(dossier) = self.dossiers.get_mut(&id) {
            dossier.cursor = None;
        }
        self.take_step(&id, &step, false)
    }

    fn back(&mut self) -> Vec<Effect> {
        match self.layers.last_mut() {
            None if !self.filter.is_empty() => {
                self.filter = super::Line::default();
                self.advise()
            }
            None => {
                let follows = self.focus == Focus::Anomalies && !self.selection.by_person;
                self.focus = Focus::Anomalies;
                if !follows {
                    self.selection = Selection { by_person: false, ..self.selection.clone() };
                    return self.judge_if_due(true);
                }
                Vec::new()
            }
            Some(Layer::Act) => self.leave_act(),
            Some(Layer::Table(table)) if !table.filter.is_empty() => {
                table.filter = super::Line::default();
                self.refresh_tables();
                Vec::new()
            }
            Some(Layer::Journal(journal)) if journal.open => {
                journal.open = false;
                Vec::new()
            }
            Some(Layer::Object(object)) => {
                let mut effects = object.logs.stop();
                effects.extend(object.fetching.map(|(request, _)| Effect::Cancel(request)));
                self.layers.pop();
                effects
            }
            Some(_) => {
                self.layers.pop();
                Vec::new()
            }
        }
    }

    fn quit(&mut self) -> Vec<Effect> {
        if !self.layers.is_empty() {
            return self.back();
        }
        if self.act.as_ref().is_some_and(super::Act::is_running) {
            self.say(Tone::Bad, "an action is still running: cancel it first (Enter on its step shows it)");
            self.layers.push(Layer::Act);
            return Vec::new();
        }
        vec![Effect::Quit]
    }
}
