//! The product's own playbooks: complete, free of complaints, and readable.

use std::collections::{BTreeMap, BTreeSet};

use covet_tui::domain::{
    Action, Alerting, AwsCall, CAUSES, Effect, NetworkProbe, OnMachine, RedisCommand, Script, Sql,
};
use covet_tui::playbooks::{self, Library, StepPhase, Trigger};

const OWN: &str = include_str!("../../../playbooks.toml");
/// Every row of the table of steps: its id there, the step or checklist item here, and the action.
const STEPS: &str = include_str!("steps.tsv");

#[test]
fn the_products_own_playbooks_have_no_complaints() {
    let lints: Vec<String> = playbooks::lint("playbooks.toml", OWN).iter().map(ToString::to_string).collect();
    assert!(lints.is_empty(), "{}", lints.join("\n"));
    let library = Library::built_in();
    for rule in playbooks::RULES {
        let playbook = library.get(rule).unwrap_or_else(|| panic!("no playbook for {rule}"));
        assert_eq!(playbook.trigger, Trigger::Rule((*rule).into()));
    }
    assert_eq!(library.iter().count(), playbooks::RULES.len());
}

#[test]
fn the_rules_that_playbooks_may_name_are_the_rules_there_are() {
    let known: BTreeSet<&str> = playbooks::RULES.iter().copied().collect();
    let real: BTreeSet<&str> = covet_tui::rules::RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(known, real);
}

#[test]
fn every_row_of_the_table_of_steps_is_a_step_or_on_a_checklist() {
    let library = Library::built_in();
    let mut rows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in STEPS.lines() {
        let [id, step, action] = line.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let (book, row) = id.split_once('.').expect("an id");
        rows.entry(book).or_default().insert(row);
        let playbook = library.get(book).expect("a playbook");
        if action == "checklist" {
            assert!(playbook.follow_up.iter().any(|item| item.id == step), "{id}: no checklist item {step}");
            continue;
        }
        named.entry(book).or_default().insert(step);
        let found = playbook.steps.iter().find(|found| found.id == step);
        let found = found.unwrap_or_else(|| panic!("{id}: no step {step}"));
        assert_eq!(found.todo.verb.name, action, "{id}");
        match row.split_once('.').expect("a phase").0 {
            "inv" => assert_eq!(found.phase, StepPhase::Investigate, "{id}"),
            "ver" => assert_eq!(found.phase, StepPhase::Verify, "{id}"),
            // What the table reads among its remedies may run by itself before them.
            _ => {
                assert!(found.phase != StepPhase::Investigate || found.todo.effect() == Effect::Read, "{id}")
            }
        }
    }
    let counts: Vec<(&str, usize)> = rows.iter().map(|(book, rows)| (*book, rows.len())).collect();
    assert_eq!(
        counts,
        [
            ("alert-fatigue", 12),
            ("auth-attack", 20),
            ("cert-expiry", 20),
            ("crash-loop", 24),
            ("db-cpu", 13),
            ("db-pool", 13),
            ("disk-full", 25),
            ("high-5xx", 16),
            ("high-latency", 16),
            ("image-pull", 15),
            ("ingress-down", 20),
            ("mem-leak", 16),
            ("node-notready", 20),
            ("prom-down", 19),
            ("rollout-stuck", 18)
        ]
    );
    for (book, known) in named {
        let extra: Vec<&str> = library
            .get(book)
            .unwrap()
            .steps
            .iter()
            .map(|step| step.id.as_str())
            .filter(|id| !known.contains(id))
            .collect();
        let wanted: &[&str] = match book {
            "prom-down" => &["targets", "more-memory", "health-again", "targets-again"],
            "alert-fatigue" => &["rule", "silences", "config", "calm"],
            "crash-loop" => &["network-policy", "replace-left-behind", "loosen-liveness", "loosen-startup"],
            "high-latency" => &[
                "by-pod",
                "pods",
                "database",
                "cache-slow-log",
                "revisions",
                "roll-back",
                "cache-memory",
                "cpu-limit",
                "recycle",
                "rollout-done",
                "cache-again",
                "by-path-again",
            ],
            "high-5xx" => &["by-pod", "pods", "fix-config", "restart", "rollout-done", "by-path-again"],
            "mem-leak" => &[
                "usage",
                "revisions",
                "roll-back",
                "load-limits",
                "rollout-done",
                "usage-again",
                "trend-again",
            ],
            "rollout-stuck" => &["newest-logs", "replace-left-behind", "uncordon", "resume"],
            "image-pull" => &["manifest-as-cluster", "replace-left-behind", "roll-back", "rollout-done"],
            "cert-expiry" => &["ingress", "reload", "reload-daemons", "fix-solver"],
            "ingress-down" => &[
                "walk",
                "balancer",
                "record",
                "scale-up",
                "scale-set-up",
                "fix-selector",
                "fix-port",
                "fix-readiness",
                "scale-controller",
                "restart-controller-daemons",
                "reached",
            ],
            "db-pool" => &[
                "rds",
                "locks",
                "pool-logs",
                "terminate-blocker",
                "cancel-blocker",
                "roll-back",
                "larger-pools",
                "terminate-others",
                "reboot",
                "rollout-done",
                "lets-in",
            ],
            "db-cpu" => &[
                "rds",
                "transactions",
                "indexes",
                "scans",
                "replicas",
                "cancel-blocker",
                "cancel-long",
                "drop-unfinished",
                "rollout-done",
            ],
            "auth-attack" => &["trail-events", "load-balancer", "network-acls", "block-ingress", "quieter"],
            "disk-full" => &[
                "logs-and-journal",
                "block-devices",
                "log-folder",
                "grow-claim",
                "uncordon",
                "claim",
                "pods-moved",
            ],
            _ => &["give-up", "pods-moved", "nodes-again"],
        };
        assert_eq!(extra, wanted, "{book}: steps beyond the table");
    }
}

