//! What the playbook of an anomaly suggests in a scenario, when every read has run and found nothing more.

use std::collections::{BTreeMap, BTreeSet};

use covet_tui::domain::{Anomaly, Effect, Snapshot};
use covet_tui::playbooks::{self, Done, Facts, Library, Progress};

use super::world::{ago, now};
use crate::playbooks::world::everything;

/// The id of the suggested step; `read only` when no change is advised.
pub fn suggested(anomaly: &Anomaly, snapshot: &Snapshot) -> String {
    let library = Library::built_in();
    let playbook = library.get(&anomaly.rule).expect("every rule has a playbook");
    let (settings, systems) = (BTreeMap::new(), everything());
    let mut progress = Progress::default();
    let reads = playbook.steps.iter().filter(|step| step.auto);
    progress.steps.extend(reads.map(|step| (step.id.clone(), done())));
    loop {
        let facts = Facts {
            anomaly,
            fires: true,
            snapshot,
            settings: &settings,
            systems: &systems,
            read_only: false,
            denied: &std::collections::BTreeSet::new(),
            now: now(),
            progress: &progress,
        };
        let plan = playbooks::plan(playbook, &facts);
        match plan.suggestion() {
            Some(step) if step.effect > Effect::Read => return step.id.clone(),
            Some(step) if !progress.steps.contains_key(&step.id) => {
                progress.steps.insert(step.id.clone(), done());
            }
            _ => return "read only".to_owned(),
        }
    }
}

fn done() -> Done {
    Done {
        at: ago("90s"),
        ok: true,
        says: "done".into(),
        found: Vec::new(),
        bindings: BTreeMap::new(),
        grounds: None,
        change: None,
        undone: false,
        covers: BTreeSet::new(),
    }
}
