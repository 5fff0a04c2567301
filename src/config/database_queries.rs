//! The queries that eyes, probes and hands share, each named by a leading comment so that the server's own
//! log says whose it is. Moments are whole microseconds, lengths of time are seconds.

use crate::domain::{ConnectionLimit, Limited, LockRoot, Locked, Name, Which, text, without_literals};

use super::DatabaseRow;

/// Q1: slots and who holds them, for the whole server.
pub const CAPACITY: &str = "/* covet:capacity */ \
SELECT (SELECT setting::int FROM pg_settings WHERE name='max_connections') AS max_conn, \
COALESCE((SELECT sum(setting::int) FROM pg_settings WHERE name IN \
('superuser_reserved_connections','reserved_connections','rds.rds_superuser_reserved_connections')),0) AS reserved, \
count(*) FILTER (WHERE backend_type='client backend') AS used, \
count(*) FILTER (WHERE state='active') AS active, \
count(*) FILTER (WHERE state='idle') AS idle, \
count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_tx, \
count(*) FILTER (WHERE wait_event_type='Lock') AS lock_waiters, \
count(*) FILTER (WHERE state='active' AND wait_event_type IS NULL AND pid<>pg_backend_pid()) AS on_cpu, \
extract(epoch FROM max(now()-xact_start) FILTER (WHERE backend_type='client backend'))::float8 AS oldest_xact_s \
FROM pg_stat_activity";

/// Q2: sessions by client, the largest groups first.
pub const CLIENTS: &str = "/* covet:clients */ \
SELECT datname, usename, application_name, client_addr, state, count(*), \
count(*) FILTER (WHERE now()-state_change > interval '5 min') AS over_5m, \
extract(epoch FROM max(now()-state_change))::float8 AS max_in_state_s \
FROM pg_stat_activity WHERE backend_type='client backend' GROUP BY 1,2,3,4,5 ORDER BY 6 DESC LIMIT 30";

/// Roles and databases with a limit of their own that use half of it or more. Superusers have none.
pub const LIMITS: &str = "/* covet:connection-limits */ \
SELECT of, name, most, used FROM (\
SELECT 'role' AS of, r.rolname::text AS name, r.rolconnlimit AS most, count(*)::int8 AS used \
FROM pg_roles r JOIN pg_stat_activity a ON a.usesysid=r.oid \
WHERE r.rolconnlimit>=0 AND NOT r.rolsuper AND COALESCE(a.backend_type,'client backend')='client backend' \
GROUP BY 2,3 UNION ALL \
SELECT 'database', d.datname::text, d.datconnlimit, count(*)::int8 \
FROM pg_database d JOIN pg_stat_activity a ON a.datid=d.oid \
WHERE d.datconnlimit>=0 AND COALESCE(a.backend_type,'client backend')='client backend' GROUP BY 2,3) limits \
WHERE used*2>=most ORDER BY used-most DESC, name LIMIT 10";

/// When the client sessions that live were opened, the oldest first. Whoever may not see others sees no moments.
pub const OPENED: &str = "/* covet:opened */ \
SELECT (extract(epoch FROM backend_start)*1000000)::int8 AS backend_start FROM pg_stat_activity \
WHERE backend_type='client backend' AND backend_start IS NOT NULL ORDER BY 1 LIMIT 10000";

/// Replicas that stream from here, and how far what they show is behind.
pub const REPLICAS: &str = "/* covet:replicas */ SELECT application_name, client_addr, state, \
extract(epoch FROM replay_lag)::float8 AS replay_lag_s FROM pg_stat_replication ORDER BY 1 LIMIT 20";

/// Q3: open transactions, the oldest first.
pub const TRANSACTIONS: &str = "/* covet:transactions */ \
SELECT pid, datname, usename, application_name, client_addr, state, \
extract(epoch FROM now()-xact_start)::float8 AS xact_age_s, \
extract(epoch FROM now()-query_start)::float8 AS query_age_s, \
wait_event_type, wait_event, left(query,200) AS query FROM pg_stat_activity \
WHERE backend_type='client backend' AND pid<>pg_backend_pid() AND xact_start IS NOT NULL \
ORDER BY xact_start LIMIT 20";