#[test]
fn changes_say_how_they_are_verified_and_only_reads_run_by_themselves() {
    for playbook in Library::built_in().iter() {
        for step in &playbook.steps {
            let at = format!("{}.{}", playbook.id, step.id);
            if step.todo.effect() > Effect::Read {
                assert!(!step.verify.is_empty() && !step.auto, "{at}");
            }
            // Secrets are looked at only when somebody asks (R! in the audit).
            let private = ["check-secrets", "check-pull-secrets"].contains(&step.todo.verb.name)
                || (step.todo.verb.name == "registry-probe" && step.todo.args.contains_key("pod"));
            assert!(!(private && step.auto), "{at}");
            assert!(step.why.chars().count() <= 110, "{at}: a why is one line");
        }
        assert!(!playbook.symptoms.is_empty() && !playbook.follow_up.is_empty(), "{}", playbook.id);
    }
}

/// The words that serde expects of an enum: those of the journal.
fn words<T: serde::de::DeserializeOwned + std::fmt::Debug>(tag: &str) -> BTreeSet<String> {
    let unknown =
        serde_json::from_str::<T>(&format!(r#"{{"{tag}":"no-such-word"}}"#)).unwrap_err().to_string();
    let Some((_, expected)) = unknown.split_once("expected ") else { return BTreeSet::new() };
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_verb_is_an_action_and_every_action_has_a_verb() {
    // A verb that is none of the journal's words could never be bound.
    let mut expected = words::<Action>("action");
    for system in ["postgres", "redis", "alerting", "aws", "machine", "network", "script"] {
        assert!(expected.remove(system), "{system} is no family of actions");
    }
    // Only ever a way back.
    assert!(expected.remove("restore-secret") && expected.remove("delete-job"));
    assert!(expected.len() > 30, "{expected:?}");
    let families = [
        words::<Sql>("does"),
        words::<RedisCommand>("does"),
        words::<Alerting>("does"),
        words::<AwsCall>("does"),
        words::<OnMachine>("does"),
        words::<NetworkProbe>("does"),
        words::<Script>("does"),
    ];
    expected.extend(families.into_iter().flatten());
    let verbs: BTreeSet<String> = playbooks::Verb::all().map(|verb| verb.name.to_owned()).collect();
    assert_eq!(verbs, expected);
}

#[test]
fn every_cause_leads_somewhere() {
    // Causes that are for people to judge: no step mends them, the reads and the fallback carry on.
    let for_people = [
        "killed",
        "native-crash",
        "spec-refused",
        "completes",
        "no-space",
        "crash",
        "quota",
        "webhook",
        "pod-refused",
        "untrusted",
        "not-managed",
        "ingress-class",
        "no-route",
        "bad-gateway",
        "balancer-pending",
        // A team names its own: its own playbook refers to it.
        "team-trigger",
        "attack-many-addresses",
        "security-group-closed",
    ];
    let library = Library::built_in();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for playbook in library.iter() {
        used.extend(playbook.steps.iter().flat_map(|step| &step.for_causes).map(String::as_str));
        used.extend(playbook.holds.iter().flat_map(|hold| &hold.for_causes).map(String::as_str));
    }
    let unused: Vec<&str> = CAUSES
        .iter()
        .map(|cause| cause.name)
        .filter(|name| !used.contains(name) && !for_people.contains(name))
        .collect();
    assert!(unused.is_empty(), "no step and no hold for {unused:?}");
}

#[test]
fn the_catalogue_and_its_cards_read_as_plain_text() {
    let library = Library::built_in();
    let listing = playbooks::listing(&library);
    assert_eq!(listing.lines().count(), library.iter().count());
    for playbook in library.iter() {
        assert!(listing.contains(&playbook.title));
        let card = playbooks::card(playbook);
        assert!(!card.chars().any(|c| c.is_control() && c != '\n'));
        for step in &playbook.steps {
            assert!(card.contains(&step.id) && card.contains(&step.why), "{}", step.id);
        }
        for item in &playbook.follow_up {
            assert!(card.contains(&format!("[ ] {}", item.says)));
        }
    }
    let card = playbooks::card(library.get("crash-loop").unwrap());
    assert!(
        card.contains("cannot be taken back") && card.contains("the name is typed to confirm it"),
        "{card}"
    );
}

#[test]
fn a_teams_playbook_replaces_the_products_own_and_a_new_one_is_added() {
    let team = r#"
[[playbook]]
id = "crash-loop"
title = "Our way with crashing pods"
category = "Team"
trigger = { rule = "crash-loop" }
resolved = { says = "all well", when = ["pods-ready"] }
[[playbook.step]]
id = "look"
phase = "investigate"
title = "Look at {pod}"
why = "First look."
do = { action = "describe", kind = "Pod", name = "{pod}" }

[[playbook]]
id = "queue-too-long"
title = "The queue is too long"
category = "Team"
trigger = { promql = { expr = "sum(queue_length)", above = 1000, for = "5m" } }
resolved = { says = "looked at", steps = ["look"] }
[[playbook.step]]
id = "look"
phase = "investigate"
title = "List the pods"
why = "Who works?"
do = { action = "list-pods" }
"#;
    let library = Library::with_team_file("team.toml", team).expect("no lints");
    assert_eq!(library.iter().count(), playbooks::RULES.len() + 1);
    assert_eq!(library.get("crash-loop").unwrap().title, "Our way with crashing pods");
    assert!(matches!(library.get("queue-too-long").unwrap().trigger, Trigger::Promql { above: Some(_), .. }));
    assert!(Library::with_team_file("team.toml", "playbook = 1").is_err());
}
