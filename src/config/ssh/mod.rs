//! The way to a node's machine: the system's own `ssh`, with its agent, its known hosts and its config file.
//! A connection is opened for one read or one change, in a private folder, and closed after it; nothing ever
//! prompts. It knows no action: what runs on the machine is handed to it as words.

mod commands;
mod folder;
mod tunnel;
mod words;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use openssh::Session;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::ConnectError;
use crate::domain::{BlindKind, MachineCommand, shell_quote, text};
pub use commands::is_look;
use folder::Folder;
pub(super) use tunnel::TunnelEnd;
use words::Hints;

/// How machines are reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ssh {
    /// None: as ssh's own config file says.
    pub user: Option<String>,
    pub port: Option<u16>,
    /// Read instead of `~/.ssh/config`.
    pub config: Option<PathBuf>,
    /// `[user@]host[:port]`, several separated by commas.
    pub jump: Option<String>,
    pub address: AddressOf,
}

/// Which of a node's addresses is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AddressOf {
    #[default]
    Internal,
    External,
    Hostname,
    /// The node's name.
    Name,
}

/// TCP and the handshake of each hop.
const CONNECT: Duration = Duration::from_secs(8);
/// All hops and the login together.
const LOGIN: Duration = Duration::from_secs(20);
/// A connection nobody uses ends by itself after this long, whatever became of us.
const IDLE_SECONDS: u32 = 30;
/// Bytes of output that are kept.
const OUTPUT: u64 = 1 << 20;

/// An open connection to one machine.
#[derive(Debug)]
pub struct Machine {
    session: Option<Session>,
    folder: Folder,
    host: String,
    is_root: bool,
}

/// What a command came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Why there is no result of a command. It may have run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoResult {
    pub says: String,
    pub repair: Option<String>,
}

impl AddressOf {
    pub const ALL: [(&'static str, AddressOf); 4] = [
        ("internal", AddressOf::Internal),
        ("external", AddressOf::External),
        ("hostname", AddressOf::Hostname),
        ("name", AddressOf::Name),
    ];

    pub fn parse(name: &str) -> Option<AddressOf> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, of)| *of)
    }

    /// The `type` of an address in a node's status; None for its name.
    pub fn kind(self) -> Option<&'static str> {
        match self {
            AddressOf::Internal => Some("InternalIP"),
            AddressOf::External => Some("ExternalIP"),
            AddressOf::Hostname => Some("Hostname"),
            AddressOf::Name => None,
        }
    }
}

impl Ssh {
    /// The address of a node's machine, of the kind that the settings choose.
    ///
    /// # Errors
    /// The node has none of that kind.
    pub fn address(&self, node: &str, object: &Value) -> Result<String, ConnectError> {
        let Some(kind) = self.address.kind() else { return Ok(node.to_owned()) };
        let addresses = object.pointer("/status/addresses").and_then(Value::as_array);
        let addresses = addresses.map_or(&[][..], Vec::as_slice);
        let text = |address: &Value, name: &str| {
            address.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let of_kind = addresses.iter().find(|address| text(address, "type") == kind);
        of_kind.map(|address| text(address, "address")).ok_or_else(|| {
            let has: Vec<String> = addresses.iter().map(|address| text(address, "type")).collect();
            let why = format!("node {node} has no {kind}; it has {}", has.join(", "));
            ConnectError::new(BlindKind::Broken, why, "choose another with [ssh] address")
        })
    }

    /// The words before a command, for a person to paste: `ssh -p 2222 ec2-user@10.0.0.7`.
    pub fn as_command(&self, host: &str) -> String {
        let mut line = String::from("ssh");
        if let Some(config) = &self.config {
            line.push_str(&format!(" -F {}", shell_quote(&config.display().to_string())));
        }
        if let Some(port) = self.port {
            line.push_str(&format!(" -p {port}"));
        }
        if let Some(jump) = &self.jump {
            line.push_str(&format!(" -J {}", shell_quote(jump)));
        }
        match &self.user {
            Some(user) => line.push_str(&format!(" {}", shell_quote(&format!("{user}@{host}")))),
            None => line.push_str(&format!(" {}", shell_quote(host))),
        }
        line
    }

    /// Opens a connection. Takes 20 s at most.
    ///
    /// # Errors
    /// Why not, and what would mend it: an unknown or changed host key, a refused login, silence.
    pub async fn connect(&self, host: &str) -> Result<Machine, ConnectError> {
        if !is_host(host) {
            let why = format!("`{}` is no address to connect to", text::clean(host));
            return Err(ConnectError::new(
                BlindKind::Broken,
                why,
                "see the node's addresses, or [ssh] address",
            ));
        }
        let folder = Folder::new(self.config.as_deref()).map_err(|error| no_folder(&error))?;
        let mut master = self.log_in(host, &folder).map_err(|error| words::spawning(&error))?;
        match timeout(LOGIN, master.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(_)) => return Err(self.explain(host, &folder).await),
            Ok(Err(error)) => return Err(words::spawning(&error)),
            Err(_) => {
                let why =
                    format!("{host} takes the connection and then stays silent for {}", text::span(LOGIN));
                let repair = "the machine may hang: look at its console, or replace it";
                return Err(ConnectError::new(BlindKind::Unreachable, why, repair));
            }
        }
        let session = Session::resume(folder.socket().into_boxed_path(), None);
        let mut machine = Machine { session: Some(session), folder, host: host.to_owned(), is_root: false };
        machine.is_root = match self.user.as_deref() {
            Some(user) => user == "root",
            None => machine.look(&["id", "-u"], CONNECT).await.is_ok_and(|ran| ran.out.trim() == "0"),
        };
        Ok(machine)
    }

