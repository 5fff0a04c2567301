//! Actions on Redis.

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name};

/// What is asked of Redis, or changed in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum RedisCommand {
    /// Hits, misses, evictions and memory: what changes within a few seconds, not since the server started.
    CacheStats,
    /// The slowest commands lately.
    CacheSlowLog { count: u32 },
    /// `CONFIG SET maxmemory`, in bytes. More than the machine has is for the preview to warn of.
    SetCacheMemory {
        bytes: u64,
        /// What it has to be before; a way back is refused when somebody changed it since.
        from: Option<u64>,
    },
}

impl RedisCommand {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            RedisCommand::CacheStats | RedisCommand::CacheSlowLog { .. } => Effect::Read,
            RedisCommand::SetCacheMemory { .. } => Effect::Change,
        }
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        match self {
            RedisCommand::CacheStats | RedisCommand::CacheSlowLog { .. } => None,
            RedisCommand::SetCacheMemory { .. } => Some("maxmemory".into()),
        }
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match self {
            RedisCommand::CacheStats => r#"redis-cli -u "$REDIS_URL" INFO"#.into(),
            RedisCommand::CacheSlowLog { count } => {
                format!(r#"redis-cli -u "$REDIS_URL" SLOWLOG GET {count}"#)
            }
            RedisCommand::SetCacheMemory { bytes, .. } => {
                format!(r#"redis-cli -u "$REDIS_URL" CONFIG SET maxmemory {bytes}"#)
            }
        }
    }
}
