//! What would happen to a machine, looked up there: the exact images, files and sizes, and what speaks
//! against it.

use super::facts::{Facts, says_waste};
use super::{Reached, change, reach, refusal};
use crate::domain::{Action, Kind, OnMachine, Timestamp, Unit, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo};
use crate::hands::{Hands, hazards};
use crate::probes::machine::LOOK;
use crate::probes::object::{items, string};

pub(in crate::hands) async fn draft(
    hands: &Hands,
    action: Action,
    command: &OnMachine,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    if let Some(says) = command.unfit() {
        return Err(Refusal::new(says));
    }
    let reached = reach(hands, command).await?;
    let drafted = looked_up(hands, action, command, &reached, at).await;
    reached.machine.close().await;
    drafted
}

async fn looked_up(
    hands: &Hands,
    action: Action,
    command: &OnMachine,
    reached: &Reached<'_>,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let machine = &reached.machine;
    let facts = Facts::of(machine, command).await.map_err(refusal)?;
    let lines = change::lines(command, &facts);
    let mut hazards = Vec::new();
    if lines.iter().any(|line| line.as_root)
        && let Err(none) = machine.look_as_root(&["true"], LOOK).await
    {
        hazards.push(Hazard::stop(Guard::Permission, none.to_string()));
    }
    let mut diff: Vec<(DiffTone, String)> = lines
        .iter()
        .map(|line| (DiffTone::Place, text::clean(&format!("$ {}", line.line(machine.is_root())))))
        .collect();
    let title = describe(command, &facts, &mut diff, &mut hazards);
    if matches!(command, OnMachine::PruneImages { .. } | OnMachine::DockerPrune { .. }) {
        hazards.extend(pulls_fail(hands).await);
    }
    hazards.extend(hazards::protected(hands));
    hazards.sort_by_key(|hazard| std::cmp::Reverse(hazard.level));
    diff.truncate(2_000);
    let ssh = reached.ssh.as_command(machine.host());
    let pasted: Vec<String> = lines.iter().map(|line| line.over(&ssh, machine.is_root())).collect();
    Ok(Draft {
        at,
        title,
        targets: vec![format!("node/{} at {}", command.node(), machine.host())],
        diff,
        pins: vec![reached.pin.clone()],
        before: facts.to_json(),
        undo: undo(command, &facts, reached),
        command: pasted.join("; "),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

/// The title, what changes, and what speaks against it.
fn describe(
    command: &OnMachine,
    facts: &Facts,
    diff: &mut Vec<(DiffTone, String)>,
    hazards: &mut Vec<Hazard>,
) -> String {
    let node = command.node();
    let mut add = |tone: DiffTone, line: String| diff.push((tone, text::clean(&line)));
    match (command, facts) {
        (OnMachine::RestartService { unit, .. }, Facts::Service { state, pid, since }) => {
            add(DiffTone::Same, format!("{} is {state} (process {pid}, since {since})", unit.as_str()));
            let says = match unit {
                Unit::Kubelet => "pods stay where they are; nobody manages them until it is back",
                Unit::Containerd => "containers go on; none can be started or stopped until it is back",
            };
            hazards.push(Hazard::note(Guard::Target, says));
            format!("restart {} on {node}", unit.as_str())
        }
        (OnMachine::PruneImages { .. }, Facts::Images(images)) => {
            let bytes: u64 = images.iter().map(|image| image.bytes).sum();
            for image in images {
                add(DiffTone::Removed, format!("{}  {}", image.name, text::bytes(image.bytes)));
            }
            if images.is_empty() {
                hazards.push(Hazard::stop(Guard::Target, "every image is used: nothing would go"));
            }
            let note = "they are pulled again when they are needed; layers that others share stay";
            hazards.push(Hazard::note(Guard::Target, note));
            let count = text::count(images.len(), "unused image");
            format!("remove {count} from {node}, {} at most", text::bytes(bytes))
        }
        (OnMachine::VacuumJournal { size, .. }, Facts::Journal(bytes)) => {
            let now = bytes.map_or("of unknown size".to_owned(), text::bytes);
            add(DiffTone::Removed, format!("journal {now}"));
            add(DiffTone::Added, format!("journal {size} at most"));
            let says = "the oldest entries are gone for good: read first what you may need";
            hazards.push(Hazard::warn(Guard::Evidence, says));
            format!("shorten the journal of {node} from {now} to {size}")
        }
        (OnMachine::GrowFilesystem { path, .. }, Facts::Growth { .. }) => {
            growing(node, path, facts, &mut add, hazards)
        }
        (OnMachine::TruncateLogs { .. }, Facts::Files(files)) => {
            for file in files {
                add(DiffTone::Removed, format!("{}  {}", file.path, text::bytes(file.bytes)));
                if !file.is_regular {
                    hazards.push(Hazard::stop(Guard::Target, format!("{} is no plain file", file.path)));
                }
            }
            hazards.push(Hazard::warn(Guard::Evidence, "what is written in them is gone for good"));
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            format!("empty {} on {node}, {}", text::count(files.len(), "log"), text::bytes(bytes))
        }
        (OnMachine::PullImage { image, .. }, Facts::Images(known)) => {
            add(DiffTone::Added, format!("{image} on {node}"));
            if !known.is_empty() {
                hazards.push(Hazard::note(
                    Guard::Target,
                    "it is there already: this only asks the registry again",
                ));
            }
            let note = "with the runtime's own credentials: pull secrets of pods are not used";
            hazards.push(Hazard::note(Guard::Target, note));
            format!("pull {image} on {node}")
        }
        (OnMachine::RemoveImage { image, .. }, Facts::Images(known)) => {
            add(DiffTone::Removed, format!("{image} on {node}"));
            if known.is_empty() {
                hazards.push(Hazard::stop(Guard::Target, "it is not there"));
            }
            if known.iter().any(|image| image.used) {
                hazards.push(Hazard::stop(Guard::Target, "a container uses it"));
            }
            format!("remove {image} from {node}")
        }
        (OnMachine::DockerPrune { what, .. }, Facts::Docker(lines)) => {
            lines.iter().for_each(|line| add(DiffTone::Same, line.clone()));
            hazards.push(Hazard::warn(Guard::Evidence, "logs of stopped containers go with them"));
            format!("let Docker on {node} remove {}", says_waste(*what))
        }
        (OnMachine::DockerPruneVolumes { .. }, Facts::Docker(lines)) => {
            lines.iter().for_each(|line| add(DiffTone::Removed, format!("volume {line}")));
            if lines.is_empty() {
                hazards.push(Hazard::stop(Guard::Target, "every volume is used: nothing would go"));
            }
            hazards.push(Hazard::warn(Guard::Evidence, "the data in these volumes cannot come back"));
            format!("delete {} of Docker on {node}", text::count(lines.len(), "volume"))
        }
        _ => format!("change {node}"),
    }
}

fn growing(
    node: &str,
    path: &str,
    facts: &Facts,
    add: &mut impl FnMut(DiffTone, String),
    hazards: &mut Vec<Hazard>,
) -> String {
    let Facts::Growth { growth, bytes, dry_run, can_grow } = facts else { return String::new() };
    add(DiffTone::Removed, format!("{path} {} on {}", text::bytes(*bytes), growth.source));
    add(DiffTone::Added, format!("{path} about {}", text::bytes(growth.disk_bytes)));
    dry_run.lines().filter(|line| !line.trim().is_empty()).take(12).for_each(|line| {
        add(DiffTone::Same, line.to_owned());
    });
    // A file system that is smaller than its partition can still grow into it.
    let inside = growth.part_bytes > bytes.saturating_add(growth.part_bytes / 10);
    if !can_grow && growth.partition.is_some() && !inside {
        let says = "the partition has all of its disk: enlarge the volume first";
        hazards.push(Hazard::stop(Guard::Target, says));
    }
    hazards.push(Hazard::warn(Guard::Target, "a file system cannot be made smaller again"));
    format!("grow {path} of {node} ({}) to the size of its disk", growth.filesystem)
}

/// Images that go now may not come back while a registry fails (audit, section 4).
async fn pulls_fail(hands: &Hands) -> Option<Hazard> {
    let pending = hands.cluster.list(Kind::Pod, "", "", "status.phase=Pending").await.ok()?;
    let waits = pending.iter().any(|pod| {
        items(pod, "/status/containerStatuses").iter().any(|status| {
            matches!(
                string(status, "/state/waiting/reason"),
                "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable"
            )
        })
    });
    let says = "pods wait for images that do not come: what goes now may not come back either";
    waits.then(|| Hazard::warn(Guard::Target, says))
}

/// Only a pulled image can be taken back.
fn undo(command: &OnMachine, facts: &Facts, reached: &Reached<'_>) -> Option<Undo> {
    let (OnMachine::PullImage { node, image }, Facts::Images(known)) = (command, facts) else { return None };
    known.is_empty().then(|| Undo {
        action: Action::Machine(OnMachine::RemoveImage { node: node.clone(), image: image.clone() }),
        says: format!("remove {image} again"),
        left: vec![reached.pin.clone()],
    })
}

/// The same once it was pulled.
pub(super) fn way_back(command: &OnMachine, before: &Facts, reached: &Reached<'_>) -> Option<Undo> {
    undo(command, before, reached)
}
