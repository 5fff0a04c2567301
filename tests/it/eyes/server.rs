//! Servers of other ages and moods: busy ones, old ones, pretty-printing ones; people with little to see.

use std::time::Duration;

use covet_tui::config::Scope;
use covet_tui::domain::BlindKind;
use serde_json::json;

use super::scripted::{Script, Server, pod};
use super::*;

fn scripted(kubeconfig: &Path) -> Settings {
    let path = kubeconfig.display().to_string();
    config::load(&Flags::default(), &|name| (name == "KUBECONFIG").then(|| path.clone()), None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let busy = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429, "reason": "TooManyRequests",
        "message": "Too many requests, please try again later.", "details": {"retryAfterSeconds": 2}});
    let added = json!({"type": "ADDED", "object": pod("two")});
    let script = Script {
        token: "t".into(),
        pods: vec![pod("one")],
        version: 5,
        refusals: vec![busy],
        watches: vec![vec![added]],
        ..Script::default()
    };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::open(&scripted(&server.kubeconfig(folder.path(), "t"))).await;
    let mut blinded = false;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while watcher.snapshot.pods.len() < 2 {
        let observation = tokio::time::timeout_at(deadline, watcher.heard.recv()).await.unwrap().unwrap();
        blinded |= observation.origin == Origin::Pods && observation.seen.is_err();
        watcher.snapshot.fold(observation);
    }
    assert!(!blinded, "one refusal is everyday life");
    let script = server.script.lock().unwrap();
    let watches: Vec<_> = script
        .asked
        .iter()
        .zip(&script.asked_at)
        .filter(|(asked, _)| asked.contains("/pods?watch=1"))
        .map(|(_, at)| *at)
        .collect();
    assert!(watches[1] - watches[0] >= Duration::from_secs(2), "{:?}", watches[1] - watches[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_stream_lists_is_asked_for_a_list() {
    let path = "/apis/apps/v1/namespaces/shop/deployments";
    let deployment = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d", "resourceVersion": "3"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": []}}}});
    let list = json!({"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {"resourceVersion": "7"}, "items": [deployment]});
    let script = Script {
        token: "t".into(),
        version: 1,
        lists: [(path.to_owned(), list)].into(),
        ..Script::default()
    };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::open(&scripted(&server.kubeconfig(folder.path(), "t"))).await;
    watcher.until("deployments", |snapshot| snapshot.deployments.is_listed()).await;
    assert_eq!(watcher.snapshot.deployments.len(), 1);
    assert!(watcher.blind(Origin::Deployments).is_none());
    watcher
        .until("the watch goes on from the list", |_| {
            let asked = &server.script.lock().unwrap().asked;
            asked
                .iter()
                .any(|asked| asked.contains("deployments?watch=1") && asked.contains("resourceVersion=7"))
        })
        .await;
    let asked = server.script.lock().unwrap().asked.clone();
    let streamed =
        asked.iter().filter(|asked| asked.contains("deployments") && asked.contains("sendInitialEvents"));
    assert_eq!(streamed.count(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_installed_is_not_called_forbidden() {
    let script = Script { token: "t".into(), version: 1, ..Script::default() };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::open(&scripted(&server.kubeconfig(folder.path(), "t"))).await;
    for origin in [Origin::Certificates, Origin::PodUsage, Origin::NodeUsage] {
        watcher.until(origin.as_str(), |snapshot| blind(snapshot, origin).is_some()).await;
        assert_eq!(watcher.blind(origin).unwrap().kind, BlindKind::NotConfigured, "{origin:?}");
    }
    watcher.until("nodes", |snapshot| blind(snapshot, Origin::Nodes).is_some()).await;
    assert_eq!(watcher.blind(Origin::Nodes).unwrap().kind, BlindKind::Refused, "what it has stays refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_one_namespace_sees_it_and_is_told_what_the_rest_takes() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let mut settings = settings(&lab, lab.edit_kubeconfig(), &[]);
    let mut watcher = Watcher::open(&settings).await;
    for origin in [Origin::Pods, Origin::Deployments, Origin::Events, Origin::Secrets, Origin::PodUsage] {
        watcher
            .until(origin.as_str(), |snapshot| snapshot.blindness(origin, Timestamp::now()).is_none())
            .await;
    }
    for origin in [Origin::Nodes, Origin::Leases, Origin::NodeUsage] {
        watcher.until(origin.as_str(), |snapshot| blind(snapshot, origin).is_some()).await;
        let found = watcher.blind(origin).unwrap();
        assert_eq!(found.kind, BlindKind::Refused, "{found:?}");
        let repair = found.repair.unwrap();
        assert!(
            repair.contains("kubectl create") && repair.contains("--user=developer@covet.example"),
            "{repair}"
        );
    }
    drop(watcher);
    settings.namespace.value = Scope::All;
    let mut watcher = Watcher::open(&settings).await;
    for origin in [Origin::Pods, Origin::Events] {
        watcher.until(origin.as_str(), |snapshot| blind(snapshot, origin).is_some()).await;
        let found = watcher.blind(origin).unwrap();
        assert!(found.why.contains("cluster-wide (403)"), "{}", found.why);
        let repair = found.repair.unwrap();
        assert!(
            repair.starts_with(
                "look at one namespace with -n, or let an admin run: kubectl create clusterrole"
            ),
            "{repair}"
        );
    }
    lab.stop().await;
}
