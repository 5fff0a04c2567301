//! Why a pod finds no node: what the scheduler's words come down to, and which node it was meant for.

use crate::domain::{Cause, Key, Kind, Name, Node, Pod, Status, Taint, Template, cause, text};

use super::Scene;
use super::preempted::preempted;
use super::rollout_cause::{Obstacle, about};
use super::workload::{Bindings, quote};

/// What keeps a pod from a node, if it has none.
pub(super) fn obstacle(scene: &Scene<'_>, pod: &Pod) -> Option<Obstacle> {
    if let Some(says) = gated(pod) {
        let cause = Cause { name: cause::SCHEDULING_GATED, says: says.to_owned(), weight: 0.7 };
        return Some(about(pod, None, cause, "held back by scheduling gates", says));
    }
    if pod.node.is_none() && pod.condition("PodScheduled").is_none() {
        return Some(unlooked(scene, pod));
    }
    let message = unschedulable(pod)?;
    let (name, label) = unplaced(scene, message);
    let (name, label, said) = match name {
        cause::VOLUME_STUCK => (name, label, unprovisioned(scene, pod).or_else(|| about_claims(scene, pod))),
        cause::NO_NODE_MATCHES | cause::NODES_AWAY => match meant(scene, pod) {
            Some(meant) if meant.is_away => {
                (cause::NODES_AWAY, "the nodes they are meant for are away", Some(meant.says))
            }
            Some(meant) if meant.exists => {
                (cause::NO_NODE_MATCHES, "the nodes they are meant for do not let them in", Some(meant.says))
            }
            Some(meant) => (name, label, Some(meant.says)),
            None => match shut(scene) {
                Some(says) => (cause::NO_NODE_MATCHES, "every node is tainted", Some(says)),
                None => (name, label, about_growing(scene, pod)),
            },
        },
        _ => (name, label, cordoned(scene, message).or_else(|| about_growing(scene, pod))),
    };
    let too_large = if name == cause::UNSCHEDULABLE { too_large(scene, pod) } else { None };
    let (label, said) = match too_large {
        Some(says) => ("no node is as large as they ask for", Some(says)),
        None => (label, said),
    };
    let made_way = if name == cause::UNSCHEDULABLE { preempted(scene, pod) } else { None };
    let (name, label, said) = match &made_way {
        Some(made_way) => {
            (cause::PREEMPTED, "pods of a higher priority took their place", Some(made_way.says.clone()))
        }
        None => (name, label, said),
    };
    let says = match said {
        Some(said) if matches!(name, cause::NO_NODE_MATCHES | cause::NODES_AWAY | cause::PREEMPTED) => {
            format!("{said}; {}", quote(gist(message)))
        }
        Some(said) => format!("{}; {said}", quote(gist(message))),
        None => quote(gist(message)),
    };
    let cause = Cause { name, says: says.clone(), weight: 0.9 };
    let mut obstacle = about(pod, None, cause, label, &says);
    obstacle.bindings = requests(pod);
    obstacle.bindings.insert("scheduler_says", quote(gist(message)));
    obstacle.bindings.extend(made_way.map(|made_way| ("preemptor", made_way.by)));
    obstacle.bindings.extend(closed(scene, pod).map(|node| ("node", node.to_string())));
    obstacle.bindings.extend(absent_resource(message).map(|resource| ("resource", quote(resource))));
    Some(obstacle)
}

/// What keeps it from the nodes, without what preemption would not change.
fn gist(message: &str) -> &str {
    let ends = [". no new claims to deallocate", ". preemption:", ", preemption:"];
    let end = ends.iter().filter_map(|end| message.find(end)).min().unwrap_or(message.len());
    message[..end].trim_end_matches('.')
}

/// Nothing is written about its place yet: no scheduler looked at it, or one did and waits for its volume.
fn unlooked(scene: &Scene<'_>, pod: &Pod) -> Obstacle {
    if let Some(says) = unprovisioned(scene, pod) {
        let cause = Cause { name: cause::VOLUME_STUCK, says: says.clone(), weight: 0.9 };
        return about(pod, None, cause, "its volume is not provisioned", &says);
    }
    let says = "no scheduler has looked at it: its schedulerName is wrong, or the scheduler does not work";
    let cause = Cause { name: cause::SCHEDULER_SILENT, says: says.to_owned(), weight: 0.85 };
    about(pod, None, cause, "no scheduler takes the pods", says)
}

