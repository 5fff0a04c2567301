//! The Job that does a Job's work once more, and whether such a Job has ended. Pure: it sends nothing.

use serde_json::{Map, Value, json};

use crate::domain::{Key, Kind, ObjectRef, Timestamp};
use crate::guard::Refusal;
use crate::probes::object::{condition, flag, number, owner, string, uid};

/// The longest name of a Job: it becomes the value of a label.
const LONGEST: usize = 63;
/// Letters that cannot spell words, as Kubernetes chooses them.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// What a controller writes into the labels of a Job and of its pods.
const GENERATED: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

/// A name that no other run has, by the moment it is asked for: that of a run by hand, or of the next version.
pub(super) fn name(from: &ObjectRef, at: Timestamp) -> String {
    let mut number = at.as_millisecond().unsigned_abs();
    let mut suffix = String::from("-");
    for _ in 0..5 {
        suffix.push(char::from(LETTERS[(number % LETTERS.len() as u64) as usize]));
        number /= LETTERS.len() as u64;
    }
    if from.kind == Kind::CronJob {
        suffix.insert_str(0, "-manual");
    }
    let own: String = from.key.name.chars().take(LONGEST - suffix.len()).collect();
    format!("{}{suffix}", own.trim_end_matches(['-', '.']))
}

/// The new Job, given what it is to be made from.
pub(super) fn manifest(from: &ObjectRef, source: &Value, name: &str) -> Result<Value, Refusal> {
    let (metadata, spec) = match from.kind {
        Kind::CronJob => (of_cron_job(source), source.pointer("/spec/jobTemplate/spec").cloned()),
        Kind::Job => (copied(from, source)?, Some(own_spec(from, source)?)),
        other => return Err(Refusal::new(format!("a {other} is no Job"))),
    };
    let spec = spec.ok_or_else(|| Refusal::new(format!("{from} has no template to run")))?;
    let mut job = json!({"apiVersion": Kind::Job.api_version(), "kind": Kind::Job.as_str(),
        "metadata": {"name": name, "namespace": from.key.namespace}, "spec": spec});
    if let Some(own) = job["metadata"].as_object_mut() {
        own.extend(metadata.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Ok(job)
}

/// As `kubectl create job --from` writes it.
fn of_cron_job(cron: &Value) -> Map<String, Value> {
    let of_template = |part: &str| cron.pointer(&format!("/spec/jobTemplate/metadata/{part}")).cloned();
    let mut annotations = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    if let (Some(all), Some(Value::Object(own))) = (annotations.as_object_mut(), of_template("annotations")) {
        all.extend(own);
    }
    let owner = json!({"apiVersion": Kind::CronJob.api_version(), "kind": Kind::CronJob.as_str(),
        "name": string(cron, "/metadata/name"), "uid": uid(cron), "controller": true});
    [
        ("annotations".to_owned(), annotations),
        ("labels".to_owned(), of_template("labels").unwrap_or_default()),
        ("ownerReferences".to_owned(), json!([owner])),
    ]
    .into_iter()
    .collect()
}

/// Annotations are left behind: they are what controllers and deliveries note of that one Job.
fn copied(from: &ObjectRef, job: &Value) -> Result<Map<String, Value>, Refusal> {
    if let Some(owner) = owner(job) {
        let owner = format!("{} {}", string(owner, "/kind"), string(owner, "/name"));
        return Err(
            Refusal::new(format!("{from} belongs to {owner}")).repair("let that run it again, not a copy")
        );
    }
    let mut labels = job.pointer("/metadata/labels").cloned().unwrap_or_default();
    forget_generated(&mut labels);
    // By this label Argo CD would take the copy for one of its own, and prune it.
    if let Some(labels) = labels.as_object_mut() {
        labels.remove("argocd.argoproj.io/instance");
    }
    Ok([("labels".to_owned(), labels)].into_iter().collect())
}

fn own_spec(from: &ObjectRef, job: &Value) -> Result<Value, Refusal> {
    if flag(job, "/spec/manualSelector") {
        return Err(Refusal::new(format!("{from} chooses its pods by a selector of its own"))
            .repair("write a new Job with another selector"));
    }
    let mut spec = job.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("selector");
    }
    if let Some(labels) = spec.pointer_mut("/template/metadata/labels") {
        forget_generated(labels);
    }
    Ok(spec)
}

fn forget_generated(labels: &mut Value) {
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|label, _| !GENERATED.contains(&label.as_str()));
    }
}

