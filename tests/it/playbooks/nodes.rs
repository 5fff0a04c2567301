//! The decision table for nodes: wait, look, never drain first, give back only what is well and ours.

use covet_tui::domain::*;
use covet_tui::playbooks::{Plan, StepState};

use super::world::{World, about_node, ago, node};

/// `down` of `all` nodes are silent since three minutes.
fn silent(all: usize, down: usize) -> World {
    let mut world = World::new("node-notready", "shop", "web", 3, 1).with_nodes(all);
    for index in 0..down {
        world.nodes[index] = node(&format!("node-{}", index + 1), false, 180);
    }
    let mut world = about_node(world, "node-1").cause(cause::KUBELET_SILENT, "no heartbeat for 3m").read();
    // The machines are out of reach, unless a test says otherwise.
    world.systems.remove(&System::Ssh);
    world
}

/// The same with a way to the machines, whose kubelet's log was read.
fn reachable(all: usize, down: usize) -> World {
    let mut world = silent(all, down);
    world.systems.insert(System::Ssh);
    world.did("kubelet-log")
}

#[test]
fn a_kubelet_that_can_be_reached_is_restarted_before_anything_is_moved() {
    let world = reachable(4, 1).began(150);
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "restart-kubelet");
    let restart = OnMachine::RestartService { node: "node-1".into(), unit: Unit::Kubelet };
    assert_eq!((step.action.clone(), step.effect), (Some(Action::Machine(restart)), Effect::Disruptive));
    // Not before its log is read, and not for a third of the nodes.
    let mut unread = silent(4, 1).began(150);
    unread.systems.insert(System::Ssh);
    unread.progress.steps.remove("kubelet-log");
    assert_eq!(unread.suggested().0, "kubelet-log");
    assert_eq!(reachable(4, 2).began(900).plan().suggestion().unwrap().effect, Effect::Read);
    // It did not help: then the node is cordoned.
    let tried = reachable(4, 1)
        .began(400)
        .did_at("restart-kubelet", 120, true)
        .did_at("nodes-again", 60, true)
        .did_at("kubelet-active", 60, true);
    assert_eq!(tried.suggested().0, "cordon");
}

#[test]
fn what_the_kubelets_log_says_decides() {
    for (found, step) in [
        (cause::RUNTIME, "restart-runtime"),
        (cause::KUBELET_CERTIFICATE, "kubelet-log"),
        (cause::API_UNREACHABLE, "kubelet-log"),
        (cause::NODE_OOM, "host-resources"),
    ] {
        let mut world = reachable(5, 1).found("kubelet-log", found, "as its log says").began(200);
        world.nodes[0].container_runtime = Some("containerd://2.1.5".into());
        assert_eq!(world.suggested().0, step, "{found}");
    }
}

fn why_not(plan: &Plan, id: &str) -> String {
    match &plan.step(id).unwrap().state {
        StepState::NotAdvised { why } => why.clone(),
        other => panic!("{id} is {other:?}"),
    }
}

#[test]
fn first_it_is_waited_for() {
    let (step, why) = silent(3, 1).began(50).suggested();
    assert_eq!(step, "nodes-again");
    assert!(why.contains("wait 1m10s") && why.contains("may pass by itself"), "{why}");
}

#[test]
fn then_it_is_cordoned_and_only_then_drained() {
    let world = silent(4, 1).began(150);
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "cordon");
    assert_eq!(step.action, Some(Action::Cordon { node: "node-1".into() }));
    assert_eq!((step.effect, plan.why.as_str()), (Effect::Change, "no heartbeat for 3m"));
    assert!(why_not(&plan, "drain").starts_with("first: Send no more pods"));

    let mut cordoned = world.did_at("cordon", 60, true).did_at("nodes-again", 30, true);
    cordoned.nodes[0].unschedulable = true;
    let (_, why) = cordoned.suggested();
    assert!(why.contains("before “Move the pods off node-1”"), "{why}");
    let later = cordoned.began(400);
    let plan = later.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "drain");
    assert_eq!(step.effect, Effect::Destructive, "emptyDir data is lost");
}

