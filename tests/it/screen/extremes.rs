//! Too much of everything: hundreds of anomalies, names as long as Kubernetes allows, and text that is wider
//! than it looks.

use covet_tui::app::{App, Effect, Event, Layer};
use covet_tui::domain::*;
use covet_tui::guard::{Armed, Confirmation, Draft};
use covet_tui::incident::{Incident, IncidentId, Title};
use crossterm::event::KeyCode;
use unicode_width::UnicodeWidthStr as _;

use super::{SIZES, drawn, keys, pictures, press, text, world};

/// As long as the name of a Deployment may be.
fn long(number: usize) -> String {
    let name = format!("checkout-payments-reconciliation-worker-eu-central-1-blue-{number:03}");
    format!("{name:x<63}")
}

pub fn crowded() -> App {
    let mut app = world::crashing(world::options());
    let mut anomalies = app.verdict.anomalies.clone();
    let mut incidents = app.verdict.incidents.clone();
    for number in 0..197 {
        let key = Key::new("payments-production-eu", long(number));
        let subject = ObjectRef::new(Kind::Deployment, key);
        let severity = [Severity::Critical, Severity::Warning, Severity::Suspect][number % 3];
        let mut anomaly = world::crash_loop();
        anomaly.id = AnomalyId(format!("crash-loop/{number}").into());
        anomaly.title = match number % 4 {
            0 => format!("2 of 4 pods of {} crash-looping: OOMKilled", long(number)),
            1 => "注文サービスのポッドが再起動を繰り返しています（メモリ不足）".to_owned(),
            2 => "🔥🔥 deploy by 👩‍💻 went wrong \u{1b}[31mred\u{7} \u{202e}dlrow".to_owned(),
            _ => "x".repeat(300),
        };
        anomaly.severity = severity;
        anomaly.subject = Subject::Object(subject);
        anomaly.pages_at = None;
        incidents.push(Incident {
            id: IncidentId(format!("{number}").into()),
            title: Title { what: anomaly.title.clone(), symptoms: 0, began: world::ago(300), after: None },
            severity,
            onset: world::ago(300),
            root: anomaly.id.clone(),
            members: vec![anomaly.id.clone()],
            symptoms: Vec::new(),
            links: Vec::new(),
            changes: Vec::new(),
            score: 0.5,
        });
        anomalies.push(anomaly);
    }
    (app.verdict.anomalies, app.verdict.incidents) = (anomalies, incidents);
    app
}

#[test]
fn a_crowd_of_anomalies() {
    pictures::check_at("crowded", crowded(), &SIZES);
}

#[test]
fn the_last_of_many_can_be_reached_and_read() {
    let mut app = crowded();
    keys(&mut app, "G");
    let last = app.rows().last().map(|row| row.id.clone());
    assert_eq!(app.selection.anomaly, last);
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("↑ "), "how many are above: {screen}");
    // The worst stays on the line at the top.
    assert!(screen.lines().nth(1).is_some_and(|line| line.contains("CRITICAL")), "{screen}");
    keys(&mut app, "/blue-188");
    app.update(press(KeyCode::Enter), world::now());
    assert_eq!(app.rows().len(), 1);
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("blue-188") && screen.contains("hidden"), "{screen}");
}

fn wide_world() -> App {
    let mut app = world::healthy(world::options());
    let mut pods: Vec<Pod> =
        (0..12).map(|n| world::pod(&long(n), &format!("{}.internal", long(n)), n < 6)).collect();
    pods[0].key.name = "日本語のとても長いポッド名前前前前前前前前前前前前前前前前".into();
    pods[1].key.name = "🔥emoji-👩‍💻-e\u{301}\u{301}\u{301}-zalgo".into();
    pods[2].containers[0].image = "registry.example/日本語/イメージ:v1".into();
    let nodes = (0..9).map(|n| world::node(&format!("{}.eu-central-1.compute.internal", long(n)))).collect();
    let mut seen = world::listed(Origin::Pods, Fact::Pods, pods);
    seen.extend(world::listed(Origin::Nodes, Fact::Nodes, nodes));
    app.update(Event::Observed(seen), world::ago(-1));
    app
}

#[test]
fn long_and_wide_names() {
    pictures::check_at("wide", wide_world(), &SIZES);
}

/// Nobody types a name blind, however long it is and however narrow the screen.
#[test]
fn a_long_name_is_read_and_typed_in_sight() {
    let name = long(7);
    for size in [(80, 24), (120, 40), (200, 50)] {
        let mut app = world::crashing(world::options());
        app.size = size;
        let effects = keys(&mut app, "n");
        let Some(Effect::Preview { request, .. }) = effects.into_iter().next() else { panic!("no preview") };
        let draft = Draft { confirmation: Confirmation::Type(name.as_str().into()), ..world::draft() };
        let preview = Ok(Armed::arm().seal(draft));
        app.update(Event::Previewed { request, preview }, world::now());
        keys(&mut app, &name[..name.len() - 1]);
        let screen = text(&drawn(&app, size));
        let shown: String =
            screen.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        assert!(shown.contains(&name), "{screen}");
        assert!(screen.contains(&format!("{}▏", &name[..name.len() - 1])), "{screen}");
    }
}

/// A character of two cells never loses half of itself to a frame or to the edge of the screen.
#[test]
fn no_row_is_wider_than_the_screen_and_no_frame_is_broken() {
    for opened in ["", "11", "11c", "22", "/日", ":日", "?", "b"] {
        for size in [(80, 24), (97, 33), (120, 40), (241, 60)] {
            for mut app in [crowded(), wide_world()] {
                app.size = size;
                keys(&mut app, opened);
                if app.layers.iter().any(|layer| matches!(layer, Layer::Table(_))) {
                    app.update(press(KeyCode::Down), world::now());
                }
                let buffer = drawn(&app, size);
                for y in 0..size.1 {
                    let mut x = 0;
                    while x < size.0 {
                        let wide = buffer[(x, y)].symbol().width().max(1) as u16;
                        assert!(x + wide <= size.0, "{opened:?} at {size:?}: row {y} is too wide");
                        x += wide;
                    }
                }
                let screen = text(&buffer);
                assert!(!screen.contains("dlrow\u{202e}") && !screen.contains('\u{7}'), "{screen}");
            }
        }
    }
}
