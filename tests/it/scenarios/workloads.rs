//! Deployments, ReplicaSets and pods from compact rows; what a Deployment says of itself follows from its pods.

use std::collections::BTreeMap;

use covet_tui::domain::{
    Autoscaler, Concurrency, ConfigReference, Container, ContainerState, Controller, ControllerRevision,
    CronJob, Deployment, IntOrPercent, Job, Key, Kind, Labels, Name, Owner, Phase, Pod, Quantities,
    ReplicaSet, Selector, Status, Strategy, Template, TemplateContainer, Terminated, Update, Usage,
};

use super::rows::{AutoscalerRow, ControllerRow, CronJobRow, DeploymentRow, JobRow, PodRow, RevisionRow};
use super::world::{ago, bytes, condition, edit, metric, now, object, span};

#[derive(Default)]
pub struct Built {
    pub deployments: Vec<Deployment>,
    pub replica_sets: Vec<ReplicaSet>,
    pub controllers: Vec<Controller>,
    pub revisions: Vec<ControllerRevision>,
    pub pods: Vec<Pod>,
    pub usage: Vec<((Key, Name), Usage)>,
}

pub fn build(deployments: &[DeploymentRow], controllers: &[ControllerRow], pods: &[PodRow]) -> Built {
    let mut built = Built::default();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for row in pods {
        let of_deployment = row.of.split_once('@').filter(|(name, _)| !name.contains('/'));
        let revision = of_deployment.map(|(name, number)| {
            let deployment =
                deployments.iter().find(|other| other.name == name && other.namespace == row.namespace);
            let deployment = deployment.unwrap_or_else(|| panic!("no deployment {name}"));
            let number: u64 = number.parse().unwrap();
            let revision = deployment.revisions.iter().find(|revision| revision.n == number);
            (deployment, revision.unwrap_or_else(|| panic!("no revision {}", row.of)))
        });
        for _ in 0..row.count {
            let own = || row.of.split('@').next().unwrap_or_default().to_owned();
            let owner_name =
                revision.map_or_else(own, |(deployment, revision)| set_name(deployment, revision));
            let number = numbers.entry(owner_name.clone()).or_default();
            *number += 1;
            let pod = pod(row, revision, &owner_name, *number);
            if let Some(usage) = &row.usage {
                let usage = Usage { cpu_milli: 100, memory_bytes: bytes(usage) };
                built.usage.push(((pod.key.clone(), row.container.as_str().into()), usage));
            }
            built.pods.push(pod);
        }
    }
    for row in deployments {
        let sets: Vec<ReplicaSet> =
            row.revisions.iter().map(|revision| set(row, revision, &built.pods)).collect();
        built.deployments.push(deployment(row, &sets));
        built.replica_sets.extend(sets);
    }
    for row in pods.iter().filter(|row| row.of.starts_with("replicaset/")) {
        let set = lone_set(row, &built.pods);
        if !built.replica_sets.contains(&set) {
            built.replica_sets.push(set);
        }
    }
    for row in controllers {
        let revisions: Vec<ControllerRevision> =
            row.revisions.iter().map(|revision| controller_revision(row, revision)).collect();
        built.controllers.push(controller(row, &revisions, &built.pods));
        built.revisions.extend(revisions);
    }
    built
}

/// The kind and the name of `statefulset/db`.
fn named(of: &str) -> (Kind, &str) {
    let (kind, name) = of.split_once('/').unwrap_or_else(|| panic!("{of} is not kind/name"));
    (Kind::parse(kind).unwrap_or_else(|| panic!("{kind} is no kind")), name)
}

fn controller_revision(row: &ControllerRow, revision: &RevisionRow) -> ControllerRevision {
    let (kind, name) = named(&row.of);
    ControllerRevision {
        key: Key::new(row.namespace.as_str(), format!("{name}-{}", hash(revision))),
        owner: Some(Owner {
            kind: kind.as_str().into(),
            name: name.into(),
            uid: uid(kind.as_str(), &row.namespace, name),
        }),
        created: ago(&revision.age),
        revision: revision.n,
        change_cause: None,
        template: template(&row.refs, &row.namespace, revision),
    }
}

