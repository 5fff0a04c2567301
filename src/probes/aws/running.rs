//! What the database server itself has in force, for comparing with a parameter group.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::database;

const PATIENCE: Duration = Duration::from_secs(5);

/// max_connections as the server shows it; None when it cannot be asked.
pub async fn running_max_connections(url: &str) -> Option<u64> {
    let (config, encryption) = database(url).ok()?;
    let tls = MakeRustlsConnect::new(encryption.client().ok()?);
    let ask = async {
        let (client, connection) = config.connect(tls).await.ok()?;
        let carrying = tokio::spawn(connection);
        let rows = client.simple_query("SHOW max_connections").await.ok();
        drop(client);
        carrying.abort();
        rows?.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        })
    };
    timeout(PATIENCE, ask).await.ok().flatten()
}
