//! What a production does to a watcher: servers that hang, go and come back, versions that expire, tokens that
//! expire, permissions that are missing.

use covet_tui::domain::{BlindKind, Key};
use covet_tui::eyes::doctor;
use serde_json::json;

use super::gate::Gate;
use super::scripted::{Script, Server, pod};
use super::*;

fn names(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = snapshot.pods.iter().map(|pod| pod.key.name.to_string()).collect();
    names.sort();
    names
}

fn scripted(kubeconfig: &Path) -> Settings {
    let path = kubeconfig.display().to_string();
    config::load(&Flags::default(), &|name| (name == "KUBECONFIG").then(|| path.clone()), None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_server_is_named_and_everything_comes_back() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::before(lab.addresses().kubernetes).await;
    let kubeconfig = gate.kubeconfig(lab.kubeconfig(), folder.path());
    let mut watcher = Watcher::open(&settings(&lab, &kubeconfig, &[])).await;
    watcher.until("pods", |snapshot| snapshot.pods.is_listed()).await;
    let known = watcher.snapshot.pods.len();
    gate.freeze();
    watcher.until("blind", |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
    let why = watcher.blind(Origin::ApiServer).unwrap();
    assert!(why.why.contains("does not answer"), "{why:?}");
    assert_eq!(why.kind, BlindKind::Unreachable);
    assert!(watcher.blind(Origin::Pods).is_some(), "watches are blind with their server");
    assert_eq!(watcher.snapshot.pods.len(), known, "the last known rows stay");
    gate.thaw();
    let sees = |snapshot: &Snapshot| {
        blind(snapshot, Origin::ApiServer).is_none()
            && snapshot.blindness(Origin::Pods, Timestamp::now()).is_none()
    };
    watcher.until("sight again", sees).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_gone_is_watched_again() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut gate = Gate::before(lab.addresses().kubernetes).await;
    let kubeconfig = gate.kubeconfig(lab.kubeconfig(), folder.path());
    let mut watcher = Watcher::open(&settings(&lab, &kubeconfig, &[])).await;
    watcher.until("pods", |snapshot| snapshot.pods.is_listed()).await;
    gate.close().await;
    watcher.until("blind", |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
    let why = watcher.blind(Origin::ApiServer).unwrap();
    assert!(why.why.contains("cannot be reached"), "{why:?}");
    gate.open();
    watcher.until("sight", |snapshot| blind(snapshot, Origin::ApiServer).is_none()).await;
    // What happens now must be seen: nothing was only told as being back.
    let client = config::client(&settings(&lab, lab.kubeconfig(), &[])).await.unwrap();
    let doomed = watcher.snapshot.pods.iter().find(|pod| pod.key.name.starts_with("covetpy-app")).unwrap();
    let key: Key = doomed.key.clone();
    let path = format!("/api/v1/namespaces/{}/pods/{}?gracePeriodSeconds=0", key.namespace, key.name);
    let request = http::Request::delete(path).body(Vec::new()).unwrap();
    client.request_text(request).await.unwrap();
    watcher.until("the pod is gone", |snapshot| snapshot.pods.get(&key).is_none()).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_there_is_not_calm() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let settings = settings(&lab, lab.kubeconfig(), &[("COVET_NAMESPACE", "nosuch")]);
    let mut watcher = Watcher::open(&settings).await;
    watcher.until("no namespace", |snapshot| blind(snapshot, Origin::Pods).is_some()).await;
    let why = watcher.blind(Origin::Pods).unwrap();
    assert_eq!(why.why, "there is no namespace nosuch in this cluster");
    assert!(why.repair.unwrap().contains("-n"));
    let rows = doctor(&settings, Timestamp::now, false).await;
    let row = rows.iter().find(|row| row.what == "namespace nosuch").unwrap();
    assert!(!row.ok && row.says == why.why, "{row:?}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_blinds_one_origin_and_names_the_rule() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let mut watcher = Watcher::open(&settings(&lab, lab.view_kubeconfig(), &[])).await;
    watcher.until("secrets forbidden", |snapshot| blind(snapshot, Origin::Secrets).is_some()).await;
    watcher.until("pods", |snapshot| snapshot.blindness(Origin::Pods, Timestamp::now()).is_none()).await;
    watcher
        .until("config maps", |snapshot| snapshot.blindness(Origin::ConfigMaps, Timestamp::now()).is_none())
        .await;
    let why = watcher.blind(Origin::Secrets).unwrap();
    assert_eq!(why.kind, BlindKind::Refused);
    let repair = why.repair.unwrap();
    assert!(why.why.contains("may not list and watch secrets"), "{}", why.why);
    assert_eq!(
        repair,
        "let an admin run: kubectl create role covet-tui-get-list-watch-secrets -n covetpy-production --verb=get,list,watch \
         --resource=secrets && kubectl create rolebinding covet-tui-get-list-watch-secrets -n covetpy-production \
         --role=covet-tui-get-list-watch-secrets --user=viewer@covet.example"
    );
    // Nodes and their leases are not in `view` either; whatever is, is seen.
    watcher.until("nodes forbidden", |snapshot| blind(snapshot, Origin::Nodes).is_some()).await;
    watcher.until("leases forbidden", |snapshot| blind(snapshot, Origin::Leases).is_some()).await;
    let repair = watcher.blind(Origin::Nodes).unwrap().repair.unwrap();
    assert!(
        repair.contains(
            "kubectl create clusterrole covet-tui-get-list-watch-nodes --verb=get,list,watch --resource=nodes"
        ),
        "{repair}"
    );
    let repair = watcher.blind(Origin::Leases).unwrap().repair.unwrap();
    assert!(
        repair.contains("-n kube-node-lease --verb=get,list,watch --resource=leases.coordination.k8s.io"),
        "{repair}"
    );
    for origin in [
        Origin::Deployments,
        Origin::ReplicaSets,
        Origin::Autoscalers,
        Origin::DisruptionBudgets,
        Origin::Events,
        Origin::Services,
        Origin::EndpointSlices,
        Origin::Ingresses,
        Origin::PersistentVolumeClaims,
        Origin::Certificates,
    ] {
        watcher
            .until(origin.as_str(), |snapshot| snapshot.blindness(origin, Timestamp::now()).is_none())
            .await;
    }
    // Usage comes from the metrics API, which `view` includes.
    watcher.until("usage", |snapshot| snapshot.blindness(Origin::PodUsage, Timestamp::now()).is_none()).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_version_is_listed_again_and_what_went_meanwhile_is_gone() {
    let event = |kind: &str, name: &str, version: u64| {
        let mut object = pod(name);
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        json!({"type": kind, "object": object})
    };
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}});
    let script = Script {
        token: "t".into(),
        pods: vec![pod("one"), pod("two")],
        version: 5,
        watches: vec![vec![event("ADDED", "three", 6), event("MODIFIED", "three", 7)], vec![gone]],
        ..Script::default()
    };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = scripted(&server.kubeconfig(folder.path(), "t"));
    let mut watcher = Watcher::open(&settings).await;
    watcher.until("three", |snapshot| names(snapshot) == ["one", "three", "two"]).await;
    {
        let mut script = server.script.lock().unwrap();
        script.pods = vec![pod("two"), pod("four")];
        script.version = 9;
    }
    watcher.until("listed again", |snapshot| names(snapshot) == ["four", "two"]).await;
    let asked = server.script.lock().unwrap().asked.clone();
    let watches: Vec<&String> = asked.iter().filter(|asked| asked.contains("/pods?watch=1")).collect();
    assert!(watches[0].contains("resourceVersion=5"), "{watches:?}");
    assert!(watches[1].contains("resourceVersion=7"), "it goes on from where it was: {watches:?}");
    watcher.until("nodes forbidden", |snapshot| blind(snapshot, Origin::Nodes).is_some()).await;
    watcher.until("no cert-manager", |snapshot| blind(snapshot, Origin::Certificates).is_some()).await;
    assert_eq!(watcher.blind(Origin::Nodes).unwrap().kind, BlindKind::Refused);
    assert_eq!(watcher.blind(Origin::Certificates).unwrap().kind, BlindKind::NotConfigured);
    assert!(watcher.blind(Origin::Pods).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_read_again_from_the_kubeconfig() {
    let script = Script { token: "old".into(), pods: vec![pod("one")], version: 1, ..Script::default() };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = scripted(&server.kubeconfig(folder.path(), "old"));
    let mut watcher = Watcher::open(&settings).await;
    watcher.until("one", |snapshot| names(snapshot) == ["one"]).await;
    "new".clone_into(&mut server.script.lock().unwrap().token);
    watcher.until("refused", |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
    let why = watcher.blind(Origin::ApiServer).unwrap();
    assert_eq!(why.kind, BlindKind::Refused);
    assert!(why.why.contains("401") && why.repair.is_some(), "{why:?}");
    server.kubeconfig(folder.path(), "new");
    watcher.until("sight again", |snapshot| blind(snapshot, Origin::ApiServer).is_none()).await;
    assert_eq!(names(&watcher.snapshot), ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_objects_cost_nothing_but_themselves() {
    let mut bare = pod("bare");
    bare["status"] = serde_json::Value::Null;
    bare["spec"] = serde_json::Value::Null;
    bare["metadata"]["labels"] = serde_json::Value::Null;
    let mut strange = pod("strange");
    strange["status"] = json!({"phase": "Dreaming", "conditions": null, "newField": {"deep": [1, 2, {"er": true}]},
        "message": format!("\u{1b}[2J\u{1b}]0;owned\u{7}password=hunter22 {}", "x".repeat(3_000_000)),
        "containerStatuses": [{"name": "app", "restartCount": -3, "state": {"unheard": {}}, "lastState": null}]});
    let mut wrong = pod("wrong");
    wrong["spec"] = json!("not an object");
    let nameless = json!({"metadata": {}, "spec": {}, "status": {}});
    let mut hostile = pod("hostile");
    hostile["metadata"]["labels"] = json!({"app": "we\u{9b}b\nnew\u{202e}line"});
    let script = Script {
        token: "t".into(),
        pods: vec![bare, strange, wrong, nameless, hostile],
        version: 1,
        ..Script::default()
    };
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = scripted(&server.kubeconfig(folder.path(), "t"));
    let mut watcher = Watcher::open(&settings).await;
    watcher.until("listed", |snapshot| snapshot.pods.is_listed()).await;
    assert_eq!(names(&watcher.snapshot), ["bare", "hostile", "strange"]);
    let get = |name: &str| watcher.snapshot.pods.get(&Key::new("shop", name)).unwrap();
    let message = get("strange").message.clone().unwrap();
    assert!(message.chars().count() < 3_000 && !message.contains('\u{1b}'), "{}", &message[..80]);
    assert!(!message.contains("hunter22") && !message.contains("owned"), "{}", &message[..80]);
    assert_eq!(get("strange").restarts(), 0);
    let label = get("hostile").labels.get("app").unwrap();
    assert!(!label.chars().any(|character| character.is_control() || character == '\u{202e}'), "{label:?}");
}
