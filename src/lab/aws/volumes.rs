//! EC2's volumes: the root of each instance, and growing it.

use super::ec2::filters;
use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, millis};
use crate::lab::world::{Modification, Unmodified, Volume, World};

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeVolumes" => {
            let found = volumes(world, asked)?;
            Ok(list("volumeSet", "item", found.iter().map(volume)))
        }
        "DescribeVolumesModifications" => {
            let (found, now) = (volumes(world, asked)?, world.now());
            let changed = found.iter().filter_map(|volume| {
                let modification = volume.modification.as_ref()?;
                Some(fields(&volume.id, modification, modification.state(now)))
            });
            Ok(list("volumeModificationSet", "item", changed))
        }
        "ModifyVolume" => {
            let id = asked.needed("VolumeId")?.to_owned();
            let size = asked.needed("Size")?;
            let says = format!("Value ({size}) for parameter size is invalid");
            let size = size.parse().map_err(|_| Failure::new("InvalidParameterValue", says))?;
            world.can_grow(&id, size).map_err(|why| refused(why, &id))?;
            asked.rehearse()?;
            let now = world.now();
            let modification = world.grow_volume(&id, size).map_err(|why| refused(why, &id))?;
            Ok(element("volumeModification", [fields(&id, &modification, modification.state(now))]))
        }
        _ => Err(Failure::action(asked.action())),
    }
}

fn refused(why: Unmodified, id: &str) -> Failure {
    match why {
        Unmodified::Absent => absent(id),
        Unmodified::NotLarger => {
            Failure::new("InvalidParameterValue", "New size cannot be smaller than existing size")
        }
        Unmodified::TooSoon => {
            let says = "You've reached the maximum modification rate per volume limit. Wait at least 6 hours \
                        between modifications per EBS volume.";
            Failure::new("VolumeModificationRateExceeded", says)
        }
    }
}

fn absent(id: &str) -> Failure {
    Failure::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

/// Those that are asked for, by their own ids or by the instance they are attached to; or all.
fn volumes(world: &mut World, asked: &Asked) -> Result<Vec<Volume>, Failure> {
    let attached = filters(asked, &["attachment.instance-id"])?;
    let ids = asked.list("VolumeId");
    let mut found = world.volumes();
    if let Some(missing) = ids.iter().find(|id| !found.iter().any(|volume| volume.id == **id)) {
        return Err(absent(missing));
    }
    found.retain(|volume| ids.is_empty() || ids.contains(&volume.id.as_str()));
    found.retain(|volume| attached.as_ref().is_none_or(|to| to.contains(&volume.instance.id.as_str())));
    Ok(found)
}

fn volume(volume: &Volume) -> String {
    let launched = millis(volume.instance.launched);
    let attachment = [
        text("volumeId", &volume.id),
        text("instanceId", &volume.instance.id),
        text("device", "/dev/xvda"),
        text("status", "attached"),
        text("attachTime", &launched),
        text("deleteOnTermination", true),
    ];
    [
        text("volumeId", &volume.id),
        text("size", volume.size_gib),
        text("availabilityZone", &volume.instance.zone),
        text("status", "in-use"),
        text("createTime", &launched),
        list("attachmentSet", "item", [attachment.concat()]),
        text("volumeType", "gp3"),
        text("iops", 3000),
        text("throughput", 125),
        text("encrypted", true),
    ]
    .concat()
}

fn fields(id: &str, modification: &Modification, (state, progress): (&str, u8)) -> String {
    [
        text("volumeId", id),
        text("modificationState", state),
        text("originalSize", modification.from_gib),
        text("targetSize", modification.to_gib),
        text("originalVolumeType", "gp3"),
        text("targetVolumeType", "gp3"),
        text("progress", progress),
        text("startTime", millis(modification.began)),
    ]
    .concat()
}
