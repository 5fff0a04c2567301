//! One connection's conversation: simple and extended queries, and the settings it has made.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{Sink, stream};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;

use super::answer::{self, Statement};
use super::cell::Cell;
use super::commands::{self, Command};
use super::tables::{Asked, Table, Value};
use super::values::values;
use super::views::View;
use super::{Backend, VERSION};
use crate::lab::signals::{Database, Session, SessionState};

/// What SHOW answers for this connection.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) user: String,
    database: String,
    made: BTreeMap<String, String>,
    pub(super) in_transaction: bool,
    /// The transaction that is open may only look.
    read_only: bool,
    prepared: Option<String>,
    /// Changes that wait for COMMIT.
    pub(super) pending: Vec<Command>,
}

impl Settings {
    /// The settings a client brings: `application_name`, and `-c name=value` in `options`.
    pub(super) fn of_startup(said: &HashMap<String, String>, session: &Session) -> Self {
        let mut made = BTreeMap::new();
        for (name, value) in said {
            if !matches!(name.as_str(), "user" | "database" | "options" | "replication") {
                made.insert(name.to_ascii_lowercase(), value.clone());
            }
        }
        let options = said.get("options").map(String::as_str).unwrap_or_default();
        for word in options.split_whitespace() {
            let word = word.strip_prefix("-c").or_else(|| word.strip_prefix("--")).unwrap_or(word);
            if let Some((name, value)) = word.split_once('=') {
                made.insert(name.replace('-', "_").to_ascii_lowercase(), value.to_owned());
            }
        }
        Self { user: session.user.clone(), database: session.database.clone(), made, ..Self::default() }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// The text of the statement that was prepared.
    pub(super) fn prepared(&self) -> Option<&str> {
        self.prepared.as_deref()
    }

    pub(super) fn may_write(&self) -> bool {
        !self.read_only && self.made.get("default_transaction_read_only").is_none_or(|value| value != "on")
    }

    /// `statement_timeout`, if there is one.
    pub(super) fn patience(&self) -> Option<Duration> {
        let text = self.made.get("statement_timeout")?;
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse::<u64>().ok().filter(|number| *number > 0)?;
        Some(match text[digits.len()..].trim() {
            "s" => Duration::from_secs(number),
            "min" => Duration::from_mins(number),
            _ => Duration::from_millis(number),
        })
    }

    /// The value of a setting; `None` when there is no such setting.
    pub(super) fn show(&self, name: &str, database: &Database) -> Option<String> {
        if let Some(value) = self.made.get(name) {
            return Some(value.clone());
        }
        Some(match name {
            "server_version" => VERSION.to_owned(),
            "server_version_num" => "150018".to_owned(),
            "max_connections" => database.max_connections.to_string(),
            "superuser_reserved_connections" => database.reserved.to_string(),
            "transaction_read_only" => return self.show("default_transaction_read_only", database),
            "default_transaction_read_only" => "off".to_owned(),
            "transaction_isolation" | "transaction isolation level" => "read committed".to_owned(),
            "server_encoding" | "client_encoding" => "UTF8".to_owned(),
            "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => "0".to_owned(),
            "timezone" | "time zone" => "Etc/UTC".to_owned(),
            "datestyle" => "ISO, MDY".to_owned(),
            "intervalstyle" => "postgres".to_owned(),
            "standard_conforming_strings" | "integer_datetimes" => "on".to_owned(),
            "search_path" => "\"$user\", public".to_owned(),
            "application_name" => String::new(),
            "is_superuser" => "off".to_owned(),
            "session_authorization" => self.user.clone(),
            _ => return None,
        })
    }
}

impl Backend {
    /// Runs one statement; `alone` when nothing else came with it.
    async fn run(
        &self,
        statement: &Statement,
        (values, format): (&[Value], &Format),
        alone: bool,
    ) -> PgWireResult<Response> {
        match statement {
            Statement::Change(command, columns) => {
                let command = command.clone().bound(values);
                let ids = self.change(&command, alone).await?;
                self.changed(&command, columns, &ids, format)
            }
            Statement::Signal(whom) => {
                let mut done = Vec::new();
                for pid in whom.among(&self.shared.database(), self.pid) {
                    done.push(vec![Cell::Bool(self.signal(pid, whom.cancels)?)]);
                }
                self.table(&answer::columns(statement).unwrap_or_default(), done, format)
            }
            Statement::Tagged(Table::View(View::Signal(cancels)), columns) => {
                let pid = match values.first() {
                    Some(Value::Number(pid)) => *pid as i32,
                    _ => 0,
                };
                let exact = self.is_as_seen(pid, values);
                let done = exact && self.signal(pid, *cancels)?;
                let rows = if done { vec![vec![Cell::Bool(true)]] } else { Vec::new() };
                let rows = answer::project(&rows, columns);
                self.table(&answer::columns(statement).unwrap_or_default(), rows, format)
            }
            _ => match answer::columns(statement) {
                Some(columns) => self.select(statement, &columns, values, format),
                None => self.command(statement),
            },
        }
    }

