//! The decision table for disks: who fills it decides; nothing is removed that was not found first.

use covet_tui::domain::*;
use covet_tui::playbooks::StepState;

use super::world::{World, about_node, ago, node};

/// DiskPressure on `node-1` for three minutes; its pods are the workload's.
fn pressed() -> World {
    let mut world = World::new("disk-full", "shop", "web", 3, 1).with_nodes(4);
    world.nodes[0] = node("node-1", true, 90_000);
    world.nodes[0].container_runtime = Some("containerd://2.1.5".into());
    let pressure = Condition {
        kind: "DiskPressure".into(),
        status: Status::True,
        reason: None,
        message: None,
        since: Some(ago(180)),
    };
    let mut conditions = world.nodes[0].conditions.to_vec();
    conditions.push(NodeCondition { condition: pressure, heartbeat: None });
    world.nodes[0].conditions = conditions.into();
    for pod in &mut world.pods {
        pod.node = Some("node-1".into());
    }
    about_node(world, "node-1").read()
}

#[test]
fn the_pod_that_fills_it_is_evicted() {
    let mut world = pressed().cause(cause::POD_FILLS_DISK, "shop/web takes 57 GiB");
    let hog = world.pods[1].clone();
    world.anomaly.bindings.insert("hog", hog.key.name.to_string());
    world.anomaly.bindings.insert("hog_namespace", hog.key.namespace.to_string());
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "evict-hog");
    let pod = PodTarget { key: hog.key.clone(), uid: hog.uid.clone() };
    assert_eq!(step.action, Some(Action::Evict { pod }), "exactly the pod that was seen");
    assert!(step.title.contains(&*hog.key.name), "{}", step.title);
    // A later read knows better.
    let other = world.pods[2].clone();
    let mut world = world.did("who-fills-it");
    let done = world.progress.steps.get_mut("who-fills-it").unwrap();
    done.bindings.insert("hog".into(), other.key.name.to_string());
    done.bindings.insert("hog_namespace".into(), other.key.namespace.to_string());
    let plan = world.plan();
    let pod = PodTarget { key: other.key.clone(), uid: other.uid };
    assert_eq!(plan.suggestion().unwrap().action, Some(Action::Evict { pod }));
}

#[test]
fn what_was_found_on_the_machine_decides_and_docker_has_steps_of_its_own() {
    let unused = pressed().cause(cause::IMAGES_FILL_DISK, "images take 40 GiB").found(
        "images",
        cause::UNUSED_IMAGES,
        "12 images, 30 GiB",
    );
    let plan = unused.plan();
    assert_eq!(plan.suggestion().unwrap().id, "prune-images");
    assert_eq!(plan.suggestion().unwrap().effect, Effect::Disruptive);
    assert!(
        matches!(&plan.step("docker-images").unwrap().state, StepState::NotAdvised { why } if why.contains("containerd"))
    );
    let journal = pressed().found("logs-and-journal", cause::JOURNAL_LARGE, "the journal takes 4 GiB").plan();
    assert_eq!(journal.suggestion().unwrap().id, "vacuum-journal");
    assert_eq!(journal.suggestion().unwrap().effect, Effect::Destructive);
    assert_eq!(
        journal.suggestion().unwrap().action,
        Some(Action::Machine(OnMachine::VacuumJournal { node: "node-1".into(), size: "500M".into() }))
    );
    let mut logs = pressed().found("logs-and-journal", cause::LARGE_LOGS, "logs take 9 GiB");
    logs.progress
        .steps
        .get_mut("logs-and-journal")
        .unwrap()
        .bindings
        .insert("large_logs".into(), "/var/log/a.log /var/log/b/c.log".into());
    let files = vec!["/var/log/a.log".into(), "/var/log/b/c.log".into()];
    assert_eq!(
        logs.plan().suggestion().unwrap().action,
        Some(Action::Machine(OnMachine::TruncateLogs { node: "node-1".into(), files }))
    );
    logs.progress
        .steps
        .get_mut("logs-and-journal")
        .unwrap()
        .bindings
        .insert("large_logs".into(), "/etc/passwd".into());
    assert!(logs.plan().step("empty-logs").unwrap().action.is_none(), "only logs");
    let grown = pressed()
        .cause(cause::DISK_FULL, "full")
        .found("block-devices", cause::DISK_HAS_ROOM, "its disk has 80 GiB more")
        .plan();
    assert_eq!(grown.suggestion().unwrap().id, "grow-filesystem");
    let mut docker = pressed().cause(cause::IMAGES_FILL_DISK, "images take 40 GiB");
    docker.nodes[0].container_runtime = Some("docker://24.0".into());
    assert_eq!(docker.suggested().0, "docker-system");
    assert!(matches!(docker.plan().step("docker-volumes").unwrap().effect, Effect::Destructive));
}