/// Who waits for locks and who is waited for, in every database.
pub const LOCKS: &str = "/* covet:locks */ \
WITH waits AS MATERIALIZED \
(SELECT pid, pg_blocking_pids(pid) AS blockers FROM pg_stat_activity WHERE wait_event_type='Lock') \
SELECT a.pid AS pid, (extract(epoch FROM a.backend_start)*1000000)::int8 AS backend_start, \
a.datname AS datname, a.usename AS usename, a.application_name AS application_name, a.state AS state, \
extract(epoch FROM now()-a.xact_start)::float8 AS xact_age_s, \
extract(epoch FROM now()-a.query_start)::float8 AS running_s, \
COALESCE(r.rolsuper,false) AS is_super, \
left(a.query,200) AS query, array_to_string(w.blockers,',') AS blocked_by \
FROM pg_stat_activity a LEFT JOIN waits w ON w.pid=a.pid LEFT JOIN pg_roles r ON r.oid=a.usesysid \
WHERE w.pid IS NOT NULL OR a.pid IN (SELECT unnest(blockers) FROM waits) ORDER BY a.pid LIMIT 500";

/// What our role may see and do, and whether statements are counted.
pub const RIGHTS: &str = "/* covet:rights */ \
SELECT current_user AS role, pg_has_role(current_user,'pg_read_all_stats','USAGE') AS sees_all, \
EXISTS (SELECT 1 FROM pg_extension WHERE extname='pg_stat_statements') AS counts_statements";

/// Tables of this database that our role may not read: it gets no plan of a statement that reads them.
pub const UNREADABLE: &str = "/* covet:unreadable */ \
SELECT count(*)::int8 AS tables, (array_agg(c.oid::regclass::text ORDER BY c.reltuples DESC))[1] AS largest, \
current_user AS role, EXISTS (SELECT 1 FROM pg_roles WHERE rolname='pg_read_all_data') AS knows_readers \
FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace WHERE c.relkind IN ('r','p') \
AND n.nspname NOT IN ('pg_catalog','information_schema') AND n.nspname NOT LIKE 'pg\\_%' \
AND NOT (has_table_privilege(c.oid,'SELECT') AND has_schema_privilege(n.oid,'USAGE'))";

/// Q6 without texts: what each statement of this database has cost so far. Milliseconds.
pub const STATEMENTS: &str = "/* covet:statements */ \
SELECT queryid, sum(calls)::int8 AS calls, sum(total_exec_time)::float8 AS total_ms, sum(rows)::int8 AS rows, \
sum(shared_blks_read)::int8 AS blocks_read FROM pg_stat_statements(false) \
WHERE queryid IS NOT NULL AND dbid=(SELECT oid FROM pg_database WHERE datname=current_database()) GROUP BY queryid";

/// Our own statements, which keep the comment they begin with.
pub const OWN_STATEMENTS: &str = "/* covet:own-statements */ \
SELECT queryid FROM pg_stat_statements WHERE query LIKE '/* covet:%'";

/// The text of one statement.
pub fn statement_text(query: i64) -> String {
    format!(
        "/* covet:statement-text */ SELECT queryid, query FROM pg_stat_statements WHERE queryid={query} LIMIT 1"
    )
}

/// Q7: tables by rows read without an index.
pub const TABLES: &str = "/* covet:tables */ \
SELECT schemaname, relname, seq_scan, seq_tup_read, idx_scan, n_live_tup, \
pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables ORDER BY seq_tup_read DESC LIMIT 10";

/// Q8: indexes that are being built.
pub const BUILDING: &str = "/* covet:index-progress */ \
SELECT p.pid AS pid, t.relname AS table_name, p.phase AS phase, p.blocks_done AS blocks_done, \
p.blocks_total AS blocks_total, p.current_locker_pid AS waits_for \
FROM pg_stat_progress_create_index p LEFT JOIN pg_class t ON t.oid=p.relid LIMIT 20";

/// Q8: indexes that are not valid and that nobody is building, rebuilding or dropping; that of a partitioned table is not
/// valid by design until each part has its own.
pub const INVALID: &str = "/* covet:invalid-indexes */ \
SELECT n.nspname AS schema_name, c.relname AS index_name, t.relname AS table_name, \
pg_get_userbyid(t.relowner) AS owner, pg_has_role(current_user,t.relowner,'USAGE') AS owns \
FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid JOIN pg_class t ON t.oid=i.indrelid \
JOIN pg_namespace n ON n.oid=c.relnamespace WHERE NOT i.indisvalid AND c.relkind='i' AND NOT EXISTS \
(SELECT 1 FROM pg_stat_progress_create_index p WHERE p.relid=i.indrelid) AND NOT EXISTS \
(SELECT 1 FROM pg_stat_activity a WHERE a.state='active' AND a.pid<>pg_backend_pid() \
AND a.query ~* '(drop\\s+index|reindex)') ORDER BY 1,2 LIMIT 20";

