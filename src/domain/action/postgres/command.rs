//! Actions on PostgreSQL as lines for psql. Names are quoted here too: a pasted line must mean what was shown.

use super::{Pick, SessionTarget, Sql, Which};
use crate::domain::shell_quote;

impl Sql {
    /// The line a person could paste into a shell.
    pub(in crate::domain::action) fn as_command(&self) -> String {
        match self {
            Sql::PingDatabase => psql("SELECT 1"),
            Sql::DatabaseCapacity => psql(
                "SELECT state, count(*) FROM pg_stat_activity WHERE backend_type='client backend' GROUP BY 1",
            ),
            Sql::LongTransactions => psql(
                "SELECT pid, usename, state, now()-xact_start, query FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start",
            ),
            Sql::PickedSessions { pick } => psql(&format!(
                "SELECT pid, backend_start, usename, state, now()-state_change FROM pg_stat_activity WHERE {} ORDER BY state_change",
                picked(pick.which)
            )),
            Sql::LockTree => psql(
                "SELECT pid, pg_blocking_pids(pid), state, query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0",
            ),
            Sql::ExpensiveQueries { .. } => psql(
                "SELECT queryid, calls, total_exec_time, query FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 10",
            ),
            Sql::TableScans => psql(
                "SELECT relname, seq_scan, seq_tup_read, idx_scan FROM pg_stat_user_tables ORDER BY seq_tup_read DESC LIMIT 10",
            ),
            Sql::IndexState => psql(
                "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid; TABLE pg_stat_progress_create_index",
            ),
            Sql::ExplainQuery { .. } => psql("EXPLAIN (VERBOSE) …"),
            Sql::DatabaseSettings => psql("SHOW ALL"),
            Sql::ReplicaLag => psql("SELECT application_name, replay_lag FROM pg_stat_replication"),
            Sql::PoolBudget { namespace, config_map } => format!(
                "kubectl get configmap {} -n {} -o yaml",
                config_map.as_deref().map(shell_quote).unwrap_or_default(),
                shell_quote(namespace)
            ),
            Sql::AccountFailures { more_than } => psql(&format!(
                "SELECT username, failed_attempts FROM users WHERE failed_attempts > {more_than}"
            )),
            other => other.change(),
        }
    }

    fn change(&self) -> String {
        match self {
            Sql::TerminateSessions { pick, sessions } => signal("pg_terminate_backend", pick, sessions),
            Sql::CancelQueries { pick, sessions } => signal("pg_cancel_backend", pick, sessions),
            Sql::CreateIndex { table, columns, index } => {
                let columns: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
                psql(&format!(
                    "CREATE INDEX CONCURRENTLY {}ON {} ({})",
                    index.as_deref().map(|index| format!("{} ", quoted(index))).unwrap_or_default(),
                    quoted(table),
                    columns.join(", ")
                ))
            }
            Sql::DropIndex { index } => psql(&format!("DROP INDEX CONCURRENTLY {}", quoted(index))),
            Sql::SetRoleSetting { role, database, setting, value, .. } => {
                let what = match value {
                    Some(value) => format!("SET {} = '{}'", quoted(setting), value.replace('\'', "''")),
                    None => format!("RESET {}", quoted(setting)),
                };
                psql(&format!("ALTER ROLE {} IN DATABASE {} {what}", quoted(role), quoted(database)))
            }
            Sql::DisableUsers { users } => psql(&format!(
                "UPDATE users SET is_active = false WHERE username IN ({}) AND is_active RETURNING id, username",
                literals(users)
            )),
            Sql::EnableUsers { ids } => psql(&format!(
                "UPDATE users SET is_active = true WHERE id::text IN ({}) AND NOT is_active RETURNING id, username",
                literals(ids)
            )),
            // Reads were answered before.
            _ => String::new(),
        }
    }
}

fn psql(sql: &str) -> String {
    format!(r#"psql "$DATABASE_URL" -c {}"#, shell_quote(sql))
}

fn picked(which: Which) -> &'static str {
    match which {
        Which::IdleInTransaction => "state LIKE 'idle in transaction%'",
        Which::Idle => "state = 'idle'",
        Which::LockRoots => {
            "pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity) AND cardinality(pg_blocking_pids(pid)) = 0"
        }
        Which::LongQueries => "state = 'active'",
    }
}

/// To exactly these sessions; before they are known, to those that are meant.
fn signal(function: &str, pick: &Pick, sessions: &[SessionTarget]) -> String {
    if sessions.is_empty() {
        let since = if pick.which == Which::LongQueries { "query_start" } else { "state_change" };
        let age = match pick.older.as_secs() {
            0 => String::new(),
            seconds => format!(" AND now()-{since} >= interval '{seconds} s'"),
        };
        let role = pick.role.as_ref().map(|role| format!(" AND usename = {}", literals(&[role.to_string()])));
        return psql(&format!(
            "SELECT pid, {function}(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND pid <> pg_backend_pid() AND {}{age}{}",
            picked(pick.which),
            role.unwrap_or_default()
        ));
    }
    let pairs: Vec<String> =
        sessions.iter().map(|session| format!("({},'{}')", session.pid, session.backend_start)).collect();
    psql(&format!(
        "SELECT pid, {function}(pid) FROM pg_stat_activity WHERE (pid, backend_start) IN ({})",
        pairs.join(", ")
    ))
}

/// `schema.table` as `"schema"."table"`.
fn quoted(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

fn literals(values: &[String]) -> String {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}