#[test]
fn many_nodes_at_once_are_not_the_nodes() {
    for (all, down) in [(3, 2), (10, 3), (6, 6)] {
        let plan = silent(all, down).began(900).plan();
        assert_eq!(plan.suggestion().unwrap().effect, Effect::Read, "{down} of {all}");
        for id in ["cordon", "drain"] {
            assert!(why_not(&plan, id).contains(&format!("{down} of {all} nodes at once")));
        }
    }
    let mut cluster = silent(10, 4).cause(cause::CONTROL_PLANE, "4 of 10 nodes silent").began(900);
    cluster.anomaly.subject = Subject::Cluster;
    cluster.anomaly.bindings.remove("node");
    let plan = cluster.plan();
    assert_eq!(plan.suggestion().unwrap().id, "nodes");
    assert!(plan.why.contains("move nothing"), "{}", plan.why);
}

#[test]
fn pressure_is_relieved_not_moved() {
    let mut world = silent(5, 1).began(900);
    world.anomaly.causes.clear();
    let plan = world.cause(cause::NODE_PRESSURE, "DiskPressure").plan();
    assert_eq!(plan.suggestion().unwrap().id, "describe");
    assert!(why_not(&plan, "drain").contains("DiskPressure"));
}

#[test]
fn a_node_that_is_ready_and_not_well_is_not_taken_for_over() {
    let mut overdue = silent(4, 0).began(900);
    overdue.anomaly.title = "lease overdue; 3 pods on it".into();
    let plan = overdue.plan();
    assert_eq!(plan.resolved.holds_since, None);
    assert!(plan.resolved.says.contains("lease overdue"), "{}", plan.resolved.says);
    assert_eq!(plan.suggestion().unwrap().id, "lease");
    assert!(plan.why.contains("see whether the kubelet lives"), "{}", plan.why);
    let mut pressed = overdue;
    pressed.anomaly.causes.clear();
    let (step, why) = pressed.cause(cause::NODE_PRESSURE, "MemoryPressure").suggested();
    assert_eq!(step, "describe");
    assert!(why.contains("sort-by=memory"), "{why}");
}

#[test]
fn a_node_without_a_network_or_short_of_memory_is_not_well_for_the_panel() {
    for kind in ["NetworkUnavailable", "MemoryPressure"] {
        let mut sick = node("node-1", true, 900);
        assert_eq!(covet_tui::app::node_rank(&sick), 3);
        let trouble = Condition {
            kind: kind.into(),
            status: Status::True,
            reason: None,
            message: None,
            since: Some(ago(600)),
        };
        let all = sick.conditions.iter().cloned();
        sick.conditions = all.chain([NodeCondition { condition: trouble, heartbeat: None }]).collect();
        assert_eq!(covet_tui::app::node_rank(&sick), 1);
        assert_eq!(covet_tui::app::node_status(&sick), format!("Ready, {kind}"));
    }
}

#[test]
fn what_two_say_alike_is_said_once_and_a_list_of_all_namespaces_says_so() {
    let words = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
    let mut world = silent(5, 1).began(200);
    world.anomaly.causes.clear();
    let world = world
        .cause(cause::NODE_NETWORK, words)
        .found("describe", cause::NODE_UNREADY, &format!("node/node-1: Ready is False: {words}"))
        .found("usage", cause::NODE_FLAPPING, "not ready 4 times");
    let plan = world.plan();
    assert_eq!(plan.suggestion().unwrap().id, "cordon");
    assert_eq!(plan.why.matches("container runtime network not ready").count(), 1, "{}", plan.why);
    assert!(plan.why.ends_with("; not ready 4 times"), "{}", plan.why);
    let list = plan.step("pods-on-node").unwrap().action.as_ref().unwrap().as_command();
    assert_eq!(list, "kubectl get pods -A -o wide --field-selector spec.nodeName=node-1");
}

