//! Whether what was done here was taken back by the tool that keeps the workload as its source has it. Doing it once
//! more would be taken back once more.

use crate::domain::{Action, Deployment};

use super::Done;
use super::view::View;

/// Tools that put an object back by themselves; Helm does so only when somebody runs it.
const RECONCILING: &[&str] = &["Argo CD", "Flux"];

/// That the workload is no longer as this change left it, where such a tool keeps it; in one line.
pub(super) fn taken_back(view: &View<'_>, done: &Done) -> Option<String> {
    let made = done.change.as_ref().filter(|_| done.ok && view.facts.fires)?;
    let deployment = view.deployment?;
    let keeper = deployment.keeper.as_ref().filter(|keeper| RECONCILING.contains(&&*keeper.tool))?;
    let is_gone = made.action.object().is_some_and(|object| object.key == deployment.key)
        && !stands(view, deployment, &made.action)?;
    is_gone.then(|| {
        format!(
            "“{}” was taken back, it seems by {} ({}), which keeps {} as its source has it: change it there, or stop its sync first",
            made.title, keeper.tool, keeper.name, deployment.key.name
        )
    })
}

/// Whether the workload is as the action left it; None where that does not show.
fn stands(view: &View<'_>, deployment: &Deployment, action: &Action) -> Option<bool> {
    match action {
        Action::SetImage { images, .. } => Some(images.iter().all(|change| {
            let row = deployment.template.container(&change.container);
            row.is_some_and(|row| *row.image == *change.image)
        })),
        Action::RolloutUndo { to_revision, .. } => {
            let newest = view.revisions.first()?;
            Some(newest.revision == Some(*to_revision) || newest.earlier_revisions.contains(to_revision))
        }
        _ => None,
    }
}
