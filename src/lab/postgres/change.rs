//! Changes on one connection: done at once or at COMMIT, waited for, refused in transactions that only look.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{Response, Tag};
use pgwire::error::PgWireResult;

use super::answer;
use super::commands::{self, Command};
use super::select_list::Chosen;
use super::session::error;
use super::tables::{Asked, Value};
use super::views::View;
use super::{Backend, LOOK};

impl Backend {
    /// Does a change, or keeps it for COMMIT. The answer is the ids of the rows it changes.
    pub(super) async fn change(&self, command: &Command, alone: bool) -> PgWireResult<Vec<i64>> {
        let (in_transaction, may_write) = {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            (settings.in_transaction, settings.may_write())
        };
        if !may_write {
            let says = format!("cannot execute {} in a read-only transaction", command.tag());
            return Err(error("25006", says));
        }
        if let Some(what) = command.alone().filter(|_| in_transaction || !alone) {
            return Err(error("25001", format!("{what} cannot run inside a transaction block")));
        }
        let now = self.shared.signals.now();
        if let Command::CreateIndex { name, table, columns, concurrently, if_absent } = command {
            let exists = self.shared.signals.read(|shown| shown.database.index(name).is_some());
            if exists && *if_absent {
                return Ok(Vec::new());
            }
            let begun = self.shared.signals.write(|shown| {
                commands::begin_index(&mut shown.database, self.pid, now, (name, table, columns))
            });
            begun.map_err(|(code, message)| error(code, message))?;
            return self.wait_for_index(name, *concurrently).await.map(|()| Vec::new());
        }
        if in_transaction {
            let ids =
                self.shared.signals.read(|shown| commands::perform(&mut shown.database.clone(), command));
            let ids = ids.map_err(|(code, message)| error(code, message))?;
            self.settings.lock().unwrap_or_else(PoisonError::into_inner).pending.push(command.clone());
            return Ok(ids);
        }
        let done = self.shared.signals.write(|shown| commands::perform(&mut shown.database, command));
        done.map_err(|(code, message)| error(code, message))
    }

    /// Until the world has built it, or it is cancelled, or takes longer than the session's patience.
    async fn wait_for_index(&self, name: &str, concurrently: bool) -> PgWireResult<()> {
        let patience = self.settings.lock().unwrap_or_else(PoisonError::into_inner).patience();
        let waiting = async {
            while !self.shared.signals.read(|shown| commands::index_is_done(&shown.database, name)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let forever = Duration::from_hours(24);
        let cancelled = self.shared.canceller(self.pid);
        let why = tokio::select! {
            () = waiting => return Ok(()),
            () = cancelled.notified() => "canceling statement due to user request",
            () = tokio::time::sleep(patience.unwrap_or(forever)) => "canceling statement due to statement timeout",
        };
        self.shared.signals.write(|shown| {
            commands::give_up(&mut shown.database, self.pid);
            // Only a concurrent build leaves something behind.
            shown.database.indexes.retain(|index| concurrently || index.name != *name);
        });
        Err(error("57014", why.to_owned()))
    }

    /// Ends or cancels a session, of the world or of this server.
    pub(super) fn signal(&self, pid: i32, cancels: bool) -> PgWireResult<bool> {
        if self.shared.signal(pid, cancels) {
            return Ok(true);
        }
        let role = self.settings.lock().unwrap_or_else(PoisonError::into_inner).user.clone();
        let done = self.shared.signals.write(|shown| {
            commands::signal(&mut shown.database, pid, cancels, &role, self.shared.signals.now())
        });
        done.map_err(|(code, message)| error(code, message))
    }

    /// Whether a session is the one that was seen: its start, and since when it has been in its state.
    pub(super) fn is_as_seen(&self, pid: i32, values: &[Value]) -> bool {
        let number = |index: usize| match values.get(index) {
            Some(Value::Number(number)) => *number as i64,
            _ => 0,
        };
        let near = |at: Option<Timestamp>, micros: i64| {
            // A number of this size loses a microsecond on its way through a float.
            at.is_some_and(|at| (at.as_microsecond() - micros).abs() <= 1)
        };
        let database = self.shared.database();
        database.sessions.iter().any(|session| {
            session.pid == pid
                && near(Some(session.backend_start), number(1))
                && [session.state_change, session.xact_start, session.query_start]
                    .into_iter()
                    .any(|at| near(at, number(2)))
        })
    }

    pub(super) fn changed(
        &self,
        command: &Command,
        columns: &[Chosen],
        ids: &[i64],
        format: &Format,
    ) -> PgWireResult<Response> {
        if columns.is_empty() {
            let tag = Tag::new(command.tag());
            let counts = matches!(command, Command::Users { .. });
            return Ok(Response::Execution(if counts { tag.with_rows(ids.len()) } else { tag }));
        }
        let database = self.shared.database();
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = [Value::List(ids.iter().map(ToString::to_string).collect())];
        let asked = Asked {
            database: &database,
            pid: self.pid,
            role: settings.user(),
            now: self.shared.signals.now(),
            values: &keys,
        };
        let rows = answer::project(&View::Users.rows(&asked), columns);
        let shown: Vec<(String, Type)> =
            columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect();
        drop(settings);
        let mut response = self.table(&shown, rows, format)?;
        if let Response::Query(answer) = &mut response {
            answer.set_command_tag(command.tag());
        }
        Ok(response)
    }
}
