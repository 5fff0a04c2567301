//! The doctor on the lab, as two kinds of people.

use covet_tui::eyes::{DoctorRow, doctor, doctor_table, needs};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_checks_everything_and_repairs_what_fails() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let rows = doctor(&settings(&lab, lab.kubeconfig(), &[]), Timestamp::now, true).await;
    for what in ["kubeconfig", "API server", "Prometheus", "Alertmanager", "PostgreSQL", "Redis"] {
        assert!(rows.iter().any(|row| row.what == what && row.ok), "{what} in\n{}", doctor_table(&rows));
    }
    let permissions = rows.iter().filter(|row| row.what.starts_with("may "));
    for need in needs() {
        let (verb, resource) = (need.verb, need.full_resource());
        let told = permissions.clone().any(|row| {
            let words: Vec<&str> = row.what.split(' ').collect();
            words.contains(&verb) && words.contains(&&*resource)
        });
        assert!(told, "nobody tells of {need:?} in\n{}", doctor_table(&rows));
    }
    assert!(permissions.clone().all(|row| row.ok && row.latency.is_some()), "{}", doctor_table(&rows));
    let tls = rows.iter().find(|row| row.what.starts_with("TLS ")).unwrap();
    assert!(tls.ok, "{tls:?}");

    let viewer = settings(
        &lab,
        lab.view_kubeconfig(),
        &[("DATABASE_URL", "postgresql://x@127.0.0.1:1/x"), ("COVET_TLS_AUTHORITY", "")],
    );
    let rows = doctor(&viewer, Timestamp::now, true).await;
    let row = |what: &str| rows.iter().find(|row| row.what.starts_with(what)).unwrap();
    assert!(row("may list and watch pods").ok);
    let refused = row("may patch deployments.apps in");
    assert!(
        !refused.ok
            && refused.repair.as_deref().unwrap().contains("--verb=patch --resource=deployments.apps &&")
            && refused.repair.as_deref().unwrap().contains("--user=viewer@covet.example")
    );
    // All of them can be run: no two make the same role, and no two permissions read alike.
    let all: Vec<_> = rows.iter().filter(|row| row.what.starts_with("may ")).collect();
    let apart = |of: &dyn Fn(&DoctorRow) -> String| {
        let told: Vec<String> = all.iter().map(|row| of(row)).collect();
        told.iter().collect::<std::collections::BTreeSet<_>>().len() == told.len()
    };
    assert!(apart(&|row| row.what.clone()));
    let role = |row: &DoctorRow| {
        row.repair.as_ref().map(|repair| repair.split(" --verb").next().unwrap().to_owned())
    };
    assert!(apart(&|row| role(row).unwrap_or_else(|| row.what.clone())), "{}", doctor_table(&rows));
    assert!(
        !row("PostgreSQL").ok && row("PostgreSQL").says.contains("cannot be reached"),
        "{:?}",
        row("PostgreSQL")
    );
    assert!(!row("TLS ").ok && row("TLS ").repair.is_some(), "{:?}", row("TLS "));
    lab.stop().await;

    let rows = doctor(&settings_of(&[("KUBECONFIG", "/nowhere/kubeconfig")]), Timestamp::now, false).await;
    assert!(!rows[0].ok && rows[0].says.contains("/nowhere/kubeconfig"), "{rows:?}");
    let table = doctor_table(&rows);
    assert!(table.contains("FAIL  kubeconfig") && table.contains("→"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_need_is_one_line_unless_each_right_is_asked_for() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let admin = settings(&lab, lab.kubeconfig(), &[]);
    let viewer = settings(&lab, lab.view_kubeconfig(), &[]);
    let to_change = |rows: &[DoctorRow]| {
        let told: Vec<DoctorRow> =
            rows.iter().filter(|row| row.what == "may change things").cloned().collect();
        let [row] = told.as_slice() else { panic!("not one line:\n{}", doctor_table(rows)) };
        row.clone()
    };
    let row = to_change(&doctor(&admin, Timestamp::now, false).await);
    assert!(row.ok && row.repair.is_none() && row.says.starts_with("all "), "{row:?}");

    let rows = doctor(&viewer, Timestamp::now, false).await;
    let row = to_change(&rows);
    let each = doctor(&viewer, Timestamp::now, true).await;
    let of_hands = |rows: &[DoctorRow]| {
        let hands = |row: &&DoctorRow| row.says.contains("some changes will be refused");
        rows.iter().filter(hands).count()
    };
    assert!(!row.ok && row.says.contains(" missing, read-only use is fine"), "{row:?}");
    assert!(row.repair.unwrap().contains("doctor --rights"));
    assert_eq!(of_hands(&rows), 0, "{}", doctor_table(&rows));
    assert!(of_hands(&each) > 10 && !each.iter().any(|row| row.what == "may change things"));
    // What is missing to see is told line by line either way.
    let unseen = |rows: &[DoctorRow]| -> Vec<String> {
        let of_reads =
            |row: &&DoctorRow| row.says.contains("is blind without") || row.says.contains("cannot read");
        rows.iter().filter(of_reads).map(|row| row.what.clone()).collect()
    };
    assert!(!unseen(&rows).is_empty() && unseen(&rows) == unseen(&each), "{}", doctor_table(&rows));

    let read_only = Settings { read_only: config::Sourced::default(true), ..viewer };
    let rows = doctor(&read_only, Timestamp::now, false).await;
    assert!(!rows.iter().any(|row| row.what == "may change things"), "{}", doctor_table(&rows));
    lab.stop().await;
}

fn settings_of(env: &[(&str, &str)]) -> Settings {
    let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    config::load(&Flags::default(), &find, None).unwrap()
}
