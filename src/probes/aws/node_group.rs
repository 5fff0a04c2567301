//! An EKS node group: its versions, what EKS says is wrong with it, its last update.

use serde_json::Value;

use crate::config::aws::{AwsError, Session, Words, words};
use crate::domain::{Name, Tone};
use crate::probes::answer::Answer;

pub(super) async fn read(session: &Session, cluster: &Name, group: &Name) -> Result<Answer, AwsError> {
    let asked = session.eks().look(&["clusters", cluster, "node-groups", group], Words::new()).await?;
    let mut answer = Answer::new();
    let Some(found) = asked.get("nodegroup").filter(|found| found.is_object()) else {
        return Ok(Answer::failed(&format!("EKS has no node group {group} in {cluster}")));
    };
    let status = word(found, "status", "UNKNOWN");
    let version =
        format!("Kubernetes {}, image {}", word(found, "version", "?"), word(found, "releaseVersion", "?"));
    let tone = if status == "ACTIVE" { Tone::Good } else { Tone::Bad };
    answer.line(tone, format!("{group} in {cluster}: {status}; {version}"));
    if let Some(scaling) = found.get("scalingConfig") {
        let number = |name: &str| scaling.get(name).map_or_else(|| "?".into(), Value::to_string);
        let (wanted, least, most) = (number("desiredSize"), number("minSize"), number("maxSize"));
        answer.line(Tone::Plain, format!("{wanted} nodes wanted, {least} to {most} allowed"));
    }
    let issues = each(found, "/health/issues");
    for issue in issues {
        let says = format!("{}: {}", word(issue, "code", "issue"), word(issue, "message", ""));
        answer.line(Tone::Bad, says);
    }
    last_update(session, cluster, group, &mut answer).await;
    let troubled = if issues.is_empty() { "" } else { ", with issues" };
    answer.summary(format!("{group}: {status}, {version}{troubled}"));
    Ok(answer)
}

/// Not every place that speaks EKS lists updates: then there is nothing to say.
async fn last_update(session: &Session, cluster: &Name, group: &Name, answer: &mut Answer) {
    let (eks, of_group) = (session.eks(), words(&[("nodegroupName", group)]));
    let Ok(listed) = eks.look(&["clusters", cluster, "updates"], of_group.clone()).await else { return };
    let Some(id) = each(&listed, "/updateIds").first().and_then(Value::as_str) else { return };
    let asked = eks.look(&["clusters", cluster, "updates", id], of_group).await;
    if let Some(update) = asked.ok().as_ref().and_then(|asked| asked.get("update")) {
        let says =
            format!("last update: {}, {}", word(update, "type", "update"), word(update, "status", "?"));
        answer.line(Tone::Plain, says);
        for error in each(update, "/errors") {
            answer.line(Tone::Bad, word(error, "errorMessage", ""));
        }
    }
}

fn word<'a>(of: &'a Value, field: &str, otherwise: &'a str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or(otherwise)
}

fn each<'a>(of: &'a Value, path: &str) -> &'a [Value] {
    of.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
