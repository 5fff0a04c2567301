//! What a server makes of every new Job: its pods carry its name and uid, and it selects them by the uid.

use serde_json::{Value, json};

/// The labels of a Job's pods, by whether they hold its uid or its name; the old ones stay for old clients.
const OF_UID: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const OF_NAME: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// Fills the selector and the labels of a Job that is to have this uid; what is there already stays.
pub fn select_own_pods(job: &mut Value, uid: &str) {
    job["metadata"]["uid"] = uid.into();
    if job["spec"]["manualSelector"] == true {
        return;
    }
    for (label, value) in labels(job, uid) {
        let known = &mut job["spec"]["template"]["metadata"]["labels"][label];
        if known.is_null() {
            *known = value.into();
        }
    }
    if job["spec"]["selector"].is_null() {
        job["spec"]["selector"] = json!({ "matchLabels": { OF_UID[0]: uid } });
    }
}

/// What of a Job with this uid was not generated for it, as field and offending value.
pub fn not_generated(job: &Value, uid: &str) -> Vec<(String, Value, String)> {
    if job["spec"]["manualSelector"] == true {
        return Vec::new();
    }
    let has = &job["spec"]["template"]["metadata"]["labels"];
    let mut wrong: Vec<(String, Value, String)> = labels(job, uid)
        .into_iter()
        .filter(|(label, value)| has[label] != **value)
        .map(|(_, value)| {
            ("spec.template.metadata.labels".to_owned(), has.clone(), format!("must be '{value}'"))
        })
        .collect();
    let selects = &job["spec"]["selector"]["matchLabels"];
    if selects[OF_UID[0]] != uid && selects[OF_UID[1]] != uid {
        let says = "`selector` not auto-generated".to_owned();
        wrong.push(("spec.selector".to_owned(), job["spec"]["selector"].clone(), says));
    }
    wrong
}

fn labels(job: &Value, uid: &str) -> Vec<(&'static str, String)> {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let of = |labels: [&'static str; 2], value: &str| labels.map(|label| (label, value.to_owned()));
    of(OF_UID, uid).into_iter().chain(of(OF_NAME, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_selects_its_own_pods_and_a_copy_of_an_old_one_does_not() {
        let mut job =
            json!({"metadata": {"name": "a"}, "spec": {"template": {"metadata": {"labels": {"app": "x"}}}}});
        select_own_pods(&mut job, "u-1");
        assert!(not_generated(&job, "u-1").is_empty(), "{job}");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "a");
        job["metadata"]["name"] = "b".into();
        select_own_pods(&mut job, "u-2");
        assert_eq!(not_generated(&job, "u-2").len(), 5, "{job}");
    }
}
