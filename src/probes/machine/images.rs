//! The images on a machine, and which of them no container uses.

use serde_json::Value;

use super::{LOOK, missing};
use crate::config::ssh::{Machine, NoResult, Ran};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::object::{flag, items, string};

/// Unused images are worth removing from this many bytes on: our own choice, a tenth of a small root disk.
const WORTH: u64 = 2 << 30;
/// Images that are shown one by one.
const SHOWN: usize = 40;

/// An image on a machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Image {
    pub id: String,
    /// As people name it: its first tag, else its digest, else its id.
    pub name: String,
    pub bytes: u64,
    pub used: bool,
    /// The runtime never removes it (the sandbox image).
    pub pinned: bool,
}

/// Every image, the largest first.
///
/// # Errors
/// No connection, sudo that asks, or no crictl there.
pub async fn all(machine: &Machine) -> Result<Vec<Image>, NoResult> {
    let images = machine.look_as_root(&["crictl", "images", "-o", "json"], LOOK).await?;
    let images = json(&images, machine)?;
    let containers = machine.look_as_root(&["crictl", "ps", "-a", "-o", "json"], LOOK).await?;
    Ok(join(&images, &json(&containers, machine)?))
}

/// Images that no container uses and that may go: what `crictl rmi --prune` would remove.
///
/// # Errors
/// As for [`all`].
pub async fn unused(machine: &Machine) -> Result<Vec<Image>, NoResult> {
    let mut images = all(machine).await?;
    images.retain(|image| !image.used && !image.pinned);
    Ok(images)
}

fn join(images: &Value, containers: &Value) -> Vec<Image> {
    let containers = items(containers, "/containers");
    let in_use = |image: &Value| {
        let names = |part: &str| items(image, part).iter().filter_map(Value::as_str);
        let id = string(image, "/id");
        containers.iter().any(|container| {
            ["/imageRef", "/imageId", "/image/image"].iter().any(|pointer| {
                let used = string(container, pointer);
                !used.is_empty()
                    && (used == id
                        || names("/repoTags").any(|name| name == used)
                        || names("/repoDigests").any(|name| name == used))
            })
        })
    };
    let mut all: Vec<Image> = items(images, "/images")
        .iter()
        .map(|image| {
            let first = |part: &str| items(image, part).first().and_then(Value::as_str);
            let size = image.get("size");
            let bytes = size.and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
            let id = string(image, "/id");
            Image {
                id: text::clean(id),
                name: text::clean(first("/repoTags").or(first("/repoDigests")).unwrap_or(id)),
                bytes: bytes.unwrap_or_default(),
                used: in_use(image),
                pinned: flag(image, "/pinned"),
            }
        })
        .collect();
    all.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    all
}

fn json(ran: &Ran, machine: &Machine) -> Result<Value, NoResult> {
    if let Some(says) = missing(ran, "crictl", machine) {
        let repair = "on a machine that runs Docker use its own steps; else install cri-tools";
        return Err(NoResult { says, repair: Some(repair.into()) });
    }
    if !ran.is_ok() {
        let says = format!("crictl on {} says: {}", machine.host(), ran.complaint());
        return Err(NoResult { says, repair: None });
    }
    serde_json::from_str(&ran.out).map_err(|error| NoResult {
        says: format!("crictl on {} did not answer in JSON: {error}", machine.host()),
        repair: None,
    })
}

pub(super) async fn answer(machine: &Machine) -> Result<Answer, NoResult> {
    let images = all(machine).await?;
    let info = machine.look_as_root(&["crictl", "imagefsinfo"], LOOK).await?;
    let mut answer = Answer::new();
    let (mut rows, mut tones) =
        (vec![["SIZE", "USED", "IMAGE"].map(str::to_owned).to_vec()], vec![Tone::Heading]);
    for image in images.iter().take(SHOWN) {
        let used = match (image.used, image.pinned) {
            (true, _) => "yes",
            (false, true) => "pinned",
            (false, false) => "no",
        };
        rows.push(vec![text::bytes(image.bytes), used.to_owned(), image.name.clone()]);
        tones.push(if image.used || image.pinned { Tone::Plain } else { Tone::Bad });
    }
    answer.lines(tones.into_iter().zip(columns(&rows)));
    answer.dropped(images.len().saturating_sub(SHOWN));
    if let Some(says) = filesystem(&info) {
        answer.line(Tone::Plain, says);
    }
    let free: Vec<&Image> = images.iter().filter(|image| !image.used && !image.pinned).collect();
    let bytes: u64 = free.iter().map(|image| image.bytes).sum();
    let says = format!(
        "{} of {} used by no container: {}",
        free.len(),
        text::count(images.len(), "image"),
        text::bytes(bytes)
    );
    if bytes >= WORTH {
        answer.found(cause::UNUSED_IMAGES, &says);
    }
    answer.bind("unused_images", free.len().to_string());
    answer.summary(says);
    Ok(answer)
}

/// `crictl imagefsinfo`, in both of its forms.
fn filesystem(ran: &Ran) -> Option<String> {
    let value: Value = serde_json::from_str(&ran.out).ok()?;
    let status = value.get("status")?;
    let of = items(status, "/imageFilesystems").first().unwrap_or(status);
    let used: u64 = string(of, "/usedBytes/value").parse().ok()?;
    Some(format!("images and layers take {} under {}", text::bytes(used), string(of, "/fsId/mountpoint")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_image_is_used_by_its_id_tag_or_digest_and_pinned_ones_stay() {
        let images = json!({ "images": [
            { "id": "sha256:a", "repoTags": ["web:1"], "repoDigests": ["web@sha256:d"], "size": "100", "pinned": false },
            { "id": "sha256:b", "repoTags": [], "repoDigests": ["old@sha256:e"], "size": "300", "pinned": false },
            { "id": "sha256:c", "repoTags": ["pause:3.9"], "size": "1", "pinned": true },
            { "id": "sha256:f", "repoTags": ["log:2"], "size": "2" },
        ] });
        let containers = json!({ "containers": [
            { "imageRef": "sha256:a", "image": { "image": "sha256:a" } },
            { "imageRef": "", "image": { "image": "log:2" } },
        ] });
        let all = join(&images, &containers);
        let free: Vec<&str> =
            all.iter().filter(|image| !image.used && !image.pinned).map(|image| &*image.name).collect();
        assert_eq!(free, ["old@sha256:e"]);
        assert_eq!(all[0].bytes, 300, "the largest first");
    }
}
