//! When nodes were last heard of. A lease says so by the clock of its node, which may be wrong: where it was seen to be
//! renewed, our own clock dates it, and what the two differ by tells of the node's.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{Cause, Evidence, Key, Node, Origin, Timestamp, between, cause, text};

use super::Scene;
use super::node_ailment::{Ailment, Grade};
use super::node_notready::{CLOCK_OFF, LEASE, lease_of, lease_renewed};
use super::workload::evidence;

/// So many have to be seen to renew before one of them stands out.
const OTHERS: usize = 3;

/// How it is with all nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// When the last of the leases was seen to be renewed, by our clock.
    latest: Option<Timestamp>,
    /// Half of the leases were renewed before, by the clocks of their nodes.
    usual: Option<Timestamp>,
    /// By how much those clocks usually differ from ours.
    ahead: Option<SignedDuration>,
}

impl Pulse {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let snapshot = scene.snapshot;
        let mut renewed: Vec<Timestamp> = snapshot.leases.iter().filter_map(|lease| lease.renewed).collect();
        let ahead = snapshot.beats.iter().filter_map(|(key, beat)| {
            let renewed = snapshot.leases.get(key)?.renewed?;
            Some(renewed.duration_since(*beat))
        });
        let mut ahead: Vec<SignedDuration> = ahead.collect();
        Self {
            latest: snapshot.beats.values().copied().max(),
            usual: lower_median(&mut renewed),
            ahead: lower_median(&mut ahead).filter(|_| ahead.len() >= OTHERS),
        }
    }

    /// Ready by its condition, but not heard of for long. Compared with the others rather than with the time, so that
    /// our own late news makes nobody suspect.
    pub(super) fn overdue(&self, scene: &Scene<'_>, node: &Node) -> Option<Ailment> {
        let renewed = lease_renewed(scene, node)?;
        let (last, others) = match beat(scene, node) {
            Some(beat) => (beat, self.latest?),
            None => (renewed, self.usual?),
        };
        if others.duration_since(last) <= scene.thresholds.span(&LEASE) {
            return None;
        }
        let says = format!("lease not renewed for {}", text::span(between(last, scene.now)));
        Some(suspected(node, last, true, "lease overdue", cause::KUBELET_SILENT, says))
    }

    /// It renews its lease, and stamps it with another time than the others do.
    pub(super) fn clock_off(&self, scene: &Scene<'_>, node: &Node) -> Option<Ailment> {
        let (renewed, beat) = (lease_renewed(scene, node)?, beat(scene, node)?);
        let off = renewed.duration_since(beat) - self.ahead?;
        if off.abs() < scene.thresholds.span(&CLOCK_OFF) {
            return None;
        }
        let side = if off.is_positive() { "ahead" } else { "behind" };
        // We hear of it a little later each time.
        let off = text::span(Duration::from_secs((off.unsigned_abs().as_secs() + 5) / 10 * 10));
        let says = format!("its lease is renewed, and stamped with a time {off} {side} of the other nodes'");
        Some(suspected(node, beat, false, &format!("its clock is {off} {side}"), cause::CLOCK_OFF, says))
    }
}

fn suspected(
    node: &Node,
    since: Timestamp,
    is_silent: bool,
    label: &str,
    name: &'static str,
    says: String,
) -> Ailment {
    let fact: Evidence = evidence(Origin::Leases, Some(since), format!("{}: {says}", node.key.name));
    Ailment {
        since,
        grade: Grade::Suspected,
        is_silent,
        label: label.to_owned(),
        causes: vec![Cause { name, says, weight: 0.6 }],
        evidence: vec![fact],
    }
}

fn beat(scene: &Scene<'_>, node: &Node) -> Option<Timestamp> {
    let key: &Key = &lease_of(scene, node)?.key;
    scene.snapshot.beats.get(key).copied()
}

fn lower_median<T: Ord + Copy>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
