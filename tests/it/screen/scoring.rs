//! How a drill went: the page that says so, and what is counted on the way.

use std::time::Duration;

use covet_tui::app::{App, Effect, Event, Known, Options, Truth, Worse, is_like};
use covet_tui::domain::{Fact, Origin, Series, Snapshot, Timestamp, Traffic};
use covet_tui::guard::Armed;
use covet_tui::journal::{Ending, EntryId, Outcome};
use crossterm::event::KeyCode;
use serde_json::json;

use super::{drawn, keys, press, text, world};

fn truth() -> Truth {
    Truth {
        title: "A release needs more memory than its limit".into(),
        story: "The pipeline rolls out v1.2.4. It loads the whole catalogue at start and peaks over its limit: the \
                kernel kills it before it listens."
            .into(),
        strikes: world::ago(252),
        rule: "crash-loop".into(),
        object: "Deployment/covetpy-app".into(),
        causes: vec!["oom-killed".into()],
        root: "OOMKilled at start, only in the newest revision".into(),
        fixes: vec!["Roll back to the last healthy revision.".into(), "Raise the memory limit to 3 GiB.".into()],
        worse: vec![Worse {
            says: "Roll back although nothing is wrong: it is only a test.".into(),
            does: json!({"action": "rollout-undo", "to_revision": 6}),
        }],
    }
}

fn practising() -> App {
    let options = Options { drill: Some("crash-loop.oom".into()), truth: Some(truth()), ..world::options() };
    world::crashing(options)
}

#[test]
fn the_score_of_a_drill() {
    let mut app = practising();
    let score = app.score.as_mut().unwrap();
    (score.detected, score.named) = (Some(world::ago(232)), Some(world::ago(228)));
    (score.changes, score.undone, score.errors) = (2, 1, Duration::from_secs(74));
    score.wrong = vec!["Scale to 0: a full outage, and the logs of the crashes are gone.".into()];
    keys(&mut app, "S");
    super::pictures::check("score-so-far", app);

    let mut app = practising();
    let score = app.score.as_mut().unwrap();
    (score.detected, score.named) = (Some(world::ago(232)), Some(world::ago(228)));
    (score.resolved, score.changes) = (Some(world::now()), 1);
    keys(&mut app, "S");
    super::pictures::check("score", app);
}

#[test]
fn without_a_drill_there_is_nothing_to_score() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "S");
    assert!(text(&drawn(&app, (120, 40))).contains("nothing is being practised"));
}

/// Confirms the suggested step and lets it end so.
fn take(app: &mut App, result: Ending) {
    let previewed = |app: &mut App, effects: Vec<Effect>| {
        let Some(Effect::Preview { request, .. } | Effect::PreviewUndo { request, .. }) =
            effects.into_iter().last()
        else {
            panic!("nothing was previewed")
        };
        app.update(Event::Previewed { request, preview: Ok(world::preview(&Armed::arm())) }, world::now());
    };
    let effects = keys(app, "n");
    previewed(app, effects);
    keys(app, "covetpy-app");
    let effects = app.update(press(KeyCode::Enter), world::now());
    let Some(Effect::Confirm { request, preview, .. }) = effects.into_iter().next() else {
        panic!("not confirmed")
    };
    let outcome = Outcome {
        entry: EntryId("1".into()),
        action: preview.action.clone(),
        result,
        at: world::now(),
        undo: preview.undo.clone(),
        progress: Vec::new(),
    };
    app.update(Event::Finished { request, outcome }, world::now());
}

#[test]
fn what_makes_it_worse_counts_when_it_was_done() {
    let mut app = practising();
    take(&mut app, Ending::Failed("the server said no".into()));
    let score = app.score.as_ref().unwrap();
    assert_eq!((score.changes, score.wrong.len()), (0, 0), "what failed changed nothing");
    let mut app = practising();
    take(&mut app, Ending::Performed("done".into()));
    let score = app.score.as_ref().unwrap();
    assert_eq!((score.changes, score.undone), (1, 0));
    assert_eq!(score.wrong, ["Roll back although nothing is wrong: it is only a test."]);
}

#[test]
fn users_errors_are_counted_by_the_second() {
    let at = |seconds: i64| world::ago(-seconds);
    let line =
        |value: f64, until: i64| Series::new((-300..=until).step_by(15).map(|second| (at(second), value)));
    let mut app = practising();
    let mut play = |from: i64, to: i64, ratio: f64, rate: f64| {
        for second in from..to {
            let traffic = Traffic {
                error_ratio: line(ratio, second),
                rate: Series::new(line(100.0, -260).points().iter().copied().chain([(at(second), rate)])),
                ..Traffic::default()
            };
            let seen = world::seen(Origin::Prometheus, Fact::Traffic(Box::new(traffic)));
            app.update(Event::Observed(vec![seen]), at(second));
            app.update(Event::Tick, at(second));
        }
        app.score.as_ref().unwrap().errors.as_secs()
    };
    let none = play(1, 20, 0.0004, 97.0);
    assert_eq!(none, 0, "the usual noise is no error");
    let failing = play(20, 50, 0.03, 97.0);
    assert!((28..=31).contains(&failing), "{failing} s of 3 % errors");
    let missing = play(50, 80, 0.0, 40.0) - failing;
    assert!((28..=31).contains(&missing), "{missing} s with most requests unanswered");
    assert_eq!(play(80, 100, 0.0, 96.0) - failing - missing, 0);
}

#[test]
fn patterns_of_actions_have_words_for_what_only_the_moment_knows() {
    let snapshot = Snapshot::default();
    let known = Known { snapshot: &snapshot, object: "Node/node-1", broken: Some(7) };
    let like = |pattern, action| is_like(&pattern, &action, &known);
    let scale = json!({"action": "scale", "object": {"kind": "Deployment"}, "replicas": 0});
    assert!(like(json!({"action": "scale", "replicas": 0}), scale.clone()));
    assert!(!like(json!({"action": "scale", "replicas": 1}), scale.clone()));
    assert!(!like(json!({"action": "patch"}), scale.clone()));
    assert!(like(json!({"replicas": "at least 10"}), json!({"replicas": 12})));
    assert!(!like(json!({"replicas": "at least 10"}), json!({"replicas": 9})));
    let memory = |amount: &str| json!({"change": {"memory_limit": amount, "cpu_limit": null}});
    let pattern = json!({"change": {"memory_limit": "at least 8Gi"}});
    assert!(like(pattern.clone(), memory("8192Mi")) && !like(pattern.clone(), memory("4Gi")));
    assert!(!like(pattern, memory("plenty")));
    let drain = |node: &str| json!({"action": "drain", "node": node});
    assert!(like(drain("other"), drain("node-2")) && !like(drain("other"), drain("node-1")));
    let back = |to: u64| json!({"to_revision": to});
    assert!(
        like(json!({"to_revision": "broken"}), back(7)) && !like(json!({"to_revision": "broken"}), back(6))
    );
    assert!(!like(json!({"pods": "ready"}), json!({"pods": []})), "nobody who serves is among none");
}

#[test]
fn nothing_counts_before_it_strikes() {
    let truth = Truth { strikes: "2099-01-01T00:00:00Z".parse::<Timestamp>().unwrap(), ..truth() };
    let options = Options { truth: Some(truth), ..world::options() };
    let mut app = world::crashing(options);
    app.update(Event::Tick, world::ago(-5));
    let score = app.score.as_ref().unwrap();
    assert_eq!((score.detected, score.named, score.errors), (None, None, Duration::ZERO));
}
