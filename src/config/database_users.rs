//! The application's own table of accounts, as the settings describe it, and names of the database made safe.

use super::ConnectError;
use crate::domain::BlindKind;

/// `table(id, name, active, failures, last login)`: the last two may be absent. All checked and quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseUsers {
    pub table: String,
    pub id: String,
    pub name: String,
    pub active: String,
    pub failures: Option<String>,
    pub last_login: Option<String>,
}

impl DatabaseUsers {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<DatabaseUsers, ConnectError> {
        let wrong = |what: &str| {
            let why = format!("[database] users: {what} in `{text}`");
            let form = r#"users = "users(id, username, is_active, failed_attempts, last_login)""#;
            ConnectError::new(BlindKind::Broken, why, form)
        };
        let (table, rest) = text.split_once('(').ok_or_else(|| wrong("no columns"))?;
        let columns = rest.trim().strip_suffix(')').ok_or_else(|| wrong("no closing parenthesis"))?;
        let mut columns = columns.split(',').map(|column| identifier(column).map_err(|why| wrong(&why)));
        let mut next = |what: &str| columns.next().unwrap_or_else(|| Err(wrong(what)));
        let (id, name, active) = (next("no column for the id")?, next("no name")?, next("no active flag")?);
        Ok(DatabaseUsers {
            table: identifier(table).map_err(|why| wrong(&why))?,
            id,
            name,
            active,
            failures: columns.next().transpose()?,
            last_login: columns.next().transpose()?,
        })
    }
}

/// A name of the database, `name` or `schema.name`, checked and quoted for SQL. Case is kept.
///
/// # Errors
/// Why it can be no name: PostgreSQL's own would be longer than 63 bytes, or holds other than letters,
/// digits, `_` and `$`. Such names exist; changing their objects is left to psql.
pub fn identifier(name: &str) -> Result<String, String> {
    let name = name.trim();
    let parts: Vec<&str> = name.split('.').collect();
    let fine = |part: &&str| {
        part.len() <= 63
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    if parts.len() > 2 || !parts.iter().all(fine) {
        return Err(format!("`{}` is no plain name", crate::domain::text::clean(name)));
    }
    Ok(parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_accounts_is_described_in_one_line() {
        let users = DatabaseUsers::parse("app.accounts(uid, login, enabled)").unwrap();
        assert_eq!(users.table, r#""app"."accounts""#);
        assert_eq!((users.id.as_str(), users.active.as_str()), (r#""uid""#, r#""enabled""#));
        assert_eq!(users.failures, None);
        let full =
            DatabaseUsers::parse("users(id, username, is_active, failed_attempts, last_login)").unwrap();
        assert_eq!(full.last_login.as_deref(), Some(r#""last_login""#));
        for wrong in ["users", "users(id", "users(id, name)", "users(id, na me, x)", r#"us"ers(id, a, b)"#] {
            assert!(DatabaseUsers::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_quoted_and_nothing_else_gets_through() {
        assert_eq!(identifier("Users").as_deref(), Ok(r#""Users""#));
        assert_eq!(identifier("public.users_email_idx").as_deref(), Ok(r#""public"."users_email_idx""#));
        let long = "x".repeat(64);
        for wrong in ["", "a.b.c", "users; DROP TABLE users", "1st", "a-b", "a\"b", long.as_str()] {
            assert!(identifier(wrong).is_err(), "{wrong}");
        }
    }
}
