//! Pods that go and nodes that are emptied: one by one, within the budgets, to an end.

use std::time::Duration;

use covet_tui::domain::{
    Action, Change, ChangeKind, DrainOptions, Key, Kind, Name, ObjectRef, PodTarget, Snapshot,
};
use covet_tui::guard::{Guard, Level, Preview};
use covet_tui::journal::Ending;
use covet_tui::probes::object::{is_ready, name, string, uid};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::bench::{APP, Bench, key, now, object};

fn target(pod: &Value) -> PodTarget {
    PodTarget { key: key(name(pod)), uid: uid(pod).into() }
}

fn has(preview: &Preview, guard: Guard, words: &str) -> bool {
    preview.hazards.iter().any(|hazard| hazard.guard == guard && hazard.says.contains(words))
}

fn drain(node: &str, timeout: Duration) -> Action {
    Action::Drain {
        node: node.into(),
        options: DrainOptions { delete_empty_dir: true, force: true, timeout },
    }
}

async fn node_of_app(bench: &Bench) -> Name {
    string(&bench.pods().await[0], "/spec/nodeName").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_deleted_one_by_one_and_each_replacement_is_awaited() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let before = bench.pods().await;
    let pods: Vec<_> = before.iter().filter(|pod| is_ready(pod)).take(2).map(target).collect();
    let outcome = bench.act(Action::DeletePods { pods: pods.clone() }).await;
    assert!(matches!(&outcome.result, Ending::Performed(says) if says.contains("2 pods")), "{outcome:?}");
    let now_there = bench.pods().await;
    for pod in &pods {
        assert!(!now_there.iter().any(|seen| uid(seen) == &*pod.uid));
    }
    let words = outcome.progress.join("\n");
    let first = words.find("is ready").unwrap();
    let second = words.rfind("deleted ").unwrap();
    assert!(first < second, "the second went before the first was replaced:\n{words}");

    let refusal = bench.preview(Action::DeletePods { pods }).await.unwrap_err();
    assert!(refusal.says.contains("exists any more"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_names_the_budget_that_forbids_it() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let strict = Action::Patch {
        object: object(Kind::PodDisruptionBudget, APP),
        kind: covet_tui::domain::PatchKind::Merge,
        body: json!({"spec": {"maxUnavailable": 0}}),
    };
    bench.act(strict).await;
    let budget = || bench.get(Kind::PodDisruptionBudget, APP);
    bench
        .until("the budget allows nothing", || async {
            budget().await["status"]["disruptionsAllowed"] == json!(0)
        })
        .await;
    let pod = target(bench.pods().await.iter().find(|pod| is_ready(pod)).unwrap());
    let preview = bench.previewed(Action::Evict { pod: pod.clone() }).await;
    assert!(has(&preview, Guard::DisruptionBudget, "PDB covetpy-app allows 0"), "{:?}", preview.hazards);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let Ending::Failed(says) = &outcome.result else { panic!("{outcome:?}") };
    assert!(says.contains("PDB covetpy-app"), "{says}");
    assert!(bench.pods().await.iter().any(|seen| uid(seen) == &*pod.uid), "it is still there");

    // Deleting asks no budget, so the hand does.
    let delete = bench.previewed(Action::DeletePods { pods: vec![pod.clone()] }).await;
    let entry = bench.confirm(delete);
    let outcome = bench.perform(entry).await;
    assert!(matches!(&outcome.result, Ending::Failed(says) if says.contains("PDB")), "{outcome:?}");

    // A drain waits, says why, ends in time, and leaves the node cordoned.
    let node = node_of_app(&bench).await;
    let preview = bench.previewed(drain(&node, Duration::from_secs(6))).await;
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let Ending::Unverified(says) = &outcome.result else { panic!("{outcome:?}") };
    assert!(says.contains("blocked by PDB covetpy-app"), "{says}");
    assert_eq!(bench.get(Kind::Node, &node).await["spec"]["unschedulable"], json!(true));
    assert_eq!(outcome.undo.as_ref().unwrap().action, Action::Uncordon { node });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_eviction_is_replaced() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let pod = target(bench.pods().await.iter().find(|pod| is_ready(pod)).unwrap());
    let outcome = bench.act(Action::Evict { pod: pod.clone() }).await;
    assert!(matches!(&outcome.result, Ending::Performed(_)), "{outcome:?}");
    assert!(!bench.pods().await.iter().any(|seen| uid(seen) == &*pod.uid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_drained_and_given_back() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let node = node_of_app(&bench).await;
    let mut known = Snapshot::default();
    // What is said of a deed is all that is remembered of it: whether it closed the node is told by that.
    let mut closed_after = |ending: &Ending| {
        let Ending::Performed(says) = ending else { panic!("{ending:?}") };
        let object = ObjectRef::new(Kind::Node, Key::cluster(node.clone()));
        let at = now() + SignedDuration::from_secs(known.deeds.len() as i64);
        known.deeds.push(Change { at, kind: ChangeKind::Ours, object, says: says.clone(), by: None });
        known.was_cordoned_from_here(&Key::cluster(node.clone()))
    };
    let outcome = bench.act(Action::Cordon { node: node.clone() }).await;
    assert!(closed_after(&outcome.result), "{outcome:?}");
    assert!(bench.preview(Action::Cordon { node: node.clone() }).await.unwrap_err().says.contains("already"));
    assert!(!closed_after(&bench.undo(&outcome).await.result));

    let careful = Action::Drain {
        node: node.clone(),
        options: DrainOptions { delete_empty_dir: false, force: false, timeout: Duration::from_secs(60) },
    };
    let preview = bench.previewed(careful).await;
    let stays = preview.diff.iter().filter(|(_, line)| line.contains("stays: DaemonSet")).count();
    assert!(stays >= 2, "{:?}", preview.diff);

    let outcome = bench.act(drain(&node, Duration::from_secs(60))).await;
    assert!(closed_after(&outcome.result), "{outcome:?}");
    let left = bench.cluster.list(Kind::Pod, "", "", &format!("spec.nodeName={node}")).await.unwrap();
    assert!(left.iter().all(|pod| covet_tui::probes::object::is_finished(pod)
        || covet_tui::probes::object::owner(pod).is_some_and(|owner| owner["kind"] == "DaemonSet")));
    assert!(outcome.progress.iter().any(|line| line.starts_with("evicted ")), "{:?}", outcome.progress);
    assert!(!closed_after(&bench.undo(&outcome).await.result));
    assert_ne!(bench.get(Kind::Node, &node).await["spec"]["unschedulable"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_can_be_called_off() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let node = node_of_app(&bench).await;
    let preview = bench.previewed(drain(&node, Duration::from_secs(60))).await;
    let entry = bench.confirm(preview);
    let (progress, mut lines) = mpsc::channel::<String>(100);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let watching = tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if line.contains("cordoned") {
                stop.cancel();
            }
        }
    });
    let outcome = bench.hands.perform(entry, progress, cancel).await;
    watching.await.unwrap();
    assert!(
        matches!(&outcome.result, Ending::Unverified(says) if says.contains("called off")),
        "{outcome:?}"
    );
    assert!(outcome.undo.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn taints_come_and_go_and_a_node_can_be_deleted() {
    let mut bench = Bench::new(None).await;
    let node = node_of_app(&bench).await;
    let taint = Action::Taint {
        node: node.clone(),
        key: "covet/test".into(),
        value: "1".into(),
        effect: "PreferNoSchedule".into(),
        remove: false,
    };
    let outcome = bench.act(taint).await;
    assert!(matches!(&outcome.result, Ending::Performed(_)), "{outcome:?}");
    let taints = |node: Value| node["spec"]["taints"].to_string();
    assert!(taints(bench.get(Kind::Node, &node).await).contains("covet/test"));
    assert!(matches!(bench.undo(&outcome).await.result, Ending::Performed(_)));
    assert!(!taints(bench.get(Kind::Node, &node).await).contains("covet/test"));

    let delete = bench.previewed(Action::DeleteNode { node: node.clone() }).await;
    assert_eq!(delete.action.effect(), covet_tui::domain::Effect::Destructive);
    assert!(has(&delete, Guard::Target, "Ready"), "{:?}", delete.hazards);
    assert!(delete.undo.is_none());
    let entry = bench.confirm(delete);
    let outcome = bench.perform(entry).await;
    assert!(matches!(&outcome.result, Ending::Performed(_)), "{outcome:?}");
    assert!(bench.cluster.find(&object(Kind::Node, &node)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_without_a_shell_and_tells_its_exit_code() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let pod = key(name(&bench.pods().await[0]));
    let exec = |argv: &[&str], container: &str| Action::Exec {
        pod: pod.clone(),
        container: container.into(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
    };
    let refusal = bench.preview(exec(&["true"], "nobody")).await.unwrap_err();
    assert!(refusal.to_string().contains("it has covetpy"), "{refusal}");
    let outcome = bench.act(exec(&["env"], "covetpy")).await;
    assert!(
        matches!(&outcome.result, Ending::Performed(says) if says.contains("exit code 0")),
        "{outcome:?}"
    );
    let output = outcome.progress.join("\n");
    assert!(output.contains("LOG_LEVEL="), "{output}");
    assert!(!output.contains("Vq7-lab-3fTz9xMw"), "{output}");
    let outcome = bench.act(exec(&["no-such-program"], "covetpy")).await;
    assert!(matches!(&outcome.result, Ending::Failed(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_is_told_so_and_can_confirm_nothing() {
    let bench = Bench::viewer().await;
    let pods = bench.cluster.list(Kind::Pod, super::bench::SPACE, "app=covetpy", "").await.unwrap();
    // Nodes are not even read with `view`.
    for action in [
        Action::Cordon { node: string(&pods[0], "/spec/nodeName").into() },
        drain(string(&pods[0], "/spec/nodeName"), Duration::from_secs(5)),
    ] {
        let refusal = bench.preview(action).await.unwrap_err();
        assert!(refusal.says.contains("may not get nodes in the whole cluster"), "{refusal}");
        let repair = refusal.repair.unwrap();
        assert!(repair.contains("kubectl create clusterrolebinding covet-tui-get-nodes"), "{repair}");
        assert!(repair.contains("--user=viewer@covet.example"), "{repair}");
    }
    for action in [
        Action::Scale { object: object(Kind::Deployment, APP), replicas: 1 },
        Action::DeletePods { pods: vec![target(&pods[0])] },
        Action::Exec { pod: key(name(&pods[0])), container: "covetpy".into(), argv: vec!["env".into()] },
    ] {
        let preview = bench.previewed(action.clone()).await;
        assert!(
            preview
                .hazards
                .iter()
                .any(|hazard| hazard.guard == Guard::Permission && hazard.level == Level::Stop),
            "{action:?}: {:?}",
            preview.hazards
        );
        assert!(has(&preview, Guard::Permission, "kubectl create rolebinding"));
        assert!(has(&preview, Guard::Permission, "--user=viewer@covet.example"));
        let typed = action.target().unwrap().to_string();
        assert!(bench.armed.confirm(preview, &typed, super::bench::who(), now()).is_err());
    }
}