#[test]
fn a_stopped_machine_is_cordoned_marked_and_deleted_and_no_other() {
    let world = silent(5, 1).began(900);
    assert!(why_not(&world.plan(), "out-of-service").contains("known to be stopped"));
    assert!(why_not(&world.plan(), "delete-node").contains("known to be stopped"));
    let mut stopped = world;
    stopped.anomaly.causes.clear();
    let stopped = stopped.cause(cause::NODE_STOPPED, "the machine is shut down").did_at("cordon", 60, true);
    let stopped = stopped.did_at("nodes-again", 30, true);
    let plan = stopped.plan();
    assert_eq!(plan.suggestion().unwrap().id, "out-of-service");
    let wanted = Action::Taint {
        node: "node-1".into(),
        key: "node.kubernetes.io/out-of-service".into(),
        value: "nodeshutdown".into(),
        effect: "NoExecute".into(),
        remove: false,
    };
    assert_eq!(plan.suggestion().unwrap().action, Some(wanted));
    let replace =
        AwsCall::new(Some("eu-west-1".into()), AwsDoes::ReplaceInstance { instance: "i-node-1".into() });
    assert_eq!(
        plan.step("replace-instance").unwrap().action,
        Some(Action::Aws(replace)),
        "once EC2 was asked"
    );
    let marked = stopped.did_at("out-of-service", 25, true).did_at("pods-moved", 2, true);
    assert_eq!(marked.suggested().0, "delete-node");
}

#[test]
fn an_impaired_machine_is_cordoned_and_replaced_without_being_drained() {
    let impaired =
        |world: World| world.found("instance-health", cause::NODE_IMPAIRED, "EC2 calls it impaired");
    let plan = impaired(reachable(5, 1).began(900)).plan();
    assert_eq!(plan.suggestion().unwrap().id, "cordon");
    for id in ["restart-kubelet", "drain", "give-up"] {
        assert!(why_not(&plan, id).contains("EC2 calls it impaired"), "{id}: {}", why_not(&plan, id));
    }
    let cordoned =
        impaired(reachable(5, 1).began(900)).did_at("cordon", 60, true).did_at("nodes-again", 30, true);
    assert_eq!(cordoned.suggested().0, "replace-instance");
}

#[test]
fn a_silent_node_is_given_up_only_when_nothing_with_a_volume_is_left_on_it() {
    let drained = |seconds: i64, claims: bool| {
        let mut world = silent(4, 1).began(seconds);
        world.nodes[0].unschedulable = true;
        for pod in world.pods.iter_mut().filter(|pod| pod.node.as_deref() == Some("node-1")) {
            pod.deleting = Some(ago(120));
            if claims {
                pod.claims = Box::new(["data-0".into()]);
            }
        }
        let world = world.did_at("cordon", 400, true).did_at("nodes-again", 390, true);
        world.did_at("drain", 60, true).did_at("pods-moved", 30, true)
    };
    assert_ne!(drained(500, false).suggested().0, "give-up", "not within ten minutes");
    assert_eq!(drained(900, false).suggested().0, "give-up");
    assert!(why_not(&drained(900, true).plan(), "give-up").contains("may still be writing"));
    let mut world = silent(4, 1).began(900).did_at("cordon", 60, true).did_at("nodes-again", 30, true);
    world.nodes[0].unschedulable = true;
    let plan = world.plan();
    assert!(plan.suggestion().unwrap().id != "give-up", "not before it is drained");
}

#[test]
fn what_was_told_to_go_already_is_not_drained() {
    let mut world = silent(4, 1).began(400);
    world.nodes[0].unschedulable = true;
    let here = |pod: &&mut Pod| pod.node.as_deref() == Some("node-1");
    let there = world.pods.iter().filter(|pod| pod.node.as_deref() == Some("node-1")).count();
    assert!(there > 0);
    assert_eq!(world.suggested().0, "drain");
    world.pods.iter_mut().filter(here).for_each(|pod| pod.deleting = Some(ago(60)));
    let plan = world.plan();
    assert!(why_not(&plan, "drain").contains("told to go already"), "{}", why_not(&plan, "drain"));
    assert_ne!(plan.suggestion().unwrap().id, "drain");
    // The controller did what the drain was for.
    assert_eq!(world.began(900).suggested().0, "give-up");
}

