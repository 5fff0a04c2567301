//! What people see, at each size, as text and as styles.

use covet_tui::app::{App, Colours, Document, Effect, Event, Options, Trouble};
use covet_tui::domain::{BlindKind, Key, Kind, ObjectRef, Origin, Tone};
use covet_tui::guard::Armed;
use covet_tui::journal::{Ending, EntryId, Outcome};
use crossterm::event::KeyCode;

use super::{SIZES, drawn, keys, press, styles, text, world};

pub fn check(name: &str, app: App) {
    check_at(name, app, &SIZES);
}

pub fn check_at(name: &str, mut app: App, sizes: &[(u16, u16)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/screen");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for size in sizes.iter().copied() {
            app.size = size;
            let buffer = drawn(&app, size);
            let (width, height) = size;
            // For the README: COVET_SCREENSHOTS=assets cargo nextest run --test it -E 'test(/pictures/)'
            if let Ok(folder) = std::env::var("COVET_SCREENSHOTS") {
                let path = format!("{folder}/{name}-{width}x{height}.svg");
                std::fs::write(path, covet_tui::ui::svg::render(&buffer)).unwrap();
            }
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), text(&buffer));
            if size == (120, 40) {
                insta::assert_snapshot!(format!("{name}-{width}x{height}-style"), styles(&buffer));
            }
        }
    });
}

#[test]
fn healthy() {
    check("healthy", world::healthy(world::options()));
}

#[test]
fn crash_loop_selected() {
    let options = Options { protected: true, ..world::options() };
    check("crash-loop", world::crashing(options));
}

#[test]
fn confirm() {
    check("confirm", confirming());
}

/// At the preview of the suggested step, by keys.
pub fn confirming() -> App {
    let mut app = world::crashing(world::options());
    let effects = keys(&mut app, "n");
    let Some(Effect::Preview { request, .. }) = effects.into_iter().next() else {
        panic!("no preview was asked for")
    };
    let preview = Ok(world::preview(&Armed::arm()));
    app.update(Event::Previewed { request, preview }, world::now());
    keys(&mut app, "covet");
    app
}

#[test]
fn blind() {
    check("blind", blinded());
}

pub fn blinded() -> App {
    let mut app = world::healthy(Options { armed: false, ..world::options() });
    let hung = "the API server does not answer (timed out after 2 s)";
    let refused =
        "403: nodes is forbidden: User \"oncall\" cannot list resource \"nodes\" at the cluster scope";
    app.update(
        Event::Observed(vec![
            world::blind(Origin::ApiServer, BlindKind::Unreachable, hung, Some("check the VPN"), 72),
            world::blind(
                Origin::Nodes,
                BlindKind::Refused,
                refused,
                Some("ask for the ClusterRole view"),
                600,
            ),
            world::blind(Origin::Prometheus, BlindKind::NotConfigured, "no Prometheus was found", None, 600),
            world::blind(
                Origin::Postgres,
                BlindKind::Refused,
                "28P01: password authentication failed for user oncall",
                None,
                44,
            ),
        ]),
        world::now(),
    );
    // Half a second later the rules have noticed.
    app.update(Event::Tick, world::ago(-1));
    app
}

#[test]
fn no_kubeconfig() {
    let trouble = Trouble {
        says: "There is no kubeconfig: neither $KUBECONFIG nor ~/.kube/config exists.".into(),
        repairs: vec![
            "export KUBECONFIG=… or pass --kubeconfig FILE".into(),
            "covet-tui doctor tests every connection".into(),
        ],
    };
    let options = Options { trouble: Some(trouble), armed: true, ..Options::default() };
    check("no-kubeconfig", App::new(options, world::now()));
}

#[test]
fn help() {
    let mut app = world::healthy(world::options());
    keys(&mut app, "?");
    check("help", app);
}

#[test]
fn palette() {
    let mut app = world::crashing(world::options());
    keys(&mut app, ":covetapp");
    check("palette", app);
}

#[test]
fn pod_logs() {
    check("pod-logs", reading_logs());
}

