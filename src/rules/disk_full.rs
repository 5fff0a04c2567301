//! Nodes whose disk is full or will soon be, and persistent volumes that are. Reads conditions, taints and
//! events, and what kubelets say of their disks; what could be removed is for reads on the machine.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, ClaimDisk, Evidence, Filesystem, INODE_EVICTION, Key, Kind, LOW, Name, Node,
    NodeDisk, ObjectRef, Origin, Phase, Pod, Series, Severity, Status, Subject, Timestamp, cause, text,
};

use super::disk_forecast::forecast;
use super::node_load::load;
use super::node_notready::{bindings, touches};
use super::workload::{evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, evicted, pages_at, shown};

const WARNING_AFTER: Threshold = Threshold {
    key: "disk-full.warning-after",
    default: 120.0,
    unit: Unit::Seconds,
    says: "how long less than a fifth is free before it is a warning",
    source: "our own choice; the kubelet looks every 10 s and collects images from 85 % use on",
};
const FULL_WITHIN: Threshold = Threshold {
    key: "disk-full.full-within",
    default: 14_400.0,
    unit: Unit::Seconds,
    says: "how soon a disk that fills steadily will be at the kubelet's threshold",
    source: "node-mixin: NodeFilesystemSpaceFillingUp predicts 4 h (critical)",
};
const FORECAST: Threshold = Threshold {
    key: "disk-full.forecast",
    default: 86_400.0,
    unit: Unit::Seconds,
    says: "how soon a disk will be full, as it filled over hours",
    source: "node-mixin: NodeFilesystemSpaceFillingUp predicts 24 h (warning) from 6 h",
};
const FORECAST_AFTER: Threshold = Threshold {
    key: "disk-full.forecast-after",
    default: 3600.0,
    unit: Unit::Seconds,
    says: "how long that is foretold before it is believed",
    source: "node-mixin: NodeFilesystemSpaceFillingUp, `for` 1h",
};
const FORECAST_FREE: Threshold = Threshold {
    key: "disk-full.forecast-free",
    default: 0.4,
    unit: Unit::Ratio,
    says: "free share above which nothing is foretold",
    source: "node-mixin: fsSpaceFillingUpWarningThreshold 40",
};
const CLAIM_CRITICAL: Threshold = Threshold {
    key: "disk-full.claim-critical",
    default: 0.03,
    unit: Unit::Ratio,
    says: "free share of a persistent volume at which it is critical",
    source: "kubernetes-mixin: KubePersistentVolumeFillingUp, less than 3 % free",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "disk-full.pages-after",
    default: 1800.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert",
    source: "node-mixin: NodeFilesystemAlmostOutOfSpace, 30m",
};

/// What a kubelet said longer ago says nothing about now.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// A history that ended longer ago foretells nothing.
const RECENT: SignedDuration = SignedDuration::from_mins(30);
/// A steady fall is seen over at least this long.
const STEADY: SignedDuration = SignedDuration::from_mins(10);

