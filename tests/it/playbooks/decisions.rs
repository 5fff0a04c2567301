//! The decision table of the playbooks for workloads: which step is suggested, and why.

use covet_tui::domain::*;
use covet_tui::playbooks::{Plan, StepState};

use super::world::{World, ago};

const OOM: Option<(&str, i32)> = Some(("OOMKilled", 137));
const ERROR: Option<(&str, i32)> = Some(("Error", 1));

fn crash_loop(namespace: &str, app: &str) -> World {
    World::new("crash-loop", namespace, app, 4, 6)
}

fn state<'a>(plan: &'a Plan, id: &str) -> &'a StepState {
    &plan.step(id).unwrap_or_else(|| panic!("no step {id}")).state
}

pub(super) fn not_advised(plan: &Plan, id: &str, words: &str) {
    match state(plan, id) {
        StepState::NotAdvised { why } => assert!(why.contains(words), "{id}: {why}"),
        other => panic!("{id} should not be advised, but is {other:?}"),
    }
}

pub(super) fn blocked(plan: &Plan, id: &str, words: &str) {
    match state(plan, id) {
        StepState::Blocked { why } => assert!(why.contains(words), "{id}: {why}"),
        other => panic!("{id} should be blocked, but is {other:?}"),
    }
}

// ── crash-loop ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn only_the_newest_revision_crashes_so_it_is_rolled_back_to_the_one_that_works() {
    for (namespace, app) in [("shop", "checkout"), ("covetpy-production", "covetpy-app"), ("a", "b")] {
        let world = crash_loop(namespace, app)
            .bad_revision(7, "CrashLoopBackOff", OOM)
            .cause(cause::BAD_REVISION, "only revision 7 crashes, 4 pods of revision 6 are healthy")
            .cause(cause::OOM_KILLED, "OOMKilled at 2.0 GiB, 9 s after start")
            .read();
        let plan = world.plan();
        let step = plan.suggestion().expect("a suggestion");
        assert_eq!(step.id, "roll-back");
        assert_eq!(step.title, "Roll back to revision 6");
        let story = "only revision 7 crashes, 4 pods of revision 6 are healthy; OOMKilled at 2.0 GiB, 9 s after start";
        assert_eq!(plan.why, story);
        let object = ObjectRef::new(Kind::Deployment, Key::new(namespace, app));
        assert_eq!(step.action, Some(Action::RolloutUndo { object, to_revision: 6 }));
        assert_eq!(step.effect, Effect::Disruptive);
        assert_eq!(step.undo.as_deref(), Some("roll out revision 7 again"));
        // More memory is the other way.
        assert_eq!(plan.steps[plan.alternatives[0]].id, "secrets", "no room is known, so memory is none");
        let world = world.binding("memory_suggestion", "3Gi");
        let plan = world.plan();
        assert_eq!(plan.steps[plan.alternatives[0]].id, "raise-memory");
    }
}

#[test]
fn what_is_over_asks_for_no_change() {
    let mut world = crash_loop("shop", "web")
        .bad_revision(7, "CrashLoopBackOff", ERROR)
        .cause(cause::BAD_REVISION, "only revision 7 crashes")
        .read();
    assert_eq!(world.suggested().0, "roll-back");
    world.fires = false;
    assert!(world.plan().suggestion().is_none_or(|step| step.effect == Effect::Read));
}

#[test]
fn the_log_of_the_crash_is_read_before_the_pods_go() {
    let world = crash_loop("shop", "web")
        .bad_revision(9, "CrashLoopBackOff", ERROR)
        .cause(cause::BAD_REVISION, "only revision 9 crashes");
    let (step, why) = world.suggested();
    assert_eq!(step, "previous-logs");
    assert!(why.contains("goes with the pod"), "{why}");
    // Tried is enough: a log that cannot be had must not stop the way back.
    assert_eq!(world.did_at("previous-logs", 10, false).suggested().0, "roll-back");
}

