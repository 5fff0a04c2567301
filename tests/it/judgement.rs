//! What must hold for every snapshot: no panic, the same answer to the same facts in whatever order they came,
//! and a memory that neither blinks nor forgets.

mod clocks;

use std::time::Duration;

use covet_tui::domain::{
    Anomaly, AnomalyId, Blind, BlindKind, Container, ContainerState, Delta, Deployment, Edit, Fact, Key,
    Kind, ObjectRef, Observation, Origin, Pod, Severity, Snapshot, Subject, Taint, Terminated, Timestamp,
};
use covet_tui::incident::{Memory, changes, headline, incidents};
use covet_tui::rules::{Finding, Judgement, RULES, Thresholds, judge, rule};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scenarios::world::{World, now};

/// One of everything that a pod can be.
const STATES: &[&str] = &[
    "running",
    "unready",
    "crash",
    "ended",
    "waiting",
    "unschedulable",
    "creating",
    "completed",
    "failed",
    "init-crash",
];
const REASONS: &[&str] =
    &["OOMKilled", "Error", "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "StartError"];
const MESSAGES: &[&str] = &[
    "",
    "secret \"a\" not found",
    "couldn't find key K in ConfigMap shop/a",
    "\u{1b}[31mred\u{202e}",
    "429 Too Many Requests",
    "no such host",
];

fn age() -> impl Strategy<Value = String> {
    (0_u32..4, 0_u32..90)
        .prop_map(|(unit, number)| format!("{number}{}", ["s", "m", "h", "d"][unit as usize]))
}

fn pod() -> impl Strategy<Value = Value> {
    let whose = prop_oneof![
        Just("web@1"),
        Just("web@2"),
        Just("api@1"),
        Just("statefulset/db"),
        Just("statefulset/db@1"),
        Just("statefulset/db@2"),
        Just("daemonset/agent@1"),
        Just("job/import"),
        Just("pod/bare"),
    ];
    let what = (prop::sample::select(STATES), prop::sample::select(REASONS), prop::sample::select(MESSAGES));
    let numbers = (1_u32..4, prop_oneof![0_u32..6, Just(u32::MAX)], prop_oneof![Just(0), Just(1), 126..140]);
    (whose, what, numbers, (age(), age(), age()), 0_u32..4, any::<bool>()).prop_map(
        |(of, (is, reason, message), (count, restarts, exit), (age, lived, ended), node, deleting)| {
            json!({ "of": of, "is": is, "reason": reason, "message": message, "count": count, "restarts": restarts,
                    "exit": exit, "age": age, "lived": lived, "ended": ended, "node": format!("n{node}"),
                    "deleting": deleting && restarts == 0 })
        },
    )
}

fn node(number: u32) -> impl Strategy<Value = Value> {
    let state = prop_oneof![Just("true"), Just("false"), Just("unknown")];
    (state, age(), age(), prop::option::of(age()), prop::option::of(age())).prop_map(
        move |(ready, since, age, lease, cordoned)| {
            json!({ "name": format!("n{number}"), "ready": ready, "since": since, "age": age, "lease": lease,
                    "cordoned": cordoned })
        },
    )
}

fn deployment(name: &'static str, revisions: u64) -> impl Strategy<Value = Value> {
    let progressing = prop_oneof![
        Just("NewReplicaSetAvailable"),
        Just("ReplicaSetUpdated"),
        Just("ProgressDeadlineExceeded")
    ];
    (0_u32..6, progressing, age(), prop::option::of(prop::sample::select(MESSAGES)), any::<bool>()).prop_map(
        move |(replicas, progressing, age, refused, paused)| {
            let revisions: Vec<Value> = (1..=revisions).map(|n| json!({ "n": n, "age": age })).collect();
            json!({ "name": name, "replicas": replicas, "progressing": progressing, "refused": refused,
                    "paused": paused, "refs": ["configmap/a", "secret/b:k"], "revisions": revisions })
        },
    )
}

fn controllers() -> impl Strategy<Value = Value> {
    let set = (0_u32..5, 0_u32..3, any::<bool>(), any::<bool>(), age(), age());
    let agents = (0_u32..5, any::<bool>(), age());
    (set, agents).prop_map(|((replicas, partition, on_delete, parallel, older, newer), (nodes, manual, since))| {
        json!([
            { "of": "statefulset/db", "replicas": replicas, "partition": partition, "on_delete": on_delete,
              "parallel": parallel, "revisions": [{ "n": 1, "age": older }, { "n": 2, "age": newer }] },
            { "of": "daemonset/agent", "replicas": nodes, "on_delete": manual, "revisions": [{ "n": 1, "age": since }] },
        ])
    })
}

fn jobs() -> impl Strategy<Value = Value> {
    let job = (any::<bool>(), age(), prop::option::of(age()), any::<bool>(), 0_u32..3).prop_map(
        |(of_cron, age, failed, complete, active)| {
            json!({ "cron": of_cron.then_some("sync"), "age": age, "failed": failed, "complete": complete,
                    "active": active, "refs": ["secret/b"] })
        },
    );
    prop::collection::vec(job, 0..7).prop_map(|jobs| {
        let named = jobs.into_iter().enumerate().map(|(number, mut job)| {
            job["name"] = if number == 0 { "import".into() } else { format!("sync-{number}").into() };
            job
        });
        Value::Array(named.collect())
    })
}

fn crons() -> impl Strategy<Value = Value> {
    let schedule = prop_oneof![Just("*/5 * * * *"), Just("0 3 * * *"), Just("@hourly"), Just("no schedule")];
    (schedule, any::<bool>(), prop::option::of(age()), prop::option::of(age())).prop_map(
        |(schedule, suspended, scheduled, successful)| {
            json!([{ "name": "sync", "schedule": schedule, "suspended": suspended, "scheduled": scheduled,
                     "successful": successful }])
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let nodes = (node(0), node(1), node(2), node(3)).prop_map(|(a, b, c, d)| json!([a, b, c, d]));
    let deployments = (deployment("web", 2), deployment("api", 1)).prop_map(|(web, api)| json!([web, api]));
    let config = (age(), age())
        .prop_map(|(age, edited)| json!([{ "object": "configmap/a", "age": age, "edited": edited }]));
    let traffic = (0_u32..4, 0_u32..50).prop_map(|(p95, errors)| {
        json!({ "rate": 9.0, "p95": [format!("{p95} for 12m")], "errors": [format!("0.{errors:02} for 9m")] })
    });
    let blind = prop::collection::btree_map(
        prop_oneof![Just("pods"), Just("nodes"), Just("postgres"), Just("api-server"), Just("events")],
        prop_oneof![Just("refused"), Just("not-configured"), Just("unreachable")],
        0..2,
    );
    let pods = prop::collection::vec(pod(), 0..12);
    let others = (controllers(), jobs(), crons());
    (nodes, deployments, pods, config, traffic, blind, others).prop_map(
        |(nodes, deployments, pods, config, traffic, blind, (controllers, jobs, crons))| {
            let world = json!({ "nodes": nodes, "deployments": deployments, "pods": pods, "config": config,
                                "traffic": traffic, "blind": blind, "controllers": controllers, "jobs": jobs,
                                "crons": crons });
            serde_json::from_value(world).expect("a world")
        },
    )
}

fn fold(observations: impl IntoIterator<Item = Observation>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for observation in observations {
        snapshot.fold(observation);
    }
    snapshot
}

/// Everything that is said of a snapshot.
fn verdict(snapshot: &Snapshot, at: Timestamp) -> String {
    let judgement = judge(snapshot, &Thresholds::default(), at);
    let anomalies = judgement.anomalies();
    let incidents = incidents(&anomalies, snapshot, at);
    let line = headline(&incidents, &anomalies, &judgement.blind(), snapshot, at);
    let changes = changes(snapshot, at, std::time::Duration::from_hours(2));
    format!(
        "{:?}\n{incidents:#?}\n{changes:#?}\n{line}",
        judgement.findings.iter().map(|(_, row)| row).collect::<Vec<_>>()
    )
}

/// The same facts, with the rows of each list in another order.
fn shuffled(observations: Vec<Observation>) -> Vec<Observation> {
    observations
        .into_iter()
        .map(|mut observation| {
            match &mut observation.seen {
                Ok(Fact::Pods(Delta::Seen(rows))) => rows.reverse(),
                Ok(Fact::Nodes(Delta::Seen(rows))) => rows.reverse(),
                Ok(Fact::Deployments(Delta::Seen(rows))) => rows.reverse(),
                Ok(Fact::ReplicaSets(Delta::Seen(rows))) => rows.reverse(),
                Ok(Fact::Events(Delta::Seen(rows))) => rows.reverse(),
                _ => {}
            }
            observation
        })
        .collect()
}

/// Moments that no honest server sends.
fn absurd(pod: &mut Pod, moment: Timestamp) {
    pod.created = moment;
    let end = Terminated {
        reason: "Error".into(),
        exit_code: i32::MIN,
        signal: Some(i32::MAX),
        started: Some(moment),
        finished: Some(moment),
        message: None,
    };
    let containers = std::mem::take(&mut pod.containers).into_vec();
    let twist = |mut row: Container| {
        row.state = match row.state {
            ContainerState::Running { .. } => ContainerState::Running { since: Some(moment) },
            other => other,
        };
        row.last = Some(end.clone());
        row.limits.memory_bytes = Some(u64::MAX);
        row.requests.memory_bytes = Some(u64::MAX);
        row
    };
    pod.containers = containers.into_iter().map(twist).collect();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_facts_are_judged_the_same_in_any_order(world in world()) {
        let mut observations = world.observations();
        for observation in &mut observations {
            // Two rows of the world may name the same bare pod; a server never does.
            if let Ok(Fact::Pods(Delta::Seen(rows))) = &mut observation.seen {
                let mut keys = std::collections::BTreeSet::new();
                rows.retain(|pod| keys.insert(pod.key.clone()));
            }
        }
        let one = verdict(&fold(observations.clone()), now());
        let other = verdict(&fold(shuffled(observations)), now());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn scores_and_onsets_stay_in_their_bounds(world in world()) {
        let snapshot = world.snapshot();
        for anomaly in judge(&snapshot, &Thresholds::default(), now()).anomalies() {
            prop_assert!((0.49..=1.0).contains(&anomaly.score), "{} scores {}", anomaly.id, anomaly.score);
            prop_assert!(anomaly.onset <= now(), "{} begins in the future", anomaly.id);
            let harmless = |text: &str| !text.chars().any(|character| character.is_control() || character == '\u{202e}');
            prop_assert!(harmless(&anomaly.title), "{:?}", anomaly.title);
            for row in &anomaly.evidence {
                prop_assert!(harmless(&row.says), "{:?}", row.says);
            }
        }
    }

    #[test]
    fn absurd_moments_and_numbers_do_not_panic(world in world(), extreme in 0_usize..3) {
        let moment = [Timestamp::MIN, Timestamp::MAX, now()][extreme];
        let mut observations = world.observations();
        for observation in &mut observations {
            if let Ok(Fact::Pods(Delta::Seen(rows))) = &mut observation.seen {
                for pod in rows.iter_mut() {
                    absurd(pod, moment);
                }
            }
        }
        let snapshot = fold(observations);
        for at in [now(), Timestamp::MIN, Timestamp::MAX] {
            verdict(&snapshot, at);
        }
    }
}

fn anomaly(onset: Timestamp, severity: Severity) -> Anomaly {
    Anomaly {
        id: AnomalyId("db-pool/database/postgres".into()),
        rule: "db-pool".into(),
        subject: Subject::Database("postgres".into()),
        severity,
        score: 0.8,
        onset,
        title: "full".into(),
        evidence: Vec::new(),
        causes: Vec::new(),
        touches: Vec::new(),
        bindings: std::collections::BTreeMap::new(),
        pages_at: Some(onset + SignedDuration::from_mins(10)),
    }
}

fn judgement(finding: Finding) -> Judgement {
    Judgement { findings: vec![(rule("db-pool").unwrap(), finding)], ..Judgement::default() }
}

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

#[test]
fn memory_keeps_the_first_onset_and_clears_after_its_window() {
    let mut memory = Memory::default();
    let firing = |seconds| judgement(Finding::Firing(vec![anomaly(after(seconds), Severity::Warning)]));
    assert_eq!(memory.remember(&firing(0), &Snapshot::default(), now())[0].onset, now());
    let later = memory.remember(&firing(40), &Snapshot::default(), after(40));
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].onset, now());
    assert_eq!(later[0].pages_at, Some(after(600)));
    let id = later[0].id.clone();
    assert_eq!(memory.remember(&judgement(Finding::Clear), &Snapshot::default(), after(50)).len(), 1);
    assert_eq!(memory.clearing_since(&id), Some(after(50)));
    // Back within the window: the same anomaly.
    assert_eq!(memory.remember(&firing(60), &Snapshot::default(), after(60))[0].onset, now());
    assert_eq!(memory.clearing_since(&id), None);
    memory.remember(&judgement(Finding::Clear), &Snapshot::default(), after(70));
    assert_eq!(memory.remember(&judgement(Finding::Clear), &Snapshot::default(), after(99)).len(), 1);
    assert_eq!(memory.remember(&judgement(Finding::Clear), &Snapshot::default(), after(100)).len(), 0);
    assert_eq!(memory.resolved().len(), 1);
    assert_eq!(memory.resolved()[0].at, after(70));
    // A new one is new.
    assert_eq!(memory.remember(&firing(200), &Snapshot::default(), after(200))[0].onset, after(200));
}

#[test]
fn memory_resolves_nothing_that_cannot_be_seen() {
    let mut memory = Memory::default();
    let firing = judgement(Finding::Firing(vec![anomaly(now(), Severity::Critical)]));
    memory.remember(&firing, &Snapshot::default(), now());
    let why = Blind { kind: BlindKind::Unreachable, why: "gone".into(), repair: None, since: now() };
    for seconds in [10, 100, 1000] {
        let blind = judgement(Finding::Blind(why.clone()));
        assert_eq!(memory.remember(&blind, &Snapshot::default(), after(seconds)).len(), 1);
    }
    assert_eq!(memory.resolved().len(), 0);
}

#[test]
fn what_was_deleted_is_over_at_once() {
    let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "web"));
    let firing = judgement(Finding::Firing(vec![Anomaly {
        subject: Subject::Object(object),
        ..anomaly(now(), Severity::Critical)
    }]));
    let told = |deltas: Vec<Delta<Deployment>>| {
        let told = |delta| Observation {
            at: now(),
            origin: Origin::Deployments,
            seen: Ok(Fact::Deployments(delta)),
        };
        fold(deltas.into_iter().map(told))
    };
    let mut memory = Memory::default();
    assert_eq!(memory.remember(&firing, &told(vec![]), now()).len(), 1);
    let half_listed = told(vec![Delta::Relisting]);
    assert_eq!(
        memory.remember(&judgement(Finding::Clear), &half_listed, after(1)).len(),
        1,
        "nobody knows yet"
    );
    let without = told(vec![Delta::Relisting, Delta::Listed]);
    assert_eq!(memory.remember(&judgement(Finding::Clear), &without, after(2)).len(), 0);
    assert_eq!(memory.resolved().len(), 1);
}

