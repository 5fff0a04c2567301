//! Hands on Redis: one setting, read before it is written and read again after.

use redis::aio::MultiplexedConnection;
use serde_json::json;

use super::done::Done;
use super::task::Task;
use super::{Hands, hazards};
use crate::config::ConnectError;
use crate::config::redis::{explain, open};
use crate::domain::{Action, RedisCommand, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};

pub(super) async fn draft(hands: &Hands, command: RedisCommand, at: Timestamp) -> Result<Draft, Refusal> {
    let RedisCommand::SetCacheMemory { bytes, from } = command else {
        return Err(Refusal::new("a read needs no hands"));
    };
    let mut connection = connect(hands).await?;
    let now = Memory::read(&mut connection).await.map_err(refusal)?;
    if from.is_some_and(|from| from != now.limit) {
        let says = format!("maxmemory is {} now: somebody changed it since", shown(now.limit));
        return Err(Refusal::new(says).repair("look at it, then choose the value you want"));
    }
    let action = Action::Redis(command);
    let mut hazards = now.hazards(bytes);
    hazards.extend(hazards::protected(hands));
    let diff = if now.limit == bytes {
        hazards.push(Hazard::note(Guard::Target, "it is so already"));
        Vec::new()
    } else {
        vec![
            (DiffTone::Removed, format!("maxmemory {}", shown(now.limit))),
            (DiffTone::Added, format!("maxmemory {}", shown(bytes))),
        ]
    };
    Ok(Draft {
        at,
        title: format!("set the cache's maxmemory from {} to {}", shown(now.limit), shown(bytes)),
        targets: vec!["Redis: maxmemory".into()],
        diff,
        pins: Vec::new(),
        before: json!({ "maxmemory": now.limit, "used_memory": now.used, "maxmemory-policy": now.policy }),
        undo: Some(now.undo(bytes)),
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

pub(super) async fn perform(
    hands: &Hands,
    warrant: &Warrant,
    command: &RedisCommand,
    task: &mut Task,
) -> Done {
    let RedisCommand::SetCacheMemory { bytes, .. } = *command else {
        return Done::refused(Refusal::new("a read needs no hands"));
    };
    let mut connection = match connect(hands).await {
        Ok(connection) => connection,
        Err(refusal) => return Done::refused(refusal),
    };
    let now = match Memory::read(&mut connection).await {
        Ok(now) => now,
        Err(error) => return Done::refused(refusal(error)),
    };
    let seen = warrant.preview().before.get("maxmemory").and_then(serde_json::Value::as_u64);
    if seen != Some(now.limit) {
        let says = format!("maxmemory is {} now: somebody changed it since the preview", shown(now.limit));
        return Done::refused(Refusal::new(says).repair("preview again"));
    }
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    let sent = set.query_async::<()>(&mut connection).await;
    task.say(format!("CONFIG SET maxmemory {bytes}"));
    let read = Memory::read(&mut connection).await;
    match (sent, read) {
        (_, Ok(after)) if after.limit == bytes => Done::performed(
            format!(
                "maxmemory is {}; it lasts until Redis restarts, unless its file says so too",
                shown(bytes)
            ),
            Some(now.undo(bytes)),
        ),
        (Err(error), _) if error.is_timeout() || error.is_connection_dropped() => {
            Done::unknown("Redis did not answer in time: read maxmemory to see whether it was set")
        }
        (Err(error), _) => Done::refused(refusal(explain(&error))),
        (Ok(()), Ok(after)) => Done::unverified(
            format!("Redis said OK, but maxmemory is {}", shown(after.limit)),
            Some(now.undo(bytes)),
        ),
        (Ok(()), Err(error)) => Done::unverified(
            format!("Redis said OK, but could not be read again: {}", error.why),
            Some(now.undo(bytes)),
        ),
    }
}

async fn connect(hands: &Hands) -> Result<MultiplexedConnection, Refusal> {
    let url = hands.outside.redis_url.as_deref().unwrap_or_default();
    open(url).await.map_err(refusal)
}

fn refusal(error: ConnectError) -> Refusal {
    Refusal { says: error.why, repair: error.repair }
}

/// `512Mi`, or `no limit`.
fn shown(bytes: u64) -> String {
    if bytes == 0 { "no limit".into() } else { text::quantity(bytes) }
}

/// What Redis says of its memory.
struct Memory {
    used: u64,
    /// 0: none.
    limit: u64,
    policy: String,
    /// Of the machine, where Redis knows it.
    machine: u64,
}

impl Memory {
    async fn read(connection: &mut MultiplexedConnection) -> Result<Memory, ConnectError> {
        let info: redis::InfoDict = redis::cmd("INFO")
            .arg("memory")
            .query_async(connection)
            .await
            .map_err(|error| explain(&error))?;
        Ok(Memory {
            used: info.get("used_memory").unwrap_or_default(),
            limit: info.get("maxmemory").unwrap_or_default(),
            policy: info.get("maxmemory_policy").unwrap_or_default(),
            machine: info.get("total_system_memory").unwrap_or_default(),
        })
    }

    fn hazards(&self, bytes: u64) -> Vec<Hazard> {
        let mut hazards = Vec::new();
        if bytes > 0 && bytes < self.used {
            let (used, policy) = (text::bytes(self.used), &self.policy);
            let says = if policy == "noeviction" {
                format!(
                    "{used} are in use: Redis refuses every write at once, it may evict nothing ({policy})"
                )
            } else {
                format!("{used} are in use: Redis evicts down to {} at once ({policy})", text::bytes(bytes))
            };
            hazards.push(Hazard::warn(Guard::Target, says));
        }
        // Forks for snapshots and client buffers need room beside the data.
        if self.machine > 0 && (bytes == 0 || bytes > self.machine / 4 * 3) {
            let says = format!(
                "the machine has {}: with more than three quarters of it for data, a snapshot may run out of memory",
                text::bytes(self.machine)
            );
            hazards.push(Hazard::warn(Guard::Target, says));
        }
        hazards
    }

    fn undo(&self, left: u64) -> Undo {
        Undo {
            action: Action::Redis(RedisCommand::SetCacheMemory { bytes: self.limit, from: Some(left) }),
            says: format!("set maxmemory to {} again", shown(self.limit)),
            left: Vec::new(),
        }
    }
}
