//! Redis: a PING and what changed between two INFOs.

use std::time::{Duration, Instant};

use redis::InfoDict;
use redis::aio::MultiplexedConnection;

use super::tell::{Backoff, Tell, Unheard};
use crate::config::redis::{explain, open, ping};
use crate::config::{ConnectError, Settings};
use crate::domain::{Cache, Fact, Origin, Timestamp, between};

const EVERY: Duration = Duration::from_secs(5);

/// Counters since the server started.
#[derive(Clone, Copy)]
struct Counters {
    at: Timestamp,
    hits: u64,
    misses: u64,
    evicted: u64,
    refused: u64,
}

/// Looks for ever.
pub(super) async fn watch(settings: Settings, tell: Tell) {
    let Some(url) = settings.redis_url.value.as_deref().filter(|url| *url != "off") else {
        let repair = "set REDIS_URL, e.g. redis://cache.example.com:6379";
        let _ = tell.not_configured(Origin::Redis, "no cache was given", repair).await;
        return;
    };
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
    loop {
        let error = match open(url).await {
            Ok(mut connection) => match follow(&mut connection, &tell, &mut backoff).await {
                Ok(error) => error,
                Err(Unheard) => return,
            },
            Err(error) => error,
        };
        if tell.blind(Origin::Redis, error).await.is_err() {
            return;
        }
        tell.rest(backoff.next()).await;
    }
}

/// Until the connection breaks.
async fn follow(
    connection: &mut MultiplexedConnection,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Result<ConnectError, Unheard> {
    let mut ticks = tell.beat(EVERY);
    let mut before = None;
    loop {
        ticks.tick().await;
        match look(connection, &mut before, tell.now()).await {
            Ok(cache) => {
                backoff.reset();
                tell.fact(Origin::Redis, Fact::Cache(cache)).await?;
            }
            Err(error) => return Ok(error),
        }
    }
}

/// A PING, and an INFO compared with the one before.
async fn look(
    connection: &mut MultiplexedConnection,
    before: &mut Option<Counters>,
    now: Timestamp,
) -> Result<Cache, ConnectError> {
    let began = Instant::now();
    ping(connection).await?;
    let ping = began.elapsed();
    let info: InfoDict = redis::cmd("INFO").query_async(connection).await.map_err(|error| explain(&error))?;
    let count = |key: &str| info.get::<u64>(key).unwrap_or_default();
    let now = Counters {
        at: now,
        hits: count("keyspace_hits"),
        misses: count("keyspace_misses"),
        evicted: count("evicted_keys"),
        refused: refused(&info),
    };
    // After a restart the counters begin again: that pair tells nothing.
    let pair =
        before.filter(|old| old.hits <= now.hits && old.misses <= now.misses && old.evicted <= now.evicted);
    *before = Some(now);
    let hits = pair.map_or(0, |old| now.hits - old.hits);
    let lookups = hits + pair.map_or(0, |old| now.misses - old.misses);
    let per_second = |of: fn(&Counters) -> u64| {
        pair.map_or(0.0, |old| {
            of(&now).saturating_sub(of(&old)) as f64 / between(old.at, now.at).as_secs_f64().max(0.001)
        })
    };
    Ok(Cache {
        ping,
        hit_ratio: (lookups > 0).then(|| hits as f64 / lookups as f64),
        is_compared: pair.is_some(),
        evicted_per_second: per_second(|counters| counters.evicted),
        used_memory: count("used_memory"),
        max_memory: count("maxmemory"),
        keeps_all: info.get::<String>("maxmemory_policy").as_deref() == Some("noeviction"),
        refused_per_second: per_second(|counters| counters.refused),
        clients: u32::try_from(count("connected_clients")).unwrap_or(u32::MAX),
    })
}

/// Commands answered with OOM since the server started: `errorstat_OOM:count=3`. Before Redis 6.2 nobody counts them.
fn refused(info: &InfoDict) -> u64 {
    let line = info.get::<String>("errorstat_OOM").unwrap_or_default();
    line.strip_prefix("count=").and_then(|count| count.parse().ok()).unwrap_or_default()
}
