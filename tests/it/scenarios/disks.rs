//! What kubelets say of their disks, from compact rows.

use covet_tui::domain::{ClaimDisk, Fact, Filesystem, Key, Name, NodeDisk, Observation, Origin, PodDisk};
use jiff::SignedDuration;
use serde::Deserialize;

use super::world::{ago, bytes, now};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRow {
    node: String,
    #[serde(default = "DiskRow::usual")]
    size: String,
    free: String,
    /// Percent of the inodes that are free.
    #[serde(default = "DiskRow::half")]
    inodes: u64,
    /// What images take.
    images: Option<String>,
    /// `namespace/name` and what it takes, or how many inodes in thousandths of all.
    #[serde(default)]
    pods: Vec<(String, String)>,
    #[serde(default)]
    pod_inodes: Vec<(String, u64)>,
    /// `namespace/name`, its pod, size, free.
    #[serde(default)]
    claims: Vec<(String, String, String, String)>,
    /// Free shares before, oldest first, two minutes apart; the row itself is the last.
    #[serde(default)]
    before: Vec<f64>,
    /// How long ago the kubelet was asked last.
    asked: Option<String>,
}

impl DiskRow {
    fn usual() -> String {
        "80Gi".into()
    }
    fn half() -> u64 {
        50
    }
}

/// What Prometheus has of a node's disk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskHistoryRow {
    pub node: String,
    #[serde(default = "root")]
    pub mountpoint: String,
    /// Percent free: `60..35 for 6h`, oldest first; sampled every 10 min.
    pub free: Vec<String>,
    /// The line ended this long ago.
    pub ended: Option<String>,
}

fn root() -> String {
    "/".into()
}

const INODES: u64 = 1_000_000;

fn key(text: &str) -> Key {
    let (namespace, name) = text.split_once('/').unwrap_or_else(|| panic!("{text} is not namespace/name"));
    Key::new(namespace, name)
}

pub fn looks(rows: &[DiskRow]) -> Vec<Observation> {
    let mut looks = Vec::new();
    for row in rows {
        let at = row.asked.as_deref().map_or_else(now, ago);
        let node: Name = row.node.as_str().into();
        let disk = disk(row);
        let mut see = |at, disk: NodeDisk| {
            let seen = Ok(Fact::NodeDisks(vec![(node.clone(), disk)]));
            looks.push(Observation { at, origin: Origin::NodeDisks, seen });
        };
        for (index, free) in row.before.iter().enumerate() {
            let earlier = SignedDuration::from_mins(2 * (row.before.len() - index) as i64);
            let mut then = disk.clone();
            then.root.available = (then.root.capacity as f64 * free) as u64;
            see(at - earlier, then);
        }
        see(at, disk);
    }
    looks
}

fn disk(row: &DiskRow) -> NodeDisk {
    let root = Filesystem {
        capacity: bytes(&row.size),
        available: bytes(&row.free),
        inodes: Some(INODES),
        inodes_free: Some(INODES * row.inodes / 100),
    };
    let mut pods: Vec<PodDisk> = row
        .pods
        .iter()
        .map(|(name, used)| PodDisk {
            key: key(name),
            uid: name.as_str().into(),
            used: bytes(used),
            inodes: 0,
        })
        .collect();
    for (name, inodes) in &row.pod_inodes {
        pods.push(PodDisk {
            key: key(name),
            uid: name.as_str().into(),
            used: 1,
            inodes: INODES / 1000 * inodes,
        });
    }
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.used));
    let claims = row.claims.iter().map(|(claim, pod, size, free)| ClaimDisk {
        key: key(claim),
        pod: key(pod),
        filesystem: Filesystem {
            capacity: bytes(size),
            available: bytes(free),
            inodes: None,
            inodes_free: None,
        },
    });
    NodeDisk {
        root,
        images: None,
        images_used: row.images.as_deref().map(bytes),
        claims: claims.collect(),
        pods,
    }
}
