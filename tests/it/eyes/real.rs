//! The eyes on a real PostgreSQL and a real Redis, started here on free ports.

use std::path::Path;
use std::process::{Command, Stdio};

use covet_tui::domain::{BlindKind, between};
use covet_tui::rules::{Thresholds, judge};

use super::*;
use crate::postgres::server::{Started, bare, free_port, program};

/// Settings that know nothing but this variable.
fn only(name: &str, value: &str) -> Settings {
    config::load(&Flags::default(), &|asked| (asked == name).then(|| value.to_owned()), None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_postgres_is_watched_read_only_until_it_is_full() {
    let server = bare("max_connections=8 superuser_reserved_connections=3").await;
    let boss = server.connect("boss", "postgres").await;
    boss.batch_execute("CREATE ROLE app LOGIN PASSWORD 'hunter22'; CREATE ROLE eye LOGIN PASSWORD 'hunter22'; GRANT pg_monitor TO eye")
        .await
        .unwrap();
    let url = format!("postgresql+asyncpg://eye:hunter22@127.0.0.1:{}/postgres?ssl=prefer", server.port);
    let mut watcher = Watcher::open(&only("DATABASE_URL", &url)).await;
    watcher.until("capacity", |snapshot| snapshot.capacity.is_some()).await;
    let capacity = watcher.snapshot.capacity.unwrap();
    assert_eq!((capacity.max_connections, capacity.reserved, capacity.usable()), (8, 3, 5));
    let ours = boss
        .query_one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name='covet-tui' AND usename='eye'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(ours.get::<_, i64>(0), 1, "one kept-open connection, under the product's name");
    boss.batch_execute("BEGIN").await.unwrap();
    watcher
        .until("idle in transaction", |snapshot| {
            snapshot.capacity.is_some_and(|now| now.idle_in_transaction == 1)
        })
        .await;
    assert!(watcher.snapshot.capacity.unwrap().oldest_transaction.is_some());
    boss.batch_execute("ROLLBACK").await.unwrap();
    // Take every slot that is left, then our own: the refusal is an observation.
    let mut taken = Vec::new();
    while let Ok(client) = server.try_connect("app", "postgres", "").await {
        taken.push(client);
    }
    boss.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='eye'", &[])
        .await
        .unwrap();
    while let Ok(client) = server.try_connect("app", "postgres", "").await {
        taken.push(client);
    }
    watcher.until("exhausted", |snapshot| snapshot.exhausted.is_some()).await;
    assert!(watcher.blind(Origin::Postgres).is_none(), "full is not blind");
    drop(taken);
    watcher.until("capacity again", |snapshot| snapshot.exhausted.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_postgres_tells_what_was_before_the_first_look_and_what_was_left_behind() {
    let server = bare("").await;
    let boss = server.connect("boss", "postgres").await;
    boss.batch_execute("CREATE ROLE eye LOGIN PASSWORD 'hunter22'; GRANT pg_monitor TO eye").await.unwrap();
    boss.batch_execute("CREATE TABLE items (id int); INSERT INTO items VALUES (1), (1)").await.unwrap();
    let left = boss.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY items_id_idx ON items (id)").await;
    assert!(left.is_err(), "the rows are not unique");
    let early = server.connect("boss", "postgres").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let late = server.connect("boss", "postgres").await;
    let replica = server.standby("near").await;
    let reader = replica.connect("boss", "postgres").await;
    reader.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    boss.batch_execute("INSERT INTO items VALUES (2)").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let url = format!("postgresql://eye:hunter22@127.0.0.1:{}/postgres?sslmode=prefer", server.port);
    let mut watcher = Watcher::open(&only("DATABASE_URL", &url)).await;
    watcher.until("activity", |snapshot| snapshot.activity.is_some()).await;
    let (snapshot, now) = (&watcher.snapshot, Timestamp::now());
    // The eye's own session is the youngest: what was used when the one before it came.
    let opened = snapshot.opened.points();
    let used = snapshot.capacity.unwrap().used as usize;
    assert_eq!(opened.len(), used, "{opened:?}");
    let age = |index: usize| between(opened[index].0, now).as_secs();
    assert!(age(0) >= age(1) && age(1) >= age(2) + 3, "{opened:?}");
    let activity = &snapshot.activity.as_ref().unwrap().1;
    assert_eq!(&*activity.invalid_indexes[0], "items_id_idx");
    assert_eq!(&*activity.replicas[0].name, "near");
    assert!(activity.replicas[0].lag.is_some_and(|lag| lag >= Duration::from_secs(2)), "{activity:?}");
    let thresholds = Thresholds::new([("db-cpu.replica-lag", 2.0)]).unwrap();
    let told: Vec<String> =
        judge(snapshot, &thresholds, now).anomalies().into_iter().map(|found| found.title).collect();
    assert!(told.iter().any(|title| title.starts_with("replica near is ")), "{told:?}");
    assert!(told.iter().any(|title| title.starts_with("index items_id_idx was begun")), "{told:?}");
    drop((early, late));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_postgres_refuses_in_words() {
    let server = bare("").await;
    let at = |rest: &str| rest.replace("PORT", &server.port.to_string());
    for (url, kind, word) in [
        (
            at("postgresql://boss:wrong@127.0.0.1:PORT/postgres"),
            BlindKind::Refused,
            "password authentication failed",
        ),
        (at("postgresql://boss:hunter22@127.0.0.1:PORT/nothing"), BlindKind::Broken, "does not exist"),
        (at("postgresql://boss@127.0.0.1:PORT/postgres"), BlindKind::Refused, "password"),
        (at("postgresql://boss:hunter22@127.0.0.1:PORT/postgres?sslmode=require"), BlindKind::Broken, "tls"),
        (
            format!("postgresql://boss:hunter22@127.0.0.1:{}/x", free_port()),
            BlindKind::Unreachable,
            "refused",
        ),
    ] {
        let mut watcher = Watcher::open(&only("DATABASE_URL", &url)).await;
        watcher.until("blind", |snapshot| blind(snapshot, Origin::Postgres).is_some()).await;
        let blind = watcher.blind(Origin::Postgres).unwrap();
        assert_eq!(blind.kind, kind, "{blind:?}");
        assert!(blind.why.to_lowercase().contains(word), "{blind:?}");
        assert!(blind.repair.is_some() && !blind.why.contains("hunter22"), "{blind:?}");
    }
}

/// A Redis of this test's own.
pub async fn redis(arguments: &[&str]) -> (u16, Started) {
    let port = free_port();
    let child = Command::new(program("redis-server"))
        .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Started(child);
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return (port, server);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Redis did not start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_redis_is_watched_and_its_refusal_is_an_error() {
    let (port, _server) = redis(&["--requirepass", "hunter22", "--maxmemory", "64mb"]).await;
    let mut watcher = Watcher::open(&only("REDIS_URL", &format!("redis://127.0.0.1:{port}"))).await;
    watcher.until("blind", |snapshot| blind(snapshot, Origin::Redis).is_some()).await;
    let refused = watcher.blind(Origin::Redis).unwrap();
    assert_eq!(refused.kind, BlindKind::Refused);
    assert!(
        refused.why.contains("NOAUTH") && refused.repair.unwrap().contains("REDIS_URL"),
        "{}",
        refused.why
    );

    let url = format!("redis://:hunter22@127.0.0.1:{port}");
    let mut watcher = Watcher::open(&only("REDIS_URL", &url)).await;
    watcher.until("seen", |snapshot| snapshot.cache.is_some()).await;
    let cache = watcher.snapshot.cache.unwrap();
    assert_eq!(cache.max_memory, 64 << 20);
    assert!(cache.used_memory > 0 && cache.clients >= 1 && cache.hit_ratio.is_none(), "{cache:?}");
    let mut user = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("a").arg(1).query_async::<()>(&mut user).await.unwrap();
    for key in ["a", "a", "a", "b"] {
        redis::cmd("GET").arg(key).query_async::<Option<String>>(&mut user).await.unwrap();
    }
    watcher
        .until("hit ratio", |snapshot| snapshot.cache.is_some_and(|cache| cache.hit_ratio.is_some()))
        .await;
    assert!((watcher.snapshot.cache.unwrap().hit_ratio.unwrap() - 0.75).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_redis_that_is_full_and_one_that_goes_are_told_apart_from_a_healthy_one() {
    let (port, server) = redis(&["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"]).await;
    let url = format!("redis://127.0.0.1:{port}");
    let mut watcher = Watcher::open(&only("REDIS_URL", &url)).await;
    watcher.until("seen", |snapshot| snapshot.cache.is_some()).await;
    assert!(watcher.snapshot.cache.unwrap().keeps_all && watcher.snapshot.cache_refuses.is_none());

    let mut user = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let value = "x".repeat(100_000);
    let mut refused = 0;
    for round in 0..100 {
        let answer =
            redis::cmd("SET").arg(format!("k{round}")).arg(&value).query_async::<()>(&mut user).await;
        refused += usize::from(answer.is_err());
    }
    assert!(refused > 50, "{refused}");
    watcher.until("full", |snapshot| snapshot.cache_refuses.is_some()).await;
    let cache = watcher.snapshot.cache.unwrap();
    assert!(cache.refused_per_second > 0.0, "{cache:?}");
    redis::cmd("FLUSHALL").query_async::<()>(&mut user).await.unwrap();
    watcher.until("room", |snapshot| snapshot.cache_refuses.is_none()).await;

    drop(server);
    watcher.until("gone", |snapshot| blind(snapshot, Origin::Redis).is_some()).await;
    assert_eq!(watcher.blind(Origin::Redis).unwrap().kind, BlindKind::Unreachable);
}

/// What stands before a server, and answers everything in the same way.
async fn gate(answer: &'static str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let words = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(words.as_bytes()).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_answers_503_is_not_said_to_lack_pods() {
    let port = gate("503 Service Unavailable").await;
    let mut watcher = Watcher::open(&only("PROMETHEUS_URL", &format!("http://127.0.0.1:{port}"))).await;
    watcher.until("blind", |snapshot| blind(snapshot, Origin::Prometheus).is_some()).await;
    let told = watcher.blind(Origin::Prometheus).unwrap();
    let advice = told.repair.unwrap_or_default();
    assert!(
        told.why.contains("it answers 503") && advice.contains("a proxy before it"),
        "{}: {advice}",
        told.why
    );
    assert!(!advice.contains("pods"), "{advice}");
}

fn prometheus() -> (u16, Started, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (port, server) = prometheus_in(folder.path());
    (port, server, folder)
}

pub fn prometheus_in(folder: &Path) -> (u16, Started) {
    prometheus_scraping(folder, "")
}

/// The same, and these scrape configs beside its own.
pub fn prometheus_scraping(folder: &Path, more: &str) -> (u16, Started) {
    let port = free_port();
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: itself\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n{more}"
    );
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let child = Command::new(program("prometheus"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (port, Started(child))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_is_found_wanting_then_asked_for_what_the_settings_name() {
    let (port, _server, _folder) = prometheus();
    let url = format!("http://127.0.0.1:{port}");
    let mut watcher = Watcher::open(&only("PROMETHEUS_URL", &url)).await;
    let is = |kind: BlindKind| {
        move |snapshot: &Snapshot| blind(snapshot, Origin::Prometheus).is_some_and(|blind| blind.kind == kind)
    };
    watcher.until("nothing of requests", is(BlindKind::NotConfigured)).await;
    assert!(watcher.blind(Origin::Prometheus).unwrap().repair.unwrap().contains("[prometheus] requests"));
    watcher.until("no Alertmanager", |snapshot| blind(snapshot, Origin::Alertmanager).is_some()).await;
    let known = format!("{url}/api/v1/labels?match[]=prometheus_http_requests_total");
    while !reqwest::get(&known).await.unwrap().text().await.unwrap().contains("\"code\"") {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let named = [
        ("PROMETHEUS_URL", url.as_str()),
        ("COVET_PROMETHEUS_REQUESTS", "prometheus_http_requests_total"),
        ("COVET_PROMETHEUS_LATENCY", "prometheus_http_request_duration_seconds"),
    ];
    let find =
        |asked: &str| named.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    let mut watcher = Watcher::open(&config::load(&Flags::default(), &find, None).unwrap()).await;
    let drawn = |snapshot: &Snapshot| {
        let traffic = &snapshot.traffic;
        !traffic.rate.is_empty() && !traffic.p95.is_empty() && !traffic.error_ratio.is_empty()
    };
    watcher.until("charts", drawn).await;
    let (_, ratio) = watcher.snapshot.traffic.error_ratio.last().unwrap();
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
}

/// Nine hours of two machines' node exporters until now: one disk falls from half to a tenth, the other stays;
/// a volume that a pod mounts, and a tmpfs, are fuller than either.
fn disks_filled(folder: &Path) {
    use std::fmt::Write as _;
    let now = Timestamp::now().as_second() / 60 * 60;
    let mut text = String::new();
    let mut put = |name: &str, labels: &str, value: &dyn Fn(f64) -> f64| {
        for minute in 0..=540 {
            let at = now - (540 - minute) * 60;
            let _ = writeln!(text, "{name}{{{labels}}} {} {at}", value(minute as f64 / 540.0));
        }
    };
    let disks = [
        ("10.0.0.7:9100", "/", "xfs", 0.1),
        ("10.0.0.8:9100", "/", "xfs", 0.5),
        ("10.0.0.8:9100", "/var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/data/mount", "ext4", 0.01),
        ("10.0.0.8:9100", "/run", "tmpfs", 0.01),
    ];
    let labels = |instance: &str, place: &str, kind: &str| {
        format!("instance=\"{instance}\",fstype=\"{kind}\",mountpoint=\"{place}\"")
    };
    for (instance, place, kind, free) in disks {
        let labels = labels(instance, place, kind);
        put("node_filesystem_avail_bytes", &labels, &|share| 8e10 * (0.5 - (0.5 - free) * share));
    }
    for (instance, place, kind, _) in disks {
        put("node_filesystem_size_bytes", &labels(instance, place, kind), &|_| 8e10);
    }
    put("node_uname_info", "instance=\"10.0.0.7:9100\",nodename=\"ip-10-0-0-7\"", &|_| 1.0);
    let container = "namespace=\"shop\",pod=\"a\",container=\"app\"";
    put("container_memory_working_set_bytes", container, &|_| 1e8);
    text += "# EOF\n";
    backfill(folder, &text);
}

/// A past for a Prometheus that is about to start in this folder.
pub(super) fn backfill(folder: &Path, text: &str) {
    let file = folder.join("past.om");
    std::fs::write(&file, text).unwrap();
    let made = Command::new(program("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &folder.join("data")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_for_hours_is_seen_in_a_real_prometheus_and_by_its_nodes_name() {
    let folder = tempfile::tempdir().unwrap();
    disks_filled(folder.path());
    let (port, _server) = prometheus_in(folder.path());
    let url = format!("http://127.0.0.1:{port}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filled = format!("{url}/api/v1/query?query=node_uname_info");
    for _ in 0..50 {
        let answer = reqwest::get(&filled).await;
        if let Ok(answer) = answer
            && answer.text().await.unwrap_or_default().contains("ip-10-0-0-7")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let named = [
        ("PROMETHEUS_URL", url.as_str()),
        ("COVET_NAMESPACE", "shop"),
        ("COVET_PROMETHEUS_REQUESTS", "prometheus_http_requests_total"),
        ("COVET_PROMETHEUS_LATENCY", "prometheus_http_request_duration_seconds"),
    ];
    let find =
        |asked: &str| named.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    let mut watcher = Watcher::open(&config::load(&Flags::default(), &find, None).unwrap()).await;
    watcher.until("disks", |snapshot| !snapshot.strain.disks.is_empty()).await;
    let disks = &watcher.snapshot.strain.disks;
    let [disk] = disks.as_slice() else { panic!("{disks:?}") };
    assert_eq!((&*disk.node, &*disk.mountpoint), ("ip-10-0-0-7", "/"));
    let (first, last) = (disk.free.points()[0], disk.free.last().unwrap());
    assert!((first.1 - 0.5).abs() < 0.05 && (last.1 - 0.1).abs() < 0.02, "{first:?} {last:?}");
    assert!(between(first.0, last.0) > Duration::from_hours(8), "{first:?} {last:?}");
}
