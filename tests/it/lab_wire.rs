//! The lab's database and cache, met by the real clients: `psql` and `redis-cli` (both on the PATH),
//! and the client libraries the product uses.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use covet_tui::lab::postgres;
use covet_tui::lab::redis as cache_server;
use covet_tui::lab::signals::{Session, SessionState, Signals};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

const CAPACITY: &str = "/* covet:capacity */ \
    SELECT (SELECT setting::int FROM pg_settings WHERE name='max_connections') AS max_conn, \
    COALESCE((SELECT sum(setting::int) FROM pg_settings WHERE name IN ('reserved_connections')),0) AS reserved, \
    count(*) FILTER (WHERE backend_type='client backend') AS used, \
    count(*) FILTER (WHERE state='active') AS active, count(*) FILTER (WHERE state='idle') AS idle, \
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_tx, \
    count(*) FILTER (WHERE wait_event_type='Lock') AS lock_waiters, \
    count(*) FILTER (WHERE state='active' AND wait_event_type IS NULL AND pid<>pg_backend_pid()) AS on_cpu, \
    max(now()-xact_start) FILTER (WHERE backend_type='client backend') AS oldest_xact FROM pg_stat_activity";
const CLIENTS: &str = "/* covet:clients */ \
    SELECT datname, usename, application_name, client_addr, state, count(*), max(now()-state_change) AS max_in_state \
    FROM pg_stat_activity WHERE backend_type='client backend' GROUP BY 1,2,3,4,5 ORDER BY 6 DESC LIMIT 30";
const TRANSACTIONS: &str = "/* covet:transactions */ \
    SELECT pid, usename, application_name, client_addr, state, now()-xact_start AS xact_age, \
    now()-query_start AS query_age, wait_event_type, wait_event, left(query,200) FROM pg_stat_activity \
    WHERE backend_type='client backend' AND pid<>pg_backend_pid() AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 20";

