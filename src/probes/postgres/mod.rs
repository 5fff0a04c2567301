//! Questions to PostgreSQL.

mod ping;
pub(crate) mod slots;

use super::answer::Answer;
use crate::config::Outside;
use crate::domain::Sql;

pub(super) async fn read(outside: &Outside, sql: &Sql) -> Answer {
    match sql {
        Sql::PingDatabase => ping::ping(outside.database_url.as_deref()).await,
    }
}