#[test]
fn it_gets_pods_again_only_when_well_for_two_minutes_and_cordoned_by_us() {
    let back = |since: i64, ours: bool| {
        let mut world = silent(4, 0).began(900);
        world.nodes[0] = node("node-1", true, since);
        world.nodes[0].unschedulable = true;
        if ours { world.did_at("cordon", 600, true).did_at("nodes-again", 500, true) } else { world }
    };
    assert!(why_not(&back(30, true).plan(), "uncordon").contains("wait 1m30s more"));
    assert!(why_not(&back(300, false).plan(), "uncordon").contains("not this cockpit"));
    assert_eq!(back(300, true).suggested().0, "uncordon");
    // An earlier session of ours counts, too.
    let mut earlier = back(300, false);
    let deed = Change {
        at: ago(700),
        kind: ChangeKind::Ours,
        object: ObjectRef::new(Kind::Node, Key::cluster("node-1")),
        says: "cordon node-1".into(),
        by: None,
    };
    earlier.facts.push((Origin::Cockpit, Fact::Acted(deed)));
    assert_eq!(why_is(&earlier.plan(), "uncordon"), None);
    let not_ready = silent(4, 1).began(900).did_at("cordon", 600, true);
    assert!(why_not(&not_ready.plan(), "uncordon").contains("not Ready"));
}

fn why_is(plan: &Plan, id: &str) -> Option<String> {
    match &plan.step(id).unwrap().state {
        StepState::NotAdvised { why } | StepState::Blocked { why } => Some(why.clone()),
        _ => None,
    }
}

#[test]
fn drains_name_the_budgets_that_will_make_them_wait_and_what_runs_elsewhere_is_bound() {
    let mut world = silent(4, 1).began(900).did_at("cordon", 60, true).did_at("nodes-again", 30, true);
    world.budgets.push(DisruptionBudget {
        key: Key::new("shop", "web-pdb"),
        selector: world.deployment.selector.clone(),
        allowed: 0,
        healthy: 3,
        desired_healthy: 3,
        expected: 3,
    });
    let plan = world.plan();
    assert!(plan.step("drain").unwrap().notes[0].contains("wait for PDB web-pdb"));
    let wanted = Action::ListPods {
        namespace: "".into(),
        selector: None,
        node: Some("node-1".into()),
        waiting: vec![],
    };
    assert_eq!(plan.step("pods-on-node").unwrap().action, Some(wanted));
    let Some(Action::Aws(call)) = &plan.step("instance-health").unwrap().action else { panic!() };
    assert_eq!(call.does, AwsDoes::InstanceHealth { instance: "i-node-1".into() });
    assert_eq!(call.region.as_deref(), Some("eu-west-1"), "where the node is");
}

#[test]
fn a_node_that_is_ready_and_starts_nothing_gets_no_more_pods() {
    for (name, says) in
        [(cause::RUNTIME, "its container runtime fails"), (cause::NODE_NETWORK, "no network for them")]
    {
        let world = World::new("node-notready", "shop", "web", 3, 1).with_nodes(5);
        let mut world = about_node(world, "node-1").cause(name, says).read().began(300);
        world.systems.remove(&System::Ssh);
        assert_eq!(world.suggested().0, "cordon", "{says}");
        // What runs on it goes on.
        let plan = world.plan();
        assert!(matches!(plan.step("drain").unwrap().state, StepState::NotAdvised { .. }));
        world.nodes[0].unschedulable = true;
        assert_ne!(world.suggested().0, "cordon");
    }
}
