//! Revisions of StatefulSets and DaemonSets: kubectl reads and writes the lab's history, and the hands go back in it.

use std::path::Path;
use std::time::Duration;

use covet_tui::domain::{Action, ImageChange, Key, Kind, ObjectRef, PatchKind, ResourceChange};
use covet_tui::guard::{Guard, Level};
use covet_tui::journal::Ending;
use covet_tui::probes::rollout::{Rollout, rollout};
use serde_json::{Value, json};

use super::bench::{APP, Bench, SPACE, key, object};

/// Runs the real kubectl, which must succeed.
async fn kubectl(kubeconfig: &Path, line: &str) -> String {
    let mut command = tokio::process::Command::new(crate::lab_kubectl::bench::kubectl());
    command.arg("--kubeconfig").arg(kubeconfig).args(line.split_whitespace()).kill_on_drop(true);
    let output =
        tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("it ends").unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "kubectl {line}:\n{out}{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn image(workload: &Value) -> &str {
    workload["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap()
}

async fn rolled_out(bench: &Bench, object: &ObjectRef) -> Value {
    bench
        .until("rolled out", || async {
            matches!(rollout(&bench.cluster.get(object).await.unwrap()), Rollout::Done(_))
        })
        .await;
    bench.cluster.get(object).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_and_daemon_sets_go_back_as_kubectl_takes_them_back() {
    let mut bench = Bench::new(None).await;
    let config = bench.lab.kubeconfig().to_owned();
    for (namespace, of, name) in
        [(SPACE, Kind::StatefulSet, "redis"), ("monitoring", Kind::DaemonSet, "node-exporter")]
    {
        let set = ObjectRef::new(of, Key::new(namespace, name));
        let word = format!("{set} -n {namespace}");
        let first = image(&rolled_out(&bench, &set).await).to_owned();
        let container = name;
        for tag in ["newer", "newest"] {
            let reference = format!("{}:{tag}", first.rsplit_once(':').unwrap().0);
            // The lab's registry has every tag of images it knows nothing of.
            kubectl(&config, &format!("set image {word} {container}={reference}")).await;
            kubectl(&config, &format!("rollout status {word} --timeout=50s")).await;
        }
        let history = kubectl(&config, &format!("rollout history {word}")).await;
        let numbers: Vec<&str> = history
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| word.parse::<u64>().is_ok())
            .collect();
        assert_eq!(numbers, ["1", "2", "3"], "{history}");
        let shown = kubectl(&config, &format!("rollout history {word} --revision=1")).await;
        assert!(shown.contains(&first), "{shown}");

        // kubectl goes back one, then we go back to the first, and back again.
        kubectl(&config, &format!("rollout undo {word}")).await;
        let again = rolled_out(&bench, &set).await;
        assert!(image(&again).ends_with(":newer"), "{}", image(&again));
        let undo = |to_revision| Action::RolloutUndo { object: set.clone(), to_revision };
        let refusal = bench.preview(undo(99)).await.unwrap_err();
        assert!(refusal.to_string().contains("has no revision 99; its history has 4, 3, 1"), "{refusal}");
        let preview = bench.previewed(undo(1)).await;
        assert!(preview.title.contains("from revision 4 to 1"), "{}", preview.title);
        assert!(preview.command.starts_with(&format!("kubectl rollout undo {set}")), "{}", preview.command);
        let entry = bench.confirm(preview);
        let outcome = bench.perform(entry).await;
        assert!(
            matches!(&outcome.result, Ending::Performed(says) if says.contains("rolled out")),
            "{outcome:?}"
        );
        assert_eq!(image(&bench.cluster.get(&set).await.unwrap()), first);
        let back = bench.undo(&outcome).await;
        assert!(matches!(&back.result, Ending::Performed(_)), "{back:?}");
        assert!(image(&bench.cluster.get(&set).await.unwrap()).ends_with(":newer"));
        let status = kubectl(&config, &format!("rollout status {word} --timeout=50s")).await;
        assert!(status.contains("complete") || status.contains("successfully rolled out"), "{status}");
    }
    let job = ObjectRef::new(Kind::ConfigMap, key("covetpy-config"));
    assert!(bench.preview(Action::RolloutUndo { object: job, to_revision: 1 }).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_resources_of_sets_roll_out_and_back() {
    let mut bench = Bench::new(None).await;
    for (namespace, of, name) in
        [(SPACE, Kind::StatefulSet, "redis"), ("monitoring", Kind::DaemonSet, "node-exporter")]
    {
        let set = ObjectRef::new(of, Key::new(namespace, name));
        let before = rolled_out(&bench, &set).await;
        let resources =
            |workload: &Value| workload["spec"]["template"]["spec"]["containers"][0]["resources"].clone();
        let more = |container: &str| Action::SetResources {
            object: set.clone(),
            container: container.into(),
            change: ResourceChange { memory_limit: Some("700Mi".into()), ..ResourceChange::default() },
        };
        let refusal = bench.preview(more("nobody")).await.unwrap_err();
        assert_eq!(refusal.repair, Some(format!("it has {name}")));
        let preview = bench.previewed(more(name)).await;
        let line = format!(
            "kubectl set resources {} {name} -n {namespace} -c {name} --limits=memory=700Mi",
            of.for_kubectl()
        );
        assert_eq!(preview.command, line);
        let entry = bench.confirm(preview);
        let outcome = bench.perform(entry).await;
        assert!(
            matches!(&outcome.result, Ending::Performed(says) if says.contains("rolled out")),
            "{outcome:?}"
        );
        let after = bench.cluster.get(&set).await.unwrap();
        assert_eq!(resources(&after)["limits"]["memory"], "700Mi");
        let back = bench.undo(&outcome).await;
        assert!(matches!(&back.result, Ending::Performed(_)), "{back:?}");
        assert_eq!(resources(&bench.cluster.get(&set).await.unwrap()), resources(&before));

        let reference = format!("{}:newer", image(&before).rsplit_once(':').unwrap().0);
        let images = vec![ImageChange { container: name.into(), image: reference.clone() }];
        let outcome = bench.act(Action::SetImage { object: set.clone(), images }).await;
        assert!(
            matches!(&outcome.result, Ending::Performed(says) if says.contains("rolled out")),
            "{outcome:?}"
        );
        assert_eq!(image(&bench.cluster.get(&set).await.unwrap()), reference);
        let back = bench.undo(&outcome).await;
        assert!(matches!(&back.result, Ending::Performed(_)), "{back:?}");
        assert_eq!(image(&bench.cluster.get(&set).await.unwrap()), image(&before));

        // Who waits for somebody to delete the pods has changed nothing yet.
        let strategy = json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}});
        let patch = Action::Patch { object: set.clone(), kind: PatchKind::Merge, body: strategy };
        assert!(matches!(bench.act(patch).await.result, Ending::Performed(_)));
        let held = bench.previewed(more(name)).await;
        let told = held.hazards.iter().find(|hazard| hazard.says.contains("OnDelete")).unwrap();
        assert_eq!((told.guard, told.level), (Guard::Rollout, Level::Warn), "{told:?}");
        let entry = bench.confirm(held);
        let outcome = bench.perform(entry).await;
        assert!(
            matches!(&outcome.result, Ending::Performed(says) if says.contains("read back")),
            "{outcome:?}"
        );
    }
    let set = ObjectRef::new(Kind::StatefulSet, key("redis"));
    let partition =
        json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}});
    let patch = Action::Patch { object: set.clone(), kind: PatchKind::Merge, body: partition };
    assert!(matches!(bench.act(patch).await.result, Ending::Performed(_)));
    let images = vec![ImageChange { container: "redis".into(), image: "redis:9".into() }];
    let held = bench.previewed(Action::SetImage { object: set, images }).await;
    let told = held.hazards.iter().find(|hazard| hazard.says.contains("partition is 1")).unwrap();
    assert_eq!(told.level, Level::Warn, "none of its pods would change");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_could_not_be_pulled_is_named_before_it_comes_back() {
    let bench = Bench::new(Some("image-pull.tag")).await;
    let failed = || async {
        let events = bench.cluster.list(Kind::Event, SPACE, "", "reason=Failed").await.unwrap();
        events.iter().any(|event| event["message"].as_str().unwrap().contains("Failed to pull image"))
    };
    bench.until("an image does not come", failed).await;
    let app = bench.app().await;
    let (bad, container) =
        (image(&app).to_owned(), app["spec"]["template"]["spec"]["containers"][0]["name"].clone());
    let to = |image: &str| Action::SetImage {
        object: object(Kind::Deployment, APP),
        images: vec![ImageChange { container: container.as_str().unwrap().into(), image: image.to_owned() }],
    };
    let told = |preview: &covet_tui::guard::Preview| {
        preview
            .hazards
            .iter()
            .any(|hazard| hazard.says.contains("could not be pulled") && hazard.says.contains(&bad))
    };
    let good = format!("{}:v1.2.2", bad.rsplit_once(':').unwrap().0);
    let mended = bench.previewed(to(&good)).await;
    assert!(!told(&mended), "{:?}", mended.hazards);
    let mut bench = bench;
    let entry = bench.confirm(mended);
    assert!(matches!(bench.perform(entry).await.result, Ending::Performed(_)));
    let back = bench.previewed(to(&bad)).await;
    assert!(told(&back), "{:?}", back.hazards);
}

