//! The nodes' machines over SSH: the system's own sshd on loopback, with keys made for this lab, whose every
//! command is handed to the world. Where there is no sshd, there are no machines, and the lab says nothing of them.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::folder::Folder;
use super::moves::Moves;
use super::world::Ran;

/// How long sshd may take until somebody can log in.
const START: Duration = Duration::from_secs(5);
/// How often nodes that came or went are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// The machines that are served. Dropping it ends sshd.
pub struct Machines {
    config: PathBuf,
    _server: Child,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Serialize, Deserialize)]
struct Question {
    node: String,
    line: String,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    code: i32,
    out: String,
    err: String,
}

impl Drop for Machines {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Machines {
    /// The config file for ssh that leads to them.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Serves them; None where that cannot be done.
    pub(super) async fn serve(folder: &Folder, moves: &Moves) -> Option<Machines> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].map(Path::new);
        let sshd = sshd.into_iter().find(|path| path.is_file())?;
        let program = beside()?;
        let at = |name: &str| folder.path().join(name);
        for key in ["machine-host", "machine-key"] {
            keygen(&at(key)).await?;
        }
        let listener = UnixListener::bind(at("machines")).ok()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let settings = settings(folder, port, &program).ok()?;
        let server = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let config = at("ssh-config");
        let known = nodes(moves);
        write_config(folder, &config, port, &known).ok()?;
        let tasks = vec![
            tokio::spawn(answer(listener, moves.clone())),
            tokio::spawn(follow(
                folder.path().to_owned(),
                config.clone(),
                port,
                moves.clone(),
                known.clone(),
            )),
        ];
        let machines = Machines { config, _server: server, tasks };
        let (_, first) = known.first()?;
        machines.can_be_reached(first).await.then_some(machines)
    }

    /// Whether somebody can log in: a locked account, or a missing /run/sshd, shows only then.
    async fn can_be_reached(&self, host: &str) -> bool {
        let login = async {
            loop {
                let tried = Command::new("ssh")
                    .arg("-F")
                    .arg(&self.config)
                    .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "--", host, "true"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .kill_on_drop(true)
                    .status()
                    .await;
                if tried.is_ok_and(|status| status.success()) {
                    return;
                }
                sleep(Duration::from_millis(150)).await;
            }
        };
        timeout(START, login).await.is_ok()
    }
}

/// This program, or, in a test, the program that was built beside it.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let name = "covet-tui";
    if own.file_stem()?.to_str()? == name {
        return Some(own);
    }
    let built = own.parent()?.parent()?.join(name);
    built.is_file().then_some(built)
}

async fn keygen(path: &Path) -> Option<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "covet-lab", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    made.ok()?.success().then_some(())
}

fn nodes(moves: &Moves) -> Vec<(String, String)> {
    moves.world(|world| world.machines())
}

/// sshd's settings: one key, no passwords, no forwarding, and one command whatever is asked for.
fn settings(folder: &Folder, port: u16, program: &Path) -> io::Result<PathBuf> {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let public = std::fs::read_to_string(folder.path().join("machine-key.pub"))?;
    let keys = folder.write("machine-authorized", &public)?;
    let quoted = |path: &str| format!("'{}'", path.replace('\'', r"'\''"));
    folder.write(
        "sshd-config",
        &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv LAB_NODE\n\
             AllowTcpForwarding no\nX11Forwarding no\nAllowAgentForwarding no\nPermitRootLogin prohibit-password\n\
             MaxStartups 100\nMaxSessions 100\nForceCommand {} lab-machine {}\n",
            at("machine-host"),
            keys.display(),
            quoted(&program.display().to_string()),
            quoted(&at("machines")),
        ),
    )
}

/// ssh's settings: every node's address leads here, and says which node was meant.
fn write_config(folder: &Folder, config: &Path, port: u16, nodes: &[(String, String)]) -> io::Result<()> {
    let host = std::fs::read_to_string(folder.path().join("machine-host.pub"))?;
    let known = folder.write("machine-known", &format!("[127.0.0.1]:{port} {host}"))?;
    let text = config_text(folder.path(), &known, port, nodes);
    let name = config.file_name().and_then(|name| name.to_str()).unwrap_or("ssh-config");
    folder.write(name, &text).map(drop)
}

