//! Rows of the catalogue: settings, indexes, accounts, settings of roles.

use jiff::SignedDuration;

use super::cell::Cell;
use super::tables::Asked;
use super::views::{bare, list, text};
use crate::lab::database::is_superuser;

pub(super) fn settings(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let (most, reserved) = (asked.database.max_connections.to_string(), asked.database.reserved.to_string());
    [
        ("idle_in_transaction_session_timeout", "0", Some("ms"), "user"),
        ("lock_timeout", "0", Some("ms"), "user"),
        ("log_min_duration_statement", "-1", Some("ms"), "superuser"),
        ("max_connections", most.as_str(), None, "postmaster"),
        ("server_version", super::VERSION, None, "internal"),
        ("shared_buffers", "262144", Some("8kB"), "postmaster"),
        ("shared_preload_libraries", "pg_stat_statements", None, "postmaster"),
        ("statement_timeout", "0", Some("ms"), "user"),
        ("superuser_reserved_connections", reserved.as_str(), None, "postmaster"),
        ("work_mem", "4096", Some("kB"), "user"),
    ]
    .into_iter()
    .map(|(name, value, unit, context)| {
        vec![Cell::text(name), Cell::text(value), Cell::word(unit), Cell::text(context), Cell::Bool(false)]
    })
    .collect()
}

/// Without a table: of `users`, the one table whose plan can lack an index here.
pub(super) fn table_indexes(asked: &Asked<'_>, table: Option<String>) -> Vec<Vec<Cell>> {
    let name = table.map_or_else(|| "users".to_owned(), |table| bare(&table));
    let Some(table) = asked.database.table(&name) else { return Vec::new() };
    let of = asked.database.indexes.iter().filter(|index| index.table == name);
    of.map(|index| {
        vec![
            Cell::text(&index.name),
            Cell::Bool(index.valid),
            Cell::Text(index.columns.join(",")),
            Cell::Int8(table.rows as i64),
            Cell::Int8(table.bytes as i64),
            Cell::Bool(true),
            Cell::text(asked.role),
            Cell::Bool(true),
        ]
    })
    .collect()
}

pub(super) fn table_facts(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let name = text(asked, 0).map(|name| bare(&name)).unwrap_or_default();
    let Some(table) = asked.database.table(&name) else { return Vec::new() };
    let missing: Vec<String> =
        list(asked, 1).into_iter().filter(|column| !table.columns.contains(column)).collect();
    vec![vec![
        Cell::Int8(table.rows as i64),
        Cell::Int8(table.bytes as i64),
        Cell::Bool(true),
        Cell::Text(missing.join(",")),
    ]]
}

pub(super) fn index(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let name = text(asked, 0).map(|name| bare(&name)).unwrap_or_default();
    let Some(index) = asked.database.index(&name) else { return Vec::new() };
    let columns = index.columns.join(", ");
    vec![vec![
        Cell::text(&index.name),
        Cell::Bool(index.valid),
        Cell::Text(format!("CREATE INDEX {} ON public.{} USING btree ({columns})", index.name, index.table)),
        Cell::Text(format!("public.{}", index.table)),
        Cell::Int8(asked.database.table(&index.table).map_or(0.0, |table| table.rows * 40.0) as i64),
        Cell::Bool(true),
        Cell::Bool(index.constrains),
        Cell::Bool(index.building.is_some()),
        Cell::Bool(!index.constrains),
        Cell::Text(index.columns.join(",")),
    ]]
}

pub(super) fn users(asked: &Asked<'_>, wanted: impl Fn(&String, &String, i64) -> bool) -> Vec<Vec<Cell>> {
    let hour = SignedDuration::from_hours(1);
    asked
        .database
        .users
        .iter()
        .filter(|user| wanted(&user.id.to_string(), &user.username, user.failed_attempts))
        .map(|user| {
            let lately = user.last_login.map(|at| asked.now.duration_since(at) < hour);
            vec![
                Cell::Int8(user.id),
                Cell::text(&user.username),
                Cell::Bool(user.is_active),
                Cell::Int8(user.failed_attempts),
                lately.map_or(Cell::Null, Cell::Bool),
                Cell::Bool(true),
            ]
        })
        .collect()
}

pub(super) fn role_setting(asked: &Asked<'_>) -> Vec<Cell> {
    let [role, database, setting] = [0, 1, 2].map(|index| text(asked, index).unwrap_or_default());
    let known = |is: bool| if is { Cell::text("16384") } else { Cell::Null };
    let roles = ["app", "postgres", "rdsadmin"];
    let value = asked.database.role_settings.get(&(role.clone(), database.clone(), setting.clone()));
    vec![
        known(roles.contains(&role.as_str())),
        known(database == "covetpy"),
        Cell::text(if setting.starts_with("log_") { "superuser" } else { "user" }),
        value.map_or(Cell::Null, |value| Cell::Text(format!("{setting}={value}"))),
        Cell::text(if is_superuser(asked.role) { "true" } else { "false" }),
        Cell::text("150018"),
    ]
}
