//! How a rollout moves: rolling update, recreate, and scaling in proportion.
//! It knows numbers of ReplicaSets; the rules are those of Kubernetes' deployment controller.

use std::sync::Arc;

use super::cluster::Cluster;
use super::deployment::{Rollout, size};
use super::objects::ReplicaSet;

/// Rolling update: first room for the new, then less of the old, never below what must be available.
pub fn roll(cluster: &mut Cluster, rollout: &Rollout) {
    let Some(new) = &rollout.new else { return };
    if grow_new(cluster, rollout, new) {
        return;
    }
    let total: i32 = rollout.all().map(|set| size(set)).sum();
    if rollout.old.iter().all(|set| size(set) == 0) {
        return;
    }
    let least = rollout.replicas() - rollout.max_unavailable();
    let new_missing = size(new) - new.status.available_replicas;
    let spare = total - least - new_missing;
    if spare <= 0 {
        return;
    }
    let sizes = without_unhealthy(&rollout.old, spare);
    let available: i32 = rollout.all().map(|set| set.status.available_replicas).sum();
    let sizes = without_surplus(&rollout.old, sizes, available - least);
    for (set, to) in rollout.old.iter().zip(sizes) {
        if size(set) != to {
            rollout.resize(cluster, set, to);
        }
    }
}

fn grow_new(cluster: &mut Cluster, rollout: &Rollout, new: &Arc<ReplicaSet>) -> bool {
    let (want, now) = (rollout.replicas(), size(new));
    if now > want {
        rollout.resize(cluster, new, want);
        return true;
    }
    let total: i32 = rollout.all().map(|set| size(set)).sum();
    let room = want + rollout.max_surge() - total;
    let to = now + room.clamp(0, want - now);
    rollout.resize(cluster, new, to);
    to != now
}

/// Pods of old sets that are not available cost nothing to lose.
fn without_unhealthy(old: &[Arc<ReplicaSet>], mut spare: i32) -> Vec<i32> {
    let mut sizes = Vec::new();
    for set in old {
        let broken = (size(set) - set.status.available_replicas).clamp(0, spare.max(0));
        spare -= broken;
        sizes.push(size(set) - broken);
    }
    sizes
}

fn without_surplus(old: &[Arc<ReplicaSet>], mut sizes: Vec<i32>, mut surplus: i32) -> Vec<i32> {
    for (set, to) in old.iter().zip(&mut sizes) {
        // what was just taken away was unavailable; what remains counts
        let fewer = (*to).min(set.status.available_replicas.max(0)).clamp(0, surplus.max(0));
        surplus -= fewer;
        *to -= fewer;
    }
    sizes
}

/// Recreate: all of the old first, then the new.
pub fn recreate(cluster: &mut Cluster, rollout: &Rollout) {
    for set in rollout.old.iter().filter(|set| size(set) > 0) {
        rollout.resize(cluster, set, 0);
    }
    let gone = rollout.old.iter().all(|set| set.status.replicas == 0)
        && rollout.old.iter().all(|set| cluster.owned_pods(&set.metadata.uid).is_empty());
    if let (true, Some(new)) = (gone, &rollout.new) {
        rollout.resize(cluster, new, rollout.replicas());
    }
}

/// `spec.replicas` changed: every ReplicaSet that has pods takes its share.
pub fn scale(cluster: &mut Cluster, rollout: &Rollout) {
    let want = rollout.replicas();
    let active: Vec<&Arc<ReplicaSet>> = rollout.all().filter(|set| size(set) > 0).collect();
    let latest = active.last().copied().or(rollout.new.as_ref());
    if active.len() <= 1 {
        if let Some(set) = latest {
            rollout.resize(cluster, set, want);
        }
        return;
    }
    let new_complete =
        rollout.new.as_ref().is_some_and(|new| size(new) == want && new.status.available_replicas == want);
    if new_complete {
        rollout.old.iter().for_each(|set| rollout.resize(cluster, set, 0));
        return;
    }
    let total: i32 = active.iter().map(|set| size(set)).sum();
    let allowed = if want > 0 { want + rollout.max_surge() } else { 0 };
    share_out(cluster, rollout, active, allowed, allowed - total);
}

fn share_out(
    cluster: &mut Cluster,
    rollout: &Rollout,
    mut sets: Vec<&Arc<ReplicaSet>>,
    allowed: i32,
    to_add: i32,
) {
    sets.sort_by_key(|set| std::cmp::Reverse(size(set)));
    let mut left = to_add;
    let mut sizes = Vec::new();
    for set in &sets {
        let before = Rollout::noted_max(set).max(1);
        let ideal =
            (f64::from(size(set)) * f64::from(allowed) / f64::from(before)).round() as i32 - size(set);
        let share = if to_add > 0 { ideal.clamp(0, left) } else { ideal.clamp(left, 0) };
        left -= share;
        sizes.push((size(set) + share).max(0));
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + left).max(0);
    }
    for (set, to) in sets.into_iter().zip(sizes) {
        rollout.resize(cluster, set, to);
    }
}