#[test]
fn a_host_that_nobody_names_any_more_is_over_although_its_rule_sees_nothing() {
    let source = r#"
        handshakes = [{ host = "gone.example" }, { host = "kept.example" }]
        walks = [{ host = "gone.example", fails = "dns: no such name", times = 9 }]
    "#;
    let world: World = toml::from_str(source).unwrap();
    let mut snapshot = world.snapshot();
    let firing = judgement(Finding::Firing(vec![Anomaly {
        subject: Subject::Host("gone.example".into()),
        ..anomaly(now(), Severity::Critical)
    }]));
    let why = Blind { kind: BlindKind::NotConfigured, why: "no host".into(), repair: None, since: now() };
    let blind = judgement(Finding::Blind(why));
    let mut memory = Memory::default();
    memory.remember(&firing, &snapshot, now());
    assert_eq!(memory.remember(&blind, &snapshot, after(1)).len(), 1, "not seen is not over");
    let told = |origin, fact| Observation { at: after(2), origin, seen: Ok(fact) };
    snapshot.fold(told(Origin::Reach, Fact::Walks(Vec::new())));
    assert_eq!(memory.remember(&blind, &snapshot, after(2)).len(), 1, "its certificate is still looked at");
    snapshot.fold(told(Origin::Tls, Fact::Hosts([("kept.example".into(), 443)].into())));
    assert_eq!(memory.remember(&blind, &snapshot, after(3)).len(), 0);
    assert!(snapshot.handshakes.keys().all(|(host, _)| &**host == "kept.example"));
}

