//! Keys in, state out: what a person relies on, whatever the world does meanwhile.

use covet_tui::app::keys::{KEYS, Scope};
use covet_tui::app::{ActOrigin, App, Effect, Event, Focus, Health, Layer, Options, Panel, Undoable};
use covet_tui::domain::{
    Action, AnomalyId, ContainerState, Delta, Fact, Key, Kind, ObjectRef, Origin, Status,
};
use covet_tui::guard::{Armed, Undo};
use covet_tui::journal::{Ending, EntryId, Outcome};
use covet_tui::playbooks::StepState;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{drawn, keys, press, text, world};

fn table(app: &App) -> &covet_tui::app::TableView {
    match app.layers.last() {
        Some(Layer::Table(table)) => table,
        other => panic!("no table but {other:?}"),
    }
}

#[test]
fn the_cursor_stays_on_its_pod_when_the_list_reorders() {
    let mut app = world::healthy(world::options());
    keys(&mut app, "11jjj");
    let chosen = table(&app).cursor.clone().unwrap();
    assert_eq!(table(&app).position(), 3);
    // Another pod begins to fail and moves to the top.
    let mut failing = world::pods(false).pop().unwrap();
    failing.conditions[0].status = Status::False;
    failing.containers[0].ready = false;
    failing.containers[0].state =
        ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
    let later = world::ago(-1);
    app.update(
        Event::Observed(vec![world::seen(Origin::Pods, Fact::Pods(Delta::Seen(vec![failing.clone()])))]),
        later,
    );
    assert_eq!(table(&app).order[0], failing.key);
    assert_eq!(table(&app).cursor.as_ref(), Some(&chosen));
    assert_eq!(table(&app).position(), 4);
    assert_eq!(app.board.count(Health::Failing), 1);
}

#[test]
fn what_is_over_is_given_up_when_something_else_burns_and_nobody_is_at_it() {
    let mut app = world::healthy(world::options());
    let node = |ready: bool| {
        let mut node = world::node("ip-10-0-9-9");
        let row = node.conditions.iter_mut().find(|row| &*row.condition.kind == "Ready").unwrap();
        row.condition.status = if ready { Status::True } else { Status::False };
        row.condition.since = Some(world::ago(if ready { -10 } else { 300 }));
        vec![world::seen(Origin::Nodes, Fact::Nodes(Delta::Seen(vec![node])))]
    };
    let chosen = |app: &App| app.selection.anomaly.as_ref().map(ToString::to_string).unwrap_or_default();
    app.update(Event::Observed(node(false)), world::ago(-1));
    assert!(chosen(&app).starts_with("node-notready"), "{}", chosen(&app));
    app.update(Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), world::ago(-2));
    assert!(app.selection.by_person);
    app.update(Event::Observed(node(true)), world::ago(-11));
    app.update(Event::Tick, world::ago(-60));
    let crashing = world::pods(true);
    let crash = vec![world::seen(Origin::Pods, Fact::Pods(Delta::Seen(crashing)))];
    app.update(Event::Key(KeyEvent::new(KeyCode::Char('j'), KeyModifiers::NONE)), world::ago(-61));
    app.update(Event::Observed(crash.clone()), world::ago(-62));
    assert!(chosen(&app).starts_with("node-notready"), "a person was at it just now: {}", chosen(&app));
    app.update(Event::Observed(crash), world::ago(-82));
    assert!(chosen(&app).starts_with("crash-loop") && !app.selection.by_person, "{}", chosen(&app));
}

#[test]
fn the_worst_is_looked_at_until_a_person_chooses() {
    let mut app = world::crashing(world::options());
    assert!(!app.selection.by_person);
    let worst = app.selection.anomaly.clone();
    keys(&mut app, "j");
    assert!(app.selection.by_person);
    assert_ne!(app.selection.anomaly, worst);
    let chosen = app.selection.anomaly.clone();
    // The incidents change places: the choice stays.
    app.verdict.anomalies.reverse();
    app.verdict.incidents[0].members.reverse();
    assert_eq!(app.selection.anomaly, chosen);
    assert!(app.rows().iter().any(|row| Some(&row.id) == chosen.as_ref()));
}

