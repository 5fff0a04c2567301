//! g6: whether the database has slots for the connection pools of every replica there will be. Pool sizes are read
//! from the workload's environment and ConfigMaps, slots from the database itself where it is configured.

use serde_json::Value;

use super::Scene;
use crate::domain::{Action, Key, Kind, ObjectRef};
use crate::guard::{Guard, Hazard};
use crate::hands::Hands;
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, name, number, string};
use crate::probes::postgres::pools::{Pool, pool};
use crate::probes::postgres::slots::{Slots, slots};

/// From this share of the slots on it is worth a word.
const MOST: f64 = 0.8;

pub(super) async fn hazard(hands: &Hands, scene: &Scene<'_>) -> Option<Hazard> {
    let (workload, before, after) = replicas(&hands.cluster, scene).await?;
    if after <= before {
        return None;
    }
    let pool = pool(&hands.cluster, &workload).await.ok()??;
    let others = others(&hands.cluster, &workload, &pool).await;
    let total = pool.most().saturating_mul(after).saturating_add(others);
    let beside =
        if others > 0 { format!(" and {others} of others with the same settings") } else { String::new() };
    let sum = format!("{after} replicas × {}{beside} = {total} database connections", pool.says());
    if hands.outside.database_url.is_none() {
        let says = format!("{sum}; how many the database takes is not known (no DATABASE_URL)");
        return Some(Hazard::note(Guard::Connections, says));
    }
    Some(match slots(&hands.outside, hands.cluster.client()).await {
        Ok(slots) => judge(total, pool.most().saturating_mul(after - before), slots, &sum)?,
        Err(why) => {
            Hazard::note(Guard::Connections, format!("{sum}; the database could not be asked: {why}"))
        }
    })
}

/// `total` may be opened then, `added` of them by what is about to be done.
fn judge(total: u64, added: u64, slots: Slots, sum: &str) -> Option<Hazard> {
    let Slots { usable, used } = slots;
    let says = format!("{sum}, and the database takes {usable} ({used} in use now)");
    // What was too much before is no reason to fear one pod more for a while, if there is ample room for it now.
    let crowded = used.saturating_add(added) as f64 > usable as f64 * MOST;
    let is_new = total.saturating_sub(added) <= usable || crowded;
    if total > usable && is_new {
        Some(Hazard::warn(Guard::Connections, format!("{says}: pools would be turned away")))
    } else if total as f64 > usable as f64 * MOST {
        Some(Hazard::note(Guard::Connections, says))
    } else {
        None
    }
}

/// The workload whose replicas may grow: from how many to how many at the same time.
async fn replicas(cluster: &Cluster, scene: &Scene<'_>) -> Option<(Value, u64, u64)> {
    let before = scene.before?;
    let count = |object: &Value, pointer: &str| u64::try_from(number(object, pointer)).unwrap_or_default();
    if scene.object.kind == Kind::HorizontalPodAutoscaler {
        let kind = Kind::parse(string(before, "/spec/scaleTargetRef/kind"))?;
        let target = string(before, "/spec/scaleTargetRef/name");
        let target = ObjectRef::new(kind, Key::new(scene.object.key.namespace.clone(), target));
        let workload = cluster.find(&target).await.ok()??;
        let most = |object: &Value| count(object, "/spec/maxReplicas");
        return Some((workload, most(before), most(scene.after)));
    }
    if !matches!(scene.object.kind, Kind::Deployment | Kind::StatefulSet) {
        return None;
    }
    let (old, new) = (count(before, "/spec/replicas"), count(scene.after, "/spec/replicas"));
    let rolls = matches!(scene.action, Action::RolloutRestart { .. })
        || before.pointer("/spec/template") != scene.after.pointer("/spec/template");
    let surge = if rolls { surge(scene.after, new) } else { 0 };
    Some((scene.after.clone(), old, new + surge))
}

/// Pods beside the wanted ones while a rollout lasts.
fn surge(workload: &Value, replicas: u64) -> u64 {
    if string(workload, "/kind") == "StatefulSet" || string(workload, "/spec/strategy/type") == "Recreate" {
        return 0;
    }
    match workload.pointer("/spec/strategy/rollingUpdate/maxSurge") {
        Some(Value::String(percent)) => {
            let percent = percent.trim_end_matches('%').parse::<u64>().unwrap_or(25);
            (replicas * percent).div_ceil(100)
        }
        Some(whole) => whole.as_u64().unwrap_or(1),
        None => replicas.div_ceil(4),
    }
}

/// What the other workloads of the namespace with the same settings may open: the same ConfigMap means, most likely,
/// the same database.
async fn others(cluster: &Cluster, workload: &Value, pool: &Pool) -> u64 {
    let Some(map) = &pool.config_map else { return 0 };
    let namespace = string(workload, "/metadata/namespace");
    let mut sum = 0_u64;
    for kind in [Kind::Deployment, Kind::StatefulSet] {
        let Ok(found) = cluster.list(kind, namespace, "", "").await else { continue };
        for other in found.iter().filter(|other| name(other) != name(workload) && mentions(other, map)) {
            if let Ok(Some(theirs)) = self::pool(cluster, other).await
                && theirs.config_map.as_ref() == Some(map)
            {
                let replicas = u64::try_from(number(other, "/spec/replicas")).unwrap_or_default();
                sum = sum.saturating_add(theirs.most().saturating_mul(replicas));
            }
        }
    }
    sum
}

fn mentions(workload: &Value, map: &str) -> bool {
    items(workload, "/spec/template/spec/containers").iter().any(|container| {
        let imported =
            items(container, "/envFrom").iter().any(|entry| string(entry, "/configMapRef/name") == map);
        imported
            || items(container, "/env")
                .iter()
                .any(|entry| string(entry, "/valueFrom/configMapKeyRef/name") == map)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_than_the_database_takes_is_a_warning() {
        let slots = Slots { usable: 87, used: 40 };
        let says =
            judge(150, 90, slots, "10 replicas × (10 + 5) = 150 database connections").expect("a hazard");
        assert_eq!(says.level, crate::guard::Level::Warn);
        assert!(says.says.contains("takes 87 (40 in use now)"), "{}", says.says);
        assert_eq!(judge(75, 15, slots, "").expect("close").level, crate::guard::Level::Note);
        assert_eq!(judge(60, 15, slots, ""), None);
        // A surge of one where the pools were too large before.
        assert_eq!(judge(105, 15, slots, "").expect("close").level, crate::guard::Level::Note);
        let full = Slots { usable: 87, used: 80 };
        assert_eq!(judge(105, 15, full, "").expect("full").level, crate::guard::Level::Warn);
    }

    #[test]
    fn surges_are_read_from_the_template() {
        let rolling = |surge: Value| json!({"kind": "Deployment", "spec": {"strategy": {"rollingUpdate": {"maxSurge": surge}}}});
        assert_eq!(surge(&rolling(json!("25%")), 10), 3);
        assert_eq!(surge(&rolling(json!(2)), 10), 2);
        assert_eq!(surge(&json!({"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}}), 10), 0);
    }
}
