//! The only room that changes the world, one file per outside system. Each change consumes an Entry.
//! Must not know the screen, nor decide anything: a person did.

mod actor;

pub use actor::actor;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::{Action, Timestamp};
use crate::guard::{Armed, Preview, Refusal, Undo};
use crate::journal::{Ending, Entry, Outcome};

/// Hands on the outside systems.
#[derive(Clone)]
pub struct Hands {
    #[expect(dead_code, reason = "the verbs follow")]
    client: kube::Client,
    clock: fn() -> Timestamp,
    /// Shown as a hazard before every change (guard g8).
    protected: Option<String>,
}

impl Hands {
    pub fn new(client: kube::Client, clock: fn() -> Timestamp) -> Hands {
        Hands { client, clock, protected: None }
    }

    /// The context is a protected one (production): every change says so and is confirmed by name.
    #[must_use]
    pub fn protecting(self, context: impl Into<String>) -> Hands {
        Hands { protected: Some(context.into()), ..self }
    }

    /// What would happen: the server's dry run, the exact targets, the hazards. Changes nothing.
    pub async fn preview(&self, armed: &Armed, action: Action, now: Timestamp) -> Result<Preview, Refusal> {
        let _ = (armed, now, &self.protected);
        Err(Refusal::new(format!("{} is not possible yet", action.as_command())))
    }

    /// The same for a way back, which is refused when somebody moved the object since.
    pub async fn preview_undo(&self, armed: &Armed, undo: &Undo, now: Timestamp) -> Result<Preview, Refusal> {
        self.preview(armed, undo.action.clone(), now).await
    }

    /// Does it. Never longer than the action's own patience; `cancel` stops waiting, not what was sent.
    pub async fn perform(
        &self,
        entry: Entry,
        progress: mpsc::Sender<String>,
        cancel: CancellationToken,
    ) -> Outcome {
        let _ = (progress, cancel);
        Outcome {
            entry: entry.id().clone(),
            action: entry.warrant().action().clone(),
            result: Ending::Refused(Refusal::new("not possible yet"), None),
            at: (self.clock)(),
            undo: None,
            progress: Vec::new(),
        }
    }
}