#[test]
fn what_changes_under_our_eyes_and_leaves_no_trace_is_remembered() {
    let source = r#"
        nodes = [{ name = "n1", cordoned = "9m" }, { name = "n2" }, { name = "n3" }]
        config = [{ object = "secret/dbcred" }]
        services = [{ name = "api", selector = { app = "api" }, edited = "4m", by = "kubectl-patch" }]
    "#;
    let world: World = toml::from_str(source).unwrap();
    let mut snapshot = world.snapshot();
    let told = |snapshot: &Snapshot| {
        let all = changes(snapshot, now() + SignedDuration::from_secs(60), Duration::from_secs(600));
        all.into_iter().map(|change| change.says).collect::<Vec<_>>()
    };
    let before = told(&snapshot);
    let seen = |fact| Observation { at: after(30), origin: Origin::Nodes, seen: Ok(fact) };
    let of = |name: &str| snapshot.nodes.get(&Key::cluster(name)).unwrap().clone();
    let (mut one, mut two) = (of("n1"), of("n2"));
    one.unschedulable = false;
    one.taints = Box::default();
    let taint = |key: &str| Taint { key: key.into(), value: None, effect: "NoExecute".into(), added: None };
    two.taints = Box::new([taint("maintenance"), taint("node.kubernetes.io/unreachable")]);
    snapshot.fold(seen(Fact::Nodes(Delta::Seen(vec![one, two]))));
    snapshot.fold(seen(Fact::Nodes(Delta::Gone(vec![Key::cluster("n3")]))));
    snapshot
        .fold(seen(Fact::Secrets(Delta::Gone(vec![Key::new("shop", "dbcred"), Key::new("shop", "never")]))));
    let mut service = snapshot.services.iter().next().unwrap().clone();
    service.edited = Some(Edit { at: after(40), by: Some("covet-tui".into()) });
    snapshot.fold(seen(Fact::Services(Delta::Seen(vec![service]))));
    let mut news: Vec<String> = told(&snapshot).into_iter().filter(|says| !before.contains(says)).collect();
    news.sort();
    let expected = [
        "Secret dbcred deleted",
        "node n1 uncordoned",
        "node n2 tainted maintenance:NoExecute",
        "node n3 removed",
    ];
    assert_eq!(news, expected);
}

