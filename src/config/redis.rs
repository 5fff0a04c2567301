//! The way to Redis, and its refusals in words. Eyes, probes and hands share it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};

use super::{ConnectError, connect, tls};
use crate::domain::BlindKind;

/// Connecting, and each answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// A connection whose every call has a deadline.
///
/// # Errors
/// A URL that is not understood, or a server that refuses or does not answer.
pub async fn open(url: &str) -> Result<MultiplexedConnection, ConnectError> {
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

/// One PING.
///
/// # Errors
/// What [`explain`] says.
pub async fn ping(connection: &mut MultiplexedConnection) -> Result<(), ConnectError> {
    redis::cmd("PING").query_async::<String>(connection).await.map(|_| ()).map_err(|error| explain(&error))
}

/// Why Redis did not do it, and the repair.
pub fn explain(error: &RedisError) -> ConnectError {
    let said = error.detail().map_or_else(|| connect::whole(error), str::to_owned);
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