/// Runs a client and returns (success, stdout, stderr).
pub fn run(program: &str, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(program)
        .args(arguments)
        .env("PGCONNECT_TIMEOUT", "5")
        .output()
        .unwrap_or_else(|why| panic!("{program} must be on the PATH: {why}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

pub async fn in_background(program: &'static str, arguments: Vec<String>) -> (bool, String, String) {
    let work = move || run(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A database with 40 idle sessions, 5 idle in transaction since 10 minutes, 3 active, one of them on a lock.
fn busy(signals: &Signals) {
    let now = Timestamp::now();
    let ago = |seconds| now - SignedDuration::from_secs(seconds);
    signals.write(|shown| {
        shown.database.max_connections = 90;
        shown.database.reserved = 3;
        let client = Some("10.244.1.7".parse().unwrap());
        for pid in 1..=48 {
            let mut session = Session::idle(pid, "covetpy", client, ago(90_000));
            if pid > 45 {
                session.state = Some(SessionState::Active);
                session.wait_event_type = (pid == 48).then_some("Lock");
                session.wait_event = None;
                session.xact_start = Some(ago(2));
            } else if pid > 40 {
                session.state = Some(SessionState::IdleInTransaction);
                session.state_change = Some(ago(600));
                session.xact_start = Some(ago(600 + i64::from(pid)));
                session.query = String::from("UPDATE users SET last_seen = now()");
            }
            shown.database.sessions.push(session);
        }
        let mut worker = Session::idle(60, "", None, ago(90_000));
        worker.backend_type = "autovacuum worker";
        worker.state = None;
        shown.database.sessions.push(worker);
    });
}

async fn database(password: Option<&str>) -> (Signals, SocketAddr) {
    let signals = Signals::default();
    busy(&signals);
    let (listener, address) = listener().await;
    tokio::spawn(postgres::serve(listener, signals.clone(), password.map(str::to_owned)));
    (signals, address)
}

fn psql(address: SocketAddr, user: &str, sql: &str) -> Vec<String> {
    let url = format!("postgresql://{user}@{address}/covetpy");
    [url.as_str(), "-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql].map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_runs_the_tagged_queries() {
    let (_, address) = database(None).await;
    let (ok, out, err) = in_background("psql", psql(address, "app", CAPACITY)).await;
    assert!(ok, "{err}");
    // 48 sessions of the world and psql itself, which is active
    let oldest = out.trim().rsplit('|').next().unwrap().to_owned();
    assert_eq!(out.trim().trim_end_matches(&oldest), "90|3|49|4|40|5|1|2|");
    assert!(oldest.starts_with("00:10:4"), "{oldest}");

    let (ok, out, err) = in_background("psql", psql(address, "app", CLIENTS)).await;
    assert!(ok, "{err}");
    assert!(out.starts_with("covetpy|app|covetpy|10.244.1.7|idle|40|1 day 01:00:0"), "{out}");

    let (ok, out, err) = in_background("psql", psql(address, "app", TRANSACTIONS)).await;
    assert!(ok, "{err}");
    assert_eq!(out.lines().count(), 8, "{out}");
    assert!(out.starts_with("45|app|covetpy|10.244.1.7|idle in transaction|00:10:4"), "{out}");
    assert!(out.contains("|UPDATE users SET last_seen = now()\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_gets_small_talk_and_proper_errors() {
    let (_, address) = database(None).await;
    let talk =
        "SELECT 1; SHOW server_version; SET statement_timeout = '5s'; SHOW statement_timeout; BEGIN; COMMIT";
    let (ok, out, err) = in_background("psql", psql(address, "app", talk)).await;
    assert!(ok, "{err}");
    assert_eq!(out, "1\n15.18\nSET\n5s\nBEGIN\nCOMMIT\n");
    for (sql, code) in [
        ("SELECT * FROM orders", "42P01"),
        ("SELECT frobnicate(1)", "42883"),
        ("FROBNICATE", "42601"),
        ("DELETE FROM users", "42501"),
        ("SHOW frobnication", "42704"),
        ("/* covet:clients */ SELECT frobnication FROM pg_stat_activity", "42703"),
    ] {
        let (ok, out, err) = in_background("psql", psql(address, "app", sql)).await;
        assert!(!ok && err.contains(&format!("ERROR:  {code}:")), "{sql}: {out} {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_no_connection() {
    let (signals, address) = database(None).await;
    let (open, connection) =
        tokio_postgres::connect(&format!("postgresql://app@{address}/covetpy"), tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    signals.write(|shown| shown.database.max_connections = 52);
    let (ok, _, err) = in_background("psql", psql(address, "app", "SELECT 1")).await;
    let words = "FATAL:  remaining connection slots are reserved for non-replication superuser connections";
    assert!(!ok && err.contains(words), "{err}");
    let refused =
        tokio_postgres::connect(&format!("postgresql://app@{address}/covetpy"), tokio_postgres::NoTls).await;
    let code = refused.err().and_then(|why| why.code().cloned());
    assert_eq!(code, Some(tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS));
    // who is already in stays in, and a superuser still gets in
    assert_eq!(open.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    let (ok, _, err) = in_background("psql", psql(address, "postgres", "SELECT 1")).await;
    assert!(ok, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_have_types() {
    let (_, address) = database(None).await;
    let options = "options=-c%20default_transaction_read_only%3Don";
    let url = format!("postgresql://app@{address}/covetpy?application_name=covet-tui&{options}");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let statement = client.prepare(CAPACITY).await.unwrap();
    let types: Vec<_> =
        statement.columns().iter().map(|column| (column.name(), column.type_().name())).collect();
    assert_eq!(types[0], ("max_conn", "int4"));
    assert_eq!(types[2], ("used", "int8"));
    assert_eq!(types[8], ("oldest_xact", "interval"));
    let row = client.query_one(&statement, &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>("max_conn"), row.get::<_, i64>("reserved")), (90, 3));
    assert_eq!(row.get::<_, i64>("idle_in_tx"), 5);
    let Interval(age) = row.get("oldest_xact");
    assert!((640.0..660.0).contains(&age.as_secs_f64()), "{age:?}");
    let seconds = "/* covet:capacity */ SELECT count(*)::int4 AS used, \
                   extract(epoch FROM max(now()-xact_start))::float8 AS oldest_xact_seconds FROM pg_stat_activity";
    let row = client.query_one(seconds, &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>("used"), 49);
    assert!((640.0..660.0).contains(&row.get::<_, f64>("oldest_xact_seconds")));
    let unknown = client.query("/* covet:capacity */ SELECT 1 AS nonsense", &[]).await.unwrap_err();
    assert_eq!(unknown.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_COLUMN));
    let read_only = client.query_one("SHOW default_transaction_read_only", &[]).await.unwrap();
    assert_eq!(read_only.get::<_, String>(0), "on");
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    assert!(pid.get::<_, i32>(0) > 0);
    let clients = client.query(CLIENTS, &[]).await.unwrap();
    assert_eq!(
        clients[0].get::<_, std::net::IpAddr>("client_addr"),
        "10.244.1.7".parse::<std::net::IpAddr>().unwrap()
    );
    assert!(clients.iter().any(|row| row.get::<_, String>("application_name") == "covet-tui"));
    let refused = client.query("SELECT * FROM orders", &[]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE));
    // an error does not end the session
    assert_eq!(client.simple_query("SELECT 1").await.unwrap().len(), 3);
}

/// `interval` as a length of time.
struct Interval(SignedDuration);

impl<'a> tokio_postgres::types::FromSql<'a> for Interval {
    fn from_sql(
        _: &tokio_postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw[..8].try_into()?);
        let days = i64::from(i32::from_be_bytes(raw[8..12].try_into()?));
        Ok(Self(SignedDuration::from_micros(micros) + SignedDuration::from_hours(24 * days)))
    }

    fn accepts(kind: &tokio_postgres::types::Type) -> bool {
        *kind == tokio_postgres::types::Type::INTERVAL
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_outages_of_the_database() {
    let (signals, address) = database(Some("secret")).await;
    let (ok, _, err) = in_background("psql", psql(address, "app:wrong", "SELECT 1")).await;
    assert!(!ok && err.contains("password authentication failed for user \"app\""), "{err}");
    let (ok, out, err) = in_background("psql", psql(address, "app:secret", "SELECT 1")).await;
    assert!(ok && out == "1\n", "{err}");
    let url = format!("postgresql://app:secret@{address}/covetpy");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    signals.write(|shown| shown.database.up = false);
    let ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    assert!(ended.is_ok(), "the open connection was not cut");
    assert!(client.is_closed());
    let (ok, ..) = in_background("psql", psql(address, "app:secret", "SELECT 1")).await;
    assert!(!ok);
    signals.write(|shown| shown.database.up = true);
    let (ok, _, err) = in_background("psql", psql(address, "app:secret", "SELECT 1")).await;
    assert!(ok, "{err}");
}

async fn cache(password: Option<&str>) -> (Signals, SocketAddr) {
    let signals = Signals::default();
    signals.write(|shown| {
        shown.cache.password = password.map(str::to_owned);
        shown.cache.keyspace_hits = 920;
        shown.cache.keyspace_misses = 80;
        shown.cache.keys = 12;
        shown.cache.connected_clients = 8;
    });
    let (listener, address) = listener().await;
    tokio::spawn(cache_server::serve(listener, signals.clone()));
    (signals, address)
}

fn redis_cli(address: SocketAddr, words: &[&str]) -> Vec<String> {
    let port = address.port().to_string();
    ["-p", &port].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_reads_the_cache() {
    let (_, address) = cache(None).await;
    for protocol in ["-2", "-3"] {
        let ask = async |words: &[&str]| {
            let words: Vec<&str> = [protocol].iter().chain(words).copied().collect();
            let (ok, out, err) = in_background("redis-cli", redis_cli(address, &words)).await;
            assert!(ok, "{words:?}: {err}");
            out
        };
        assert_eq!(ask(&["PING"]).await, "PONG\n");
        let stats = ask(&["INFO", "stats"]).await;
        assert!(stats.starts_with("# Stats") && stats.contains("keyspace_hits:920\r\n"), "{stats}");
        assert!(!stats.contains("# Memory"), "{stats}");
        let all = ask(&["INFO"]).await;
        assert!(all.contains("connected_clients:9\r\n") && all.contains("db0:keys=12,"), "{all}");
        assert_eq!(ask(&["DBSIZE"]).await, "12\n");
        assert!(ask(&["CONFIG", "GET", "maxmemory*"]).await.contains("allkeys-lru"));
        assert_eq!(ask(&["SLOWLOG", "GET"]).await.trim(), "");
        assert!(
            ask(&["SET", "a", "b"])
                .await
                .starts_with("ERR unknown command 'SET', with args beginning with: 'a' 'b'")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_crate_reads_the_cache() {
    let (signals, address) = cache(Some("secret")).await;
    let open = |login: &str, protocol: &str| {
        redis::Client::open(format!("redis://{login}127.0.0.1:{}/0{protocol}", address.port())).unwrap()
    };
    let stranger = open("", "").get_multiplexed_async_connection().await;
    let refused = match stranger {
        Err(why) => why,
        Ok(mut connection) => redis::cmd("PING").query_async::<String>(&mut connection).await.unwrap_err(),
    };
    assert!(refused.to_string().contains("NOAUTH") || refused.code() == Some("NOAUTH"), "{refused}");
    assert!(open(":wrong@", "").get_multiplexed_async_connection().await.is_err());
    for protocol in ["", "?protocol=resp3"] {
        let mut connection = open(":secret@", protocol).get_multiplexed_async_connection().await.unwrap();
        let pong: String = redis::cmd("PING").query_async(&mut connection).await.unwrap();
        assert_eq!(pong, "PONG");
        let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await.unwrap();
        assert_eq!(info.get::<u64>("keyspace_misses"), Some(80));
        assert_eq!(info.get::<String>("redis_version").as_deref(), Some("7.0.15"));
    }
    signals.write(|shown| shown.cache.up = false);
    assert!(open(":secret@", "").get_multiplexed_async_connection().await.is_err());
}
