//! When it is over: what holds, since when, how much longer, and the checklist for afterwards.

use covet_tui::domain::*;
use covet_tui::playbooks::{Plan, StepState};

use super::world::{World, ago, minutes, now};

/// Rolled back two minutes ago; the pods have been ready for `ready` seconds.
fn rolled_back(ready: i64) -> World {
    let mut world =
        World::new("crash-loop", "shop", "web", 3, 6).cause(cause::BAD_REVISION, "only revision 7 crashes");
    for pod in &mut world.pods {
        pod.conditions[0].since = Some(ago(ready));
    }
    world.did_at("previous-logs", ready + 200, true).did_at("roll-back", ready + 60, true)
}

fn item(plan: &Plan, id: &str) -> Option<bool> {
    plan.follow_up.iter().find(|item| item.id == id).unwrap().auto
}

#[test]
fn a_change_settles_then_is_verified_then_has_to_hold() {
    let mut world = rolled_back(5);
    world.progress.steps.get_mut("roll-back").unwrap().at = ago(8);
    let (step, why) = world.suggested();
    assert_eq!(step, "rollout-done");
    assert!(why.contains("taking effect: judge it in 12s"), "{why}");

    let world = rolled_back(120);
    let (step, why) = world.suggested();
    assert_eq!(
        (step.as_str(), why.as_str()),
        ("rollout-done", "see whether “Roll back to revision ‹good revision›” worked")
    );

    let world = world.did_at("rollout-done", 30, true);
    let plan = world.plan();
    assert!(!plan.resolved.reached);
    assert_eq!(plan.resolved.holds_since, Some(ago(120)));
    assert_eq!(plan.resolved.left(now()), Some(minutes(8)));
    assert!(plan.why.contains("resolved in 8m"), "{}", plan.why);
    assert!(
        plan.resolved.says.contains("not checked: Ask five times from outside"),
        "{}",
        plan.resolved.says
    );

    let world = rolled_back(700).did_at("rollout-done", 30, true);
    let plan = world.plan();
    assert!(plan.resolved.reached, "{}", plan.resolved.says);
    assert_eq!(plan.suggested, None);
    assert!(plan.why.starts_with("resolved: all pods Ready"), "{}", plan.why);
}

#[test]
fn a_verification_from_before_the_change_counts_for_nothing() {
    let world = rolled_back(700).did_at("rollout-done", 5_000, true);
    let plan = world.plan();
    assert!(!plan.resolved.reached);
    assert_eq!(plan.suggestion().unwrap().id, "rollout-done");
    let failed = rolled_back(700).did_at("rollout-done", 5, false).plan();
    assert!(!failed.resolved.reached);
    assert!(failed.resolved.says.contains("has not passed"), "{}", failed.resolved.says);
}

#[test]
fn from_outside_it_has_to_be_ready_too_where_that_can_be_asked() {
    let url = "https://shop.example.org/health/ready";
    let world = rolled_back(700).did_at("rollout-done", 30, true).setting("probe_url", url);
    let plan = world.plan();
    assert!(!plan.resolved.reached);
    let step = plan.suggestion().unwrap();
    assert_eq!(
        step.action,
        Some(Action::Network(NetworkProbe::HttpProbe { url: url.into(), times: 5, connect_to: None }))
    );
    assert!(world.did_at("ready-outside", 10, true).plan().resolved.reached);
    // What did not pass once is asked again, not what has passed.
    for held in [300, 700] {
        let world = rolled_back(held).did_at("rollout-done", 30, true).setting("probe_url", url);
        let plan = world.did_at("ready-outside", 10, false).plan();
        assert!(!plan.resolved.reached);
        assert_eq!(plan.suggestion().map(|step| step.id.as_str()), Some("ready-outside"), "{}", plan.why);
    }
}

