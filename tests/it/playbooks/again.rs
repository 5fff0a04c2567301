//! What is advised after a change that was made, while the trouble goes on.

use covet_tui::domain::*;
use covet_tui::playbooks::{Plan, StepState};

use super::world::{World, ago};

const OOM: Option<(&str, i32)> = Some(("OOMKilled", 137));

/// Out of memory at 2Gi in every revision, everything read.
fn out_of_memory(app: &str) -> World {
    World::new("crash-loop", "shop", app, 4, 6)
        .all_bad("CrashLoopBackOff", OOM)
        .cause(cause::OOM_KILLED, "main was OOMKilled at its limit of 2.0 GiB")
        .binding("memory_suggestion", "3Gi")
        .read()
}

/// Its memory was raised for the nth time, `seconds` ago. The present pods were made by it, or long before.
fn raised(world: World, seconds: i64, times: u32, by_it: bool) -> World {
    let mut world = world.made("raise-memory", seconds, times);
    for pod in &mut world.pods {
        pod.created = if by_it { ago(seconds + 5) } else { ago(80_000) };
        let end = pod.containers[0].last.as_mut().unwrap();
        (end.started, end.finished) = (Some(ago(seconds + 3)), Some(ago(seconds.min(12))));
    }
    world.anomaly.causes[0].says = "main was OOMKilled at its limit of 3.0 GiB".into();
    world.binding("memory_suggestion", "5Gi").read()
}

fn suggested(plan: &Plan) -> &str {
    plan.suggestion().map_or("", |step| step.id.as_str())
}

#[test]
fn what_is_killed_again_at_its_new_limit_gets_more_once_the_change_has_settled() {
    for app in ["reports", "web"] {
        let plan = raised(out_of_memory(app), 10, 1, true).plan();
        assert_eq!(suggested(&plan), "rollout-done");
        assert!(plan.why.contains("is taking effect"), "{}", plan.why);
        let plan = raised(out_of_memory(app), 40, 1, true).plan();
        let step = plan.suggestion().unwrap();
        assert_eq!(step.title, format!("Raise the memory of {app}-main to 5Gi"));
        let why = format!(
            "“Raise the memory of {app}-main to 3Gi” did not suffice: main was OOMKilled at its limit of 3.0 GiB"
        );
        assert_eq!(plan.why, why);
        assert!(step.notes.iter().any(|note| note.contains("was done 40s ago")), "{:?}", step.notes);
    }
}

#[test]
fn between_two_crashes_of_what_a_change_made_nothing_is_said_to_hold() {
    for (app, ended) in [("reports", 30), ("etcdx", 200)] {
        let mut world = raised(out_of_memory(app), ended + 60, 1, true);
        for set in &mut world.sets {
            (set.ready, set.available) = (4, 4);
        }
        (world.deployment.ready, world.deployment.available, world.fires) = (4, 4, false);
        let run_ended = |world: &mut World, seconds: i64| {
            for pod in &mut world.pods {
                pod.conditions[0].status = Status::True;
                let row = &mut pod.containers[0];
                (row.ready, row.restarts) = (true, 1);
                row.state = ContainerState::Running { since: Some(ago(seconds - 10)) };
                row.last.as_mut().unwrap().finished = Some(ago(seconds));
            }
        };
        run_ended(&mut world, ended);
        let resolved = world.plan().resolved;
        let says = format!("{app}-main ended OOMKilled (137) again, ");
        assert!(resolved.says.contains(&says) && resolved.holds_since.is_none(), "{}", resolved.says);
        // It counts for as long as health would have to hold.
        run_ended(&mut world, 3_000);
        let resolved = world.plan().resolved;
        assert!(resolved.holds_since.is_some(), "{}", resolved.says);
    }
}

#[test]
fn pods_that_were_there_before_prove_nothing() {
    let mut world = raised(out_of_memory("reports"), 40, 1, false);
    world.progress.steps.remove("rollout-done");
    let plan = world.plan();
    assert_eq!(suggested(&plan), "rollout-done");
    assert!(plan.why.starts_with("see whether “Raise"), "{}", plan.why);
    assert!(matches!(plan.step("raise-memory").unwrap().state, StepState::Done { .. }));
    // Unless it stands for as long as it would have to be gone.
    let plan = raised(out_of_memory("reports"), 11 * 60, 1, false).plan();
    assert_eq!(suggested(&plan), "raise-memory");
}

#[test]
fn what_failed_twice_is_taken_back_and_not_done_again() {
    let world = raised(out_of_memory("reports"), 40, 2, true);
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.takes_back.as_deref(), Some("raise-memory"));
    assert_eq!(step.title, "Take back “Raise the memory of reports-main to 3Gi”");
    assert!(plan.why.contains("did not suffice") && plan.why.contains("the time before"), "{}", plan.why);
    let mut world = world;
    world.progress.steps.get_mut("raise-memory").unwrap().undone = true;
    let plan = world.plan();
    assert!(plan.suggestion().is_none_or(|step| step.effect == Effect::Read));
    assert!(!plan.why.contains("no known cause") && !plan.why.contains("do it again"), "{}", plan.why);
    // After one try it may have been by mistake.
    let mut once = raised(out_of_memory("reports"), 40, 1, true);
    once.progress.steps.get_mut("raise-memory").unwrap().undone = true;
    assert!(once.plan().why.contains("was taken back: do it again"), "{}", once.plan().why);
}

