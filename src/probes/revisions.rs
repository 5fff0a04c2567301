//! Revisions of a workload: which exist, which crash, what changed between them, whether a rollout is done.

use std::time::Duration;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tokio::time::Instant;

use super::answer::{Answer, ago, columns};
use super::cluster::Cluster;
use super::object::{
    annotation, is_owned_by, is_ready, items, name, restarts, selector_query, string, time, uid,
};
use super::rollout::{Rollout, revisions, rollout, template};
use super::trouble::Trouble;
use crate::domain::{Key, Kind, ObjectRef, Timestamp, Tone, cause, mask, text};

/// Between two looks at a rollout.
const LOOK: Duration = Duration::from_secs(1);

struct Revision {
    number: u64,
    set: Value,
    pods: Vec<Value>,
}

impl Revision {
    fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| is_ready(pod)).count()
    }

    /// Pods that aren't ready and have restarted, or wait for something that failed.
    fn troubled(&self) -> usize {
        let waits = |pod: &Value| {
            items(pod, "/status/containerStatuses")
                .iter()
                .map(|status| string(status, "/state/waiting/reason"))
                .any(|reason| !matches!(reason, "" | "ContainerCreating" | "PodInitializing"))
        };
        self.pods.iter().filter(|pod| !is_ready(pod) && (restarts(pod) > 0 || waits(pod))).count()
    }

    fn images(&self) -> String {
        let template = template(&self.set);
        items(&template, "/spec/containers")
            .iter()
            .map(|container| string(container, "/image"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

async fn load(cluster: &Cluster, workload: &ObjectRef) -> Result<Vec<Revision>, Trouble> {
    let object = cluster.get(workload).await?;
    let namespace = &workload.key.namespace;
    let selector = object.pointer("/spec/selector").map(selector_query).unwrap_or_default();
    let kept = if workload.kind == Kind::Deployment { Kind::ReplicaSet } else { Kind::ControllerRevision };
    let (history, pods) = tokio::join!(
        cluster.list(kept, namespace, &selector, ""),
        cluster.list(Kind::Pod, namespace, &selector, "")
    );
    let (history, pods) = (history?, pods?);
    let is_of = |pod: &Value, entry: &Value| match kept {
        Kind::ReplicaSet => is_owned_by(pod, uid(entry)),
        _ => is_owned_by(pod, uid(&object)) && has_hash(pod, name(entry)),
    };
    let revisions = revisions(&object, &history).into_iter().map(|(number, entry)| Revision {
        number,
        set: entry.clone(),
        pods: pods.iter().filter(|pod| is_of(pod, entry)).cloned().collect(),
    });
    Ok(revisions.collect())
}

/// Whether a pod names this ControllerRevision, or the hash at its end.
fn has_hash(pod: &Value, revision: &str) -> bool {
    let hash = string(pod, "/metadata/labels/controller-revision-hash");
    let rest = revision.strip_suffix(hash).filter(|_| !hash.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
}

pub(super) async fn list(cluster: &Cluster, deployment: &Key, now: Timestamp) -> Result<Answer, Trouble> {
    let revisions = load(cluster, &ObjectRef::new(Kind::Deployment, deployment.clone())).await?;
    let mut answer = Answer::new();
    answer.summary(match revisions.first() {
        None => format!("{deployment} has no ReplicaSets"),
        Some(newest) => {
            let newest = newest.number;
            format!("{}, newest is {newest}", text::count(revisions.len(), "revision"))
        }
    });
    table(&mut answer, &revisions, now);
    Ok(answer)
}

fn table(answer: &mut Answer, revisions: &[Revision], now: Timestamp) {
    let mut rows =
        vec![["REVISION", "NAME", "PODS", "READY", "TROUBLED", "AGE", "IMAGES"].map(str::to_owned).to_vec()];
    for revision in revisions {
        let why = annotation(&revision.set, "kubernetes.io/change-cause").map(|why| format!(" — {why}"));
        rows.push(vec![
            revision.number.to_string(),
            name(&revision.set).into(),
            match revision.set.pointer("/spec/replicas").and_then(Value::as_i64) {
                Some(wanted) => format!("{}/{wanted}", revision.pods.len()),
                None => revision.pods.len().to_string(),
            },
            revision.ready().to_string(),
            revision.troubled().to_string(),
            ago(time(&revision.set, "/metadata/creationTimestamp"), now),
            format!("{}{}", revision.images(), why.unwrap_or_default()),
        ]);
    }
    let tone = |index: usize| match index {
        0 => Tone::Heading,
        _ if revisions[index - 1].troubled() > 0 => Tone::Bad,
        _ if revisions[index - 1].ready() > 0 => Tone::Good,
        _ => Tone::Dim,
    };
    answer.lines(columns(&rows).into_iter().enumerate().map(|(index, line)| (tone(index), line)));
}

/// Which revisions crash, which are healthy, and what the newest changed.
pub(super) async fn compare(
    cluster: &Cluster,
    workload: &ObjectRef,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let revisions = load(cluster, workload).await?;
    let mut answer = Answer::new();
    let Some((newest, older)) = revisions.split_first() else {
        return Ok(Answer::failed(&format!("{workload} has no history of revisions")));
    };
    let good = older.iter().find(|revision| revision.ready() > 0 && revision.troubled() == 0);
    let summary = match (newest.troubled(), good) {
        (0, _) if newest.ready() > 0 => format!("revision {} is healthy", newest.number),
        (0, _) => format!("revision {} has no pod that ran yet", newest.number),
        (bad, Some(good)) => {
            let says = format!(
                "only revision {} is troubled ({bad} of {}); revision {} is healthy ({} ready)",
                newest.number,
                text::count(newest.pods.len(), "pod"),
                good.number,
                good.ready()
            );
            answer.found(cause::BAD_REVISION, &says);
            says
        }
        (bad, None) if older.iter().any(|revision| revision.troubled() > 0) => {
            format!("all revisions with pods are troubled ({bad} of the newest): the revision is not why")
        }
        (bad, None) => format!(
            "revision {} is troubled ({bad} of {}); no older one runs to compare with",
            newest.number,
            text::count(newest.pods.len(), "pod")
        ),
    };
    answer.summary(&summary);
    answer.bind("bad_revision", newest.number.to_string());
    let before = good.or_else(|| served(&revisions));
    if let Some(good) = before.filter(|before| runs_otherwise(before, newest)) {
        answer.bind("good_revision", good.number.to_string());
    }
    table(&mut answer, &revisions, now);
    if let Some(before) = before {
        answer
            .line(Tone::Heading, format!("what revision {} changed since {}", newest.number, before.number));
        answer.lines(changes(&before.set, &newest.set));
    }
    Ok(answer)
}

/// The last older revision that was there long enough to serve, else the one before the newest.
fn served(revisions: &[Revision]) -> Option<&Revision> {
    const TO_SERVE: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);
    let created = |revision: &Revision| time(&revision.set, "/metadata/creationTimestamp");
    let lasted = revisions.windows(2).find_map(|pair| {
        let (next, this) = (created(&pair[0])?, created(&pair[1])?);
        // One that an undo brought back is older than those it came after.
        (next < this || next.duration_since(this) >= TO_SERVE).then_some(&pair[1])
    });
    lasted.or_else(|| revisions.get(1))
}

/// Whether the pods of one are any different from those of the other, rather than labelled so: else the one is no way
/// back from the other.
fn runs_otherwise(one: &Revision, other: &Revision) -> bool {
    template(&one.set).get("spec") != template(&other.set).get("spec")
}

/// The difference between two templates, as changed lines of YAML.
fn changes(old: &Value, new: &Value) -> Vec<(Tone, String)> {
    let render = |set: &Value| {
        let mut template = template(set);
        mask(&mut template);
        super::object::yaml(&template)
    };
    let (old, new) = (render(old), render(new));
    let lines: Vec<_> = TextDiff::from_lines(&old, &new)
        .iter_all_changes()
        .filter_map(|change| {
            let line = change.to_string_lossy();
            let line = line.trim_end();
            match change.tag() {
                ChangeTag::Equal => None,
                ChangeTag::Delete => Some((Tone::Bad, format!("- {line}"))),
                ChangeTag::Insert => Some((Tone::Good, format!("+ {line}"))),
            }
        })
        .collect();
    if lines.is_empty() { vec![(Tone::Dim, "nothing in the template".into())] } else { lines }
}

/// Looks until the rollout is done, stalls, its pods crash, or time is up.
pub(super) async fn status(
    cluster: &Cluster,
    object: &ObjectRef,
    timeout: Duration,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let deadline = Instant::now() + timeout;
    loop {
        let found = cluster.get(object).await?;
        let mut answer = Answer::new();
        match rollout(&found) {
            Rollout::Done(says) => {
                answer.summary(format!("rolled out: {says}"));
                answer.line(Tone::Good, format!("rolled out: {says}"));
                return Ok(answer);
            }
            Rollout::Stalled(says) => {
                answer.summary(format!("stuck: {says}"));
                answer.line(Tone::Bad, says);
                answer.not_ok();
                return Ok(answer);
            }
            Rollout::Waiting(says) if Instant::now() + LOOK >= deadline => {
                answer.summary(format!("not done: {says}"));
                answer.line(Tone::Plain, says);
                answer.not_ok();
                return Ok(answer);
            }
            Rollout::Waiting(says) => {
                if let Some(crashed) = crashed_since(cluster, object, now).await {
                    answer.summary(format!("not done: {says}; {crashed}"));
                    answer.line(Tone::Bad, crashed);
                    answer.not_ok();
                    return Ok(answer);
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// The pod of the newest revision that crashed again since then and is held back now: the rollout does not get there by
/// itself while that goes on. Without its history none is known.
async fn crashed_since(cluster: &Cluster, workload: &ObjectRef, then: Timestamp) -> Option<String> {
    let revisions = load(cluster, workload).await.ok()?;
    revisions.first()?.pods.iter().find_map(|pod| {
        items(pod, "/status/containerStatuses").iter().find_map(|row| {
            let end = row.pointer("/lastState/terminated")?;
            let held_back = string(row, "/state/waiting/reason") == "CrashLoopBackOff";
            let again = time(end, "/finishedAt").is_some_and(|at| at > then);
            (held_back && again).then(|| {
                let reason = string(end, "/reason");
                format!("{} of {} crashed again: {reason}", name_of(row), name(pod))
            })
        })
    })
}

fn name_of(container: &Value) -> &str {
    string(container, "/name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lived_for_a_second_is_nothing_to_go_back_to() {
        let revision = |number, created: &str| Revision {
            number,
            set: serde_json::json!({"metadata": {"creationTimestamp": created}}),
            pods: Vec::new(),
        };
        let at = |all: &[Revision]| served(all).map(|one| one.number);
        let passing = [
            revision(3, "2026-03-01T03:00:01Z"),
            revision(2, "2026-03-01T03:00:00Z"),
            revision(1, "2026-03-01T02:57:00Z"),
        ];
        assert_eq!(at(&passing), Some(1));
        assert_eq!(at(&passing[..2]), Some(2), "it is all there is");
        let brought_back = [revision(9, "2026-02-01T00:00:00Z"), revision(8, "2026-03-01T00:00:00Z")];
        assert_eq!(at(&brought_back), Some(8));
        assert_eq!(at(&passing[..1]), None);
    }
}
