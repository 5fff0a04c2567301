//! A small production at a quarter past three: what the eyes would have said of it, and what was made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use covet_tui::app::{App, Dossier, Event, Options, Verdict};
use covet_tui::domain::*;
use covet_tui::guard::{Actor, Armed, Confirmation, DiffTone, Draft, Guard, Hazard, Preview, Undo};
use covet_tui::incident::{Incident, IncidentId, Link, Title};
use covet_tui::journal::{Closing, EntryId, Record};
use covet_tui::playbooks::{
    ChecklistItem, Done, Library, Plan, PlannedStep, Progress, Resolution, StepPhase, StepState,
};

/// 03:12:44 on a November night.
pub fn now() -> Timestamp {
    "2026-11-23T03:12:44Z".parse().unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

pub fn options() -> Options {
    Options {
        context: "shop-eu".into(),
        namespace: Some("covetpy".into()),
        armed: true,
        theme: "dark".into(),
        systems: [System::Kubernetes, System::Network, System::Postgres].into(),
        ..Options::default()
    }
}

/// A cockpit that sees the world with nothing wrong in it.
pub fn healthy(options: Options) -> App {
    let options = Options { library: Library::built_in(), ..options };
    let mut app = App::new(options, ago(600));
    app.update(Event::Resized(120, 40), ago(600));
    app.update(Event::Observed(observations(false)), now());
    app.verdict = Verdict { changes: vec![changes().pop().unwrap()], ..Verdict::default() };
    app
}

/// The same with the rollout that went wrong, its incident selected and its reads done.
pub fn crashing(options: Options) -> App {
    let mut app = App::new(options, ago(600));
    app.update(Event::Resized(120, 40), ago(600));
    app.update(Event::Observed(observations(true)), now());
    judged(&mut app);
    app
}

/// What the rules would have found, by hand, so that their wording is theirs to change.
pub fn judged(app: &mut App) {
    let anomalies = vec![crash_loop(), rollout_stuck(), high_latency()];
    let ids: Vec<AnomalyId> = anomalies.iter().map(|anomaly| anomaly.id.clone()).collect();
    let incident = Incident {
        id: IncidentId("crash-loop/deployment/covetpy/covetpy-app".into()),
        title: Title {
            what: "rollout 7f9c5d of covetpy-app crash-looping: OOMKilled".into(),
            symptoms: 2,
            began: ago(252),
            after: Some((Duration::from_secs(40), "revision 7".into())),
        },
        severity: Severity::Critical,
        onset: ago(252),
        root: ids[0].clone(),
        members: ids.clone(),
        symptoms: ids[1..].to_vec(),
        links: vec![Link {
            cause: ids[0].clone(),
            effect: ids[1].clone(),
            why: "the newest revision cannot become available while its pods crash",
            weight: 0.9,
        }],
        changes: changes(),
        score: 0.95,
    };
    app.verdict = Verdict { anomalies, incidents: vec![incident], changes: changes(), ..Verdict::default() };
    app.selection.anomaly = Some(ids[0].clone());
    let mut dossier = Dossier::new(crash_loop());
    dossier.progress = progress();
    dossier.plan = Some(plan());
    dossier.readings.insert("logs".into(), reading());
    app.dossiers.insert(ids[0].clone(), dossier);
}

fn deployment(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Deployment, Key::new("covetpy", name))
}

fn anomaly(rule: &str, severity: Severity, title: &str, began: i64) -> Anomaly {
    Anomaly {
        id: AnomalyId(format!("{rule}/deployment/covetpy/covetpy-app").into()),
        rule: rule.into(),
        subject: Subject::Object(deployment("covetpy-app")),
        severity,
        score: 0.9,
        onset: ago(began),
        title: title.into(),
        evidence: Vec::new(),
        causes: Vec::new(),
        touches: vec![deployment("covetpy-app")],
        bindings: BTreeMap::new(),
        pages_at: None,
    }
}

