//! The root volumes of the nodes' instances as EBS has them: their size, and growing them. It knows sizes, not what is
//! on them; partitions and file systems are grown on the machine.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::World;
use super::cluster::later;
use super::disk::{Disks, GIB};
use super::ec2::{Instance, InstanceState};

/// Seconds until a volume has its new size, and until it has spread out over it.
const MODIFYING: f64 = 8.0;
const OPTIMIZING: f64 = 600.0;
/// Between two modifications of one volume (EBS user guide).
const BETWEEN: f64 = 6.0 * 3600.0;

/// The root volume of an instance.
#[derive(Clone, Debug)]
pub struct Volume {
    pub id: String,
    pub instance: Instance,
    pub size_gib: u32,
    pub modification: Option<Modification>,
}

/// A volume on its way to another size.
#[derive(Clone, Debug)]
pub struct Modification {
    pub from_gib: u32,
    pub to_gib: u32,
    pub began: Timestamp,
    /// When it has its new size, and when that is all.
    sized: Timestamp,
    done: Timestamp,
    /// Before then it is not modified again.
    again: Timestamp,
}

/// Why a volume is not modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmodified {
    Absent,
    NotLarger,
    TooSoon,
}

impl Modification {
    /// As EC2 writes it, and how far it is in percent.
    pub fn state(&self, now: Timestamp) -> (&'static str, u8) {
        match now {
            _ if now < self.sized => ("modifying", 0),
            _ if now < self.done => ("optimizing", 40),
            _ => ("completed", 100),
        }
    }
}

/// The modifications that there were, by volume.
#[derive(Default)]
pub struct Modifications(BTreeMap<String, (String, Modification)>);

impl Modifications {
    /// Gives the machines what their volumes have grown to.
    pub(super) fn tick(&mut self, disks: &mut Disks, now: Timestamp) {
        for (node, modification) in self.0.values().filter(|(_, modification)| modification.sized <= now) {
            let disk = disks.of(node);
            disk.device = disk.device.max(f64::from(modification.to_gib) * GIB);
        }
    }
}

/// An instance and its root volume have the same number.
fn id_of(instance: &Instance) -> String {
    instance.id.replacen("i-", "vol-", 1)
}

impl World {
    /// Every volume: the root of each instance that still has one.
    pub fn volumes(&mut self) -> Vec<Volume> {
        let instances: Vec<Instance> =
            self.instances().filter(|one| one.state != InstanceState::Terminated).cloned().collect();
        let volume = |instance: Instance| Volume {
            id: id_of(&instance),
            size_gib: (self.disks.of(&instance.node).device / GIB) as u32,
            modification: self.modifications.0.get(&id_of(&instance)).map(|(_, known)| known.clone()),
            instance,
        };
        instances.into_iter().map(volume).collect()
    }

    /// Whether a volume can be grown to this size now.
    ///
    /// # Errors
    /// Why not.
    pub fn can_grow(&mut self, id: &str, to_gib: u32) -> Result<Volume, Unmodified> {
        let now = self.cluster.now;
        let volume = self.volumes().into_iter().find(|volume| volume.id == id).ok_or(Unmodified::Absent)?;
        if to_gib <= volume.size_gib {
            return Err(Unmodified::NotLarger);
        }
        match &volume.modification {
            Some(last) if now < last.again => Err(Unmodified::TooSoon),
            _ => Ok(volume),
        }
    }

    /// Grows a volume.
    ///
    /// # Errors
    /// Why it is not grown.
    pub fn grow_volume(&mut self, id: &str, to_gib: u32) -> Result<Modification, Unmodified> {
        let volume = self.can_grow(id, to_gib)?;
        let now = self.cluster.now;
        let after = |seconds: f64| -> Timestamp {
            let lasting: SignedDuration = self.cluster.lasting(seconds);
            later(now, lasting)
        };
        let modification = Modification {
            from_gib: volume.size_gib,
            to_gib,
            began: now,
            sized: after(MODIFYING),
            done: after(MODIFYING + OPTIMIZING),
            again: after(BETWEEN),
        };
        self.modifications.0.insert(volume.id, (volume.instance.node, modification.clone()));
        Ok(modification)
    }
}
