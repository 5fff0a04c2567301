//! A connection to the database with good manners, over whatever way leads there. Eyes, probes and hands
//! share it; what it may do is said before it begins. Failures are in words.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::database_answer::{
    DatabaseRefusal, DatabaseRow, Failure, PATIENCE, is_about_options, refusal, rows, typed,
};
use super::database_way::Stream;
use super::ssh::TunnelEnd;
use super::{ConnectError, DatabaseWay, Encryption, database};
use crate::domain::BlindKind;

/// What a looking session must never do, and how long it may take.
const LOOKING: &str = "-c default_transaction_read_only=on -c statement_timeout=5000 -c lock_timeout=1000 -c intervalstyle=postgres";

/// A database and the way to it.
#[derive(Clone)]
pub struct DatabaseTarget {
    config: Config,
    encryption: Encryption,
    way: DatabaseWay,
    cluster: Option<kube::Client>,
}

/// An open connection; dropping it closes it.
pub struct DatabaseSession {
    client: Client,
    driver: JoinHandle<()>,
    tunnel: Option<TunnelEnd>,
    /// One question at a time: a question is several messages.
    gate: Mutex<()>,
}

/// A session that is kept open, so that questions can be asked when no slot is left. Clones share it.
#[derive(Clone, Default)]
pub struct DatabaseKeeper(Arc<Mutex<Option<Arc<DatabaseSession>>>>);

impl std::fmt::Debug for DatabaseKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKeeper")
    }
}

impl DatabaseKeeper {
    /// The session there is, or a new one. It can only look.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`].
    pub async fn session(&self, target: &DatabaseTarget) -> Result<Arc<DatabaseSession>, DatabaseRefusal> {
        let mut kept = self.0.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(target.look().await?);
        *kept = Some(Arc::clone(&session));
        Ok(session)
    }
}

impl Drop for DatabaseSession {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl DatabaseTarget {
    /// # Errors
    /// The URL is not understood.
    pub fn new(url: &str, way: DatabaseWay) -> Result<DatabaseTarget, ConnectError> {
        let (config, encryption) = database(url)?;
        Ok(DatabaseTarget { config, encryption, way, cluster: None })
    }

    /// With the cluster that carries port-forwards.
    #[must_use]
    pub fn through(self, cluster: Option<kube::Client>) -> DatabaseTarget {
        DatabaseTarget { cluster, ..self }
    }

    pub fn way(&self) -> &DatabaseWay {
        &self.way
    }

    /// Connects to look: nothing can be written on it.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`].
    pub async fn look(&self) -> Result<DatabaseSession, DatabaseRefusal> {
        self.open(LOOKING).await
    }

    /// Connects with these settings for the session, `-c name=value` each. A pooler that refuses start-up
    /// options is told them afterwards.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`].
    pub async fn open(&self, manners: &str) -> Result<DatabaseSession, DatabaseRefusal> {
        let mut polite = self.config.clone();
        let given = self.config.get_options().unwrap_or_default();
        polite.options(format!("{given} {manners}").trim().to_owned());
        match self.connect(&polite).await {
            Err(Failure::Postgres(error)) if is_about_options(&error) => {
                let session = self.connect(&self.config).await.map_err(refusal)?;
                let said = manners.replace("-c ", "SET ").replace(" SET", "; SET");
                session.client.simple_query(&said).await.map_err(|error| refusal(error.into()))?;
                Ok(session)
            }
            other => other.map_err(refusal),
        }
    }

    async fn connect(&self, config: &Config) -> Result<DatabaseSession, Failure> {
        let tls = MakeRustlsConnect::new(self.encryption.client().map_err(Failure::Way)?);
        let patience = self.way.patience();
        timeout(patience, self.connect_with(config, tls)).await.map_err(|_| Failure::Silence(patience))?
    }

    async fn connect_with(
        &self,
        config: &Config,
        tls: MakeRustlsConnect,
    ) -> Result<DatabaseSession, Failure> {
        // Its error reaches whoever asks next.
        let (client, driver, tunnel) = match self.stream().await? {
            None => {
                let (client, connection) = config.connect(tls).await?;
                (client, tokio::spawn(async move { drop(connection.await) }), None)
            }
            Some(stream) => {
                let (tls, tunnel) = (self.connector(tls)?, stream.end());
                match config.connect_raw(stream, tls).await {
                    Ok((client, connection)) => {
                        (client, tokio::spawn(async move { drop(connection.await) }), tunnel)
                    }
                    Err(error) => return Err(failure(error, tunnel.as_ref()).await),
                }
            }
        };
        Ok(DatabaseSession { client, driver, tunnel, gate: Mutex::default() })
    }

    async fn stream(&self) -> Result<Option<Stream>, Failure> {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let address = self.config.get_hostaddrs().first().map(ToString::to_string);
        let (host, cluster) = (address.unwrap_or_else(|| self.host()), self.cluster.as_ref());
        self.way.stream(cluster, &host, port).await.map_err(Failure::Way)
    }

