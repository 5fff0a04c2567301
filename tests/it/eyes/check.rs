//! One look on the lab by who may change nothing: what helps is suggested, and it is told that it is not theirs.

use std::collections::BTreeMap;

use covet_tui::check::{self, Look};
use covet_tui::config::Outside;
use covet_tui::playbooks::Library;
use covet_tui::probes::Probes;
use covet_tui::report::Report;
use covet_tui::rules::Thresholds;

use super::real::redis;
use super::*;
use crate::postgres::server::bare;

async fn looked(settings: &Settings, read_only: bool) -> Report {
    looked_for(settings, read_only, Duration::from_secs(90)).await
}

async fn looked_for(settings: &Settings, read_only: bool, wait: Duration) -> Report {
    let library = Library::built_in();
    let (out, mut observations) = mpsc::channel(1024);
    let _eyes = Eyes::open(settings, &library.triggers(), Timestamp::now, out).await;
    let outside = Outside::of(settings);
    let client = config::client(settings).await.unwrap();
    let look = Look {
        clock: Timestamp::now,
        thresholds: &Thresholds::default(),
        library: &library,
        settings: &BTreeMap::new(),
        systems: &outside.systems(),
        read_only,
        scope: settings.namespace.one(),
        deeds: Vec::new(),
        probes: Some(&Probes::new(client, Timestamp::now, outside.clone())),
        wait: Some(wait),
    };
    check::look(&look, &mut observations).await
}

/// Why a step that changes the workload is not ours, of the anomaly by this rule.
fn blocked(report: &Report, rule: &str) -> Option<String> {
    let row = report.anomalies.iter().find(|row| row.rule == rule);
    let row = row.unwrap_or_else(|| panic!("no {rule} in {:?}", report.anomalies));
    let suggested = row.suggested.as_ref().unwrap_or_else(|| panic!("nothing is suggested for {row:?}"));
    assert_eq!(suggested.step, "roll-back", "{suggested:?}");
    suggested.blocked.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_tells_whether_the_suggested_change_is_ours() {
    let options =
        lab::Options { drill: Some("crash-loop.oom".into()), speed: 10.0, ..lab::Options::default() };
    let lab = lab::start(options).await.unwrap();
    let admin = settings(&lab, lab.kubeconfig(), &[]);
    let viewer = settings(&lab, lab.view_kubeconfig(), &[]);

    let report = looked(&admin, false).await;
    assert_eq!(blocked(&report, "crash-loop"), None);
    assert!(!report.table().contains("somebody else"), "{}", report.table());
    let json = serde_json::to_value(&report).unwrap();
    let suggested = json["anomalies"].as_array().unwrap().iter().find_map(|row| row.get("suggested"));
    assert!(suggested.is_some_and(|row| row.get("blocked") == Some(&serde_json::Value::Null)), "{json}");

    let report = looked(&admin, true).await;
    assert_eq!(blocked(&report, "crash-loop").as_deref(), Some("this session is read-only"));

    let report = looked(&viewer, false).await;
    let why = blocked(&report, "crash-loop").unwrap();
    assert_eq!(why, "you may not patch deployments in covetpy-production");
    assert!(
        report.table().contains(&format!("blocked  {why}: somebody else has to do it")),
        "{}",
        report.table()
    );
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_wrong_nothing_is_even_suspected() {
    let lab = lab::start(lab::Options { seed: 31, ..lab::Options::default() }).await.unwrap();
    for kubeconfig in [lab.kubeconfig(), lab.view_kubeconfig()] {
        let report = looked_for(&settings(&lab, kubeconfig, &[]), false, Duration::from_secs(5)).await;
        assert!(report.anomalies.is_empty(), "{}", report.table());
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_throws_away_what_is_asked_for_is_told_at_the_first_look() {
    let lab = lab::start(lab::Options { seed: 31, ..lab::Options::default() }).await.unwrap();
    let (port, _server) = redis(&["--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let url = format!("redis://127.0.0.1:{port}");
    let mut user =
        redis::Client::open(url.clone()).unwrap().get_multiplexed_async_connection().await.unwrap();
    // Of 2000 values there is room for some hundreds.
    let keys = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(2_000));
    let wanted = keys.clone();
    let working = tokio::spawn(async move {
        let value = "x".repeat(10_000);
        loop {
            let key = format!("k{}", fastrand::u32(..wanted.load(std::sync::atomic::Ordering::Relaxed)));
            let found: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut user).await.unwrap();
            if found.is_none() {
                redis::cmd("SET").arg(&key).arg(&value).query_async::<()>(&mut user).await.unwrap();
            }
        }
    });
    let settings = settings(&lab, lab.kubeconfig(), &[("REDIS_URL", &url)]);
    let told = async || {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let report = looked_for(&settings, false, Duration::ZERO).await;
        let of_cache = report.anomalies.into_iter().filter(|row| row.rule == "cache-down");
        of_cache.map(|row| row.title).collect::<Vec<_>>()
    };
    let titles = told().await;
    assert!(titles.len() == 1 && titles[0].starts_with("the cache is too small: "), "{titles:?}");
    // As full as before, and nearly all that is asked for is there.
    keys.store(200, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(told().await, Vec::<String>::new());
    working.abort();
    lab.stop().await;
}

/// What one look without patience says of the database at this URL.
async fn looked_at_database(lab: &Lab, url: &str) -> (Vec<String>, Vec<String>) {
    let settings = settings(lab, lab.kubeconfig(), &[("DATABASE_URL", url)]);
    let report = looked_for(&settings, false, Duration::ZERO).await;
    let of = |rule: &str| rule.starts_with("db-");
    let titles = report.anomalies.iter().filter(|row| of(&row.rule)).map(|row| row.title.clone());
    let blind = report.blind.iter().filter(|row| row.rule == "db-pool").map(|row| row.why.clone());
    (titles.collect(), blind.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_stopped_is_an_outage_at_the_first_look_and_our_own_mistakes_are_none() {
    let lab = lab::start(lab::Options { seed: 31, ..lab::Options::default() }).await.unwrap();
    let server = bare("").await;
    let boss = server.connect("boss", "postgres").await;
    boss.batch_execute("CREATE ROLE eye LOGIN PASSWORD 'hunter22'; GRANT pg_monitor TO eye").await.unwrap();
    let at = |login: &str, host: &str, rest: &str| {
        format!("postgresql://{login}@{host}:{}/postgres{rest}", server.port)
    };
    let well = at("eye:hunter22", "127.0.0.1", "?sslmode=prefer");
    assert_eq!(looked_at_database(&lab, &well).await, (vec![], vec![]));
    for (mistake, words) in [
        (at("eye:wrong", "127.0.0.1", "?sslmode=prefer"), "password authentication failed"),
        (at("eye:hunter22", "127.0.0.1", "?sslmode=require"), "TLS"),
        (at("eye:hunter22", "db.nowhere.invalid", "?sslmode=prefer"), "lookup address"),
    ] {
        let (titles, blind) = looked_at_database(&lab, &mistake).await;
        assert_eq!(titles, Vec::<String>::new(), "{mistake}");
        assert!(blind.iter().any(|why| why.contains(words)), "{mistake}: {blind:?}");
    }
    drop((boss, server));
    let (titles, blind) = looked_at_database(&lab, &well).await;
    assert_eq!(titles, ["the database does not answer: nobody listens there"], "{blind:?}");
    assert!(blind.iter().all(|why| why.contains("Connection refused")), "{blind:?}");
    lab.stop().await;
}
