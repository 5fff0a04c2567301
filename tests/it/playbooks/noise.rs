//! Alerts that make too much noise: what can be done about them, and what cannot.

use covet_tui::domain::cause;

use super::decisions::blocked;
use super::world::World;

fn noisy() -> World {
    let mut world = World::new("alert-fatigue", "shop", "web", 4, 2)
        .cause(cause::ALERT_FLAPPING, "NodeProbeFlaky became active again 130 times in 6 h")
        .cause(cause::ALERT_UNGROUPED, "77 NodeProbeFlaky at once")
        .binding("noisy_alerts", "NodeProbeFlaky")
        .binding("noisy_for", "10m")
        .binding("group_by", "alertname")
        .read()
        .told("rule", "rule_group", "probes");
    let read = world.progress.steps.get_mut("rule").unwrap();
    read.covers.insert("NodeProbeFlaky".into());
    world
}

#[test]
fn what_is_kept_nowhere_is_not_suggested_and_the_next_way_is() {
    assert_eq!(noisy().suggested().0, "tune-rule");
    let why = "no PrometheusRule and no rules file in a ConfigMap holds it; edit rules.yml by hand";
    let mut unkept = noisy();
    let read = unkept.progress.steps.get_mut("rule").unwrap();
    read.bindings.insert("rule_unkept".into(), why.into());
    blocked(&unkept.plan(), "tune-rule", "edit rules.yml by hand");
    assert_eq!(unkept.suggested().0, "group-alerts");
    let neither = unkept.told("config", "config_unkept", "no ConfigMap and no Secret holds it");
    blocked(&neither.plan(), "group-alerts", "no ConfigMap and no Secret holds it");
    assert_eq!(neither.suggested().0, "silence-alerts");
}