pub fn crash_loop() -> Anomaly {
    let evidence = |seconds, from, says: &str| Evidence { at: Some(ago(seconds)), from, says: says.into() };
    Anomaly {
        evidence: vec![
            evidence(21, Origin::Pods, "2 of 4 pods wait in CrashLoopBackOff, 5 restarts each"),
            evidence(33, Origin::Pods, "last exit 137, OOMKilled, 9 s after start"),
            evidence(252, Origin::ReplicaSets, "both pods are of revision 7, all of revision 6 are ready"),
        ],
        causes: vec![
            Cause {
                name: cause::OOM_KILLED,
                says: "OOMKilled at 512 MiB limit, 9 s after start".into(),
                weight: 0.92,
            },
            Cause { name: cause::BAD_REVISION, says: "only revision 7 crashes".into(), weight: 0.88 },
        ],
        pages_at: Some(ago(-680)),
        ..anomaly("crash-loop", Severity::Critical, "2 of 4 pods crash-looping: OOMKilled", 252)
    }
}

fn rollout_stuck() -> Anomaly {
    anomaly("rollout-stuck", Severity::Warning, "rollout of covetpy-app stuck at 2 of 4 updated", 240)
}

fn high_latency() -> Anomaly {
    Anomaly {
        id: AnomalyId("high-latency/traffic/covetpy".into()),
        subject: Subject::Traffic("covetpy".into()),
        ..anomaly("high-latency", Severity::Warning, "p95 1.24 s, above 0.50 s", 210)
    }
}

/// The last lines of the container that crashed.
pub fn reading() -> Reading {
    let line = |tone, words: &str| (tone, words.to_owned());
    Reading {
        at: ago(38),
        took: Duration::from_millis(41),
        summary: "ends in the middle of loading the catalogue".into(),
        lines: vec![
            line(Tone::Heading, "covetpy-app-7f9c5d6b88-0pd9w app"),
            line(Tone::Plain, "03:12:01 INFO  covetpy 1.2.4 starting, workers=4"),
            line(Tone::Plain, "03:12:01 INFO  connected to db:5432/covetpy"),
            line(Tone::Plain, "03:12:02 INFO  loading catalogue into memory"),
            line(Tone::Plain, "03:12:06 WARN  catalogue is large: 1204331 products"),
            line(Tone::Bad, "03:12:09 ERROR worker 2 was killed (signal 9)"),
        ],
        found: Vec::new(),
        bindings: BTreeMap::new(),
        dropped: 0,
        ok: true,
        unseen: false,
    }
}

fn progress() -> Progress {
    let done = |seconds, says: &str, found: Vec<Found>| Done {
        at: ago(seconds),
        ok: true,
        says: says.into(),
        found,
        bindings: BTreeMap::new(),
        grounds: None,
        change: None,
        undone: false,
        covers: Default::default(),
    };
    let found =
        Found { cause: "oom-killed".into(), says: "Memory cgroup out of memory: Killed process 1".into() };
    Progress {
        steps: BTreeMap::from([
            ("pods".into(), done(40, "2 of 4 pods crash; exit code 137, OOMKilled", Vec::new())),
            ("logs".into(), done(38, "ends in the middle of loading the catalogue", vec![found])),
            ("revisions".into(), done(37, "revision 7: memory limit 2Gi → 512Mi", Vec::new())),
        ]),
        ..Progress::default()
    }
}

fn step(id: &str, phase: StepPhase, title: &str, effect: Effect, state: StepState) -> PlannedStep {
    PlannedStep {
        id: id.into(),
        phase,
        title: title.into(),
        why: "Brings back what was healthy before the change.".into(),
        state,
        action: Some(Action::RolloutUndo {
            object: ObjectRef::new(Kind::Deployment, Key::new("covetpy", "covetpy-app")),
            to_revision: 6,
        }),
        inputs: Vec::new(),
        covers: Default::default(),
        effect,
        undo: (effect != Effect::Read).then(|| "roll forward to revision 7".into()),
        auto: effect == Effect::Read,
        notes: Vec::new(),
        access: None,
        not_ours: None,
        takes_back: None,
    }
}