/// A claim of the pod that waits for whoever makes its volume, in the words of the last event about it.
fn unprovisioned(scene: &Scene<'_>, pod: &Pod) -> Option<String> {
    let waits = ["ExternalProvisioning", "ProvisioningFailed", "Provisioning"];
    pod.claims.iter().find_map(|claim| {
        let key = Key::new(pod.key.namespace.clone(), claim.clone());
        let found = scene.snapshot.claims.get(&key).filter(|found| &*found.phase == "Pending")?;
        let events = scene.snapshot.events.iter().filter(|event| {
            event.about == key
                && &*event.about_kind == Kind::PersistentVolumeClaim.as_str()
                && waits.contains(&&*event.reason)
        });
        let event = events.max_by_key(|event| event.last)?;
        let class = found.storage_class.as_ref().map(|class| format!(" (class {class})")).unwrap_or_default();
        Some(format!("claim {claim}{class} has no volume: {}: {}", event.reason, quote(&event.message)))
    })
}

/// The nodes that a pod's selector asks for.
struct Meant {
    /// `only w5 has pool=batch: it has taint maintenance=true:NoExecute`.
    says: String,
    exists: bool,
    /// Each of them is cordoned or not ready.
    is_away: bool,
}

/// The node that was cordoned from here, of those that the pod may be meant for.
fn closed<'a>(scene: &Scene<'a>, pod: &Pod) -> Option<&'a Name> {
    let wanted = template(scene, pod).map(|template| &*template.node_selector.0).unwrap_or_default();
    let is_closed = |node: &&Node| {
        node.unschedulable
            && node.is_ready()
            && wanted.iter().all(|(label, value)| node.labels.get(label) == Some(value))
            && scene.snapshot.was_cordoned_from_here(&node.key)
    };
    scene.snapshot.nodes.iter().filter(is_closed).map(|node| &node.key.name).min()
}

fn template<'a>(scene: &Scene<'a>, pod: &Pod) -> Option<&'a Template> {
    let (object, deployment) = scene.workload_of(pod);
    let controller = || scene.snapshot.controller(object.kind, &object.key).map(|found| &found.template);
    deployment.map(|found| &found.template).or_else(controller)
}

/// Which nodes the pod was meant for by its workload's `nodeSelector`, and what they are like.
fn meant(scene: &Scene<'_>, pod: &Pod) -> Option<Meant> {
    let wanted = &template(scene, pod)?.node_selector.0;
    if wanted.is_empty() || !scene.snapshot.nodes.is_listed() {
        return None;
    }
    let nodes = || scene.snapshot.nodes.iter();
    let has = |node: &Node, (label, value): &(Name, Name)| node.labels.get(label) == Some(value);
    let pairs = |pairs: &mut dyn Iterator<Item = &(Name, Name)>| {
        pairs.map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(", ")
    };
    let mut fits: Vec<&Node> = nodes().filter(|node| wanted.iter().all(|pair| has(node, pair))).collect();
    fits.sort_by(|one, other| one.key.cmp(&other.key));
    if fits.is_empty() {
        let unknown: Vec<_> =
            wanted.iter().filter(|pair| !nodes().any(|node| has(node, pair))).cloned().collect();
        let says = if unknown.is_empty() {
            format!("no node has all of {}", pairs(&mut wanted.iter()))
        } else {
            format!("no node has {}", pairs(&mut unknown.iter()))
        };
        return Some(Meant { says, exists: false, is_away: false });
    }
    let is_away = fits.iter().all(|node| node.unschedulable || !node.is_ready());
    let states: Vec<String> =
        fits.iter().take(3).map(|node| format!("{} {}", node.key.name, state(node))).collect();
    let more = fits.len().checked_sub(states.len()).filter(|more| *more > 0);
    let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
    let says = format!(
        "only {} with {}: {}{more}",
        text::count(fits.len(), "node"),
        pairs(&mut wanted.iter()),
        states.join(", ")
    );
    Some(Meant { says, exists: true, is_away })
}

/// The taints that every node has, where somebody put them on all: the nodes are well, and let nobody in.
fn shut(scene: &Scene<'_>) -> Option<String> {
    let nodes: Vec<&Node> = scene.snapshot.nodes.iter().collect();
    let first = nodes.first().filter(|_| nodes.len() > 1)?;
    let by_hand = |taint: &&Taint| !taint.key.starts_with("node.kubernetes.io/") && taint.closes();
    let has = |node: &&Node, taint: &Taint| {
        let same =
            |own: &Taint| (&own.key, &own.value, &own.effect) == (&taint.key, &taint.value, &taint.effect);
        node.taints.iter().any(same)
    };
    let everywhere =
        first.taints.iter().filter(by_hand).filter(|taint| nodes.iter().all(|node| has(node, taint)));
    let taints: Vec<String> = everywhere.map(shown).collect();
    let taints = Some(taints.join(", ")).filter(|taints| !taints.is_empty())?;
    Some(format!("all {} nodes have taint {taints}", nodes.len()))
}

