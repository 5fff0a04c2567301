//! When what was read has to be read again.

use covet_tui::domain::cause;
use covet_tui::playbooks::{Grounds, StepState};

use super::world::World;

const CONFIG: &str = "Error loading config";

/// Prometheus is judged so, after `step` was read for a Prometheus that was replaying.
fn judged(title: &str, because: &'static str, step: &str, seconds_ago: i64) -> World {
    let mut world = World::new("prom-down", "monitoring", "prometheus-server", 1, 2);
    world.anomaly.title = "Prometheus is replaying its log, segment 9 of 48".into();
    let grounds = Grounds::of(&world.anomaly);
    world = world.did_at(step, seconds_ago, true).cause(because, CONFIG);
    world.progress.steps.get_mut(step).unwrap().grounds = Some(grounds);
    world.anomaly.title = title.into();
    world
}

fn is_done(world: &World, step: &str) -> bool {
    matches!(world.plan().step(step).unwrap().state, StepState::Done { .. })
}

#[test]
fn what_was_read_for_another_judgement_is_read_again() {
    let world = judged("Prometheus is down: bad configuration", cause::MONITORING_CONFIG, "config", 60);
    assert!(!is_done(&world, "config"));
    // Until then it is known, and nothing has to come before the change that it allows.
    assert!(world.progress.done("config").is_some());
}

#[test]
fn not_sooner_than_after_a_rest() {
    let world = judged("Prometheus is down: bad configuration", cause::MONITORING_CONFIG, "config", 10);
    assert!(is_done(&world, "config"));
}

#[test]
fn a_number_that_moves_is_no_other_judgement() {
    let mut world = judged("", cause::MONITORING_CONFIG, "config", 60);
    world.anomaly.causes.clear();
    world.anomaly.title = "Prometheus is replaying its log, segment 31 of 48".into();
    assert!(is_done(&world, "config"));
    let world = world.cause(cause::WAL_REPLAY, "replaying");
    assert!(!is_done(&world, "config"), "a new cause is one");
}

#[test]
fn what_a_person_has_to_ask_for_is_not_asked_again_by_itself() {
    let world = judged("Prometheus is down", cause::MONITORING_CONFIG, "targets-again", 60);
    assert!(is_done(&world, "targets-again"));
}

#[test]
fn what_changes_by_itself_is_read_again_after_a_while() {
    let read = |step: &str, seconds_ago| {
        is_done(&World::new("node-notready", "", "n1", 1, 1).did_at(step, seconds_ago, true), step)
    };
    assert!(read("instance-health", 100));
    assert!(!read("instance-health", 130), "EC2 looks at a machine once a minute");
    assert!(read("host-resources", 130), "nothing says that this one ages");
}

#[test]
fn what_was_read_before_a_change_took_effect_is_read_again_after_it() {
    let read = |seconds_ago| {
        let world = World::new("prom-down", "monitoring", "prometheus-server", 1, 2);
        // The change takes a minute.
        world.did_at("revert-config", 90, true).did_at("logs", seconds_ago, true)
    };
    assert!(!is_done(&read(120), "logs"), "before the change");
    assert!(!is_done(&read(60), "logs"), "while it took effect");
    assert!(is_done(&read(20), "logs"), "after it");
}

#[test]
fn a_comparison_of_revisions_holds_while_the_older_serves() {
    let says = "only revision 7 is troubled (2 of 2 pods); revision 6 is healthy (4 ready)";
    let mut world = World::new("crash-loop", "shop", "front", 4, 6)
        .bad_revision(7, "CrashLoopBackOff", Some(("Error", 1)))
        .binding("good_revision", "6")
        .read()
        .found("describe", cause::BAD_REVISION, says);
    assert_eq!(world.suggested().0, "roll-back");
    for set in &mut world.sets {
        (set.ready, set.available) = (0, 0);
    }
    world.pods.retain(|pod| !pod.is_ready());
    let (step, why) = world.suggested();
    assert_ne!(step, "roll-back", "{why}");
}
