//! A small world built by hand: a Deployment with revisions and pods, nodes, and an anomaly about them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use covet_tui::domain::*;
use covet_tui::playbooks::{Done, Library, Made, Progress};
use jiff::SignedDuration;

/// The present of these tests.
pub fn now() -> Timestamp {
    "2026-03-12T03:12:00Z".parse().unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub struct World {
    pub namespace: String,
    pub app: String,
    pub container: String,
    pub deployment: Deployment,
    pub sets: Vec<ReplicaSet>,
    pub pods: Vec<Pod>,
    pub nodes: Vec<Node>,
    pub autoscaler: Option<Autoscaler>,
    pub others: Vec<Deployment>,
    pub budgets: Vec<DisruptionBudget>,
    pub facts: Vec<(Origin, Fact)>,
    pub anomaly: Anomaly,
    pub progress: Progress,
    pub settings: BTreeMap<String, String>,
    pub systems: BTreeSet<System>,
    pub fires: bool,
    pub read_only: bool,
    pub denied: BTreeSet<Access>,
}

fn condition(kind: &str, status: Status, since: Timestamp) -> Condition {
    Condition { kind: kind.into(), status, reason: None, message: None, since: Some(since) }
}

impl World {
    /// `replicas` ready pods of revision `revision`, all well.
    pub fn new(rule: &str, namespace: &str, app: &str, replicas: u32, revision: u64) -> Self {
        let container = format!("{app}-main");
        let template = Template {
            containers: Box::new([TemplateContainer {
                name: container.as_str().into(),
                image: format!("ghcr.io/org/{app}:v{revision}").into(),
                requests: Quantities { cpu_milli: Some(250), memory_bytes: Some(1 << 30) },
                limits: Quantities { cpu_milli: None, memory_bytes: Some(2 << 30) },
                ports: Box::new([8000]),
                liveness: None,
                readiness: None,
                startup: None,
            }]),
            ..Template::default()
        };
        let key = Key::new(namespace, app);
        let deployment = Deployment {
            key: key.clone(),
            uid: format!("uid-{app}").into(),
            resource_version: "1".into(),
            labels: Labels::default(),
            created: ago(900_000),
            generation: 4,
            written: None,
            revision: Some(revision),
            keeper: None,
            replicas,
            selector: Selector {
                labels: Labels::new(vec![("app".into(), app.into())]),
                has_expressions: false,
            },
            strategy: Strategy::RollingUpdate {
                max_surge: IntOrPercent::Percent(25),
                max_unavailable: IntOrPercent::Percent(25),
            },
            paused: false,
            progress_deadline_seconds: 600,
            min_ready_seconds: 0,
            template,
            observed_generation: 4,
            status_replicas: replicas,
            updated: replicas,
            ready: replicas,
            available: replicas,
            conditions: Box::new([]),
            progressed: None,
        };
        let mut world = Self {
            namespace: namespace.into(),
            app: app.into(),
            container,
            deployment,
            sets: Vec::new(),
            pods: Vec::new(),
            nodes: Vec::new(),
            autoscaler: None,
            others: Vec::new(),
            budgets: Vec::new(),
            facts: Vec::new(),
            anomaly: Anomaly {
                id: AnomalyId(format!("{rule}/{namespace}/{app}").into()),
                rule: rule.into(),
                subject: Subject::Object(ObjectRef::new(Kind::Deployment, key)),
                severity: Severity::Warning,
                score: 0.8,
                onset: ago(180),
                title: format!("{app} is in trouble"),
                evidence: Vec::new(),
                causes: Vec::new(),
                touches: Vec::new(),
                bindings: BTreeMap::new(),
                pages_at: None,
            },
            progress: Progress::default(),
            settings: BTreeMap::new(),
            systems: everything(),
            fires: true,
            read_only: false,
            denied: BTreeSet::new(),
        };
        world.add_revision(revision, replicas, ago(90_000));
        for index in 0..replicas {
            world.add_ready_pod(revision, index);
        }
        world
    }

    pub fn add_revision(&mut self, revision: u64, ready: u32, created: Timestamp) {
        let mut template = self.deployment.template.clone();
        template.containers[0].image = format!("ghcr.io/org/{}:v{revision}", self.app).into();
        self.sets.push(ReplicaSet {
            key: Key::new(self.namespace.as_str(), format!("{}-r{revision}", self.app)),
            uid: format!("uid-{}-r{revision}", self.app).into(),
            resource_version: "1".into(),
            owner: Some(Owner {
                kind: "Deployment".into(),
                name: self.app.as_str().into(),
                uid: self.deployment.uid.clone(),
            }),
            created,
            revision: Some(revision),
            earlier_revisions: Box::new([]),
            template_hash: Some(format!("r{revision}").into()),
            change_cause: None,
            replicas: ready,
            ready,
            available: ready,
            conditions: Box::new([]),
            template: template.clone(),
        });
        if self.deployment.revision <= Some(revision) {
            (self.deployment.revision, self.deployment.template) = (Some(revision), template);
        }
    }

    fn pod(&self, revision: u64, index: u32) -> Pod {
        Pod {
            key: Key::new(self.namespace.as_str(), format!("{}-r{revision}-{index}", self.app)),
            uid: format!("uid-{}-r{revision}-{index}", self.app).into(),
            resource_version: "1".into(),
            labels: Labels::new(vec![
                ("app".into(), self.app.as_str().into()),
                ("pod-template-hash".into(), format!("r{revision}").into()),
            ]),
            owner: Some(Owner {
                kind: "ReplicaSet".into(),
                name: format!("{}-r{revision}", self.app).into(),
                uid: format!("uid-{}-r{revision}", self.app).into(),
            }),
            created: ago(80_000),
            deleting: None,
            finalizers: Box::default(),
            node: Some(format!("node-{}", index % 3 + 1).into()),
            phase: Phase::Running,
            reason: None,
            message: None,
            conditions: Box::new([condition("Ready", Status::True, ago(70_000))]),
            containers: Box::new([Container {
                name: self.container.as_str().into(),
                init: false,
                image: format!("ghcr.io/org/{}:v{revision}", self.app).into(),
                ready: true,
                restarts: 0,
                state: ContainerState::Running { since: Some(ago(70_000)) },
                last: None,
                requests: Quantities { cpu_milli: Some(250), memory_bytes: Some(1 << 30) },
                limits: Quantities { cpu_milli: None, memory_bytes: Some(2 << 30) },
            }]),
            has_empty_dir: false,
            is_mirror: false,
            claims: Box::new([]),
            priority_class: None,
        }
    }

    pub fn add_ready_pod(&mut self, revision: u64, index: u32) {
        let pod = self.pod(revision, index);
        self.pods.push(pod);
    }

    /// A pod whose container waits for this reason; `ended` is its last termination, if it ever ran.
    pub fn add_waiting_pod(&mut self, revision: u64, index: u32, reason: &str, ended: Option<(&str, i32)>) {
        let mut pod = self.pod(revision, index);
        pod.conditions = Box::new([condition("Ready", Status::False, ago(170))]);
        pod.phase = if ended.is_some() { Phase::Running } else { Phase::Pending };
        let container = &mut pod.containers[0];
        container.ready = false;
        container.restarts = if ended.is_some() { 4 } else { 0 };
        container.state = ContainerState::Waiting { reason: reason.into(), message: None };
        container.last = ended.map(|(reason, exit_code)| Terminated {
            reason: reason.into(),
            exit_code,
            signal: None,
            started: Some(ago(60)),
            finished: Some(ago(40)),
            message: None,
        });
        self.pods.push(pod);
    }

    /// A new revision whose pods wait for this reason while the others serve.
    pub fn bad_revision(mut self, revision: u64, reason: &str, ended: Option<(&str, i32)>) -> Self {
        self.add_revision(revision, 0, ago(240));
        for index in 0..2 {
            self.add_waiting_pod(revision, index, reason, ended);
        }
        self.deployment.updated = 2;
        self.deployment.status_replicas += 2;
        self
    }

    /// Every pod of every revision waits for this reason.
    pub fn all_bad(mut self, reason: &str, ended: Option<(&str, i32)>) -> Self {
        let revision = self.deployment.revision.unwrap_or(1);
        let replicas = self.deployment.replicas;
        self.pods.clear();
        for index in 0..replicas {
            self.add_waiting_pod(revision, index, reason, ended);
        }
        self.deployment.ready = 0;
        self.deployment.available = 0;
        for set in &mut self.sets {
            set.ready = 0;
            set.available = 0;
        }
        self
    }

    pub fn cause(mut self, name: &'static str, says: &str) -> Self {
        let name = cause::cause(name).expect("a word of the vocabulary").name;
        let weight = 0.9 - 0.1 * self.anomaly.causes.len() as f64;
        self.anomaly.causes.push(Cause { name, says: says.into(), weight });
        self
    }

    pub fn binding(mut self, name: &'static str, value: &str) -> Self {
        self.anomaly.bindings.insert(name, value.into());
        self
    }

    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    pub fn began(mut self, seconds_ago: i64) -> Self {
        self.anomaly.onset = ago(seconds_ago);
        self
    }

    pub fn did_at(mut self, step: &str, seconds_ago: i64, ok: bool) -> Self {
        let done = Done {
            at: ago(seconds_ago),
            ok,
            says: "done".into(),
            found: Vec::new(),
            bindings: BTreeMap::new(),
            grounds: None,
            change: None,
            undone: false,
            covers: Default::default(),
        };
        self.progress.steps.insert(step.into(), done);
        self
    }

    /// A change that was made as it is planned now, for the nth time; confirmed ten seconds before it ended.
    pub fn made(self, step: &str, seconds_ago: i64, times: u32) -> Self {
        let planned = self.plan().step(step).cloned().unwrap();
        let change = Made {
            title: planned.title,
            action: planned.action.unwrap_or(Action::ListNodes),
            began: ago(seconds_ago + 10),
            times,
            undoable: planned.undo.is_some(),
        };
        let mut world = self.did_at(step, seconds_ago, true);
        world.progress.steps.get_mut(step).unwrap().change = Some(change);
        world
    }

    pub fn did(self, step: &str) -> Self {
        self.did_at(step, 90, true)
    }

    /// A read that determined a value.
    pub fn told(mut self, step: &str, name: &str, value: &str) -> Self {
        self = self.did(step);
        self.progress.steps.get_mut(step).unwrap().bindings.insert(name.into(), value.into());
        self
    }

    pub fn found(mut self, step: &str, cause: &str, says: &str) -> Self {
        self = self.did(step);
        let found = Found { cause: cause.into(), says: says.into() };
        self.progress.steps.get_mut(step).unwrap().found.push(found);
        self
    }

    /// All reads that run by themselves have run and found nothing.
    pub fn read(mut self) -> Self {
        let library = Library::built_in();
        let playbook = library.get(&self.anomaly.rule).unwrap();
        for step in playbook.steps.iter().filter(|step| step.auto) {
            if !self.progress.steps.contains_key(&step.id) {
                self = self.did(&step.id);
            }
        }
        self
    }

    pub fn with_autoscaler(mut self, min: u32, max: u32) -> Self {
        self.autoscaler = Some(Autoscaler {
            key: Key::new(self.namespace.as_str(), format!("{}-hpa", self.app)),
            uid: "uid-hpa".into(),
            resource_version: "1".into(),
            created: ago(86_400),
            edited: None,
            target_kind: "Deployment".into(),
            target: self.app.as_str().into(),
            min,
            max,
            current: max,
            desired: max,
            last_scaled: Some(ago(400)),
            metrics: Box::new([]),
            conditions: Box::new([]),
        });
        self
    }

    /// Nodes `node-1` …, all Ready for a day.
    pub fn with_nodes(mut self, number: usize) -> Self {
        self.nodes = (1..=number).map(|index| node(&format!("node-{index}"), true, 86_400)).collect();
        self
    }

    pub fn connections(mut self, used: u32, max: u32) -> Self {
        let capacity = Capacity { max_connections: max, reserved: 3, used, ..Capacity::default() };
        self.facts.push((Origin::Postgres, Fact::Database(Database::Capacity(capacity))));
        self
    }
}

pub fn node(name: &str, ready: bool, since: i64) -> Node {
    let status = if ready { Status::True } else { Status::Unknown };
    Node {
        key: Key::cluster(name),
        uid: format!("uid-{name}").into(),
        resource_version: "1".into(),
        labels: Labels::default(),
        created: ago(900_000),
        deleting: None,
        unschedulable: false,
        taints: Box::new([]),
        conditions: Box::new([NodeCondition {
            condition: condition("Ready", status, ago(since)),
            heartbeat: None,
        }]),
        allocatable: Quantities { cpu_milli: Some(4000), memory_bytes: Some(8 << 30) },
        allocatable_pods: Some(110),
        provider_id: Some(format!("aws:///eu-west-1a/i-{name}").into()),
        internal_ip: Some("10.0.0.7".into()),
        kubelet_version: None,
        os_image: None,
        container_runtime: None,
    }
}

/// An anomaly about a node of `world`.
pub fn about_node(mut world: World, name: &str) -> World {
    world.anomaly.subject = Subject::Object(ObjectRef::new(Kind::Node, Key::cluster(name)));
    world.anomaly.bindings.insert("node", name.into());
    world
}

pub fn minutes(number: u64) -> Duration {
    Duration::from_mins(number)
}

/// Every system is configured.
pub fn everything() -> BTreeSet<System> {
    let outside = [System::Postgres, System::Redis, System::Prometheus, System::Alertmanager];
    let machines = [System::Aws, System::Ssh, System::Network, System::Scripts];
    [System::Kubernetes].into_iter().chain(outside).chain(machines).collect()
}
