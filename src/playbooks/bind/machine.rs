//! Actions on the nodes' machines from the arguments of a step.

use crate::domain::{DockerWaste, Folders, Name, OnMachine, Unit};

use super::{Args, Bound, missing};

/// Lines of the kubelet's log, as in the original.
const LINES: u32 = 500;

pub(super) fn bind(args: &Args<'_>) -> Bound<OnMachine> {
    let node: Name = args.name("node")?;
    let action = match args.verb.name {
        "disk-space" => OnMachine::DiskSpace { node },
        "host-resources" => OnMachine::HostResources { node },
        "kubelet-log" => OnMachine::KubeletLog { node, lines: args.maybe_count("lines")?.unwrap_or(LINES) },
        "service-status" => OnMachine::ServiceStatus { node, unit: unit(args)? },
        "folder-sizes" => {
            let folders = match args.text("folders")?.as_str() {
                "runtime" => Folders::Runtime,
                "pods" => Folders::Pods,
                _ => Folders::Logs,
            };
            OnMachine::FolderSizes { node, folders }
        }
        "machine-images" => OnMachine::MachineImages { node },
        "block-devices" => OnMachine::BlockDevices { node },
        "large-logs" => OnMachine::LargeLogs { node },
        "restart-service" => OnMachine::RestartService { node, unit: unit(args)? },
        "prune-images" => OnMachine::PruneImages { node },
        "vacuum-journal" => OnMachine::VacuumJournal { node, size: args.text("size")? },
        "grow-filesystem" => {
            let path = args.maybe("path")?.unwrap_or_else(|| "/".to_owned());
            OnMachine::GrowFilesystem { node, path }
        }
        "truncate-logs" => {
            let files = args.text("files")?.split_whitespace().map(str::to_owned).collect();
            OnMachine::TruncateLogs { node, files }
        }
        "pull-image" => OnMachine::PullImage { node, image: args.text("image")? },
        "remove-image" => OnMachine::RemoveImage { node, image: args.text("image")? },
        "docker-prune" => {
            let what = if args.text("what")? == "images" { DockerWaste::Images } else { DockerWaste::System };
            OnMachine::DockerPrune { node, what }
        }
        "docker-prune-volumes" => OnMachine::DockerPruneVolumes { node },
        _ => return Err(args.cannot()),
    };
    match action.unfit() {
        Some(says) => Err(missing(args.verb.name, says)),
        None => Ok(action),
    }
}

fn unit(args: &Args<'_>) -> Bound<Unit> {
    Ok(if args.text("unit")? == "containerd" { Unit::Containerd } else { Unit::Kubelet })
}