#[test]
fn a_read_only_session_says_so_and_previews_nothing() {
    let mut app = world::crashing(Options { armed: false, ..world::options() });
    assert!(text(&drawn(&app, (80, 24))).contains("READ-ONLY"));
    let effects = keys(&mut app, "n");
    // What helps is told all the same, and handed on.
    let [Effect::Copy(command)] = &effects[..] else { panic!("{effects:?}") };
    assert!(command.starts_with("kubectl "), "{command}");
    assert!(app.act.is_none());
    assert!(app.toast.as_ref().is_some_and(|toast| toast.says.contains("read-only")));
}

#[test]
fn rights_are_asked_for_the_changes_at_hand_and_what_is_denied_is_marked() {
    let library = covet_tui::playbooks::Library::built_in();
    let mut app = world::crashing(Options { library, ..world::options() });
    for anomaly in &mut app.dossiers.values_mut().map(|dossier| &mut dossier.anomaly).collect::<Vec<_>>() {
        for (name, value) in [
            ("namespace", "covetpy"),
            ("workload", "deployment/covetpy-app"),
            ("workload_kind", "Deployment"),
            ("workload_name", "covetpy-app"),
            ("deployment", "covetpy-app"),
            ("good_revision", "6"),
            ("bad_revision", "7"),
        ] {
            anomaly.bindings.insert(name, value.into());
        }
    }
    // To look at another one and back plans anew, and asks for the changes that are at hand.
    let mut effects = keys(&mut app, "j");
    effects.extend(keys(&mut app, "k"));
    let wanted: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Review { access, .. } => Some(access.clone()),
            _ => None,
        })
        .collect();
    assert!(!wanted.is_empty(), "{effects:?}");
    let access = wanted[0].clone();
    let not_ours = |app: &App| {
        let plan = app.dossier().unwrap().plan.as_ref().unwrap();
        plan.steps.iter().find(|step| step.access.as_ref() == Some(&access)).unwrap().not_ours.clone()
    };
    assert_eq!(not_ours(&app), None);
    app.update(Event::Reviewed { access: access.clone(), allowed: false }, world::ago(-6));
    let why = not_ours(&app).unwrap();
    assert!(why.starts_with("you may not patch "), "{why}");
    // Somebody gave the right.
    app.update(Event::Reviewed { access: access.clone(), allowed: true }, world::ago(-7));
    assert_eq!(not_ours(&app), None);
}

#[test]
fn no_page_is_foretold_while_what_was_done_holds() {
    let mut app = world::crashing(world::options());
    let told = |app: &App| text(&drawn(app, (120, 40))).contains("pages in");
    assert!(told(&app));
    let id = app.selection.anomaly.clone().unwrap();
    let mut plan = app.dossiers[&id].plan.clone().unwrap();
    // Nothing was done: it only seems to hold between two crashes.
    plan.resolved.holds_since = Some(world::ago(5));
    app.dossiers.get_mut(&id).unwrap().plan = Some(plan.clone());
    assert!(told(&app));
    let change = plan.steps.iter_mut().find(|step| step.id == "undo").unwrap();
    change.state = StepState::Done { at: world::ago(60), ok: true, says: "rolled back".into() };
    app.dossiers.get_mut(&id).unwrap().plan = Some(plan.clone());
    assert!(!told(&app));
    plan.resolved.holds_since = None;
    app.dossiers.get_mut(&id).unwrap().plan = Some(plan);
    assert!(told(&app), "it came back");
}

