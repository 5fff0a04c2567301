//! What a kubelet says of its disks: how full they are, and who fills them. Knows the form of
//! `stats/summary`, and the thresholds of the kubelet's own defaults.

use serde_json::Value;

use super::{Cause, Key, Name, cause, text};

/// The disks of one node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeDisk {
    /// Where pods, logs and emptyDirs live (nodefs).
    pub root: Filesystem,
    /// Where images live, when it is another file system.
    pub images: Option<Filesystem>,
    /// What all images take together, in bytes.
    pub images_used: Option<u64>,
    /// What each pod takes of the node's disk, the largest first.
    pub pods: Vec<PodDisk>,
    /// Persistent volumes that are mounted on it.
    pub claims: Vec<ClaimDisk>,
}

/// Bytes and inodes of a file system.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Filesystem {
    pub capacity: u64,
    pub available: u64,
    pub inodes: Option<u64>,
    pub inodes_free: Option<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PodDisk {
    pub key: Key,
    pub uid: Name,
    /// Writable layers, logs and emptyDirs, in bytes.
    pub used: u64,
    pub inodes: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ClaimDisk {
    /// Of the PersistentVolumeClaim.
    pub key: Key,
    pub pod: Key,
    pub filesystem: Filesystem,
}

/// Evicted below this share of free bytes: `--eviction-hard` nodefs.available<10%.
pub const EVICTION: f64 = 0.10;
/// The same of the image file system: imagefs.available<15%.
pub const IMAGE_EVICTION: f64 = 0.15;
/// The same of inodes: nodefs.inodesFree<5%.
pub const INODE_EVICTION: f64 = 0.05;
/// Images are collected from this share of use on: `imageGCHighThresholdPercent` 85. Below 20 % free a
/// person should look (audit, section 3).
pub const LOW: f64 = 0.20;
/// One that takes more than this share of what is used, dominates (audit, section 4).
const DOMINATES: f64 = 0.5;
/// A claim with less than this share free is full (kubernetes-mixin: KubePersistentVolumeFillingUp, 3 %
/// critical, 15 % warning; ours is between, as nothing is predicted here).
pub const CLAIM: f64 = 0.10;

impl Filesystem {
    /// Share of bytes that are free, 0 to 1; None when its size is not known.
    pub fn free(&self) -> Option<f64> {
        (self.capacity > 0).then(|| self.available as f64 / self.capacity as f64)
    }

    pub fn inodes_left(&self) -> Option<f64> {
        let (all, free) = (self.inodes?, self.inodes_free?);
        (all > 0).then(|| free as f64 / all as f64)
    }

    pub fn used(&self) -> u64 {
        self.capacity.saturating_sub(self.available)
    }

    fn read(value: &Value) -> Option<Filesystem> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        Some(Filesystem {
            capacity: number("capacityBytes")?,
            available: number("availableBytes")?,
            inodes: number("inodes"),
            inodes_free: number("inodesFree"),
        })
    }

    /// `4.1 GiB of 80 GiB free (5 %)`.
    pub fn says(&self) -> String {
        let percent = self.free().unwrap_or_default() * 100.0;
        format!("{} of {} free ({percent:.0} %)", text::bytes(self.available), text::bytes(self.capacity))
    }
}

impl NodeDisk {
    /// From the kubelet's `stats/summary`; None when it says nothing of its disk.
    pub fn from_summary(summary: &Value) -> Option<NodeDisk> {
        let root = Filesystem::read(summary.pointer("/node/fs")?)?;
        let image = summary.pointer("/node/runtime/imageFs");
        let separate = image.and_then(Filesystem::read).filter(|image| {
            // The same device shows the same size and, but for the moment, the same room.
            image.capacity != root.capacity || image.available.abs_diff(root.available) > root.capacity / 100
        });
        let pods = summary.get("pods").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut disk = NodeDisk {
            root,
            images: separate,
            images_used: image.and_then(|image| image.get("usedBytes")).and_then(Value::as_u64),
            pods: pods.iter().filter_map(pod).collect(),
            claims: pods.iter().flat_map(claims).collect(),
        };
        disk.pods.sort_by(|one, other| other.used.cmp(&one.used).then_with(|| one.key.cmp(&other.key)));
        disk.claims.sort_by(|one, other| one.key.cmp(&other.key));
        disk.claims.dedup_by(|one, other| one.key == other.key);
        Some(disk)
    }

