//! The columns of the product's tagged queries, with their natural types.

use pgwire::api::Type;

pub(super) type Columns = &'static [(&'static str, Type)];

pub(super) const LOCKS: Columns = &[
    ("pid", Type::INT4),
    ("backend_start", Type::INT8),
    ("datname", Type::NAME),
    ("usename", Type::NAME),
    ("application_name", Type::TEXT),
    ("state", Type::TEXT),
    ("xact_age_s", Type::FLOAT8),
    ("running_s", Type::FLOAT8),
    ("is_super", Type::BOOL),
    ("query", Type::TEXT),
    ("blocked_by", Type::TEXT),
];
pub(super) const LIMITS: Columns =
    &[("of", Type::TEXT), ("name", Type::TEXT), ("most", Type::INT4), ("used", Type::INT8)];
pub(super) const RIGHTS: Columns =
    &[("role", Type::NAME), ("sees_all", Type::BOOL), ("counts_statements", Type::BOOL)];
pub(super) const STATEMENTS: Columns = &[
    ("queryid", Type::INT8),
    ("calls", Type::INT8),
    ("total_ms", Type::FLOAT8),
    ("rows", Type::INT8),
    ("blocks_read", Type::INT8),
];
pub(super) const STATEMENT_TEXT: Columns = &[("queryid", Type::INT8), ("query", Type::TEXT)];
pub(super) const TABLES: Columns = &[
    ("schemaname", Type::NAME),
    ("relname", Type::NAME),
    ("seq_scan", Type::INT8),
    ("seq_tup_read", Type::INT8),
    ("idx_scan", Type::INT8),
    ("n_live_tup", Type::INT8),
    ("bytes", Type::INT8),
];
pub(super) const PROGRESS: Columns = &[
    ("pid", Type::INT4),
    ("table_name", Type::NAME),
    ("phase", Type::TEXT),
    ("blocks_done", Type::INT8),
    ("blocks_total", Type::INT8),
    ("waits_for", Type::INT8),
];
pub(super) const INVALID: Columns = &[
    ("schema_name", Type::NAME),
    ("index_name", Type::NAME),
    ("table_name", Type::NAME),
    ("owner", Type::NAME),
    ("owns", Type::BOOL),
];
pub(super) const PICKED: Columns = &[
    ("pid", Type::INT4),
    ("backend_start", Type::INT8),
    ("since", Type::INT8),
    ("datname", Type::NAME),
    ("usename", Type::NAME),
    ("application_name", Type::TEXT),
    ("client_addr", Type::INET),
    ("state", Type::TEXT),
    ("age_s", Type::FLOAT8),
    ("query", Type::TEXT),
    ("is_super", Type::BOOL),
    ("may_signal", Type::BOOL),
];
pub(super) const SETTINGS: Columns = &[
    ("name", Type::TEXT),
    ("setting", Type::TEXT),
    ("unit", Type::TEXT),
    ("context", Type::TEXT),
    ("pending_restart", Type::BOOL),
];
pub(super) const REPLICAS: Columns = &[
    ("application_name", Type::TEXT),
    ("client_addr", Type::INET),
    ("state", Type::TEXT),
    ("replay_lag_s", Type::FLOAT8),
];
pub(super) const TABLE_INDEXES: Columns = &[
    ("index_name", Type::NAME),
    ("valid", Type::BOOL),
    ("columns", Type::TEXT),
    ("row_count", Type::INT8),
    ("bytes", Type::INT8),
    ("plain", Type::BOOL),
    ("owner", Type::NAME),
    ("owns", Type::BOOL),
];
pub(super) const TABLE_FACTS: Columns =
    &[("row_count", Type::INT8), ("bytes", Type::INT8), ("owns", Type::BOOL), ("missing", Type::TEXT)];
pub(super) const INDEX: Columns = &[
    ("index_name", Type::NAME),
    ("valid", Type::BOOL),
    ("definition", Type::TEXT),
    ("table_name", Type::TEXT),
    ("bytes", Type::INT8),
    ("owns", Type::BOOL),
    ("constrains", Type::BOOL),
    ("building", Type::BOOL),
    ("plain", Type::BOOL),
    ("columns", Type::TEXT),
];
pub(super) const USERS: Columns = &[
    ("id", Type::INT8),
    ("username", Type::TEXT),
    ("is_active", Type::BOOL),
    ("failed_attempts", Type::INT8),
    ("got_in", Type::BOOL),
    ("may_update", Type::BOOL),
];
pub(super) const ROLE_SETTINGS: Columns = &[
    ("role_id", Type::TEXT),
    ("database_id", Type::TEXT),
    ("context", Type::TEXT),
    ("entry", Type::TEXT),
    ("is_super", Type::TEXT),
    ("version", Type::TEXT),
];