fn controller(row: &ControllerRow, revisions: &[ControllerRevision], pods: &[Pod]) -> Controller {
    let (kind, name) = named(&row.of);
    let newest = revisions.iter().max_by_key(|one| one.revision).unwrap();
    let uid = uid(kind.as_str(), &row.namespace, name);
    let own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == uid) && !pod.is_finished();
    let living = || pods.iter().filter(own).filter(|pod| pod.deleting.is_none());
    let ready = living().filter(|pod| pod.is_ready()).count() as u32;
    Controller {
        kind,
        key: Key::new(row.namespace.as_str(), name),
        resource_version: "1".into(),
        created: ago("30d"),
        edited: None,
        keeper: None,
        selector: Selector { labels: Labels::new(vec![("app".into(), name.into())]), has_expressions: false },
        update: if row.on_delete { Update::OnDelete } else { Update::Rolling { partition: row.partition } },
        min_ready_seconds: row.min_ready,
        is_ordered: kind == Kind::StatefulSet && !row.parallel,
        desired: row.replicas,
        // Those on their way out count (`status.replicas`).
        existing: pods.iter().filter(own).count() as u32,
        updated: living().filter(|pod| newest.is_of(&pod.labels)).count() as u32,
        ready,
        available: ready,
        update_revision: (kind == Kind::StatefulSet).then(|| newest.key.name.clone()),
        template: newest.template.clone(),
        uid,
    }
}

pub fn job(row: &JobRow) -> Job {
    let failed =
        row.failed.as_deref().map(|at| condition("Failed", Status::True, &row.reason, &row.message, ago(at)));
    let complete = row.complete.then(|| condition("Complete", Status::True, "", "", ago(&row.age)));
    let revision = RevisionRow {
        init_containers: Vec::new(),
        n: 1,
        was: Vec::new(),
        age: row.age.clone(),
        image: "ghcr.io/acme/app:v1".into(),
        memory: None,
        cpu: None,
        hash: None,
        containers: RevisionRow::containers(),
        selects: BTreeMap::new(),
        restart: false,
    };
    Job {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        uid: uid("Job", &row.namespace, &row.name),
        owner: row.cron.as_deref().map(|cron| Owner {
            kind: "CronJob".into(),
            name: cron.into(),
            uid: uid("CronJob", &row.namespace, cron),
        }),
        created: ago(&row.age),
        deleting: false,
        suspended: row.suspended,
        backoff_limit: 6,
        active: row.active,
        succeeded: u32::from(row.complete),
        failed: u32::from(row.failed.is_some()),
        conditions: failed.into_iter().chain(complete).collect(),
        template: template(&row.refs, &row.namespace, &revision),
    }
}

pub fn cron_job(row: &CronJobRow) -> CronJob {
    CronJob {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        uid: uid("CronJob", &row.namespace, &row.name),
        created: ago(&row.age),
        edited: edit(row.edited.as_deref(), row.by.as_deref()),
        suspended: row.suspended,
        schedule: row.schedule.as_str().into(),
        concurrency: match &*row.concurrency {
            "Allow" => Concurrency::Allow,
            "Forbid" => Concurrency::Forbid,
            "Replace" => Concurrency::Replace,
            other => panic!("{other} is no concurrencyPolicy"),
        },
        active: 0,
        last_scheduled: row.scheduled.as_deref().map(ago),
        last_successful: row.successful.as_deref().map(ago),
    }
}

fn hash(revision: &RevisionRow) -> String {
    revision.hash.clone().unwrap_or_else(|| format!("h{}", revision.n))
}

fn set_name(deployment: &DeploymentRow, revision: &RevisionRow) -> String {
    format!("{}-{}", deployment.name, hash(revision))
}

