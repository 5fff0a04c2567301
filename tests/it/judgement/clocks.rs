//! Nodes whose clocks are wrong: whoever renews its lease lives, whatever it stamps it with.

use covet_tui::domain::*;
use covet_tui::rules::{Thresholds, judge};
use jiff::SignedDuration;

use crate::scenarios::world::{World, now};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Nodes with the number of seconds by which their clocks are ahead; they renew every ten seconds, each at its own
/// second, and are looked at for two minutes after `now`. Those that are `silent` never do.
fn watched(clocks: &[(&str, i64)], silent: &[&str]) -> (Snapshot, Timestamp) {
    let rows: String = clocks.iter().map(|(name, _)| format!("{{ name = \"{name}\" }},")).collect();
    let world: World = toml::from_str(&format!("nodes = [{rows}]")).unwrap();
    let mut snapshot = world.snapshot();
    let lease =
        |name: &str, renewed| Lease { key: Key::new("kube-node-lease", name), renewed: Some(renewed) };
    let told =
        |at, leases| Observation { at, origin: Origin::Leases, seen: Ok(Fact::Leases(Delta::Seen(leases))) };
    let first = clocks.iter().map(|(name, ahead)| lease(name, now() - seconds(8) + seconds(*ahead)));
    snapshot.fold(told(now(), first.collect()));
    for second in 1..=120 {
        let at = now() + seconds(second);
        let due = clocks.iter().enumerate().filter(|(index, _)| second % 10 == *index as i64 % 10);
        let due = due.filter(|(_, (name, _))| !silent.contains(name));
        let renewed: Vec<Lease> = due.map(|(_, (name, ahead))| lease(name, at + seconds(*ahead))).collect();
        snapshot.fold(told(at, renewed));
    }
    (snapshot, now() + seconds(121))
}

fn told(snapshot: &Snapshot, at: Timestamp) -> Vec<(String, &'static str)> {
    let found = judge(snapshot, &Thresholds::default(), at).anomalies();
    let mut found: Vec<_> =
        found.iter().map(|one| (format!("{}: {}", one.id.0, one.title), one.causes[0].name)).collect();
    found.sort();
    found
}

#[test]
fn a_clock_that_is_ahead_makes_nobody_else_suspect_and_is_told() {
    for (ahead, words) in [(1_800, "its clock is 30m ahead"), (-300, "its clock is 5m behind")] {
        let clocks = [("a", 0), ("b", 1), ("c", ahead), ("d", -1), ("e", 0)];
        let (snapshot, at) = watched(&clocks, &[]);
        let told = told(&snapshot, at);
        assert!(
            matches!(told.as_slice(), [(title, cause::CLOCK_OFF)] if title.contains(words) && title.contains("node/c")),
            "{told:?}"
        );
    }
}

#[test]
fn our_own_clock_may_be_wrong_and_a_silent_node_is_told_all_the_same() {
    for ours in [-900, 0, 3_600] {
        let clocks = [("a", ours), ("b", ours + 2), ("c", ours), ("d", ours), ("e", ours - 1)];
        let (snapshot, at) = watched(&clocks, &[]);
        assert_eq!(told(&snapshot, at), []);
        let (snapshot, at) = watched(&clocks, &["d"]);
        let told = told(&snapshot, at);
        assert!(
            matches!(told.as_slice(), [(title, cause::KUBELET_SILENT)] if title.contains("node/d: lease overdue")),
            "{told:?}"
        );
    }
}