#[test]
fn restarts_and_pods_that_are_not_ready_start_the_clock_again() {
    let mut world = rolled_back(3_000).did_at("rollout-done", 30, true);
    world.pods[1].containers[0].restarts = 1;
    world.pods[1].containers[0].last = Some(Terminated {
        reason: "Error".into(),
        exit_code: 1,
        signal: None,
        started: Some(ago(240)),
        finished: Some(ago(200)),
        message: None,
    });
    world.pods[1].containers[0].state = ContainerState::Running { since: Some(ago(190)) };
    assert_eq!(world.plan().resolved.holds_since, Some(ago(200)));
    // Twice the last crash period, when that is longer than ten minutes.
    world.pods[1].containers[0].last.as_mut().unwrap().started = Some(ago(190 + 420));
    assert_eq!(world.plan().resolved.for_, minutes(14));
    world.pods[1].conditions[0].status = Status::False;
    let plan = world.plan();
    assert_eq!(plan.resolved.holds_since, None);
    assert!(plan.resolved.says.contains("2 of 3 pods ready"), "{}", plan.resolved.says);
}

/// A StatefulSet of three that was rolled back eleven minutes ago, long enough to hold: `back` pods are of the good
/// revision and ready, `going` of the bad one take their time to go.
fn set_rolled_back(back: u32, going: u32) -> World {
    let mut world = World::new("rollout-stuck", "shop", "db", back, 2);
    let object = ObjectRef::new(Kind::StatefulSet, Key::new("shop", "db"));
    let owner = Owner { kind: "StatefulSet".into(), name: "db".into(), uid: "uid-set".into() };
    let revision = |number: u64, hash: &str| ControllerRevision {
        key: Key::new("shop", format!("db-{hash}")),
        owner: Some(owner.clone()),
        created: ago(80_000),
        revision: number,
        change_cause: None,
        template: Template::default(),
    };
    for index in 0..going {
        world.add_waiting_pod(2, back + index, "CrashLoopBackOff", Some(("Error", 1)));
    }
    for (index, pod) in world.pods.iter_mut().enumerate() {
        let is_back = index < back as usize;
        let hash = if is_back { "db-good" } else { "db-bad" };
        pod.labels = Labels::new(vec![("controller-revision-hash".into(), hash.into())]);
        pod.owner = Some(owner.clone());
        pod.deleting = (!is_back).then(|| ago(600));
        pod.conditions[0].since = Some(ago(if is_back { 640 } else { 20 }));
    }
    let controller = Controller {
        kind: Kind::StatefulSet,
        key: object.key.clone(),
        uid: owner.uid.clone(),
        resource_version: "1".into(),
        created: ago(900_000),
        edited: None,
        keeper: None,
        selector: world.deployment.selector.clone(),
        update: Update::Rolling { partition: 0 },
        is_ordered: true,
        min_ready_seconds: 0,
        desired: 3,
        // As Kubernetes counts them: those on their way out among all, and not among the updated.
        existing: back + going,
        updated: back,
        ready: back,
        available: back,
        update_revision: Some("db-good".into()),
        template: Template::default(),
    };
    world.anomaly.subject = Subject::Object(object);
    world.facts = vec![
        (Origin::StatefulSets, Fact::StatefulSets(Delta::Seen(vec![controller]))),
        (
            Origin::ControllerRevisions,
            Fact::ControllerRevisions(Delta::Seen(vec![revision(3, "good"), revision(2, "bad")])),
        ),
    ];
    let named = [("workload", "statefulset/db"), ("workload_kind", "StatefulSet"), ("workload_name", "db")];
    world.anomaly.bindings.extend(named.map(|(name, value)| (name, value.to_owned())));
    world.did_at("roll-back", 660, true)
}

