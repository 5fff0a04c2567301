//! Every flag and subcommand, once: help, completions and the man page come from here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::config::Flags;

/// A terminal cockpit for incidents: sees what is wrong, says what caused it, and leads to the verified fix.
#[derive(Parser, Debug)]
#[command(
    name = "covet-tui",
    version,
    about,
    max_term_width = 100,
    after_help = "\
Without a subcommand the cockpit opens on the current kube context. Nothing is changed unless you confirm it.

Examples:
  covet-tui -n shop                  the cockpit on one namespace
  covet-tui -A --read-only           everything, and nothing can be changed
  covet-tui drill                    practise on a pretend production on this machine
  covet-tui check -o json            one look, for scripts; exit 0 clear, 1 firing, 2 cannot tell, 64 usage"
)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Subcommands that look at no cluster and have no screen: what holds for all others means nothing to them.
const APART: [&str; 5] = ["lab", "journal", "completions", "man", "lab-machine"];

impl Cli {
    /// As help, completions and the manual page tell it.
    pub fn described() -> clap::Command {
        let mut whole = Cli::command();
        let hidden: Vec<clap::Arg> = whole
            .get_arguments()
            .filter(|flag| flag.is_global_set())
            .map(|flag| flag.clone().hide(true))
            .collect();
        for name in APART {
            whole = whole.mut_subcommand(name, |apart| apart.args(&hidden));
        }
        whole
    }

    /// What this process was asked for.
    ///
    /// # Errors
    /// Wrong usage; or help and version, which are answers.
    pub fn read() -> Result<Self, clap::Error> {
        let mut described = Self::described();
        let read = described.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&read).map_err(|error| error.format(&mut described))
    }
}

/// What to look at, and how.
#[derive(Args, Debug, Default, Clone)]
pub struct Connection {
    /// Kubeconfig file [default: $KUBECONFIG, then ~/.kube/config, then the in-cluster account]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace to watch [default: the context's]
    #[arg(short, long, global = true, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Watch all namespaces
    #[arg(short = 'A', long, global = true)]
    pub all_namespaces: bool,
    /// Never change anything: no write can even be prepared [also COVET_READ_ONLY=1]
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Settings file [default: covet-tui/config.toml in the XDG configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The team's own playbooks [default: ./playbooks.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub playbooks: Option<PathBuf>,
    /// Colours: dark or light
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
}

impl Connection {
    /// As the settings take them.
    pub fn flags(&self) -> Flags {
        Flags {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            all_namespaces: self.all_namespaces,
            read_only: self.read_only,
            playbooks: self.playbooks.clone(),
            theme: self.theme.clone(),
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Practise: start a pretend production with a fault on this machine and open the cockpit on it
    Drill(DrillArgs),
    /// The pretend production alone, in the foreground, for kubectl, psql, redis-cli, curl and aws
    Lab(LabArgs),
    /// One look without a screen: incidents, evidence, causes, the suggested step, and what is blind
    Check(CheckArgs),
    /// The catalogue of playbooks, and the linter for your own
    Playbooks {
        #[command(subcommand)]
        command: PlaybooksCommand,
    },
    /// Test every connection, credential and permission, and say how to repair what fails
    Doctor {
        /// A line for each right that changes need, with the command that grants it
        #[arg(long)]
        rights: bool,
    },
    /// Every setting, its value and where it came from
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// What was done with this cockpit, by whom, and how it ended
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Print the completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
    /// What a machine of the lab runs for a login
    #[command(hide = true)]
    LabMachine { socket: PathBuf },
}

#[derive(Args, Debug)]
pub struct DrillArgs {
    /// Which drill; without it, choose from a list
    pub name: Option<String>,
    /// How many times faster things happen than in reality
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Another seed is another world: other names, another node, another rhythm
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args, Debug)]
pub struct LabArgs {
    /// A drill whose fault happens soon after the start; without it, all is well
    pub name: Option<String>,
    /// How many times faster things happen than in reality
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Another seed is another world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fill the cluster with this many pods
    #[arg(long, value_name = "N")]
    pub pods: Option<usize>,
    /// … on this many nodes
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// Pod status updates per second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 0.0)]
    pub churn: f64,
    /// Also write the kubeconfig to this file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Keep looking this long for something to fire, e.g. 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

#[derive(Subcommand, Debug)]
pub enum PlaybooksCommand {
    /// All playbooks, a line each
    List,
    /// One playbook with its steps
    Show { id: String },
    /// Lint a file of playbooks: file, line, column and what is allowed instead
    Check { file: PathBuf },
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Every setting, its value and where it came from
    Show,
    /// Write a commented settings file from what was discovered
    Init {
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
}

#[derive(Subcommand, Debug)]
pub enum JournalCommand {
    /// All entries, the latest last
    List,
    /// One entry with its preview, outcome and undo
    Show { id: String },
}

impl Default for DrillArgs {
    fn default() -> Self {
        Self { name: None, speed: 1.0, seed: 1 }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is not a duration: try 30s, 5m or 1h30m"))?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=600.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.1 to 600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_to_a_subcommand_is_not_in_its_help() {
        let mut described = Cli::described();
        described.build();
        described.clone().debug_assert();
        let help = |described: &mut clap::Command, path: &[&str]| {
            let found =
                path.iter().fold(described, |at, name| at.find_subcommand_mut(name).expect("a subcommand"));
            found.render_long_help().to_string()
        };
        for apart in [&["lab"][..], &["completions"], &["man"], &["journal", "list"]] {
            let told = help(&mut described, apart);
            assert!(!told.contains("--context") && !told.contains("--read-only"), "{told}");
        }
        for at in [&["check"][..], &["doctor"], &["drill"], &["playbooks", "check"]] {
            assert!(help(&mut described, at).contains("--read-only"), "{at:?}");
        }
        assert!(help(&mut described, &["lab"]).contains("--kubeconfig-out"));
    }

    #[test]
    fn flags_of_the_whole_are_read_before_and_after_a_subcommand() {
        for line in [&["covet-tui", "-n", "shop", "check"][..], &["covet-tui", "check", "-n", "shop"]] {
            let read = Cli::described().try_get_matches_from(line).expect("good usage");
            let cli = Cli::from_arg_matches(&read).expect("a command line");
            assert_eq!(cli.connection.namespace.as_deref(), Some("shop"));
        }
    }
}