    /// Why there is no connection. A connection that is meant to stay keeps the words of hosts on the way to
    /// itself: one more attempt, in the foreground, hears them.
    async fn explain(&self, host: &str, folder: &Folder) -> ConnectError {
        let log = folder.log();
        if log.contains("UNKNOWN port")
            && let Ok(mut again) = self.command(folder)
            && let Ok(mut again) = again.args(["-o", "ControlPath=none", "--", host, "true"]).spawn()
        {
            let _ = timeout(LOGIN, again.wait()).await;
            return words::refused(&folder.log(), self, host, &Hints::NODE);
        }
        words::refused(&log, self, host, &Hints::NODE)
    }

    /// Starts a connection that stays. It goes into the background once it is logged in; its end until then is
    /// the answer.
    fn log_in(&self, host: &str, folder: &Folder) -> std::io::Result<Child> {
        let mut ssh = self.command(folder)?;
        let background = format!("ControlPersist={IDLE_SECONDS}");
        ssh.args(["-M", "-N", "-f", "-o", &background, "-S"]).arg(folder.socket()).arg("--").arg(host);
        ssh.spawn()
    }

    /// ssh with these settings, silent, and killed on drop; what is yet to be said is where it goes.
    fn command(&self, folder: &Folder) -> std::io::Result<Command> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(folder.config());
        if let Some(user) = &self.user {
            ssh.arg("-l").arg(user);
        }
        if let Some(port) = self.port {
            ssh.args(["-p", &port.to_string()]);
        }
        if let Some(jump) = &self.jump {
            ssh.arg("-J").arg(jump);
        }
        // Its words are read by us, and nothing may ask a person: neither on the screen nor in a window.
        ssh.env("LC_ALL", "C").env("SSH_ASKPASS_REQUIRE", "never").env_remove("SSH_ASKPASS");
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(folder.log_file()?).kill_on_drop(true);
        Ok(ssh)
    }
}

