//! An EKS node group: its versions, what EKS says is wrong with it, its last update.

use crate::config::aws::{AwsError, Session, explain};
use crate::domain::{Name, Tone};
use crate::probes::answer::Answer;

pub(super) async fn read(session: &Session, cluster: &Name, group: &Name) -> Result<Answer, AwsError> {
    let eks = session.eks();
    let asked = eks.describe_nodegroup().cluster_name(&**cluster).nodegroup_name(&**group).send().await;
    let asked = asked.map_err(|error| explain(&error))?;
    let mut answer = Answer::new();
    let Some(found) = asked.nodegroup() else {
        return Ok(Answer::failed(&format!("EKS has no node group {group} in {cluster}")));
    };
    let status = found.status().map_or("UNKNOWN", |status| status.as_str());
    let version = format!(
        "Kubernetes {}, image {}",
        found.version().unwrap_or("?"),
        found.release_version().unwrap_or("?")
    );
    let tone = if status == "ACTIVE" { Tone::Good } else { Tone::Bad };
    answer.line(tone, format!("{group} in {cluster}: {status}; {version}"));
    if let Some(scaling) = found.scaling_config() {
        let number = |number: Option<i32>| number.map_or_else(|| "?".into(), |number| number.to_string());
        answer.line(
            Tone::Plain,
            format!(
                "{} nodes wanted, {} to {} allowed",
                number(scaling.desired_size()),
                number(scaling.min_size()),
                number(scaling.max_size())
            ),
        );
    }
    let mut issues = 0;
    for issue in found.health().map(aws_sdk_eks::types::NodegroupHealth::issues).unwrap_or_default() {
        issues += 1;
        let code = issue.code().map_or("issue", |code| code.as_str());
        answer.line(Tone::Bad, format!("{code}: {}", issue.message().unwrap_or_default()));
    }
    last_update(session, cluster, group, &mut answer).await;
    answer.summary(format!("{group}: {status}, {version}{}", if issues > 0 { ", with issues" } else { "" }));
    Ok(answer)
}

/// Not every place that speaks EKS lists updates: then there is nothing to say.
async fn last_update(session: &Session, cluster: &Name, group: &Name, answer: &mut Answer) {
    let eks = session.eks();
    let listed = eks.list_updates().name(&**cluster).nodegroup_name(&**group).send().await;
    let Some(id) = listed.ok().and_then(|listed| listed.update_ids().first().cloned()) else { return };
    let asked = eks.describe_update().name(&**cluster).nodegroup_name(&**group).update_id(id).send().await;
    if let Some(update) = asked.ok().as_ref().and_then(|asked| asked.update()) {
        let status = update.status().map_or("?", |status| status.as_str());
        let kind = update.r#type().map_or("update", |kind| kind.as_str());
        answer.line(Tone::Plain, format!("last update: {kind}, {status}"));
        for error in update.errors() {
            answer.line(Tone::Bad, error.error_message().unwrap_or_default());
        }
    }
}
