//! The verbs of PostgreSQL.

use super::ParamKind::{Count, Line, Name, OneOf, Span, Words};
use super::{IN, Param, Verb, changes, disrupts, may, must, reads};
use crate::domain::System::Postgres;

const WHICH: Param = must("which", OneOf(&["idle-in-transaction", "idle", "lock-roots", "long-queries"]));
/// For how long they have been so; without it, the default of each kind.
const OLDER: Param = may("older", Span);
const ROLE: Param = may("role", Line);

pub(super) static VERBS: &[Verb] = &[
    reads("ping-database", &[]).on(Postgres),
    reads("database-capacity", &[]).on(Postgres),
    reads("long-transactions", &[]).on(Postgres),
    reads("picked-sessions", &[WHICH, OLDER, ROLE]).on(Postgres),
    reads("lock-tree", &[]).on(Postgres),
    reads("expensive-queries", &[may("apart", Span)]).on(Postgres),
    reads("table-scans", &[]).on(Postgres),
    reads("index-state", &[]).on(Postgres),
    reads("explain-query", &[may("query", Line)]).on(Postgres),
    reads("database-settings", &[]).on(Postgres),
    reads("replica-lag", &[]).on(Postgres),
    reads("pool-budget", &[IN, may("config_map", Name)]).on(Postgres),
    reads("account-failures", &[may("more_than", Count)]).on(Postgres),
    disrupts("terminate-sessions", &[WHICH, OLDER, ROLE]).on(Postgres),
    disrupts("cancel-queries", &[WHICH, OLDER, ROLE]).on(Postgres),
    disrupts("create-index", &[must("table", Line), must("columns", Line), may("index", Line)]).on(Postgres),
    disrupts("drop-index", &[must("index", Line)]).on(Postgres),
    changes(
        "set-role-setting",
        &[
            must("role", Line),
            must("database", Line),
            must("setting", Line),
            // Without a value it is reset.
            may("value", Line),
        ],
    )
    .on(Postgres),
    disrupts("disable-users", &[must("users", Words)]).on(Postgres),
    disrupts("enable-users", &[must("ids", Words)]).on(Postgres),
];
