//! The mouse: what lies under it is what is drawn there, and a click never changes anything outside.

use covet_tui::app::{App, Effect, Event, Focus, Gesture, Layer, Panel, Tab, Target};
use covet_tui::domain::Timestamp;
use covet_tui::ui;
use ratatui::layout::Rect;

use super::{drawn, keys, press, text, world};
use crossterm::event::KeyCode;

const SIZE: (u16, u16) = (160, 50);

/// Where these words stand on the screen: their first cell.
fn find(app: &App, words: &str) -> (u16, u16) {
    let buffer = drawn(app, SIZE);
    for y in 0..SIZE.1 {
        let row: Vec<&str> = (0..SIZE.0).map(|x| buffer[(x, y)].symbol()).collect();
        for x in 0..row.len() {
            if row[x..].concat().starts_with(words) {
                return (x as u16, y);
            }
        }
    }
    panic!("{words:?} is not on the screen:\n{}", text(&buffer))
}

fn under(app: &App, cell: (u16, u16)) -> Option<Target> {
    ui::under(app, Rect::new(0, 0, SIZE.0, SIZE.1), cell)
}

fn point(app: &mut App, cell: (u16, u16), gesture: Gesture, now: Timestamp) -> Vec<Effect> {
    let target = under(app, cell);
    app.update(Event::Pointed { target, cell, gesture }, now)
}

fn click(app: &mut App, words: &str, now: Timestamp) -> Vec<Effect> {
    let cell = find(app, words);
    point(app, cell, Gesture::Click, now)
}

fn double_click(app: &mut App, words: &str, now: Timestamp) -> Vec<Effect> {
    let cell = find(app, words);
    point(app, cell, Gesture::Click, now);
    point(app, cell, Gesture::Click, now + jiff::SignedDuration::from_millis(180))
}

/// With a reading on the screen.
fn reading() -> App {
    let mut app = crashing();
    let id = app.selection.anomaly.clone().expect("an anomaly");
    let dossier = app.dossiers.get_mut(&id).expect("its dossier");
    let reading = covet_tui::domain::Reading {
        at: world::now(),
        took: std::time::Duration::ZERO,
        summary: "it ends in an error".into(),
        lines: vec![(covet_tui::domain::Tone::Bad, "MemoryError: catalogue".into())],
        found: Vec::new(),
        bindings: std::collections::BTreeMap::new(),
        dropped: 0,
        ok: true,
        unseen: false,
    };
    dossier.readings.insert("logs".into(), reading);
    app
}

#[test]
fn the_reading_on_the_screen_opens() {
    let mut app = reading();
    double_click(&mut app, "MemoryError", world::now());
    assert!(matches!(app.layers.last(), Some(Layer::Text(_))));
    assert_eq!(app.dossier().and_then(|dossier| dossier.place()), Some("logs"));
}

fn crashing() -> App {
    let mut app = world::crashing(world::options());
    app.size = SIZE;
    app
}

#[test]
fn a_click_selects_and_a_double_click_opens() {
    let mut app = crashing();
    click(&mut app, "rollout of covetpy-app stuck", world::now());
    let chosen = app.selection.anomaly.clone().expect("one is selected");
    assert!(app.selection.by_person && chosen.to_string().starts_with("rollout-stuck"), "{chosen}");
    for panel in Panel::ALL {
        click(&mut app, &format!("{} {}", panel.number(), panel.title()), world::now());
        assert_eq!(app.focus, Focus::Panel(panel));
    }
    double_click(&mut app, "1 Pods", world::ago(-5));
    assert!(matches!(app.layers.last(), Some(Layer::Table(table)) if table.panel == Panel::Pods));
}

#[test]
fn two_slow_clicks_are_not_a_double_click() {
    let mut app = crashing();
    let cell = find(&app, "1 Pods");
    point(&mut app, cell, Gesture::Click, world::now());
    point(&mut app, cell, Gesture::Click, world::ago(-1));
    assert!(app.layers.is_empty());
}

#[test]
fn steps_and_the_suggestion_answer_to_the_mouse() {
    let mut app = crashing();
    click(&mut app, "Delete the crashing pods", world::now());
    assert_eq!(app.focus, Focus::Playbook);
    assert_eq!(app.dossier().and_then(|dossier| dossier.place()), Some("delete"));
    let effects = double_click(&mut app, "Roll covetpy-app back to revision 6", world::ago(-5));
    assert!(matches!(&effects[..], [Effect::Preview { .. }]), "{effects:?}");
}

#[test]
fn no_click_confirms() {
    for wanted in [(160, 50), (80, 24)] {
        let mut app = super::pictures::confirming();
        app.size = wanted;
        keys(&mut app, "py-app");
        let area = Rect::new(0, 0, wanted.0, wanted.1);
        for cell in (0..wanted.1).flat_map(|y| (0..wanted.0).map(move |x| (x, y))) {
            let target = ui::under(&app, area, cell);
            // Leaving is allowed, and then there is nothing more to confirm.
            let leaves = matches!(&target, Some(Target::Press(press)) if press.code == KeyCode::Esc);
            if leaves {
                continue;
            }
            for turn in [0, 100] {
                let now = world::now() + jiff::SignedDuration::from_millis(turn);
                let event = Event::Pointed { target: target.clone(), cell, gesture: Gesture::Click };
                let effects = app.update(event, now);
                assert!(!effects.iter().any(|effect| matches!(effect, Effect::Confirm { .. })), "{cell:?}");
            }
        }
        assert!(app.act.is_some(), "still waits for the name");
    }
}

