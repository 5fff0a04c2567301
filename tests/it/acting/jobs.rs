//! Jobs that are run again: previewed by dry runs alone, made as kubectl makes them, watched to their end; and taken
//! away while they run.

use covet_tui::domain::{Action, Kind, Name, ObjectRef, PatchKind};
use covet_tui::guard::{Confirmation, DiffTone, Guard, Level};
use covet_tui::journal::Ending;
use serde_json::{Value, json};

use super::bench::{Bench, SPACE, key, now, object};
use super::changes::{hazard, performed};

const CRON: &str = "covetpy-cleanup";
const MIGRATION: &str = "covetpy-migrate-v1-2-3";

fn again(from: ObjectRef) -> Action {
    Action::RunJobAgain { from, name: None }
}

fn named(action: &Action) -> Name {
    let Action::RunJobAgain { name: Some(name), .. } = action else { panic!("{action:?}") };
    name.clone()
}

async fn patch(bench: &mut Bench, object: ObjectRef, body: Value) {
    performed(&bench.act(Action::Patch { object, kind: PatchKind::Merge, body }).await);
}

fn cron() -> ObjectRef {
    object(Kind::CronJob, CRON)
}

/// Pods that do not end before a test does: nobody can pull their image.
fn hanging() -> Value {
    json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "job", "image": "ghcr.io/yourorg/covetpy:v0.0.0"}]}}}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_jobs_work_is_done_once_more() {
    let mut bench = Bench::new(None).await;
    let preview = bench.previewed(again(cron())).await;
    let name = named(&preview.action);
    assert!(name.starts_with("covetpy-cleanup-manual-") && name.len() <= 63, "{name}");
    assert_eq!(preview.confirmation, Confirmation::Key, "{:?}", preview.hazards);
    assert_eq!(preview.command, format!("kubectl create job {name} -n {SPACE} --from=cronjob/{CRON}"));
    let added = preview.diff.iter().filter(|(tone, _)| *tone == DiffTone::Added);
    assert!(added.map(|(_, line)| line.as_str()).any(|line| line.contains("instantiate: manual")));
    assert!(preview.diff.iter().all(|(tone, _)| *tone != DiffTone::Removed));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    assert!(performed(&outcome).contains("completed in"), "{outcome:?}");
    assert!(outcome.undo.is_none(), "what it did stays done");
    let job = bench.get(Kind::Job, &name).await;
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    let owner = &job["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&json!("CronJob"), &json!(CRON)));
    assert!(outcome.progress.iter().any(|line| line.contains("1 pod at work")), "{:?}", outcome.progress);

    // Who would delete it now would only lose its log.
    let uid: Name = job["metadata"]["uid"].as_str().unwrap().into();
    let refusal = bench.preview(Action::DeleteJob { job: key(&name), uid }).await.unwrap_err();
    assert!(refusal.says.contains("has completed"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_owner_is_copied_and_stays_as_it_is() {
    let mut bench = Bench::new(None).await;
    let before = bench.get(Kind::Job, MIGRATION).await;
    let preview = bench.previewed(again(object(Kind::Job, MIGRATION))).await;
    let name = named(&preview.action);
    assert!(preview.command.contains("| jq ") && preview.command.contains(&format!("--arg name {name} ")));
    let entry = bench.confirm(preview);
    performed(&bench.perform(entry).await);
    let copy = bench.get(Kind::Job, &name).await;
    // What the server fills in by default, it fills in where it was not.
    let pods = |job: &Value| {
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        ["name", "image", "args", "envFrom", "resources"].map(|field| container[field].clone())
    };
    assert_eq!((pods(&copy), &copy["metadata"]["labels"]), (pods(&before), &before["metadata"]["labels"]));
    assert_ne!(copy["spec"]["selector"], before["spec"]["selector"]);
    assert_eq!(bench.get(Kind::Job, MIGRATION).await, before);

    let run = bench.cluster.list(Kind::Job, SPACE, "", "").await.unwrap();
    let owned = run.iter().find(|job| job["metadata"]["ownerReferences"][0]["name"] == CRON).unwrap();
    let refusal = bench.preview(again(object(Kind::Job, owned["metadata"]["name"].as_str().unwrap()))).await;
    assert!(refusal.unwrap_err().says.contains("belongs to CronJob covetpy-cleanup"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_beside_another_is_stopped_or_warned_of_and_taken_away_while_it_runs() {
    let mut bench = Bench::new(None).await;
    patch(&mut bench, cron(), hanging()).await;
    bench.hands = bench.hands.clone().patient(covet_tui::hands::Patience {
        run: std::time::Duration::from_secs(2),
        ..super::bench::patience()
    });
    let outcome = bench.act(again(cron())).await;
    let Ending::Unverified(says) = &outcome.result else { panic!("{outcome:?}") };
    assert!(
        says.contains("still runs after 2s") && says.contains("ErrImagePull")
            || says.contains("ImagePullBackOff"),
        "{says}"
    );
    let first = named(&outcome.action);

    let forbidden = bench.previewed(again(cron())).await;
    assert_eq!(forbidden.worst(), Some(Level::Stop));
    assert!(hazard(&forbidden, Guard::Target).contains(&format!("{first} still runs")));
    patch(&mut bench, cron(), json!({"spec": {"concurrencyPolicy": "Allow", "suspend": true}})).await;
    let beside = bench.previewed(again(cron())).await;
    let says: Vec<&str> = beside.hazards.iter().map(|hazard| hazard.says.as_str()).collect();
    assert!(says.iter().any(|says| says.contains("the same work beside it")), "{says:?}");
    assert!(says.iter().any(|says| says.contains("is suspended")), "{says:?}");
    assert_eq!(beside.confirmation, Confirmation::Type(CRON.into()));

    // What changed between preview and act is not what was confirmed.
    let entry = bench.confirm(beside);
    patch(&mut bench, cron(), json!({"spec": {"jobTemplate": {"spec": {"backoffLimit": 1}}}})).await;
    let moved = bench.perform(entry).await;
    assert!(
        matches!(&moved.result, Ending::Refused(refusal, Some(_)) if refusal.says.contains("changed since"))
    );

    let back = bench.undo(&outcome).await;
    assert!(performed(&back).contains("gone"));
    assert!(bench.cluster.find(&object(Kind::Job, &first)).await.unwrap().is_none());
    let pods = || bench.cluster.list(Kind::Pod, SPACE, "batch.kubernetes.io/job-name=", "");
    bench
        .until("its pods are gone", || async {
            let own = |pod: &Value| pod["metadata"]["labels"]["job-name"] == *first;
            !pods().await.unwrap_or_default().iter().any(own)
        })
        .await;
    let undo = outcome.undo.unwrap();
    let refusal = bench.hands.preview_undo(&bench.armed, &undo, now()).await.unwrap_err();
    assert!(refusal.says.contains("is gone already"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_and_was_not_mended_is_warned_of_and_its_reason_is_told() {
    let mut bench = Bench::new(None).await;
    let secret = |key: &str, to: Value| Action::Patch {
        object: object(Kind::Secret, "covetpy-secrets"),
        kind: PatchKind::Merge,
        body: json!({"data": {key: to}}),
    };
    let kept = bench.get(Kind::Secret, "covetpy-secrets").await["data"]["DATABASE_PASSWORD"].clone();
    performed(&bench.act(secret("DATABASE_PASSWORD", Value::Null)).await);
    let outcome = bench.act(again(cron())).await;
    let Ending::Unverified(says) = &outcome.result else { panic!("{outcome:?}") };
    assert!(says.contains("BackoffLimitExceeded") && says.contains("Error (exit code 1)"), "{says}");
    assert!(outcome.undo.is_none());
    assert!(
        outcome.progress.iter().any(|line| line.contains("of 3 attempts failed")),
        "{:?}",
        outcome.progress
    );

    let unmended = bench.previewed(again(cron())).await;
    assert!(hazard(&unmended, Guard::Target).contains("nothing that it reads was written since"));
    assert_eq!(unmended.confirmation, Confirmation::Type(CRON.into()));
    // The moment of a write is told in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    performed(&bench.act(secret("DATABASE_PASSWORD", kept)).await);
    let mended = bench.previewed(again(cron())).await;
    assert_eq!(mended.confirmation, Confirmation::Key, "{:?}", mended.hazards);
    let entry = bench.confirm(mended);
    performed(&bench.perform(entry).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_is_told_how_to_be_allowed() {
    let bench = Bench::viewer().await;
    let preview = bench.previewed(again(cron())).await;
    assert_eq!(preview.worst(), Some(Level::Stop));
    assert!(hazard(&preview, Guard::Permission).contains("you may not create jobs"));
}