#[test]
fn severity_rises_at_once_and_falls_after_a_while() {
    let mut memory = Memory::default();
    let mut at = |seconds, severity| {
        let firing = judgement(Finding::Firing(vec![anomaly(now(), severity)]));
        memory.remember(&firing, &Snapshot::default(), after(seconds))[0].severity
    };
    assert_eq!(at(0, Severity::Warning), Severity::Warning);
    assert_eq!(at(1, Severity::Critical), Severity::Critical);
    assert_eq!(at(2, Severity::Warning), Severity::Critical);
    assert_eq!(at(30, Severity::Warning), Severity::Critical);
    assert_eq!(at(31, Severity::Warning), Severity::Warning);
}

#[test]
fn every_rule_and_threshold_is_documented() {
    let names: std::collections::BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert!(names.len() == RULES.len() && names.len() >= 10, "{names:?}");
    for rule in RULES {
        assert!(!rule.title.is_empty() && rule.says.ends_with('.'), "{}", rule.name);
        assert!(!rule.needs.origins().is_empty(), "{}", rule.name);
        for threshold in rule.thresholds {
            let own = threshold.key.starts_with(&format!("{}.", rule.name))
                || threshold.key.starts_with("traffic.");
            assert!(own, "{} is not a key of {}", threshold.key, rule.name);
            assert!(!threshold.says.is_empty() && !threshold.source.is_empty(), "{}", threshold.key);
        }
    }
}