    fn connector(
        &self,
        mut tls: MakeRustlsConnect,
    ) -> Result<<MakeRustlsConnect as MakeTlsConnect<Stream>>::TlsConnect, Failure> {
        MakeTlsConnect::<Stream>::make_tls_connect(&mut tls, &self.host()).map_err(|error| {
            let why = format!("`{}` is no host for TLS: {error}", self.host());
            Failure::Way(ConnectError::new(BlindKind::Broken, why, "check the host in DATABASE_URL"))
        })
    }

    fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            _ => "localhost".into(),
        }
    }

    /// Stops what another of our sessions runs, by the server's own way for it.
    ///
    /// # Errors
    /// The request could not be sent.
    #[expect(clippy::disallowed_methods, reason = "the hands ask for it, for a statement of their own")]
    pub async fn cancel(&self, token: &tokio_postgres::CancelToken) -> Result<(), DatabaseRefusal> {
        let sent = async {
            let tls = MakeRustlsConnect::new(self.encryption.client().map_err(Failure::Way)?);
            match self.stream().await? {
                None => token.cancel_query(tls).await?,
                Some(stream) => {
                    let (tls, tunnel) = (self.connector(tls)?, stream.end());
                    if let Err(error) = token.cancel_query_raw(stream, tls).await {
                        return Err(failure(error, tunnel.as_ref()).await);
                    }
                }
            }
            Ok(())
        };
        let patience = self.way.patience();
        let sent = timeout(patience, sent).await.unwrap_or(Err(Failure::Silence(patience)));
        sent.map_err(refusal)
    }
}

impl DatabaseSession {
    /// One look in a READ ONLY transaction. In the simple protocol: poolers in transaction mode lose prepared
    /// statements.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`].
    pub async fn ask(&self, sql: &str) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
        let whole = format!("BEGIN TRANSACTION READ ONLY; {sql}; COMMIT");
        let _turn = self.gate.lock().await;
        let asked = timeout(PATIENCE, self.client.simple_query(&whole)).await;
        let answer = asked.unwrap_or_else(|_| Ok(Vec::new()));
        match answer {
            Ok(messages) if messages.is_empty() => Err(self.give_up()),
            Ok(messages) => Ok(rows(messages)),
            Err(error) => {
                let _ = timeout(PATIENCE, self.client.simple_query("ROLLBACK")).await;
                Err(self.refused(error).await)
            }
        }
    }

    /// The same with bound values; every column of the answer has to be text.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`].
    pub async fn ask_with(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
        let _turn = self.gate.lock().await;
        let asked = async {
            self.client.simple_query("BEGIN TRANSACTION READ ONLY").await?;
            let answer = self.client.query_typed(sql, values).await;
            self.client.simple_query("ROLLBACK").await?;
            answer
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => typed(&answer),
            Ok(Err(error)) => Err(self.refused(error).await),
            Err(_) => Err(self.give_up()),
        }
    }

    async fn refused(&self, error: Error) -> DatabaseRefusal {
        refusal(failure(error, self.tunnel.as_ref()).await)
    }

    /// A session that fell silent is of no more use: the next question opens another.
    fn give_up(&self) -> DatabaseRefusal {
        self.driver.abort();
        refusal(Failure::Silence(PATIENCE))
    }

    /// The plan of one statement with `$1`-style parameters, as JSON. It is planned for any values and never
    /// executed.
    ///
    /// # Errors
    /// See [`DatabaseRefusal`]; a statement that cannot be prepared (a `VACUUM`) is refused by the server.
    pub async fn explain(&self, statement: &str, parameters: usize) -> Result<String, DatabaseRefusal> {
        let _turn = self.gate.lock().await;
        let nulls = vec!["NULL"; parameters].join(",");
        let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
        let asked = async {
            let begin = "BEGIN TRANSACTION READ ONLY; SET LOCAL plan_cache_mode = force_generic_plan";
            self.client.simple_query(begin).await?;
            // In the extended protocol, which takes a single statement and nothing behind it.
            let prepare = format!("/* covet:prepare */ PREPARE covet_explain AS {statement}");
            self.client.query_typed(&prepare, &[]).await?;
            let explain = format!(
                "/* covet:explain */ EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE covet_explain{arguments}"
            );
            self.client.simple_query(&explain).await
        };
        let answer = timeout(PATIENCE, asked).await;
        let _ = timeout(PATIENCE, self.client.simple_query("ROLLBACK; DEALLOCATE ALL")).await;
        match answer {
            Ok(Err(error)) => Err(self.refused(error).await),
            Ok(Ok(answer)) => {
                let rows = rows(answer);
                let lines: Vec<&str> = rows.iter().filter_map(|row| row.cells.first()?.as_deref()).collect();
                Ok(lines.join("\n"))
            }
            Err(_) => Err(self.give_up()),
        }
    }

    /// The client itself, for hands.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// What the client met; where a tunnel broke under it, what ssh said.
async fn failure(error: Error, tunnel: Option<&TunnelEnd>) -> Failure {
    match tunnel {
        Some(tunnel) if error.as_db_error().is_none() => {
            tunnel.why().await.map_or(Failure::Postgres(error), |why| match why.kind {
                // The machine is there and tells of the database, or is as far away.
                BlindKind::Unreachable => Failure::Beyond(why),
                _ => Failure::Way(why),
            })
        }
        _ => Failure::Postgres(error),
    }
}
