//! The decision table of the playbooks for rollouts and images, and the short ones of the panels.

use covet_tui::domain::*;

use super::decisions::{blocked, not_advised};
use super::world::{World, ago};

const ERROR: Option<(&str, i32)> = Some(("Error", 1));

// ── rollout-stuck ───────────────────────────────────────────────────────────────────────────────────────

fn stuck(app: &str) -> World {
    World::new("rollout-stuck", "shop", app, 4, 9)
}

#[test]
fn new_pods_without_image_or_that_crash_belong_to_their_own_playbooks() {
    for name in [cause::IMAGE_NOT_FOUND, cause::IMAGE_AUTH, cause::IMAGE_PULL] {
        let plan =
            stuck("web").bad_revision(10, "ImagePullBackOff", None).cause(name, "no image").read().plan();
        assert_eq!(plan.parent.as_deref(), Some("image-pull"), "{name}");
    }
    let plan = stuck("web")
        .bad_revision(10, "CrashLoopBackOff", ERROR)
        .cause(cause::CRASH, "exits with 1")
        .read()
        .plan();
    assert_eq!(plan.parent.as_deref(), Some("crash-loop"));
    assert_eq!(plan.suggestion().unwrap().effect, Effect::Read);
}

#[test]
fn without_room_something_whitelisted_steps_aside_else_pods_are_replaced_in_place() {
    let world =
        stuck("api").bad_revision(10, "Pending", None).cause(cause::UNSCHEDULABLE, "Insufficient cpu").read();
    let plan = world.plan();
    blocked(&plan, "free-room", "not configured: which workloads may be shed");
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "replace-in-place");
    let Some(Action::Patch { body, .. }) = &step.action else { panic!("{:?}", step.action) };
    let rolling = body.pointer("/spec/strategy/rollingUpdate").unwrap();
    assert_eq!(rolling, &serde_json::json!({"maxSurge": 0, "maxUnavailable": 1}), "0/1 for lack of room");

    let mut world = world.setting("sheddable", "shop/batch other/thing");
    let mut other = world.deployment.clone();
    other.key = Key::new("shop", "batch");
    other.uid = "uid-batch".into();
    world.others.push(other);
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "free-room");
    let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "batch"));
    assert_eq!(step.action, Some(Action::Scale { object, replicas: 0 }));
}

#[test]
fn pods_that_never_get_ready_are_read_and_rolled_back_when_time_is_up_or_users_notice() {
    let world =
        stuck("web").bad_revision(10, "Running", None).cause(cause::READINESS, "2 of 2 new pods not ready");
    assert_eq!(world.suggested().0, "newest-logs");
    let read = world.read();
    assert_eq!(read.plan().suggestion().unwrap().effect, Effect::Read);
    let late = read.began(601);
    let (step, why) = late.suggested();
    assert_eq!(step, "roll-back");
    assert!(why.contains("10m"), "{why}");
    let mut affected =
        stuck("web").bad_revision(10, "Running", None).cause(cause::READINESS, "not ready").read();
    affected.deployment.available = 2;
    let (step, why) = affected.suggested();
    assert_eq!(step, "roll-back");
    assert!(why.contains("2 of 4 replicas available"), "{why}");
}

#[test]
fn refused_pods_lead_to_the_replica_set_that_says_why() {
    for name in [cause::QUOTA, cause::WEBHOOK, cause::POD_REFUSED] {
        let mut world = stuck("web").cause(name, "exceeded quota: pods=10");
        world.add_revision(10, 0, ago(300));
        world.deployment.updated = 0;
        let plan = world.plan();
        let step = plan.suggestion().unwrap();
        assert_eq!(step.id, "newest-set", "{name}");
        assert!(plan.why.contains("older revision"), "{}", plan.why);
        let object = ObjectRef::new(Kind::ReplicaSet, Key::new("shop", "web-r10"));
        assert_eq!(step.action, Some(Action::Describe { object }));
    }
}

