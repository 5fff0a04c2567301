//! Changes to one object: previewed by dry runs alone, performed, verified by watching, undone.

use covet_tui::domain::{Action, ImageChange, Kind, PatchKind, ResourceChange};
use covet_tui::guard::{Confirmation, DiffTone, Guard, Level, Preview};
use covet_tui::journal::{Ending, Journal, Outcome};
use serde_json::{Value, json};

use super::bench::{APP, Bench, key, now, object};

pub fn performed(outcome: &Outcome) -> &str {
    match &outcome.result {
        Ending::Performed(says) => says,
        other => panic!("{other:?}\n{:#?}", outcome.progress),
    }
}

pub fn hazard(preview: &Preview, guard: Guard) -> &str {
    preview
        .hazards
        .iter()
        .find(|hazard| hazard.guard == guard)
        .map_or_else(|| panic!("no {guard:?} among {:?}", preview.hazards), |hazard| &hazard.says)
}

fn lines(preview: &Preview, tone: DiffTone) -> String {
    preview
        .diff
        .iter()
        .filter(|(of, _)| *of == tone)
        .map(|(_, line)| line.trim())
        .collect::<Vec<_>>()
        .join("|")
}

fn replicas(deployment: &Value) -> i64 {
    deployment["spec"]["replicas"].as_i64().unwrap()
}

