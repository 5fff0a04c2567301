//! Accounts with many failed logins, and those that got in after them, in the application's own table.

use crate::config::{DatabaseRefusal, DatabaseSession, DatabaseUsers, database_queries as queries};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

/// So many accounts are not the few that clients of our own log in with (audit, section 3: users that make it a spray).
const MANY: usize = 5;

pub(super) async fn failures(
    session: &DatabaseSession,
    users: &DatabaseUsers,
    more_than: u32,
) -> Result<Answer, DatabaseRefusal> {
    let Some(failures) = &users.failures else {
        return Ok(Answer::failed("no column of failed logins is configured: [database] users"));
    };
    let DatabaseUsers { table, id, name, active, .. } = users;
    let last = users.last_login.as_deref().unwrap_or("NULL::timestamptz");
    let sql = format!(
        "/* covet:account-failures */ SELECT {id}::text AS id, {name}::text AS username, {active}::text AS is_active, \
         {failures}::text AS failed_attempts, \
         ({last} > now()-interval '1 hour')::text AS got_in FROM {table} \
         WHERE {failures} > {more_than} ORDER BY {failures} DESC LIMIT 100"
    );
    let rows = session.ask(&sql).await?;
    let mut answer = Answer::new();
    let (mut inside, mut all) = (Vec::new(), Vec::new());
    for row in &rows {
        let name = queries::name(row, "username").to_string();
        let is = |column: &str| matches!(row.text(column), "t" | "true");
        let (got_in, active) = (is("got_in"), is("is_active"));
        let note = if got_in { ", and got in within the hour" } else { "" };
        let state = if active { "" } else { " (disabled)" };
        let tone = if got_in && active { Tone::Bad } else { Tone::Plain };
        answer.line(tone, format!("{name}{state}: {} failed logins{note}", row.text("failed_attempts")));
        if got_in && active {
            inside.push(name.clone());
        }
        if active {
            all.push(name);
        }
    }
    // A comma would make two of one.
    let listed = |names: &[String]| {
        names.iter().filter(|name| !name.contains(',')).cloned().collect::<Vec<_>>().join(",")
    };
    answer.bind("attacked_accounts", listed(&all));
    answer.bind("breached_accounts", listed(&inside));
    if all.len() >= MANY {
        let says = format!("{} have more than {more_than} failed logins", text::count(all.len(), "account"));
        answer.found(cause::PASSWORD_GUESSING, says);
    }
    answer.summary(match (inside.len(), rows.len()) {
        (0, 0) => format!("no account has more than {more_than} failed logins"),
        (0, some) => format!("{} with more than {more_than} failed logins", text::count(some, "account")),
        (some, _) => {
            format!("{} got in after more than {more_than} failed logins", text::count(some, "account"))
        }
    });
    Ok(answer)
}