#[test]
fn slow_is_not_stuck() {
    let world =
        stuck("web").bad_revision(10, "ContainerCreating", None).cause(cause::STARTING_SLOWLY, "slow").read();
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "more-time");
    let Some(Action::Patch { body, .. }) = &step.action else { panic!() };
    assert_eq!(body.pointer("/spec/progressDeadlineSeconds"), Some(&serde_json::json!(1200)));
}

// ── image-pull ──────────────────────────────────────────────────────────────────────────────────────────

fn image_pull(app: &str) -> World {
    World::new("image-pull", "shop", app, 3, 3).bad_revision(4, "ImagePullBackOff", None)
}

#[test]
fn a_tag_that_does_not_exist_is_replaced_by_the_last_good_one() {
    for name in [cause::IMAGE_NOT_FOUND, cause::IMAGE_ARCH, cause::BAD_IMAGE_REFERENCE] {
        let plan = image_pull("web").cause(name, "manifest unknown").read().plan();
        let step = plan.suggestion().unwrap();
        assert_eq!(step.id, "set-image", "{name}");
        let Some(Action::SetImage { images, .. }) = &step.action else { panic!("{:?}", step.action) };
        assert_eq!((&*images[0].container, images[0].image.as_str()), ("web-main", "ghcr.io/org/web:v3"));
    }
}

#[test]
fn users_first_then_the_image() {
    let mut world = image_pull("web").cause(cause::IMAGE_NOT_FOUND, "manifest unknown").read();
    world.deployment.available = 1;
    assert_eq!(world.suggested().0, "roll-back");
}

#[test]
fn refused_credentials_are_checked_renewed_and_tried_at_once() {
    let world = image_pull("web").cause(cause::IMAGE_AUTH, "401 Unauthorized").read();
    assert_eq!(world.suggested().0, "pull-secrets");
    let world = world.did("pull-secrets");
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!((step.id.as_str(), &step.action), ("new-secret", &None), "a person says who");
    let given = [("user".to_owned(), "robot".to_owned())].into();
    let wanted = Action::PullSecret {
        secret: Key::new("shop", "regcred"),
        registry: "ghcr.io".into(),
        username: "robot".into(),
        token_env: "GITHUB_TOKEN".into(),
    };
    assert_eq!(world.bind("new-secret", &given), Ok(wanted));
    let world = world.did_at("new-secret", 60, true).did_at("pods", 10, true);
    assert_eq!(world.suggested().0, "reference-secret");
    let world = world.binding("pull_secret", "regcred");
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "retry", "the pods refer to it already");
    let Some(Action::DeletePods { pods }) = &step.action else { panic!() };
    let names: Vec<&str> = pods.iter().map(|pod| &*pod.key.name).collect();
    assert_eq!(names, ["web-r4-0", "web-r4-1"], "exactly those that wait for their image");
}

#[test]
fn a_limited_or_unreachable_registry_and_a_full_disk_are_waited_for_or_looked_at() {
    let plan = image_pull("web").cause(cause::IMAGE_RATE_LIMIT, "429 Too Many Requests").read().plan();
    assert_eq!(plan.suggestion().unwrap().id, "pods");
    assert!(plan.why.contains("wait"), "{}", plan.why);
    let others: Vec<&str> = plan.alternatives.iter().map(|index| plan.steps[*index].id.as_str()).collect();
    assert_eq!(others, ["roll-back", "mirror"]);
    let world = image_pull("web").cause(cause::IMAGE_RATE_LIMIT, "429");
    let given = |image: &str| [("mirror".to_owned(), image.to_owned())].into();
    assert!(world.bind("mirror", &given("mirror.example.org/web@sha256:0a1b")).is_ok());
    assert!(world.bind("mirror", &given("$(id)")).is_err());
    for (name, parent) in [(cause::IMAGE_NETWORK, "node-notready"), (cause::IMAGE_DISK, "disk-full")] {
        let plan = image_pull("web").cause(name, "dial tcp: i/o timeout").read().plan();
        assert_eq!(plan.suggestion().unwrap().effect, Effect::Read, "{name}");
        assert_eq!(plan.parent.as_deref(), Some(parent));
    }
    // These were reached: no node's network is to blame.
    for (name, words) in
        [(cause::IMAGE_TRUST, "give the nodes its authority"), (cause::REGISTRY_DOWN, "itself fails")]
    {
        let plan = image_pull("web").cause(name, "x509, or 502").read().plan();
        assert_eq!(
            (plan.suggestion().unwrap().id.as_str(), plan.parent.as_deref()),
            ("registry-up", None),
            "{name}"
        );
        assert!(plan.why.contains(words), "{}", plan.why);
    }
    let (step, why) = image_pull("web").cause(cause::IMAGE_PULL, "no reason is given").read().suggested();
    assert_eq!(step, "describe");
    assert!(why.contains("crictl pull"), "{why}");
}