pub(super) static RULE: Rule = Rule {
    name: "disk-full",
    title: "Disks full",
    says: "Nodes with DiskPressure, with less than a fifth of their disk or a twentieth of their inodes free, or \
           that fill up within hours; and persistent volumes with less than a tenth free, which are no node's \
           trouble. Silent about memory and process pressure, and about nodes that nobody has heard from.",
    needs: Needs::All(&[Origin::Nodes]),
    awaits: &[],
    thresholds: &[
        WARNING_AFTER,
        FULL_WITHIN,
        FORECAST,
        FORECAST_AFTER,
        FORECAST_FREE,
        CLAIM_CRITICAL,
        PAGES_AFTER,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut nodes: Vec<&Node> = scene.snapshot.nodes.iter().collect();
    nodes.sort_by(|one, other| one.key.cmp(&other.key));
    let mut found: Vec<Anomaly> = nodes.iter().filter_map(|node| of_node(scene, node)).collect();
    let mut claims: BTreeMap<&Key, &ClaimDisk> = BTreeMap::new();
    for (at, disk) in scene.snapshot.disks.values() {
        if is_fresh(scene, *at) {
            claims.extend(disk.full_claims().map(|claim| (&claim.key, claim)));
        }
    }
    found.extend(claims.into_values().filter_map(|claim| of_claim(scene, claim)));
    found
}

fn is_fresh(scene: &Scene<'_>, at: Timestamp) -> bool {
    scene.now.duration_since(at) <= FRESH
}

/// What is wrong with a node's disk.
struct Finding {
    since: Timestamp,
    severity: Severity,
    score: f64,
    label: String,
    facts: Vec<Evidence>,
}

impl Finding {
    /// With what is foretold as one more reason.
    fn and(mut self, foretold: &Finding) -> Finding {
        self.severity = self.severity.max(foretold.severity);
        self.score += 0.05;
        self.facts.extend(foretold.facts.iter().cloned());
        self
    }
}

fn of_node(scene: &Scene<'_>, node: &Node) -> Option<Anomaly> {
    let name = &node.key.name;
    let disk = scene.snapshot.disks.get(name).filter(|(at, _)| is_fresh(scene, *at)).map(|(_, disk)| disk);
    let history = scene.snapshot.disk_free.get(name);
    let foretold = foretold(scene, name);
    let mut finding = pressure(scene, node, disk)
        .or_else(|| low(scene, disk?, history))
        .map(|low| match &foretold {
            Some(foretold) => low.and(foretold),
            None => low,
        })
        .or(foretold)
        .or_else(|| filling(scene, disk?, history?))?;
    let telling = events(scene, node);
    let evicted = evicted(scene, node);
    if !evicted.is_empty() || !telling.is_empty() {
        finding.score += 0.05;
    }
    finding.facts.extend(telling);
    if let Some(first) = evicted.first() {
        let says = format!("{} evicted for it, e.g. {}", text::count(evicted.len(), "pod"), first.key);
        finding.facts.push(evidence(Origin::Pods, None, says));
    }
    let causes = causes(disk, &finding, &evicted);
    finding.facts.extend(disk.map(|disk| evidence(Origin::NodeDisks, None, disk.root.says())));
    let here = on_node(scene, node);
    let load = load(scene, &here);
    let mut bindings = bindings(node, &load);
    let pressed = node.pressures().any(|pressure| &*pressure.kind == "DiskPressure");
    bindings.insert("disk_pressure", pressed.to_string());
    if let Some(hog) = disk.and_then(NodeDisk::hog) {
        bindings.insert("hog", hog.key.name.to_string());
        bindings.insert("hog_namespace", hog.key.namespace.to_string());
    }
    if let Some(runtime) = node.container_runtime.as_deref().and_then(|runtime| runtime.split(':').next()) {
        bindings.insert("runtime", runtime.to_owned());
    }
    let mut touched = touches(scene, &[node], &here);
    touched.extend(evicted.iter().map(|pod| scene.workload_of(pod).0));
    touched.sort();
    touched.dedup();
    shown(Anomaly {
        id: AnomalyId(format!("{}/node/{name}", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(ObjectRef::new(Kind::Node, node.key.clone())),
        severity: finding.severity,
        score: finding.score,
        onset: finding.since,
        title: finding.label,
        evidence: finding.facts,
        causes,
        touches: touched,
        bindings,
        pages_at: (finding.severity == Severity::Critical)
            .then(|| pages_at(scene, finding.since, &PAGES_AFTER))
            .flatten(),
    })
}

/// The kubelet itself says so. Unknown is no pressure: that node is silent.
fn pressure(scene: &Scene<'_>, node: &Node, disk: Option<&NodeDisk>) -> Option<Finding> {
    let condition = node.condition("DiskPressure").filter(|condition| condition.status == Status::True)?;
    let since = condition.since.unwrap_or(node.created).min(scene.now);
    let words = condition.message.as_deref().map(quote).unwrap_or_default();
    let mut facts = vec![evidence(Origin::Nodes, Some(since), format!("DiskPressure: {words}"))];
    if node.has_taint("node.kubernetes.io/disk-pressure") {
        facts.push(evidence(Origin::Nodes, None, "tainted disk-pressure: no pod is placed here"));
    }
    let label = format!("disk pressure{}", disk.map(who).unwrap_or_default());
    Some(Finding { since, severity: Severity::Critical, score: 0.9, label, facts })
}

/// Less free than is comfortable, before or without the kubelet's own word.
fn low(scene: &Scene<'_>, disk: &NodeDisk, history: Option<&Series>) -> Option<Finding> {
    if !disk.is_low() {
        return None;
    }
    let bound = if disk.is_out() { crate::domain::EVICTION } else { LOW };
    let since = history.and_then(|series| below_since(series, bound)).unwrap_or(scene.now);
    let severity = match () {
        () if disk.is_out() => Severity::Critical,
        () if scene.has_lasted(since, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    };
    let what = match disk.root.inodes_left() {
        Some(left) if left < INODE_EVICTION => format!("has {:.1} % of its inodes free", left * 100.0),
        _ => {
            let tightest = disk.images.iter().chain([&disk.root]).filter_map(Filesystem::free);
            format!("has {:.0} % of the disk free", tightest.fold(1.0, f64::min) * 100.0)
        }
    };
    let score = if disk.is_out() { 0.85 } else { 0.7 };
    Some(Finding { since, severity, score, label: format!("{what}{}", who(disk)), facts: Vec::new() })
}

/// As Prometheus has it over hours, it will be full within a day; critical when little is left and it will be
/// within hours.
fn foretold(scene: &Scene<'_>, node: &Name) -> Option<Finding> {
    let trends = scene.snapshot.strain.disks.iter().filter(|trend| trend.node == *node);
    let found = trends.filter_map(|trend| {
        let (at, free) = trend.free.last()?;
        if scene.now.duration_since(at) > RECENT || free > scene.threshold(&FORECAST_FREE) {
            return None;
        }
        let lasting = |horizon| {
            forecast(&trend.free, scene.threshold(horizon))
                .filter(|forecast| scene.has_lasted(forecast.since, &FORECAST_AFTER))
        };
        let soon = lasting(&FULL_WITHIN).filter(|_| free < LOW);
        let severity = if soon.is_some() { Severity::Critical } else { Severity::Warning };
        Some((soon.or_else(|| lasting(&FORECAST))?, severity, trend, free))
    });
    let (forecast, severity, trend, free) =
        found.min_by(|one, other| one.0.within.total_cmp(&other.0.within))?;
    let left = text::span(Duration::from_secs(forecast.within as u64));
    let says = format!(
        "{} took {:.0} % in {}, {:.0} % are free: full in {left} at this pace",
        trend.mountpoint,
        forecast.taken * 100.0,
        text::span(forecast.over),
        free * 100.0
    );
    Some(Finding {
        since: forecast.since,
        severity,
        score: 0.7,
        label: format!("disk fills up: full in {left}"),
        facts: vec![evidence(Origin::Prometheus, Some(forecast.since), says)],
    })
}

/// It falls so steadily that it will be full within hours.
fn filling(scene: &Scene<'_>, disk: &NodeDisk, history: &Series) -> Option<Finding> {
    let (first, last) = (history.points().first()?, history.points().last()?);
    let over = last.0.duration_since(first.0);
    let steady = over >= STEADY && history.points().windows(2).all(|pair| pair[1].1 <= pair[0].1 + 0.002);
    let rate = (first.1 - last.1) / over.as_secs_f64().max(1.0);
    if !steady || rate <= 0.0 {
        return None;
    }
    let seconds = (last.1 - crate::domain::EVICTION) / rate;
    if seconds > scene.threshold(&FULL_WITHIN) {
        return None;
    }
    let left = text::span(Duration::from_secs(seconds.max(0.0) as u64));
    let label = format!("disk fills up: at the kubelet's threshold in {left}");
    let fell =
        format!("{:.0} % of the disk in {}", (first.1 - last.1) * 100.0, text::span(over.unsigned_abs()));
    let facts =
        vec![evidence(Origin::NodeDisks, Some(first.0), format!("filled by {fell}; {}", disk.root.says()))];
    Some(Finding { since: first.0, severity: Severity::Suspect, score: 0.6, label, facts })
}

/// Since when every sample has been below a bound.
fn below_since(series: &Series, bound: f64) -> Option<Timestamp> {
    series.points().iter().rev().take_while(|(_, free)| *free < bound).last().map(|(at, _)| *at)
}

fn causes(disk: Option<&NodeDisk>, finding: &Finding, evicted: &[&Pod]) -> Vec<Cause> {
    let known = disk.map(NodeDisk::causes).unwrap_or_default();
    if !known.is_empty() {
        return known;
    }
    if let Some((disk, hog)) = disk.and_then(|disk| Some((disk, disk.hog()?))) {
        return vec![Cause { name: cause::POD_FILLS_DISK, says: disk.takes(hog), weight: 0.85 }];
    }
    if let Some((pod, amount)) = evicted::hog(evicted) {
        let says = format!("{} used {amount} when it was evicted", pod.key);
        return vec![Cause { name: cause::POD_FILLS_DISK, says, weight: 0.75 }];
    }
    let says = match finding.facts.first() {
        Some(fact) => fact.says.clone(),
        None => finding.label.clone(),
    };
    vec![Cause { name: cause::NODE_PRESSURE, says, weight: 0.5 }]
}

/// Who fills it, for a title; nothing where nobody stands out.
fn who(disk: &NodeDisk) -> &'static str {
    match disk.causes().first().map(|cause| cause.name) {
        Some(cause::INODES_EXHAUSTED) => ": no inodes left",
        Some(cause::POD_FILLS_DISK) => ": one pod fills it",
        Some(cause::IMAGES_FILL_DISK) => ": images fill it",
        _ => "",
    }
}

/// What the kubelet says of its attempts to free space: warnings of the last hour about the node.
fn events(scene: &Scene<'_>, node: &Node) -> Vec<Evidence> {
    let telling = ["FreeDiskSpaceFailed", "ImageGCFailed", "EvictionThresholdMet"];
    let of_disk = |message: &str| !message.contains("memory") && !message.contains("pid");
    scene
        .events(Kind::Node, &node.key)
        .filter(|event| telling.contains(&&*event.reason) && of_disk(&event.message))
        .take(2)
        .map(|event| {
            let says = format!("{}: {}", event.reason, quote(&event.message));
            evidence(Origin::Events, Some(event.last), says)
        })
        .collect()
}

/// Pods that were evicted from it for want of disk.
fn evicted<'a>(scene: &Scene<'a>, node: &Node) -> Vec<&'a Pod> {
    let for_disk = |pod: &Pod| {
        pod.message.as_deref().is_some_and(|says| {
            says.contains("ephemeral-storage") || says.contains("inodes") || says.contains("DiskPressure")
        })
    };
    let mut pods: Vec<&Pod> = scene
        .snapshot
        .pods
        .iter()
        .filter(|pod| pod.phase == Phase::Failed && pod.reason.as_deref() == Some("Evicted"))
        .filter(|pod| pod.node.as_ref() == Some(&node.key.name) && for_disk(pod))
        .collect();
    pods.sort_by(|one, other| one.key.cmp(&other.key));
    pods
}

fn on_node<'a>(scene: &Scene<'a>, node: &Node) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = scene
        .snapshot
        .pods
        .iter()
        .filter(|pod| pod.node.as_ref() == Some(&node.key.name) && !pod.is_finished())
        .collect();
    pods.sort_by(|one, other| one.key.cmp(&other.key));
    pods
}