fn plan() -> Plan {
    let progress = progress();
    let done = |id: &str| {
        let done = &progress.steps[id];
        StepState::Done { at: done.at, ok: done.ok, says: done.says.clone() }
    };
    let suggested = StepState::Suggested { why: "only revision 7 crashes".into() };
    let against = StepState::NotAdvised { why: "they would crash again at the same limit".into() };
    let blocked = StepState::Blocked { why: "AWS is not configured".into() };
    let (read, disrupt) = (Effect::Read, Effect::Disruptive);
    Plan {
        playbook: "crash-loop".into(),
        title: "Crash-looping pods".into(),
        steps: vec![
            step(
                "pods",
                StepPhase::Investigate,
                "Pods of covetpy-app and their last exits",
                read,
                done("pods"),
            ),
            step("logs", StepPhase::Investigate, "Log of the previous life", read, done("logs")),
            step("revisions", StepPhase::Investigate, "What revision 7 changed", read, done("revisions")),
            step("undo", StepPhase::Mitigate, "Roll covetpy-app back to revision 6", disrupt, suggested),
            step(
                "memory",
                StepPhase::Mitigate,
                "Raise the memory limit to 2Gi",
                disrupt,
                StepState::Available,
            ),
            step("delete", StepPhase::Mitigate, "Delete the crashing pods", disrupt, against),
            step("cloudwatch", StepPhase::Investigate, "Container insights of the node group", read, blocked),
            step("ready", StepPhase::Verify, "All pods ready and no restarts", read, StepState::Available),
        ],
        suggested: Some(3),
        why: "only revision 7 crashes, OOMKilled at a limit it lowered; revision 6 ran for 3 days".into(),
        alternatives: vec![4],
        parent: None,
        resolved: Resolution {
            says: "not yet: 2 of 4 pods ready; containers still crash".into(),
            holds_since: None,
            for_: Duration::from_mins(5),
            reached: false,
        },
        follow_up: vec![
            ChecklistItem {
                id: "limits".into(),
                says: "Every container has requests and a limit".into(),
                auto: Some(true),
            },
            ChecklistItem {
                id: "alert".into(),
                says: "An alert on memory near the limit exists".into(),
                auto: Some(false),
            },
            ChecklistItem {
                id: "review".into(),
                says: "Why did review not see the lowered limit?".into(),
                auto: None,
            },
        ],
    }
}

/// As the server would answer a dry run of the rollback.
pub fn preview(armed: &Armed) -> Preview {
    armed.seal(draft())
}

pub fn draft() -> Draft {
    let action = Action::RolloutUndo {
        object: ObjectRef::new(Kind::Deployment, Key::new("covetpy", "covetpy-app")),
        to_revision: 6,
    };
    Draft {
        at: now(),
        title: "roll deployment/covetpy-app back from revision 7 to revision 6".into(),
        targets: vec!["deployment/covetpy-app in covetpy".into(), "2 pods of revision 7 are replaced".into()],
        diff: vec![
            (DiffTone::Place, "spec.template.spec.containers[app].resources.limits".into()),
            (DiffTone::Same, "cpu: \"1\"".into()),
            (DiffTone::Removed, "memory: 512Mi".into()),
            (DiffTone::Added, "memory: 2Gi".into()),
            (DiffTone::Place, "spec.template.spec.containers[app]".into()),
            (DiffTone::Removed, "image: registry.shop.example/covetpy:1.2.4".into()),
            (DiffTone::Added, "image: registry.shop.example/covetpy:1.2.3".into()),
        ],
        hazards: vec![
            Hazard::warn(
                Guard::Keeper,
                "Argo CD application shop keeps this Deployment and may put revision 7 back",
            ),
            Hazard::note(Guard::DisruptionBudget, "covetpy-app allows 1 disruption; the rollout respects it"),
        ],
        pins: Vec::new(),
        before: serde_json::Value::Null,
        undo: Some(Undo {
            action: Action::RolloutUndo {
                object: ObjectRef::new(Kind::Deployment, Key::new("covetpy", "covetpy-app")),
                to_revision: 7,
            },
            says: "roll forward to revision 7".into(),
            left: Vec::new(),
        }),
        command: action.as_command(),
        confirmation: Confirmation::Type("covetpy-app".into()),
        action,
    }
}