/// How a Job ended, if it did: well, or in words why not.
pub(super) fn ended(job: &Value) -> Option<Result<(), String>> {
    let met = |kind: &str| condition(job, kind).filter(|row| string(row, "/status") == "True");
    if met("Complete").is_some() {
        return Some(Ok(()));
    }
    met("Failed").map(|row| {
        let says = [string(row, "/reason"), string(row, "/message")];
        Err(says.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "))
    })
}

/// How far it is: `1 pod at work, 2 of 3 attempts failed`.
pub(super) fn progress(job: &Value) -> String {
    let (active, failed) = (number(job, "/status/active"), number(job, "/status/failed"));
    let attempts = job.pointer("/spec/backoffLimit").and_then(Value::as_i64).unwrap_or(6) + 1;
    let at_work = match active {
        0 => "no pod at work yet".to_owned(),
        1 => "1 pod at work".to_owned(),
        more => format!("{more} pods at work"),
    };
    match failed {
        0 => at_work,
        failed => format!("{at_work}, {failed} of {attempts} attempts failed"),
    }
}

/// The Job that was made of `from`.
pub(super) fn job(from: &ObjectRef, name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Job, Key::new(from.key.namespace.clone(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::CronJob, Key::new("ops", name))
    }

    #[test]
    fn a_cron_jobs_template_becomes_a_job_as_kubectl_makes_it() {
        let source = json!({"metadata": {"name": "backup", "namespace": "ops", "uid": "c-1"}, "spec": {"schedule": "0 3 * * *",
            "jobTemplate": {"metadata": {"labels": {"app": "backup"}, "annotations": {"team": "ops"}},
                "spec": {"backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never"}}}}}});
        let job = manifest(&cron("backup"), &source, "backup-manual-x7k2p").expect("a job");
        let wanted = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "backup-manual-x7k2p", "namespace": "ops", "labels": {"app": "backup"},
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual", "team": "ops"},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "backup", "uid": "c-1", "controller": true}]},
            "spec": {"backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never"}}}});
        assert_eq!(job, wanted);
    }

    #[test]
    fn a_copy_has_nothing_of_what_the_cluster_wrote() {
        let from = ObjectRef::new(Kind::Job, Key::new("shop", "migrate-v12"));
        let mut source = json!({"metadata": {"name": "migrate-v12", "namespace": "shop", "uid": "j-1", "resourceVersion": "7",
                "labels": {"app": "migrate", "job-name": "migrate-v12"}, "annotations": {"helm.sh/hook": "pre-upgrade"}},
            "spec": {"backoffLimit": 1, "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "j-1"}},
                "template": {"metadata": {"labels": {"app": "migrate", "controller-uid": "j-1", "batch.kubernetes.io/controller-uid": "j-1",
                    "job-name": "migrate-v12", "batch.kubernetes.io/job-name": "migrate-v12"}}, "spec": {"restartPolicy": "Never"}}},
            "status": {"failed": 2}});
        let job = manifest(&from, &source, "migrate-v12-x7k2p").expect("a job");
        let wanted = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "migrate-v12-x7k2p", "namespace": "shop", "labels": {"app": "migrate"}},
            "spec": {"backoffLimit": 1, "template": {"metadata": {"labels": {"app": "migrate"}}, "spec": {"restartPolicy": "Never"}}}});
        assert_eq!(job, wanted);
        source["metadata"]["ownerReferences"] =
            json!([{"kind": "Workflow", "name": "release", "controller": true}]);
        let refusal = manifest(&from, &source, "again").expect_err("somebody else's");
        assert!(refusal.says.contains("belongs to Workflow release"), "{refusal}");
    }

    #[test]
    fn names_fit_and_differ_by_the_moment() {
        let at = |second: i64| Timestamp::from_second(1_772_593_920 + second).expect("a moment");
        let long = "a-very-long-name-of-a-cron-job-that-fills-fifty-two-char";
        for from in [cron("backup"), cron(long), ObjectRef::new(Kind::Job, Key::new("a", "b".repeat(63)))] {
            let names: std::collections::BTreeSet<String> =
                (0..500).map(|second| name(&from, at(second))).collect();
            assert_eq!(names.len(), 500);
            assert!(names.iter().all(|name| name.len() <= 63 && !name.contains("--")), "{names:?}");
        }
        assert!(name(&cron("backup"), at(0)).starts_with("backup-manual-"));
    }

    #[test]
    fn an_end_and_the_way_there_are_told() {
        let mut job = json!({"spec": {"backoffLimit": 2}, "status": {"active": 1, "failed": 1}});
        assert_eq!((ended(&job), progress(&job).as_str()), (None, "1 pod at work, 1 of 3 attempts failed"));
        job["status"]["conditions"] = json!([{"type": "FailureTarget", "status": "True"},
            {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "no more"}]);
        assert_eq!(ended(&job), Some(Err("BackoffLimitExceeded: no more".into())));
        job["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
        assert_eq!(ended(&job), Some(Ok(())));
    }
}
