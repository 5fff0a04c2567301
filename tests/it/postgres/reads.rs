//! Every read on a real server: statements by what they cost between two looks, plans, tables, settings.

use std::time::Duration;

use covet_tui::domain::{Sql, cause};

use super::server::server;

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_statement_is_found_explained_and_its_index_named() {
    let server = server("").await;
    let busy = server.connect_as("app", "shop", "web").await;
    let working = tokio::spawn(async move {
        loop {
            busy.query("SELECT id FROM users WHERE email = $1", &[&"u7@x.example"]).await.unwrap();
        }
    });
    let bench = server.bench("eye");
    let expensive = bench.read(Sql::ExpensiveQueries { apart: Duration::from_secs(2) }).await;
    assert_eq!(expensive.found[0].cause, cause::HOT_QUERY);
    assert!(expensive.summary.contains("SELECT id FROM users WHERE email = $1"), "{}", expensive.summary);
    let id: i64 = expensive.bindings["top_query"].parse().unwrap();
    let plan = bench.read(Sql::ExplainQuery { query: Some(id) }).await;
    working.abort();
    assert_eq!(plan.found.first().map(|found| found.cause.as_str()), Some(cause::MISSING_INDEX), "{plan:?}");
    assert_eq!(
        (plan.bindings["index_table"].as_str(), plan.bindings["index_columns"].as_str()),
        ("users", "email")
    );
    // Whose it is to build is known before anybody tries.
    assert_eq!(plan.bindings["index_owner"], "app");
    let plan = server.bench("app").read(Sql::ExplainQuery { query: Some(id) }).await;
    assert_eq!(plan.bindings["index_owner"], "");
    let scans = bench.read(Sql::TableScans).await;
    assert!(scans.summary.starts_with("users was read whole"), "{}", scans.summary);

    // With the index there, nothing is missing any more; nothing was ever executed to find out.
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("CREATE INDEX users_email_idx ON users (email); ANALYZE users").await.unwrap();
    let plan = bench.read(Sql::ExplainQuery { query: Some(id) }).await;
    assert!(
        plan.found.is_empty() && plan.lines.iter().any(|(_, line)| line.contains("users_email_idx")),
        "{plan:?}"
    );
    let gone = bench.read(Sql::ExplainQuery { query: Some(1) }).await;
    assert!(!gone.ok && gone.summary.contains("no statement 1"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_value_for_each_row_asks_for_no_index() {
    let server = server("").await;
    let app = server.connect_as("app", "shop", "web").await;
    app.batch_execute(
        "CREATE FUNCTION anybody() RETURNS text LANGUAGE sql AS $$ SELECT 'u' || (random() * 9)::int $$; \
         CREATE FUNCTION fixed(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN n; END $$",
    )
    .await
    .unwrap();
    let boss = server.connect("boss", "shop").await;
    for (sql, columns) in [
        ("SELECT id FROM users WHERE failed_attempts = (random()*1000)::int", None),
        ("SELECT id FROM users WHERE username = anybody()", None),
        ("SELECT id FROM users WHERE failed_attempts = fixed(7)", Some("failed_attempts")),
    ] {
        boss.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
        app.query(sql, &[]).await.unwrap();
        let counted = "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT id FROM users%'";
        let id: i64 = boss.query_one(counted, &[]).await.unwrap().get(0);
        let plan = server.bench("boss").read(Sql::ExplainQuery { query: Some(id) }).await;
        let missing = plan.found.iter().any(|found| found.cause == cause::MISSING_INDEX);
        assert_eq!(missing, columns.is_some(), "{sql}: {plan:?}");
        assert_eq!(plan.bindings.get("index_columns").map(String::as_str), columns, "{sql}: {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_writes_is_planned_and_not_run() {
    let server = server("").await;
    let app = server.connect_as("app", "shop", "web").await;
    app.execute("UPDATE locks SET n = n + 1 WHERE id = $1", &[&1]).await.unwrap();
    let boss = server.connect("boss", "shop").await;
    let sql = "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'UPDATE locks%'";
    let id: i64 = boss.query_one(sql, &[]).await.unwrap().get(0);
    let plan = server.bench("boss").read(Sql::ExplainQuery { query: Some(id) }).await;
    assert!(plan.ok && plan.lines.len() > 2, "{plan:?}");
    assert_eq!(boss.query_one("SELECT n FROM locks WHERE id=1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_settings_accounts_and_replicas_are_read() {
    let server = server("").await;
    let app = server.connect_as("app", "shop", "web").await;
    app.batch_execute(
        "BEGIN; UPDATE users SET failed_attempts=12, last_login=now() WHERE id=1; \
                       UPDATE users SET failed_attempts=40 WHERE id=2; COMMIT; BEGIN; SELECT 1",
    )
    .await
    .unwrap();
    let bench = server.bench("eye");
    let open = bench.read(Sql::LongTransactions).await;
    assert!(open.summary.starts_with("1 transaction open"), "{}", open.summary);
    let settings = bench.read(Sql::DatabaseSettings).await;
    assert_eq!(settings.bindings["max_connections"], "100");
    assert!(settings.summary.contains("idle_in_transaction_session_timeout is off"), "{}", settings.summary);
    let accounts = bench.read(Sql::AccountFailures { more_than: 10 }).await;
    assert_eq!(accounts.summary, "1 account got in after more than 10 failed logins");
    assert_eq!(
        (accounts.bindings["breached_accounts"].as_str(), accounts.bindings["attacked_accounts"].as_str()),
        ("u1", "u2,u1")
    );
    let replicas = bench.read(Sql::ReplicaLag).await;
    assert!(!replicas.ok && replicas.summary.contains("no replica"), "{replicas:?}");
    let ping = bench.read(Sql::PingDatabase).await;
    assert!(ping.ok && ping.summary.contains("the database answers"), "{ping:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_ask_is_tagged_read_only_and_in_our_name() {
    let server = server("log_statement=all log_line_prefix=%a@%u:").await;
    let bench = server.bench("eye");
    for sql in [Sql::DatabaseCapacity, Sql::LongTransactions, Sql::LockTree, Sql::TableScans, Sql::IndexState]
    {
        bench.read(sql).await;
    }
    let log = server.log();
    for tag in [
        "capacity",
        "clients",
        "transactions",
        "locks",
        "tables",
        "index-progress",
        "invalid-indexes",
        "rights",
    ] {
        let line = format!("covet-tui@eye:LOG:  statement: BEGIN TRANSACTION READ ONLY; /* covet:{tag} */");
        assert!(log.contains(&line), "{tag} is not in the server's log as it should be:\n{log}");
    }
}