fn token(name: &str) -> Option<String> {
    (name == "TEST_REGISTRY_TOKEN").then(|| "ghp_0123456789abcdefghijSECRET".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_is_put_back_from_memory_and_never_written_down() {
    let mut bench = Bench::new(None).await;
    bench.hands = bench.hands.clone().with_env(token);
    let write = |secret: &str| Action::PullSecret {
        secret: key(secret),
        registry: "ghcr.io".into(),
        username: "bot".into(),
        token_env: "TEST_REGISTRY_TOKEN".into(),
    };
    let before = bench.get(Kind::Secret, "regcred").await["data"].clone();
    let outcome = bench.act(write("regcred")).await;
    let after = bench.get(Kind::Secret, "regcred").await["data"].clone();
    assert_ne!(before, after);
    let undone = bench.undo(&outcome).await;
    assert!(matches!(undone.result, Ending::Performed(_)), "{undone:?}");
    assert_eq!(bench.get(Kind::Secret, "regcred").await["data"], before);
    let old = before[".dockerconfigjson"].as_str().unwrap();
    let journal = std::fs::read_to_string(bench.folder.path().join("journal.jsonl")).unwrap();
    for text in [journal, format!("{outcome:?}{undone:?}")] {
        assert!(!text.contains(old) && !text.contains("SECRET"), "the old data is written down");
    }
    // Another session has not kept it.
    let undo = outcome.undo.clone().unwrap();
    let other = covet_tui::hands::Hands::new(
        bench.wire.client(),
        super::bench::now,
        covet_tui::config::Outside::default(),
    );
    let refusal = other.preview(&bench.armed, undo.action, super::bench::now()).await.unwrap_err();
    assert!(refusal.to_string().contains("not known any more"), "{refusal}");

    // One that was not there before goes again.
    let outcome = bench.act(write("brand-new")).await;
    let undone = bench.undo(&outcome).await;
    assert!(matches!(undone.result, Ending::Performed(_)), "{undone:?}");
    assert!(bench.cluster.find(&object(Kind::Secret, "brand-new")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replicas_are_weighed_against_the_slots_of_the_database() {
    let bench = Bench::new(None).await;
    bench.settled().await;
    let told = |preview: &covet_tui::guard::Preview| {
        let found = preview.hazards.iter().find(|hazard| hazard.guard == Guard::Connections);
        found.map(|hazard| hazard.says.clone()).unwrap_or_default()
    };
    let app = object(Kind::Deployment, APP);
    let up = bench.previewed(Action::Scale { object: app.clone(), replicas: 12 }).await;
    let says = told(&up);
    assert!(
        says.contains("12 replicas × (10 + 5)") && says.contains("turned away"),
        "{says:?} {:?}",
        up.hazards
    );
    let down = bench.previewed(Action::Scale { object: app.clone(), replicas: 1 }).await;
    assert_eq!(told(&down), "", "fewer replicas need nothing");
    let bounds = Action::AutoscalerBounds { autoscaler: key(APP), min: 3, max: 40 };
    assert!(
        told(&bench.previewed(bounds).await).contains("40 replicas"),
        "an autoscaler may use all of them"
    );
    let restart = bench.previewed(Action::RolloutRestart { object: app }).await;
    let before = bench.app().await;
    println!("restart: {} {}", told(&restart), json!(before["spec"]["replicas"]));
    assert!(told(&restart).contains("replicas × (10 + 5)"), "the surge counts: {:?}", restart.hazards);
}
