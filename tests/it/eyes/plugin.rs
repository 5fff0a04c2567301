//! Credential plugins: run once for everybody, never on the screen, and not for ever.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use covet_tui::domain::BlindKind;

use super::scripted::{Script, Server, pod};
use super::*;

/// A kubeconfig whose user has this script for a plugin, named relative to the kubeconfig.
fn kubeconfig(server: &Server, folder: &Path, script: &str) -> PathBuf {
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    let plugin = folder.join("bin/log-in");
    std::fs::write(&plugin, format!("#!/bin/sh\ncd {}\n{script}\n", folder.display())).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: b\n\
         clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
         users: [{{name: other, user: {{token: wrong}}}}, {{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, \
         command: ./bin/log-in, interactiveMode: IfAvailable, provideClusterInfo: true, \
         env: [{{name: GREETING, value: hello}}]}}}}}}]\n\
         contexts: [{{name: a, context: {{cluster: c, user: other}}}}, {{name: b, context: {{cluster: c, user: u, namespace: shop}}}}]\n",
        server.port
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn settings_at(kubeconfig: &Path) -> Settings {
    let path = kubeconfig.display().to_string();
    config::load(&Flags::default(), &|name| (name == "KUBECONFIG").then(|| path.clone()), None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_once_for_eyes_probes_and_hands() {
    let script = Script { token: "fresh".into(), pods: vec![pod("one")], version: 1, ..Script::default() };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"echo "$GREETING $KUBERNETES_EXEC_INFO" >> runs
echo noise >&2
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"fresh","expirationTimestamp":"2099-01-01T00:00:00Z"}}'"#;
    let path = kubeconfig(&server, folder.path(), answer);
    let (out, mut heard) = tokio::sync::mpsc::channel(64);
    let eyes = Eyes::open(&settings_at(&path), &[], Timestamp::now, out).await;
    let mut clients = eyes.clients();
    let client = clients.wait_for(Option::is_some).await.unwrap().clone().unwrap().expect("a client");
    let mut snapshot = Snapshot::default();
    while !snapshot.pods.is_listed() {
        snapshot.fold(tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.unwrap().unwrap());
    }
    let cluster = covet_tui::probes::cluster::Cluster::new(client);
    let pods = cluster.list(covet_tui::domain::Kind::Pod, "shop", "", "").await.unwrap();
    assert_eq!(pods.len(), 1);
    let runs = std::fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1, "{runs}");
    assert!(runs.contains("hello") && runs.contains(r#""interactive":false"#), "{runs}");
    assert!(runs.contains(&format!("http://127.0.0.1:{}", server.port)), "the cluster is told: {runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_fails_with_is_told_with_a_way_out() {
    let server = Server::start(Script { token: "t".into(), ..Script::default() }).await;
    for (script, why) in [
        (
            "echo 'starting' >&2; echo 'The SSO session has expired' >&2; exit 255",
            "The SSO session has expired",
        ),
        ("echo 'Please log in: https://login.example/device'", "its answer is no ExecCredential"),
        ("echo '{\"kind\":\"ExecCredential\"}'", "its answer has no status"),
        ("echo '{\"kind\":\"ExecCredential\",\"status\":{}}'", "neither a token nor a certificate"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = kubeconfig(&server, folder.path(), script);
        let mut watcher = Watcher::open(&settings_at(&path)).await;
        watcher.until(why, |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
        let found = watcher.blind(Origin::ApiServer).unwrap();
        assert_eq!(found.kind, BlindKind::Refused, "{found:?}");
        assert!(found.why.contains(why), "{}", found.why);
        assert!(found.repair.is_some(), "{found:?}");
        assert!(!found.why.contains("login.example"), "what it printed may be a secret: {}", found.why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asks_for_a_password_gets_no_terminal_and_is_waited_for_aloud() {
    let server = Server::start(Script { token: "t".into(), ..Script::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let script = "if read answer; then echo typed > typed; fi\nexec sleep 300";
    let path = kubeconfig(&server, folder.path(), script);
    let mut watcher = Watcher::open(&settings_at(&path)).await;
    watcher.until("waiting", |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
    let found = watcher.blind(Origin::ApiServer).unwrap();
    assert!(found.why.contains("waiting for the credential plugin"), "{}", found.why);
    assert!(found.repair.unwrap().contains("log in"));
    assert!(!folder.path().join("typed").exists(), "it read from somebody's keyboard");
}
