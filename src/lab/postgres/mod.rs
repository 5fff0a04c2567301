//! The lab's `PostgreSQL`, over its wire protocol: answers the product's own queries and the small talk of clients.
//! It runs no SQL; what it shows is `signals::Database` plus the connections really open to it, and what it
//! changes is that too.

mod answer;
mod catalogue;
mod cell;
mod change;
mod commands;
mod plans;
mod select_list;
mod session;
mod tables;
mod values;
mod view_columns;
mod views;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Sink;
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::{ClientInfo, PgWireConnectionState, PgWireServerHandlers};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::{Authentication, SecretKey};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::signals::{self, CLIENT_BACKEND, Database, SessionState, Signals};
use session::Settings;

/// The version the lab's server says it is.
pub const VERSION: &str = "15.18";
/// How often an open connection notices that the server "went down".
const LOOK: Duration = Duration::from_millis(200);
/// Process ids of the lab's own connections; the world's sessions stay below.
const FIRST_PID: i32 = 40_000;

/// What all connections share.
struct Shared {
    signals: Signals,
    password: Option<String>,
    open: Mutex<BTreeMap<i32, Open>>,
    next_pid: AtomicI32,
}

/// A connection to this server.
struct Open {
    session: signals::Session,
    /// Ends it.
    end: CancellationToken,
    /// Rung to cancel what it runs.
    cancel: Arc<Notify>,
}

impl Shared {
    fn with_open<R>(&self, work: impl FnOnce(&mut BTreeMap<i32, Open>) -> R) -> R {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The database with the connections open to this very server among its sessions.
    fn database(&self) -> Database {
        let mut database = self.signals.read(|shown| shown.database.clone());
        let open = |open: &mut BTreeMap<i32, Open>| {
            open.values().map(|open| open.session.clone()).collect::<Vec<_>>()
        };
        database.sessions.extend(self.with_open(open));
        database
    }

    /// The world's clients get the slots that are left.
    fn count_visitors(&self) {
        let many = self.with_open(|open| open.len()) as u32;
        self.signals.write(|shown| shown.database.visitors = many);
    }

    /// What is rung to cancel a connection's statement.
    fn canceller(&self, pid: i32) -> Arc<Notify> {
        self.with_open(|open| open.get(&pid).map(|open| Arc::clone(&open.cancel))).unwrap_or_default()
    }

    /// Ends a connection to this server, or cancels what it runs. False when it is not one of those.
    fn signal(&self, pid: i32, cancels: bool) -> bool {
        self.with_open(|open| {
            let Some(open) = open.get(&pid) else { return false };
            if cancels {
                open.cancel.notify_waiters();
            } else {
                open.end.cancel();
            }
            true
        })
    }
}

/// Serves until dropped. Without a password everybody is trusted.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, signals: Signals, password: Option<String>) -> io::Result<()> {
    let shared =
        Arc::new(Shared { signals, password, open: Mutex::default(), next_pid: AtomicI32::new(FIRST_PID) });
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(socket, Arc::clone(&shared)));
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    let is_up = || shared.signals.read(|shown| shown.database.up);
    if !is_up() {
        return;
    }
    let pid = shared.next_pid.fetch_add(1, Ordering::Relaxed);
    let backend = Arc::new(Backend {
        pid,
        shared: Arc::clone(&shared),
        settings: Mutex::default(),
        end: CancellationToken::new(),
    });
    let end = backend.end.clone();
    let went_down = async {
        while is_up() {
            tokio::time::sleep(LOOK).await;
        }
    };
    // A broken connection is the client's affair: like PostgreSQL, clean up after it and go on.
    tokio::select! {
        _ = pgwire::tokio::process_socket(socket, None, Handlers(backend)) => {}
        () = went_down => {}
        () = end.cancelled() => {}
    }
    shared.with_open(|open| open.remove(&pid));
    shared.count_visitors();
    shared.signals.write(|shown| commands::give_up(&mut shown.database, pid));
}

/// One connection's process.
struct Backend {
    pid: i32,
    shared: Arc<Shared>,
    settings: Mutex<Settings>,
    end: CancellationToken,
}

#[async_trait::async_trait]
impl CancelHandler for Backend {
    async fn on_cancel_request(&self, request: CancelRequest) {
        self.shared.signal(request.pid, true);
    }
}

struct Handlers(Arc<Backend>);

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.0)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.0)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.0)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.0)
    }
}

#[async_trait::async_trait]
impl StartupHandler for Backend {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                client.set_pid_and_secret_key(self.pid, SecretKey::I32(self.pid));
                if self.shared.password.is_none() {
                    return self.admit(client).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let ask = PgWireBackendMessage::Authentication(Authentication::CleartextPassword);
                futures::SinkExt::send(client, ask).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(given) => {
                let given = given.into_password()?.password;
                if self.shared.password.as_deref() == Some(given.as_str()) {
                    return self.admit(client).await;
                }
                let user = client.metadata().get("user").cloned().unwrap_or_default();
                Err(fatal("28P01", format!("password authentication failed for user \"{user}\"")))
            }
            _ => Err(fatal("08P01", "expected a startup message".to_owned())),
        }
    }
}

impl Backend {
    /// Takes the connection in, if a slot is free.
    async fn admit<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let database = self.shared.database();
        let used = client_backends(&database);
        if used >= database.max_connections as usize {
            return Err(fatal("53300", "sorry, too many clients already".to_owned()));
        }
        let superuser = client.metadata().get("user").is_some_and(|user| user == "postgres");
        if !superuser && used >= database.max_connections.saturating_sub(database.reserved) as usize {
            return Err(fatal(
                "53300",
                "remaining connection slots are reserved for non-replication superuser connections"
                    .to_owned(),
            ));
        }
        let said = |name: &str| client.metadata().get(name).cloned().unwrap_or_default();
        let mut session =
            signals::Session::idle(self.pid, &said("application_name"), None, self.shared.signals.now());
        session.client_addr = Some(client.socket_addr().ip());
        session.user = said("user");
        session.database =
            Some(said("database")).filter(|name| !name.is_empty()).unwrap_or_else(|| said("user"));
        let settings = Settings::of_startup(client.metadata(), &session);
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        let connection = Open { session, end: self.end.clone(), cancel: Arc::default() };
        self.shared.with_open(|open| open.insert(self.pid, connection));
        self.shared.count_visitors();
        let mut parameters = DefaultServerParameterProvider::default();
        VERSION.clone_into(&mut parameters.server_version);
        parameters.is_superuser = false;
        finish_authentication(client, &parameters).await
    }

    /// Shows in the sessions what this connection is doing.
    fn note(&self, state: SessionState, query: Option<&str>) {
        let now = self.shared.signals.now();
        self.shared.with_open(|open| {
            if let Some(Open { session, .. }) = open.get_mut(&self.pid) {
                session.state = Some(state);
                session.state_change = Some(now);
                let waits = (state != SessionState::Active).then_some(("Client", "ClientRead"));
                (session.wait_event_type, session.wait_event) = waits.unzip();
                if let Some(query) = query {
                    query.clone_into(&mut session.query);
                    session.query_start = Some(now);
                    session.xact_start = session.xact_start.or(Some(now));
                } else if state == SessionState::Idle {
                    session.xact_start = None;
                }
            }
        });
    }
}

/// How many sessions take a connection slot.
fn client_backends(database: &Database) -> usize {
    database.sessions.iter().filter(|session| session.backend_type == CLIENT_BACKEND).count()
}

fn fatal(code: &str, message: String) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message)))
}
