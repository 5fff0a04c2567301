//! What goes on as before wakes nobody, and what is over does not look like trouble.

use covet_tui::app::{Event, Health};
use covet_tui::domain::*;

use super::world;
use crate::playbooks::world::World;

fn seen(fact: Fact) -> Observation {
    Observation { at: world::now(), origin: Origin::Leases, seen: Ok(fact) }
}

fn lease() -> Observation {
    let lease = Lease { key: Key::new("kube-node-lease", "n1"), renewed: Some(world::now()) };
    seen(Fact::Leases(Delta::Seen(vec![lease])))
}

#[test]
fn what_goes_on_as_before_waits_for_the_next_second() {
    let blind = Blind { kind: BlindKind::Unreachable, why: "gone".into(), repair: None, since: world::now() };
    let blind = Observation { at: world::now(), origin: Origin::Leases, seen: Err(blind) };
    let goes = Observation {
        seen: Ok(Fact::Leases(Delta::Gone(vec![Key::new("kube-node-lease", "n1")]))),
        ..lease()
    };
    assert!(Event::Observed(vec![lease(), seen(Fact::Unchanged)]).is_routine());
    for news in [blind, goes, seen(Fact::Pods(Delta::Seen(Vec::new())))] {
        assert!(!Event::Observed(vec![lease(), news]).is_routine());
    }
    assert!(!Event::Tick.is_routine(), "a second has passed");
    // It is known all the same, and the next second judges it.
    let mut app = world::crashing(world::options());
    let judged = app.wake_after();
    app.update(Event::Observed(vec![lease()]), world::now());
    assert_eq!(app.wake_after(), judged, "nothing is due sooner");
    assert_eq!(app.snapshot.leases.len(), 1);
}

#[test]
fn a_pod_that_was_evicted_and_replaced_is_no_failing_one() {
    let mut pod = World::new("crash-loop", "shop", "web", 1, 1).pods.remove(0);
    assert_eq!(Health::of(&pod), Health::Ready);
    (pod.phase, pod.reason) = (Phase::Failed, Some("Evicted".into()));
    assert_eq!(Health::of(&pod), Health::Finished);
    // A Job makes another only as often as it may.
    pod.owner.as_mut().unwrap().kind = "Job".into();
    assert_eq!(Health::of(&pod), Health::Failing);
}
