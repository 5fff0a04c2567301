//! The private folder of one connection: its socket, ssh's settings and ssh's words. It goes with it.
//! It knows what must hold for every connection, and no machine.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What holds whatever the person's own settings say, for the machine and for every host on the way to it:
/// nothing asks, no key is believed that was not known before, nothing waits for ever. The first value wins.
const ALWAYS: &str = "\
BatchMode yes
StrictHostKeyChecking yes
UpdateHostKeys no
ConnectTimeout 8
ConnectionAttempts 1
ServerAliveInterval 5
ServerAliveCountMax 3
NumberOfPasswordPrompts 0
ForwardAgent no
ForwardX11 no
PermitLocalCommand no
RemoteCommand none
RequestTTY no
";

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// With a config file that includes the person's own: `theirs`, or the usual ones.
    pub(super) fn new(theirs: Option<&Path>) -> io::Result<Self> {
        let folder = Self(base().join(format!("covet-ssh-{:016x}", fastrand::u64(..))));
        DirBuilder::new().mode(0o700).create(&folder.0)?;
        let mut config = String::from(ALWAYS);
        match theirs {
            Some(path) => {
                let path = std::path::absolute(path)?;
                config.push_str(&format!("Include \"{}\"\n", path.display()));
            }
            None => config.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"),
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.config())?;
        file.write_all(config.as_bytes())?;
        Ok(folder)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join("config")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    pub(super) fn log_file(&self) -> io::Result<Stdio> {
        Ok(File::create(self.0.join("log"))?.into())
    }

    /// What ssh said.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.0.join("log")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may have been tidied up already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tells the connection behind a socket to end, without waiting for it.
pub(super) fn tell_to_end(socket: &Path) {
    let mut ssh = Command::new("ssh");
    ssh.arg("-S").arg(socket).args(["-O", "exit", "none"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends by itself when it has been idle, so a failure here is no loss; a local socket answers at once.
    let _ = ssh.status();
}

/// Short, since a socket's path may have a hundred characters only.
fn base() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = runtime.filter(|path| path.is_absolute() && path.is_dir() && path.as_os_str().len() < 40);
    usable.unwrap_or_else(|| {
        let temporary = std::env::temp_dir();
        if temporary.as_os_str().len() < 40 { temporary } else { PathBuf::from("/tmp") }
    })
}
