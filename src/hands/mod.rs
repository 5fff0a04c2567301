//! The only room that changes the world, one file per outside system. Each change consumes an Entry.
//! Must not know the screen, nor decide anything: a person did.

mod actor;
mod alerting;
mod aws;
mod difference;
mod done;
mod hazards;
mod kept;
mod kubernetes;
mod machine;
mod permission;
mod postgres;
mod redis;
mod script;
mod task;

pub use actor::actor;
pub use task::Patience;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use done::Done;

use crate::config::Outside;
use crate::domain::{Action, Effect, Timestamp};
use crate::guard::{Armed, Draft, Preview, Refusal, Undo};
use crate::journal::{Entry, Outcome};
use crate::probes::cluster::Cluster;

/// Environment variables, of this process or of a lab.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Hands on the outside systems.
#[derive(Clone)]
pub struct Hands {
    cluster: Cluster,
    clock: fn() -> Timestamp,
    outside: Outside,
    /// Reads the environment at the moment of acting, for tokens.
    env: Environment,
    /// Shown as a hazard before every change (guard g8).
    protected: Option<String>,
    patience: Patience,
    kept: kept::Kept,
}

impl Hands {
    pub fn new(client: kube::Client, clock: fn() -> Timestamp, outside: Outside) -> Hands {
        Hands {
            cluster: Cluster::new(client),
            clock,
            outside,
            env: Arc::new(|name| std::env::var(name).ok()),
            protected: None,
            patience: Patience::default(),
            kept: kept::Kept::default(),
        }
    }

    /// The same hands on a connection with new credentials; what they keep, they keep.
    #[must_use]
    pub fn through(self, client: kube::Client) -> Hands {
        Hands { cluster: Cluster::new(client).within(self.patience.call), ..self }
    }

    /// The context is a protected one (production): every change says so and is confirmed by name.
    #[must_use]
    pub fn protecting(self, context: impl Into<String>) -> Hands {
        Hands { protected: Some(context.into()), ..self }
    }

    /// With other limits to how long to wait.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Hands {
        Hands { cluster: self.cluster.within(patience.call), patience, ..self }
    }

    /// With another way to read the environment.
    #[must_use]
    pub fn with_env(self, env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Hands {
        Hands { env: Arc::new(env), ..self }
    }

    /// What would happen: the server's dry run, the exact targets, the hazards. Changes nothing.
    pub async fn preview(&self, armed: &Armed, action: Action, now: Timestamp) -> Result<Preview, Refusal> {
        Ok(armed.seal(self.draft(action, now).await?))
    }

    async fn draft(&self, action: Action, now: Timestamp) -> Result<Draft, Refusal> {
        if action.effect() == Effect::Read {
            return Err(Refusal::new("a read needs no hands"));
        }
        let system = action.system();
        if !self.outside.systems().contains(&system) {
            let says = format!("{} is not configured", system.as_str());
            return Err(Refusal::new(says).repair(system.configure()));
        }
        match action {
            Action::Postgres(sql) => postgres::draft(self, sql, now).await,
            Action::Redis(command) => redis::draft(self, command, now).await,
            Action::Alerting(call) => alerting::draft(self, call, now).await,
            action @ Action::Aws(_) => aws::draft(self, action, now).await,
            Action::Machine(ref command) => {
                let command = command.clone();
                machine::draft(self, action, &command, now).await
            }
            Action::Script(ref given) => {
                let given = given.clone();
                script::draft(self, action, &given, now)
            }
            Action::Network(_) => Err(Refusal::new("nothing on the network is ever changed")),
            Action::Elsewhere { operation, .. } => {
                Err(Refusal::new(format!("there are no hands for {operation}"))
                    .repair("do it by hand and note it"))
            }
            action => kubernetes::draft(self, action, now).await,
        }
    }

    /// The same for a way back, which is refused when somebody moved the object since.
    pub async fn preview_undo(&self, armed: &Armed, undo: &Undo, now: Timestamp) -> Result<Preview, Refusal> {
        let regard = difference::Regard::of(&undo.action);
        for left in &undo.left {
            let found = self.cluster.find(&left.object).await;
            let found = found.map_err(|trouble| Refusal { says: trouble.says, repair: trouble.repair })?;
            if !kubernetes::still(left, found.as_ref(), regard) {
                let says = format!("{} was changed since: undoing now would undo that too", left.object);
                return Err(Refusal::new(says).repair("look at it, then choose the step you want"));
            }
        }
        self.preview(armed, undo.action.clone(), now).await
    }

    /// Does it. Never longer than the action's own patience; `cancel` stops waiting, not what was sent.
    pub async fn perform(
        &self,
        entry: Entry,
        progress: mpsc::Sender<String>,
        cancel: CancellationToken,
    ) -> Outcome {
        let warrant = entry.warrant();
        let mut task = task::Task::new(progress, cancel);
        let done = if warrant.has_expired((self.clock)()) {
            let refusal = Refusal::new("this was confirmed more than a minute ago; nothing was written");
            Done::refused(refusal.repair("confirm it again"))
        } else {
            match warrant.action() {
                Action::Postgres(sql) => Box::pin(postgres::perform(self, warrant, sql, &mut task)).await,
                Action::Redis(command) => redis::perform(self, warrant, command, &mut task).await,
                Action::Alerting(call) => alerting::perform(self, warrant, call, &mut task).await,
                Action::Aws(_) => aws::perform(self, warrant, &mut task).await,
                Action::Machine(command) => machine::perform(self, warrant, command, &mut task).await,
                Action::Script(given) => script::perform(self, warrant, given, &mut task).await,
                _ => kubernetes::perform(self, warrant, &mut task).await,
            }
        };
        Outcome {
            entry: entry.id().clone(),
            action: warrant.action().clone(),
            result: done.ending,
            at: (self.clock)(),
            undo: done.undo,
            progress: task.into_lines(),
        }
    }
}