/// `maintenance=true:NoExecute`.
fn shown(taint: &Taint) -> String {
    let value = taint.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
    format!("{}{value}:{}", taint.key, taint.effect)
}

/// Why a node takes no pod, as far as it shows on it.
fn state(node: &Node) -> String {
    if !node.is_ready() {
        return "is not ready".to_owned();
    }
    if node.unschedulable {
        return "is cordoned".to_owned();
    }
    let taints: Vec<String> = node.taints.iter().filter(|taint| taint.closes()).map(shown).collect();
    if taints.is_empty() { "is ready".to_owned() } else { format!("has taint {}", taints.join(", ")) }
}

/// A pod that its creator asked the scheduler to leave alone for now (Kueue, cluster autoscalers).
pub(super) fn gated(pod: &Pod) -> Option<&str> {
    let condition = pod.condition("PodScheduled").filter(|condition| condition.status == Status::False)?;
    let gated = condition.reason.as_deref() == Some("SchedulingGated");
    gated.then(|| condition.message.as_deref().unwrap_or("scheduling gates hold it back"))
}

/// What the scheduler said, when it found no node.
pub(super) fn unschedulable(pod: &Pod) -> Option<&str> {
    let condition = pod.condition("PodScheduled").filter(|condition| condition.status == Status::False)?;
    let reason = condition.reason.as_deref()?;
    // The scheduler's own word where it chose a node and could not bind the pod's volume there.
    matches!(reason, "Unschedulable" | "SchedulerError")
        .then(|| condition.message.as_deref().unwrap_or("no node takes it"))
}

/// What stands in the way of a claim of the pod.
fn about_claims(scene: &Scene<'_>, pod: &Pod) -> Option<String> {
    pod.claims.iter().find_map(|claim| {
        let key = Key::new(pod.key.namespace.clone(), claim.clone());
        let event = scene.events(Kind::PersistentVolumeClaim, &key).next()?;
        Some(format!("claim {claim}: {}: {}", event.reason, quote(&event.message)))
    })
}

/// Nodes that are well and that somebody closed, where the scheduler had to leave some out for that.
fn cordoned(scene: &Scene<'_>, message: &str) -> Option<String> {
    const NAMED: usize = 3;
    if !message.contains("unschedulable") {
        return None;
    }
    let closed = scene.snapshot.nodes.iter().filter(|node| node.unschedulable && node.is_ready());
    let mut names: Vec<&str> = closed.map(|node| &*node.key.name).collect();
    names.sort_unstable();
    let are = if names.len() > 1 { "are" } else { "is" };
    let more = names.len().checked_sub(NAMED).filter(|more| *more > 0);
    let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
    let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{named}{more} {are} well and cordoned"))
}

/// Why the cluster autoscaler adds no node for the pod.
fn about_growing(scene: &Scene<'_>, pod: &Pod) -> Option<String> {
    let mut events = scene.events(Kind::Pod, &pod.key);
    events.find(|event| &*event.reason == "NotTriggerScaleUp").map(|event| quote(&event.message))
}

/// What the scheduler's words come down to. Where room is lacking anywhere, that is it: other nodes are always
/// closed to some.
fn unplaced(scene: &Scene<'_>, message: &str) -> (&'static str, &'static str) {
    let lower = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    // One pod less on a node makes place for these.
    let makes_place = ["insufficient", "too many pods", "topology spread", "anti-affinity", "free ports"];
    let ill = || {
        let away = |node: &crate::domain::Node| {
            !node.is_ready() || node.taints.iter().any(|taint| taint.key.starts_with("node.kubernetes.io/"))
        };
        scene.snapshot.nodes.iter().any(away)
    };
    let lacks_room = says(&["insufficient", "too many pods"]);
    match () {
        () if absent_resource(&lower).is_some() => {
            (cause::RESOURCE_ABSENT, "no node has the resource they ask for")
        }
        () if says(&["topology spread"]) && !lacks_room => {
            (cause::SPREAD_CONSTRAINT, "no node fits their topology spread constraint")
        }
        () if says(&["free ports"]) && !lacks_room => (cause::HOST_PORT, "their host port is taken"),
        () if says(&["volume node affinity", "persistentvolume's node affinity"]) && !lacks_room => {
            (cause::VOLUME_ELSEWHERE, "their volume is where no node takes them")
        }
        () if says(&makes_place) => (cause::UNSCHEDULABLE, "no node takes the pods"),
        () if says(&["persistentvolume", "volume zone", "volumebinding", "binding volumes"]) => {
            (cause::VOLUME_STUCK, "a volume cannot be had")
        }
        () if says(&["node affinity/selector"]) => {
            (cause::NO_NODE_MATCHES, "no node matches what the pods ask for")
        }
        // Taints of nodes that are ill say nothing of the pod.
        () if own_taint(&lower) || says(&["untolerated taint"]) && !ill() => {
            (cause::NO_NODE_MATCHES, "no node lets the pods in: they do not tolerate its taint")
        }
        () => (cause::NODES_AWAY, "no node takes the pods"),
    }
}

