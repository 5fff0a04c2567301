//! One container as its kubelet holds it: the state it is in, and that state as the API shows it.
//! It knows states and their form, not when one follows another.

use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::Map;
use super::program::Life;
use crate::lab::store::seconds;

pub enum State {
    /// Sandbox and volumes are being made.
    Creating {
        until: Timestamp,
    },
    Pulling {
        began: Timestamp,
        until: Timestamp,
    },
    /// A failed pull: first shown as ErrImagePull, from `turn` on as ImagePullBackOff.
    PullFailed {
        turn: Timestamp,
        retry: Timestamp,
        message: String,
    },
    /// References are missing; looked up again at `retry`.
    Unconfigured {
        retry: Timestamp,
    },
    Running {
        since: Timestamp,
    },
    /// It just ended, and will be started again.
    Exited {
        at: Timestamp,
        until: Timestamp,
    },
    CrashLoop {
        until: Timestamp,
    },
    /// It ended for good.
    Finished,
}

pub struct Slot {
    pub name: String,
    pub state: State,
    /// What a waiting container says of itself.
    pub waiting: (&'static str, String),
    pub restarts: u32,
    /// How the running or last instance ended, as `terminated` shows it; `None` before the first end.
    pub terminated: Option<Value>,
    /// Seconds of the next back-off; 0 when the next restart is at once.
    pub crash_delay: f64,
    pub pull_delay: f64,
    pub life: Life,
    pub env: Map,
    pub ready: bool,
    pub started: bool,
    pub readiness: Checks,
    pub liveness: Checks,
    pub startup: Checks,
    pub id: String,
    pub image_id: String,
}

/// The run of one probe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    pub failures: u32,
    /// `None`: the answer cannot change by itself.
    pub next: Option<Timestamp>,
}

impl Slot {
    pub fn new(name: &str, until: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Creating { until },
            waiting: ("ContainerCreating", String::new()),
            restarts: 0,
            terminated: None,
            crash_delay: 0.0,
            pull_delay: 0.0,
            life: Life::steady(0.0),
            env: Map::new(),
            ready: false,
            started: false,
            readiness: Checks::default(),
            liveness: Checks::default(),
            startup: Checks::default(),
            id: String::new(),
            image_id: String::new(),
        }
    }

    pub fn running_since(&self) -> Option<Timestamp> {
        match self.state {
            State::Running { since } => Some(since),
            _ => None,
        }
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Exit code of an instance that will not be started again.
    pub fn exit_code(&self) -> Option<i64> {
        self.terminated.as_ref().filter(|_| self.is_finished())?["exitCode"].as_i64()
    }

    /// It ran at least once.
    pub fn has_run(&self) -> bool {
        self.terminated.is_some() || matches!(self.state, State::Running { .. })
    }

    /// The instance that runs since `since` ends now.
    pub fn end(&mut self, since: Timestamp, now: Timestamp, code: i32, reason: &str) {
        self.terminated = Some(json!({
            "exitCode": code, "reason": reason, "startedAt": seconds(since), "finishedAt": seconds(now),
            "containerID": self.id,
        }));
        self.ready = false;
        self.started = false;
    }

    /// Feeds everything that [`Slot::status`] shows.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        (self.ready, self.started, self.restarts, &self.id, &self.waiting).hash(hasher);
        std::mem::discriminant(&self.state).hash(hasher);
        self.running_since().hash(hasher);
        self.terminated.as_ref().and_then(|ended| ended["finishedAt"].as_str()).hash(hasher);
    }

    /// One entry of `status.containerStatuses`.
    pub fn status(&self, image: &str) -> Value {
        let waiting = || {
            let mut waiting = json!({ "reason": self.waiting.0 });
            if !self.waiting.1.is_empty() {
                waiting["message"] = self.waiting.1.clone().into();
            }
            json!({ "waiting": waiting })
        };
        let ended = json!({ "terminated": self.terminated.clone().unwrap_or_default() });
        let (state, last) = match &self.state {
            State::Running { since } => (json!({ "running": { "startedAt": seconds(*since) } }), true),
            // shown as last state too once there is a newer instance; the instance that just ended is `state`
            State::Exited { .. } | State::Finished => (ended.clone(), false),
            _ => (waiting(), true),
        };
        let last_state = if last && self.terminated.is_some() { ended } else { json!({}) };
        let mut status = json!({
            "name": self.name, "ready": self.ready, "started": self.started, "restartCount": self.restarts,
            "image": image, "imageID": self.image_id, "state": state, "lastState": last_state,
        });
        if !self.id.is_empty() {
            status["containerID"] = self.id.clone().into();
        }
        status
    }
}
