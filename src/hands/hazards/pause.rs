//! What a pause leaves as it is, and what starts with its end: the patch of `spec.paused` shows neither.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Action, Kind, text};
use crate::guard::{DiffTone, Guard, Hazard};
use crate::hands::difference::diff;
use crate::probes::cluster::Cluster;
use crate::probes::object::number;
use crate::probes::rollout::{present, revisions, template};

/// As many changed lines of a template are told one by one.
const LINES: usize = 4;

pub(super) async fn hazard(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let deployment = scene.before?;
    match scene.action {
        Action::RolloutPause { .. } => {
            let says = "what has rolled out stays: only what comes afterwards waits";
            Some(Hazard::note(Guard::Rollout, says))
        }
        Action::RolloutResume { .. } => {
            let namespace = &scene.object.key.namespace;
            Some(match cluster.list(Kind::ReplicaSet, namespace, "", "").await {
                Ok(history) => Hazard::note(Guard::Rollout, released(deployment, &history)?),
                Err(trouble) => blind(Guard::Rollout, "what waits for it", &trouble),
            })
        }
        _ => None,
    }
}

/// What the pods will get that they do not have now.
fn released(deployment: &Value, history: &[Value]) -> Option<String> {
    let runs = present(deployment, history)?;
    let (_, entry) = revisions(deployment, history).into_iter().find(|(revision, _)| *revision == runs)?;
    let (old, new) = (template(entry), deployment.pointer("/spec/template")?);
    if old == *new {
        return Some("nothing waits for it: no pod is replaced".into());
    }
    let lines = diff(Some(&old), Some(new), false);
    let sign = |tone: &DiffTone| match tone {
        DiffTone::Removed => Some('-'),
        DiffTone::Added => Some('+'),
        DiffTone::Same | DiffTone::Place => None,
    };
    let changed = lines.iter().filter_map(|(tone, line)| Some(format!("{} {}", sign(tone)?, bare(line))));
    let changed: Vec<String> = changed.collect();
    let replaced = text::count(number(deployment, "/status/replicas").unsigned_abs() as usize, "pod");
    let what = match changed.len() {
        ..=LINES => changed.join("  "),
        count => format!("{count} lines of the template"),
    };
    Some(format!("it replaces {replaced} of revision {runs} by what waits: {what}"))
}

/// Without the dash of a list.
fn bare(line: &str) -> &str {
    line.trim().trim_start_matches("- ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_is_told_by_its_lines_and_without_secrets() {
        let pods = |image: &str, token: &str| {
            json!({"metadata": {"labels": {"app": "mailer"}}, "spec": {"containers": [
                {"name": "main", "image": image, "env": [{"name": "API_TOKEN", "value": token}]}]}})
        };
        let set = |revision: u64, image: &str| {
            let mut template = pods(image, "one");
            template["metadata"]["labels"]["pod-template-hash"] = json!("7c");
            json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
                "ownerReferences": [{"controller": true, "uid": "d", "kind": "Deployment", "name": "mailer"}]},
                "spec": {"template": template}})
        };
        let deployment = |template: Value| {
            json!({"metadata": {"uid": "d", "annotations": {"deployment.kubernetes.io/revision": "2"}},
                "spec": {"template": template}, "status": {"replicas": 3}})
        };
        let history = [set(1, "mailer:0.9"), set(2, "mailer:1.0")];
        let says = |template| released(&deployment(template), &history).expect("a present revision");
        assert_eq!(says(pods("mailer:1.0", "one")), "nothing waits for it: no pod is replaced");
        assert_eq!(
            says(pods("mailer:1.1", "one")),
            "it replaces 3 pods of revision 2 by what waits: - image: mailer:1.0  + image: mailer:1.1"
        );
        let secret = says(pods("mailer:1.0", "two"));
        assert!(!secret.contains("two") && secret.matches("value: •••").count() == 2, "{secret}");
    }
}