    /// Low on anything: bytes or inodes, of the root or of the images.
    pub fn is_low(&self) -> bool {
        let low = |fs: &Filesystem| fs.free().is_some_and(|free| free < LOW) || is_short_of_inodes(fs);
        low(&self.root) || self.images.as_ref().is_some_and(low)
    }

    /// At what the kubelet evicts for, by its defaults.
    pub fn is_out(&self) -> bool {
        self.root.free().is_some_and(|free| free < EVICTION)
            || self.images.is_some_and(|images| images.free().is_some_and(|free| free < IMAGE_EVICTION))
            || is_short_of_inodes(&self.root)
            || self.images.as_ref().is_some_and(is_short_of_inodes)
    }

    /// The pod that fills the disk, if one does.
    pub fn hog(&self) -> Option<&PodDisk> {
        let first = self.pods.first()?;
        let dominates = |part: u64, of: u64| of > 0 && part as f64 > of as f64 * DOMINATES;
        let used_inodes = self.root.inodes?.saturating_sub(self.root.inodes_free?);
        let inodes = self.pods.iter().max_by_key(|pod| pod.inodes)?;
        if is_short_of_inodes(&self.root) {
            return dominates(inodes.inodes, used_inodes).then_some(inodes);
        }
        dominates(first.used, self.root.used()).then_some(first)
    }

    /// Claims that are nearly full.
    pub fn full_claims(&self) -> impl Iterator<Item = &ClaimDisk> {
        self.claims.iter().filter(|claim| claim.filesystem.free().is_some_and(|free| free < CLAIM))
    }

    /// What a pod takes of it, in words.
    pub fn takes(&self, pod: &PodDisk) -> String {
        if is_short_of_inodes(&self.root) {
            return format!("{} holds {} files", pod.key, pod.inodes);
        }
        let of = text::bytes(self.root.used());
        format!("{} takes {} of the {of} that are used", pod.key, text::bytes(pod.used))
    }

    /// Who fills it, the likeliest first. Nothing when it is not low.
    pub fn causes(&self) -> Vec<Cause> {
        if !self.is_low() {
            return Vec::new();
        }
        let mut causes = Vec::new();
        let mut put =
            |name: &'static str, weight: f64, says: String| causes.push(Cause { name, says, weight });
        if let Some(left) = self.root.inodes_left().filter(|left| *left < INODE_EVICTION) {
            put(cause::INODES_EXHAUSTED, 0.95, format!("{:.1} % of the inodes are free", left * 100.0));
        }
        if let Some(hog) = self.hog() {
            put(cause::POD_FILLS_DISK, 0.9, self.takes(hog));
        }
        let place = self.images.unwrap_or(self.root);
        let low = place.free().is_some_and(|free| free < LOW);
        if let Some(images) = self.images_used.filter(|images| {
            low && (self.images.is_some() || *images as f64 > place.used() as f64 * DOMINATES)
        }) {
            let says = format!(
                "images take {} of the {} that are used",
                text::bytes(images),
                text::bytes(place.used())
            );
            put(cause::IMAGES_FILL_DISK, 0.85, says);
        }
        if causes.is_empty() {
            let says = format!("{}, and no one pod or image stands out", self.root.says());
            causes.push(Cause { name: cause::DISK_FULL, says, weight: 0.6 });
        }
        causes
    }
}