pub fn changes() -> Vec<Change> {
    let change = |seconds, kind, object: ObjectRef, says: &str, by: Option<&str>| Change {
        at: ago(seconds),
        kind,
        object,
        says: says.into(),
        by: by.map(Into::into),
    };
    vec![
        change(
            292,
            ChangeKind::Rollout,
            deployment("covetpy-app"),
            "revision 7: image covetpy:1.2.4, memory limit 512Mi",
            Some("argocd"),
        ),
        change(
            700,
            ChangeKind::Scaling,
            deployment("covetpy-worker"),
            "2 → 3 replicas by its autoscaler",
            None,
        ),
        change(
            1310,
            ChangeKind::Config,
            ObjectRef::new(Kind::ConfigMap, Key::new("covetpy", "feature-flags")),
            "written",
            Some("kubectl-edit"),
        ),
    ]
}

pub fn container(name: &str, state: ContainerState, ready: bool, restarts: u32) -> Container {
    Container {
        name: name.into(),
        init: false,
        image: "registry.shop.example/covetpy:1.2.4".into(),
        ready,
        restarts,
        last: (restarts > 0).then(|| Terminated {
            reason: "OOMKilled".into(),
            exit_code: 137,
            signal: None,
            started: Some(ago(60)),
            finished: Some(ago(51)),
            message: None,
        }),
        state,
        requests: Quantities { cpu_milli: Some(250), memory_bytes: Some(512 << 20) },
        limits: Quantities { cpu_milli: Some(1000), memory_bytes: Some(512 << 20) },
    }
}

pub fn pod(name: &str, node: &str, crashing: bool) -> Pod {
    let state = if crashing {
        ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None }
    } else {
        ContainerState::Running { since: Some(ago(90_000)) }
    };
    Pod {
        key: Key::new("covetpy", name),
        uid: format!("uid-{name}").into(),
        resource_version: "1".into(),
        labels: Labels::default(),
        owner: None,
        created: if crashing { ago(290) } else { ago(260_000) },
        deleting: None,
        finalizers: Box::default(),
        node: Some(node.into()),
        phase: Phase::Running,
        reason: None,
        message: None,
        conditions: Box::new([Condition {
            kind: "Ready".into(),
            status: if crashing { Status::False } else { Status::True },
            reason: None,
            message: None,
            since: Some(ago(290)),
        }]),
        containers: Box::new([container("app", state, !crashing, if crashing { 5 } else { 0 })]),
        has_empty_dir: false,
        is_mirror: false,
        claims: Box::default(),
        priority_class: None,
    }
}

pub fn node(name: &str) -> Node {
    Node {
        key: Key::cluster(name),
        uid: name.into(),
        resource_version: "1".into(),
        labels: Labels::default(),
        created: ago(900_000),
        deleting: None,
        unschedulable: false,
        taints: Box::default(),
        conditions: Box::new([NodeCondition {
            condition: Condition {
                kind: "Ready".into(),
                status: Status::True,
                reason: None,
                message: None,
                since: None,
            },
            heartbeat: None,
        }]),
        allocatable: Quantities { cpu_milli: Some(4000), memory_bytes: Some(16 << 30) },
        allocatable_pods: Some(58),
        provider_id: None,
        internal_ip: None,
        kubelet_version: Some("v1.36.1".into()),
        os_image: None,
        container_runtime: None,
    }
}

fn autoscaler(name: &str, current: u32, max: u32, cpu: &str) -> Autoscaler {
    Autoscaler {
        key: Key::new("covetpy", name),
        uid: name.into(),
        resource_version: "1".into(),
        created: ago(86_400),
        edited: None,
        target_kind: "Deployment".into(),
        target: name.into(),
        min: 2,
        max,
        current,
        desired: current,
        last_scaled: Some(ago(700)),
        metrics: Box::new([MetricReading {
            name: "cpu".into(),
            current: Some(cpu.into()),
            target: Some("70%".into()),
            ratio: None,
        }]),
        conditions: Box::default(),
    }
}

