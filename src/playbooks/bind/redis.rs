//! Actions on Redis from the arguments of a step.

use crate::domain::{RedisCommand, quantity};

use super::{Args, Bound, missing};

pub(super) fn bind(args: &Args<'_>) -> Bound<RedisCommand> {
    Ok(match args.verb.name {
        "cache-stats" => RedisCommand::CacheStats,
        "cache-slow-log" => {
            RedisCommand::CacheSlowLog { count: args.maybe_count("count")?.unwrap_or(10).min(100) }
        }
        "set-cache-memory" => {
            let memory = args.text("memory")?;
            match quantity(&memory).filter(|bytes| *bytes >= 1.0) {
                Some(bytes) => RedisCommand::SetCacheMemory { bytes: bytes as u64, from: None },
                None => return Err(missing("memory", format!("`{memory}` is no amount of memory"))),
            }
        }
        _ => return Err(args.cannot()),
    })
}
