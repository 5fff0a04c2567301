//! The lab's server, judged by psql: every statement of the product and of a person, over the wire.

use std::net::SocketAddr;
use std::time::Duration;

use covet_tui::config::{Outside, database_queries as queries};
use covet_tui::domain::{Pick, Sql, Which};
use covet_tui::journal::Ending;
use covet_tui::lab::postgres;
use covet_tui::lab::signals::{Session, SessionState, Signals};
use jiff::{SignedDuration, Timestamp};

use super::server::{Bench, nowhere};
use crate::lab_wire::{in_background, listener};

/// A pool of ten, a root idle in its transaction for ten minutes, two that wait for it, and a superuser's session.
async fn lab() -> (Signals, SocketAddr) {
    let signals = Signals::default();
    let now = Timestamp::now();
    let ago = |seconds| now - SignedDuration::from_secs(seconds);
    signals.write(|shown| {
        for pid in 1..=12 {
            let mut session = Session::idle(pid, "covetpy", Some([10, 244, 1, 7].into()), ago(9_000));
            if pid > 10 {
                session.state = Some(SessionState::Active);
                (session.wait_event_type, session.wait_event) = (Some("Lock"), Some("transactionid"));
                (session.xact_start, session.query_start) = (Some(ago(60)), Some(ago(60)));
                session.blocked_by = vec![20];
            }
            shown.database.sessions.push(session);
        }
        let mut root = Session::idle(20, "report", Some([10, 0, 0, 9].into()), ago(700));
        root.state = Some(SessionState::IdleInTransaction);
        (root.state_change, root.xact_start) = (Some(ago(600)), Some(ago(650)));
        root.query = "UPDATE items SET stock = stock - 1".into();
        shown.database.sessions.push(root);
        let mut admin = Session::idle(30, "rdsadmin", None, ago(90_000));
        admin.user = "rdsadmin".into();
        shown.database.sessions.push(admin);
    });
    let (listener, address) = listener().await;
    tokio::spawn(postgres::serve(listener, signals.clone(), None));
    (signals, address)
}