#[test]
fn without_any_end_so_far_the_pod_is_described() {
    let world = crash_loop("shop", "web").bad_revision(7, "CrashLoopBackOff", None);
    let (step, why) = world.suggested();
    assert_eq!(step, "describe");
    assert!(why.contains("nothing has ended yet"), "{why}");
}

#[test]
fn every_revision_out_of_memory_gets_more_where_a_node_has_room() {
    let world = crash_loop("shop", "reports")
        .all_bad("CrashLoopBackOff", OOM)
        .cause(cause::OOM_KILLED, "OOMKilled at 2.0 GiB in every revision")
        .binding("memory_suggestion", "3Gi")
        .read();
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(
        (step.id.as_str(), plan.why.as_str()),
        ("raise-memory", "OOMKilled at 2.0 GiB in every revision")
    );
    assert_eq!(step.title, "Raise the memory of reports-main to 3Gi");
    let Some(Action::SetResources { container, change, .. }) = &step.action else {
        panic!("{:?}", step.action)
    };
    assert_eq!(&**container, "reports-main");
    assert_eq!(change.memory_limit.as_deref(), Some("3Gi"));
    assert_eq!(change.memory_request.as_deref(), Some("3Gi"), "the request rises with the limit");
    blocked(&plan, "roll-back", "no earlier revision");
    assert_eq!(step.inputs[0].default.as_deref(), Some("3Gi"));
}

#[test]
fn a_missing_secret_is_looked_for_and_then_fetched_again() {
    let world = crash_loop("shop", "pay")
        .all_bad("CreateContainerConfigError", None)
        .cause(cause::MISSING_REFERENCE, "Secret pay-db has no key DB_PASSWORD")
        .binding("missing_kind", "Secret")
        .binding("missing_object", "pay-db")
        .binding("secret", "pay-db")
        .read()
        .told("external-secrets", "external_secrets", "pay→pay-db, mail→mail");
    assert_eq!(world.suggested().0, "secrets");
    let world = world.did("secrets");
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "sync-secret");
    assert_eq!(plan.why, "Secret pay-db has no key DB_PASSWORD");
    let Some(Action::Annotate { object, annotations }) = &step.action else { panic!("{:?}", step.action) };
    assert_eq!((object.kind, &*object.key.name), (Kind::ExternalSecret, "pay"));
    assert_eq!(annotations[0].0, "force-sync");
    not_advised(&plan, "fix-config", "missing kind is Secret");
    // Without ExternalSecrets there is nothing to fetch from.
    let plan = world.did_at("external-secrets", 5, true).plan();
    blocked(&plan, "sync-secret", "not known: the ExternalSecret");
    assert_eq!(plan.suggestion().map(|step| step.id.as_str()), Some("describe"));
    assert!(plan.why.starts_with("Secret pay-db has what the pods need to start"), "{}", plan.why);
}

#[test]
fn a_refused_login_leads_to_the_secret() {
    let world = crash_loop("shop", "pay").all_bad("CrashLoopBackOff", ERROR).read().found(
        "previous-logs",
        "database-auth",
        "FATAL: password authentication failed for user pay",
    );
    let (step, why) = world.suggested();
    assert_eq!(step, "secrets");
    assert!(why.contains("first") || why.contains("password authentication"), "{why}");
}

#[test]
fn a_log_that_cannot_connect_leads_to_the_database_and_a_bad_database_to_its_own_playbook() {
    let world = crash_loop("shop", "web").all_bad("CrashLoopBackOff", ERROR).did("previous-logs").found(
        "previous-logs",
        "database-unreachable",
        "connection refused",
    );
    let plan = world.plan();
    assert_eq!((plan.suggestion().unwrap().id.as_str(), plan.parent.as_deref()), ("database", None));
    let bad = world.found("database", "database-unreachable", "the database does not answer within 5s");
    let plan = bad.plan();
    assert_eq!(
        (plan.suggestion().unwrap().id.as_str(), plan.parent.as_deref()),
        ("database", Some("db-pool"))
    );
    assert!(plan.why.contains("nothing that is changed here would help"), "{}", plan.why);
    // It answers us: then the log was not about this database, and the hold is off.
    let world = crash_loop("shop", "web").all_bad("CrashLoopBackOff", ERROR).read().found(
        "previous-logs",
        "database-unreachable",
        "connection refused",
    );
    assert_eq!(world.plan().parent, None);
}

