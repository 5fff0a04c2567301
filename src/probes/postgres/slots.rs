//! How many connection slots the database has for applications, and how many are taken. One connection, one query,
//! closed again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{connect, database};

/// A preview waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// The audit's Q1, as far as it is needed here.
const SLOTS: &str = "/* covet:capacity */ \
SELECT (SELECT setting::int FROM pg_settings WHERE name='max_connections') AS max_conn, \
COALESCE((SELECT sum(setting::int) FROM pg_settings WHERE name IN \
('superuser_reserved_connections','reserved_connections','rds.rds_superuser_reserved_connections')),0) AS reserved, \
count(*) FILTER (WHERE backend_type='client backend') AS used \
FROM pg_stat_activity";

/// Connection slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots {
    /// `max_connections` less those that are reserved.
    pub usable: u64,
    pub used: u64,
}

/// Asks the server behind a database URL.
///
/// # Errors
/// In words why it did not say.
pub async fn slots(url: &str) -> Result<Slots, String> {
    let (config, encryption) = database(url).map_err(|error| error.why)?;
    let tls = MakeRustlsConnect::new(encryption.client().map_err(|error| error.why)?);
    let asked = timeout(PATIENCE, async {
        let (client, connection) = config.connect(tls).await?;
        let carrying = tokio::spawn(connection);
        let answer = client.simple_query(SLOTS).await;
        carrying.abort();
        answer
    });
    let answer = match asked.await {
        Ok(answer) => answer.map_err(|error| connect::whole(&error))?,
        Err(_) => return Err("the database does not answer".into()),
    };
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let number = |column: &str| row?.try_get(column).ok()??.parse::<u64>().ok();
    let (Some(all), Some(used)) = (number("max_conn"), number("used")) else {
        return Err("the database did not say how many connections it takes".into());
    };
    Ok(Slots { usable: all.saturating_sub(number("reserved").unwrap_or_default()), used })
}