#[test]
fn from_the_suggestion_to_the_undo() {
    let mut app = super::pictures::confirming();
    // Half a name does not confirm.
    assert!(app.update(press(KeyCode::Enter), world::now()).is_empty());
    keys(&mut app, "py-app");
    let effects = app.update(press(KeyCode::Enter), world::now());
    let [Effect::Confirm { request, preview, typed, undoes: None }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(typed, "covetpy-app");
    let (request, action, undo) = (*request, preview.action.clone(), preview.undo.clone());
    app.update(Event::Progress { request, says: "2 of 4 pods updated".into() }, world::now());
    assert!(text(&drawn(&app, (120, 40))).contains("2 of 4 pods updated"));
    let outcome = Outcome {
        entry: EntryId("20261123-031250-4f2a".into()),
        action,
        result: Ending::Performed("revision 6 runs, 4 of 4 ready".into()),
        at: world::now(),
        undo,
        progress: Vec::new(),
    };
    app.update(Event::Finished { request, outcome }, world::now());
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("revision 6 runs") && screen.contains("previews the undo"), "{screen}");
    let effects = keys(&mut app, "u");
    assert!(matches!(&effects[..], [Effect::PreviewUndo { .. }]), "{effects:?}");
    assert!(app.act.as_ref().is_some_and(|act| act.origin.undoing));
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut app = super::pictures::confirming();
    app.update(press(KeyCode::Esc), world::now());
    assert!(app.act.is_none());
    let stray = covet_tui::app::Request(1);
    app.update(Event::Previewed { request: stray, preview: Ok(world::preview(&Armed::arm())) }, world::now());
    assert!(app.act.is_none() && app.layers.is_empty());
}

#[test]
fn sorting_filtering_and_copying_a_table() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "11");
    keys(&mut app, "/worker");
    app.update(press(KeyCode::Enter), world::now());
    assert_eq!((table(&app).order.len(), table(&app).total), (3, 14));
    app.update(press(KeyCode::Esc), world::now());
    assert_eq!(table(&app).order.len(), 14);
    keys(&mut app, "s");
    let names: Vec<_> = table(&app).order.iter().map(|key| key.name.clone()).collect();
    assert!(names.is_sorted());
    keys(&mut app, "r");
    assert_eq!(table(&app).order[0].name, *names.last().unwrap());
    let effects = keys(&mut app, "y");
    let [Effect::Copy(command)] = &effects[..] else { panic!("{effects:?}") };
    assert!(command.starts_with("kubectl describe pod "), "{command}");
}

/// Lets the world be like this for some seconds; answers with the steps whose reads were asked for.
fn live(app: &mut App, bad: bool, from: i64, seconds: i64) -> Vec<Effect> {
    let mut asked = Vec::new();
    for second in 0..seconds {
        let now = world::ago(-(from + second));
        let mut seen = world::observations(bad);
        for observation in &mut seen {
            observation.at = now;
        }
        asked.extend(app.update(Event::Observed(seen), now));
        asked.extend(app.update(Event::Tick, now));
    }
    asked.retain(|effect| matches!(effect, Effect::Read { .. }));
    asked
}

#[test]
fn what_comes_back_is_read_anew() {
    let options = Options { library: covet_tui::playbooks::Library::built_in(), ..world::options() };
    let mut app = App::new(options, world::now());
    let mut asked = live(&mut app, true, 0, 5);
    assert!(!asked.is_empty(), "reads run by themselves");
    while let Some(effect) = asked.pop() {
        let Effect::Read { request, .. } = effect else { continue };
        let reading = covet_tui::domain::Reading {
            at: world::ago(-5),
            took: std::time::Duration::ZERO,
            summary: "as it was the first time".into(),
            lines: vec![(covet_tui::domain::Tone::Plain, "a line of the first time".into())],
            found: Vec::new(),
            bindings: std::collections::BTreeMap::new(),
            dropped: 0,
            ok: true,
            unseen: false,
        };
        // A few at a time: each that is answered makes room for the next.
        asked.extend(app.update(Event::Read { request, reading }, world::ago(-5)));
    }
    let screen = text(&drawn(&app, (160, 50)));
    assert!(screen.contains("a line of the first time"), "it is on the main screen: {screen}");
    live(&mut app, false, 10, 180);
    assert!(app.verdict.anomalies.is_empty(), "it is over");
    let again = live(&mut app, true, 200, 5);
    assert!(!again.is_empty(), "it is read again");
    assert!(!text(&drawn(&app, (160, 50))).contains("a line of the first time"));
}