fn template(refs: &[String], namespace: &str, revision: &RevisionRow) -> Template {
    let quantities =
        Quantities { cpu_milli: revision.cpu, memory_bytes: revision.memory.as_deref().map(bytes) };
    let reference = |text: &String| {
        let (text, key) = match text.split_once(':') {
            Some((text, key)) => (text, Some(key.into())),
            None => (text.as_str(), None),
        };
        ConfigReference { object: object(text, namespace), key, optional: false }
    };
    let container = |name: &String| TemplateContainer {
        name: name.as_str().into(),
        image: revision.image.as_str().into(),
        requests: quantities,
        limits: quantities,
        ports: Box::default(),
        liveness: None,
        readiness: None,
        startup: None,
    };
    Template {
        containers: revision.containers.iter().map(container).collect(),
        init_containers: revision.init_containers.iter().map(container).collect(),
        references: refs.iter().map(reference).collect(),
        pull_secrets: Box::default(),
        service_account: None,
        node_selector: labels(&revision.selects),
        restarted_at: revision.restart.then(|| revision.age.as_str().into()),
    }
}

pub fn labels(pairs: &BTreeMap<String, String>) -> Labels {
    Labels::new(pairs.iter().map(|(label, value)| (label.as_str().into(), value.as_str().into())).collect())
}

fn deployment_template(row: &DeploymentRow, revision: &RevisionRow) -> Template {
    let pull_secrets = row.pull_secrets.iter().map(|name| name.as_str().into()).collect();
    Template { pull_secrets, ..template(&row.refs, &row.namespace, revision) }
}

fn uid(kind: &str, namespace: &str, name: &str) -> Name {
    format!("{kind}:{namespace}/{name}").into()
}

/// How many of its pods live, and how many are ready.
fn counted(uid: &Name, pods: &[Pod]) -> (u32, u32) {
    let own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == *uid);
    let living = || pods.iter().filter(own).filter(|pod| pod.deleting.is_none() && !pod.is_finished());
    (living().count() as u32, living().filter(|pod| pod.is_ready()).count() as u32)
}

/// A ReplicaSet without a Deployment.
fn lone_set(row: &PodRow, pods: &[Pod]) -> ReplicaSet {
    let (_, name) = named(&row.of);
    let uid = uid("ReplicaSet", &row.namespace, name);
    let (replicas, ready) = counted(&uid, pods);
    ReplicaSet {
        key: Key::new(row.namespace.as_str(), name),
        resource_version: "1".into(),
        owner: None,
        created: ago(&row.age),
        revision: None,
        earlier_revisions: Box::default(),
        template_hash: None,
        change_cause: None,
        replicas,
        ready,
        available: ready,
        conditions: Box::default(),
        template: Template::default(),
        uid,
    }
}

fn set(row: &DeploymentRow, revision: &RevisionRow, pods: &[Pod]) -> ReplicaSet {
    let name = set_name(row, revision);
    let uid = uid("ReplicaSet", &row.namespace, &name);
    let (replicas, ready) = counted(&uid, pods);
    ReplicaSet {
        key: Key::new(row.namespace.as_str(), name.as_str()),
        resource_version: "1".into(),
        owner: Some(Owner {
            kind: "Deployment".into(),
            name: row.name.as_str().into(),
            uid: self::uid("Deployment", &row.namespace, &row.name),
        }),
        created: ago(&revision.age),
        revision: Some(revision.n),
        earlier_revisions: revision.was.clone().into(),
        template_hash: Some(hash(revision).into()),
        change_cause: None,
        replicas,
        ready,
        available: ready,
        conditions: Box::default(),
        template: deployment_template(row, revision),
        uid,
    }
}

