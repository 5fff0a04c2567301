//! What came of a change on a machine: looked at there, and for a kubelet also where it reports.

use std::time::Duration;

use tokio::time::Instant;

use super::facts::Facts;
use super::{Reached, draft};
use crate::domain::{Key, Kind, Name, ObjectRef, OnMachine, Timestamp, Unit, text};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;
use crate::probes::object::time;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What is seen after the change, in words.
pub(super) async fn verify(
    hands: &Hands,
    command: &OnMachine,
    before: &Facts,
    reached: &Reached<'_>,
    began: Timestamp,
    task: &mut Task,
) -> Done {
    if let OnMachine::RestartService { node, unit } = command {
        return service(hands, reached, node, *unit, began, task).await;
    }
    let after = match Facts::of(&reached.machine, command).await {
        Ok(after) => after,
        Err(none) => return Done::unverified(format!("done, but not seen: {}", none.says), None),
    };
    let back = draft::way_back(command, before, reached);
    let seen = after.shows_effect(before, command);
    let says = match (before, &after) {
        (Facts::Images(then), Facts::Images(now)) => match command {
            OnMachine::PruneImages { .. } => {
                let gone: u64 = then.iter().map(|image| image.bytes).sum::<u64>()
                    - now.iter().filter(|image| then.contains(image)).map(|image| image.bytes).sum::<u64>();
                format!(
                    "{} of {} gone, {} at most freed",
                    then.len().saturating_sub(now.len()),
                    text::count(then.len(), "image"),
                    text::bytes(gone)
                )
            }
            OnMachine::PullImage { image, .. } if !now.is_empty() => {
                return Done::performed(format!("{image} is on the node"), back);
            }
            OnMachine::PullImage { image, .. } => format!("{image} is not listed there"),
            _ if now.is_empty() => "it is gone".to_owned(),
            _ => "it is still there".to_owned(),
        },
        (Facts::Journal(then), Facts::Journal(now)) => {
            let size = |bytes: &Option<u64>| bytes.map_or("unknown size".to_owned(), text::bytes);
            format!("the journal went from {} to {}", size(then), size(now))
        }
        (Facts::Growth { bytes: then, .. }, Facts::Growth { bytes: now, .. }) => {
            format!("the file system went from {} to {}", text::bytes(*then), text::bytes(*now))
        }
        (Facts::Files(then), Facts::Files(now)) => {
            let sum = |files: &[super::facts::File]| files.iter().map(|file| file.bytes).sum::<u64>();
            format!("the logs went from {} to {}", text::bytes(sum(then)), text::bytes(sum(now)))
        }
        (Facts::Docker(_), Facts::Docker(now)) => now.join("; "),
        _ => "what is there now is of another kind".to_owned(),
    };
    // Archived entries only: a journal that is all active cannot shrink, and that is no success.
    if seen { Done::performed(says, back) } else { Done::unverified(format!("it ran, but {says}"), back) }
}

/// Active twice in a row; and a kubelet is back when it reports.
async fn service(
    hands: &Hands,
    reached: &Reached<'_>,
    node: &Name,
    unit: Unit,
    began: Timestamp,
    task: &mut Task,
) -> Done {
    let patience = hands.patience.replacement;
    let deadline = Instant::now() + patience;
    let name = unit.as_str();
    let (mut active, mut last) = (0, String::new());
    while Instant::now() < deadline && !task.is_called_off() {
        let command = OnMachine::RestartService { node: node.clone(), unit };
        match Facts::of(&reached.machine, &command).await {
            Ok(Facts::Service { state, .. }) => {
                active = if state == "active" { active + 1 } else { 0 };
                last = format!("{name} is {state}");
            }
            Ok(_) => {}
            Err(none) => last = none.says,
        }
        task.say(&last);
        if active >= 2 {
            let renewed = if unit == Unit::Kubelet { heard(hands, node, began).await } else { Some(()) };
            if renewed.is_some() {
                let says = match unit {
                    Unit::Kubelet => format!("{name} is active and reports again"),
                    Unit::Containerd => format!("{name} is active"),
                };
                return Done::performed(says, None);
            }
            last = format!("{name} is active, but has not reported yet");
        }
        task.pause(PAUSE).await;
    }
    let why = if task.is_called_off() { "watching was called off".into() } else { text::span(patience) };
    Done::unverified(format!("restarted, but {last} ({why}): read its log"), None)
}

/// The kubelet renewed its Lease since.
async fn heard(hands: &Hands, node: &Name, began: Timestamp) -> Option<()> {
    let lease = ObjectRef::new(Kind::Lease, Key::new("kube-node-lease", node.clone()));
    let lease = hands.cluster.find(&lease).await.ok().flatten()?;
    (time(&lease, "/spec/renewTime")? >= began).then_some(())
}
