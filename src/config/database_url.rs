//! Database URLs as applications write them (`postgresql+asyncpg://…?ssl=require`) made into what the client takes.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use rustls::ClientConfig;
use tokio_postgres::config::SslMode;

use super::{ConnectError, tls};
use crate::domain::BlindKind;

/// How the connection is protected, in libpq's terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Encryption {
    /// `disable`, `prefer`, `require`: at most encrypted, nobody's certificate is checked.
    Unverified,
    /// `verify-ca`, `verify-full`: the chain and the name are checked, against the machine's roots or this file.
    Verified(Option<PathBuf>),
}

impl Encryption {
    pub fn client(&self) -> Result<ClientConfig, ConnectError> {
        match self {
            Encryption::Unverified => Ok(tls::trusting_anybody()),
            Encryption::Verified(file) => Ok(tls::verifying(tls::roots(file.as_deref())?)),
        }
    }
}

/// Parameters that the client understands; drivers' own (`prepared_statement_cache_size`, `pgbouncer`, …) are dropped.
const KNOWN: [&str; 7] = [
    "application_name",
    "connect_timeout",
    "options",
    "target_session_attrs",
    "channel_binding",
    "hostaddr",
    "load_balance_hosts",
];

/// The connection a database URL means, under the cockpit's name.
///
/// # Errors
/// Not a PostgreSQL URL, or one that cannot be understood. The words never hold the password.
pub fn database(url: &str) -> Result<(tokio_postgres::Config, Encryption), ConnectError> {
    let (plain, mode, root) = plain(url)?;
    let mut config: tokio_postgres::Config = plain.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        broken(&format!("the database URL is not understood: {error} {cause}"))
    })?;
    let (ssl, encryption) = match mode.as_deref() {
        Some("disable" | "false") => (SslMode::Disable, Encryption::Unverified),
        None | Some("allow" | "prefer") => (SslMode::Prefer, Encryption::Unverified),
        Some("require" | "true") if root.is_none() => (SslMode::Require, Encryption::Unverified),
        Some("require" | "true" | "verify-ca" | "verify-full") => {
            (SslMode::Require, Encryption::Verified(root.filter(|path| path.as_os_str() != "system")))
        }
        Some(other) => {
            return Err(broken(&format!(
                "sslmode `{other}` is not known; it is one of disable, prefer, require, verify-ca, verify-full"
            )));
        }
    };
    config.ssl_mode(ssl).application_name("covet-tui");
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    Ok((config, encryption))
}

/// The URL without dialect and drivers' parameters, its `sslmode` and `sslrootcert`.
fn plain(url: &str) -> Result<(String, Option<String>, Option<PathBuf>), ConnectError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return plain_pairs(url);
    };
    let dialect = scheme.split('+').next().unwrap_or_default();
    if !matches!(dialect, "postgres" | "postgresql" | "asyncpg" | "psycopg" | "psycopg2") {
        return Err(broken(&format!("`{scheme}` is not a PostgreSQL URL: it begins with postgresql://")));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parameters = Url::parse(&format!("query://x?{query}"))
        .map_err(|error| broken(&format!("the database URL is not understood: {error}")))?;
    let (mut mode, mut root, mut kept) = (None, None, Vec::new());
    for (name, value) in parameters.query_pairs() {
        match &*name {
            "sslmode" | "ssl" => mode = Some(value.to_ascii_lowercase()),
            "sslrootcert" => root = Some(PathBuf::from(&*value)),
            name if KNOWN.contains(&name) => kept.push((name.to_owned(), value.into_owned())),
            _ => {}
        }
    }
    let mut plain = format!("postgresql://{place}");
    if !kept.is_empty() {
        let mut query = parameters;
        query.query_pairs_mut().clear().extend_pairs(&kept);
        // Spaces as %20: the database's client doesn't read plus signs.
        plain = format!("{plain}?{}", query.query().unwrap_or_default().replace('+', "%20"));
    }
    Ok((plain, mode, root))
}

/// `host=… user=…`, libpq's other way.
fn plain_pairs(pairs: &str) -> Result<(String, Option<String>, Option<PathBuf>), ConnectError> {
    if !pairs.contains('=') {
        return Err(broken("the database URL is not understood: it begins with postgresql://"));
    }
    let value = |key: &str| {
        pairs.split_whitespace().find_map(|pair| Some(pair.strip_prefix(key)?.trim_matches('\'').to_owned()))
    };
    let (mode, root) = (value("sslmode="), value("sslrootcert=").map(PathBuf::from));
    let kept: Vec<_> = pairs.split_whitespace().filter(|pair| !pair.starts_with("ssl")).collect();
    Ok((kept.join(" "), mode, root))
}

fn broken(why: &str) -> ConnectError {
    ConnectError::new(BlindKind::Broken, why, "set DATABASE_URL, e.g. postgresql://reader:…@db:5432/shop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_urls_are_understood() {
        let url = "postgresql+asyncpg://app:p%40ss@db.example.com:6543/shop?ssl=require&prepared_statement_cache_size=0&options=-c%20geqo%3Doff";
        let (config, encryption) = database(url).unwrap();
        assert_eq!(config.get_user(), Some("app"));
        assert_eq!(config.get_password(), Some(b"p@ss".as_slice()));
        assert_eq!(config.get_dbname(), Some("shop"));
        assert_eq!(config.get_ports(), [6543]);
        assert_eq!(config.get_options(), Some("-c geqo=off"));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(config.get_application_name(), Some("covet-tui"));
        assert_eq!(encryption, Encryption::Unverified);
    }

    #[test]
    fn verification_is_what_libpq_would_do() {
        for (url, mode, encryption) in [
            ("postgres://db/x", SslMode::Prefer, Encryption::Unverified),
            ("postgres://db/x?sslmode=disable", SslMode::Disable, Encryption::Unverified),
            ("postgres://db/x?sslmode=verify-full", SslMode::Require, Encryption::Verified(None)),
            (
                "host=db dbname=x sslmode=verify-ca sslrootcert=/etc/ca.pem",
                SslMode::Require,
                Encryption::Verified(Some("/etc/ca.pem".into())),
            ),
        ] {
            let (config, found) = database(url).unwrap();
            assert_eq!((config.get_ssl_mode(), found), (mode, encryption), "{url}");
        }
    }

    #[test]
    fn errors_name_the_problem_and_never_the_password() {
        for url in [
            "mysql://app:hunter2@db/x",
            "postgresql://app:hunter2@db:port/x",
            "postgresql://app:hunter2@db/x?sslmode=maybe",
            "hunter2",
        ] {
            let error = database(url).unwrap_err();
            assert!(!error.why.contains("hunter2"), "{}", error.why);
            assert!(error.repair.is_some());
        }
    }
}
