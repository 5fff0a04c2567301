//! Growing an EBS volume. It never shrinks again; the file system is grown on the machine afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Plan, Seen};
use crate::config::aws::{AwsError, Session, words};
use crate::domain::{Timestamp, between, text};
use crate::guard::{Guard, Hazard, Refusal};

/// Between two modifications of one volume (EBS user guide: six hours; where newer limits apply, four a day).
const BETWEEN: Duration = Duration::from_hours(6);

pub(super) async fn image(session: &Session, volume: &str) -> Result<Value, AwsError> {
    let asked = words(&[("VolumeId.1", volume)]);
    let ec2 = session.ec2();
    let found = ec2.describe("DescribeVolumes", asked.clone()).await?;
    let row = found.at("volumeSet/item").cloned().unwrap_or_default();
    // A volume that was never modified has no modification: some answer with an error.
    let last = match ec2.describe("DescribeVolumesModifications", asked).await {
        Ok(found) => found.each("volumeModificationSet/item").last().cloned().unwrap_or_default(),
        Err(_) => crate::config::aws::Xml::default(),
    };
    Ok(json!({
        "volume": volume,
        "size_gib": row.number::<u32>("size"),
        "type": row.text("volumeType"),
        "machine": row.text("attachmentSet/item/instanceId"),
        "modification": last.text("modificationState"),
        "modified": last.text("startTime"),
        "target_gib": last.number::<u32>("targetSize"),
    }))
}

pub(super) fn plan(volume: &str, size: u32, before: Value, now: Timestamp) -> Result<Plan, Refusal> {
    let Some(current) = before.get("size_gib").and_then(Value::as_u64) else {
        return Err(Refusal::new(format!("EC2 does not know {volume}")));
    };
    let text = |name: &str| before.get(name).and_then(Value::as_str).unwrap_or_default();
    if u64::from(size) <= current {
        return Err(Refusal::new(format!("{volume} has {current} GiB: volumes only grow"))
            .repair(format!("give more than {current}")));
    }
    if ["modifying", "optimizing"].contains(&text("modification")) {
        let says = format!("a modification of {volume} is under way ({})", text("modification"));
        return Err(Refusal::new(says).repair("wait until it is completed"));
    }
    let since = text("modified").parse::<Timestamp>().ok().map(|at| between(at, now));
    let recent = since.filter(|since| *since < BETWEEN).map(|since| {
        let ago = text::span_short(since);
        let says =
            format!("it was modified {ago} ago: AWS may refuse a second time within 6 h (or four in 24 h)");
        Hazard::warn(Guard::Target, says)
    });
    let mut after = before.clone();
    after["size_gib"] = json!(size);
    let plan = Plan {
        title: format!("grow {volume} from {current} to {size} GiB"),
        targets: vec![format!("{volume} at {}", text("machine"))],
        hazards: vec![
            Hazard::note(Guard::Target, "volumes do not shrink: there is no way back"),
            Hazard::note(Guard::Target, "the partition and file system are grown on the machine afterwards"),
        ],
        before,
        after,
        ..Plan::default()
    };
    Ok(plan.hazard(recent))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant; dry for the preview")]
pub(super) async fn modify(session: &Session, volume: &str, size: u32, dry: bool) -> Result<(), AwsError> {
    let asked = words(&[("VolumeId", volume), ("Size", &size.to_string())]);
    session.ec2().change_or_rehearse("ModifyVolume", asked, dry).await.map(drop)
}

pub(super) async fn look(session: &Session, volume: &str, size: u32) -> Result<Seen, AwsError> {
    let now = image(session, volume).await?;
    let state = now.get("modification").and_then(Value::as_str).unwrap_or_default();
    let is = |name: &str| now.get(name).and_then(Value::as_u64) == Some(u64::from(size));
    Ok(match state {
        "failed" if is("target_gib") => Seen::No("EC2 says that it failed".into()),
        // While it optimises, the new size can be used already.
        "optimizing" | "completed" if is("target_gib") => Seen::Yes(format!("modification {state}")),
        _ if is("size_gib") => Seen::Yes(format!("it has {size} GiB")),
        state => {
            Seen::NotYet(format!("modification {}", if state.is_empty() { "not listed" } else { state }))
        }
    })
}
