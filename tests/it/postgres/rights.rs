//! What a role may not see or do is named, with the repair.

use std::time::Duration;

use covet_tui::config::{self, Flags};
use covet_tui::domain::{Pick, Snapshot, Sql, Which, cause};
use covet_tui::eyes::{Eyes, doctor, doctor_table};
use covet_tui::guard::Level;
use tokio::sync::mpsc;

use super::server::{Server, now, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_see_others_is_told_which_right_it_lacks() {
    let server = server("").await;
    let _app = server.connect_as("app", "shop", "web").await;
    let bench = server.bench("blind");
    let capacity = bench.read(Sql::DatabaseCapacity).await;
    let repair = "GRANT pg_read_all_stats TO \"blind\"";
    assert!(capacity.lines.iter().any(|(_, line)| line.contains(repair)), "{:?}", capacity.lines);
    assert!(bench.read(Sql::LockTree).await.lines.iter().any(|(_, line)| line.contains(repair)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_signal_is_stopped_in_the_preview() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("GRANT pg_read_all_stats TO blind").await.unwrap();
    let leak = server.connect_as("app", "shop", "web").await;
    leak.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let bench = server.bench("blind");
    let pick = Pick { which: Which::IdleInTransaction, older: Duration::ZERO, role: Some("app".into()) };
    let preview = bench.preview(Sql::TerminateSessions { pick, sessions: Vec::new() }).await.unwrap();
    let stop = preview.hazards.iter().find(|hazard| hazard.level == Level::Stop).expect("a stop");
    assert!(stop.says.contains("pg_signal_backend"), "{}", stop.says);
}

/// What pg_monitor sees of a statement is its cost; its plan belongs to those who may read the tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_refused_names_the_grant_that_lets_it_be_seen() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute(
        "CREATE TABLE parcels (id int, route text); CREATE SCHEMA vault; CREATE TABLE vault.keys (id int); \
         GRANT USAGE ON SCHEMA vault TO app; GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public, vault TO app",
    )
    .await
    .unwrap();
    let app = server.connect_as("app", "shop", "web").await;
    app.query("SELECT id FROM parcels WHERE route = $1", &[&"north"]).await.unwrap();
    app.query("SELECT id FROM vault.keys", &[]).await.unwrap();
    app.execute("UPDATE parcels SET route = 'x' WHERE id = $1", &[&7]).await.unwrap();
    let bench = server.bench("eye");
    for (statement, grant) in [
        ("SELECT id FROM parcels%", "GRANT SELECT ON \"parcels\" TO \"eye\""),
        ("SELECT id FROM vault.keys%", "GRANT USAGE ON SCHEMA \"vault\" TO \"eye\""),
        ("UPDATE parcels%", "let a role that may write to \"parcels\" explain it"),
    ] {
        let sql = "SELECT queryid FROM pg_stat_statements WHERE query LIKE $1";
        let id: i64 = boss.query_one(sql, &[&statement]).await.unwrap().get(0);
        let plan = bench.read(Sql::ExplainQuery { query: Some(id) }).await;
        let found: Vec<&str> = plan.found.iter().map(|found| found.cause.as_str()).collect();
        assert_eq!((plan.ok, found), (false, vec![cause::EXPLAIN_DENIED]), "{plan:?}");
        assert_eq!(plan.bindings["denied_grant"], grant);
        assert!(plan.summary.contains(grant), "{}", plan.summary);
    }
    boss.batch_execute("GRANT SELECT ON parcels TO eye").await.unwrap();
    let sql = "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT id FROM parcels%'";
    let id: i64 = boss.query_one(sql, &[]).await.unwrap().get(0);
    let plan = bench.read(Sql::ExplainQuery { query: Some(id) }).await;
    assert!(plan.ok && plan.found.is_empty(), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_which_tables_our_role_gets_no_plan_of() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("CREATE TABLE parcels (id int); CREATE TABLE routes (id int)").await.unwrap();
    boss.batch_execute("INSERT INTO routes SELECT generate_series(1, 5000); ANALYZE").await.unwrap();
    let url = server.url("blind", "shop");
    let env = |name: &str| (name == "DATABASE_URL").then(|| url.clone());
    let settings = config::load(&Flags::default(), &env, None).unwrap();
    boss.batch_execute(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO blind; REVOKE SELECT ON parcels, routes FROM blind",
    )
    .await
    .unwrap();
    let rows = doctor_table(&doctor(&settings, now, false).await);
    assert!(rows.contains("no plan of statements on 2 tables (routes, …): GRANT "), "{rows}");
    boss.batch_execute("GRANT SELECT ON parcels, routes TO blind").await.unwrap();
    let rows = doctor_table(&doctor(&settings, now, false).await);
    assert!(!rows.contains("no plan of statements"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_are_not_counted_are_named_with_the_repair() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("DROP EXTENSION pg_stat_statements").await.unwrap();
    let reading = server.bench("eye").read(Sql::ExpensiveQueries { apart: Duration::from_secs(1) }).await;
    assert!(!reading.ok && reading.summary.contains("CREATE EXTENSION pg_stat_statements"), "{reading:?}");
}

async fn watched(server: &Server, role: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let url = server.url(role, "shop");
    let env = |name: &str| match name {
        "DATABASE_URL" => Some(url.clone()),
        "COVET_DATABASE_CPUS" => Some("4".to_owned()),
        _ => None,
    };
    let settings = config::load(&Flags::default(), &env, None).unwrap();
    let (out, mut heard) = mpsc::channel(64);
    let _eyes = Eyes::open(&settings, &[], now, out).await;
    let mut snapshot = Snapshot::default();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !wanted(&snapshot) {
        let heard = tokio::time::timeout_at(deadline, heard.recv()).await.expect("within a minute");
        snapshot.fold(heard.unwrap());
    }
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn eyes_see_who_holds_blocks_and_costs() {
    let server = server("").await;
    let boss = server.connect("boss", "postgres").await;
    let root = server.connect_as("app", "shop", "reports").await;
    root.batch_execute("BEGIN; UPDATE locks SET n=1 WHERE id=1").await.unwrap();
    let waiter = server.connect_as("app", "shop", "web").await;
    tokio::spawn(async move { waiter.batch_execute("UPDATE locks SET n=2 WHERE id=1").await });
    server.until(&boss, "wait_event_type='Lock'", 1).await;
    // One statement does nearly all of the work.
    let busy = server.connect_as("app", "shop", "web").await;
    let working = tokio::spawn(async move {
        loop {
            busy.query("SELECT count(*) FROM users WHERE email = $1", &[&"u7@x.example"]).await.unwrap();
        }
    });
    let snapshot = watched(&server, "eye", |snapshot| {
        snapshot
            .activity
            .as_ref()
            .is_some_and(|(_, activity)| activity.top.is_some() && !activity.roots.is_empty())
    })
    .await;
    working.abort();
    let (_, activity) = snapshot.activity.unwrap();
    assert_eq!(activity.cpus, Some(4.0));
    assert_eq!((activity.roots.len(), activity.roots[0].blocked), (1, 1));
    assert_eq!(
        (&*activity.roots[0].application, &*activity.roots[0].state),
        ("reports", "idle in transaction")
    );
    let top = activity.top.unwrap();
    assert!(top.text.contains("WHERE email =") && top.share > 0.5 && top.calls_per_second > 1.0, "{top:?}");
    assert!(activity.holders.iter().any(|holder| &*holder.application == "web"), "{:?}", activity.holders);
    assert!(activity.unseen.is_empty(), "{:?}", activity.unseen);

    let snapshot = watched(&server, "blind", |snapshot| snapshot.activity.is_some()).await;
    let unseen = snapshot.activity.unwrap().1.unseen;
    assert!(unseen.iter().any(|what| what.contains("GRANT pg_read_all_stats TO \"blind\"")), "{unseen:?}");
}