#[test]
fn a_slow_end_of_an_old_pod_neither_holds_the_resolution_back_nor_brings_it_too_early() {
    // All three are back; one more of the bad revision does not go.
    let plan = set_rolled_back(3, 1).did_at("rollout-done", 30, true).plan();
    assert_eq!(plan.resolved.holds_since, Some(ago(640)), "{}", plan.resolved.says);
    assert!(plan.resolved.reached, "{}", plan.resolved.says);
    // The third waits for it to be gone.
    for going in [0, 1] {
        let plan = set_rolled_back(2, going).did_at("rollout-done", 30, true).plan();
        assert_eq!(plan.resolved.holds_since, None);
        assert!(plan.resolved.says.contains("rollout at 2 of 3 updated"), "{}", plan.resolved.says);
    }
}

#[test]
fn what_gets_well_by_itself_is_watched_not_changed() {
    let world =
        World::new("crash-loop", "shop", "web", 3, 6).cause(cause::OOM_KILLED, "OOMKilled once").read();
    let plan = world.binding("memory_suggestion", "3Gi").plan();
    assert_eq!(plan.suggestion().unwrap().id, "rollout-done");
    // Scaled to nothing is not well.
    let mut stopped = World::new("crash-loop", "shop", "web", 0, 6);
    stopped.deployment.replicas = 0;
    let plan = stopped.did_at("scale-to-zero", 120, true).did_at("pods", 60, true).plan();
    assert!(plan.resolved.says.contains("scaled to 0"), "{}", plan.resolved.says);
    assert_eq!(plan.suggestion().unwrap().id, "scale-back");
}

#[test]
fn rollout_and_images_and_panels_have_their_own_conditions() {
    let mut stuck = World::new("rollout-stuck", "shop", "web", 4, 9);
    stuck.deployment.updated = 2;
    assert!(stuck.plan().resolved.says.contains("rollout at 2 of 4 updated"));
    let image = World::new("image-pull", "shop", "web", 2, 1).bad_revision(2, "ErrImagePull", None);
    assert!(image.plan().resolved.says.contains("2 wait for an image"), "{}", image.plan().resolved.says);
    let mut hpa = World::new("hpa-max", "shop", "web", 4, 2).with_autoscaler(2, 10);
    assert!(hpa.plan().resolved.says.contains("10 of at most 10 replicas wanted"));
    // Its maximum was raised, and it has not looked since.
    let scaler = hpa.autoscaler.as_mut().unwrap();
    scaler.max = 15;
    scaler.conditions = Box::new([Condition {
        kind: "ScalingLimited".into(),
        status: Status::True,
        reason: Some("TooManyReplicas".into()),
        message: None,
        since: Some(ago(2_400)),
    }]);
    assert!(hpa.plan().resolved.says.contains("still reports that its maximum holds it back"));
    hpa.autoscaler.as_mut().unwrap().conditions = Box::new([]);
    assert!(!hpa.plan().resolved.says.contains("maximum"), "{}", hpa.plan().resolved.says);
    let pool = World::new("db-pool", "shop", "web", 4, 2);
    assert!(pool.plan().resolved.says.contains("not to be seen"), "blind is not well");
    assert!(!pool.connections(80, 90).plan().resolved.reached);
    let mut slow = World::new("high-latency", "shop", "web", 4, 2);
    let traffic = |p95: f64| Traffic {
        p95: Series::new((0..20).map(|minute| (ago(1_200 - minute * 60), p95))),
        ..Traffic::default()
    };
    slow.facts = vec![(Origin::Prometheus, Fact::Traffic(Box::new(traffic(1.4))))];
    assert!(slow.plan().resolved.says.contains("p95 at 1.40"), "{}", slow.plan().resolved.says);
    slow.facts = vec![(Origin::Prometheus, Fact::Traffic(Box::new(traffic(0.2))))];
    assert!(slow.plan().resolved.reached);

    let own = WorkloadTraffic { p95: traffic(3.1).p95, ..WorkloadTraffic::new(Key::new("shop", "web")) };
    let hidden = Traffic { workloads: vec![own], ..traffic(0.2) };
    let mut slow = slow.binding("namespace", "shop").binding("deployment", "web");
    slow.facts = vec![(Origin::Prometheus, Fact::Traffic(Box::new(hidden)))];
    let resolved = slow.plan().resolved;
    assert!(!resolved.reached && resolved.says.contains("its p95 at 3.10"), "{}", resolved.says);

    let gone = Blind { kind: BlindKind::Broken, why: "no series".into(), repair: None, since: ago(90) };
    let silent = Traffic { latency_unseen: Some(gone), ..traffic(0.2) };
    slow.facts = vec![(Origin::Prometheus, Fact::Traffic(Box::new(silent)))];
    let resolved = slow.plan().resolved;
    assert!(!resolved.reached && resolved.says.contains("no series"), "the last number: {}", resolved.says);
}