/// A resource that a device plugin offers and that most nodes lack: `0/16 nodes are available: 14 Insufficient
/// nvidia.com/gpu.` Where only the nodes that have it are full, they are few.
fn absent_resource(message: &str) -> Option<&str> {
    let (available, reasons) = message.split_once(" nodes are available: ")?;
    let all: u32 = available.rsplit('/').next()?.trim().parse().ok()?;
    let most = |count: &str| count.parse::<u32>().is_ok_and(|count| count * 2 > all);
    reasons.split(", ").find_map(|reason| {
        let (count, rest) = reason.trim().split_once(' ')?;
        let (word, rest) = rest.split_once(' ')?;
        let resource = rest.split(' ').next()?.trim_end_matches('.');
        (most(count) && word.eq_ignore_ascii_case("insufficient") && resource.contains('/'))
            .then_some(resource)
    })
}

/// Whether the scheduler's words name a taint that somebody gave the nodes, not one of their illnesses:
/// `3 node(s) had untolerated taint {dedicated: gpu}`.
fn own_taint(lower: &str) -> bool {
    let named = |part: &str| part.trim_start_matches("(s)").trim_start().starts_with('{');
    let mut taints = lower.split("untolerated taint").skip(1).filter(|part| named(part)).peekable();
    let ill = |part: &str| {
        let taint = part.split_once('{').map_or("", |(_, rest)| rest);
        let keys =
            ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "tobedeletedbyclusterautoscaler"];
        keys.iter().any(|key| taint.starts_with(key))
    };
    taints.peek().is_some() && taints.all(|part| !ill(part))
}

fn requests(pod: &Pod) -> Bindings {
    let (cpu, memory) = asked(pod);
    Bindings::from([("cpu_request", text::cores(cpu)), ("memory_request", text::quantity(memory))])
}

/// CPU in thousandths of a core and memory in bytes that its containers ask for together.
fn asked(pod: &Pod) -> (u64, u64) {
    let containers = || pod.containers.iter().filter(|container| !container.init);
    let cpu = containers().filter_map(|row| row.requests.cpu_milli).fold(0, u64::saturating_add);
    let memory = containers().filter_map(|row| row.requests.memory_bytes).fold(0, u64::saturating_add);
    (cpu, memory)
}

/// That it asks for more than any node has, however empty: a slip, or a node group that is not there.
fn too_large(scene: &Scene<'_>, pod: &Pod) -> Option<String> {
    let (cpu, memory) = asked(pod);
    let nodes = || scene.snapshot.nodes.iter();
    let largest_cpu = nodes().filter_map(|node| node.allocatable.cpu_milli).max()?;
    let largest_memory = nodes().filter_map(|node| node.allocatable.memory_bytes).max()?;
    match () {
        () if cpu > largest_cpu => {
            let (cpu, largest) = (text::cores(cpu), text::cores(largest_cpu));
            Some(format!("a pod asks for {cpu} of CPU, and the largest node has {largest}"))
        }
        () if memory > largest_memory => {
            let (memory, largest) = (text::bytes(memory), text::bytes(largest_memory));
            Some(format!("a pod asks for {memory} of memory, and the largest node has {largest}"))
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::absent_resource;

    #[test]
    fn a_resource_is_absent_where_most_nodes_lack_it() {
        let all =
            "0/16 nodes are available: 16 Insufficient nvidia.com/gpu. preemption: 0/16 nodes are available";
        assert_eq!(absent_resource(all), Some("nvidia.com/gpu"));
        let both = "0/4 nodes are available: 1 Insufficient cpu, 4 Insufficient smarter-devices/fuse.";
        assert_eq!(absent_resource(both), Some("smarter-devices/fuse"));
        assert_eq!(
            absent_resource("0/16 nodes are available: 3 Insufficient nvidia.com/gpu, 13 other."),
            None
        );
        assert_eq!(absent_resource("0/2 nodes are available: 2 Insufficient cpu."), None);
    }
}
