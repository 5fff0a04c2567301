//! The read-only proof: a hundred thousand random keys, pastes and palette commands against the lab, and at
//! the API server nothing but get, list, watch and access reviews arrived.

use std::collections::BTreeMap;

use covet_tui::app::{App, Colours, Effect, Event, Options};
use covet_tui::config::Outside;
use covet_tui::config::{self, Flags};
use covet_tui::desk::Desk;
use covet_tui::domain::{Severity, Timestamp};
use covet_tui::eyes::Eyes;
use covet_tui::guard::Actor;
use covet_tui::hands::Hands;
use covet_tui::lab;
use covet_tui::playbooks::Library;
use covet_tui::probes::Probes;
use covet_tui::rules::Thresholds;
use covet_tui::run::{Cockpit, Reach};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::{mpsc, watch};

const KEYS: usize = 100_000;

fn now() -> Timestamp {
    Timestamp::now()
}

/// Mostly keys that mean something, in dialogs too; sometimes anything.
fn key(random: &mut fastrand::Rng) -> KeyEvent {
    let code = match random.u8(0..20) {
        0..3 => KeyCode::Enter,
        3 => KeyCode::Esc,
        4 => KeyCode::Tab,
        5 => KeyCode::Down,
        6 => KeyCode::Up,
        7 => KeyCode::Backspace,
        8..11 => KeyCode::Char('n'),
        11 => KeyCode::Char('u'),
        12 => KeyCode::Char('y'),
        13 => KeyCode::Char(':'),
        14 => KeyCode::Char(char::from(random.u8(b'1'..=b'6'))),
        _ => KeyCode::Char(random.char('!'..'~')),
    };
    let modifiers = if random.u8(0..40) == 0 { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
    KeyEvent::new(code, modifiers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_keys_in_a_read_only_session_write_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let options =
        lab::Options { drill: Some("crash-loop.oom".into()), speed: 10.0, ..lab::Options::default() };
    let lab = lab::start(options).await.expect("a lab");
    let served: BTreeMap<&str, String> = lab.env().into_iter().collect();
    let flags = Flags { read_only: true, ..Flags::default() };
    let settings = config::load(&flags, &|name| served.get(name).cloned(), None).expect("settings");
    let client = config::client(&settings).await.expect("a client");

    let (observe, observations) = mpsc::channel(1024);
    let _eyes = Eyes::open(&settings, &[], now, observe.clone()).await;
    let outside = Outside::of(&settings);
    let systems = outside.systems();
    let reach = Reach {
        probes: Probes::new(client.clone(), now, outside.clone()),
        hands: Hands::new(client, now, outside),
        who: Actor::default(),
    };
    let options = Options {
        context: "lab".into(),
        namespace: Some("covetpy-production".into()),
        protected: false,
        armed: false,
        drill: None,
        truth: None,
        library: Library::built_in(),
        thresholds: Thresholds::default(),
        bindings: BTreeMap::new(),
        systems,
        theme: "dark".into(),
        colours: Colours::True,
        earlier: Default::default(),
        orphans: Vec::new(),
        trouble: None,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (_reached, reach) = watch::channel(Some(reach));
    let mut cockpit = Cockpit {
        app: App::new(options, now()),
        clock: now,
        observations,
        observe,
        reach,
        arms: None,
        journal_folder: folder.path().to_owned(),
        editor: None,
    };
    let (answers, mut answered) = mpsc::channel(1024);
    let mut desk = Desk::new(answers);

    // Something must be wrong first, or there is nothing to be tempted by.
    let mut fired = false;
    let mut asked_to_change = 0_u32;
    let mut pressed = 0;
    while pressed < KEYS {
        let mut events = Vec::new();
        while let Ok(event) = answered.try_recv() {
            events.push(event);
        }
        let mut batch = Vec::new();
        while batch.len() < 512 {
            let Ok(observation) = cockpit.observations.try_recv() else { break };
            batch.push(observation);
        }
        events.push(Event::Observed(batch));
        fired =
            fired || cockpit.app.verdict.anomalies.iter().any(|anomaly| anomaly.severity > Severity::Suspect);
        if fired {
            for _ in 0..500 {
                events.push(Event::Key(key(&mut random)));
                pressed += 1;
            }
            events.push(Event::Paste("covetpy-app".into()));
        } else {
            events.push(Event::Tick);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        for event in events {
            for effect in cockpit.app.update(event, now()) {
                asked_to_change += u32::from(matches!(
                    effect,
                    Effect::Preview { .. } | Effect::PreviewUndo { .. } | Effect::Confirm { .. }
                ));
                desk.start(&cockpit, effect);
            }
        }
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(fired);
    println!("{asked_to_change} effects asked for a change and were refused");

    let counts = lab.audit().counts();
    let mine: Vec<_> =
        counts.iter().filter(|((_, verb, _), count)| **count > 0 && !verb.is_empty()).collect();
    assert!(mine.iter().any(|((_, verb, _), _)| verb == "watch"), "the audit sees nothing: {counts:?}");
    for ((user, verb, resource), count) in mine {
        let reads = matches!(verb.as_str(), "get" | "list" | "watch");
        assert!(
            reads || (verb == "create" && resource == "reviews"),
            "{user} sent {verb} {resource} {count} times"
        );
    }
    lab.stop().await;
}
