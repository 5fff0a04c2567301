//! What a node's machine answers to the commands that people type there. Each prints what the real program
//! prints, from the one state of the world.

use serde_json::{Value, json};

use super::World;
use super::disk::{Disk, GIB, image_size};
use super::shelf::Key;

/// What a command came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

fn prints(out: impl Into<String>) -> Ran {
    Ran { code: 0, out: out.into(), err: String::new() }
}

fn fails(code: i32, err: impl Into<String>) -> Ran {
    Ran { code, out: String::new(), err: err.into() }
}

/// Sizes as `df -h` and journald print them.
fn human(bytes: f64) -> String {
    match bytes / GIB {
        gib if gib >= 10.0 => format!("{gib:.0}G"),
        gib if gib >= 1.0 => format!("{gib:.1}G"),
        _ => format!("{:.1}M", bytes / 1_048_576.0),
    }
}

impl World {
    /// Runs a command on a machine, as the user `ec2-user`, who may use sudo.
    pub fn on_machine(&mut self, node: &str, argv: &[String]) -> Ran {
        if self.cluster.nodes.get(&Key::new("", node)).is_none() {
            return fails(255, format!("there is no machine of {node}\n"));
        }
        if self.is_machine_dead(node) {
            return fails(255, format!("ssh: connect to host {node} port 22: Connection timed out\n"));
        }
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let (root, words) = match words.as_slice() {
            ["sudo", "-n", rest @ ..] | ["sudo", rest @ ..] => (true, rest),
            words => (false, words),
        };
        match words {
            [] | ["true"] => prints(""),
            ["id", "-u"] => prints(if root { "0\n" } else { "1000\n" }),
            ["hostname", ..] => prints(format!("{node}\n")),
            ["df", rest @ ..] => self.df(node, rest),
            ["free", ..] => prints(
                "               total        used        free      shared  buff/cache   available\n\
                 Mem:            7821        3120         904           6        3797        4402\n\
                 Swap:              0           0           0\n",
            ),
            ["top", ..] => self.top(node),
            ["findmnt", ..] => prints("/dev/nvme0n1p1 xfs\n"),
            ["lsblk", rest @ ..] => self.lsblk(node, rest.contains(&"-bnro")),
            ["systemctl", rest @ ..] => self.systemctl(node, root, rest),
            ["journalctl", rest @ ..] => self.journalctl(node, root, rest),
            ["crictl", rest @ ..] if root => self.crictl(node, rest),
            ["crictl", ..] => {
                fails(1, "FATA[0000] unable to determine runtime API version: connect: permission denied\n")
            }
            ["ls", "-d", "--", paths @ ..] => listed(paths),
            ["du", rest @ ..] => self.du(node, rest),
            ["find", "/var/log/", ..] => prints(""),
            ["stat", .., path] => {
                fails(1, format!("stat: cannot statx '{path}': No such file or directory\n"))
            }
            ["growpart", rest @ ..] if root => self.growpart(node, rest),
            ["xfs_growfs", ..] if root => self.xfs_growfs(node),
            ["resize2fs", device, ..] if root => fails(
                1,
                format!("resize2fs: Bad magic number in super-block while trying to open {device}\n"),
            ),
            [program, ..] => fails(127, format!("bash: {program}: command not found\n")),
        }
    }

    /// `stats/summary` of a node's kubelet.
    pub fn disk_summary(&mut self, node: &str) -> Option<Value> {
        self.disks.summary(&self.cluster, &self.kubelet, node)
    }

    fn df(&mut self, node: &str, options: &[&str]) -> Ran {
        let disk = self.disks.of(node);
        let reading = disk.read(&self.cluster, node, &self.kubelet);
        let used = disk.capacity - reading.available;
        let percent = (used / disk.capacity * 100.0).ceil();
        if options.contains(&"-iP") {
            let (all, free) = (41_942_464_u64, reading.inodes_free as u64);
            let share = ((all - free) as f64 / all as f64 * 100.0).ceil();
            return prints(format!(
                "Filesystem       Inodes   IUsed    IFree IUse% Mounted on\n/dev/nvme0n1p1 {all} {} {free} {share:.0}% /\n",
                all - free
            ));
        }
        if options.first().is_some_and(|option| option.contains("B1")) {
            return prints(format!(
                "Filesystem        1-blocks         Used   Available Capacity Mounted on\n/dev/nvme0n1p1 {} {} {} {percent:.0}% /\n",
                disk.capacity as u64, used as u64, reading.available as u64
            ));
        }
        prints(format!(
            "Filesystem     Type      Size  Used Avail Use% Mounted on\n\
             devtmpfs       devtmpfs  4.0M     0  4.0M   0% /dev\n\
             tmpfs          tmpfs     3.9G  1.2M  3.9G   1% /run\n\
             /dev/nvme0n1p1 xfs       {}  {}  {} {percent:.0}% /\n",
            human(disk.capacity),
            human(used),
            human(reading.available)
        ))
    }