// ── panels ──────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn panel_anomalies_are_never_a_dead_end() {
    let cases = [
        ("hpa-max", cause::AT_CAPACITY, "raise-maximum"),
        ("hpa-max", cause::REPLICAS_NOT_READY, "pods"),
        ("high-latency", cause::AT_CAPACITY, "scale-out"),
        ("high-latency", cause::CONNECTIONS_BUSY, "database"),
        ("high-5xx", cause::ONE_POD, "recycle"),
        ("high-5xx", cause::AT_CAPACITY, "scale-out"),
        // The load asks for the replicas there are: fewer would be slower.
        ("db-pool", cause::POOL_BUDGET, "smaller-pools"),
    ];
    for (rule, name, wanted) in cases {
        let world =
            World::new(rule, "shop", "web", 4, 2).with_autoscaler(2, 10).cause(name, "so it is").read();
        assert_eq!(world.suggested().0, wanted, "{rule} {name}");
    }
    for rule in ["hpa-max", "db-pool", "high-latency", "high-5xx"] {
        let world = World::new(rule, "shop", "web", 4, 2);
        assert!(world.plan().suggestion().is_some(), "{rule} without any cause");
    }
    let mut host = World::new("cert-expiry", "shop", "web", 1, 1)
        .cause(cause::NOT_RENEWED, "should have been renewed 9d ago")
        .binding("certificate", "web-tls")
        .binding("namespace", "shop");
    host.anomaly.subject = Subject::Host("shop.example.org".into());
    assert_eq!(host.plan().suggestion().unwrap().effect, Effect::Read, "first why it was not");
    let host = host.read();
    let plan = host.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "renew");
    let Some(Action::PatchStatus { body, object }) = &step.action else { panic!("{:?}", step.action) };
    assert_eq!((object.kind, &*object.key.name), (Kind::Certificate, "web-tls"));
    assert_eq!(body.pointer("/status/conditions/0/type"), Some(&serde_json::json!("Issuing")));
    let limited = host.cause(cause::ISSUANCE_RATE_LIMITED, "429 until tomorrow").plan();
    not_advised(&limited, "renew", "429");
    assert_eq!(limited.suggestion().unwrap().effect, Effect::Read);
}

#[test]
fn a_step_that_only_a_person_can_do_says_what_would_configure_it() {
    let plan = World::new("prom-down", "monitoring", "prometheus-server", 1, 0)
        .cause(cause::STORAGE_CORRUPT, "a block of the log cannot be read")
        .binding("prometheus_namespace", "monitoring")
        .plan();
    blocked(&plan, "restore", "not configured: [scripts] restore");
    let Some(Action::Elsewhere { operation, system: System::Network, .. }) =
        &plan.step("restore").unwrap().action
    else {
        panic!("bound, so that it can be copied")
    };
    assert!(operation.starts_with("kubectl -n monitoring debug"), "{operation}");
}
