//! How long it takes to fold a cluster, to judge it and to draw it, at 1 000, 10 000 and 100 000 pods.

use std::hint::black_box;
use std::time::Duration;

use covet_tui::app::{self, App, Options};
use covet_tui::domain::{
    Condition, Container, ContainerState, Delta, Deployment, Event, Fact, IntOrPercent, Key, Labels, Lease,
    Name, Node, NodeCondition, Observation, Origin, Owner, Phase, Pod, Quantities, ReplicaSet, Selector,
    Snapshot, Status, Strategy, Template, Terminated, Timestamp,
};
use covet_tui::incident::incidents;
use covet_tui::rules::{Thresholds, judge};
use covet_tui::ui;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::SignedDuration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const PODS_OF_A_DEPLOYMENT: usize = 10;
const PODS_ON_A_NODE: usize = 20;
/// Old ReplicaSets of each Deployment beside the living one.
const OLD_REVISIONS: usize = 4;
/// The API server's pages and ours.
const PAGE: usize = 500;

fn now() -> Timestamp {
    "2026-03-01T03:12:00Z".parse().expect("a moment")
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn condition(kind: &str, status: Status) -> Condition {
    Condition { kind: kind.into(), status, reason: None, message: None, since: Some(ago(9000)) }
}

fn quantities() -> Quantities {
    Quantities { cpu_milli: Some(250), memory_bytes: Some(512 << 20) }
}

fn deployment_name(number: usize) -> String {
    format!("service-{number:05}")
}

fn set_uid(deployment: usize, revision: usize) -> Name {
    format!("3f0c9a52-7d1e-4b60-{revision:04}-{deployment:012}").into()
}

fn pod(number: usize, sick: bool) -> Pod {
    let deployment = number / PODS_OF_A_DEPLOYMENT;
    let set = format!("{}-7f9c6d5b48", deployment_name(deployment));
    let end = Terminated {
        reason: "OOMKilled".into(),
        exit_code: 137,
        signal: None,
        started: Some(ago(50)),
        finished: Some(ago(40)),
        message: None,
    };
    let waiting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
    let running = ContainerState::Running { since: Some(ago(9000)) };
    let status = if sick { Status::False } else { Status::True };
    Pod {
        key: Key::new("shop", format!("{set}-{number:06}")),
        uid: format!("8a1b2c3d-0000-4000-8000-{number:012}").into(),
        resource_version: "1".into(),
        labels: Labels::new(vec![
            ("app".into(), deployment_name(deployment).into()),
            ("pod-template-hash".into(), "7f9c6d5b48".into()),
        ]),
        owner: Some(Owner {
            kind: "ReplicaSet".into(),
            name: set.into(),
            uid: set_uid(deployment, OLD_REVISIONS),
        }),
        created: ago(9000),
        deleting: None,
        finalizers: Box::default(),
        node: Some(format!("node-{:04}", number / PODS_ON_A_NODE).into()),
        phase: Phase::Running,
        reason: None,
        message: None,
        conditions: Box::new([
            condition("PodScheduled", Status::True),
            condition("Initialized", Status::True),
            condition("ContainersReady", status),
            condition("Ready", status),
        ]),
        containers: Box::new([Container {
            name: "app".into(),
            init: false,
            image: "ghcr.io/acme/app:v1".into(),
            ready: !sick,
            restarts: if sick { 4 } else { 0 },
            state: if sick { waiting } else { running },
            last: sick.then_some(end),
            requests: quantities(),
            limits: quantities(),
        }]),
        has_empty_dir: false,
        is_mirror: false,
        claims: Box::default(),
        priority_class: None,
    }
}

fn deployment(number: usize) -> Deployment {
    let count = PODS_OF_A_DEPLOYMENT as u32;
    let mut progressing = condition("Progressing", Status::True);
    progressing.reason = Some("NewReplicaSetAvailable".into());
    Deployment {
        key: Key::new("shop", deployment_name(number)),
        uid: format!("deployment-{number:012}").into(),
        resource_version: "1".into(),
        labels: Labels::default(),
        created: ago(90_000),
        generation: 1,
        written: None,
        revision: Some(OLD_REVISIONS as u64),
        keeper: None,
        replicas: count,
        selector: Selector::default(),
        strategy: Strategy::RollingUpdate {
            max_surge: IntOrPercent::Percent(25),
            max_unavailable: IntOrPercent::Percent(25),
        },
        paused: false,
        progress_deadline_seconds: 600,
        min_ready_seconds: 0,
        template: Template::default(),
        observed_generation: 1,
        status_replicas: count,
        updated: count,
        ready: count,
        available: count,
        conditions: Box::new([progressing]),
        progressed: None,
    }
}

fn set(deployment: usize, revision: usize) -> ReplicaSet {
    let count = if revision == OLD_REVISIONS { PODS_OF_A_DEPLOYMENT as u32 } else { 0 };
    let hash = if revision == OLD_REVISIONS { "7f9c6d5b48".to_owned() } else { format!("old{revision}") };
    ReplicaSet {
        key: Key::new("shop", format!("{}-{hash}", deployment_name(deployment))),
        uid: set_uid(deployment, revision),
        resource_version: "1".into(),
        owner: Some(Owner {
            kind: "Deployment".into(),
            name: deployment_name(deployment).into(),
            uid: format!("deployment-{deployment:012}").into(),
        }),
        created: ago(90_000 - revision as i64 * 10_000),
        revision: Some(revision as u64),
        earlier_revisions: Box::default(),
        template_hash: Some(hash.into()),
        change_cause: None,
        replicas: count,
        ready: count,
        available: count,
        conditions: Box::default(),
        template: Template::default(),
    }
}

fn node(number: usize) -> Node {
    let ready = NodeCondition { condition: condition("Ready", Status::True), heartbeat: None };
    Node {
        key: Key::cluster(format!("node-{number:04}")),
        uid: format!("node-{number}").into(),
        resource_version: "1".into(),
        labels: Labels::default(),
        created: ago(900_000),
        deleting: None,
        unschedulable: false,
        taints: Box::default(),
        conditions: Box::new([ready]),
        allocatable: Quantities { cpu_milli: Some(16_000), memory_bytes: Some(64 << 30) },
        allocatable_pods: Some(110),
        provider_id: None,
        internal_ip: None,
        kubelet_version: None,
        os_image: None,
        container_runtime: None,
    }
}

fn event(number: usize) -> Event {
    Event {
        key: Key::new("shop", format!("event-{number}")),
        about_kind: "Pod".into(),
        about: Key::new("shop", format!("pod-{number}")),
        about_uid: None,
        warning: number.is_multiple_of(50),
        reason: "Started".into(),
        message: "Started container app".into(),
        count: 1,
        first: ago(600),
        last: ago(600),
        source: None,
    }
}

/// A cluster with `pods` pods of which one in `sick_of` crash-loops; 0 for none.
fn cluster(pods: usize, sick_of: usize) -> Vec<Observation> {
    let deployments = pods / PODS_OF_A_DEPLOYMENT;
    let nodes = pods / PODS_ON_A_NODE;
    let seen = |origin: Origin, fact: Fact| Observation { at: now(), origin, seen: Ok(fact) };
    let mut all = vec![seen(Origin::ApiServer, Fact::Answered(Duration::from_millis(5)))];
    macro_rules! list {
        ($kind:ident, $rows:expr) => {
            let rows: Vec<_> = $rows.collect();
            all.push(seen(Origin::$kind, Fact::$kind(Delta::Relisting)));
            for page in rows.chunks(PAGE) {
                all.push(seen(Origin::$kind, Fact::$kind(Delta::Seen(page.to_vec()))));
            }
            all.push(seen(Origin::$kind, Fact::$kind(Delta::Listed)));
        };
    }
    list!(Pods, (0..pods).map(|number| pod(number, sick_of > 0 && number % sick_of == 0)));
    list!(Deployments, (0..deployments).map(deployment));
    list!(
        ReplicaSets,
        (0..deployments).flat_map(|number| (0..=OLD_REVISIONS).map(move |old| set(number, old)))
    );
    list!(Nodes, (0..nodes).map(node));
    let lease = |number| Lease {
        key: Key::new("kube-node-lease", format!("node-{number:04}")),
        renewed: Some(ago(3)),
    };
    list!(Leases, (0..nodes).map(lease));
    list!(Events, (0..pods).map(event));
    all
}

fn folded(observations: Vec<Observation>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for observation in observations {
        snapshot.fold(observation);
    }
    snapshot
}

fn fold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(10);
    for size in SIZES {
        let observations = cluster(size, 0);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &observations, |bench, observations| {
            bench.iter_batched(|| observations.clone(), folded, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let thresholds = Thresholds::default();
    for (name, sick_of) in
        [("judge healthy", 0), ("judge one pod in 1000 sick", 1000), ("judge one in 20 sick", 20)]
    {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        for size in SIZES {
            let snapshot = folded(cluster(size, sick_of));
            group.bench_with_input(BenchmarkId::from_parameter(size), &snapshot, |bench, snapshot| {
                bench.iter(|| black_box(judge(snapshot, &thresholds, now())));
            });
        }
        group.finish();
    }
}

fn grouping(criterion: &mut Criterion) {
    let thresholds = Thresholds::default();
    let mut group = criterion.benchmark_group("incidents, one pod in 20 sick");
    group.sample_size(20);
    for size in SIZES {
        let snapshot = folded(cluster(size, 20));
        let anomalies = judge(&snapshot, &thresholds, now()).anomalies();
        group.bench_with_input(BenchmarkId::from_parameter(size), &anomalies, |bench, anomalies| {
            bench.iter(|| black_box(incidents(anomalies, &snapshot, now())));
        });
    }
    group.finish();
}

/// A cockpit that has seen and judged the whole cluster.
fn cockpit(size: usize) -> App {
    let mut app = App::new(Options::default(), ago(60));
    app.update(app::Event::Resized(200, 50), ago(60));
    app.update(app::Event::Observed(cluster(size, 1000)), now());
    app
}

fn drawing(criterion: &mut Criterion) {
    let area = Rect::new(0, 0, 200, 50);
    let press = |key| app::Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
    for (name, opened) in
        [("a key to its frame, main screen", ""), ("a key to its frame, list of pods", "11")]
    {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        for size in SIZES {
            let mut app = cockpit(size);
            for key in opened.chars() {
                app.update(press(key), now());
            }
            group.bench_function(BenchmarkId::from_parameter(size), |bench| {
                bench.iter(|| {
                    black_box(app.update(press('j'), now()));
                    let mut buffer = Buffer::empty(area);
                    ui::draw(&app, area, &mut buffer);
                    black_box(buffer)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, fold, judging, grouping, drawing);
criterion_main!(benches);