#[test]
fn what_a_person_asked_for_is_shown_where_there_is_no_room_beside() {
    for (size, opens) in [((80, 24), true), ((120, 40), false)] {
        let options = Options { library: covet_tui::playbooks::Library::built_in(), ..world::options() };
        let mut app = App::new(options, world::now());
        app.size = size;
        let answer = |app: &mut App, effects: Vec<Effect>| {
            let reads = effects.into_iter().filter_map(|effect| match effect {
                Effect::Read { request, .. } => Some(request),
                _ => None,
            });
            for request in reads.collect::<Vec<_>>() {
                let reading = covet_tui::domain::Reading { summary: "as asked".into(), ..world::reading() };
                app.update(Event::Read { request, reading }, world::ago(-5));
            }
        };
        let by_itself = live(&mut app, true, 0, 5);
        answer(&mut app, by_itself);
        assert!(app.layers.is_empty(), "nobody asked for it");
        keys(&mut app, "p");
        let id = app.selection.anomaly.clone().unwrap();
        let dossier = app.dossiers.get_mut(&id).unwrap();
        dossier.cursor = dossier.readings.keys().next().cloned();
        let asked = keys(&mut app, "r");
        assert!(matches!(&asked[..], [Effect::Read { .. }]), "{asked:?}");
        answer(&mut app, asked);
        assert_eq!(matches!(app.layers.last(), Some(Layer::Text(_))), opens, "{size:?}");
    }
}

#[test]
fn the_list_of_anomalies_can_be_filtered() {
    let mut app = world::crashing(world::options());
    let all = app.rows().len();
    keys(&mut app, "/p95");
    assert!(app.is_typing());
    // The incident stays whole: the match is one of its symptoms.
    assert_eq!((app.rows().len(), app.hidden_rows()), (all, 0));
    keys(&mut app, "zz");
    assert_eq!((app.rows().len(), app.hidden_rows()), (0, all));
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("nothing matches") && screen.contains("crash-looping"), "{screen}");
    app.update(press(KeyCode::Esc), world::now());
    assert_eq!(app.rows().len(), all);
    keys(&mut app, "/oom");
    app.update(press(KeyCode::Enter), world::now());
    assert!(!app.is_typing() && !app.filter.is_empty());
    app.update(press(KeyCode::Esc), world::now());
    assert!(app.filter.is_empty(), "Esc clears what was typed");
}

#[test]
fn columns_are_chosen_and_stay_for_the_session() {
    let mut app = world::crashing(world::options());
    keys(&mut app, "11c");
    assert!(matches!(app.layers.last(), Some(Layer::Columns(_))));
    // READY goes, LAST EXIT comes.
    keys(&mut app, "j ");
    keys(&mut app, "jjjjjjj ");
    app.update(press(KeyCode::Esc), world::now());
    let heading = |app: &App| {
        let screen = text(&drawn(app, (200, 50)));
        screen.lines().find(|line| line.contains("STATUS")).expect("a heading").to_owned()
    };
    assert!(!heading(&app).contains("READY") && heading(&app).contains("LAST EXIT"), "{}", heading(&app));
    app.update(press(KeyCode::Esc), world::now());
    keys(&mut app, "1");
    assert!(heading(&app).contains("LAST EXIT"), "kept while the cockpit runs");
    keys(&mut app, "cr");
    app.update(press(KeyCode::Esc), world::now());
    assert!(heading(&app).contains("READY") && !heading(&app).contains("LAST EXIT"));
    // Sorting goes over what is shown.
    let shown: std::collections::BTreeSet<usize> = (0..13)
        .filter_map(|_| {
            keys(&mut app, "s");
            table(&app).sort
        })
        .collect();
    assert_eq!(shown, (0..9).collect());
}

#[test]
fn every_panel_opens_and_closes() {
    let mut app = world::crashing(world::options());
    for panel in Panel::ALL {
        keys(&mut app, &format!("{0}{0}", panel.number()));
        assert_eq!(table(&app).panel, panel);
        assert!(text(&drawn(&app, (120, 40))).contains(panel.title()));
        app.update(press(KeyCode::Esc), world::now());
        assert_eq!(app.focus, Focus::Panel(panel));
        assert!(app.layers.is_empty());
    }
}

