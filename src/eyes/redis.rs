//! Redis: a PING and what changed between two INFOs.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, InfoDict, RedisError};

use super::tell::{Backoff, Tell, Unheard};
use super::trouble::deepest;
use crate::config::{ConnectError, Settings, tls};
use crate::domain::{BlindKind, Cache, Fact, Origin, Timestamp, between};

const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(4);

/// Counters since the server started.
#[derive(Clone, Copy)]
struct Counters {
    at: Timestamp,
    hits: u64,
    misses: u64,
    evicted: u64,
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

pub(super) async fn open(url: &str) -> Result<MultiplexedConnection, ConnectError> {
    tls::install_provider();
    let client = redis::Client::open(url).map_err(|error| {
        let why = format!("the Redis URL is not understood: {}", error.detail().unwrap_or(error.category()));
        ConnectError::new(BlindKind::Broken, why, "set REDIS_URL, e.g. rediss://:password@cache:6380/0")
    })?;
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&patience).await.map_err(|error| explain(&error))
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
    };
    // After a restart the counters begin again: that pair tells nothing.
    let pair =
        before.filter(|old| old.hits <= now.hits && old.misses <= now.misses && old.evicted <= now.evicted);
    *before = Some(now);
    let hits = pair.map_or(0, |old| now.hits - old.hits);
    let lookups = hits + pair.map_or(0, |old| now.misses - old.misses);
    let evicted = pair.map_or(0.0, |old| {
        (now.evicted - old.evicted) as f64 / between(old.at, now.at).as_secs_f64().max(0.001)
    });
    Ok(Cache {
        ping,
        hit_ratio: (lookups > 0).then(|| hits as f64 / lookups as f64),
        evicted_per_second: evicted,
        used_memory: count("used_memory"),
        max_memory: count("maxmemory"),
        clients: u32::try_from(count("connected_clients")).unwrap_or(u32::MAX),
    })
}

pub(super) async fn ping(connection: &mut MultiplexedConnection) -> Result<(), ConnectError> {
    redis::cmd("PING").query_async::<String>(connection).await.map(|_| ()).map_err(|error| explain(&error))
}

fn explain(error: &RedisError) -> ConnectError {
    let said = error.detail().map_or_else(|| deepest(error), str::to_owned);
    let (kind, why, repair) = match error.code() {
        Some("NOAUTH") => (
            BlindKind::Refused,
            "Redis wants a password (NOAUTH)".to_owned(),
            "put it into REDIS_URL: redis://:password@host:6379",
        ),
        Some("WRONGPASS") => (
            BlindKind::Refused,
            "Redis does not accept the password (WRONGPASS)".to_owned(),
            "check REDIS_URL",
        ),
        Some("NOPERM") => (
            BlindKind::Refused,
            format!("Redis refuses a command (NOPERM): {said}"),
            "allow the user: ACL SETUSER … +ping +info",
        ),
        Some("LOADING") => {
            (BlindKind::Unreachable, "Redis is loading its data set".to_owned(), "it answers once it is done")
        }
        Some(code) => (BlindKind::Broken, format!("Redis answers {code}: {said}"), ""),
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => {
            (BlindKind::Refused, format!("Redis does not accept the password: {said}"), "check REDIS_URL")
        }
        None if error.is_timeout() => (
            BlindKind::Unreachable,
            format!("Redis does not answer (timed out after {} s)", PATIENCE.as_secs()),
            "check the network path, and slow commands: SLOWLOG GET",
        ),
        None => (
            BlindKind::Unreachable,
            format!("Redis cannot be reached: {said}"),
            "check host and port in REDIS_URL, and whether it wants TLS (rediss://)",
        ),
    };
    ConnectError::new(kind, why, repair)
}
