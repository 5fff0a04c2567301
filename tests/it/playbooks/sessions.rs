//! Ending sessions of a database: when it is too early, when only a superuser may, and when it does not hold.

use std::time::Duration;

use covet_tui::domain::*;

use super::decisions::{blocked, not_advised};
use super::world::World;

/// The pool is full of sessions of one client that idle in a transaction, for so many seconds.
fn leak(longest: u64, application: &str) -> World {
    let holder = Holder {
        database: "shop".into(),
        role: "app".into(),
        application: application.into(),
        state: "idle in transaction".into(),
        sessions: 24,
        longest: Some(Duration::from_secs(longest)),
    };
    let activity = Activity { holders: vec![holder], ..Activity::default() };
    let mut world = World::new("db-pool", "shop", "shop-cart", 4, 2)
        .connections(28, 33)
        .cause(cause::IDLE_IN_TRANSACTION, "24 of 28 sessions are idle in a transaction")
        .binding("idle_age", "1m")
        .read();
    world.facts.push((Origin::Postgres, Fact::Database(Database::Activity(Box::new(activity)))));
    world
}

#[test]
fn until_one_is_old_enough_the_step_waits() {
    let world = leak(31, "shop-cart");
    let plan = world.plan();
    not_advised(&plan, "terminate-idle", "the oldest has idled for 31s: wait 29s");
    let (step, why) = world.suggested();
    assert_eq!(step, "capacity");
    assert!(why.starts_with("wait 29s before “Terminate sessions that idle"), "{why}");
    assert_eq!(leak(60, "shop-cart").suggested().0, "terminate-idle");
}

#[test]
fn what_is_opened_again_is_not_ended_again_and_again() {
    let world = leak(80, "shop-cart").made("terminate-idle", 60, 1);
    assert_ne!(world.suggested().1, "", "what was there before proves nothing");
    assert!(!world.suggested().1.contains("does not hold"), "{}", world.suggested().1);
    for (application, who) in [("shop-cart", "shop-cart has 24 sessions"), ("", "app has 24 sessions")] {
        let mut world = leak(40, application);
        let made =
            leak(80, application).made("terminate-idle", 60, 1).progress.steps["terminate-idle"].clone();
        world.progress.steps.insert("terminate-idle".into(), made);
        let (step, why) = world.suggested();
        assert_eq!(step, "capacity");
        assert!(
            why.starts_with(&format!("terminating does not hold: {who} idle in a transaction again")),
            "{why}"
        );
        assert!(why.contains("restart, roll back or scale down"), "{why}");
        // Its revision is the one to go back from.
        let world = world.cause(cause::BAD_REVISION, "began 20s after revision 2 was rolled out");
        assert_eq!(world.binding("good_revision", "1").suggested().0, "roll-back");
    }
    // A transaction that has been idle for a moment may be one that works.
    let mut world = leak(3, "shop-cart");
    let made = leak(80, "shop-cart").made("terminate-idle", 60, 1).progress.steps["terminate-idle"].clone();
    world.progress.steps.insert("terminate-idle".into(), made);
    assert!(!world.suggested().1.contains("does not hold"), "{}", world.suggested().1);
}

#[test]
fn a_superuser_at_the_root_is_said_before_anybody_tries() {
    let chain = |superuser: &str| {
        World::new("db-cpu", "shop", "web", 4, 2)
            .cause(cause::LOCK_CHAIN, "pid 10233 (postgres, idle in transaction for 4m) blocks 12 sessions")
            .binding("lock_root", "10233")
            .binding("lock_root_state", "idle")
            .binding("lock_root_superuser", superuser)
            .binding("lock_waiters", "12")
            .read()
    };
    assert_eq!(chain("").suggested().0, "terminate-blocker");
    let world = chain("postgres");
    let plan = world.plan();
    blocked(&plan, "terminate-blocker", "only a superuser may end pid 10233 of postgres");
    assert!(plan.step("terminate-blocker").unwrap().action.is_some(), "its line can be copied");
    let (step, why) = world.suggested();
    assert_eq!(step, "locks");
    assert!(why.starts_with("only a superuser may end pid 10233 of postgres"), "{why}");
}

#[test]
fn a_limit_of_its_own_is_not_the_servers() {
    let limit = ConnectionLimit { of: Limited::Role, name: "app".into(), most: 12, used: 12 };
    let command = limit.raised_by();
    let mut world = World::new("db-pool", "shop", "web", 4, 2)
        .connections(15, 100)
        .cause(cause::CONNECTION_LIMIT, "role app uses 12 of its 12 connections")
        .cause(cause::CONNECTIONS_IDLE, "12 of 15 sessions are idle: pools hold more than they use")
        .binding("connection_limit_command", &command)
        .read();
    let activity = Activity { limits: vec![limit], ..Activity::default() };
    world.facts.push((Origin::Postgres, Fact::Database(Database::Activity(Box::new(activity)))));
    let plan = world.plan();
    assert_eq!(plan.suggestion().unwrap().id, "capacity");
    assert!(plan.why.contains("ALTER ROLE \"app\" CONNECTION LIMIT …"), "{}", plan.why);
    assert!(!plan.why.contains("max_connections"), "{}", plan.why);
    assert!(
        !plan.resolved.reached && plan.resolved.says.contains("role app uses 12 of its 12"),
        "{}",
        plan.resolved.says
    );
}