#[test]
fn an_entry_of_the_journal_is_taken_back_where_a_way_is_open() {
    let mut app = world::crashing(world::options());
    app.update(Event::Journal(world::journal()), world::now());
    let action =
        Action::Scale { object: ObjectRef::new(Kind::Deployment, Key::new("covetpy", "web")), replicas: 2 };
    let entry = world::journal()[0].id.clone();
    let known = Undoable {
        origin: ActOrigin { anomaly: AnomalyId("journal".into()), step: entry.0.clone(), undoing: false },
        entry: entry.clone(),
        title: "scale deployment/web from 2 to 3".into(),
        undo: Undo { action, says: "scale back to 2".into(), left: Vec::new() },
    };
    app.undos = vec![known];
    keys(&mut app, "J");
    assert!(keys(&mut app, "u").is_empty(), "how the newest ended nobody knows");
    let effects = keys(&mut app, "ju");
    assert!(matches!(&effects[..], [Effect::PreviewUndo { .. }]), "{effects:?}");
    let act = app.act.as_ref().unwrap();
    assert_eq!((act.undoes.as_ref(), act.origin.undoing), (Some(&entry), true));
    assert_eq!(act.title, "Undo “scale deployment/web from 2 to 3”");
}

#[test]
fn what_others_did_elsewhere_is_not_taken_back_by_a_key() {
    let mut app = world::crashing(world::options());
    let scope = app.snapshot.scope.clone().expect("one namespace is looked at");
    let done = |id: &str, namespace: &str| Undoable {
        origin: ActOrigin { anomaly: AnomalyId(id.into()), step: id.into(), undoing: false },
        entry: EntryId(id.into()),
        title: "scale".into(),
        undo: Undo {
            action: Action::Scale {
                object: ObjectRef::new(Kind::Deployment, Key::new(namespace, "web")),
                replicas: 2,
            },
            says: "scale back to 2".into(),
            left: Vec::new(),
        },
    };
    app.undos = vec![done("journal/1", "elsewhere")];
    assert!(keys(&mut app, "u").is_empty());
    assert!(app.toast.as_ref().is_some_and(|toast| toast.says.contains("J lists")), "{:?}", app.toast);
    assert!(!text(&drawn(&app, (160, 40))).contains("u undo"));
    app.undos = vec![done("journal/1", &scope), done("journal/2", "elsewhere")];
    assert_eq!(app.way_back().map(|known| known.entry.0.to_string()), Some("journal/1".into()));
    app.undos.insert(0, done("crash-loop/deployment/a/b", "elsewhere"));
    let own = app.way_back().map(|known| known.entry.0.to_string());
    assert_eq!(own, Some("crash-loop/deployment/a/b".into()), "what was done from here comes first");
}

#[test]
fn what_was_done_in_vain_is_taken_back_by_the_suggestion() {
    let mut app = world::crashing(world::options());
    let id = app.selection.anomaly.clone().unwrap();
    let origin = ActOrigin { anomaly: id.clone(), step: "raise-memory".into(), undoing: false };
    let back = |replicas| Action::Scale {
        object: ObjectRef::new(Kind::Deployment, Key::new("covetpy", "web")),
        replicas,
    };
    app.undos = (1..=2)
        .map(|time| Undoable {
            origin: origin.clone(),
            entry: EntryId(format!("time {time}")),
            title: "Raise the memory".into(),
            undo: Undo { action: back(time), says: "back".into(), left: Vec::new() },
        })
        .collect();
    let plan = app.dossiers.get_mut(&id).unwrap().plan.as_mut().unwrap();
    let chosen = plan.suggested.unwrap();
    plan.steps[chosen].takes_back = Some("raise-memory".into());
    let effects = keys(&mut app, "n");
    let back = |effect: &Effect| match effect {
        Effect::PreviewUndo { undo, .. } => Some(undo.action.clone()),
        _ => None,
    };
    assert_eq!(effects.iter().find_map(back), Some(app.undos[1].undo.action.clone()), "{effects:?}");
    assert!(app.act.as_ref().is_some_and(|act| act.origin.undoing));
}

