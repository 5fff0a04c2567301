//! Actions on PostgreSQL from the arguments of a step.

use std::time::Duration;

use crate::domain::{Name, Pick, Sql, Which};

use super::{Args, Bound, missing};

pub(super) fn bind(args: &Args<'_>) -> Bound<Sql> {
    Ok(match args.verb.name {
        "ping-database" => Sql::PingDatabase,
        "database-capacity" => Sql::DatabaseCapacity,
        "long-transactions" => Sql::LongTransactions,
        "picked-sessions" => Sql::PickedSessions { pick: pick(args)? },
        "lock-tree" => Sql::LockTree,
        "expensive-queries" => {
            Sql::ExpensiveQueries { apart: args.maybe_span("apart")?.unwrap_or(Duration::from_secs(10)) }
        }
        "table-scans" => Sql::TableScans,
        "index-state" => Sql::IndexState,
        "explain-query" => {
            let number = |text: String| {
                text.parse().map_err(|_| missing("query", format!("`{text}` is not the id of a query")))
            };
            Sql::ExplainQuery { query: args.maybe("query")?.map(number).transpose()? }
        }
        "database-settings" => Sql::DatabaseSettings,
        "replica-lag" => Sql::ReplicaLag,
        "pool-budget" => Sql::PoolBudget {
            namespace: args.namespace()?,
            config_map: args.maybe("config_map")?.map(Name::from),
        },
        "account-failures" => {
            Sql::AccountFailures { more_than: args.maybe_count("more_than")?.unwrap_or(10) }
        }
        "terminate-sessions" => Sql::TerminateSessions { pick: pick(args)?, sessions: Vec::new() },
        "cancel-queries" => Sql::CancelQueries { pick: pick(args)?, sessions: Vec::new() },
        "create-index" => Sql::CreateIndex {
            table: args.name("table")?,
            columns: words(&args.text("columns")?).map(Name::from).collect(),
            index: args.maybe("index")?.map(Name::from),
        },
        "drop-index" => Sql::DropIndex { index: args.name("index")? },
        "set-role-setting" => Sql::SetRoleSetting {
            role: args.name("role")?,
            database: args.name("database")?,
            setting: args.name("setting")?,
            value: args.maybe("value")?,
            instead_of: None,
        },
        "disable-users" => Sql::DisableUsers { users: listed(args, "users")? },
        "enable-users" => Sql::EnableUsers { ids: listed(args, "ids")? },
        _ => return Err(args.cannot()),
    })
}

fn pick(args: &Args<'_>) -> Bound<Pick> {
    let word = args.text("which")?;
    let which = Which::parse(&word).ok_or_else(|| missing("which", format!("`{word}` is not known")))?;
    // The ages of the audit (section 3 and D30b); a lock root harms from the first moment on.
    let usual = match which {
        Which::IdleInTransaction => Duration::from_mins(5),
        Which::Idle => Duration::from_hours(1),
        Which::LockRoots => Duration::ZERO,
        Which::LongQueries => Duration::from_mins(1),
    };
    Ok(Pick {
        which,
        older: args.maybe_span("older")?.unwrap_or(usual),
        role: args.maybe("role")?.map(Name::from),
    })
}

/// Values of a list; a single placeholder may stand for several, separated by commas.
fn listed(args: &Args<'_>, param: &str) -> Bound<Vec<String>> {
    let all: Vec<String> = args
        .words(param)?
        .iter()
        .flat_map(|text| words(text).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if all.is_empty() { Err(missing(param, format!("`{param}` is empty"))) } else { Ok(all) }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}
