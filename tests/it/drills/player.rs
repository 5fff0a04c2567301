//! Somebody at 03:12 who follows the cockpit blindly: of whatever is worst, the one step that it suggests, and no
//! other.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use covet_tui::app::{ActPhase, Layer, Page, Score};
use covet_tui::domain::{Action, Alert, AlertState, AnomalyId, Effect as Kind, Severity, Snapshot, Subject};
use covet_tui::guard::{Confirmation, Level, Preview, Refusal};
use covet_tui::lab::Drill;
use crossterm::event::KeyCode;

use super::table::Table;

/// A drill must be over by then, in seconds of the lab.
const PATIENCE: i64 = 100 * 60;
/// The same read is not asked for again before that many seconds.
const AGAIN: i64 = 15;
/// A person does not run against the same wall for ever.
const PATIENCE_WITH_REFUSALS: usize = 5;

pub struct Player<'a> {
    pub table: Table,
    pub drill: &'a Drill,
    /// What happened, a line each: printed when it ends badly.
    pub story: String,
    /// Every change that was suggested, in order.
    pub suggested: Vec<Action>,
    /// What the worst incident named when the first change was suggested.
    pub named: Option<Named>,
    /// What went wrong beside the game.
    pub wrong: Vec<String>,
    /// Critical alerts that were kept quiet.
    pub hidden: BTreeSet<String>,
    /// What first said until when to wait.
    pub tells_when: Option<String>,
    /// The last step followed, and when.
    last: Option<(AnomalyId, String, i64)>,
    told: String,
    /// Somebody watches this one drill.
    aloud: bool,
    /// How often the suggested step could not be done.
    stuck: usize,
}

/// What the worst incident names as its root.
#[derive(Clone, Debug)]
pub struct Named {
    pub rule: String,
    pub object: String,
    pub causes: Vec<&'static str>,
    /// The revision that it calls bad.
    pub broken: Option<u64>,
}

/// Critical alerts that somebody silences or inhibits.
fn hidden(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let quiet = |alert: &&Alert| {
        matches!(alert.state, AlertState::Silenced { .. } | AlertState::Inhibited { .. })
            && alert.labels.get("severity").is_some_and(|severity| &**severity == "critical")
    };
    snapshot.alerts.iter().filter(quiet).map(|alert| alert.name.to_string())
}

