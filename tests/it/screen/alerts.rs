//! The alerts that fire: counted in the header, which names the way to their list.

use covet_tui::app::{App, Event};
use covet_tui::domain::{Alert, AlertState, BlindKind, Fact, Labels, Origin};

use crossterm::event::KeyCode;

use super::{SIZES, drawn, keys, press, text, world};

fn alert(name: &str, severity: &str, pod: usize, state: AlertState) -> Alert {
    let labels =
        [("alertname", name.to_owned()), ("severity", severity.into()), ("pod", format!("web-{pod}"))];
    Alert {
        fingerprint: format!("{name}{pod}").into(),
        name: name.into(),
        labels: Labels::new(labels.map(|(name, value)| (name.into(), value.into())).to_vec()),
        summary: Some(format!("{name} of web-{pod}").into()),
        starts: world::ago(60 * (pod as i64 + 1)),
        state,
    }
}

fn watching(alerts: Vec<Alert>) -> App {
    let mut app = world::healthy(world::options());
    let seen = world::seen(Origin::Alertmanager, Fact::Alerts { alerts, silences: Vec::new(), loaded: None });
    app.update(Event::Observed(vec![seen]), world::ago(-2));
    app
}

#[test]
fn grave_alerts_are_counted_in_the_header_and_listed_by_a_key_or_by_name() {
    let mut alerts: Vec<Alert> =
        (0..57).map(|pod| alert("PodFlapping", "info", pod, AlertState::Active)).collect();
    alerts.extend((0..3).map(|pod| alert("QueueLong", "warning", pod, AlertState::Active)));
    alerts.push(alert("LedgerStopped", "page", 7, AlertState::Active));
    let quiet = AlertState::Silenced { by: Box::new(["s1".into()]) };
    alerts.push(alert("DiskSlow", "critical", 9, quiet));
    for opened in ["A", ":alerts that"] {
        let mut app = watching(alerts.clone());
        for size in &SIZES[1..] {
            let screen = text(&drawn(&app, *size));
            let line = "nothing wrong by our rules, but 4 alerts fire, 1 of them critical (A lists them)";
            assert!(screen.contains(line), "{screen}");
        }
        keys(&mut app, opened);
        if opened.starts_with(':') {
            app.update(press(KeyCode::Enter), world::now());
        }
        let screen = text(&drawn(&app, (120, 40)));
        let at = |words: &str| screen.find(words).unwrap_or_else(|| panic!("no {words}: {screen}"));
        assert!(at("LedgerStopped  page  1 alert") < at("QueueLong  warning  3 alerts"), "{screen}");
        assert!(at("QueueLong of web-2") < at("PodFlapping  info  57 alerts"), "{screen}");
        assert!(screen.contains("pod=web-7") && screen.contains("for 8m"), "{screen}");
        keys(&mut app, "G");
        let screen = text(&drawn(&app, (120, 40)));
        assert!(screen.contains("silenced  pod=web-9"), "{screen}");
    }
}

#[test]
fn no_alert_and_no_sight_of_alerts_are_told_apart() {
    let mut app = watching(Vec::new());
    keys(&mut app, "A");
    assert!(text(&drawn(&app, (120, 40))).contains("no alert fires"));
    let blind = world::blind(Origin::Alertmanager, BlindKind::Refused, "it answers 403", Some("log in"), 75);
    app.update(Event::Observed(vec![blind]), world::ago(-4));
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("it answers 403 → log in") && !screen.contains("no alert fires"), "{screen}");
}
