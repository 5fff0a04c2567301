//! Statements and their answers: the product's queries by their leading tag, clients' small talk by its text.
//! Everything else gets the SQL error a real server would give to something it does not have.

use jiff::Timestamp;
use pgwire::api::Type;

use super::cell::Cell;
use super::commands::{Command, Whom};
use super::select_list::{self, Chosen};
use super::session::Settings;
use super::tables::{Asked, Table};
use super::views::View;

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// One of the product's own queries.
    Tagged(Table, Vec<Chosen>),
    /// `SELECT` of one thing a client wants to know.
    One(Known),
    /// `SHOW name`.
    Show(String),
    Set(String, String),
    Reset(String),
    /// `BEGIN` and its kin; true when it says READ ONLY.
    Begin(bool),
    /// One that changes something, with the columns it returns.
    Change(Command, Vec<Chosen>),
    /// `SELECT pg_terminate_backend(…)` or `pg_cancel_backend`.
    Signal(Whom),
    /// `PREPARE name AS …`: its text.
    Prepare(String),
    /// `EXPLAIN … EXECUTE name` or of a text; true for JSON.
    Explain(bool, String),
    /// `COMMIT` or `ROLLBACK`, by that name.
    End(&'static str),
    /// `DISCARD`, `DEALLOCATE` and the like: done by doing nothing.
    Nothing(&'static str),
    /// Not for this server.
    Refused {
        code: &'static str,
        message: String,
    },
}

impl Statement {
    /// The types of its parameters.
    pub(super) fn parameters(&self) -> &'static [Type] {
        match self {
            Statement::Tagged(table, _) => table.parameters(),
            Statement::Change(Command::Users { keys, .. }, _) if keys.is_empty() => &[Type::TEXT_ARRAY],
            _ => &[],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    One,
    Version,
    BackendPid,
    Database,
    User,
    Now,
}

/// Splits what a client sent at once into statements, at semicolons outside quotes and comments.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote, mut in_comment, mut previous) = (0, None, false, ' ');
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if in_comment => in_comment = !(previous == '*' && letter == '/'),
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '*') if previous == '/' => in_comment = true,
            (None, ';') => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        previous = letter;
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Understands one statement.
pub(super) fn understand(text: &str) -> Statement {
    let (tag, sql) = strip_comments(text.trim());
    let table = tag.and_then(Table::tagged).or_else(|| (tag == Some("statement-text")).then(|| text_of(sql)));
    if let Some(table) = table {
        return match select_list::chosen(sql, &table.columns()) {
            Ok(columns) => Statement::Tagged(table, columns),
            Err(name) => {
                Statement::Refused { code: "42703", message: format!("column \"{name}\" does not exist") }
            }
        };
    }
    let sql = sql.trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = sql.to_ascii_lowercase();
    let (verb, rest) = lower.split_once(' ').unwrap_or((&lower, ""));
    if let Some(command) = Command::parse(&sql) {
        let returned = lower.find(" returning ").map(|at| format!("select {}", &sql[at + 11..]));
        let columns = returned.map(|list| select_list::chosen(&list, &View::Users.columns()));
        return match columns.transpose() {
            Ok(columns) => Statement::Change(command, columns.unwrap_or_default()),
            Err(name) => refused("42703", format!("column \"{name}\" does not exist")),
        };
    }
    if let Some(whom) = Whom::parse(&sql) {
        return Statement::Signal(whom);
    }
    match verb {
        "prepare" => Statement::Prepare(sql.split_once(" AS ").map_or("", |(_, text)| text).to_owned()),
        "explain" => Statement::Explain(lower.contains("json"), rest.to_owned()),
        "select" => select(rest).unwrap_or_else(|| refuse_select(&sql)),
        "show" => Statement::Show(rest.trim_matches('"').to_owned()),
        "set" => set(sql.split_once(' ').map_or("", |(_, rest)| rest)),
        "reset" => Statement::Reset(rest.to_owned()),
        "begin" | "start" => Statement::Begin(rest.contains("read only")),
        "commit" | "end" => Statement::End("COMMIT"),
        "rollback" | "abort" => Statement::End("ROLLBACK"),
        "discard" => Statement::Nothing("DISCARD ALL"),
        "deallocate" => Statement::Nothing("DEALLOCATE"),
        "insert" | "update" | "delete" | "create" | "drop" | "alter" | "truncate" | "grant" => {
            Statement::Refused { code: "42501", message: "permission denied".to_owned() }
        }
        _ => Statement::Refused { code: "42601", message: format!("syntax error at or near \"{verb}\"") },
    }
}

fn refused(code: &'static str, message: String) -> Statement {
    Statement::Refused { code, message }
}

/// The statement whose text is asked for.
fn text_of(sql: &str) -> Table {
    let number = sql.split("queryid=").nth(1).map(|rest| {
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        digits.parse().unwrap_or_default()
    });
    Table::View(View::StatementText(number.unwrap_or_default()))
}

/// The product's tag, if the statement begins with one, and the text without leading comments.
fn strip_comments(mut text: &str) -> (Option<&str>, &str) {
    let mut tag = None;
    loop {
        if let Some((comment, rest)) = text.strip_prefix("/*").and_then(|text| text.split_once("*/")) {
            tag = tag.or(comment.trim().strip_prefix("covet:").map(str::trim));
            text = rest.trim_start();
        } else if let Some(rest) = text.strip_prefix("--") {
            text = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else {
            return (tag, text);
        }
    }
}

fn select(what: &str) -> Option<Statement> {
    let known = match what {
        "1" => Known::One,
        "version()" | "pg_catalog.version()" => Known::Version,
        "pg_backend_pid()" | "pg_catalog.pg_backend_pid()" => Known::BackendPid,
        "current_database()" => Known::Database,
        "current_user" | "session_user" | "user" => Known::User,
        "now()" => Known::Now,
        _ => {
            let setting = what.strip_prefix("current_setting('")?.strip_suffix("')")?;
            return Some(Statement::Show(setting.to_owned()));
        }
    };
    Some(Statement::One(known))
}

/// The likeliest error: an unknown relation after FROM, else an unknown function, else an unknown column.
fn refuse_select(sql: &str) -> Statement {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let from = words.iter().position(|word| word.eq_ignore_ascii_case("from"));
    if let Some(relation) = from.and_then(|at| words.get(at + 1)) {
        let relation = relation.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
        return Statement::Refused {
            code: "42P01",
            message: format!("relation \"{relation}\" does not exist"),
        };
    }
    let what = words.get(1).copied().unwrap_or_default();
    if let Some((function, _)) = what.split_once('(') {
        return Statement::Refused {
            code: "42883",
            message: format!("function {function}() does not exist"),
        };
    }
    if what.is_empty() {
        return Statement::Refused { code: "42601", message: "syntax error at end of input".to_owned() };
    }
    Statement::Refused { code: "42703", message: format!("column \"{what}\" does not exist") }
}

fn set(rest: &str) -> Statement {
    let rest = rest
        .strip_prefix("SESSION ")
        .or_else(|| rest.strip_prefix("LOCAL "))
        .or_else(|| rest.strip_prefix("session "))
        .unwrap_or(rest);
    let lower = rest.to_ascii_lowercase();
    if lower.starts_with("characteristics as transaction read only")
        || lower.starts_with("transaction read only")
    {
        return Statement::Set("default_transaction_read_only".to_owned(), "on".to_owned());
    }
    let pair = rest.split_once('=').or_else(|| {
        let at = lower.find(" to ")?;
        Some((&rest[..at], &rest[at + 4..]))
    });
    match pair {
        Some((name, value)) => Statement::Set(
            name.trim().to_ascii_lowercase(),
            value.trim().trim_matches(|c| c == '\'' || c == '"').to_owned(),
        ),
        None => Statement::Refused { code: "42601", message: "syntax error in SET".to_owned() },
    }
}

/// The columns of a statement that returns rows.
pub(super) fn columns(statement: &Statement) -> Option<Vec<(String, Type)>> {
    let column = match statement {
        Statement::Change(_, columns) if columns.is_empty() => return None,
        Statement::Tagged(_, columns) | Statement::Change(_, columns) => {
            return Some(columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect());
        }
        Statement::Signal(_) => ("pg_terminate_backend", Type::BOOL),
        Statement::Explain(..) => ("QUERY PLAN", Type::TEXT),
        Statement::One(Known::One) => ("?column?", Type::INT4),
        Statement::One(Known::Version) => ("version", Type::TEXT),
        Statement::One(Known::BackendPid) => ("pg_backend_pid", Type::INT4),
        Statement::One(Known::Database) => ("current_database", Type::NAME),
        Statement::One(Known::User) => ("current_user", Type::NAME),
        Statement::One(Known::Now) => ("now", Type::TIMESTAMPTZ),
        // The column is named after the setting; clients read it by position.
        Statement::Show(_) => ("setting", Type::TEXT),
        _ => return None,
    };
    Some(vec![(column.0.to_owned(), column.1)])
}

/// The rows of a statement that only looks; the error is (code, message).
pub(super) fn rows(
    statement: &Statement,
    asked: &Asked<'_>,
    settings: &Settings,
) -> Result<Vec<Vec<Cell>>, (&'static str, String)> {
    Ok(match statement {
        Statement::Tagged(table, columns) => project(&table.rows(asked), columns),
        Statement::One(known) => vec![vec![one(*known, settings, asked.pid, asked.now)]],
        Statement::Show(name) => match settings.show(name, asked.database) {
            Some(value) => vec![vec![Cell::Text(value)]],
            None => return Err(("42704", format!("unrecognized configuration parameter \"{name}\""))),
        },
        Statement::Explain(json, of) => {
            let text = settings.prepared().unwrap_or(of);
            super::plans::explain(asked.database, text, *json)
                .into_iter()
                .map(|line| vec![Cell::Text(line)])
                .collect()
        }
        _ => Vec::new(),
    })
}

/// The chosen columns of whole rows.
pub(super) fn project(rows: &[Vec<Cell>], columns: &[Chosen]) -> Vec<Vec<Cell>> {
    let row = |row: &Vec<Cell>| columns.iter().map(|column| cell(row, column)).collect();
    rows.iter().map(row).collect()
}

fn cell(row: &[Cell], column: &Chosen) -> Cell {
    match &row[column.of] {
        Cell::Null if column.zero => Cell::Int8(0),
        cell => cell.clone(),
    }
}

fn one(known: Known, settings: &Settings, pid: i32, now: Timestamp) -> Cell {
    match known {
        Known::One => Cell::Int4(1),
        Known::Version => Cell::Text(format!("PostgreSQL {} on x86_64-pc-linux-gnu (lab)", super::VERSION)),
        Known::BackendPid => Cell::Int4(pid),
        Known::Database => Cell::text(settings.database()),
        Known::User => Cell::text(settings.user()),
        Known::Now => Cell::Moment(now),
    }
}
