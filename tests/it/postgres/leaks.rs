//! Slots that run out, and the transactions that leak: ended exactly, while the pool that works stays.

use std::time::Duration;

use covet_tui::domain::{Pick, Sql, Which, cause};
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use tokio_util::sync::CancellationToken;

use super::server::server;

fn pick(which: Which, older: u64) -> Pick {
    Pick { which, older: Duration::from_secs(older), role: None }
}

fn terminate(which: Which, older: u64) -> Sql {
    Sql::TerminateSessions { pick: pick(which, older), sessions: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_is_ended_exactly_and_the_pool_survives() {
    let server = server("max_connections=20 superuser_reserved_connections=3").await;
    let boss = server.connect("boss", "postgres").await;
    let mut bench = server.bench("eye");
    // A pool that works, a leak, a superuser's open transaction, one in another database, and a young one.
    let mut pool = Vec::new();
    for _ in 0..4 {
        let client = server.connect_as("app", "shop", "web").await;
        client.simple_query("SELECT 1").await.unwrap();
        pool.push(client);
    }
    let mut leaks = Vec::new();
    for n in 1..=3 {
        let client = server.connect_as("app", "shop", "web").await;
        client
            .batch_execute(&format!("BEGIN; UPDATE users SET email='secret=hunter2' WHERE id={n}"))
            .await
            .unwrap();
        leaks.push(client);
    }
    let dba = server.connect("boss", "shop").await;
    dba.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let elsewhere = server.connect("other", "other").await;
    elsewhere.batch_execute("BEGIN; SELECT 1").await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    let young = server.connect_as("app", "shop", "web").await;
    young.batch_execute("BEGIN; SELECT 1").await.unwrap();

    let capacity = bench.read(Sql::DatabaseCapacity).await;
    assert_eq!(capacity.bindings["connections_usable"], "17");
    let seen = bench.read(Sql::PickedSessions { pick: pick(Which::IdleInTransaction, 8) }).await;
    assert_eq!(seen.bindings["picked_sessions"], "3");
    assert!(seen.lines.iter().any(|(_, line)| line.contains("superuser")), "{:?}", seen.lines);
    assert!(!format!("{:?}", seen.lines).contains("hunter2"));

    let preview = bench.preview(terminate(Which::IdleInTransaction, 8)).await.unwrap();
    assert_eq!(preview.title, "terminate 3 sessions idle in transaction");
    assert_eq!(preview.targets.len(), 3);
    assert!(preview.undo.is_none() && preview.hazards.iter().all(|hazard| hazard.level == Level::Note));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry, CancellationToken::new()).await;
    let Ending::Performed(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.starts_with("3 sessions terminated; "), "{says}");
    for client in &leaks {
        assert!(client.simple_query("SELECT 1").await.is_err(), "a leak survived");
    }
    for client in pool.iter().chain([&dba, &elsewhere, &young]) {
        client.simple_query("SELECT 1").await.expect("a session that was not meant was ended");
    }
    assert_eq!(server.count(&boss, "usename='app'").await, 5);
    let email: Option<String> =
        pool[0].query_one("SELECT email FROM users WHERE id=1", &[]).await.unwrap().get(0);
    assert_eq!(email.as_deref(), Some("u1@x.example"), "rolled back");
    let written = bench.written();
    assert!(written.contains("terminate-sessions") && written.contains("backend_start"), "{written}");
    assert!(!written.contains("hunter2"), "the journal holds a secret");
}

/// Nobody reads thirteen paragraphs at night: whose they are stands in a line each, every process id below.
#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_are_previewed_and_ended_by_whose_they_are() {
    let server = server("").await;
    let mut bench = server.bench("eye");
    let mut leaks = Vec::new();
    for (who, count) in [("checkout", 9), ("reports", 4)] {
        for n in 0..count {
            let client = server.connect_as("app", "shop", who).await;
            client.batch_execute(&format!("BEGIN; SELECT {}", n % 2)).await.unwrap();
            leaks.push(client);
        }
    }
    let preview = bench.preview(terminate(Which::IdleInTransaction, 0)).await.unwrap();
    assert_eq!(preview.targets.len(), 13);
    assert!(preview.targets.iter().all(|target| target.len() < 16 && target.starts_with("pid ")));
    let lines: Vec<&str> = preview.diff.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("9 × app@shop checkout: idle in transaction for "), "{}", lines[0]);
    assert!(lines[1].starts_with("4 × app@shop reports: idle in transaction for "), "{}", lines[1]);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry, CancellationToken::new()).await;
    let Ending::Performed(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.starts_with("13 sessions terminated"), "{says}");
    let told: Vec<&String> = outcome.progress.iter().filter(|line| line.contains("told")).collect();
    assert_eq!(told, ["10 of 13 were told", "13 of 13 were told"]);
    for client in &leaks {
        assert!(client.simple_query("SELECT 1").await.is_err(), "a leak survived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_works_again_is_not_ended() {
    let server = server("").await;
    let mut bench = server.bench("eye");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = server.connect_as("app", "shop", "web").await;
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
        clients.push(client);
    }
    let preview = bench.preview(terminate(Which::IdleInTransaction, 0)).await.unwrap();
    let entry = bench.confirm(preview);
    // Idle in a transaction as before, but it has done something since.
    clients[0].simple_query("SELECT 2").await.unwrap();
    let outcome = bench.perform(entry, CancellationToken::new()).await;
    let Ending::Refused(refusal, Some(fresh)) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(refusal.says.contains("1 session is no longer as you saw them"), "{refusal}");
    assert_eq!(fresh.targets.len(), 2);
    for client in &clients {
        client.simple_query("SELECT 1").await.unwrap();
    }
    // A process id that another session has by now is not that session.
    clients.clear();
    let refusal = bench.preview(terminate(Which::IdleInTransaction, 0)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(refusal.is_err() || bench.preview(terminate(Which::IdleInTransaction, 0)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_idle_sessions_outside_of_a_pool_are_picked() {
    let server = server("").await;
    let bench = server.bench("eye");
    let _pool =
        [server.connect_as("app", "shop", "web").await, server.connect_as("app", "shop", "web").await];
    let alone = server.connect_as("app", "shop", "notebook").await;
    let _dba = server.connect_as("boss", "shop", "psql").await;
    alone.simple_query("SELECT 42").await.unwrap();
    let seen = bench.read(Sql::PickedSessions { pick: pick(Which::Idle, 0) }).await;
    assert_eq!(seen.bindings["picked_sessions"], "1");
    assert!(seen.lines.iter().any(|(_, line)| line.contains("notebook")), "{:?}", seen.lines);
    assert!(!seen.lines.iter().any(|(_, line)| line.contains("web")), "{:?}", seen.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_slot_is_left_the_open_session_still_looks_and_acts() {
    let server = server("max_connections=10 superuser_reserved_connections=3").await;
    let mut bench = server.bench("eye");
    bench.read(Sql::DatabaseCapacity).await;
    let mut taken = Vec::new();
    while let Ok(client) = server.try_connect("app", "shop", "web").await {
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
        taken.push(client);
    }
    assert_eq!(taken.len(), 6, "seven slots for ordinary roles, one of them ours");
    let ping = bench.read(Sql::PingDatabase).await;
    assert!(ping.found.iter().any(|found| found.cause == cause::DATABASE_EXHAUSTED), "{ping:?}");
    assert_eq!(ping.bindings["sqlstate"], "53300");
    let capacity = bench.read(Sql::DatabaseCapacity).await;
    assert_eq!((capacity.bindings["connections_used"].as_str(), capacity.ok), ("7", true));
    // Another cockpit that comes only now is told why it sees nothing.
    let late = server.bench("eye").read(Sql::DatabaseCapacity).await;
    assert!(!late.ok && late.summary.contains("53300") && late.summary.contains("reserved"), "{late:?}");

    let outcome = bench.act(terminate(Which::IdleInTransaction, 0)).await;
    let Ending::Performed(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.contains("6 sessions terminated; 1 of 7 slots in use now"), "{says}");
    assert!(outcome.progress.iter().any(|line| line.contains("no slot is left")), "{:?}", outcome.progress);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_at_its_own_limit_is_named_while_the_server_has_room() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    boss.batch_execute(
        "ALTER ROLE app CONNECTION LIMIT 3; ALTER ROLE other CONNECTION LIMIT 20; \
         ALTER ROLE boss CONNECTION LIMIT 1; ALTER DATABASE shop CONNECTION LIMIT 8",
    )
    .await
    .unwrap();
    let bench = server.bench("eye");
    let _elsewhere = server.connect("other", "other").await;
    let _two = [server.connect("app", "shop").await, server.connect("app", "shop").await];
    let before = bench.read(Sql::DatabaseCapacity).await;
    assert!(before.found.is_empty(), "{:?}", before.found);
    let _third = server.connect("app", "shop").await;
    let refused = server.try_connect("app", "shop", "web").await.err().unwrap();
    assert!(refused.to_string().contains("too many connections") || refused.code().is_some(), "{refused}");
    let capacity = bench.read(Sql::DatabaseCapacity).await;
    assert!(capacity.found.iter().any(|found| found.cause == cause::CONNECTION_LIMIT), "{capacity:?}");
    assert!(capacity.summary.starts_with("role app uses 3 of its 3 connections"), "{}", capacity.summary);
    assert_eq!(capacity.bindings["connection_limit_command"], "ALTER ROLE \"app\" CONNECTION LIMIT …");
    let lines: Vec<&str> = capacity.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert!(lines.contains(&"database shop uses 4 of its 8 connections"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("role boss") || line.starts_with("role other")));
}