fn deployment(row: &DeploymentRow, sets: &[ReplicaSet]) -> Deployment {
    let newest = sets.iter().max_by_key(|set| set.revision).unwrap();
    let sum = |of: fn(&ReplicaSet) -> u32| sets.iter().map(of).sum::<u32>();
    let (total, ready) = (sum(|set| set.replicas), sum(|set| set.ready));
    let complete =
        newest.replicas == row.replicas && newest.ready == row.replicas && total == newest.replicas;
    let default = if complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
    let reason = row.progressing.as_deref().unwrap_or(default);
    let status = if reason == "ProgressDeadlineExceeded" { Status::False } else { Status::True };
    let progressing = condition("Progressing", status, reason, "", ago(&row.progressing_since));
    let refused = row
        .refused
        .as_deref()
        .map(|message| condition("ReplicaFailure", Status::True, "FailedCreate", message, ago("1m")));
    let unavailable = row
        .unavailable_since
        .as_deref()
        .map(|since| condition("Available", Status::False, "MinimumReplicasUnavailable", "", ago(since)));
    let newest_row = row.revisions.iter().max_by_key(|revision| revision.n).unwrap();
    let mut deployment = Deployment {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        uid: uid("Deployment", &row.namespace, &row.name),
        resource_version: "1".into(),
        labels: Labels::default(),
        created: ago(&row.age),
        generation: if row.unseen.is_some() { 4 } else { 3 },
        written: row.unseen.as_deref().map(ago),
        revision: newest.revision,
        keeper: None,
        replicas: row.replicas,
        selector: Selector {
            labels: Labels::new(vec![("app".into(), row.name.as_str().into())]),
            has_expressions: false,
        },
        strategy: Strategy::RollingUpdate {
            max_surge: IntOrPercent::Percent(25),
            max_unavailable: IntOrPercent::Percent(25),
        },
        paused: row.paused,
        progress_deadline_seconds: 600,
        min_ready_seconds: row.min_ready,
        template: deployment_template(row, newest_row),
        observed_generation: 3,
        status_replicas: total,
        updated: newest.replicas,
        ready,
        available: row.available.unwrap_or(ready),
        progressed: None,
        conditions: std::iter::once(progressing).chain(refused).chain(unavailable).collect(),
    };
    if let Some(status) = &row.status {
        deployment.conditions = Box::default();
        if status == "none" {
            deployment.observed_generation = 0;
            (deployment.status_replicas, deployment.updated) = (0, 0);
            (deployment.ready, deployment.available) = (0, 0);
        }
    }
    deployment
}

