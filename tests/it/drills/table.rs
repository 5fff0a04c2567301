//! A drill on the table: the lab, the whole cockpit without its screen, and a clock that only moves when told.

use std::sync::Arc;
use std::time::Duration;

use covet_tui::app::{App, Effect, Event, Options};
use covet_tui::config::{self, Flags, Outside, Settings};
use covet_tui::desk::Desk;
use covet_tui::domain::{Observation, Timestamp};
use covet_tui::eyes::{Bell, Eyes, Pace};
use covet_tui::guard::{Actor, Armed};
use covet_tui::hands::Hands;
use covet_tui::journal::Journal;
use covet_tui::lab::{self, Drill, Lab};
use covet_tui::playbooks::Library;
use covet_tui::practice;
use covet_tui::probes::Probes;
use covet_tui::run::{Arms, Cockpit, Reach};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::{Mutex, mpsc, watch};

use super::clock::Clock;

/// One step of time: a second in the lab.
const STEP: i64 = 1_000;
/// What a step takes at least in real time, so that what was sent can arrive; …
const REST: Duration = Duration::from_millis(6);
/// … and while a read or a change is under way, whose own deadlines are real.
const BUSY: Duration = Duration::from_millis(40);

pub struct Table {
    pub lab: Lab,
    pub cockpit: Cockpit,
    pub clock: Clock,
    pub began: Timestamp,
    pub journal: tempfile::TempDir,
    desk: Desk,
    bell: Bell,
    answers: mpsc::Receiver<Event>,
    _eyes: Eyes,
}

/// An empty one would advise nothing, and calm would look like a cure.
fn library() -> Library {
    let library = Library::built_in();
    assert!(library.iter().count() > 0, "the playbooks do not parse");
    library
}

/// What a person at this lab has in their environment.
fn environment(name: &str) -> Option<String> {
    (name == "GITHUB_TOKEN").then(|| covet_tui::lab::registry::TOKEN.to_owned())
}

fn settings(lab: &Lab) -> Settings {
    let env = lab.env();
    let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    config::load(&Flags::default(), &find, None).unwrap()
}

impl Table {
    pub async fn lay(drill: &Drill, seed: u64) -> Table {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::take().await;
        let options = lab::Options {
            drill: Some(drill.name.clone()),
            seed,
            clock: clock.read(),
            by_hand: true,
            machines: true,
            ..lab::Options::default()
        };
        let lab = lab::start(options).await.unwrap();
        let settings = settings(&lab);
        let client = config::client(&settings).await.unwrap();
        let outside = Outside::of(&settings);
        let systems = outside.systems();
        let who = Actor {
            kube_user: "lab-admin".into(),
            os_user: "ann".into(),
            host: "here".into(),
            ..Actor::default()
        };
        let reach = Reach {
            probes: Probes::new(client.clone(), clock.read(), outside.clone()),
            hands: Hands::new(client, clock.read(), outside).with_env(environment),
            who,
        };
        let journal = tempfile::tempdir().unwrap();
        let (records, orphans) = Journal::open(journal.path()).unwrap();
        let options = Options {
            context: "lab".to_owned(),
            namespace: settings.namespace.one().cloned(),
            armed: true,
            library: library(),
            bindings: settings.bindings(),
            systems,
            orphans,
            truth: practice::truth(&lab),
            drill: Some(drill.name.clone()),
            theme: "dark".to_owned(),
            ..Options::default()
        };
        let began = clock.now();
        let (observe, observations) = mpsc::channel::<Observation>(4096);
        let (_, reach) = watch::channel(Some(reach));
        let (bell, pace) = Pace::by_hand();
        let eyes = Eyes::open_at(pace, &settings, &[], clock.read(), observe.clone()).await;
        let (answer, answers) = mpsc::channel(1024);
        let cockpit = Cockpit {
            app: App::new(options, began),
            clock: clock.read(),
            observations,
            observe,
            reach,
            arms: Some(Arc::new(Arms { armed: Armed::arm(), journal: Mutex::new(records) })),
            journal_folder: journal.path().to_owned(),
            editor: None,
        };
        Table { lab, cockpit, clock, began, journal, desk: Desk::new(answer), bell, answers, _eyes: eyes }
    }

    pub fn app(&self) -> &App {
        &self.cockpit.app
    }

    /// Since the lab began, in its own seconds.
    pub fn elapsed(&self) -> i64 {
        self.clock.now().duration_since(self.began).as_secs()
    }

    /// A second passes in the lab, and everybody has heard of it.
    pub async fn step(&mut self) {
        self.clock.advance(STEP);
        tokio::task::block_in_place(|| self.lab.step());
        self.bell.ring();
        tokio::time::sleep(if self.is_busy() { BUSY } else { REST }).await;
        self.listen();
        self.feed(Event::Tick);
    }

    fn is_busy(&self) -> bool {
        self.app().is_busy()
    }

    fn listen(&mut self) {
        let mut seen = Vec::new();
        while let Ok(observation) = self.cockpit.observations.try_recv() {
            seen.push(observation);
        }
        if !seen.is_empty() {
            self.feed(Event::Observed(seen));
        }
        while let Ok(event) = self.answers.try_recv() {
            self.feed(event);
        }
    }

    fn feed(&mut self, event: Event) {
        for effect in self.cockpit.app.update(event, self.clock.now()) {
            assert!(!matches!(effect, Effect::Quit), "the cockpit was left");
            self.desk.start(&self.cockpit, effect);
        }
    }

    pub fn press(&mut self, code: KeyCode) {
        self.feed(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    pub fn write(&mut self, text: &str) {
        for character in text.chars() {
            self.press(KeyCode::Char(character));
        }
    }
}