#[test]
fn what_still_fires_is_not_called_resolved_for_a_quiet_half_hour() {
    let mut leak = World::new("mem-leak", "shop", "web", 3, 6).cause(cause::MEMORY_LEAK, "memory grows");
    let resolved = leak.plan().resolved;
    assert!(!resolved.reached && resolved.says.starts_with("not yet: "), "{}", resolved.says);
    let (step, _) = leak.suggested();
    assert!(!step.is_empty(), "there is something to do");
    leak.fires = false;
    let resolved = leak.plan().resolved;
    assert!(resolved.holds_since.is_some(), "{}", resolved.says);
}

#[test]
fn the_checklist_ticks_what_can_be_seen_and_leaves_the_rest_to_people() {
    let mut world = World::new("crash-loop", "shop", "web", 2, 6);
    let plan = world.plan();
    assert_eq!(item(&plan, "resources"), Some(true));
    assert_eq!(item(&plan, "probes"), Some(false));
    assert_eq!(item(&plan, "alert"), None, "an alert that does not fire may exist");
    assert_eq!(item(&plan, "config-review"), None);
    world.deployment.template.containers[0].limits.memory_bytes = None;
    assert_eq!(item(&world.plan(), "resources"), Some(false));
    let alert = Alert {
        fingerprint: "f".into(),
        name: "KubePodCrashLooping".into(),
        labels: Labels::default(),
        summary: None,
        starts: ago(60),
        state: AlertState::Active,
    };
    world
        .facts
        .push((Origin::Alertmanager, Fact::Alerts { alerts: vec![alert], silences: vec![], loaded: None }));
    assert_eq!(item(&world.plan(), "alert"), Some(true));
    let mut image = World::new("image-pull", "shop", "web", 2, 6);
    assert_eq!(item(&image.plan(), "pinned"), Some(true));
    image.deployment.template.containers[0].image = "ghcr.io/org/web:latest".into();
    assert_eq!(item(&image.plan(), "pinned"), Some(false));
}

#[test]
fn a_finished_step_shows_what_it_said() {
    let plan = World::new("crash-loop", "shop", "web", 2, 6).did_at("pods", 30, true).plan();
    let state = &plan.step("pods").unwrap().state;
    assert_eq!(state, &StepState::Done { at: ago(30), ok: true, says: "done".into() });
}

#[test]
fn a_change_is_called_as_it_was_called_when_it_was_done() {
    let mut world = rolled_back(5);
    let called = "Roll back to revision 6".to_owned();
    world = world.made("roll-back", 5, 1);
    let made = world.progress.steps.get_mut("roll-back").unwrap().change.as_mut().unwrap();
    made.title = called.clone();
    world.anomaly.bindings.insert("good_revision", "9".into());
    assert_eq!(world.plan().step("roll-back").unwrap().title, called);
}

#[test]
fn what_was_deleted_is_over_and_asks_for_nothing() {
    let mut world = rolled_back(5);
    for delta in [Delta::Relisting, Delta::Listed] {
        world.facts.push((Origin::Deployments, Fact::Deployments(delta)));
    }
    assert!(!world.plan().resolved.reached, "it still fires");
    world.fires = false;
    let plan = world.plan();
    assert_eq!((plan.resolved.reached, plan.suggested), (true, None));
    assert_eq!(plan.why, "what it is about does not exist any more");
}