fn handshake(host: &str, days: i64) -> Handshake {
    Handshake {
        host: host.into(),
        port: 443,
        address: "203.0.113.10".into(),
        is_given: false,
        at: now(),
        served: Ok(Served {
            not_before: ago(86_400),
            not_after: ago(-86_400 * days - 3600),
            names: Box::new([host.into()]),
            issuer: "Let's Encrypt R11".into(),
            serial: "03ab".into(),
            name_matches: true,
            distrust: None,
            is_alone: false,
        }),
    }
}

/// Half an hour of samples every 15 s; a step at the onset when things go wrong.
fn series(calm: f64, wild: f64, bad: bool) -> Series {
    Series::new((0..120).map(|sample| {
        let at = ago((119 - sample) * 15 + 4);
        let wave = ((sample * 7919) % 13) as f64 / 13.0;
        let after = bad && at > ago(230);
        let level = if after { wild * (0.85 + wave * 0.2) } else { calm * (0.85 + wave * 0.3) };
        (at, level)
    }))
}

fn traffic(bad: bool) -> Traffic {
    Traffic {
        p50: series(0.041, 0.12, bad),
        p95: series(0.21, 1.24, bad),
        p99: series(0.38, 2.1, bad),
        error_ratio: series(0.0004, 0.034, bad),
        rate: series(182.0, 171.0, bad),
        errors_by_pod: Vec::new(),
        memory: Series::default(),
        ..Traffic::default()
    }
}

pub fn seen(origin: Origin, fact: Fact) -> Observation {
    Observation { at: ago(1), origin, seen: Ok(fact) }
}

pub fn blind(origin: Origin, kind: BlindKind, why: &str, repair: Option<&str>, since: i64) -> Observation {
    let seen = Err(Blind { kind, why: why.into(), repair: repair.map(Into::into), since: ago(since) });
    Observation { at: ago(1), origin, seen }
}

pub fn listed<T>(origin: Origin, fact: fn(Delta<T>) -> Fact, values: Vec<T>) -> Vec<Observation> {
    vec![
        seen(origin, fact(Delta::Relisting)),
        seen(origin, fact(Delta::Seen(values))),
        seen(origin, fact(Delta::Listed)),
    ]
}

pub fn pods(bad: bool) -> Vec<Pod> {
    let mut pods: Vec<Pod> =
        (0..2).map(|n| pod(&format!("covetpy-app-6b8d7f9c44-{n}x2kq"), "node-1", false)).collect();
    pods.extend((0..2).map(|n| pod(&format!("covetpy-app-7f9c5d6b88-{n}pd9w"), "node-2", bad)));
    pods.extend((0..3).map(|n| pod(&format!("covetpy-worker-5c4f6d7b9-{n}ttzl"), "node-3", false)));
    pods.extend((0..5).map(|n| pod(&format!("storefront-84d9c7b6f5-{n}mm4c"), "node-1", false)));
    pods.extend((0..2).map(|n| pod(&format!("ingress-nginx-{n}"), "node-2", false)));
    pods
}

