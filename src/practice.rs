//! The lab on this machine: alone, or with a drill and the cockpit on it. Choosing a drill.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt as _;

use crate::app::picker::{Choice, Item, Picker};
use crate::app::{Truth, Worse};
use crate::cli::{DrillArgs, LabArgs};
use crate::commands::{USAGE, fail, print};
use crate::domain::shell_quote;
use crate::hands::Environment;
use crate::lab;
use crate::run::{self, Signals};
use crate::session::{Session, Start, open, process_environment, runtime};
use crate::terminal::Screen;
use crate::ui;

/// The lab with a fault, and the cockpit on it; without a name, a list to choose from.
pub fn drill(start: &Start, drill: DrillArgs) -> ExitCode {
    let name = match drill.name {
        Some(name) => name,
        None => {
            match pick(vec!["A pretend production on this machine. Choose what goes wrong:".to_owned()]) {
                Ok(Some(name)) => name,
                Ok(None) => return ExitCode::SUCCESS,
                Err(error) => return fail(&error, USAGE),
            }
        }
    };
    let options = lab::Options {
        drill: Some(name.clone()),
        speed: drill.speed,
        seed: drill.seed,
        machines: true,
        ..lab::Options::default()
    };
    // Its own threads: a busy pretend production must not make the screen wait.
    let lab_runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let lab = match lab_runtime.block_on(lab::start(options)) {
        Ok(lab) => lab,
        Err(error) => return fail(&error.to_string(), USAGE),
    };
    let mut connection = start.connection.clone();
    connection.kubeconfig = None;
    connection.context = None;
    let start = Start { connection, clock: start.clock, arm: start.arm };
    let ended = match Session::load_in(&start, environment_of(&lab)) {
        Ok(session) => {
            open(session.practising(name, truth(&lab))).map_or_else(|code| code, |_| ExitCode::SUCCESS)
        }
        Err(error) => fail(&error, USAGE),
    };
    lab_runtime.block_on(lab.stop());
    lab_runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// What a machine of the lab runs for a login: asks the lab behind `socket`.
pub fn lab_machine(socket: &Path) -> ExitCode {
    match lab::ssh::ask(socket) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&format!("the lab is gone: {error}"), 255),
    }
}

/// What is true of the drill, as plain values: the cockpit never sees the lab itself.
pub fn truth(lab: &lab::Lab) -> Option<Truth> {
    let drill = lab.drill()?;
    let worse = drill.worse.iter();
    Some(Truth {
        title: drill.title.clone(),
        story: drill.story.clone(),
        strikes: lab.world(|world| world.strikes_at()).unwrap_or_default(),
        rule: drill.root.rule.clone(),
        object: drill.root.object.clone(),
        causes: drill.root.is.clone(),
        root: drill.root.cause.clone(),
        fixes: drill.fixes.iter().map(|fix| fix.says.clone()).collect(),
        worse: worse
            .filter_map(|step| Some(Worse { says: step.says.clone(), does: step.does.clone()? }))
            .collect(),
    })
}

/// What the cockpit may know in a drill: the lab, the person and the terminal, never the clusters, databases
/// and settings that this shell points at.
fn environment_of(lab: &lab::Lab) -> Environment {
    let served: BTreeMap<String, String> =
        lab.env().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let own = process_environment();
    Arc::new(move |name| match name {
        "HOME" | "XDG_STATE_HOME" | "COVET_READ_ONLY" | "USER" | "TERM" | "NO_COLOR" | "COLORTERM"
        | "TMUX" | "VISUAL" | "EDITOR" | "COVET_THEME" | "COVET_MOUSE" => own(name),
        // Nothing of the person's own settings, and nothing of their account at AWS.
        "COVET_CONFIG" | "AWS_CONFIG_FILE" => Some("/dev/null".to_owned()),
        // In a drill nobody's own token is wanted, and one that the lab's registry takes is at hand.
        "GITHUB_TOKEN" => Some(lab::registry::TOKEN.to_owned()),
        _ => served.get(name).cloned(),
    })
}

/// The lab alone, in the foreground, until a signal ends it.
pub fn lab(args: LabArgs) -> ExitCode {
    let options = lab::Options {
        drill: args.name,
        speed: args.speed,
        seed: args.seed,
        pods: args.pods,
        nodes: args.nodes,
        churn: args.churn,
        machines: true,
        kubeconfig_out: args.kubeconfig_out,
        ..lab::Options::default()
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    runtime.block_on(async {
        let lab = match lab::start(options).await {
            Ok(lab) => lab,
            Err(error) => return fail(&error.to_string(), USAGE),
        };
        let exports: String =
            lab.env().iter().map(|(name, value)| format!("export {name}={}\n", shell_quote(value))).collect();
        let others = format!(
            "# the same as somebody with the role view, or edit:\n# export KUBECONFIG={}\n# export KUBECONFIG={}\n",
            shell_quote(&lab.view_kubeconfig().to_string_lossy()),
            shell_quote(&lab.edit_kubeconfig().to_string_lossy()),
        );
        let printed = print(&format!("{exports}{others}"));
        run::until_signalled().await;
        lab.stop().await;
        printed
    })
}

/// Lets a person choose a drill; None when they leave.
fn pick(intro: Vec<String>) -> Result<Option<String>, String> {
    let items = lab::drills()
        .iter()
        .map(|drill| Item {
            name: drill.name.clone(),
            group: drill.playbook.clone(),
            title: drill.title.clone(),
            story: drill.story.clone(),
        })
        .collect();
    let mut picker = Picker::new(intro, items);
    let runtime = runtime()?;
    let signals = {
        let _within = runtime.enter();
        Signals::listen().map_err(|error| error.to_string())?
    };
    let mut screen = Screen::take(false).map_err(|error| error.to_string())?;
    let chosen = runtime.block_on(choose(&mut picker, &mut screen, signals));
    runtime.shutdown_background();
    chosen
}

async fn choose(
    picker: &mut Picker,
    screen: &mut Screen,
    mut signals: Signals,
) -> Result<Option<String>, String> {
    let mut signalled = std::pin::pin!(signals.received(false));
    screen.draw(|frame| ui::picker::view(picker, frame)).map_err(|error| error.to_string())?;
    let mut input = EventStream::new();
    loop {
        tokio::select! {
            () = &mut signalled => return Ok(None),
            event = input.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => match picker.update(key) {
                    Choice::Open => {}
                    Choice::Chosen(name) => return Ok(Some(name)),
                    Choice::Left => return Ok(None),
                },
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(None),
            },
        }
        screen.draw(|frame| ui::picker::view(picker, frame)).map_err(|error| error.to_string())?;
    }
}
