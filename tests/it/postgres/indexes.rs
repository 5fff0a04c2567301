//! Indexes: built and dropped concurrently, called off, left INVALID and repaired.

use std::time::Duration;

use covet_tui::domain::{Sql, cause};
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use tokio_util::sync::CancellationToken;

use super::server::server;

fn on_email() -> Sql {
    Sql::CreateIndex { table: "users".into(), columns: vec!["email".into()], index: None }
}

fn drop_it() -> Sql {
    Sql::DropIndex { index: "users_email_idx".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_undone_and_built_again() {
    let server = server("").await;
    let mut bench = server.bench("app");
    let preview = bench.preview(on_email()).await.unwrap();
    let statement = "CREATE INDEX CONCURRENTLY \"users_email_idx\" ON \"users\" (\"email\")";
    assert!(preview.command.contains(statement), "{}", preview.command);
    let outcome = bench.act(on_email()).await;
    assert_eq!(outcome.result, Ending::Performed("index users_email_idx is built and valid".into()));
    let refused = bench.preview(on_email()).await.unwrap();
    assert!(
        refused
            .hazards
            .iter()
            .any(|hazard| hazard.level == Level::Stop && hazard.says.contains("already begins"))
    );
    let undone = bench.undo(&outcome).await;
    assert_eq!(undone.result, Ending::Performed("index users_email_idx is gone".into()));
    let again = bench.undo(&undone).await;
    assert!(matches!(again.result, Ending::Performed(_)), "{:?}", again.result);
    assert!(bench.written().contains("CREATE INDEX users_email_idx ON public.users USING btree (email)"));
    // What a constraint stands on stays.
    let key = bench.preview(Sql::DropIndex { index: "users_pkey".into() }).await.unwrap();
    assert!(
        key.hazards.iter().any(|hazard| hazard.level == Level::Stop && hazard.says.contains("constraint"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_is_found_dropped_and_then_the_index_is_built() {
    let server = server("").await;
    let app = server.connect_as("app", "shop", "web").await;
    // An old transaction holds a build back; a time limit ends it half-way.
    let old = server.connect_as("other", "shop", "old").await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    app.batch_execute("SET statement_timeout = '1s'").await.unwrap();
    let ended =
        app.batch_execute("CREATE INDEX CONCURRENTLY users_email_idx ON users (email)").await.unwrap_err();
    assert_eq!(ended.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
    old.batch_execute("COMMIT").await.unwrap();

    let mut bench = server.bench("app");
    let state = bench.read(Sql::IndexState).await;
    assert_eq!(state.found[0].cause, cause::INVALID_INDEX);
    assert_eq!(state.bindings["invalid_index"], "users_email_idx");
    let preview = bench.preview(on_email()).await.unwrap();
    let stop = preview.hazards.iter().find(|hazard| hazard.level == Level::Stop).expect("a stop");
    assert!(stop.says.contains("drop it first"), "{}", stop.says);
    let dropped = bench.act(drop_it()).await;
    assert_eq!(dropped.result, Ending::Performed("index users_email_idx is gone".into()));
    assert!(dropped.undo.is_none(), "nobody wants a leftover back");
    let built = bench.act(on_email()).await;
    assert!(matches!(built.result, Ending::Performed(_)), "{:?}", built.result);
    assert_eq!(bench.read(Sql::IndexState).await.summary, "no index is being built, and all are valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_waits_says_so_and_can_be_called_off() {
    let server = server("").await;
    let old = server.connect_as("other", "shop", "old").await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    let mut bench = server.bench("app");
    let preview = bench.preview(on_email()).await.unwrap();
    let entry = bench.confirm(preview);
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        later.cancel();
    });
    let outcome = bench.perform(entry, cancel).await;
    let Ending::Unverified(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.contains("called off") && says.contains("INVALID") && says.contains("drop it"), "{says}");
    assert!(
        outcome.progress.iter().any(|line| line.contains("waits for the transaction of pid")),
        "{:?}",
        outcome.progress
    );
    let undone = bench.undo(&outcome).await;
    assert!(matches!(undone.result, Ending::Performed(_)), "{:?}", undone.result);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_names_and_roles_that_may_not_are_stopped() {
    let server = server("").await;
    let bench = server.bench("eye");
    let preview = bench.preview(on_email()).await.unwrap();
    assert!(
        preview.hazards.iter().any(|hazard| hazard.level == Level::Stop && hazard.says.contains("owner"))
    );
    for (table, column) in
        [("users; DROP TABLE users", "email"), ("users", "email) --"), ("nothing", "email")]
    {
        let sql = Sql::CreateIndex { table: table.into(), columns: vec![column.into()], index: None };
        assert!(bench.preview(sql).await.is_err(), "{table} {column}");
    }
    let absent = Sql::CreateIndex { table: "users".into(), columns: vec!["nothing".into()], index: None };
    let preview = bench.preview(absent).await.unwrap();
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("no column nothing")));
}