#[test]
fn the_wheel_scrolls_what_is_under_it() {
    let mut app = crashing();
    let list = find(&app, "rollout of covetpy-app stuck");
    let before = app.selection.anomaly.clone();
    point(&mut app, list, Gesture::WheelDown, world::now());
    assert_ne!(app.selection.anomaly, before);
    point(&mut app, list, Gesture::WheelUp, world::now());
    assert_eq!(app.selection.anomaly, before);
    let steps = find(&app, "Delete the crashing pods");
    let before = app.dossier().and_then(|dossier| dossier.place()).map(str::to_owned);
    point(&mut app, steps, Gesture::WheelDown, world::now());
    assert_ne!(app.dossier().and_then(|dossier| dossier.place()).map(str::to_owned), before);
    // Over a panel there is nothing to scroll.
    let focus = app.focus;
    let pods = find(&app, "1 Pods");
    point(&mut app, pods, Gesture::WheelDown, world::now());
    assert_eq!(app.focus, focus);
}

#[test]
fn rows_headings_and_tabs_of_opened_things() {
    let mut app = crashing();
    keys(&mut app, "11");
    let Some(Layer::Table(table)) = app.layers.last() else { panic!("no table") };
    let row = table.order[5].clone();
    click(&mut app, row.name.as_ref(), world::now());
    let Some(Layer::Table(table)) = app.layers.last() else { panic!("no table") };
    assert_eq!(table.cursor.as_ref(), Some(&row));
    click(&mut app, "RESTARTS", world::ago(-5));
    click(&mut app, "RESTARTS ▲", world::ago(-10));
    let Some(Layer::Table(table)) = app.layers.last() else { panic!("no table") };
    assert_eq!((table.sort, table.reverse), (Some(4), true));
    let effects = double_click(&mut app, row.name.as_ref(), world::ago(-15));
    assert!(matches!(&effects[..], [Effect::Fetch { object, .. }] if object.key == row), "{effects:?}");
    click(&mut app, "YAML", world::ago(-20));
    assert!(matches!(app.layers.last(), Some(Layer::Object(object)) if object.tab == Tab::Yaml));
    let effects = click(&mut app, "Logs", world::ago(-25));
    assert!(matches!(&effects[..], [Effect::Follow { .. }]), "{effects:?}");
    click(&mut app, "Esc back", world::ago(-30));
    assert!(matches!(app.layers.last(), Some(Layer::Table(_))));
}

#[test]
fn the_keys_of_the_footer_can_be_clicked() {
    let mut app = crashing();
    click(&mut app, "? help", world::now());
    assert!(matches!(app.layers.last(), Some(Layer::Page(..))));
    click(&mut app, "Esc back", world::ago(-5));
    assert!(app.layers.is_empty());
    click(&mut app, ": commands", world::ago(-10));
    let second = app.layers.last().map(|layer| match layer {
        Layer::Palette(palette) => palette.entries[1].says.clone(),
        other => panic!("no palette but {other:?}"),
    });
    click(&mut app, &second.expect("an entry")[..30], world::ago(-15));
    assert!(matches!(app.layers.last(), Some(Layer::Palette(palette)) if palette.at == 1));
    app.update(press(KeyCode::Esc), world::ago(-20));
    assert!(app.layers.is_empty());
}

#[test]
fn the_footer_always_leads_to_the_help_and_out() {
    let mut apps = vec![crashing(), world::healthy(world::options())];
    for opened in ["11", "11/x", "44", "J", "b", "c"] {
        let mut app = crashing();
        app.update(Event::Journal(world::journal()), world::now());
        keys(&mut app, opened);
        if opened.contains('/') {
            app.update(press(KeyCode::Enter), world::now());
        }
        apps.push(app);
    }
    for app in &apps {
        for width in [40, 60, 80, 97, 120] {
            let screen = text(&drawn(app, (width, 24)));
            let last = screen.lines().last().unwrap_or_default().to_owned();
            assert!(last.contains("? help") && last.contains("q quit"), "{width}: {last}");
        }
    }
    // Where there is room for more, what is needed most is there first.
    let footer = |width| text(&drawn(&apps[0], (width, 24))).lines().last().unwrap_or_default().to_owned();
    for width in [80, 120] {
        for hint in ["Enter playbook", "n next step", ": commands", "J journal"] {
            assert!(footer(width).contains(hint), "{width}: {}", footer(width));
        }
    }
    assert!(footer(120).contains("Tab focus") && !footer(80).contains("Tab focus"));
}

#[test]
fn the_pointer_never_panics_anywhere() {
    let mut apps = vec![crashing(), world::healthy(world::options()), super::pictures::confirming()];
    for opened in ["11", "11/x", "11c", "44", "J", "?", ":a", "b"] {
        let mut app = crashing();
        app.update(Event::Journal(world::journal()), world::now());
        keys(&mut app, opened);
        apps.push(app);
    }
    for app in &apps {
        for (width, height) in [(1, 1), (40, 10), (80, 24), (97, 33), (200, 50)] {
            let area = Rect::new(0, 0, width, height);
            for cell in (0..height + 2).flat_map(|y| (0..width + 2).step_by(3).map(move |x| (x, y))) {
                ui::under(app, area, cell);
            }
        }
    }
}