    fn top(&self, node: &str) -> Ran {
        let mut out = String::from(
            "top - 03:12:00 up 30 days,  1 user,  load average: 0.61, 0.58, 0.51\nTasks: 187 total,   1 running\n\n    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n",
        );
        for (index, pod) in self.cluster.pods_on(node).iter().take(8).enumerate() {
            let name = pod.spec.containers.first().map_or("", |container| container.name.as_str());
            out.push_str(&format!(
                "{:>7} root      20   0 1900000 310000  40000 S   2.0   3.9   9:01.11 {name}\n",
                4000 + index
            ));
        }
        prints(out)
    }

    fn lsblk(&mut self, node: &str, bytes: bool) -> Ran {
        let Disk { device, partition, .. } = self.disks.of(node);
        if bytes {
            return prints(format!(
                "nvme0n1 disk {} \nnvme0n1p1 part {} nvme0n1\nnvme0n1p128 part 10485760 nvme0n1\n",
                *device as u64,
                *partition as u64 - 11_534_336
            ));
        }
        prints(format!(
            "NAME          TYPE SIZE FSTYPE MOUNTPOINT\nnvme0n1       disk {}\n├─nvme0n1p1   part {} xfs    /\n└─nvme0n1p128 part 10M  vfat   /boot/efi\n",
            human(*device),
            human(*partition)
        ))
    }

    fn systemctl(&mut self, node: &str, root: bool, words: &[&str]) -> Ran {
        let stopped = self.kubelet.is_stopped(node);
        match words {
            [verb, "kubelet" | "containerd", ..] => {
                let kubelet = words[1] == "kubelet";
                let down = kubelet && stopped;
                let state = if down { "failed" } else { "active" };
                match *verb {
                    "is-active" => Ran { code: if down { 3 } else { 0 }, ..prints(format!("{state}\n")) },
                    "show" => {
                        let since = self.machine_restarts.get(node).copied().unwrap_or_default();
                        let pid = if down { 0 } else { 812 + since * 17 };
                        prints(format!(
                            "ActiveState={state}\nMainPID={pid}\nActiveEnterTimestamp=start {since}\n"
                        ))
                    }
                    "status" => {
                        let active = if down {
                            "Active: failed (Result: signal); its main process was killed"
                        } else {
                            "Active: active (running)"
                        };
                        let out = format!("● {}.service\n     Loaded: loaded\n     {active}\n", words[1]);
                        Ran { code: if down { 3 } else { 0 }, ..prints(out) }
                    }
                    "restart" | "start" if root => {
                        *self.machine_restarts.entry(node.to_owned()).or_default() += 1;
                        if kubelet {
                            self.restart_kubelet(node);
                        }
                        prints("")
                    }
                    "stop" if root && kubelet => {
                        self.kubelet.stop(node);
                        prints("")
                    }
                    _ => fails(1, "Failed: Interactive authentication required.\n"),
                }
            }
            _ => fails(1, "Unit could not be found.\n"),
        }
    }

    fn journalctl(&mut self, node: &str, root: bool, words: &[&str]) -> Ran {
        if let Some(size) = words.iter().find_map(|word| word.strip_prefix("--vacuum-size=")) {
            if !root {
                return fails(1, "Failed to vacuum: Permission denied\n");
            }
            let number: f64 = size.trim_end_matches(char::is_alphabetic).parse().unwrap_or(500.0);
            let wanted = if size.ends_with('G') { number * GIB } else { number * 1_048_576.0 };
            let disk = self.disks.of(node);
            let freed = (disk.journal - wanted).max(0.0);
            disk.journal -= freed;
            return Ran {
                err: format!("Vacuuming done, freed {} of archived journals.\n", human(freed)),
                ..Ran::default()
            };
        }
        if words.contains(&"--disk-usage") {
            let size = human(self.disks.of(node).journal);
            return prints(format!("Archived and active journals take up {size} in the file system.\n"));
        }
        let host = node.split('.').next().unwrap_or(node);
        let line = |at: &str, who: &str, says: &str| format!("Nov 26 {at} {host} {who}: {says}\n");
        let mut out =
            line("03:01:12", "kubelet[812]", "I1126 03:01:12.118 812 kubelet.go:2510] \"SyncLoop (PLEG)\"");
        let reading = self.disks.of(node).read(&self.cluster, node, &self.kubelet);
        if reading.available < 0.15 * self.disks.of(node).capacity {
            out += &line(
                "03:08:31",
                "kubelet[812]",
                "E1126 03:08:31.402 812 kubelet.go:1435] \"Image garbage collection failed\" err=\"failed to garbage collect required amount of images\"",
            );
        }
        if self.kubelet.is_stopped(node) {
            out += &line(
                "03:09:40",
                "systemd[1]",
                "kubelet.service: Main process exited, code=killed, status=9/KILL",
            );
            out += &line("03:09:40", "systemd[1]", "kubelet.service: Failed with result 'signal'.");
        }
        prints(out)
    }