fn pod(row: &PodRow, revision: Option<(&DeploymentRow, &RevisionRow)>, owner_name: &str, number: u32) -> Pod {
    let mut labels: Vec<(Name, Name)> = Vec::new();
    let (name, owner, image) = if let Some((deployment, revision)) = revision {
        labels.push(("app".into(), deployment.name.as_str().into()));
        labels.push(("pod-template-hash".into(), hash(revision).into()));
        let uid = uid("ReplicaSet", &row.namespace, owner_name);
        let owner = Owner { kind: "ReplicaSet".into(), name: owner_name.into(), uid };
        (format!("{owner_name}-{number}"), Some(owner), revision.image.clone())
    } else {
        let (kind, name) = row.of.split_once('/').unwrap_or_else(|| panic!("{} has no owner", row.of));
        let (name, revision) =
            name.split_once('@').map_or((name, None), |(name, number)| (name, Some(number)));
        let name = name.to_owned();
        if matches!(kind, "statefulset" | "daemonset") {
            labels.push(("app".into(), name.as_str().into()));
        }
        if let Some(number) = revision {
            let label =
                if kind == "statefulset" { format!("{name}-h{number}") } else { format!("h{number}") };
            labels.push(("controller-revision-hash".into(), label.into()));
        }
        // The pods of a StatefulSet are counted from 0.
        let number = if kind == "statefulset" && revision.is_some() { number - 1 } else { number };
        let image = "ghcr.io/acme/app:v1".to_owned();
        if kind == "pod" {
            (name, None, image)
        } else {
            let kind = Kind::parse(kind).map_or_else(|| kind.to_owned(), |kind| kind.as_str().to_owned());
            let uid = uid(&kind, &row.namespace, &name);
            let owner = Owner { kind: kind.into(), name: name.as_str().into(), uid };
            (format!("{name}-{number}"), Some(owner), image)
        }
    };
    let memory =
        row.limit.as_deref().or(revision.and_then(|(_, revision)| revision.memory.as_deref())).map(bytes);
    let containers = containers(row, image.as_str().into(), memory);
    let all_ready = containers.iter().all(|container| container.init || container.ready);
    let is_ready = row.ready.unwrap_or(all_ready);
    let status = |holds: bool| if holds { Status::True } else { Status::False };
    let created = ago(&row.age);
    let homeless = ["unschedulable", "unseen", "gated"].contains(&row.is.as_str());
    let evicted = row.is == "failed" && row.reason == "Evicted";
    let scheduled = match row.is.as_str() {
        "unseen" => None,
        "unschedulable" => {
            Some(condition("PodScheduled", Status::False, "Unschedulable", &row.message, created))
        }
        "gated" => Some(condition("PodScheduled", Status::False, "SchedulingGated", &row.message, created)),
        _ => Some(condition("PodScheduled", Status::True, "", "", created)),
    };
    let ended = row.ended.as_deref().filter(|_| evicted).map(ago);
    Pod {
        key: Key::new(row.namespace.as_str(), name.as_str()),
        uid: uid("Pod", &row.namespace, &name),
        resource_version: "1".into(),
        labels: Labels::new(labels),
        owner,
        created,
        deleting: row.deleted.as_deref().map(ago).or(row.deleting.then(now)),
        finalizers: row.finalizers.iter().map(|name| name.as_str().into()).collect(),
        node: (!homeless).then(|| row.node.as_deref().unwrap_or("n1").into()),
        phase: match row.is.as_str() {
            "completed" => Phase::Succeeded,
            "failed" | "turned-away" => Phase::Failed,
            "unschedulable" | "unseen" | "gated" | "creating" | "waiting" | "init-crash" | "init-running" => {
                Phase::Pending
            }
            _ => Phase::Running,
        },
        reason: row.status_reason.as_deref().map(Name::from).or_else(|| evicted.then(|| "Evicted".into())),
        message: (evicted || row.is == "turned-away").then(|| row.message.as_str().into()),
        conditions: scheduled
            .into_iter()
            .chain([match &row.gate {
                Some(says) => condition(
                    "Ready",
                    Status::False,
                    "ReadinessGatesNotReady",
                    says,
                    ended.unwrap_or(created),
                ),
                None => {
                    let since = row.unready.as_deref().map(ago).or(ended).unwrap_or(created);
                    condition("Ready", status(is_ready), "", "", since)
                }
            }])
            .chain(row.disrupted.as_deref().map(|reason| {
                condition("DisruptionTarget", Status::True, reason, "", ended.unwrap_or(created))
            }))
            .collect(),
        containers,
        has_empty_dir: row.empty_dir,
        is_mirror: row.mirror,
        claims: row.claims.iter().map(|name| name.as_str().into()).collect(),
        priority_class: row.priority.as_deref().map(Name::from),
    }
}