fn scale(name: &str, replicas: u32) -> Action {
    Action::Scale { object: object(Kind::Deployment, name), replicas }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_pods_that_could_not_start_for_want_of_a_config_map_are_warned_of() {
    let bench = Bench::new(None).await;
    let worker = object(Kind::Deployment, "covetpy-worker");
    let found = bench.get(Kind::Deployment, "covetpy-worker").await;
    let container = found["spec"]["template"]["spec"]["containers"][0]["name"].clone();
    let needs = |reference: Value| Action::Patch {
        object: worker.clone(),
        kind: PatchKind::Strategic,
        body: json!({"spec": {"template": {"spec": {"containers": [
            {"name": container, "envFrom": [{"configMapRef": reference}]}
        ]}}}}),
    };
    let preview = bench.previewed(needs(json!({"name": "settings-7f2a"}))).await;
    let says = "ConfigMap settings-7f2a, which its new pods need, does not exist: they could not start";
    assert_eq!(hazard(&preview, Guard::Target), says);
    assert!(matches!(preview.confirmation, Confirmation::Type(_)));
    for reference in [json!({"name": "settings-7f2a", "optional": true}), json!({"name": "covetpy-config"})] {
        let preview = bench.previewed(needs(reference)).await;
        assert!(preview.hazards.iter().all(|hazard| hazard.guard != Guard::Target), "{:?}", preview.hazards);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_shows_its_hazards_works_and_is_undone_unless_somebody_moved_it() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let worker = "covetpy-worker";
    let before = replicas(&bench.get(Kind::Deployment, worker).await);

    let app = bench.previewed(scale(APP, 0)).await;
    assert!(hazard(&app, Guard::Autoscaler).contains("HPA covetpy-app"));
    assert!(hazard(&app, Guard::LastReplica).contains("outage"));
    assert_eq!(app.confirmation, Confirmation::Type(APP.into()));

    let up = u32::try_from(before).unwrap() + 1;
    let preview = bench.previewed(scale(worker, up)).await;
    assert_eq!(lines(&preview, DiffTone::Removed), format!("replicas: {before}"));
    assert_eq!(lines(&preview, DiffTone::Added), format!("replicas: {up}"));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    assert!(performed(&outcome).contains("available"), "{outcome:?}");
    assert_eq!(replicas(&bench.get(Kind::Deployment, worker).await), i64::from(up));

    let back = bench.undo(&outcome).await;
    performed(&back);
    assert_eq!(replicas(&bench.get(Kind::Deployment, worker).await), before);

    // Undoing the first scale again would undo somebody else's.
    let undo = outcome.undo.unwrap();
    let refusal = bench.hands.preview_undo(&bench.armed, &undo, now()).await.unwrap_err();
    assert!(refusal.says.contains("changed since"), "{refusal}");
    let records = Journal::read(bench.folder.path()).unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.closing.as_ref().unwrap().result == "performed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_revision_is_rolled_back_to_a_pinned_one() {
    let mut bench = Bench::new(Some("crash-loop.oom")).await;
    let images =
        |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["image"].to_string();
    bench.until("the bad release is out", || async { images(&bench.app().await).contains("v1.2.4") }).await;
    let revisions = Action::CompareRevisions { object: object(Kind::Deployment, APP) };
    let compare = || bench.probes.read(&revisions, now());
    bench
        .until("the new revision crashes", || async {
            compare().await.found.iter().any(|found| found.cause == "bad-revision")
        })
        .await;
    let reading = compare().await;
    println!("{}\n{:#?}", reading.summary, reading.lines);
    let good: u64 = reading.bindings["good_revision"].parse().unwrap();
    let bad: u64 = reading.bindings["bad_revision"].parse().unwrap();
    assert!(reading.lines.iter().any(|(_, line)| line.contains("+") && line.contains("v1.2.4")));

    let undo = |to_revision| Action::RolloutUndo { object: object(Kind::Deployment, APP), to_revision };
    let refusal = bench.preview(undo(99)).await.unwrap_err();
    assert!(refusal.to_string().contains("has no revision 99"), "{refusal}");

    let preview = bench.previewed(undo(good)).await;
    assert!(lines(&preview, DiffTone::Removed).contains("v1.2.4"), "{:?}", preview.diff);
    assert!(preview.title.contains(&format!("from revision {bad} to {good}")), "{}", preview.title);
    assert!(hazard(&preview, Guard::Rollout).contains("under way"));
    assert!(hazard(&preview, Guard::Evidence).contains("previous log"));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    assert!(performed(&outcome).contains("rolled out"));
    assert!(!images(&bench.app().await).contains("v1.2.4"));
    assert!(outcome.progress.len() > 1, "{:?}", outcome.progress);

    // Pressing it twice does not flip back.
    let refusal = bench.preview(undo(good)).await.unwrap_err();
    assert!(refusal.says.contains("no revision") || refusal.says.contains("already"), "{refusal}");
    let back = outcome.undo.unwrap();
    assert_eq!(back.action, undo(bad));
    let again = bench.hands.preview_undo(&bench.armed, &back, now()).await.unwrap();
    assert!(lines(&again, DiffTone::Added).contains("v1.2.4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moved_between_preview_and_act_is_refused_and_shown_anew() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let config = |value: &str| Action::SetConfig {
        config_map: key("covetpy-config"),
        data: vec![("LOG_LEVEL".into(), Some(value.into()))],
    };
    let preview = bench.previewed(config("ERROR")).await;
    let entry = bench.confirm(preview);
    performed(&bench.act(config("WARNING")).await);
    bench.wire.forget();
    let outcome = bench.perform(entry).await;
    let Ending::Refused(refusal, Some(fresh)) = &outcome.result else { panic!("{outcome:?}") };
    assert!(refusal.says.contains("changed since you saw it"), "{refusal}");
    assert!(lines(fresh, DiffTone::Removed).contains("WARNING"), "{:?}", fresh.diff);
    assert!(bench.wire.writes().iter().all(super::wire::Sent::is_dry), "{:?}", bench.wire.writes());
    // The fresh preview can be confirmed like any other.
    let entry = bench.confirm((**fresh).clone());
    performed(&bench.perform(entry).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_meanwhile_is_said_to_be_gone() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let data = vec![("LOG_LEVEL".into(), Some("ERROR".into()))];
    let preview = bench.previewed(Action::SetConfig { config_map: key("covetpy-config"), data }).await;
    let entry = bench.confirm(preview);
    let path = format!("/api/v1/namespaces/{}/configmaps/covetpy-config", super::bench::SPACE);
    bench.wire.client().request_text(http::Request::delete(path).body(Vec::new()).unwrap()).await.unwrap();
    let outcome = bench.perform(entry).await;
    let Ending::Refused(refusal, None) = &outcome.result else { panic!("{outcome:?}") };
    assert!(refusal.says.contains("configmap/covetpy-config does not exist"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_changes_by_key_and_comes_back() {
    let mut bench = Bench::new(None).await;
    let set = Action::SetConfig {
        config_map: key("covetpy-config"),
        data: vec![
            ("DB_POOL_SIZE".into(), Some("5".into())),
            ("NEW".into(), Some("1".into())),
            ("CACHE_TTL".into(), None),
        ],
    };
    let before = bench.get(Kind::ConfigMap, "covetpy-config").await["data"].clone();
    let outcome = bench.act(set).await;
    performed(&outcome);
    let data = bench.get(Kind::ConfigMap, "covetpy-config").await["data"].clone();
    assert_eq!(
        (&data["DB_POOL_SIZE"], &data["NEW"], data.get("CACHE_TTL")),
        (&json!("5"), &json!("1"), None)
    );
    performed(&bench.undo(&outcome).await);
    assert_eq!(bench.get(Kind::ConfigMap, "covetpy-config").await["data"], before);

    let freeze = Action::Patch {
        object: object(Kind::ConfigMap, "covetpy-config"),
        kind: PatchKind::Merge,
        body: json!({"immutable": true}),
    };
    performed(&bench.act(freeze).await);
    let again = Action::SetConfig { config_map: key("covetpy-config"), data: vec![("A".into(), None)] };
    let refusal = bench.preview(again).await.unwrap_err();
    assert!(refusal.says.contains("immutable"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_resources_roll_out_and_back() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let wrong = Action::SetResources {
        object: object(Kind::Deployment, APP),
        container: "nobody".into(),
        change: ResourceChange { memory_limit: Some("3Gi".into()), ..ResourceChange::default() },
    };
    let refusal = bench.preview(wrong).await.unwrap_err();
    assert_eq!(refusal.repair.as_deref(), Some("it has covetpy"));

    let memory = |bench: &Value| {
        bench["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone()
    };
    let change = Action::SetResources {
        object: object(Kind::Deployment, APP),
        container: "covetpy".into(),
        change: ResourceChange { memory_limit: Some("3Gi".into()), ..ResourceChange::default() },
    };
    let outcome = bench.act(change).await;
    assert!(performed(&outcome).contains("rolled out"));
    assert_eq!(memory(&bench.app().await), json!("3Gi"));
    performed(&bench.undo(&outcome).await);
    assert_eq!(memory(&bench.app().await), json!("2Gi"));

    let image = Action::SetImage {
        object: object(Kind::Deployment, APP),
        images: vec![ImageChange {
            container: "covetpy".into(),
            image: "ghcr.io/yourorg/covetpy:v1.2.2".into(),
        }],
    };
    let preview = bench.previewed(image).await;
    assert!(preview.title.contains("→ ghcr.io/yourorg/covetpy:v1.2.2"), "{}", preview.title);
    let undo = preview.undo.as_ref().unwrap();
    let Action::SetImage { images, .. } = &undo.action else { panic!("{undo:?}") };
    assert!(images[0].image.starts_with("ghcr.io/yourorg/covetpy:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_paused_resumed_and_restarted() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let restart = Action::RolloutRestart { object: object(Kind::Deployment, APP) };
    let pause = bench.act(Action::RolloutPause { deployment: key(APP) }).await;
    performed(&pause);
    assert_eq!(bench.app().await["spec"]["paused"], json!(true));
    let refusal = bench.preview(restart.clone()).await.unwrap_err();
    assert!(refusal.says.contains("paused"), "{refusal}");
    let refusal = bench.preview(Action::RolloutPause { deployment: key(APP) }).await.unwrap_err();
    assert!(refusal.says.contains("already"), "{refusal}");
    let resume = bench.previewed(Action::RolloutResume { deployment: key(APP) }).await;
    assert!(
        resume.hazards.iter().any(|hazard| hazard.says.contains("nothing waits")),
        "{:?}",
        resume.hazards
    );
    performed(&bench.undo(&pause).await);
    assert_ne!(bench.app().await["spec"]["paused"], json!(true));
    let outcome = bench.act(restart).await;
    assert!(performed(&outcome).contains("rolled out"));
    assert!(outcome.undo.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_labels_annotations_and_patches_come_back_as_they_were() {
    let mut bench = Bench::new(None).await;
    let bounds = Action::AutoscalerBounds { autoscaler: key(APP), min: 4, max: 12 };
    let outcome = bench.act(bounds).await;
    performed(&outcome);
    let hpa = bench.get(Kind::HorizontalPodAutoscaler, APP).await;
    assert_eq!((&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]), (&json!(4), &json!(12)));
    performed(&bench.undo(&outcome).await);
    let hpa = bench.get(Kind::HorizontalPodAutoscaler, APP).await;
    assert_eq!((&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]), (&json!(3), &json!(10)));
    let none = Action::AutoscalerBounds { autoscaler: key(APP), min: 5, max: 4 };
    assert!(bench.preview(none).await.is_err());

    let config = object(Kind::ConfigMap, "covetpy-config");
    for action in [
        Action::Annotate {
            object: config.clone(),
            annotations: vec![("note".into(), Some("hello".into())), ("absent".into(), None)],
        },
        Action::Label {
            object: config.clone(),
            labels: vec![("app".into(), Some("other".into())), ("new".into(), Some("1".into()))],
        },
        Action::Patch {
            object: config.clone(),
            kind: PatchKind::Strategic,
            body: json!({"data": {"LOG_LEVEL": "DEBUG"}, "metadata": {"annotations": {"x": "y"}}}),
        },
        Action::Patch {
            object: config.clone(),
            kind: PatchKind::Json,
            body: json!([{"op": "test", "path": "/data/LOG_LEVEL", "value": "INFO"},
                {"op": "replace", "path": "/data/LOG_LEVEL", "value": "WARNING"}]),
        },
        Action::Apply {
            manifest: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "covetpy-config", "namespace": super::bench::SPACE},
                "data": {"EXTRA": "1"}}),
            force: false,
        },
    ] {
        let essence = |found: &Value| {
            (
                found["data"].clone(),
                found["metadata"]["labels"].clone(),
                found["metadata"]["annotations"].clone(),
            )
        };
        let before = essence(&bench.get(Kind::ConfigMap, "covetpy-config").await);
        let outcome = bench.act(action.clone()).await;
        performed(&outcome);
        let changed = essence(&bench.get(Kind::ConfigMap, "covetpy-config").await);
        assert_ne!(changed, before, "{action:?}");
        performed(&bench.undo(&outcome).await);
        let (data, labels, annotations) = essence(&bench.get(Kind::ConfigMap, "covetpy-config").await);
        assert_eq!((data, labels), (before.0, before.1), "{action:?}");
        // An emptied map may stay behind.
        let is_nothing = |map: &Value| map.as_object().is_none_or(serde_json::Map::is_empty);
        assert!(annotations == before.2 || (is_nothing(&annotations) && is_nothing(&before.2)), "{action:?}");
    }
}

fn token(name: &str) -> Option<String> {
    (name == "TEST_REGISTRY_TOKEN").then(|| "ghp_0123456789abcdefghijSECRET".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_takes_its_token_at_the_last_moment_and_shows_it_nowhere() {
    let mut bench = Bench::new(None).await;
    let secret = |token_env: &str| Action::PullSecret {
        secret: key("regcred"),
        registry: "ghcr.io".into(),
        username: "bot".into(),
        token_env: token_env.into(),
    };
    bench.hands = bench.hands.clone().with_env(token);
    let missing = bench.previewed(secret("NO_SUCH_TOKEN")).await;
    assert_eq!(missing.worst(), Some(Level::Stop));
    let preview = bench.previewed(secret("TEST_REGISTRY_TOKEN")).await;
    let shown = format!("{preview:?}");
    assert!(shown.contains("bot at ghcr.io, token from TEST_REGISTRY_TOKEN"), "{:?}", preview.diff);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    performed(&outcome);
    let stored = bench.get(Kind::Secret, "regcred").await;
    let config = stored["data"][".dockerconfigjson"].as_str().unwrap();
    let config =
        String::from_utf8(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, config).unwrap())
            .unwrap();
    assert!(config.contains("ghp_0123456789abcdefghijSECRET"), "the real token is stored");
    let journal = std::fs::read_to_string(bench.folder.path().join("journal.jsonl")).unwrap();
    for text in [shown, format!("{outcome:?}"), journal] {
        assert!(
            !text.contains("SECRET") && !text.contains(stored["data"][".dockerconfigjson"].as_str().unwrap())
        );
    }
    let checked = bench
        .probes
        .read(
            &Action::CheckPullSecrets {
                pod: key(bench.pods().await[0]["metadata"]["name"].as_str().unwrap()),
            },
            now(),
        )
        .await;
    assert!(checked.ok && checked.summary.contains("every image's registry has credentials"), "{checked:?}");

    let reference = Action::ReferencePullSecret { deployment: key(APP), secret: "second".into() };
    let outcome = bench.act(reference).await;
    performed(&outcome);
    let secrets = |deployment: Value| deployment["spec"]["template"]["spec"]["imagePullSecrets"].clone();
    assert_eq!(secrets(bench.app().await).as_array().unwrap().len(), 2);
    performed(&bench.undo(&outcome).await);
    assert_eq!(secrets(bench.app().await), json!([{"name": "regcred"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_patched_and_put_back() {
    let mut bench = Bench::new(None).await;
    let certificates = bench.cluster.list(Kind::Certificate, "", "", "").await.unwrap();
    let certificate = &certificates[0];
    let space = certificate["metadata"]["namespace"].as_str().unwrap();
    let name = certificate["metadata"]["name"].as_str().unwrap();
    let object =
        covet_tui::domain::ObjectRef::new(Kind::Certificate, covet_tui::domain::Key::new(space, name));
    let mut conditions = certificate["status"]["conditions"].as_array().unwrap().clone();
    conditions.push(
        json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renew"}),
    );
    let action = Action::PatchStatus { object: object.clone(), body: json!({"conditions": conditions}) };
    let outcome = bench.act(action).await;
    performed(&outcome);
    let found = bench.cluster.get(&object).await.unwrap();
    assert_eq!(found["status"]["conditions"].as_array().unwrap().len(), conditions.len());
    performed(&bench.undo(&outcome).await);
    let found = bench.cluster.get(&object).await.unwrap();
    assert_eq!(found["status"]["conditions"], certificate["status"]["conditions"]);
}
