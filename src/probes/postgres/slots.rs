//! How many connection slots the database has for applications, and how many are taken: for previews.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::{DatabaseRefusal, Outside, database_queries as queries};

/// A preview waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connection slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots {
    /// `max_connections` less those that are reserved.
    pub usable: u64,
    pub used: u64,
}

/// Asks the database, on the session that is open already.
///
/// # Errors
/// In words why it did not say.
pub async fn slots(outside: &Outside, cluster: kube::Client) -> Result<Slots, String> {
    let asked = timeout(PATIENCE, async {
        let session = outside.database_session(Some(cluster)).await?;
        session.ask(queries::CAPACITY).await
    });
    let rows = match asked.await {
        Ok(rows) => rows.map_err(|refusal: DatabaseRefusal| refusal.into_error().why)?,
        Err(_) => return Err("the database does not answer".into()),
    };
    let number = |column: &str| rows.first().and_then(|row| row.number::<u64>(column));
    let (Some(all), Some(used)) = (number("max_conn"), number("used")) else {
        return Err("the database did not say how many connections it takes".into());
    };
    Ok(Slots { usable: all.saturating_sub(number("reserved").unwrap_or_default()), used })
}