fn is_short_of_inodes(filesystem: &Filesystem) -> bool {
    filesystem.inodes_left().is_some_and(|left| left < INODE_EVICTION)
}

fn pod(pod: &Value) -> Option<PodDisk> {
    let storage = pod.get("ephemeral-storage")?;
    let number = |name: &str| storage.get(name).and_then(Value::as_u64);
    Some(PodDisk {
        key: reference(pod.get("podRef")?)?,
        uid: pod.pointer("/podRef/uid").and_then(Value::as_str).unwrap_or_default().into(),
        used: number("usedBytes")?,
        inodes: number("inodesUsed").unwrap_or_default(),
    })
}

fn claims(pod: &Value) -> impl Iterator<Item = ClaimDisk> + use<> {
    let owner = pod.get("podRef").and_then(reference);
    let volumes = pod.get("volume").and_then(Value::as_array).cloned().unwrap_or_default();
    volumes.into_iter().filter_map(move |volume| {
        Some(ClaimDisk {
            key: reference(volume.get("pvcRef")?)?,
            pod: owner.clone()?,
            filesystem: Filesystem::read(&volume)?,
        })
    })
}

fn reference(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(text::clean);
    Some(Key::new(text("namespace")?, text("name")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GIB: u64 = 1 << 30;

    fn summary(available: u64, images: u64, pods: &[(u64, u64)], inodes_free: u64) -> NodeDisk {
        let fs = json!({ "capacityBytes": 80 * GIB, "availableBytes": available, "inodes": 1000, "inodesFree": inodes_free });
        let mut image = fs.clone();
        image["usedBytes"] = images.into();
        let pods: Vec<Value> = pods
            .iter()
            .enumerate()
            .map(|(index, (used, inodes))| {
                json!({
                    "podRef": { "namespace": "shop", "name": format!("p{index}"), "uid": "u" },
                    "ephemeral-storage": { "usedBytes": used, "inodesUsed": inodes },
                    "volume": [{ "name": "data", "pvcRef": { "namespace": "shop", "name": "data" }, "capacityBytes": 100, "availableBytes": 2 }],
                })
            })
            .collect();
        NodeDisk::from_summary(
            &json!({ "node": { "fs": fs, "runtime": { "imageFs": image } }, "pods": pods }),
        )
        .expect("a disk")
    }

    fn names(disk: &NodeDisk) -> Vec<&'static str> {
        disk.causes().iter().map(|cause| cause.name).collect()
    }

    #[test]
    fn who_fills_a_disk_is_told_apart() {
        let healthy = summary(40 * GIB, 10 * GIB, &[(GIB, 10)], 900);
        assert!(!healthy.is_low() && healthy.causes().is_empty() && healthy.images.is_none());
        let hog = summary(4 * GIB, 10 * GIB, &[(GIB, 1), (50 * GIB, 10)], 900);
        assert!(hog.is_out());
        assert_eq!(names(&hog), [cause::POD_FILLS_DISK]);
        assert_eq!(hog.hog().map(|pod| &*pod.key.name), Some("p1"));
        assert_eq!(names(&summary(10 * GIB, 50 * GIB, &[(GIB, 1)], 900)), [cause::IMAGES_FILL_DISK]);
        let inodes = summary(40 * GIB, GIB, &[(GIB, 900), (2 * GIB, 5)], 10);
        assert_eq!(names(&inodes), [cause::INODES_EXHAUSTED, cause::POD_FILLS_DISK]);
        assert_eq!(inodes.hog().map(|pod| &*pod.key.name), Some("p0"));
        assert_eq!(names(&summary(4 * GIB, GIB, &[(GIB, 1)], 900)), [cause::DISK_FULL]);
        assert_eq!(healthy.full_claims().count(), 1, "a full claim is not a full node");
    }

    #[test]
    fn a_summary_without_a_disk_is_none() {
        assert_eq!(NodeDisk::from_summary(&json!({ "node": {} })), None);
    }
}