#[test]
fn a_port_that_its_service_does_not_have_is_told_before_anything_is_changed() {
    let cache = |port: u16| Service {
        key: Key::new("shop", "cache"),
        created: ago(900_000),
        labels: Labels::default(),
        selector: Selector {
            labels: Labels::new(vec![("app".into(), "redis".into())]),
            has_expressions: false,
        },
        ports: Box::new([(None, port)]),
        is_headless: false,
        edited: None,
    };
    let refused = |world: World, port: u16| {
        let mut world = world.read().found(
            "previous-logs",
            "database-unreachable",
            "Error 111 connecting to cache:6379. Connection refused.",
        );
        world.facts.push((Origin::Services, Fact::Services(Delta::Seen(vec![cache(port)]))));
        world
    };
    let crashes = || crash_loop("shop", "web").all_bad("CrashLoopBackOff", ERROR);
    let (step, why) = refused(crashes(), 6380).suggested();
    assert_eq!(step, "previous-logs");
    assert!(why.starts_with("Service cache has no port 6379: it has 6380: give"), "{why}");
    let (_, why) = refused(crashes(), 6379).suggested();
    assert!(!why.contains("has no port"), "{why}");
    // A revision that brought the wrong address is gone back on.
    let world = crash_loop("shop", "web")
        .bad_revision(7, "CrashLoopBackOff", ERROR)
        .cause(cause::BAD_REVISION, "only revision 7 crashes");
    assert_eq!(refused(world, 6380).suggested().0, "roll-back");
}

#[test]
fn a_full_database_goes_first_unless_only_one_revision_crashes() {
    let full = crash_loop("shop", "web")
        .all_bad("CrashLoopBackOff", ERROR)
        .cause(cause::DATABASE_EXHAUSTED, "FATAL: remaining connection slots are reserved")
        .read();
    let plan = full.plan();
    assert_eq!(
        (plan.suggestion().unwrap().id.as_str(), plan.parent.as_deref()),
        ("database", Some("db-pool"))
    );
    let one = crash_loop("shop", "web")
        .bad_revision(7, "CrashLoopBackOff", ERROR)
        .cause(cause::BAD_REVISION, "only revision 7 crashes")
        .cause(cause::DATABASE_EXHAUSTED, "too many clients")
        .read();
    assert_eq!(one.suggested().0, "roll-back");
}

#[test]
fn a_bad_value_is_corrected_and_then_loaded() {
    let world = crash_loop("shop", "web")
        .all_bad("CrashLoopBackOff", ERROR)
        .cause(cause::CONFIG_CHANGED, "ConfigMap web-config was changed 5m before it began")
        .binding("config_map", "web-config")
        .read()
        .found("previous-logs", "config-error", "ValueError: invalid value for DB_POOL_SIZE");
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "fix-config");
    assert!(plan.why.contains("web-config was changed") && plan.why.contains("DB_POOL_SIZE"), "{}", plan.why);
    assert_eq!(step.action, None, "only a person knows the right value");
    assert_eq!(step.inputs.iter().map(|input| input.value.as_deref()).collect::<Vec<_>>(), [None, None]);
    not_advised(&plan, "restart", "back-off restarts");
    // Once the value is corrected and read back, it is loaded.
    let fixed = world.did_at("fix-config", 60, true).did_at("config-maps", 30, true);
    assert_eq!(fixed.suggested().0, "restart");
}

