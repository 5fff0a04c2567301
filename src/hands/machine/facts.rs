//! What is seen of a machine before it is changed, and whether that still holds. Journalled with the entry, so
//! that it is known afterwards what was there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::ssh::{Machine, NoResult};
use crate::domain::{DockerWaste, OnMachine, Unit, text};
use crate::probes::machine::{Growth, Image, LOOK, growth, images, journal_size, unused};

/// What a change is about, as it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Facts {
    Service {
        state: String,
        pid: String,
        since: String,
    },
    /// Images that would go, or the image that is asked for.
    Images(Vec<Image>),
    /// Bytes; None when the journal does not say.
    Journal(Option<u64>),
    Growth {
        growth: Growth,
        bytes: u64,
        dry_run: String,
        can_grow: bool,
    },
    Files(Vec<File>),
    /// What Docker says it could free.
    Docker(Vec<String>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) inode: String,
    pub(super) bytes: u64,
    pub(super) is_regular: bool,
}

impl Facts {
    pub(super) async fn of(machine: &Machine, command: &OnMachine) -> Result<Facts, NoResult> {
        match command {
            OnMachine::RestartService { unit, .. } => service(machine, *unit).await,
            OnMachine::PruneImages { .. } => Ok(Facts::Images(unused(machine).await?)),
            OnMachine::PullImage { image, .. } | OnMachine::RemoveImage { image, .. } => {
                let mut all = images(machine).await?;
                all.retain(|known| is_named(known, image));
                Ok(Facts::Images(all))
            }
            OnMachine::VacuumJournal { .. } => Ok(Facts::Journal(journal_size(machine).await?)),
            OnMachine::GrowFilesystem { path, .. } => growing(machine, path).await,
            OnMachine::TruncateLogs { files, .. } => stat(machine, files).await,
            OnMachine::DockerPrune { .. } => docker(machine, &["docker", "system", "df"]).await,
            OnMachine::DockerPruneVolumes { .. } => {
                docker(machine, &["docker", "volume", "ls", "-q", "-f", "dangling=true"]).await
            }
            _ => Err(NoResult { says: "a read needs no hands".into(), repair: None }),
        }
    }

    /// For the journal.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Facts::Service { state, pid, since } => json!({ "state": state, "pid": pid, "since": since }),
            Facts::Images(images) => images
                .iter()
                .map(|image| json!({ "id": image.id, "name": image.name, "bytes": image.bytes, "used": image.used }))
                .collect(),
            Facts::Journal(bytes) => json!({ "journal_bytes": bytes }),
            Facts::Growth { growth, bytes, .. } => json!({
                "filesystem": growth.filesystem, "source": growth.source, "partition": growth.partition,
                "disk_bytes": growth.disk_bytes, "part_bytes": growth.part_bytes, "bytes": bytes,
            }),
            Facts::Files(files) => files
                .iter()
                .map(|file| json!({ "path": file.path, "inode": file.inode, "bytes": file.bytes }))
                .collect(),
            Facts::Docker(lines) => json!({ "docker": lines }),
        }
    }

    /// Why what was confirmed is not what would happen now, if it is so. More that would go than was shown is
    /// a reason; less is none.
    pub(super) fn moved_since(&self, before: &Value, command: &OnMachine) -> Option<String> {
        let text = |name: &str| before.get(name).and_then(Value::as_str).unwrap_or_default();
        let known = |name: &str| -> BTreeSet<String> {
            let rows = before.as_array().map_or(&[][..], Vec::as_slice);
            rows.iter().filter_map(|row| row.get(name)?.as_str()).map(str::to_owned).collect()
        };
        match self {
            Facts::Service { state, pid, .. } => match (text("state"), state.as_str()) {
                ("active", "active") if text("pid") != pid => {
                    Some("it was restarted since you saw it".into())
                }
                ("active", _) => None,
                (was, "active") => Some(format!("it is active by now (it was {was})")),
                _ => None,
            },
            Facts::Images(images) if matches!(command, OnMachine::PruneImages { .. }) => {
                let known = known("id");
                let more: Vec<&Image> = images.iter().filter(|image| !known.contains(&image.id)).collect();
                match more.first() {
                    Some(first) => Some(format!(
                        "{} more would go, e.g. {}",
                        text::count(more.len(), "image"),
                        first.name
                    )),
                    None if images.is_empty() => Some("no image is unused any more".into()),
                    None => None,
                }
            }
            Facts::Images(images) => {
                let used = images.iter().find(|image| image.used);
                let removes = matches!(command, OnMachine::RemoveImage { .. });
                used.filter(|_| removes).map(|image| format!("{} is used by a container by now", image.name))
            }
            Facts::Growth { growth, .. } => {
                let same = text("source") == growth.source && text("filesystem") == growth.filesystem;
                (!same).then(|| format!("{} is mounted from something else by now", growth.path))
            }
            Facts::Files(files) => {
                let inodes = known("inode");
                files
                    .iter()
                    .find(|file| !inodes.contains(&file.inode) || !file.is_regular)
                    .map(|file| format!("{} is another file by now", file.path))
            }
            Facts::Docker(lines) if matches!(command, OnMachine::DockerPruneVolumes { .. }) => {
                let known: Vec<&str> = before
                    .get("docker")
                    .and_then(Value::as_array)
                    .map(|names| names.iter().filter_map(Value::as_str).collect())
                    .unwrap_or_default();
                lines
                    .iter()
                    .find(|line| !known.contains(&line.as_str()))
                    .map(|line| format!("volume {line} would go too"))
            }
            Facts::Journal(_) | Facts::Docker(_) => None,
        }
    }

    /// Whether a look after an unseen end shows that it happened.
    pub(super) fn shows_effect(&self, before: &Facts, command: &OnMachine) -> bool {
        match (self, before) {
            (Facts::Service { state, pid, since }, Facts::Service { pid: old, since: then, .. }) => {
                state == "active" && (pid != old || since != then)
            }
            (Facts::Images(now), Facts::Images(then)) => match command {
                OnMachine::PullImage { .. } => now.len() > then.len(),
                _ => now.len() < then.len(),
            },
            (Facts::Journal(Some(now)), Facts::Journal(Some(then))) => now < then,
            (Facts::Growth { bytes: now, .. }, Facts::Growth { bytes: then, .. }) => now > then,
            (Facts::Files(now), Facts::Files(then)) => {
                now.iter().zip(then).any(|(now, then)| now.bytes < then.bytes)
            }
            (Facts::Docker(now), Facts::Docker(then)) => now != then,
            _ => false,
        }
    }
}