/// The sessions that a pick means. $1 is a role or null, $2 the least age in seconds.
pub fn picked(which: Which) -> String {
    let since = since(which);
    let (tag, means) = match which {
        Which::IdleInTransaction => {
            ("idle-in-transaction", "a.datname=current_database() AND a.state LIKE 'idle in transaction%'")
        }
        // Two alike from one address are a pool; so is whatever its fellows work with.
        Which::Idle => (
            "idle",
            "a.datname=current_database() AND a.state='idle' AND NOT EXISTS (SELECT 1 FROM pg_stat_activity b \
             WHERE b.pid<>a.pid AND b.usesysid=a.usesysid AND b.application_name=a.application_name \
             AND (b.client_addr IS NOT DISTINCT FROM a.client_addr OR now()-b.state_change < interval '10 min'))",
        ),
        Which::LockRoots => (
            "lock-roots",
            "COALESCE(a.wait_event_type,'')<>'Lock' AND a.pid IN (SELECT unnest(pg_blocking_pids(w.pid)) \
             FROM pg_stat_activity w WHERE w.wait_event_type='Lock')",
        ),
        Which::LongQueries => (
            "long-queries",
            "a.datname=current_database() AND a.state='active' AND COALESCE(a.wait_event_type,'')<>'Lock'",
        ),
    };
    format!(
        "/* covet:picked-{tag} */ SELECT a.pid::text AS pid, \
         (extract(epoch FROM a.backend_start)*1000000)::int8::text AS backend_start, \
         (extract(epoch FROM {since})*1000000)::int8::text AS since, a.datname::text AS datname, \
         a.usename::text AS usename, a.application_name::text AS application_name, \
         a.client_addr::text AS client_addr, a.state::text AS state, \
         extract(epoch FROM now()-{since})::float8::text AS age_s, left(a.query,120)::text AS query, \
         r.rolsuper::text AS is_super, (pg_has_role(current_user,a.usesysid,'USAGE') \
         OR pg_has_role(current_user,'pg_signal_backend','USAGE'))::text AS may_signal \
         FROM pg_stat_activity a JOIN pg_roles r ON r.oid=a.usesysid \
         WHERE a.backend_type='client backend' AND a.pid<>pg_backend_pid() AND a.application_name<>'covet-tui' \
         AND ($1::text IS NULL OR a.usename=$1::text) AND {means} \
         AND now()-{since} >= make_interval(secs => $2::float8) ORDER BY {since} LIMIT 500"
    )
}

/// The moment by which a picked session is known to be in the same state still.
pub fn since(which: Which) -> &'static str {
    match which {
        Which::IdleInTransaction | Which::Idle => "a.state_change",
        Which::LockRoots => "a.xact_start",
        Which::LongQueries => "a.query_start",
    }
}

/// A row of [`LOCKS`].
pub fn locked(row: &DatabaseRow) -> Option<Locked> {
    let blockers = row.text("blocked_by").split(',').filter_map(|pid| pid.parse().ok());
    Some(Locked {
        session: LockRoot {
            pid: row.number("pid")?,
            backend_start: row.moment("backend_start")?,
            database: name(row, "datname"),
            role: name(row, "usename"),
            superuser: row.text("is_super") == "t",
            application: name(row, "application_name"),
            state: name(row, "state"),
            transaction: row.seconds("xact_age_s"),
            query: query(row.text("query")).into(),
            blocked: 0,
        },
        blocked_by: blockers.collect(),
        running: row.seconds("running_s"),
    })
}

/// A row of [`LIMITS`].
pub fn limit(row: &DatabaseRow) -> Option<ConnectionLimit> {
    let of = if row.text("of") == "role" { Limited::Role } else { Limited::Database };
    Some(ConnectionLimit {
        of,
        name: name(row, "name"),
        most: row.number("most")?,
        used: row.number("used")?,
    })
}

/// A column as a harmless word.
pub fn name(row: &DatabaseRow, column: &str) -> Name {
    text::clean(row.text(column)).into()
}

/// A statement in one line, harmless and without the values that stand in it.
pub fn query(sql: &str) -> String {
    definition(&without_literals(sql))
}

/// What the catalogue says of an index, in one line and harmless; its literals tell which rows it is for.
pub fn definition(sql: &str) -> String {
    let line = text::clean(sql).split_whitespace().collect::<Vec<_>>().join(" ");
    text::redact(&line)
}

/// What to do about a query that the server refused for lack of a right or an extension.
pub fn repair(code: Option<&str>, role: &str) -> Option<String> {
    Some(match code? {
        "42P01" | "42883" => "CREATE EXTENSION pg_stat_statements in this database".into(),
        "55000" => {
            "add pg_stat_statements to shared_preload_libraries and restart the server when it can be".into()
        }
        "42703" => {
            "ALTER EXTENSION pg_stat_statements UPDATE: its columns are those of an old version".into()
        }
        "42501" => format!("GRANT pg_read_all_stats TO \"{role}\""),
        _ => return None,
    })
}