#[test]
fn a_restart_is_not_gone_back_on_but_its_secret_is_mended() {
    let mut world = crash_loop("shop", "pay")
        .bad_revision(7, "CrashLoopBackOff", ERROR)
        .cause(cause::BAD_REVISION, "only revision 7 is affected")
        .cause(cause::CONFIG_CHANGED, "Secret pay-db was changed 5s before it began")
        .binding("secret", "pay-db")
        .read()
        .did("secrets")
        .told("external-secrets", "external_secrets", "pay-db→pay-db")
        .found("previous-logs", "database-auth", "FATAL: password authentication failed");
    world.sets[1].template = world.sets[0].template.clone();
    world.sets[1].template.restarted_at = Some("2026-03-12T03:08:00Z".into());
    let plan = world.plan();
    not_advised(&plan, "roll-back", "revision 7 is only a restart of revision 6");
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "sync-secret");
    assert!(plan.why.contains("password authentication failed"), "{}", plan.why);
}

#[test]
fn a_command_that_cannot_run_goes_back() {
    let world = crash_loop("shop", "web")
        .bad_revision(7, "CrashLoopBackOff", Some(("StartError", 128)))
        .cause(cause::COMMAND_ERROR, "exec: \"serve\": executable file not found")
        .read();
    assert_eq!(world.suggested().0, "roll-back");
}

#[test]
fn a_strict_liveness_probe_is_loosened_but_not_when_the_database_is_the_trouble() {
    let world = crash_loop("shop", "web")
        .all_bad("CrashLoopBackOff", Some(("Error", 137)))
        .cause(cause::LIVENESS_KILLED, "Liveness probe failed: timeout, 12 times")
        .read();
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "loosen-liveness");
    let Some(Action::Patch { body, kind: PatchKind::Strategic, .. }) = &step.action else { panic!() };
    let probe = body.pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!(probe, &serde_json::json!({"name": "web-main", "livenessProbe": {"failureThreshold": 10}}));
    let world = world.found("database", "database-exhausted", "too many clients");
    assert_eq!(world.plan().parent.as_deref(), Some("db-pool"));
}

#[test]
fn what_nobody_recognises_is_never_answered_with_a_change() {
    for cause in [cause::CRASH, cause::KILLED, cause::NATIVE_CRASH, cause::COMPLETES, cause::SPEC_REFUSED] {
        let world =
            crash_loop("shop", "web").all_bad("CrashLoopBackOff", ERROR).cause(cause, "it ends").read();
        let plan = world.plan();
        let step = plan.suggestion().expect("never a dead end");
        assert_eq!(step.effect, Effect::Read, "{cause}: {}", step.id);
    }
}

#[test]
fn one_hot_statement_is_explained_before_capacity_is_bought() {
    let busy = || {
        World::new("db-cpu", "shop", "web", 3, 3)
            .cause(cause::DATABASE_AT_MOST, "100 % of the 4 ACUs that it may have are in use")
            .binding("db_cluster", "shop")
            .binding("capacity_min", "2")
            .binding("capacity_max", "4")
            .binding("capacity_more", "8")
            .read()
    };
    assert_eq!(busy().suggested().0, "more-capacity");
    let hot = || busy().cause(cause::HOT_QUERY, "74 % of the time goes to one").binding("top_query", "42");
    assert_eq!(hot().suggested().0, "plan");
    assert_eq!(hot().did("plan").suggested().0, "more-capacity", "the plan shows no way out");
}

#[test]
fn an_index_is_for_the_owner_of_its_table_to_make_or_to_drop() {
    let lacks = |owner: &str| {
        World::new("db-cpu", "shop", "web", 3, 6)
            .cause(cause::MISSING_INDEX, "no index on (email)")
            .binding("index_table", "users")
            .binding("index_columns", "email")
            .binding("index_owner", owner)
            .read()
            .plan()
    };
    blocked(&lacks("app"), "add-index", "only app, who owns the table, may");
    assert_eq!(lacks("").suggestion().map(|step| step.id.as_str()), Some("add-index"));
    let left = |owner: &str| {
        World::new("db-cpu", "shop", "web", 3, 6)
            .cause(cause::INVALID_INDEX, "index users_email_idx was begun and never finished")
            .binding("invalid_index", "users_email_idx")
            .binding("invalid_index_owner", owner)
            .read()
            .plan()
    };
    blocked(&left("app"), "drop-unfinished", "only app, who owns the table, may");
    assert_eq!(left("").suggestion().map(|step| step.id.as_str()), Some("drop-unfinished"));
}