/// The runtime adds the registry and `library/` to short names.
pub(super) fn is_named(image: &Image, name: &str) -> bool {
    let tagged = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
    };
    let (wanted, has) = (tagged(name), image.name.as_str());
    has == wanted || has == format!("docker.io/{wanted}") || has == format!("docker.io/library/{wanted}")
}

async fn service(machine: &Machine, unit: Unit) -> Result<Facts, NoResult> {
    let properties = "ActiveState,MainPID,ActiveEnterTimestamp";
    let ran = machine.look(&["systemctl", "show", unit.as_str(), "-p", properties], LOOK).await?;
    let value = |name: &str| {
        let line = ran.out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        text::clean(line.unwrap_or_default())
    };
    let state = value("ActiveState");
    if state.is_empty() {
        let says =
            format!("systemd on {} does not know {}: {}", machine.host(), unit.as_str(), ran.complaint());
        return Err(NoResult { says, repair: None });
    }
    Ok(Facts::Service { state, pid: value("MainPID"), since: value("ActiveEnterTimestamp") })
}

async fn growing(machine: &Machine, path: &str) -> Result<Facts, NoResult> {
    let growth = growth(machine, path).await?;
    if growth.grow().is_none() {
        let says = format!("nothing here knows how to grow a file system of type {}", growth.filesystem);
        return Err(NoResult { says, repair: Some("grow it by hand".into()) });
    }
    let size = machine.look(&["df", "-PB1", path], LOOK).await?;
    let bytes = size.out.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    let (mut dry_run, mut can_grow) = (String::new(), true);
    if let Some((disk, number)) = &growth.partition {
        let number = number.to_string();
        let tried = machine.look_as_root(&["growpart", "--dry-run", disk, &number], LOOK).await?;
        if tried.code == 127 || tried.err.contains("command not found") {
            let says = format!("there is no growpart on {}", machine.host());
            let repair = "install cloud-guest-utils (Debian) or cloud-utils-growpart (Amazon Linux) there";
            return Err(NoResult { says, repair: Some(repair.into()) });
        }
        dry_run = format!("{}\n{}", tried.out, tried.err);
        can_grow = tried.is_ok() && !dry_run.contains("NOCHANGE");
    }
    Ok(Facts::Growth { growth, bytes: bytes.unwrap_or_default(), dry_run, can_grow })
}

async fn stat(machine: &Machine, files: &[String]) -> Result<Facts, NoResult> {
    let mut argv = vec!["stat", "-c", "%i\t%s\t%F\t%n", "--"];
    argv.extend(files.iter().map(String::as_str));
    let ran = machine.look_as_root(&argv, LOOK).await?;
    let mut found = Vec::new();
    for path in files {
        let row = ran.out.lines().find_map(|line| {
            let mut parts = line.splitn(4, '\t');
            let (inode, bytes, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            (name == path).then(|| File {
                path: path.clone(),
                inode: inode.to_owned(),
                bytes: bytes.parse().unwrap_or_default(),
                is_regular: kind.starts_with("regular"),
            })
        });
        let Some(file) = row else {
            let says = format!("there is no {path} on {}", machine.host());
            return Err(NoResult { says, repair: Some("look at the logs there again".into()) });
        };
        found.push(file);
    }
    Ok(Facts::Files(found))
}

async fn docker(machine: &Machine, argv: &[&str]) -> Result<Facts, NoResult> {
    let ran = machine.look_as_root(argv, LOOK).await?;
    if !ran.is_ok() {
        let says = format!("Docker on {} says: {}", machine.host(), ran.complaint());
        return Err(NoResult { says, repair: Some("on containerd use the steps with crictl".into()) });
    }
    Ok(Facts::Docker(ran.out.lines().map(text::clean).filter(|line| !line.trim().is_empty()).collect()))
}

/// For a title.
pub(super) fn says_waste(what: DockerWaste) -> &'static str {
    match what {
        DockerWaste::System => "stopped containers, unused networks, dangling images and the build cache",
        DockerWaste::Images => "every image that no container uses",
    }
}
