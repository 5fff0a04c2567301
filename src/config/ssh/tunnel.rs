//! Bytes to an address that another machine reaches: `ssh -W`, by the system's own ssh. It knows no protocol that
//! is spoken on it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Join;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::folder::Folder;
use super::words::{self, Hints};
use super::{Ssh, no_folder};
use crate::config::ConnectError;
use crate::domain::BlindKind;

/// How long ssh may take to end once its stream has.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A stream through a machine.
pub type Tunnel = Join<ChildStdout, ChildStdin>;

/// What became of a tunnel, for whoever no longer holds its stream. The tunnel's ssh is killed with the last of
/// both.
#[derive(Clone)]
pub struct TunnelEnd(Arc<Carrier>);

struct Carrier {
    child: Mutex<Child>,
    folder: Folder,
    ssh: Ssh,
    machine: String,
    target: String,
}

impl Ssh {
    /// A stream through `machine` to `target`, a `host:port` that the machine resolves, and who tells of its end.
    /// Nobody is asked anything, and no key is believed that was not known before. Whether it leads there is known
    /// when something is said on it.
    ///
    /// # Errors
    /// ssh could not be started.
    pub fn tunnel(&self, machine: &str, target: &str) -> Result<(Tunnel, TunnelEnd), ConnectError> {
        let folder = Folder::new(self.config.as_deref()).map_err(|error| no_folder(&error))?;
        let spawning = |error: std::io::Error| words::spawning(&error);
        let mut command = self.command(&folder).map_err(spawning)?;
        // Of its own: a connection that others share would end with them, or outlive us.
        command.args(["-o", "ControlPath=none", "-W", target, "--", machine]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(spawning)?;
        let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
            let why = "ssh was started without its pipes";
            return Err(ConnectError::new(BlindKind::Broken, why, "try again"));
        };
        let (machine, target) = (machine.to_owned(), target.to_owned());
        let carrier = Carrier { child: Mutex::new(child), folder, ssh: self.clone(), machine, target };
        Ok((tokio::io::join(output, input), TunnelEnd(Arc::new(carrier))))
    }
}

impl TunnelEnd {
    /// Why it ended, when that was ssh's doing. None when it still stands, or the far side closed it.
    pub async fn why(&self) -> Option<ConnectError> {
        let Carrier { child, folder, ssh, machine, target } = &*self.0;
        let ended = timeout(LAST_WORDS, async { child.lock().await.wait().await }).await;
        match ended {
            Ok(Ok(status)) if !status.success() => {
                let log = folder.log();
                let error = words::not_forwarded(&log, machine, target)
                    .unwrap_or_else(|| words::refused(&log, ssh, machine, &Hints::TUNNEL));
                let why = format!("no SSH tunnel through {machine}: {}", error.why);
                Some(ConnectError { why, ..error })
            }
            _ => None,
        }
    }
}