#[test]
fn a_way_back_that_is_known_comes_before_ours() {
    let world = out_of_memory("reports")
        .bad_revision(7, "CrashLoopBackOff", OOM)
        .cause(cause::BAD_REVISION, "began 20s after revision 7 was rolled out")
        .binding("good_revision", "6");
    let mut world = raised(world, 40, 2, true);
    world.sets[0].ready = 2;
    let plan = world.plan();
    assert_eq!(suggested(&plan), "roll-back");
    assert!(plan.why.contains("did not suffice"), "{}", plan.why);
}

#[test]
fn limits_do_not_fit_while_containers_are_killed_at_them() {
    let fits = |world: World| {
        world.plan().follow_up.into_iter().find(|item| item.id == "resources").and_then(|item| item.auto)
    };
    let set = |mut world: World| {
        world.deployment.template.containers[0].limits.memory_bytes = Some(2 << 30);
        world
    };
    assert_eq!(fits(set(World::new("crash-loop", "shop", "web", 4, 6))), Some(true));
    assert_eq!(fits(set(out_of_memory("web"))), Some(false));
}

#[test]
fn an_autoscaler_at_its_new_maximum_gets_a_higher_one() {
    let limited = |max: u32, more: &str, says: &str| {
        let mut world = World::new("hpa-max", "shop", "web", 4, 6).with_autoscaler(2, max);
        let scaler = world.autoscaler.as_ref().unwrap().key.clone();
        world.anomaly.subject = Subject::Object(ObjectRef::new(Kind::HorizontalPodAutoscaler, scaler));
        world.connections(10, 200).cause(cause::AT_CAPACITY, says).binding("hpa_max_suggestion", more).read()
    };
    let first = limited(5, "10", "web needs more than its 5 replicas: 13 by its metrics");
    assert_eq!(suggested(&first.plan()), "raise-maximum");
    let made = first.made("raise-maximum", 70, 1).progress.steps["raise-maximum"].clone();
    let mut then = limited(10, "13", "web needs more than its 10 replicas: 13 by its metrics");
    then.progress.steps.insert("raise-maximum".into(), made);
    let plan = then.plan();
    let step = plan.suggestion().unwrap();
    assert!(step.title.ends_with("to 13"), "{}", step.title);
    let why = "“Raise the maximum of web-hpa to 10” did not suffice: web needs more than its 10 replicas: 13 by its metrics";
    assert_eq!(plan.why, why);
    // While it has not come to its new maximum, what it says is of before.
    then.autoscaler.as_mut().unwrap().current = 7;
    assert_ne!(suggested(&then.plan()), "raise-maximum");
}

#[test]
fn what_failed_may_be_tried_again_but_not_for_ever() {
    let failed = |times: u32| {
        let mut world = out_of_memory("reports").made("raise-memory", 40, times).read();
        let done = world.progress.steps.get_mut("raise-memory").unwrap();
        (done.ok, done.says) = (false, "the API server did not answer within 10s".into());
        world.plan()
    };
    let plan = failed(1);
    assert_eq!(suggested(&plan), "raise-memory");
    let notes = &plan.suggestion().unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("failed 40s ago (the API server")), "{notes:?}");
    assert_ne!(suggested(&failed(3)), "raise-memory");
}

#[test]
fn what_was_refused_gives_way_to_another_step_for_a_while() {
    let refused = |seconds: i64| {
        let mut world = out_of_memory("reports");
        world
            .progress
            .refused
            .insert("raise-memory".into(), (ago(seconds), "a quota stands in its way".into()));
        world.plan()
    };
    assert_eq!(suggested(&out_of_memory("reports").plan()), "raise-memory");
    let plan = refused(5);
    assert_ne!(suggested(&plan), "raise-memory");
    let state = &plan.step("raise-memory").unwrap().state;
    let StepState::NotAdvised { why } = state else { panic!("{state:?}") };
    assert!(why.contains("a quota stands in its way"), "{why}");
    assert_eq!(suggested(&refused(180)), "raise-memory", "the world may be another by now");
}

#[test]
fn what_is_kept_by_a_tool_is_not_changed_over_and_over() {
    let rolled_back = |keeper: Option<&str>| {
        let mut world = World::new("crash-loop", "shop", "basket", 4, 6)
            .bad_revision(7, "CrashLoopBackOff", Some(("Error", 1)))
            .cause(cause::BAD_REVISION, "only revision 7 crashes")
            .binding("good_revision", "6")
            .read()
            .made("roll-back", 60, 1);
        world.deployment.keeper = keeper.map(|tool| Keeper { tool: tool.into(), name: "storefront".into() });
        world
    };
    for tool in ["Argo CD", "Flux"] {
        let plan = rolled_back(Some(tool)).plan();
        assert_eq!(plan.suggestion().unwrap().effect, Effect::Read, "{}", plan.why);
        assert!(
            plan.why.contains(&format!("was taken back, it seems by {tool} (storefront)")),
            "{}",
            plan.why
        );
    }
    // Nothing takes it back but a tool that does so by itself.
    for keeper in [None, Some("Helm")] {
        let plan = rolled_back(keeper).plan();
        assert!(!plan.why.contains("was taken back"), "{}", plan.why);
    }
    // It stands as long as that revision is the newest, under whatever number.
    let mut stands = rolled_back(Some("Flux"));
    let newest = stands.sets.iter_mut().max_by_key(|set| set.revision).unwrap();
    newest.earlier_revisions = Box::new([6]);
    assert!(!stands.plan().why.contains("was taken back"));
}