    fn command(&self, statement: &Statement) -> PgWireResult<Response> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match statement {
            Statement::Set(name, value) => {
                settings.made.insert(name.clone(), value.clone());
                Response::Execution(Tag::new("SET"))
            }
            Statement::Reset(name) => {
                settings.made.remove(name);
                Response::Execution(Tag::new("RESET"))
            }
            Statement::Begin(read_only) => {
                settings.in_transaction = true;
                settings.read_only = *read_only;
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Statement::End(how) => {
                settings.in_transaction = false;
                settings.read_only = false;
                let pending = std::mem::take(&mut settings.pending);
                if *how == "COMMIT" {
                    self.shared.signals.write(|shown| {
                        for command in &pending {
                            // It was tried when it was said.
                            let _ = commands::perform(&mut shown.database, command);
                        }
                    });
                }
                Response::TransactionEnd(Tag::new(how))
            }
            Statement::Prepare(text) => {
                settings.prepared = Some(text.clone());
                Response::Execution(Tag::new("PREPARE"))
            }
            Statement::Nothing(tag) => {
                settings.prepared = None;
                Response::Execution(Tag::new(tag))
            }
            Statement::Refused { code, message } => return Err(error(code, message.clone())),
            _ => return Err(error("XX000", "not a command".to_owned())),
        })
    }

    fn select(
        &self,
        statement: &Statement,
        columns: &[(String, Type)],
        values: &[Value],
        format: &Format,
    ) -> PgWireResult<Response> {
        let database = self.shared.database();
        let rows = {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = Asked {
                database: &database,
                pid: self.pid,
                role: settings.user(),
                now: self.shared.signals.now(),
                values,
            };
            answer::rows(statement, &asked, &settings).map_err(|(code, message)| error(code, message))?
        };
        self.table(columns, rows, format)
    }

    #[expect(clippy::unused_self, reason = "a backend answers")]
    pub(super) fn table(
        &self,
        columns: &[(String, Type)],
        rows: Vec<Vec<Cell>>,
        format: &Format,
    ) -> PgWireResult<Response> {
        let fields = Arc::new(fields(columns, format));
        let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
        let mut data = Vec::with_capacity(rows.len());
        for row in rows {
            row.iter().try_for_each(|cell| encoder.encode_field(cell))?;
            data.push(Ok(encoder.take_row()));
        }
        Ok(Response::Query(QueryResponse::new(fields, stream::iter(data))))
    }

    fn rest(&self) {
        let in_transaction = self.settings.lock().unwrap_or_else(PoisonError::into_inner).in_transaction;
        let state = if in_transaction { SessionState::IdleInTransaction } else { SessionState::Idle };
        self.note(state, None);
    }
}

#[async_trait]
impl SimpleQueryHandler for Backend {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.note(SessionState::Active, Some(query));
        let parts = answer::split(query);
        let alone = parts.len() == 1;
        let mut responses = Vec::new();
        for text in parts {
            match self.run(&answer::understand(text), (&[], &Format::UnifiedText), alone).await {
                Ok(response) => responses.push(response),
                Err(refused) => {
                    self.rest();
                    return Err(refused);
                }
            }
        }
        self.rest();
        Ok(responses)
    }
}

/// The parser of the extended protocol.
pub(super) struct Parser;

/// A prepared statement keeps its text for the sessions' `query` column.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    text: String,
    statement: Statement,
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        match answer::split(sql).as_slice() {
            [] => Ok(None),
            [one] => match answer::understand(one) {
                Statement::Refused { code, message } => Err(error(code, message)),
                statement => Ok(Some(Prepared { text: sql.to_owned(), statement })),
            },
            _ => Err(error("42601", "cannot insert multiple commands into a prepared statement".to_owned())),
        }
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        Ok(prepared.statement.parameters().to_vec())
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let columns = answer::columns(&prepared.statement).unwrap_or_default();
        Ok(fields(&columns, format.unwrap_or(&Format::UnifiedBinary)))
    }
}

#[async_trait]
impl ExtendedQueryHandler for Backend {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser)
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        portal: &Portal<Prepared>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Prepared { text, statement } = &portal.statement.statement;
        self.note(SessionState::Active, Some(text));
        let values = values(portal, statement.parameters());
        let response = self.run(statement, (&values, &portal.result_column_format), true).await;
        self.rest();
        response
    }
}

fn fields(columns: &[(String, Type)], format: &Format) -> Vec<FieldInfo> {
    let field = |(index, (name, kind)): (usize, &(String, Type))| {
        FieldInfo::new(name.clone(), None, None, kind.clone(), format_of(format, index))
    };
    columns.iter().enumerate().map(field).collect()
}

/// A client may name fewer formats than there are columns; indexing would panic.
fn format_of(format: &Format, index: usize) -> FieldFormat {
    match format {
        Format::Individual(codes) => FieldFormat::from(codes.get(index).copied().unwrap_or(0)),
        format => format.format_for(index),
    }
}

pub(super) fn error(code: &str, message: String) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message)))
}
