//! Scenario files in, exact findings out. Each file in `tests/scenarios/` is a small world in compact rows and
//! everything that the rules and the incidents must say about it: no more, no less.

mod advice;
mod disks;
mod monitoring;
mod rows;
mod workloads;
pub mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use covet_tui::domain::{Anomaly, CAUSES, Observation, Origin, Severity, text};
use covet_tui::incident::{headline, incidents};
use covet_tui::rules::{RULES, Thresholds, judge};
use jiff::SignedDuration;
use serde::Deserialize;

use world::{World, now, span};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What this scenario is about, in a sentence.
    says: String,
    #[serde(default)]
    world: World,
    /// Overrides by key.
    #[serde(default)]
    thresholds: BTreeMap<String, f64>,
    /// All anomalies, the worst first.
    #[serde(default)]
    expect: Vec<Expected>,
    /// All incidents, the worst first.
    #[serde(default)]
    incidents: Vec<ExpectedIncident>,
    /// All rules that cannot tell.
    #[serde(default)]
    blind: Vec<String>,
    headline: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    id: String,
    severity: Severity,
    /// All causes, the likeliest first.
    causes: Vec<String>,
    title: Option<String>,
    /// How long ago it began.
    age: Option<String>,
    /// `11m20s`; "no" when it must not page.
    pages_in: Option<String>,
    /// At least this score, and less than the next tenth.
    score: Option<f64>,
    #[serde(default)]
    bindings: BTreeMap<String, String>,
    /// Bindings that must not exist.
    #[serde(default)]
    without: Vec<String>,
    /// The step that its playbook suggests once everything was read; `read only` when no change is advised.
    suggests: Option<String>,
    /// Parts of what the evidence says.
    #[serde(default)]
    evidence: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedIncident {
    root: String,
    /// All symptoms, the worst first.
    #[serde(default)]
    symptoms: Vec<String>,
    title: Option<String>,
    /// What changed, the nearest before the onset first: the beginnings of what it says.
    changes: Option<Vec<String>>,
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn load(path: &Path) -> Scenario {
    let source = fs::read_to_string(path).unwrap();
    toml::from_str(&source).unwrap_or_else(|error| panic!("{}: {error}", name(path)))
}

/// Everything that is not as expected, in words.
fn differences(scenario: &Scenario) -> Vec<String> {
    let snapshot = scenario.world.snapshot();
    let overrides = scenario.thresholds.iter().map(|(key, value)| (key.as_str(), *value));
    let thresholds = Thresholds::new(overrides).expect("known thresholds");
    let judgement = judge(&snapshot, &thresholds, now());
    assert_eq!(judgement.findings.len(), RULES.len());
    let anomalies = judgement.anomalies();
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: &[String], found: &[String]| {
        if expected != found {
            wrong.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    };
    let expected: Vec<String> =
        scenario.expect.iter().map(|row| format!("{} {}", row.severity.as_str(), row.id)).collect();
    let found: Vec<String> =
        anomalies.iter().map(|row| format!("{} {}", row.severity.as_str(), row.id)).collect();
    compare("anomalies", &expected, &found);
    let blind: BTreeSet<String> = judgement.blind().iter().map(|(rule, _)| rule.name.to_string()).collect();
    compare("blind", &scenario.blind, &blind.into_iter().collect::<Vec<_>>());
    let incidents = incidents(&anomalies, &snapshot, now());
    let expected: Vec<String> = scenario.incidents.iter().map(|row| row.root.clone()).collect();
    let found: Vec<String> = incidents.iter().map(|row| row.root.to_string()).collect();
    compare("incidents", &expected, &found);
    for (expected, found) in scenario.incidents.iter().zip(&incidents) {
        let symptoms: Vec<String> = found.symptoms.iter().map(ToString::to_string).collect();
        compare("symptoms", &expected.symptoms, &symptoms);
        if let Some(title) = &expected.title {
            compare("title", std::slice::from_ref(title), &[found.title.at(now())]);
        }
        if let Some(changes) = &expected.changes {
            let says: Vec<String> = found.changes.iter().map(|change| change.says.clone()).collect();
            let begins = says.len() == changes.len()
                && says.iter().zip(changes).all(|(says, begins)| says.starts_with(begins.as_str()));
            if !begins {
                compare("changes", changes, &says);
            }
        }
    }
    if let Some(expected) = &scenario.headline {
        let line = headline(&incidents, &anomalies, &judgement.blind(), &snapshot, now());
        compare("headline", std::slice::from_ref(expected), &[line]);
    }
    if wrong.is_empty() {
        for (expected, found) in scenario.expect.iter().zip(&anomalies) {
            wrong.extend(differing(expected, found));
            let suggested = expected.suggests.as_ref().map(|_| advice::suggested(found, &snapshot));
            if expected.suggests != suggested {
                wrong
                    .push(format!("{}: expected {:?}, suggested {suggested:?}", found.id, expected.suggests));
            }
        }
    }
    wrong
}

fn differing(expected: &Expected, found: &Anomaly) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: String, found: String| {
        if expected != found {
            wrong.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    };
    let causes: Vec<String> = found.causes.iter().map(|cause| cause.name.to_owned()).collect();
    compare("causes", expected.causes.join(", "), causes.join(", "));
    if let Some(title) = &expected.title {
        compare("title", title.clone(), found.title.clone());
    }
    if let Some(age) = &expected.age {
        let since = Duration::try_from(now().duration_since(found.onset)).unwrap();
        compare("age", age.clone(), text::span(since));
    }
    if let Some(pages) = &expected.pages_in {
        let until = found.pages_at.map(|at| Duration::try_from(at.duration_since(now())).unwrap_or_default());
        compare("pages in", pages.clone(), until.map_or_else(|| "no".to_owned(), text::span));
    }
    if let Some(score) = expected.score {
        compare("score", format!("{score:.2}"), format!("{:.2}", found.score));
    }
    for (key, value) in &expected.bindings {
        let bound = found.bindings.get(key.as_str()).cloned().unwrap_or_default();
        compare(&format!("binding {key}"), value.clone(), bound);
    }
    for key in &expected.without {
        let bound = found.bindings.get(key.as_str()).cloned().unwrap_or_default();
        compare(&format!("binding {key}"), String::new(), bound);
    }
    for part in &expected.evidence {
        if !found.evidence.iter().any(|row| row.says.contains(part.as_str())) {
            let says: Vec<&str> = found.evidence.iter().map(|row| row.says.as_str()).collect();
            compare("evidence", part.clone(), says.join("\n"));
        }
    }
    wrong
}

#[test]
fn every_scenario_is_judged_exactly() {
    let files = files();
    assert!(files.len() >= 25, "only {} scenarios were found", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let scenario = load(path);
        let differences = differences(&scenario);
        if !differences.is_empty() {
            wrong.push(format!("{} ({})\n  {}", name(path), scenario.says, differences.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_cause_and_evidence_is_in_order() {
    for path in files() {
        let snapshot = load(&path).world.snapshot();
        for anomaly in judge(&snapshot, &Thresholds::default(), now()).anomalies() {
            let place = format!("{}: {}", name(&path), anomaly.id);
            assert!(anomaly.onset <= now(), "{place} begins in the future");
            assert!(
                (0.5..=1.0).contains(&(anomaly.score + 1e-9)) || anomaly.score <= 1.0,
                "{place}: {}",
                anomaly.score
            );
            assert!(!anomaly.evidence.is_empty(), "{place} has no evidence");
            assert!(
                anomaly.causes.is_sorted_by(|one, other| one.weight >= other.weight)
                    || &*anomaly.rule == "cert-expiry",
                "{place}"
            );
            for cause in &anomaly.causes {
                assert!(CAUSES.iter().any(|word| word.name == cause.name), "{place}: {}", cause.name);
                assert!(!cause.says.is_empty(), "{place}: {} says nothing", cause.name);
            }
        }
    }
}

#[test]
fn every_rule_has_a_scenario_in_which_it_fires() {
    let fired: BTreeSet<String> = files()
        .iter()
        .flat_map(|path| load(path).expect)
        .map(|expected| expected.id.split('/').next().unwrap().to_owned())
        .collect();
    let all: BTreeSet<String> = RULES.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(fired, all);
}

#[test]
fn an_unknown_threshold_is_refused_with_its_neighbour() {
    let wrong = Thresholds::new([("crash-loop.restart", 3.0), ("db-pool.warning", f64::NAN)]).unwrap_err();
    let says: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(says.len(), 2);
    assert!(says[0].contains("did you mean crash-loop.restarts?"), "{}", says[0]);
    assert!(says[1].contains("db-pool.warning must be a finite number"), "{}", says[1]);
    assert_eq!(span("1h30m"), Duration::from_secs(5400));
}

/// What a rule found of what it should have found, over all scenarios.
#[derive(Default)]
struct Score {
    /// Anomalies that were expected and found.
    hits: usize,
    /// Found, but nothing was wrong.
    false_alarms: usize,
    /// Expected, but not found.
    misses: usize,
    /// Scenarios in which it had to stay silent.
    quiet: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.hits as f64 / (self.hits + self.false_alarms).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }
}

/// `tests/run precision_and_recall --no-capture` prints the table.
#[test]
fn precision_and_recall_of_every_rule() {
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    for path in files() {
        let scenario = load(&path);
        let overrides = scenario.thresholds.iter().map(|(key, value)| (key.as_str(), *value));
        let thresholds = Thresholds::new(overrides).expect("known thresholds");
        let found = judge(&scenario.world.snapshot(), &thresholds, now()).anomalies();
        for rule in RULES {
            let of = |id: &str| id.split('/').next() == Some(rule.name);
            let expected: BTreeSet<&str> =
                scenario.expect.iter().map(|row| row.id.as_str()).filter(|id| of(id)).collect();
            let found: BTreeSet<&str> = found.iter().map(|row| &*row.id.0).filter(|id| of(id)).collect();
            let score = scores.entry(rule.name).or_default();
            score.hits += found.intersection(&expected).count();
            score.false_alarms += found.difference(&expected).count();
            score.misses += expected.difference(&found).count();
            score.quiet += usize::from(expected.is_empty());
        }
    }
    println!(
        "{:<16} {:>9} {:>7} {:>6} {:>13} {:>7}",
        "rule", "precision", "recall", "found", "false alarms", "silent"
    );
    for (rule, score) in &scores {
        println!(
            "{rule:<16} {:>9.2} {:>7.2} {:>6} {:>13} {:>7}",
            score.precision(),
            score.recall(),
            score.hits,
            score.false_alarms,
            score.quiet
        );
    }
    for (rule, score) in scores {
        assert!(score.hits > 0 && score.quiet > 0, "{rule}: no fault, or no look-alike, to judge by");
        assert!(score.false_alarms == 0 && score.misses == 0, "{rule} is not perfect on our own scenarios");
    }
}

/// The observations in an order in which the eyes might tell them: that of each origin stays.
fn shuffled(all: Vec<Observation>, luck: &mut fastrand::Rng) -> Vec<Observation> {
    let mut of: BTreeMap<Origin, VecDeque<Observation>> = BTreeMap::new();
    for observation in all {
        of.entry(observation.origin).or_default().push_back(observation);
    }
    let mut told = Vec::new();
    while !of.is_empty() {
        let origins: Vec<Origin> = of.keys().copied().collect();
        let origin = origins[luck.usize(..origins.len())];
        let queue = of.get_mut(&origin).unwrap();
        told.extend(queue.pop_front());
        if queue.is_empty() {
            of.remove(&origin);
        }
    }
    told
}

/// Whoever starts the cockpit sees the lists come in one after another: what is not known yet is no alarm, and
/// what is wrong has one name from the first moment on.
#[test]
fn only_what_is_wrong_fires_while_a_world_comes_into_sight() {
    let mut wrong = BTreeSet::new();
    let mut judged = 0;
    for path in files() {
        let scenario = load(&path);
        let overrides = scenario.thresholds.iter().map(|(key, value)| (key.as_str(), *value));
        let thresholds = Thresholds::new(overrides).expect("known thresholds");
        for seed in 0..3 {
            let mut snapshot = scenario.world.unseen();
            for observation in shuffled(scenario.world.observations(), &mut fastrand::Rng::with_seed(seed)) {
                snapshot.fold(observation);
                judged += 1;
                for anomaly in judge(&snapshot, &thresholds, now()).anomalies() {
                    // Whoever will turn out to be blind may have spoken before.
                    let blind = scenario.blind.iter().any(|rule| **rule == *anomaly.rule);
                    if !blind && !scenario.expect.iter().any(|row| row.id == *anomaly.id.0) {
                        wrong.insert(format!("{}: {} {}", name(&path), anomaly.id, anomaly.title));
                    }
                }
            }
        }
    }
    assert!(judged > 10_000, "only {judged} judged");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `managedFields` date a scaling by the first of its kind: what was scaled a second ago is not told as neglected since
/// last week, and what stays so under our eyes is.
#[test]
fn a_controller_is_behind_since_that_was_seen() {
    let world = |unseen: &str| -> World {
        let row = r#"{ name = "web", replicas = 3, progressing = "NewReplicaSetAvailable", revisions = [{ n = 3, age = "9d" }]"#;
        let text = format!("deployments = [{row}{unseen} }}]\npods = [{{ of = \"web@3\", count = 3 }}]");
        toml::from_str(&text).unwrap()
    };
    let told = |snapshot: &covet_tui::domain::Snapshot, after: i64| {
        let at = now() + SignedDuration::from_secs(after);
        let found = judge(snapshot, &Thresholds::default(), at).anomalies();
        found.iter().map(|anomaly| (anomaly.id.to_string(), anomaly.onset)).collect::<Vec<_>>()
    };
    let mut snapshot = world("").snapshot();
    for observation in world(r#", unseen = "19m""#).observations() {
        snapshot.fold(observation);
    }
    assert_eq!(told(&snapshot, 2), []);
    assert_eq!(told(&snapshot, 200), [("rollout-stuck/deployment/shop/web".to_owned(), now())]);
}

/// Where one namespace is looked at, events of nodes are not to be had: what was seen counts as well.
#[test]
fn a_node_that_falls_again_and_again_under_our_eyes_flaps() {
    let world = |node: &str| -> World {
        let others = r#"{ name = "n1" }, { name = "n2" }, { name = "n3" }"#;
        let pods = "pods = [{ of = \"daemonset/agent\", node = \"w5\" }]";
        toml::from_str(&format!("nodes = [{others}, {node}]\n{pods}")).unwrap()
    };
    let down = r#"{ name = "w5", ready = "false", message = "container runtime is down", since = "1s" }"#;
    let mut snapshot = world(r#"{ name = "w5" }"#).snapshot();
    for state in [down, r#"{ name = "w5" }"#, down, r#"{ name = "w5" }"#, down] {
        for observation in world(state).observations() {
            snapshot.fold(observation);
        }
    }
    let found = judge(&snapshot, &Thresholds::default(), now()).anomalies();
    assert!(found.iter().any(|row| row.title.contains("comes and goes")), "{found:#?}");
}