pub fn observations(bad: bool) -> Vec<Observation> {
    let mut all = vec![seen(Origin::ApiServer, Fact::Answered(Duration::from_millis(4)))];
    all.extend(listed(Origin::Pods, Fact::Pods, pods(bad)));
    all.extend(listed(Origin::Nodes, Fact::Nodes, (1..=4).map(|n| node(&format!("node-{n}"))).collect()));
    let scalers = vec![
        autoscaler("covetpy-app", 4, 12, if bad { "81%" } else { "43%" }),
        autoscaler("covetpy-worker", 3, 6, "38%"),
    ];
    all.extend(listed(Origin::Autoscalers, Fact::Autoscalers, scalers));
    all.extend(listed(Origin::Deployments, Fact::Deployments, Vec::new()));
    all.extend(listed(Origin::ReplicaSets, Fact::ReplicaSets, Vec::new()));
    all.extend(listed(Origin::StatefulSets, Fact::StatefulSets, Vec::new()));
    all.extend(listed(Origin::DaemonSets, Fact::DaemonSets, Vec::new()));
    all.extend(listed(Origin::Jobs, Fact::Jobs, Vec::new()));
    all.extend(listed(Origin::CronJobs, Fact::CronJobs, Vec::new()));
    all.extend(listed(Origin::Events, Fact::Events, Vec::new()));
    all.extend(listed(Origin::Certificates, Fact::Certificates, Vec::new()));
    all.extend(listed(Origin::Ingresses, Fact::Ingresses, Vec::new()));
    all.extend(listed(Origin::EndpointSlices, Fact::EndpointSlices, Vec::new()));
    let usage = (1..=4).map(|n: u64| {
        let used = Usage { cpu_milli: 900 + n * 350, memory_bytes: (5 + n * 2) << 30 };
        (Name::from(format!("node-{n}")), used)
    });
    all.push(seen(Origin::NodeUsage, Fact::NodeUsage(UsageSource::MetricsServer, usage.collect())));
    all.push(seen(Origin::Prometheus, Fact::Traffic(Box::new(traffic(bad)))));
    for sample in 0..60 {
        let at = ago((59 - sample) * 30 + 2);
        let extra = if bad && at > ago(230) { 30 } else { 0 };
        let capacity = Capacity {
            max_connections: 100,
            reserved: 3,
            used: 38 + (sample as u32 * 5) % 7 + extra,
            active: 9,
            idle: 27 + extra / 2,
            idle_in_transaction: 2 + extra / 2,
            lock_waiters: 0,
            on_cpu: 3,
            oldest_transaction: Some(Duration::from_secs(if bad { 96 } else { 1 })),
        };
        let seen = Ok(Fact::Database(Database::Capacity(capacity)));
        all.push(Observation { at, origin: Origin::Postgres, seen });
    }
    for (host, days) in
        [("shop.example.com", 61), ("api.shop.example.com", 17), ("status.shop.example.com", 80)]
    {
        all.push(seen(Origin::Tls, Fact::Handshakes(vec![handshake(host, days)])));
    }
    let walks = ["shop.example.com", "api.shop.example.com"].map(|host| Walk {
        host: host.into(),
        at: ago(4),
        ended: Ended::Answered { status: 200 },
        addresses: Box::default(),
        balancers: Box::default(),
        note: None,
    });
    all.push(seen(Origin::Reach, Fact::Walks(walks.into())));
    let cache = Cache { ping: Duration::from_millis(1), hit_ratio: Some(0.97), ..Cache::default() };
    all.push(seen(Origin::Redis, Fact::Cache(cache)));
    all.push(seen(Origin::AlertHistory, Fact::Noise(Box::default())));
    all.push(seen(Origin::Monitoring, Fact::Monitoring(Box::default())));
    all.push(seen(Origin::Triggers, Fact::Asked(Vec::new())));
    all.push(seen(
        Origin::Alertmanager,
        Fact::Alerts { alerts: Vec::new(), silences: Vec::new(), loaded: None },
    ));
    all
}

/// Two actions of this night, oldest first; the second one's outcome is not known.
pub fn journal() -> Vec<Record> {
    let record = |id: &str, seconds, title: &str, command: &str, result: Option<&str>| Record {
        id: EntryId(id.into()),
        at: ago(seconds),
        who: Actor {
            kube_user: "oncall".into(),
            os_user: "ana".into(),
            host: "laptop".into(),
            ..Actor::default()
        },
        effect: Effect::Change,
        title: title.into(),
        command: command.into(),
        targets: Vec::new(),
        pins: Vec::new(),
        hazards: Vec::new(),
        action: serde_json::Value::Null,
        before: serde_json::Value::Null,
        undo: None,
        undoes: None,
        closing: result.map(|result| Closing {
            at: ago(seconds - 9),
            result: result.into(),
            says: "done".into(),
            progress: Vec::new(),
            undo: None,
            way_back: None,
        }),
        intact: true,
    };
    vec![
        record(
            "20261123-030102-aaaa",
            702,
            "scale deployment/web from 2 to 3",
            "kubectl scale …",
            Some("performed"),
        ),
        record("20261123-031007-bbbb", 157, "cordon node-2", "kubectl cordon node-2", None),
    ]
}