impl<'a> Player<'a> {
    pub async fn at(drill: &'a Drill, seed: u64) -> Player<'a> {
        Player {
            table: Table::lay(drill, seed).await,
            drill,
            story: format!("{} with seed {seed}\n", drill.name),
            suggested: Vec::new(),
            named: None,
            wrong: Vec::new(),
            hidden: BTreeSet::new(),
            tells_when: None,
            last: None,
            told: String::new(),
            aloud: std::env::var_os("COVET_DRILL").is_some(),
            stuck: 0,
        }
    }

    pub fn tell(&mut self, says: impl AsRef<str>) {
        let at = self.table.elapsed();
        let line = format!("{:>3}:{:02}  {}", at / 60, at % 60, says.as_ref());
        if self.aloud {
            println!("{:28} {line}", self.drill.name);
        }
        let _ = writeln!(self.story, "{line}");
    }

    /// To the end; true when it was resolved in time.
    pub async fn play(&mut self) -> bool {
        while self.table.elapsed() < PATIENCE {
            self.table.step().await;
            self.look();
            if self.is_over() {
                self.tell("the score is shown");
                return true;
            }
            if self.stuck > PATIENCE_WITH_REFUSALS {
                self.tell("gives up: the suggested step is refused again and again");
                return false;
            }
            if self.named.is_none() && (self.is_about_to_change() || self.has_only_to_wait()) {
                self.named = self.name();
                let wrong = self.unwarned(false).await;
                self.wrong.extend(wrong);
            }
            self.act();
        }
        self.tell("not resolved in time");
        false
    }

    pub fn score(&self) -> &Score {
        self.table.app().score.as_ref().unwrap()
    }

    /// As the cockpit would, without a key.
    pub async fn preview(&self, action: Action) -> Result<Preview, Refusal> {
        let cockpit = &self.table.cockpit;
        let (reach, arms) = (cockpit.reach.borrow().clone().unwrap(), cockpit.arms.clone().unwrap());
        reach.hands.preview(&arms.armed, action, self.table.clock.now()).await
    }

    /// What the screen says, when that is new.
    fn look(&mut self) {
        self.hidden.extend(hidden(&self.table.app().snapshot));
        let verdict = &self.table.app().verdict;
        let mut says: Vec<String> =
            verdict.incidents.iter().map(|incident| incident.title.what.clone()).collect();
        let alone = verdict.anomalies.iter().filter(|anomaly| verdict.incident_of(&anomaly.id).is_none());
        says.extend(alone.map(|anomaly| format!("({}: {})", anomaly.rule, anomaly.title)));
        let calm = says.is_empty();
        // A figure may be high for a moment; what stands written may not be wrong.
        let alarming = verdict.anomalies.iter().any(|anomaly| {
            anomaly.severity > Severity::Suspect || matches!(anomaly.subject, Subject::Object(_))
        });
        let says = if calm { "all calm".to_owned() } else { says.join(" | ") };
        if says != self.told {
            self.tell(format!("sees {says}"));
            if alarming && self.table.clock.now() < self.score().truth.strikes {
                self.wrong.push(format!("an alarm before anything was wrong: {says}"));
            }
            self.told = says;
        }
    }

    /// The cockpit shows the score.
    fn is_over(&self) -> bool {
        matches!(self.table.app().layers.last(), Some(Layer::Page(Page::Score, _)))
            && self.score().resolved.is_some()
    }

    fn name(&self) -> Option<Named> {
        let verdict = &self.table.app().verdict;
        let root = verdict.anomaly(&verdict.incidents.first()?.root)?;
        Some(Named {
            rule: root.rule.to_string(),
            object: root.subject.to_string(),
            causes: root.causes.iter().map(|cause| cause.name).collect(),
            broken: root.bindings.get("bad_revision").and_then(|revision| revision.parse().ok()),
        })
    }

    /// The suggested step of an open incident is a change: before the first, it is time to think.
    fn is_about_to_change(&self) -> bool {
        let app = self.table.app();
        let plan = app.dossier().and_then(|dossier| dossier.plan.as_ref());
        let change = plan.and_then(|plan| plan.suggestion()).is_some_and(|step| step.effect > Kind::Read);
        change && !app.is_busy() && app.layers.is_empty() && !app.verdict.incidents.is_empty()
    }

    /// The root was named, and a drill that passes by itself asks for nothing else.
    fn has_only_to_wait(&self) -> bool {
        self.drill.waits && self.score().named.is_some() && self.tells_when.is_some()
    }

    /// One thing a person would do now.
    fn act(&mut self) {
        match self.table.app().layers.last() {
            Some(Layer::Act) => self.attend(),
            Some(Layer::Form(_)) => self.fill(),
            Some(_) => self.table.press(KeyCode::Esc),
            None => self.choose(),
        }
    }

    /// The worst, whatever was looked at before.
    fn choose(&mut self) {
        let app = self.table.app();
        if app.is_busy() {
            return;
        }
        let worst = app.verdict.incidents.first().map(|incident| incident.root.clone());
        if worst.is_some() && app.selection.anomaly != worst {
            return self.table.press(KeyCode::Esc);
        }
        self.follow();
    }

    /// Takes the suggested step. The first change only once an incident is open: a suspicion may pass.
    fn follow(&mut self) {
        let app = self.table.app();
        let (Some(id), Some(dossier)) = (app.selection.anomaly.clone(), app.dossier()) else { return };
        let Some(plan) = dossier.plan.as_ref() else { return };
        let Some(step) = plan.suggestion().cloned() else { return };
        let (why, rule, now) = (plan.why.clone(), dossier.anomaly.rule.clone(), self.table.elapsed());
        if self.tells_when.is_none() && why.contains(" until ") {
            self.tells_when = Some(why.clone());
        }
        let same = self.last.as_ref().filter(|(last, of, _)| (last, of) == (&id, &step.id));
        let (repeated, lately) = (same.is_some(), same.is_some_and(|(_, _, at)| now - at < AGAIN));
        if step.effect == Kind::Read {
            if lately {
                return;
            }
        } else {
            if self.named.is_none() {
                return;
            }
            self.suggested.extend(step.action.clone());
        }
        if !repeated {
            self.tell(format!("takes {rule}.{}: {} — {why}", step.id, step.title));
        }
        self.last = Some((id, step.id, now));
        self.table.press(KeyCode::Char('n'));
    }

    /// A preview, a running change or its outcome.
    fn attend(&mut self) {
        let Some(act) = self.table.app().act.as_ref() else { return };
        match &act.phase {
            ActPhase::Previewing { .. } | ActPhase::Running { .. } => {}
            ActPhase::Confirming { preview, .. } => {
                let preview = preview.clone();
                self.confirm(&preview);
            }
            ActPhase::Refused(refusal) => {
                let says = format!("is refused: {refusal}");
                self.stuck += 1;
                self.tell(says);
                self.table.press(KeyCode::Esc);
            }
            ActPhase::Ended(outcome) => {
                let says = format!("{}: {}", outcome.result.as_str(), outcome.result.says());
                self.tell(says);
                self.table.press(KeyCode::Esc);
            }
        }
    }

    fn confirm(&mut self, preview: &Preview) {
        let hazards: Vec<String> = preview
            .hazards
            .iter()
            .map(|hazard| format!("{:?} {}: {}", hazard.level, hazard.guard.as_str(), hazard.says))
            .collect();
        self.tell(format!("previews {} [{}]", preview.title, hazards.join("; ")));
        if preview.worst() == Some(Level::Stop) {
            self.stuck += 1;
            return self.table.press(KeyCode::Esc);
        }
        match &preview.confirmation {
            Confirmation::Key => self.table.press(KeyCode::Char('y')),
            Confirmation::Type(name) => {
                self.table.write(name);
                self.table.press(KeyCode::Enter);
            }
        }
    }

    /// Values that the cockpit asks for: what it computed, else what a person of this team knows.
    fn fill(&mut self) {
        let Some(Layer::Form(form)) = self.table.app().layers.last() else { return };
        if let Some(wrong) = form.wrong.clone() {
            self.stuck += 1;
            self.tell(format!("cannot fill in “{}”: {wrong}", form.title));
            return self.table.press(KeyCode::Esc);
        }
        let field = &form.fields[form.at];
        let known = self.drill.knows.get(&field.name).cloned();
        if let Some(known) = known.filter(|_| field.line.is_empty()) {
            self.table.write(&known);
        }
        self.table.press(KeyCode::Enter);
    }
}
