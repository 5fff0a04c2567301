//! The subcommands that print and end.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Cli, ConfigCommand, JournalCommand, PlaybooksCommand};
use crate::config::{self, Settings};
use crate::journal::{self, Journal};
use crate::playbooks::{self, Library};

/// Wrong usage or a broken configuration (EX_USAGE of sysexits).
pub const USAGE: u8 = 64;

/// Prints to standard output. A reader that left early is no error.
pub fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    let ended = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(ended.as_bytes()))
        .and_then(|()| out.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints to standard error and ends with this code.
pub fn fail(text: &str, code: u8) -> ExitCode {
    let mut out = io::stderr().lock();
    let mark = if io::stderr().is_terminal() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let _ = writeln!(out, "{mark} {text}");
    ExitCode::from(code)
}

pub fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::described(), "covet-tui", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub fn man() -> ExitCode {
    let mut page = Vec::new();
    match clap_mangen::Man::new(Cli::described()).render(&mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => fail(&error.to_string(), 1),
    }
}

pub fn playbooks(command: PlaybooksCommand, library: impl FnOnce() -> Result<Library, String>) -> ExitCode {
    match command {
        PlaybooksCommand::Check { file } => check_playbooks(&file),
        PlaybooksCommand::List => match library() {
            Ok(library) => print(&playbooks::listing(&library)),
            Err(error) => fail(&error, USAGE),
        },
        PlaybooksCommand::Show { id } => match library() {
            Ok(library) => match library.get(&id) {
                Some(playbook) => print(&playbooks::card(playbook)),
                None => fail(
                    &format!("no playbook is called `{id}`; `covet-tui playbooks list` shows all"),
                    USAGE,
                ),
            },
            Err(error) => fail(&error, USAGE),
        },
    }
}

fn check_playbooks(file: &Path) -> ExitCode {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return fail(&format!("{}: {error}", file.display()), USAGE),
    };
    let lints = playbooks::lint(&file.display().to_string(), &text);
    if lints.is_empty() {
        return print(&format!("{}: no complaints", file.display()));
    }
    let lines: Vec<String> = lints.iter().map(ToString::to_string).collect();
    print(&lines.join("\n"));
    ExitCode::from(1)
}

pub fn config(command: &ConfigCommand, settings: &Settings, file: Option<PathBuf>) -> ExitCode {
    match command {
        ConfigCommand::Show => {
            let rows = config::table(settings);
            let wide = |column: fn(&(String, String, config::Source)) -> usize| {
                rows.iter().map(column).max().unwrap_or(0)
            };
            let (keys, values) =
                (wide(|row| row.0.chars().count()), wide(|row| row.1.chars().count()).min(60));
            let lines: Vec<String> = rows
                .iter()
                .map(|(key, value, from)| format!("{key:<keys$}  {value:<values$}  {from}"))
                .collect();
            print(&lines.join("\n"))
        }
        ConfigCommand::Init { force } => {
            let Some(path) = file else {
                return fail("no place for a settings file: set HOME or give --config FILE", USAGE);
            };
            if path.exists() && !force {
                return fail(&format!("{} exists; --force overwrites it", path.display()), USAGE);
            }
            let written = path
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&path, config::commented_file(settings)));
            match written {
                Ok(()) => print(&format!("wrote {}", path.display())),
                Err(error) => fail(&format!("{}: {error}", path.display()), 1),
            }
        }
    }
}

pub fn journal(command: &JournalCommand, folder: &Path) -> ExitCode {
    let records = match Journal::read(folder) {
        Ok(records) => records,
        Err(error) => {
            return fail(&format!("the journal in {} cannot be read: {error}", folder.display()), 1);
        }
    };
    match command {
        JournalCommand::List if records.is_empty() => {
            print("the journal is empty: nothing was done with this cockpit yet")
        }
        JournalCommand::List => print(&journal::list(&records).join("\n")),
        JournalCommand::Show { id } => match journal::show(&records, id) {
            Ok(lines) => print(&lines.join("\n")),
            Err(error) => fail(&error, USAGE),
        },
    }
}

/// Where the journal lives: `covet-tui` in the XDG state directory.
pub fn journal_folder(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let base = match env("XDG_STATE_HOME").filter(|path| Path::new(path).is_absolute()) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env("HOME")?).join(".local/state"),
    };
    Some(base.join("covet-tui"))
}