fn config_text(folder: &Path, known: &Path, port: u16, nodes: &[(String, String)]) -> String {
    let mut text = String::new();
    for (node, address) in nodes {
        text.push_str(&format!("Host {address} {node}\n  SetEnv LAB_NODE={node}\n"));
    }
    text.push_str(&format!(
        "Host *\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
         UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
        folder.join("machine-key").display(),
        known.display()
    ));
    text
}

/// Writes the config anew when a node joined or left.
async fn follow(folder: PathBuf, config: PathBuf, port: u16, moves: Moves, mut known: Vec<(String, String)>) {
    loop {
        sleep(LOOK).await;
        let now = nodes(&moves);
        if now == known {
            continue;
        }
        let text = config_text(&folder, &folder.join("machine-known"), port, &now);
        let fresh = folder.join("ssh-config.new");
        // The folder goes when the lab ends, maybe just now.
        if std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &config)).is_ok() {
            known = now;
        }
    }
}

/// Answers what is asked on the machines, one question per connection.
async fn answer(listener: UnixListener, moves: Moves) {
    while let Ok((socket, _)) = listener.accept().await {
        let moves = moves.clone();
        tokio::spawn(async move {
            let (read, mut write) = socket.into_split();
            let mut line = String::new();
            let read = tokio::io::BufReader::new(read).read_line(&mut line).await;
            let Ok(question) = serde_json::from_str::<Question>(&line) else { return };
            if read.is_err() {
                return;
            }
            let ran = tokio::task::spawn_blocking(move || on_machine(&moves, &question)).await;
            let Ran { code, out, err } = ran.unwrap_or_default();
            let reply = serde_json::to_vec(&Reply { code, out, err }).unwrap_or_default();
            // Whoever asked may have gone.
            let _ = write.write_all(&reply).await;
        });
    }
}

fn on_machine(moves: &Moves, question: &Question) -> Ran {
    let Some(argv) = words(&question.line) else {
        let err = "bash: syntax error: an unfinished quotation\n".to_owned();
        return Ran { code: 2, out: String::new(), err };
    };
    moves.world(|world| world.on_machine(&question.node, &argv))
}

/// A line taken apart as a shell would, without anything being expanded; None when a quotation does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            '\'' => loop {
                match characters.next()? {
                    '\'' => break,
                    other => word.push(other),
                }
            },
            '"' => loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => word.push(characters.next()?),
                    other => word.push(other),
                }
            },
            '\\' => word.push(characters.next()?),
            other => word.push(other),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    Some(words)
}

/// What sshd runs for every login: asks the lab behind `socket`, and says what it says. Gives the exit code.
///
/// # Errors
/// The lab is gone.
pub fn ask(socket: &Path) -> io::Result<u8> {
    let environment = |name: &str| std::env::var(name).unwrap_or_default();
    let line = environment("SSH_ORIGINAL_COMMAND");
    if line.is_empty() {
        io::stderr().write_all(b"This machine takes single commands only, e.g. df -h\n")?;
        return Ok(1);
    }
    let mut lab = UnixStream::connect(socket)?;
    let question = Question { node: environment("LAB_NODE"), line };
    writeln!(lab, "{}", serde_json::to_string(&question)?)?;
    lab.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    BufReader::new(lab).read_to_string(&mut text)?;
    let reply: Reply = serde_json::from_str(&text)?;
    io::stderr().write_all(reply.err.as_bytes())?;
    io::stdout().write_all(reply.out.as_bytes())?;
    io::stdout().flush()?;
    Ok(u8::try_from(reply.code).unwrap_or(255))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_a_shell_would() {
        let taken = words(r#"find /var/log -printf '%s\t%p' "a b" c\ d '' e'f'g"#).expect("words");
        assert_eq!(taken, ["find", "/var/log", "-printf", r"%s\t%p", "a b", "c d", "", "efg"]);
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("  "), Some(Vec::new()));
    }
}