impl Machine {
    /// The address that was connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Logged in as root: nothing needs sudo.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// Runs a command that only looks.
    ///
    /// # Errors
    /// No connection any more, no answer in time, or a command that does more than look.
    pub async fn look(&self, argv: &[&str], within: Duration) -> Result<Ran, NoResult> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        self.look_at(&MachineCommand { argv, as_root: false }, within).await
    }

    /// The same as root.
    ///
    /// # Errors
    /// As for [`Machine::look`]; and when sudo asks for a password.
    pub async fn look_as_root(&self, argv: &[&str], within: Duration) -> Result<Ran, NoResult> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        self.look_at(&MachineCommand { argv, as_root: true }, within).await
    }

    /// The same for a command that an action names.
    ///
    /// # Errors
    /// As for [`Machine::look`].
    pub async fn look_at(&self, command: &MachineCommand, within: Duration) -> Result<Ran, NoResult> {
        if !is_look(&command.argv) {
            let says = format!("`{command}` is not known to change nothing");
            return Err(NoResult { says, repair: None });
        }
        self.send(command, within).await
    }

    /// Runs a command that changes the machine: for hands alone.
    ///
    /// # Errors
    /// As for [`Machine::look`]. The command may have run, or may still be running.
    pub async fn run(&self, command: &MachineCommand, within: Duration) -> Result<Ran, NoResult> {
        self.send(command, within).await
    }

    async fn send(&self, command: &MachineCommand, within: Duration) -> Result<Ran, NoResult> {
        let words = command.words(self.is_root);
        let line = command.line(self.is_root);
        let ran = match timeout(within, self.exchange(&words)).await {
            Ok(Ok(ran)) => ran,
            // Its code for a program that is not there is an answer.
            Ok(Err(openssh::Error::Remote(error))) if error.kind() == std::io::ErrorKind::NotFound => {
                Ran { code: 127, out: String::new(), err: "command not found".into() }
            }
            Ok(Err(openssh::Error::Disconnected | openssh::Error::RemoteProcessTerminated)) => {
                return Err(NoResult {
                    says: format!("the connection to {} was lost during `{line}`", self.host),
                    repair: Some("look at it again".into()),
                });
            }
            Ok(Err(error)) => {
                let says = format!("`{line}` could not be sent to {}: {}", self.host, whole(&error));
                return Err(NoResult { says, repair: None });
            }
            Err(_) => {
                return Err(NoResult {
                    says: format!("`{line}` on {} gave no answer within {}", self.host, text::span(within)),
                    repair: Some("the machine may be too busy: try again, or look at its console".into()),
                });
            }
        };
        words::of_sudo(&ran, &self.host).map_or(Ok(ran), Err)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where words go to a machine")]
    async fn exchange(&self, words: &[String]) -> Result<Ran, openssh::Error> {
        let (Some(session), Some((program, arguments))) = (&self.session, words.split_first()) else {
            return Err(openssh::Error::Disconnected);
        };
        let mut command = session.command(program.as_str());
        command.args(arguments);
        command.stdin(openssh::Stdio::null());
        command.stdout(openssh::Stdio::piped()).stderr(openssh::Stdio::piped());
        let mut child = command.spawn().await?;
        let (out, err) = (child.stdout().take(), child.stderr().take());
        let (out, err) = tokio::join!(bounded(out), bounded(err));
        let status = child.wait().await?;
        Ok(Ran { code: status.code().unwrap_or(-1), out, err })
    }

    /// Ends the connection, and removes its folder.
    pub async fn close(mut self) {
        if let Some(session) = self.session.take() {
            // What is left of it ends by itself when it has been idle.
            let _ = timeout(Duration::from_secs(2), session.close()).await;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.session.take().is_some() {
            // Called off on the way: told without waiting for it.
            folder::tell_to_end(&self.folder.socket());
        }
    }
}

impl Ran {
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// Its last words, for a person.
    pub fn complaint(&self) -> String {
        let said = [&self.err, &self.out]
            .into_iter()
            .find_map(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned));
        let said = said.unwrap_or_else(|| format!("exit code {}, without a word", self.code));
        text::redact(&text::clean(&said))
    }
}

impl std::fmt::Display for NoResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repair {
            Some(repair) => write!(f, "{}; {repair}", self.says),
            None => f.write_str(&self.says),
        }
    }
}

/// Reads to the end, keeps the beginning: a full pipe would stop the command.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(OUTPUT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn no_folder(error: &std::io::Error) -> ConnectError {
    let why = format!("no private folder for ssh's settings and words: {error}");
    ConnectError::new(BlindKind::Broken, why, "make $XDG_RUNTIME_DIR or /tmp writable")
}

/// An address or a name, and never an option of ssh.
pub(super) fn is_host(host: &str) -> bool {
    let fits = |character: char| character.is_ascii_alphanumeric() || ".-_:".contains(character);
    !host.is_empty() && !host.starts_with('-') && host.len() < 254 && host.chars().all(fits)
}

fn whole(error: &dyn std::error::Error) -> String {
    let mut says = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        says.push_str(&format!(": {cause}"));
        inner = cause.source();
    }
    text::redact(&text::clean(&says))
}
