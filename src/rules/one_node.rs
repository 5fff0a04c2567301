//! Trouble of one node: all that fail are on it, and the same revision works elsewhere.

use crate::domain::{Cause, Pod, cause, text};

use super::Scene;
use super::revision::Revision;

/// So many on one node, and as many ready elsewhere, are no chance.
const SEVERAL: usize = 2;

pub(super) fn blame<'a>(scene: &Scene<'a>, revisions: &[Revision<'a>], sick: &[&Pod]) -> Option<Cause> {
    let newest = revisions.first()?;
    let node = sick.first()?.node.as_ref()?;
    if sick.len() < SEVERAL || sick.iter().any(|pod| pod.node.as_ref() != Some(node) || !newest.is_of(pod)) {
        return None;
    }
    let living = newest.living(scene);
    let (here, elsewhere): (Vec<&Pod>, Vec<&Pod>) =
        living.into_iter().filter(|pod| pod.is_ready()).partition(|pod| pod.node.as_ref() == Some(node));
    if !here.is_empty() || elsewhere.len() < SEVERAL {
        return None;
    }
    let says = format!(
        "the {} that fail are all on {node}; {} of the same revision elsewhere",
        sick.len(),
        text::count(elsewhere.len(), "ready pod")
    );
    Some(Cause { name: cause::ONE_NODE, says, weight: 0.92 })
}
