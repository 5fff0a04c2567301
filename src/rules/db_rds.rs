//! What CloudWatch adds about a database at RDS: how busy the writer's CPU really is, and what bounds it.

use std::time::Duration;

use super::workload::evidence;
use super::{Scene, Threshold, Unit};
use crate::domain::{Evidence, Origin, RdsLoad, RdsMetric, Series, Timestamp, between};

/// Of the highest capacity that Serverless v2 may have.
pub(super) const AT_MOST: Threshold = Threshold {
    key: "db-cpu.acu",
    default: 0.9,
    unit: Unit::Ratio,
    says: "share of the highest capacity (ACUs) in use",
    source: "our own choice; AWS advises to raise the maximum when ACUUtilization is often at 100 %",
};
/// Below this, busy sessions are not the CPU's doing: they wait for locks or for disks.
const IDLE: f64 = 0.5;
/// RDS publishes each minute, a few minutes late.
const LATE: Duration = Duration::from_mins(6);
/// Credits that a burstable instance spends in a minute at full use, for each of two CPUs.
const SPENT: f64 = 2.0;

/// What CloudWatch last saw, while it is to be seen.
fn load<'a>(scene: &Scene<'a>) -> Option<&'a RdsLoad> {
    let blind = scene.snapshot.blindness(Origin::CloudWatch, scene.now).is_some();
    scene.snapshot.rds.as_ref().filter(|_| !blind)
}

fn last(scene: &Scene<'_>, metric: RdsMetric) -> Option<(Timestamp, f64)> {
    let (at, value) = load(scene)?.of_writer(metric)?.points.last()?;
    (between(at, scene.now) <= LATE).then_some((at, value))
}

/// CPU of the writer over time, 0 to 1; None when its last value is old.
pub(super) fn cpu(scene: &Scene<'_>) -> Option<Series> {
    last(scene, RdsMetric::CpuUtilization)?;
    let percent = &load(scene)?.of_writer(RdsMetric::CpuUtilization)?.points;
    Some(Series::new(percent.points().iter().map(|(at, percent)| (*at, percent / 100.0))))
}

/// Whether its CPU is measured, and has little to do.
pub(super) fn is_idle(scene: &Scene<'_>) -> bool {
    last(scene, RdsMetric::CpuUtilization).is_some_and(|(_, percent)| percent < IDLE * 100.0)
}

/// What is said of a cluster that may not grow any more.
pub(super) fn at_most(scene: &Scene<'_>) -> Option<String> {
    let (_, percent) = last(scene, RdsMetric::AcuUtilization)?;
    let (_, most) = load(scene)?.capacity?;
    (percent >= scene.threshold(&AT_MOST) * 100.0)
        .then(|| format!("{percent:.0} % of the {most} ACUs that it may have are in use"))
}

/// `shop-1: CPU 87 %, DBLoad 9.2, …`, and what bounds it.
pub(super) fn facts(scene: &Scene<'_>) -> Vec<Evidence> {
    let Some(load) = load(scene) else { return Vec::new() };
    let figures: Vec<String> = RdsMetric::ALL
        .iter()
        .filter_map(|metric| Some(format!("{} {}", metric.as_str(), metric.says(last(scene, *metric)?.1))))
        .collect();
    let Some(writer) = RdsMetric::ALL.iter().find_map(|metric| load.of_writer(*metric)) else {
        return Vec::new();
    };
    if figures.is_empty() {
        return Vec::new();
    }
    let mut facts =
        vec![evidence(Origin::CloudWatch, None, format!("{}: {}", writer.instance, figures.join(", ")))];
    if last(scene, RdsMetric::CpuCreditBalance).is_some_and(|(_, left)| left < SPENT) {
        let says = format!("{} has spent its CPU credits: it runs at its baseline", writer.instance);
        facts.push(evidence(Origin::CloudWatch, None, says));
    }
    facts
}
