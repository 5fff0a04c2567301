//! Puts the rooms together for one run: settings, library, connection, eyes, screen.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use color_eyre::Result;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, mpsc, watch};

use crate::app::{App, Colours, Earlier, Options, Trouble, Truth};
use crate::cli::{CheckArgs, ConfigCommand, Connection, DrillArgs, JournalCommand, Output};
use crate::commands::{self, USAGE, fail, print};
use crate::config::{self, Outside, Settings};
use crate::domain::{Observation, Timestamp};
use crate::eyes::{self, Clients, Eyes};
use crate::guard::Armed;
use crate::hands::{self, Environment, Hands};
use crate::journal::Journal;
use crate::playbooks::Library;
use crate::probes::Probes;
use crate::rules::{Thresholds, UnknownThreshold};
use crate::run::{self, Arms, Cockpit, Ended, Reach, Signals};
use crate::terminal::Screen;
use crate::{check, practice, ui};

/// How far the eyes may run ahead of the loop before they wait.
const CHANNEL: usize = 1024;

/// What `main` hands over: the flags, the clock, and the only way to the right to act.
pub struct Start {
    pub connection: Connection,
    pub clock: fn() -> Timestamp,
    pub arm: fn(read_only: bool) -> Option<Armed>,
}

pub(crate) fn process_environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// A wrong threshold, and where it is written.
fn placed(error: &UnknownThreshold, settings: &Settings) -> String {
    let key = match error {
        UnknownThreshold::Unknown { key, .. } => key.as_str(),
        UnknownThreshold::NotANumber { key } => key,
    };
    match settings.thresholds.get(key) {
        Some(value) => format!("{}: {error}", value.from),
        None => error.to_string(),
    }
}

/// A start with its settings loaded.
pub struct Session {
    pub settings: Settings,
    thresholds: Thresholds,
    clock: fn() -> Timestamp,
    arm: fn(bool) -> Option<Armed>,
    environment: Environment,
    /// The drill that is being practised, and what is true of it.
    drill: Option<String>,
    truth: Option<Truth>,
}

impl Session {
    /// With the environment of this process. Errors are sentences.
    pub fn load(start: &Start) -> Result<Session, String> {
        Self::load_in(start, process_environment())
    }

    /// This session practises a drill.
    pub(crate) fn practising(self, drill: String, truth: Option<Truth>) -> Session {
        Session { drill: Some(drill), truth, ..self }
    }

    /// With the environment of a lab.
    pub(crate) fn load_in(start: &Start, environment: Environment) -> Result<Session, String> {
        let flags = start.connection.flags();
        let settings = config::load(&flags, &*environment, start.connection.config.as_deref())
            .map_err(|error| error.to_string())?;
        let overrides = settings.threshold_values();
        let thresholds = Thresholds::new(overrides.iter().map(|(key, value)| (key.as_str(), *value)))
            .map_err(|errors| {
                errors.iter().map(|error| placed(error, &settings)).collect::<Vec<_>>().join("\n")
            })?;
        Ok(Session {
            settings,
            thresholds,
            clock: start.clock,
            arm: start.arm,
            environment,
            drill: None,
            truth: None,
        })
    }

