//! Lock chains across sessions and databases: the root is named, a cancel or an end of it heals.

use std::time::Duration;

use covet_tui::domain::{Pick, Sql, Which, cause};
use covet_tui::journal::Ending;

use super::server::{Server, server};

fn roots() -> Pick {
    Pick { which: Which::LockRoots, older: Duration::ZERO, role: None }
}

fn end() -> Sql {
    Sql::TerminateSessions { pick: roots(), sessions: Vec::new() }
}

fn cancel() -> Sql {
    Sql::CancelQueries { pick: roots(), sessions: Vec::new() }
}

/// Waits for a row's lock in the background.
async fn waits(server: &Server, sql: &'static str) -> tokio::task::JoinHandle<bool> {
    let client = server.connect_as("app", "shop", "waiter").await;
    tokio::spawn(async move { client.batch_execute(sql).await.is_ok() })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_root_is_named_and_ended_and_its_waiters_go_on() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    let mut bench = server.bench("eye");
    assert_eq!(bench.read(Sql::LockTree).await.summary, "nobody waits for a lock");
    let root = server.connect_as("app", "shop", "reports").await;
    root.batch_execute("BEGIN; UPDATE locks SET n=1 WHERE id=1").await.unwrap();
    let pid: i32 = root.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    // The second waits for the first and holds what the third waits for.
    let second =
        waits(&server, "BEGIN; UPDATE locks SET n=1 WHERE id=2; UPDATE locks SET n=2 WHERE id=1; COMMIT")
            .await;
    server.until(&boss, "wait_event_type='Lock'", 1).await;
    let third = waits(&server, "UPDATE locks SET n=3 WHERE id=2").await;
    server.until(&boss, "wait_event_type='Lock'", 2).await;

    let tree = bench.read(Sql::LockTree).await;
    assert_eq!(tree.bindings["lock_root"], pid.to_string());
    assert_eq!(
        (tree.bindings["lock_waiters"].as_str(), tree.bindings["lock_root_state"].as_str()),
        ("2", "idle")
    );
    assert_eq!(tree.found[0].cause, cause::LOCK_CHAIN);
    assert!(
        tree.summary.contains("reports, idle in transaction") && tree.summary.contains("blocks 2 sessions")
    );
    assert_eq!(tree.lines.len(), 3, "{:?}", tree.lines);
    // A cancel does nothing to a transaction that sits there.
    let refusal = bench.preview(cancel()).await.unwrap_err();
    assert!(refusal.to_string().contains("terminate them instead"), "{refusal}");
    let outcome = bench.act(end()).await;
    assert!(matches!(&outcome.result, Ending::Performed(says) if says.starts_with("1 session terminated")));
    assert!(second.await.unwrap() && third.await.unwrap(), "the waiters went on");
    assert!(root.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_statement_is_neither_shown_nor_kept() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    let mut bench = server.bench("eye");
    let root = server.connect_as("app", "shop", "reports").await;
    root.batch_execute("BEGIN; UPDATE locks SET n=1 WHERE id=1; ALTER ROLE app PASSWORD 'N3wS3cretPw'")
        .await
        .unwrap();
    let waiter = waits(
        &server,
        "UPDATE locks SET n=2 FROM (SELECT $$N3wS3cretPw$$ AS a, E'N3w\\'S3cretPw' AS b) x WHERE id=1",
    )
    .await;
    server.until(&boss, "wait_event_type='Lock'", 1).await;
    let mut shown = Vec::new();
    for read in [Sql::LockTree, Sql::LongTransactions] {
        let reading = bench.read(read).await;
        shown.extend(reading.lines.into_iter().map(|(_, line)| line));
        shown.push(reading.summary);
    }
    let preview = bench.preview(end()).await.unwrap();
    shown.push(format!("{preview:?}"));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry, tokio_util::sync::CancellationToken::new()).await;
    assert!(matches!(&outcome.result, Ending::Performed(_)), "{:?}", outcome.result);
    shown.push(bench.written());
    let shown = shown.join("\n");
    assert!(!shown.contains("S3cretPw"), "{shown}");
    assert!(shown.contains("ALTER ROLE app PASSWORD '•••'"), "{shown}");
    assert!(waiter.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_root_is_cancelled_and_its_session_stays() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    let mut bench = server.bench("eye");
    let root = server.connect_as("app", "shop", "batch").await;
    let running = tokio::spawn(async move {
        let ran =
            root.batch_execute("BEGIN; UPDATE locks SET n=1 WHERE id=1; SELECT pg_sleep(60); COMMIT").await;
        let code = ran.err().and_then(|error| error.code().cloned());
        (root.simple_query("ROLLBACK").await.is_ok(), code)
    });
    server.until(&boss, "wait_event='PgSleep'", 1).await;
    let waiter = waits(&server, "UPDATE locks SET n=2 WHERE id=1").await;
    server.until(&boss, "wait_event_type='Lock'", 1).await;
    let outcome = bench.act(cancel()).await;
    assert!(matches!(&outcome.result, Ending::Performed(says) if says.starts_with("1 statement cancelled")));
    let (alive, code) = running.await.unwrap();
    assert!(alive, "the session stays");
    assert_eq!(code, Some(tokio_postgres::error::SqlState::QUERY_CANCELED));
    assert!(waiter.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_crosses_databases_and_its_root_is_found_there() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    boss.batch_execute("ALTER ROLE app CREATEROLE; ALTER ROLE other CREATEROLE; CREATE ROLE shared; GRANT shared TO app WITH ADMIN OPTION; GRANT shared TO other WITH ADMIN OPTION")
        .await
        .unwrap();
    let mut bench = server.bench("eye");
    // The catalog of roles is shared by all databases.
    let root = server.connect_as("other", "other", "elsewhere").await;
    root.batch_execute("BEGIN; ALTER ROLE shared CONNECTION LIMIT 5").await.unwrap();
    let waiter = waits(&server, "ALTER ROLE shared CONNECTION LIMIT 6").await;
    server.until(&boss, "wait_event_type='Lock'", 1).await;
    let tree = bench.read(Sql::LockTree).await;
    assert!(tree.lines[0].1.contains("other@other elsewhere"), "{:?}", tree.lines);
    let outcome = bench.act(end()).await;
    assert!(matches!(&outcome.result, Ending::Performed(_)), "{:?}", outcome.result);
    // It goes on now; whether the server then finds the row changed meanwhile is another matter.
    let _ = waiter.await.unwrap();
    assert_eq!(bench.read(Sql::LockTree).await.summary, "nobody waits for a lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_at_the_root_is_left_alone_and_named() {
    let server = server("").await;
    let boss = server.connect_as("boss", "shop", "dba").await;
    let bench = server.bench("eye");
    boss.batch_execute("BEGIN; UPDATE locks SET n=1 WHERE id=1").await.unwrap();
    let waiter = waits(&server, "UPDATE locks SET n=2 WHERE id=1").await;
    let other = server.connect("boss", "postgres").await;
    server.until(&other, "wait_event_type='Lock'", 1).await;
    let pid: i32 = boss.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let refusal = bench.preview(end()).await.unwrap_err();
    assert_eq!(refusal.says, format!("only a superuser may end pid {pid} of boss"));
    let tree = bench.read(Sql::LockTree).await;
    assert_eq!(tree.bindings["lock_root_superuser"], "boss");
    assert!(tree.lines[0].1.contains("boss (superuser)@shop dba"), "{:?}", tree.lines);
    boss.batch_execute("COMMIT").await.unwrap();
    assert!(waiter.await.unwrap());
}