#[test]
fn without_ssh_its_steps_say_what_to_set_and_the_others_stay() {
    let mut world = pressed().cause(cause::DISK_FULL, "full of what is needed").began(900);
    world.systems.remove(&System::Ssh);
    world.systems.remove(&System::Aws);
    let plan = world.plan();
    for id in ["prune-images", "vacuum-journal", "grow-filesystem", "runtime-folder"] {
        assert!(
            matches!(&plan.step(id).unwrap().state, StepState::Blocked { why } if why.contains("set [ssh] user")),
            "{id}: {:?}",
            plan.step(id).unwrap().state
        );
    }
    assert_eq!(plan.suggestion().unwrap().id, "cordon", "{:?}", plan.step("cordon").unwrap().state);
}

#[test]
fn where_nothing_stands_out_it_is_said_what_is_left_and_no_node_is_cordoned() {
    let mut world = pressed()
        .cause(cause::DISK_FULL, "9.0 GiB of 80.0 GiB free (11 %), and no one pod or image stands out")
        .binding("disk_pressure", "false")
        .began(900);
    world.systems.remove(&System::Ssh);
    world.systems.remove(&System::Aws);
    let plan = world.plan();
    assert_eq!(plan.suggestion().unwrap().id, "who-fills-it");
    assert!(
        plan.why.contains("nothing stands out") && plan.why.contains("give node-1 a larger"),
        "{}",
        plan.why
    );
    assert!(matches!(plan.step("cordon").unwrap().state, StepState::NotAdvised { .. }));
    world.systems.insert(System::Ssh);
    assert_eq!(world.suggested().0, "runtime-folder", "what can be measured is measured first");
    let mut unknown = pressed().cause(cause::NODE_PRESSURE, "DiskPressure: under pressure");
    unknown.systems.remove(&System::Ssh);
    let (step, why) = unknown.suggested();
    assert_eq!(step, "who-fills-it");
    assert!(why.contains("kubectl debug node/node-1"), "{why}");
}

#[test]
fn a_full_volume_is_enlarged_and_the_node_left_alone() {
    let mut world = World::new("disk-full", "shop", "db", 1, 1).cause(cause::CLAIM_FULL, "2 % free");
    let claim = Key::new("shop", "data-db-0");
    world.anomaly.subject = Subject::Object(ObjectRef::new(Kind::PersistentVolumeClaim, claim));
    world.anomaly.bindings.insert("claim", "data-db-0".into());
    world.anomaly.bindings.insert("claim_suggestion", "30Gi".into());
    let full = Filesystem { capacity: 20 << 30, available: 1 << 28, inodes: None, inodes_free: None };
    let root = Filesystem { capacity: 80 << 30, available: 60 << 30, inodes: None, inodes_free: None };
    let claim =
        ClaimDisk { key: Key::new("shop", "data-db-0"), pod: Key::new("shop", "db-0"), filesystem: full };
    let disk = NodeDisk { root, claims: vec![claim], ..NodeDisk::default() };
    world.facts.push((Origin::NodeDisks, Fact::NodeDisks(vec![("node-1".into(), disk)])));
    let plan = world.read().plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "grow-claim");
    let Some(Action::Patch { object, body, .. }) = &step.action else { panic!("{:?}", step.action) };
    assert_eq!((object.kind, &*object.key.name), (Kind::PersistentVolumeClaim, "data-db-0"));
    assert_eq!(body.pointer("/spec/resources/requests/storage").and_then(|size| size.as_str()), Some("30Gi"));
    assert!(
        matches!(plan.step("prune-images").unwrap().state, StepState::Blocked { .. }),
        "no node is known"
    );
}
