//! Actions on PostgreSQL from the arguments of a step.

use crate::domain::Sql;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<Sql> {
    Ok(match args.verb.name {
        "ping-database" => Sql::PingDatabase,
        _ => return Err(args.cannot()),
    })
}