    /// The built-in playbooks, and the team's where there are any.
    pub fn library(&self) -> Result<Library, String> {
        let named = self.settings.playbooks.value.clone();
        let path = named.clone().unwrap_or_else(|| PathBuf::from("playbooks.toml"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if named.is_some() => return Err(format!("{}: {error}", path.display())),
            Err(_) => return Ok(Library::built_in()),
        };
        Library::with_team_file(&path.display().to_string(), &text)
            .map_err(|lints| lints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn outside(&self) -> Outside {
        Outside::of(&self.settings)
    }

    /// What was done from here before, in this context. Each drill is a world of its own.
    fn earlier(&self) -> Earlier {
        if self.drill.is_some() {
            return Earlier::default();
        }
        let records = Journal::read(&self.journal_folder()).unwrap_or_default();
        let context = self.settings.context.value.as_deref().unwrap_or_default();
        Earlier::of(&records, context, (self.clock)())
    }

    fn journal_folder(&self) -> PathBuf {
        commands::journal_folder(&*self.environment).unwrap_or_else(|| PathBuf::from(".covet-tui"))
    }
}

pub(crate) fn runtime() -> Result<Runtime, String> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime could not be started: {error}"))
}

/// The cockpit on the cluster of the kubeconfig; without one, the offer of a drill.
pub fn cockpit(start: &Start) -> ExitCode {
    let session = match Session::load(start) {
        Ok(session) => session,
        Err(error) => return fail(&error, USAGE),
    };
    match open(session) {
        Ok(Ended::Quit) => ExitCode::SUCCESS,
        Ok(Ended::Drill) => practice::drill(start, DrillArgs::default()),
        Err(code) => code,
    }
}

/// Why there is nothing to look at, if there isn't.
fn trouble(settings: &Settings) -> Option<Trouble> {
    (!settings.has_cluster()).then(|| Trouble {
        says: "There is no kubeconfig, so there is no cluster to look at.".to_owned(),
        repairs: vec![
            "give one with --kubeconfig FILE or $KUBECONFIG".to_owned(),
            "or practise on a pretend production on this machine: press d".to_owned(),
        ],
    })
}

/// One look, printed.
pub fn check(start: &Start, args: &CheckArgs) -> ExitCode {
    let session = match Session::load(start) {
        Ok(session) => session,
        Err(error) => return fail(&error, USAGE),
    };
    let library = match session.library() {
        Ok(library) => library,
        Err(error) => return fail(&error, USAGE),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let report = runtime.block_on(async {
        let (out, mut observations) = mpsc::channel(CHANNEL);
        let outside = session.outside();
        let eyes = Eyes::open(&session.settings, &library.triggers(), session.clock, out).await;
        let probes = first_client(eyes.clients())
            .await
            .map(|client| Probes::new(client, session.clock, outside.clone()));
        let look = check::Look {
            scope: session.settings.namespace.one(),
            clock: session.clock,
            thresholds: &session.thresholds,
            library: &library,
            settings: &session.settings.bindings(),
            systems: &outside.systems(),
            read_only: session.settings.read_only.value,
            deeds: session.earlier().deeds,
            probes: probes.as_ref(),
            wait: args.wait,
        };
        check::look(&look, &mut observations).await
    });
    runtime.shutdown_background();
    let text = match args.output {
        Output::Table => report.table(),
        Output::Json => serde_json::to_string_pretty(&report).unwrap_or_default(),
    };
    print(&text);
    ExitCode::from(report.verdict.exit_code())
}

/// Every connection, credential and permission.
pub fn doctor(start: &Start, rights: bool) -> ExitCode {
    let session = match Session::load(start) {
        Ok(session) => session,
        Err(error) => return fail(&error, USAGE),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let rows = runtime.block_on(eyes::doctor(&session.settings, session.clock, rights));
    runtime.shutdown_background();
    let healthy = rows.iter().all(|row| row.ok);
    print(&eyes::doctor_table(&rows));
    ExitCode::from(u8::from(!healthy))
}

pub fn config(start: &Start, command: &ConfigCommand) -> ExitCode {
    let connection = &start.connection;
    // `init` writes the file that is named; it need not be there yet.
    let unwritten = matches!(command, ConfigCommand::Init { .. })
        && connection.config.as_ref().is_some_and(|path| !path.exists());
    let config = if unwritten { None } else { connection.config.clone() };
    let loading = Start { connection: Connection { config, ..connection.clone() }, ..*start };
    match Session::load(&loading) {
        Ok(session) => {
            let file = start.connection.config.clone().or_else(|| config::usual_file(&*session.environment));
            let settings = match runtime() {
                Ok(runtime) => {
                    let found = runtime.block_on(eyes::discover(&session.settings));
                    runtime.shutdown_background();
                    found
                }
                Err(error) => return fail(&error, 1),
            };
            commands::config(command, &settings, file)
        }
        Err(error) => fail(&error, USAGE),
    }
}

pub fn journal(command: &JournalCommand) -> ExitCode {
    match commands::journal_folder(&*process_environment()) {
        Some(folder) => commands::journal(command, &folder),
        None => fail("no place for a journal: set HOME or XDG_STATE_HOME", USAGE),
    }
}

/// Takes the screen, paints the first frame, and only then looks at the network.
pub(crate) fn open(session: Session) -> Result<Ended, ExitCode> {
    let library = session.library().map_err(|error| fail(&error, USAGE))?;
    let armed = (session.arm)(session.settings.read_only.value);
    let folder = session.journal_folder();
    let (arms, orphans) = match armed {
        None => (None, Vec::new()),
        Some(armed) => {
            let (journal, orphans) = Journal::open(&folder).map_err(|error| {
                let says = format!(
                    "the journal in {} cannot be opened, so nothing could be changed: {error}\n\
                     mend it, or look only: covet-tui --read-only",
                    folder.display()
                );
                fail(&says, 1)
            })?;
            (Some(Arc::new(Arms { armed, journal: Mutex::new(journal) })), orphans)
        }
    };
    let triggers = library.triggers();
    let context = session.settings.context.value.as_deref();
    let earlier = session.earlier();
    // Whoever only looks sees what was done, and takes nothing back.
    let earlier = if arms.is_some() { earlier } else { Earlier { undos: Vec::new(), ..earlier } };
    let app = App::new(
        Options {
            context: context.unwrap_or("in cluster").to_owned(),
            namespace: session.settings.namespace.one().cloned(),
            protected: session.settings.is_protected(),
            armed: arms.is_some(),
            theme: session.settings.theme.value.clone(),
            thresholds: session.thresholds.clone(),
            library,
            bindings: session.settings.bindings(),
            systems: session.outside().systems(),
            orphans,
            earlier,
            colours: Colours::detect(&*session.environment),
            drill: session.drill.clone(),
            truth: session.truth.clone(),
            trouble: trouble(&session.settings),
        },
        (session.clock)(),
    );
    let runtime = runtime().map_err(|error| fail(&error, 1))?;
    let signals = {
        let _within = runtime.enter();
        Signals::listen().map_err(|error| fail(&format!("{error:?}"), 1))?
    };
    let mut screen =
        Screen::take(session.settings.mouse.value).map_err(|error| fail(&error.to_string(), 1))?;
    screen.draw(|frame| ui::view(&app, frame)).map_err(|error| fail(&error.to_string(), 1))?;

    let ended = runtime.block_on(async {
        let (observe, observations) = mpsc::channel::<Observation>(CHANNEL);
        let (reached, reach) = watch::channel(None);
        let clock = session.clock;
        let editor = (session.environment)("VISUAL").or_else(|| (session.environment)("EDITOR"));
        let mut eyes = None;
        if session.settings.has_cluster() {
            let opened = Eyes::open(&session.settings, &triggers, clock, observe.clone()).await;
            tokio::spawn(connect(session, opened.clients(), reached));
            eyes = Some(opened);
        }
        let cockpit =
            Cockpit { app, clock, observations, observe, reach, arms, journal_folder: folder, editor };
        let ended = run::run(cockpit, &mut screen, signals).await;
        drop(eyes);
        ended
    });
    drop(screen);
    runtime.shutdown_background();
    ended.map_err(|error| fail(&format!("{error:?}"), 1))
}

/// The eyes' first way to the API server; None when there is none, or none in time.
async fn first_client(mut clients: Clients) -> Option<kube::Client> {
    let waiting = clients.wait_for(Option::is_some);
    let connected = tokio::time::timeout(config::plugin::PATIENCE, waiting).await.ok()?.ok()?;
    connected.as_ref()?.as_ref().ok().cloned()
}

/// Reads on demand and hands go the eyes' way to the API server, and change to a new one with them.
async fn connect(session: Session, mut clients: Clients, reached: watch::Sender<Option<Reach>>) {
    let context = session.settings.context.value.clone().unwrap_or_default();
    let mut hands: Option<Hands> = None;
    let outside = session.outside();
    loop {
        let connected = clients.borrow_and_update().clone();
        if let Some(Ok(client)) = connected {
            let who = hands::actor(Some(client.clone()), &context, &*session.environment).await;
            let ours = match hands.take() {
                Some(hands) => hands.through(client.clone()),
                None => first_hands(&session, client.clone(), outside.clone()),
            };
            hands = Some(ours.clone());
            let probes = Probes::new(client.clone(), session.clock, outside.clone());
            // A connection that is open already still answers when no slot is left.
            let early = outside.clone();
            tokio::spawn(async move { drop(early.database_session(Some(client)).await) });
            if reached.send(Some(Reach { probes, hands: ours, who })).is_err() {
                return;
            }
        }
        if clients.changed().await.is_err() {
            return;
        }
    }
}

fn first_hands(session: &Session, client: kube::Client, outside: Outside) -> Hands {
    let environment = session.environment.clone();
    let hands = Hands::new(client, session.clock, outside).with_env(move |name| environment(name));
    match &session.settings.context.value {
        Some(context) if session.settings.is_protected() => hands.protecting(context.clone()),
        _ => hands,
    }
}
