//! What API servers say besides yes and no: webhooks that cannot pretend, warnings, several budgets on one pod,
//! fields that belong to others, patches that custom resources do not take.

use covet_tui::domain::{Action, Kind, PatchKind};
use covet_tui::guard::{Guard, Level, Preview};
use covet_tui::journal::Ending;
use covet_tui::probes::object::{name, string, uid};
use serde_json::json;

use super::bench::{APP, Bench, SPACE, key, object};
use super::wire::Fault;

fn warns(preview: &Preview, words: &str) -> bool {
    preview.hazards.iter().any(|hazard| hazard.level == Level::Warn && hazard.says.contains(words))
}

fn labelled(value: &str) -> Action {
    Action::Label { object: object(Kind::Deployment, APP), labels: vec![("team".into(), Some(value.into()))] }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dry_run_it_says_so_and_can_still_be_done() {
    let mut bench = Bench::new(None).await;
    bench.wire.broken_by(|sent| {
        let says = "admission webhook \"audit.acme.example\" does not support dry run";
        (sent.is_dry() && sent.method == "PATCH").then_some(Fault::Say(400, says))
    });
    let preview = bench.previewed(labelled("a")).await;
    assert!(
        warns(&preview, "there is no dry run here") && warns(&preview, "audit.acme.example"),
        "{:?}",
        preview.hazards
    );
    assert!(preview.diff.is_empty(), "{:?}", preview.diff);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    assert!(matches!(outcome.result, Ending::Performed(_)), "{outcome:?}");
    assert_eq!(bench.app().await["metadata"]["labels"]["team"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_warns_of_is_shown_before_and_after() {
    let mut bench = Bench::new(None).await;
    bench.wire.broken_by(|sent| {
        let says = "299 - \"would violate PodSecurity \\\"restricted:latest\\\": runAsNonRoot != true\"";
        (sent.method == "PATCH").then_some(Fault::Warn(says))
    });
    let preview = bench.previewed(labelled("b")).await;
    let words = "would violate PodSecurity \"restricted:latest\"";
    assert!(warns(&preview, words), "{:?}", preview.hazards);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    assert!(outcome.progress.iter().any(|line| line.contains(words)), "{:?}", outcome.progress);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_two_budgets_cannot_be_evicted_and_is_not_called_unknown() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let second = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "second", "namespace": SPACE},
        "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "covetpy"}}}});
    let made = bench.act(Action::Apply { manifest: second, force: false }).await;
    assert!(!matches!(made.result, Ending::Failed(_)), "{made:?}");
    let pods = bench.pods().await;
    let pod = covet_tui::domain::PodTarget { key: key(name(&pods[0])), uid: uid(&pods[0]).into() };
    let refusal = bench.preview(Action::Evict { pod: pod.clone() }).await.unwrap_err();
    assert!(refusal.says.contains("more than one PodDisruptionBudget"), "{refusal}");
    assert!(refusal.repair.unwrap().contains("kubectl get pdb"));
    // Deleting asks nobody; the preview still names both budgets.
    let preview = bench.previewed(Action::DeletePods { pods: vec![pod] }).await;
    let says = |words: &str| {
        preview
            .hazards
            .iter()
            .any(|hazard| hazard.guard == Guard::DisruptionBudget && hazard.says.contains(words))
    };
    assert!(says("second") && says("evicts no such pod"), "{:?}", preview.hazards);
    assert_eq!(string(&pods[0], "/metadata/namespace"), SPACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_and_refused_formats_come_with_a_way_out() {
    let bench = Bench::new(None).await;
    bench.wire.broken_by(|sent| {
        let says = "Apply failed with 1 conflict: conflict with \"helm\" using apps/v1: .spec.replicas";
        (sent.query.contains("fieldManager") && sent.path.ends_with(APP)).then_some(Fault::Say(409, says))
    });
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP, "namespace": SPACE},
        "spec": {"replicas": 9}});
    let refusal = bench.preview(Action::Apply { manifest, force: false }).await.unwrap_err();
    assert!(refusal.says.contains("conflict with \"helm\""), "{refusal}");
    assert!(refusal.repair.unwrap().contains("force"));
    bench.wire.whole_again();
    let certificates = bench.cluster.list(Kind::Certificate, "", "", "").await.unwrap();
    let object = covet_tui::domain::ObjectRef::new(
        Kind::Certificate,
        covet_tui::probes::object::key(&certificates[0]),
    );
    let action =
        Action::Patch { object, kind: PatchKind::Strategic, body: json!({"spec": {"duration": "48h"}}) };
    let refusal = bench.preview(action).await.unwrap_err();
    assert!(refusal.repair.unwrap_or_default().contains("use type merge or json"), "{}", refusal.says);
}
