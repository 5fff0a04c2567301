//! When the wire breaks: a lost answer is found out, a lost request is unknown, nothing is called failed that
//! may have happened.

use std::time::Duration;

use covet_tui::domain::{Action, Kind, PodTarget};
use covet_tui::hands::Patience;
use covet_tui::journal::Ending;
use covet_tui::probes::object::{is_ready, name, uid};
use jiff::SignedDuration;
use serde_json::json;

use super::bench::{Bench, key, now, object, patience, who};
use super::wire::Fault;

fn set(value: &str) -> Action {
    Action::SetConfig {
        config_map: key("covetpy-config"),
        data: vec![("LOG_LEVEL".into(), Some(value.into()))],
    }
}

async fn impatient(drill: Option<&str>) -> Bench {
    let mut bench = Bench::new(drill).await;
    bench.hands = bench.hands.clone().patient(Patience { call: Duration::from_millis(500), ..patience() });
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_by_a_read() {
    let mut bench = impatient(None).await;
    let preview = bench.previewed(set("ERROR")).await;
    let entry = bench.confirm(preview);
    bench.wire.broken_by(|sent| (sent.is_write() && !sent.is_dry()).then_some(Fault::LoseAnswer));
    let outcome = bench.perform(entry).await;
    assert!(matches!(outcome.result, Ending::Performed(_)), "{outcome:?}");
    assert!(outcome.progress.iter().any(|line| line.contains("a read shows that it was written")));
    assert!(outcome.undo.is_some());
    assert_eq!(bench.get(Kind::ConfigMap, "covetpy-config").await["data"]["LOG_LEVEL"], json!("ERROR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_request_is_unknown_never_failed() {
    let mut bench = impatient(None).await;
    let preview = bench.previewed(set("ERROR")).await;
    let entry = bench.confirm(preview);
    bench.wire.broken_by(|sent| (sent.is_write() && !sent.is_dry()).then_some(Fault::LoseRequest));
    let outcome = bench.perform(entry).await;
    let Ending::Unknown(says) = &outcome.result else { panic!("{outcome:?}") };
    assert!(says.contains("a read shows that it was not written so far"), "{says}");

    bench.wire.whole_again();
    let pods = bench.pods().await;
    let pod = pods.iter().find(|pod| is_ready(pod)).unwrap();
    let target = PodTarget { key: key(name(pod)), uid: uid(pod).into() };
    let preview = bench.previewed(Action::DeletePods { pods: vec![target] }).await;
    let entry = bench.confirm(preview);
    bench.wire.broken_by(|sent| (sent.is_write() && !sent.is_dry()).then_some(Fault::LoseRequest));
    let outcome = bench.perform(entry).await;
    assert!(matches!(outcome.result, Ending::Unknown(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_api_server_refuses_in_words_and_nothing_waits_for_ever() {
    let bench = impatient(None).await;
    bench.wire.broken_by(|_| Some(Fault::LoseRequest));
    let refusal = bench.preview(set("ERROR")).await.unwrap_err();
    assert!(refusal.says.contains("did not answer within 500ms"), "{refusal}");
    let reading = bench.probes.read(&Action::ListNodes, now()).await;
    assert!(!reading.ok && reading.summary.contains("did not answer"), "{reading:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_came_too_late_is_asked_for_again() {
    let mut bench = Bench::new(None).await;
    let preview = bench.previewed(set("ERROR")).await;
    let long_ago = now() - SignedDuration::from_secs(61);
    let warrant = bench.armed.confirm(preview, "", who(), long_ago).unwrap();
    let entry = bench.journal.enter(warrant).unwrap();
    bench.wire.forget();
    let outcome = bench.perform(entry).await;
    assert!(
        matches!(&outcome.result, Ending::Refused(refusal, None) if refusal.says.contains("more than a minute"))
    );
    assert!(bench.wire.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_read_names_the_rule_it_takes() {
    let bench = Bench::new(None).await;
    bench.wire.broken_by(|sent| sent.path.ends_with("/pods").then_some(Fault::Forbid));
    let action =
        Action::ListPods { namespace: "shop".into(), selector: None, node: None, waiting: Vec::new() };
    let reading = bench.probes.read(&action, now()).await;
    assert!(!reading.ok);
    assert!(reading.summary.contains("ann may not list pods in shop"), "{}", reading.summary);
    assert!(reading.summary.contains("--verb=list --resource=pods"), "{}", reading.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_context_asks_for_the_name_even_for_a_cordon() {
    let mut bench = Bench::new(None).await;
    bench.hands = bench.hands.clone().protecting("prod-eu");
    let preview = bench.previewed(set("ERROR")).await;
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("prod-eu is a protected context")));
    assert!(bench.armed.confirm(preview, "", who(), now()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn gitops_and_quotas_are_named_before_anything_is_done() {
    let mut bench = Bench::new(None).await;
    let worker = object(Kind::Deployment, "covetpy-worker");
    let mark = Action::Annotate {
        object: worker.clone(),
        annotations: vec![("argocd.argoproj.io/tracking-id".into(), Some("shop:apps/Deployment:x".into()))],
    };
    assert!(matches!(bench.act(mark).await.result, Ending::Performed(_)));
    let quota = Action::Apply {
        manifest: json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight", "namespace": super::bench::SPACE},
            "spec": {"hard": {"pods": "3"}}}),
        force: false,
    };
    let outcome = bench.act(quota).await;
    assert!(matches!(outcome.result, Ending::Performed(_)), "{outcome:?}");
    let status = Action::PatchStatus {
        object: object(Kind::ResourceQuota, "tight"),
        body: json!({"hard": {"pods": "3"}, "used": {"pods": "3"}}),
    };
    bench.act(status).await;
    let preview = bench.previewed(Action::Scale { object: worker, replicas: 9 }).await;
    let words = format!("{:?}", preview.hazards);
    assert!(words.contains("Argo CD (shop) keeps this object"), "{words}");
    assert!(words.contains("quota tight allows 3 pods"), "{words}");
}
