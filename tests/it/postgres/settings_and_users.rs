//! Settings of a role and accounts of the application: set, disabled, and put back exactly.

use covet_tui::domain::Sql;
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use tokio_util::sync::CancellationToken;

use super::server::server;

fn log_slow(value: &str) -> Sql {
    Sql::SetRoleSetting {
        role: "app".into(),
        database: "shop".into(),
        setting: "log_min_duration_statement".into(),
        value: Some(value.into()),
        instead_of: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_of_a_role_is_set_and_put_back_exactly() {
    let server = server("").await;
    let mut bench = server.bench("boss");
    let shown = |setting: &'static str| {
        let server = &server;
        async move {
            let app = server.connect("app", "shop").await;
            let row = app.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
            row.get::<_, String>(0)
        }
    };
    assert_eq!(shown("log_min_duration_statement").await, "-1");
    let first = bench.act(log_slow("500ms")).await;
    assert!(matches!(first.result, Ending::Performed(_)), "{:?}", first.result);
    assert_eq!(shown("log_min_duration_statement").await, "500ms");
    let second = bench.act(log_slow("2s")).await;
    assert_eq!(shown("log_min_duration_statement").await, "2s");
    // The way back of the first is refused while the second stands; its own way back is exact.
    let stale =
        bench.hands.preview_undo(&bench.armed, first.undo.as_ref().unwrap(), super::server::now()).await;
    assert!(stale.unwrap_err().says.contains("was changed since"));
    bench.undo(&second).await;
    assert_eq!(shown("log_min_duration_statement").await, "500ms");
    bench.undo(&first).await;
    assert_eq!(shown("log_min_duration_statement").await, "-1");

    let quoted = Sql::SetRoleSetting {
        role: "app".into(),
        database: "shop".into(),
        setting: "application_name".into(),
        value: Some("it's; DROP TABLE users".into()),
        instead_of: None,
    };
    assert!(matches!(bench.act(quoted).await.result, Ending::Performed(_)));
    let app = server.connect("app", "shop").await;
    assert_eq!(app.query_one("SELECT count(*) FROM users", &[]).await.unwrap().get::<_, i64>(0), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_is_stopped_before_anything_is_tried() {
    let server = server("").await;
    let mut bench = server.bench("app");
    let preview = bench.preview(log_slow("500ms")).await.unwrap();
    let stop = preview.hazards.iter().find(|hazard| hazard.level == Level::Stop).unwrap();
    assert!(stop.says.contains("GRANT SET ON PARAMETER log_min_duration_statement"), "{}", stop.says);
    // What the preview could not know: another role's setting, refused by the server itself (42501).
    let other = Sql::SetRoleSetting {
        role: "other".into(),
        database: "shop".into(),
        setting: "work_mem".into(),
        value: Some("8MB".into()),
        instead_of: None,
    };
    let outcome = bench.act(other).await;
    let Ending::Failed(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.contains("42501") && says.contains("CREATEROLE"), "{says}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_disabled_and_exactly_those_come_back() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("UPDATE users SET is_active=false WHERE username='u3'").await.unwrap();
    let active = || async {
        let sql = "SELECT string_agg(username, ',' ORDER BY id) FROM users WHERE id < 6 AND is_active";
        boss.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0)
    };
    let mut bench = server.bench("eye");
    let names = ["u2", "u3", "u4", "nobody'; DROP TABLE users"].map(str::to_owned).to_vec();
    let sql = Sql::DisableUsers { users: names };
    let preview = bench.preview(sql.clone()).await.unwrap();
    assert_eq!(preview.targets, ["u2 (id 2)", "u4 (id 4)"]);
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("no such user: nobody")));
    let outcome = bench.act(sql).await;
    assert!(
        matches!(&outcome.result, Ending::Performed(says) if says == "2 users disabled"),
        "{:?}",
        outcome.result
    );
    assert_eq!(active().await.as_deref(), Some("u1,u5"));
    let undone = bench.undo(&outcome).await;
    assert!(matches!(undone.result, Ending::Performed(_)), "{:?}", undone.result);
    assert_eq!(active().await.as_deref(), Some("u1,u2,u4,u5"), "u3 was disabled before, by somebody else");

    // Somebody was quicker: nothing is written, and what would happen now is shown.
    let preview = bench.preview(Sql::DisableUsers { users: vec!["u4".into(), "u5".into()] }).await.unwrap();
    let entry = bench.confirm(preview);
    boss.batch_execute("UPDATE users SET is_active=false WHERE username='u5'").await.unwrap();
    let outcome = bench.perform(entry, CancellationToken::new()).await;
    let Ending::Refused(_, Some(fresh)) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert_eq!(fresh.targets, ["u4 (id 4)"]);
    assert_eq!(active().await.as_deref(), Some("u1,u2,u4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_update_accounts_is_told_before() {
    let server = server("").await;
    let boss = server.connect("boss", "shop").await;
    boss.batch_execute("REVOKE UPDATE ON users FROM eye").await.unwrap();
    let bench = server.bench("eye");
    let preview = bench.preview(Sql::DisableUsers { users: vec!["u1".into()] }).await.unwrap();
    assert!(
        preview
            .hazards
            .iter()
            .any(|hazard| hazard.level == Level::Stop && hazard.says.contains("GRANT SELECT, UPDATE"))
    );
    let hidden =
        server.bench("blind").preview(Sql::DisableUsers { users: vec!["u1".into()] }).await.unwrap_err();
    assert!(hidden.to_string().contains("42501"), "{hidden}");
    boss.batch_execute("ALTER TABLE users RENAME TO accounts").await.unwrap();
    let unnamed = bench.preview(Sql::DisableUsers { users: vec!["u1".into()] }).await.unwrap_err();
    assert!(unnamed.repair.unwrap().contains("[database] users"));
}