fn containers(row: &PodRow, image: Name, memory: Option<u64>) -> Box<[Container]> {
    let quantities = Quantities { cpu_milli: Some(250), memory_bytes: memory };
    let blank = |name: &str| Container {
        name: name.into(),
        init: false,
        image: image.clone(),
        ready: false,
        restarts: row.restarts,
        state: ContainerState::Unreported,
        last: None,
        requests: quantities,
        limits: quantities,
    };
    let end = |reason: &str, exit: i32| {
        let ended = row.ended.as_deref().map(span).unwrap_or_default();
        let started = ended + span(&row.lived);
        let at = |before: std::time::Duration| now() - jiff::SignedDuration::try_from(before).unwrap();
        Terminated {
            reason: reason.into(),
            exit_code: exit,
            signal: None,
            started: Some(at(started)),
            finished: Some(at(ended)),
            message: (!row.message.is_empty()).then(|| row.message.as_str().into()),
        }
    };
    let waiting = |reason: &str| ContainerState::Waiting {
        reason: reason.into(),
        message: (!row.message.is_empty()).then(|| row.message.as_str().into()),
    };
    let running = ContainerState::Running { since: Some(ago(row.started.as_ref().unwrap_or(&row.age))) };
    let last = || (row.restarts > 0).then(|| end(&row.reason, row.exit));
    let app = blank(&row.container);
    let app = match row.is.as_str() {
        "running" => Container { ready: true, state: running, last: last(), ..app },
        "unready" => Container { state: running, last: last(), ..app },
        "crash" => {
            let state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
            Container { state, last: Some(end(&row.reason, row.exit)), ..app }
        }
        "ended" | "failed" => {
            Container { state: ContainerState::Terminated(end(&row.reason, row.exit)), ..app }
        }
        "completed" => Container { state: ContainerState::Terminated(end("Completed", 0)), ..app },
        "waiting" => Container { state: waiting(&row.reason), ..app },
        "creating" => Container { state: waiting("ContainerCreating"), ..app },
        "unschedulable" | "unseen" | "gated" => app,
        // Nothing of it is known but its spec.
        "turned-away" => return Box::new([app]),
        "init-crash" => {
            let state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
            let init =
                Container { init: true, state, last: Some(end(&row.reason, row.exit)), ..blank(&row.init) };
            let app = Container { restarts: 0, state: waiting("PodInitializing"), ..app };
            return Box::new([init, app]);
        }
        "init-running" => {
            let init = Container { init: true, restarts: 0, state: running, ..blank(&row.init) };
            let app = Container { restarts: 0, state: waiting("PodInitializing"), ..app };
            return Box::new([init, app]);
        }
        "sidecar-crash" => {
            let state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
            let sidecar = Container { state, last: Some(end(&row.reason, row.exit)), ..blank(&row.init) };
            let app = Container { restarts: 0, ready: true, state: running, ..app };
            return Box::new([sidecar, app]);
        }
        "half-done" => {
            let sidecar = Container { ready: true, state: running, ..blank(&row.init) };
            let done = ContainerState::Terminated(end("Completed", 0));
            return Box::new([sidecar, Container { state: done, ..app }]);
        }
        "native-sidecar-crash" => {
            let state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
            let last = Some(end(&row.reason, row.exit));
            let sidecar = Container { state, last, ..blank(&row.init) };
            let app = Container { restarts: 0, ready: true, state: running, ..app };
            return Box::new([sidecar, app]);
        }
        "two-troubles" => {
            let state = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: None };
            let sidecar = Container { state, last: Some(end(&row.reason, row.exit)), ..blank(&row.init) };
            let app = Container { restarts: 0, state: waiting("ImagePullBackOff"), ..app };
            return Box::new([sidecar, app]);
        }
        other => panic!("{other} is not a state of a pod"),
    };
    // Every pod has an init container that did its work, as most have.
    let done = ContainerState::Terminated(end("Completed", 0));
    Box::new([Container { init: true, ready: true, restarts: 0, state: done, ..blank(&row.init) }, app])
}

pub fn autoscaler(row: &AutoscalerRow) -> Autoscaler {
    let limited = row
        .limited
        .as_deref()
        .map(|since| condition("ScalingLimited", Status::True, "TooManyReplicas", "", ago(since)));
    let active = row.active.map(|active| {
        let (status, reason) = if active {
            (Status::True, "ValidMetricFound")
        } else {
            (Status::False, "FailedGetResourceMetric")
        };
        condition("ScalingActive", status, reason, "", ago("1h"))
    });
    let unable = row.unable.as_deref().map(|words| {
        let (reason, message) = words.split_once(": ").unwrap();
        let kind = if reason == "FailedGetScale" { "AbleToScale" } else { "ScalingActive" };
        condition(kind, Status::False, reason, message, ago("1h"))
    });
    Autoscaler {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        uid: uid("HorizontalPodAutoscaler", &row.namespace, &row.name),
        resource_version: "1".into(),
        created: ago("30d"),
        edited: edit(row.edited.as_deref(), row.by.as_deref()),
        target_kind: "Deployment".into(),
        target: row.target.as_str().into(),
        min: row.min,
        max: row.max,
        current: row.current,
        desired: row.desired.unwrap_or(row.current),
        last_scaled: row.scaled.as_deref().map(ago),
        metrics: row.ratio.map(metric).into_iter().collect(),
        conditions: limited.into_iter().chain(active).chain(unable).collect(),
    }
}