async fn psql(address: SocketAddr, sql: &str) -> (bool, String, String) {
    let url = format!("postgresql://app@{address}/covetpy");
    let words = [url.as_str(), "-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql];
    in_background("psql", words.map(str::to_owned).to_vec()).await
}

async fn said(address: SocketAddr, sql: &str) -> String {
    let (ok, out, err) = psql(address, sql).await;
    assert!(ok, "{sql}: {err}");
    out.trim().to_owned()
}

async fn refused(address: SocketAddr, sql: &str, code: &str) {
    let (ok, out, err) = psql(address, sql).await;
    assert!(!ok && err.contains(&format!("ERROR:  {code}:")), "{sql}: {out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_reads_locks_statements_indexes_and_plans() {
    let (signals, address) = lab().await;
    signals.write(|shown| {
        shown.database.statements.push(covet_tui::lab::database::Statement {
            id: 7,
            text: "SELECT 1 FROM users WHERE users.email = $1".into(),
            calls: 10.0,
            milliseconds: 250.5,
            ..Default::default()
        });
    });
    let locks = said(address, queries::LOCKS).await;
    assert_eq!(locks.lines().count(), 3, "{locks}");
    assert!(locks.lines().any(|line| line.starts_with("20|") && line.ends_with("stock - 1|")), "{locks}");
    assert!(locks.lines().any(|line| line.starts_with("11|") && line.ends_with("|20")), "{locks}");
    assert_eq!(said(address, queries::RIGHTS).await, "app|t|t");
    assert_eq!(said(address, queries::STATEMENTS).await, "7|10|250.5|0|0");
    assert_eq!(
        said(address, &queries::statement_text(7)).await,
        "7|SELECT 1 FROM users WHERE users.email = $1"
    );
    assert!(said(address, queries::TABLES).await.contains("public|users|"));
    assert_eq!(said(address, queries::INVALID).await, "");
    assert_eq!(
        said(address, "EXPLAIN SELECT * FROM users WHERE email = 'x'").await.split(" on ").next(),
        Some("Index Scan using users_email_idx")
    );
    assert!(said(address, "DROP INDEX CONCURRENTLY users_email_idx").await.contains("DROP INDEX"));
    let plan = said(address, "EXPLAIN (FORMAT JSON) SELECT * FROM users WHERE users.email = 'x'").await;
    assert!(plan.contains("Seq Scan") && plan.contains("(users.email = $1)"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_changes_sessions_indexes_roles_and_accounts() {
    let (signals, address) = lab().await;
    refused(address, "SELECT pg_terminate_backend(30)", "42501").await;
    assert_eq!(said(address, "SELECT pg_cancel_backend(20)").await, "t");
    assert_eq!(signals.read(|shown| shown.database.sessions.len()), 14, "it ran nothing");
    assert_eq!(
        said(
            address,
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'report'"
        )
        .await,
        "t"
    );
    assert_eq!(signals.read(|shown| shown.database.sessions.len()), 13);
    refused(address, "BEGIN; CREATE INDEX CONCURRENTLY again ON users (username)", "25001").await;
    refused(address, "SET statement_timeout = '300ms'; CREATE INDEX again ON users (username)", "57014")
        .await;
    assert_eq!(said(address, queries::INVALID).await, "", "it leaves nothing behind");
    let url = format!("postgresql://app@{address}/covetpy?options=-c%20statement_timeout%3D300ms");
    let words = [url.as_str(), "-X", "-c", "CREATE INDEX CONCURRENTLY again ON users (username)"];
    let (ok, _, err) = in_background("psql", words.map(str::to_owned).to_vec()).await;
    assert!(!ok && err.contains("due to statement timeout"), "{err}");
    assert_eq!(said(address, queries::INVALID).await, "public|again|users|app|t");
    refused(address, "CREATE INDEX CONCURRENTLY again ON users (username)", "42P07").await;
    assert_eq!(
        said(address, "CREATE INDEX CONCURRENTLY IF NOT EXISTS again ON users (username)").await,
        "CREATE INDEX"
    );
    refused(address, "CREATE INDEX CONCURRENTLY other ON users (nothing)", "42703").await;
    assert_eq!(said(address, "DROP INDEX CONCURRENTLY again").await, "DROP INDEX");
    refused(address, "DROP INDEX users_pkey", "2BP01").await;
    assert_eq!(said(address, "ALTER ROLE app IN DATABASE covetpy SET work_mem = '8MB'").await, "ALTER ROLE");
    assert_eq!(said(address, "UPDATE users SET is_active = false WHERE username IN ('alice','nobody') AND is_active RETURNING id, username").await, "2|alice\nUPDATE 1");
    assert_eq!(
        said(
            address,
            "BEGIN; UPDATE users SET is_active = false WHERE username = 'bob' RETURNING id; ROLLBACK"
        )
        .await,
        "BEGIN\n3\nUPDATE 1\nROLLBACK"
    );
    let active = signals.read(|shown| shown.database.users.iter().filter(|user| user.is_active).count());
    assert_eq!(active, 5, "bob was rolled back");
    refused(
        address,
        "BEGIN TRANSACTION READ ONLY; ALTER ROLE app IN DATABASE covetpy RESET work_mem",
        "25006",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_products_own_client_looks_and_acts_on_it() {
    let (signals, address) = lab().await;
    let url = format!("postgresql://app@{address}/covetpy");
    let mut bench = Bench::new(Outside { database_url: Some(url), ..Outside::default() }, nowhere());
    for sql in [
        Sql::PingDatabase,
        Sql::DatabaseCapacity,
        Sql::LongTransactions,
        Sql::LockTree,
        Sql::TableScans,
        Sql::IndexState,
        Sql::DatabaseSettings,
        Sql::ReplicaLag,
        Sql::AccountFailures { more_than: 10 },
        Sql::ExpensiveQueries { apart: Duration::from_secs(1) },
    ] {
        let reading = bench.read(sql.clone()).await;
        assert!(reading.ok, "{sql:?}: {}", reading.summary);
    }
    let pick = Pick { which: Which::LockRoots, older: Duration::ZERO, role: None };
    let ended = bench.act(Sql::TerminateSessions { pick, sessions: Vec::new() }).await;
    assert!(
        matches!(&ended.result, Ending::Performed(says) if says.starts_with("1 session terminated")),
        "{:?}",
        ended.result
    );
    let disabled = bench.act(Sql::DisableUsers { users: vec!["alice".into(), "bob".into()] }).await;
    assert!(matches!(disabled.result, Ending::Performed(_)), "{:?}", disabled.result);
    bench.undo(&disabled).await;
    assert!(signals.read(|shown| shown.database.users.iter().all(|user| user.is_active)));
    let set = Sql::SetRoleSetting {
        role: "app".into(),
        database: "covetpy".into(),
        setting: "work_mem".into(),
        value: Some("16MB".into()),
        instead_of: None,
    };
    let set = bench.act(set).await;
    assert!(matches!(set.result, Ending::Performed(_)), "{:?}", set.result);
    bench.undo(&set).await;
    assert!(signals.read(|shown| shown.database.role_settings.is_empty()));
    let dropped = bench.act(Sql::DropIndex { index: "users_email_idx".into() }).await;
    assert!(matches!(dropped.result, Ending::Performed(_)), "{:?}", dropped.result);
    assert!(signals.read(|shown| shown.database.index("users_email_idx").is_none()));
}