#[test]
fn the_journal_opens_its_newest_entry() {
    let mut app = world::crashing(world::options());
    assert!(matches!(&keys(&mut app, "J")[..], [Effect::ReadJournal]));
    app.update(Event::Journal(world::journal()), world::now());
    let list = text(&drawn(&app, (120, 40)));
    assert!(list.find("cordon node-2").unwrap() < list.find("scale deployment/web").unwrap(), "newest first");
    app.update(press(KeyCode::Enter), world::now());
    assert!(text(&drawn(&app, (120, 40))).contains("kubectl cordon node-2"));
    app.update(press(KeyCode::Esc), world::now());
    assert!(matches!(app.layers.last(), Some(Layer::Journal(journal)) if !journal.open));
}

#[test]
fn every_key_of_the_table_is_in_the_help() {
    let mut app = world::healthy(world::options());
    keys(&mut app, "?");
    let help = text(&drawn(&app, (300, 100)));
    for binding in KEYS {
        assert!(help.contains(binding.says), "{} is not in the help", binding.says);
    }
    assert!(Scope::ALL.iter().all(|scope| help.contains(scope.title())));
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let mut app = world::healthy(world::options());
    let mut evil = world::pod("evil", "node\x1b[2J-1", true);
    evil.key.name = "x\x1b]0;owned\x07\u{9b}31m\u{202e}y".into();
    app.update(
        Event::Observed(vec![world::seen(Origin::Pods, Fact::Pods(Delta::Seen(vec![evil])))]),
        world::ago(-1),
    );
    app.update(Event::Notice("a\x1b[31mb\r\n\tc".into()), world::now());
    for layer in ["", "11", ":x"] {
        keys(&mut app, layer);
        let buffer = drawn(&app, (120, 40));
        for cell in buffer.content() {
            let hostile = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!cell.symbol().chars().any(hostile), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn any_size_and_any_keys_never_panic() {
    const CODES: [KeyCode; 16] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::F(1),
        KeyCode::Insert,
    ];
    let letters: Vec<char> = ":/?ynuqjkhlgGnsrcabpfeEJ0123456 xY-é日".chars().collect();
    let mut random = fastrand::Rng::with_seed(7);
    for armed in [true, false] {
        let mut app = world::crashing(Options { armed, ..world::options() });
        let mut now = world::now();
        for turn in 0..10_000 {
            let code = if random.u8(..10) < 6 {
                KeyCode::Char(*random.choice(&letters).unwrap())
            } else {
                *random.choice(&CODES).unwrap()
            };
            let modifiers = match random.u8(..20) {
                0 => KeyModifiers::CONTROL,
                1 => KeyModifiers::ALT,
                _ => KeyModifiers::NONE,
            };
            let effects = app.update(Event::Key(KeyEvent::new(code, modifiers)), now);
            answer(&mut app, effects, armed, now);
            if turn % 50 == 0 {
                now += jiff::SignedDuration::from_millis(300);
                let size = (random.u16(1..320), random.u16(1..110));
                app.update(Event::Resized(size.0, size.1), now);
                app.update(Event::Observed(world::observations(random.bool())), now);
                if random.bool() {
                    world::judged(&mut app);
                }
                drawn(&app, size);
            }
        }
    }
}

/// The outside answers, sometimes well, and in a read-only session is never asked to change anything.
fn answer(app: &mut App, effects: Vec<Effect>, armed: bool, now: covet_tui::domain::Timestamp) {
    for effect in effects {
        match effect {
            Effect::Preview { request, .. } => {
                assert!(armed, "a preview in a read-only session");
                app.update(Event::Previewed { request, preview: Ok(world::preview(&Armed::arm())) }, now);
            }
            Effect::Confirm { .. } => assert!(armed, "a confirmation in a read-only session"),
            Effect::Fetch { request, .. } => {
                app.update(Event::Document { request, document: Err("gone".into()) }, now);
            }
            Effect::Follow { request, .. } => {
                let lines = vec!["a line".to_owned(); 40];
                app.update(Event::LogLines { request, lines, dropped: 3 }, now);
                app.update(Event::LogEnded { request, why: None }, now);
            }
            _ => {}
        }
    }
}
