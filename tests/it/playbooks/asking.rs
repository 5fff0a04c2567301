//! Asking the playbooks about a world, and what holds for every answer.

use std::collections::BTreeMap;

use covet_tui::domain::*;
use covet_tui::playbooks::{self, Facts, Library, MissingInput, Plan, StepState};

use super::world::{World, now};

impl World {
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut fold = |origin, fact| snapshot.fold(Observation { at: now(), origin, seen: Ok(fact) });
        let mut deployments = vec![self.deployment.clone()];
        deployments.extend(self.others.clone());
        fold(Origin::Deployments, Fact::Deployments(Delta::Seen(deployments)));
        fold(Origin::Deployments, Fact::Deployments(Delta::Listed));
        fold(Origin::ReplicaSets, Fact::ReplicaSets(Delta::Seen(self.sets.clone())));
        fold(Origin::Pods, Fact::Pods(Delta::Seen(self.pods.clone())));
        fold(Origin::Pods, Fact::Pods(Delta::Listed));
        fold(Origin::Nodes, Fact::Nodes(Delta::Seen(self.nodes.clone())));
        fold(Origin::DisruptionBudgets, Fact::DisruptionBudgets(Delta::Seen(self.budgets.clone())));
        fold(Origin::DisruptionBudgets, Fact::DisruptionBudgets(Delta::Listed));
        fold(
            Origin::Autoscalers,
            Fact::Autoscalers(Delta::Seen(self.autoscaler.clone().into_iter().collect())),
        );
        for (origin, fact) in &self.facts {
            fold(*origin, fact.clone());
        }
        snapshot
    }

    pub fn plan(&self) -> Plan {
        self.plan_by(&Library::built_in())
    }

    pub fn plan_by(&self, library: &Library) -> Plan {
        let snapshot = self.snapshot();
        let playbook = library.get(&self.anomaly.rule).expect("a playbook");
        let facts = Facts {
            anomaly: &self.anomaly,
            fires: self.fires,
            snapshot: &snapshot,
            settings: &self.settings,
            systems: &self.systems,
            read_only: self.read_only,
            denied: &self.denied,
            now: now(),
            progress: &self.progress,
        };
        let plan = playbooks::plan(playbook, &facts);
        check(&plan);
        plan
    }

    pub fn bind(&self, step: &str, given: &BTreeMap<String, String>) -> Result<Action, MissingInput> {
        let (library, snapshot) = (Library::built_in(), self.snapshot());
        let playbook = library.get(&self.anomaly.rule).expect("a playbook");
        let step = playbook.steps.iter().find(|found| found.id == step).expect("a step");
        let facts = Facts {
            anomaly: &self.anomaly,
            fires: self.fires,
            snapshot: &snapshot,
            settings: &self.settings,
            systems: &self.systems,
            read_only: self.read_only,
            denied: &self.denied,
            now: now(),
            progress: &self.progress,
        };
        playbooks::bind(step, &facts, given)
    }

    /// The id of the suggested step, and why.
    pub fn suggested(&self) -> (String, String) {
        let plan = self.plan();
        let step = plan.suggestion().unwrap_or_else(|| panic!("nothing suggested: {}", plan.why));
        (step.id.clone(), plan.why.clone())
    }
}

/// What holds for every plan.
fn check(plan: &Plan) {
    let suggested: Vec<usize> = plan
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| matches!(step.state, StepState::Suggested { .. }))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(
        suggested,
        plan.suggested.into_iter().collect::<Vec<_>>(),
        "one suggestion, and its state says so"
    );
    assert!(plan.alternatives.len() <= 2);
    assert!(!plan.why.is_empty() && !plan.why.contains('\n'), "{}", plan.why);
    for index in &plan.alternatives {
        assert_eq!(plan.steps[*index].state, StepState::Available);
    }
}