    fn crictl(&mut self, node: &str, words: &[&str]) -> Ran {
        match words {
            ["images", ..] => prints(self.images_json(node).to_string()),
            ["ps", ..] => {
                let pods = self.cluster.pods_on(node);
                let containers: Vec<Value> = pods
                    .iter()
                    .flat_map(|pod| &pod.spec.containers)
                    .map(|container| json!({ "image": { "image": container.image }, "imageRef": id(&container.image), "state": "CONTAINER_RUNNING" }))
                    .collect();
                prints(json!({ "containers": containers }).to_string())
            }
            ["imagefsinfo"] => {
                let images = self.disks.of(node).read(&self.cluster, node, &self.kubelet).images;
                prints(json!({ "status": { "imageFilesystems": [{ "timestamp": "1", "fsId": { "mountpoint": "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs" }, "usedBytes": { "value": (images as u64).to_string() } }] } }).to_string())
            }
            ["rmi", "--prune"] => {
                let disk = self.disks.of(node);
                let names: Vec<String> =
                    std::mem::take(&mut disk.unused).into_iter().map(|(name, _)| name).collect();
                // The build job has nothing to build on, and stops.
                disk.calm();
                prints(names.iter().map(|name| format!("Deleted: {name}\n")).collect::<String>())
            }
            ["rmi", image] => {
                self.kubelet.forget_image(node, image);
                prints(format!("Deleted: {image}\n"))
            }
            ["pull", image] => match self.kubelet.registry.pull(image, &[], self.cluster.now) {
                Ok(digest) => {
                    self.kubelet.cache_image(node, image);
                    prints(format!("Image is up to date for {digest}\n"))
                }
                Err(why) => fails(1, format!("FATA[0001] pulling image: {why}\n")),
            },
            _ => fails(1, "No help topic\n"),
        }
    }

    fn images_json(&mut self, node: &str) -> Value {
        let row = |name: &str, bytes: f64| json!({ "id": id(name), "repoTags": [name], "repoDigests": [], "size": (bytes as u64).to_string(), "pinned": name.contains("/pause") });
        let used: Vec<String> = self
            .cluster
            .pods_on(node)
            .iter()
            .flat_map(|pod| pod.spec.containers.iter().map(|c| c.image.clone()))
            .collect();
        // What an earlier revision left behind is collected by the kubelet in its own time.
        let mut names: Vec<&String> =
            self.kubelet.images_on(node).filter(|image| used.contains(image)).collect();
        names.sort();
        let mut images: Vec<Value> = names.into_iter().map(|image| row(image, image_size(image))).collect();
        images.extend(self.disks.of(node).unused.iter().map(|(name, bytes)| row(name, *bytes)));
        json!({ "images": images })
    }

    fn du(&mut self, node: &str, words: &[&str]) -> Ran {
        let paths: Vec<&str> = words.iter().copied().filter(|word| word.starts_with('/')).collect();
        let Some(summary) = self.disks.summary(&self.cluster, &self.kubelet, node) else { return prints("") };
        let mut out = String::new();
        for path in paths {
            let mut sum = 0;
            for pod in summary["pods"].as_array().into_iter().flatten() {
                let kib = pod["ephemeral-storage"]["usedBytes"].as_u64().unwrap_or_default() / 1024;
                let of = |field: &str| pod["podRef"][field].as_str().unwrap_or_default().to_owned();
                let folder = match path {
                    "/var/lib/kubelet/pods" => of("uid"),
                    "/var/log/pods" => format!("{}_{}_{}", of("namespace"), of("name"), of("uid")),
                    _ => continue,
                };
                sum += kib;
                out.push_str(&format!("{kib}\t{path}/{folder}\n"));
            }
            out.push_str(&format!("{}\t{path}\n", sum + 64));
        }
        prints(out)
    }

    fn growpart(&mut self, node: &str, words: &[&str]) -> Ran {
        let disk = self.disks.of(node);
        if disk.partition >= disk.device {
            return Ran {
                code: 1,
                ..prints("NOCHANGE: partition 1 is size 167751647. it cannot be grown\n")
            };
        }
        if !words.contains(&"--dry-run") {
            disk.partition = disk.device;
        }
        prints(
            "CHANGE: partition=1 start=24576 old: size=167747551 end=167772127 new: size=419405791 end=419430367\n",
        )
    }

    fn xfs_growfs(&mut self, node: &str) -> Ran {
        let disk = self.disks.of(node);
        disk.capacity = disk.partition;
        prints("data blocks changed\n")
    }
}

fn listed(paths: &[&str]) -> Ran {
    let there = [
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/lib/kubelet/pods",
        "/var/log",
        "/var/log/pods",
        "/var/log/journal",
    ];
    let found: String =
        paths.iter().filter(|path| there.contains(*path)).map(|path| format!("{path}\n")).collect();
    prints(found)
}

/// The id of an image: always the same for a name.
fn id(image: &str) -> String {
    let sum: u64 = image.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("sha256:{sum:016x}")
}
