//! What the doctor asks to be allowed, against what hands can do.

use std::collections::{BTreeMap, BTreeSet};

use covet_tui::domain::{Effect, Kind, RIGHTS, System};
use covet_tui::eyes::{Who, needs};
use covet_tui::playbooks::{Arg, Library, Verb};

/// The verbs whose hands write to Kubernetes, or reach a server through it.
fn writing() -> BTreeSet<&'static str> {
    let here = [System::Kubernetes, System::Prometheus, System::Alertmanager];
    let verbs = Verb::all().filter(|verb| verb.effect != Effect::Read && here.contains(&verb.system));
    verbs.map(|verb| verb.name).collect()
}

#[test]
fn every_action_that_writes_has_its_rights_and_each_is_asked_for() {
    let named: Vec<&str> = RIGHTS.iter().map(|of| of.action).collect();
    let known: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(known.len(), named.len(), "one row each");
    // What only a way back is, no playbook may name.
    let ways_back: BTreeSet<&str> = known.difference(&writing()).copied().collect();
    assert_eq!(ways_back, BTreeSet::from(["delete-job", "restore-secret"]));
    let without: Vec<&str> = writing().difference(&known).copied().collect();
    assert!(without.is_empty(), "no rights are known of {without:?}");
    for of in RIGHTS {
        assert!(!of.rights.is_empty(), "{}", of.action);
        for right in of.rights {
            let asked = needs().any(|need| {
                (need.verb, need.group, need.resource, need.subresource, need.by)
                    == (right.verb, right.kind.group(), right.kind.plural(), right.part, Who::Hands)
            });
            assert!(asked, "nobody asks whether {} may {right:?}", of.action);
        }
    }
}

#[test]
fn every_object_that_the_products_own_playbooks_change_is_among_the_rights() {
    let mut seen = 0;
    for playbook in Library::built_in().iter() {
        for step in &playbook.steps {
            let Some(Arg::Text(kind)) = step.todo.args.get("kind") else { continue };
            let Some(of) = RIGHTS.iter().find(|of| of.action == step.todo.verb.name) else { continue };
            let Some(kind) = Kind::parse(&kind.show(&BTreeMap::new())) else { continue };
            seen += 1;
            assert!(
                of.rights.iter().any(|right| right.kind == kind),
                "{}/{}: {} of {kind:?} has no right",
                playbook.id,
                step.id,
                of.action
            );
        }
    }
    assert!(seen > 8, "only {seen} steps name an object: the scan is broken");
}