pub fn reading_logs() -> App {
    let mut app = world::crashing(world::options());
    keys(&mut app, "11");
    let effects = app.update(press(KeyCode::Enter), world::now());
    let pod = ObjectRef::new(Kind::Pod, Key::new("covetpy", "covetpy-app-7f9c5d6b88-0pd9w"));
    let Some(Effect::Fetch { request, object }) = effects.into_iter().next() else {
        panic!("nothing was fetched")
    };
    assert_eq!(object, pod);
    let document = Document { describe: vec![(Tone::Plain, "Name: x".into())], ..Document::default() };
    app.update(Event::Document { request, document: Ok(document) }, world::now());
    let mut effects = Vec::new();
    for _ in 0..3 {
        effects = app.update(press(KeyCode::Tab), world::now());
    }
    let Some(Effect::Follow { request, previous: false, .. }) = effects.into_iter().next() else {
        panic!("no log was followed")
    };
    let mut lines = vec![
        "2026-11-23T03:12:30.114Z INFO  covetpy 1.2.4 starting, workers=4".to_owned(),
        "2026-11-23T03:12:31.020Z INFO  connected to postgres://covetpy:•••@db:5432/covetpy".to_owned(),
        "2026-11-23T03:12:31.406Z INFO  loading catalogue into memory".to_owned(),
        "2026-11-23T03:12:36.231Z WARNING catalogue is large: 1 204 331 products".to_owned(),
        "2026-11-23T03:12:38.930Z ERROR worker 2 was killed (signal 9)".to_owned(),
    ];
    lines.extend((0..60).map(|n| format!("2026-11-23T03:12:39.{n:03}Z DEBUG retry {n}")));
    app.update(Event::LogLines { request, lines, dropped: 17 }, world::now());
    app
}

const MIDDLE: [(u16, u16); 1] = [(120, 40)];

#[test]
fn pods_full_screen() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "11j");
    check_at("pods", app, &MIDDLE);
}

#[test]
fn latency_full_screen() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "55");
    check_at("latency", app, &MIDDLE);
}

#[test]
fn playbook_focused() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "pjj");
    check_at("playbook", app, &[(80, 24), (120, 40)]);
}

#[test]
fn running_and_done() {
    let mut app = confirming();
    keys(&mut app, "py-app");
    let effects = app.update(press(KeyCode::Enter), world::now());
    let Some(Effect::Confirm { request, preview, .. }) = effects.into_iter().next() else {
        panic!("not confirmed")
    };
    for says in ["revision 6 is the template again", "1 of 4 pods updated", "2 of 4 pods updated"] {
        app.update(Event::Progress { request, says: says.into() }, world::ago(-4));
    }
    check_at("running", app, &MIDDLE);
    let mut app = confirming();
    keys(&mut app, "py-app");
    let effects = app.update(press(KeyCode::Enter), world::now());
    let Some(Effect::Confirm { request, .. }) = effects.into_iter().next() else { panic!("not confirmed") };
    let outcome = Outcome {
        entry: EntryId("20261123-031250-4f2a".into()),
        action: preview.action.clone(),
        result: Ending::Performed("revision 6 runs: 4 of 4 pods updated and ready".into()),
        at: world::ago(-38),
        undo: preview.undo.clone(),
        progress: vec!["2 of 4 pods updated".into(), "4 of 4 pods updated".into()],
    };
    app.update(Event::Finished { request, outcome }, world::ago(-38));
    check_at("done", app, &MIDDLE);
}

#[test]
fn what_is_not_seen() {
    let mut app = blinded();
    keys(&mut app, "b");
    check_at("blindness", app, &MIDDLE);
}

#[test]
fn what_changed() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "c");
    check_at("changes", app, &MIDDLE);
}

#[test]
fn without_colours_and_in_the_light() {
    let bare = Options { colours: Colours::None, protected: true, ..world::options() };
    check_at("no-colour", world::crashing(bare), &MIDDLE);
    let light = Options { theme: "light".into(), ..world::options() };
    check_at("light", world::crashing(light), &MIDDLE);
}

#[test]
fn too_small_still_counts() {
    check_at("too-small", world::crashing(world::options()), &[(39, 9)]);
}
