//! Somebody at 03:12 who follows the cockpit blindly: of whatever is worst, the one step that it suggests, and no
//! other.

use std::fmt::Write as _;

use covet_tui::app::{ActPhase, Layer};
use covet_tui::domain::{Action, AnomalyId, Effect as Kind, Subject};
use covet_tui::guard::{Confirmation, Level};
use covet_tui::lab::Drill;
use crossterm::event::KeyCode;

use super::table::Table;

/// A drill must be over by then, in seconds of the lab.
const PATIENCE: i64 = 60 * 60;
/// The same read is not asked for again before that many seconds.
const AGAIN: i64 = 15;

pub struct Player<'a> {
    pub table: Table,
    drill: &'a Drill,
    /// What happened, a line each: printed when it ends badly.
    pub story: String,
    /// The last read followed, and when.
    last: Option<(AnomalyId, String, i64)>,
    /// Every change that was suggested, in order.
    pub suggested: Vec<Action>,
    /// What the worst incident named when the first change was suggested.
    pub named: Option<Named>,
    told: String,
}

/// What the worst incident names as its root.
#[derive(Clone, Debug)]
pub struct Named {
    pub at: i64,
    pub rule: String,
    pub object: String,
    pub causes: Vec<&'static str>,
}

impl<'a> Player<'a> {
    pub async fn at(drill: &'a Drill, seed: u64) -> Player<'a> {
        let table = Table::lay(drill, seed).await;
        Player {
            table,
            drill,
            story: format!("{} with seed {seed}\n", drill.name),
            last: None,
            suggested: Vec::new(),
            named: None,
            told: String::new(),
        }
    }

    pub fn tell(&mut self, says: impl AsRef<str>) {
        let at = self.table.elapsed();
        let _ = writeln!(self.story, "{:>3}:{:02}  {}", at / 60, at % 60, says.as_ref());
    }

    /// To the end; true when it was resolved in time.
    pub async fn play(&mut self) -> bool {
        while self.table.elapsed() < PATIENCE {
            self.table.step().await;
            self.look();
            if self.is_over() {
                return true;
            }
            self.act();
        }
        self.tell("not resolved in time");
        false
    }

    /// What the screen says, when that is new.
    fn look(&mut self) {
        let app = self.table.app();
        let mut says: Vec<String> =
            app.verdict.incidents.iter().map(|incident| incident.title.what.clone()).collect();
        let alone =
            app.verdict.anomalies.iter().filter(|anomaly| app.verdict.incident_of(&anomaly.id).is_none());
        says.extend(alone.map(|anomaly| format!("({}: {})", anomaly.rule, anomaly.title)));
        let says = if says.is_empty() { "all calm".to_owned() } else { says.join(" | ") };
        if says != self.told {
            self.tell(format!("sees {says}"));
            self.told = says;
        }
    }

    /// It struck, the root was dealt with, and nothing else is wrong.
    fn is_over(&self) -> bool {
        let app = self.table.app();
        let struck = self.table.lab.world(|world| world.has_struck());
        struck
            && self.named.is_some()
            && app.verdict.incidents.is_empty()
            && app.act.is_none()
            && app.dossiers.values().any(|dossier| {
                self.is_root(&dossier.anomaly.rule, &dossier.anomaly.subject)
                    && dossier.plan.as_ref().is_some_and(|plan| plan.resolved.reached)
            })
    }

    pub fn is_root(&self, rule: &str, subject: &Subject) -> bool {
        let subject = subject.to_string().to_lowercase();
        let wanted = self.drill.root.object.to_lowercase();
        let object = match wanted.strip_suffix('*') {
            Some(beginning) => subject.starts_with(beginning),
            None => subject == wanted,
        };
        rule == self.drill.root.rule && object
    }

    fn name(&self) -> Option<Named> {
        let verdict = &self.table.app().verdict;
        let root = verdict.anomaly(&verdict.incidents.first()?.root)?;
        Some(Named {
            at: self.table.elapsed(),
            rule: root.rule.to_string(),
            object: root.subject.to_string(),
            causes: root.causes.iter().map(|cause| cause.name).collect(),
        })
    }

    /// One thing a person would do now.
    fn act(&mut self) {
        match self.table.app().layers.last() {
            Some(Layer::Act) => return self.attend(),
            Some(Layer::Form(_)) => return self.fill(),
            Some(_) => return self.table.press(KeyCode::Esc),
            None => {}
        }
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

    fn follow(&mut self) {
        let app = self.table.app();
        let (Some(id), Some(dossier)) = (app.selection.anomaly.clone(), app.dossier()) else { return };
        let Some((plan, step)) = dossier.plan.as_ref().and_then(|plan| Some((plan, plan.suggestion()?)))
        else {
            return;
        };
        let (step, why) = (step.clone(), plan.why.clone());
        let (rule, now) = (dossier.anomaly.rule.clone(), self.table.elapsed());
        if step.effect == Kind::Read {
            let again = matches!(&self.last, Some((last, of, at)) if (last, of) == (&id, &step.id) && now - at < AGAIN);
            if again {
                return;
            }
        } else {
            self.named = self.named.take().or_else(|| self.name());
            self.suggested.extend(step.action.clone());
        }
        let repeated = matches!(&self.last, Some((last, of, _)) if (last, of) == (&id, &step.id));
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
                let hazards: Vec<String> = preview
                    .hazards
                    .iter()
                    .map(|hazard| format!("{:?} {}: {}", hazard.level, hazard.guard.as_str(), hazard.says))
                    .collect();
                let stops = preview.worst() == Some(Level::Stop);
                let (confirmation, title) = (preview.confirmation.clone(), preview.title.clone());
                self.tell(format!("previews {title} [{}]", hazards.join("; ")));
                if stops {
                    return self.table.press(KeyCode::Esc);
                }
                match confirmation {
                    Confirmation::Key => self.table.press(KeyCode::Char('y')),
                    Confirmation::Type(name) => {
                        self.table.write(&name);
                        self.table.press(KeyCode::Enter);
                    }
                }
            }
            ActPhase::Refused(refusal) => {
                let says = format!("is refused: {refusal}");
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

    /// Values that the cockpit asks for: what it computed, else what a person of this team knows.
    fn fill(&mut self) {
        let Some(Layer::Form(form)) = self.table.app().layers.last() else { return };
        if let Some(wrong) = form.wrong.clone() {
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
