//! The value of a ConfigMap's key in the person's editor: read exactly, edited, previewed; or left alone.

use std::collections::{BTreeMap, BTreeSet};

use covet_tui::app::{App, Asked, Effect, Event, Layer, Options, Request};
use covet_tui::domain::{Action, Key, Reading};
use covet_tui::playbooks::{Grounds, Library};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{drawn, keys, press, text, world};

/// At the step that corrects a ConfigMap, with what the reads have found out.
fn at_fix_config(options: Options) -> App {
    let mut app = world::crashing(Options { library: Library::built_in(), ..options });
    let id = app.selection.anomaly.clone().expect("an anomaly");
    let dossier = app.dossiers.get_mut(&id).expect("its dossier");
    dossier.anomaly.bindings.insert("config_map", "covetpy-config".into());
    let request = Request(77);
    let asked = Asked {
        request,
        grounds: Grounds::of(&dossier.anomaly),
        covers: BTreeSet::new(),
        since: world::now(),
        says: None,
        by_person: false,
    };
    dossier.asked.insert("config-maps".into(), asked);
    let reading = Reading {
        at: world::now(),
        took: std::time::Duration::from_millis(9),
        summary: "ConfigMap covetpy-config has no key LOG_LEVEL".into(),
        lines: Vec::new(),
        found: Vec::new(),
        bindings: BTreeMap::from([
            ("missing_object".into(), "covetpy-config".into()),
            ("missing_key".into(), "LOG_LEVEL".into()),
        ]),
        dropped: 0,
        ok: true,
        unseen: false,
    };
    // A read that ends makes the plan anew, from the real playbook.
    app.update(Event::Read { request, reading }, world::now());
    let dossier = app.dossiers.get_mut(&id).expect("its dossier");
    assert!(
        dossier.plan.as_ref().is_some_and(|plan| plan.step("fix-config").is_some()),
        "{:?}",
        dossier.plan
    );
    dossier.cursor = Some("fix-config".into());
    app.selection.by_person = true;
    keys(&mut app, "p");
    app
}

fn reading(app: &mut App) -> Request {
    let effects = keys(app, "E");
    let [Effect::ReadValue { request, config_map, key }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((config_map, &**key), (&Key::new("covetpy", "covetpy-config"), "LOG_LEVEL"));
    *request
}

fn in_the_editor(app: &mut App, now: Option<&str>) -> Request {
    let request = reading(app);
    let effects = app.update(Event::Value { request, value: Ok(now.map(str::to_owned)) }, world::ago(-3));
    let [Effect::Edit { request: editing, name, text }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((*editing, &**name, &**text), (request, "LOG_LEVEL", now.unwrap_or_default()));
    request
}

#[test]
fn what_was_edited_is_what_is_previewed() {
    let mut app = at_fix_config(world::options());
    let before = "level: info\nformat: json\n";
    let request = in_the_editor(&mut app, Some(before));
    let after = "level: debug\n  format: json\n".to_owned();
    let effects = app.update(Event::Edited { request, text: Ok(Some(after.clone())) }, world::ago(-9));
    let [Effect::Preview { action: Action::SetConfig { data, .. }, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(data[..], [("LOG_LEVEL".to_owned(), Some(after))], "to the last blank");
    assert!(matches!(app.layers.last(), Some(Layer::Act)));
}

#[test]
fn left_alone_means_nothing_happens_and_it_says_so() {
    for (text_back, says) in [
        (Ok(Some("info\n".to_owned())), "is as it was: nothing was changed"),
        (Ok(None), "without saving: nothing was changed"),
    ] {
        let mut app = at_fix_config(world::options());
        let request = in_the_editor(&mut app, Some("info"));
        let effects = app.update(Event::Edited { request, text: text_back }, world::ago(-9));
        assert!(effects.is_empty(), "{effects:?}");
        assert!(app.layers.is_empty() && app.act.is_none());
        assert!(text(&drawn(&app, (120, 40))).contains(says));
    }
}

#[test]
fn an_editor_that_cannot_start_leaves_the_form() {
    let mut app = at_fix_config(world::options());
    let request = in_the_editor(&mut app, None);
    let why = "the editor `nope` cannot be started: set $VISUAL or $EDITOR".to_owned();
    app.update(Event::Edited { request, text: Err(why.clone()) }, world::ago(-9));
    assert!(text(&drawn(&app, (160, 40))).contains(&why));
    assert!(matches!(app.layers.last(), Some(Layer::Form(form)) if form.editing.is_none()));
}

#[test]
fn esc_while_the_value_is_read_leaves_and_the_answer_is_ignored() {
    let mut app = at_fix_config(world::options());
    let request = reading(&mut app);
    assert!(app.is_busy());
    let effects = app.update(press(KeyCode::Esc), world::ago(-3));
    assert!(matches!(&effects[..], [Effect::Cancel(cancelled)] if *cancelled == request));
    let effects = app.update(Event::Value { request, value: Ok(Some("late".into())) }, world::ago(-4));
    assert!(effects.is_empty() && app.layers.is_empty(), "{effects:?}");
}

#[test]
fn from_the_form_the_key_that_was_typed_counts() {
    let mut app = at_fix_config(world::options());
    keys(&mut app, "e");
    app.update(Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)), world::ago(-3));
    keys(&mut app, "WORKERS");
    let editor = KeyEvent::new(KeyCode::Char('o'), KeyModifiers::CONTROL);
    let effects = app.update(Event::Key(editor), world::ago(-3));
    assert!(matches!(&effects[..], [Effect::ReadValue { key, .. }] if key == "WORKERS"), "{effects:?}");
}

#[test]
fn other_steps_and_read_only_sessions_have_nothing_to_edit() {
    let mut app = at_fix_config(world::options());
    let id = app.selection.anomaly.clone().expect("an anomaly");
    app.dossiers.get_mut(&id).expect("its dossier").cursor = Some("raise-memory".into());
    assert!(keys(&mut app, "E").is_empty());
    assert!(app.toast.as_ref().is_some_and(|toast| toast.says.contains("no value of a ConfigMap")));
    let mut app = at_fix_config(Options { armed: false, ..world::options() });
    assert!(keys(&mut app, "E").is_empty());
    assert!(app.toast.as_ref().is_some_and(|toast| toast.says.contains("read-only")));
}
