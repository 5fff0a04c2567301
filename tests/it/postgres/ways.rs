//! The ways to a database: straight with TLS, and through a pod by the API server's port-forward, to the same real
//! PostgreSQL.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside};
use covet_tui::domain::{BlindKind, Origin, Pick, Snapshot, Sql, Which};
use covet_tui::eyes::{Eyes, doctor, doctor_table};
use covet_tui::journal::Ending;
use covet_tui::lab::{Options, start};
use tokio::sync::mpsc;

use super::server::{Bench, now, server};

/// A certificate for these names and its key, as the server may read them: `crt` and `key`.
pub fn certificate(names: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=database"])
        .args(["-addext", &format!("subjectAltName=DNS:{names}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &path("key"), "-out", &path("crt")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (name, mode) in [("", 0o755), ("crt", 0o644), ("key", 0o600)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), mode).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        // The server's own user reads the key.
        let owned = Command::new("chown").args(["postgres", &path("key")]).status().unwrap();
        assert!(owned.success());
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_where_the_url_says_so() {
    let folder = certificate("localhost,IP:127.0.0.1");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = server(&format!("ssl=on ssl_cert_file={} ssl_key_file={}", path("crt"), path("key"))).await;
    let read = |rest: String| {
        let url = format!("{}?{rest}", server.url("eye", "shop"));
        let bench =
            Bench::new(Outside { database_url: Some(url), ..Outside::default() }, super::server::nowhere());
        async move { bench.read(Sql::DatabaseCapacity).await }
    };
    let trusted = read(format!("sslmode=verify-full&sslrootcert={}", path("crt"))).await;
    assert!(trusted.ok, "{}", trusted.summary);
    let unknown = read("sslmode=verify-full".into()).await;
    assert!(!unknown.ok && unknown.summary.contains("sslrootcert"), "{}", unknown.summary);
    let boss = server.connect("boss", "postgres").await;
    let watching = server.url("eye", "shop") + "?sslmode=require";
    let bench =
        Bench::new(Outside { database_url: Some(watching), ..Outside::default() }, super::server::nowhere());
    bench.read(Sql::DatabaseCapacity).await;
    let sql = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name='covet-tui'";
    assert_eq!(boss.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_carries_eyes_probes_and_hands_to_the_database() {
    let server = server("").await;
    let lab = start(Options::default()).await.unwrap();
    let env = |via: &str| {
        let (via, url) = (via.to_owned(), server.url("eye", "shop").replace("127.0.0.1", "db.internal"));
        let kubeconfig = lab.kubeconfig().display().to_string();
        move |name: &str| match name {
            "KUBECONFIG" => Some(kubeconfig.clone()),
            "DATABASE_URL" => Some(url.clone()),
            "COVET_DATABASE_VIA" => Some(via.clone()),
            _ => None,
        }
    };
    let settings = config::load(&Flags::default(), &env("port-forward:nothing:5432"), None).unwrap();
    let client = config::client(&settings).await.unwrap();
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(client.clone(), "covetpy-production");
    let pod = pods.list(&Default::default()).await.unwrap().items.remove(0).metadata.name.unwrap();
    // The database's name is known only where the pod is: the URL's host is never resolved here.
    lab.carry("covetpy-production", &pod, 5432, SocketAddr::from(([127, 0, 0, 1], server.port)));
    let via = format!("port-forward:covetpy-production/{pod}:5432");
    let settings = config::load(&Flags::default(), &env(&via), None).unwrap();
    let mut bench = Bench::new(Outside::of(&settings), client.clone());
    assert!(bench.read(Sql::PingDatabase).await.ok);
    let leak = server.connect_as("app", "shop", "web").await;
    leak.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let pick = Pick { which: Which::IdleInTransaction, older: Duration::ZERO, role: None };
    let ended = bench.act(Sql::TerminateSessions { pick, sessions: Vec::new() }).await;
    assert!(matches!(ended.result, Ending::Performed(_)), "{:?}", ended.result);

    let (out, mut heard) = mpsc::channel(256);
    let _eyes = Eyes::open(&settings, &[], now, out).await;
    let mut snapshot = Snapshot::default();
    while snapshot.activity.is_none() {
        let heard =
            tokio::time::timeout(Duration::from_secs(60), heard.recv()).await.expect("within a minute");
        snapshot.fold(heard.unwrap());
    }
    assert!(snapshot.capacity.is_some());
    let rows = doctor_table(&doctor(&settings, now, false).await);
    assert!(rows.contains(&format!("by port-forward to covetpy-production/{pod}:5432")), "{rows}");
    assert!(rows.contains("[database] cpus"), "{rows}");

    // A pod that is not there is named, with what to do about it.
    let lost =
        config::load(&Flags::default(), &env("port-forward:covetpy-production/nobody:5432"), None).unwrap();
    let reading = Bench::new(Outside::of(&lost), client).read(Sql::DatabaseCapacity).await;
    assert!(
        !reading.ok && reading.summary.contains("nobody") && reading.summary.contains("[database] via"),
        "{}",
        reading.summary
    );
    let (out, mut heard) = mpsc::channel(256);
    let _eyes = Eyes::open(&lost, &[], now, out).await;
    let blind = loop {
        let heard = tokio::time::timeout(Duration::from_secs(60), heard.recv())
            .await
            .expect("within a minute")
            .unwrap();
        if let (Origin::Postgres, Err(blind)) = (heard.origin, heard.seen)
            && !blind.why.contains("not reached")
        {
            break blind;
        }
    };
    assert_eq!(blind.kind, BlindKind::Unreachable, "{blind:?}");
}
