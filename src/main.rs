//! Flags in, exit code out. The only place that arms the guard, and the only one that makes a clock.

use std::process::ExitCode;

use covet_tui::cli::{Cli, Command};
use covet_tui::commands::{self, USAGE};
use covet_tui::domain::Timestamp;
use covet_tui::guard::Armed;
use covet_tui::practice;
use covet_tui::session::{self, Session, Start};
use covet_tui::terminal;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, everything else is wrong usage.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if let Err(error) = color_eyre::config::HookBuilder::default().display_env_section(false).install() {
        return commands::fail(&error.to_string(), 1);
    }
    terminal::restore_on_panic();
    covet_tui::config::tls::install_provider();
    let start = Start { connection: cli.connection, clock: now, arm };
    match cli.command {
        None => session::cockpit(&start),
        Some(Command::Drill(drill)) => practice::drill(&start, drill),
        Some(Command::Lab(lab)) => practice::lab(lab),
        Some(Command::Check(check)) => session::check(&start, &check),
        Some(Command::Doctor { rights }) => session::doctor(&start, rights),
        Some(Command::Playbooks { command }) => {
            commands::playbooks(command, || Session::load(&start).and_then(|session| session.library()))
        }
        Some(Command::Config { command }) => session::config(&start, &command),
        Some(Command::Journal { command }) => session::journal(&command),
        Some(Command::Completions { shell }) => commands::completions(shell),
        Some(Command::Man) => commands::man(),
        Some(Command::LabMachine { socket }) => practice::lab_machine(&socket),
    }
}

/// The one clock.
fn now() -> Timestamp {
    Timestamp::now()
}

/// The right to act, unless this session is read-only.
fn arm(read_only: bool) -> Option<Armed> {
    (!read_only).then(Armed::arm)
}