fn of_claim(scene: &Scene<'_>, claim: &ClaimDisk) -> Option<Anomaly> {
    let free = claim.filesystem.free()?;
    let critical = free < scene.threshold(&CLAIM_CRITICAL);
    let object = ObjectRef::new(Kind::PersistentVolumeClaim, claim.key.clone());
    let says = format!("{}: {}", claim.key, claim.filesystem.says());
    let mut touches = vec![object.clone(), ObjectRef::new(Kind::Pod, claim.pod.clone())];
    touches.extend(scene.snapshot.pods.get(&claim.pod).map(|pod| scene.workload_of(pod).0));
    touches.sort();
    touches.dedup();
    shown(Anomaly {
        id: AnomalyId(format!("{}/claim/{}", RULE.name, claim.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object),
        severity: if critical { Severity::Critical } else { Severity::Warning },
        score: 0.8,
        // Nobody writes down since when; what matters is that it is so now.
        onset: scene.now,
        title: format!("volume has {:.0} % free", free * 100.0),
        evidence: vec![evidence(Origin::NodeDisks, None, says.clone())],
        causes: vec![Cause { name: cause::CLAIM_FULL, says, weight: 0.95 }],
        touches,
        bindings: [
            ("namespace", claim.key.namespace.to_string()),
            ("claim", claim.key.name.to_string()),
            ("claim_size", text::quantity(claim.filesystem.capacity)),
            ("claim_suggestion", text::quantity(claim.filesystem.capacity / 2 * 3)),
            ("pod", claim.pod.name.to_string()),
        ]
        .into(),
        pages_at: None,
    })
}
