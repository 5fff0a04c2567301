//! Everything known at one moment, folded from observations.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{
    Activity, Alert, AlertState, AnomalyId, Ask, Asked, Autoscaler, Blind, Cache, Capacity, Case,
    Certificate, Change, ConfigObject, Controller, ControllerRevision, CronJob, Database, Deployment,
    DisruptionBudget, EndpointSlice, Event, Fact, Handshake, Ingress, Job, Key, Kind, Labels, Lease,
    Monitoring, Name, Node, NodeDisk, Noise, Observation, Origin, PersistentVolumeClaim, Pod, RdsLoad, Reach,
    ReplicaSet, Series, Service, Sight, Silence, Strain, Table, Timestamp, Traffic, Trigger, Usage,
    UsageSource,
};

/// Alerts that always fire, so that their absence says something.
pub const WATCHDOGS: &[&str] = &["Watchdog", "DeadMansSwitch", "DeadMansSnitch"];
/// Cases of triggers that are remembered.
const CASES: usize = 1_000;
/// How long the database and cache histories reach back.
const HISTORY: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The one namespace that is looked at; None for all of them.
    pub scope: Option<Name>,
    pub pods: Table<Pod>,
    pub nodes: Table<Node>,
    pub deployments: Table<Deployment>,
    pub replica_sets: Table<ReplicaSet>,
    pub stateful_sets: Table<Controller>,
    pub daemon_sets: Table<Controller>,
    pub controller_revisions: Table<ControllerRevision>,
    pub jobs: Table<Job>,
    pub cron_jobs: Table<CronJob>,
    pub autoscalers: Table<Autoscaler>,
    pub disruption_budgets: Table<DisruptionBudget>,
    pub events: Table<Event>,
    pub services: Table<Service>,
    pub endpoint_slices: Table<EndpointSlice>,
    pub ingresses: Table<Ingress>,
    pub claims: Table<PersistentVolumeClaim>,
    pub config_maps: Table<ConfigObject>,
    pub secrets: Table<ConfigObject>,
    pub network_policies: Table<ConfigObject>,
    pub quotas: Table<ConfigObject>,
    pub limit_ranges: Table<ConfigObject>,
    pub leases: Table<Lease>,
    pub certificates: Table<Certificate>,
    /// By pod and container.
    pub pod_usage: HashMap<(Key, Name), Usage>,
    pub node_usage: HashMap<Name, Usage>,
    pub usage_source: Option<UsageSource>,
    pub traffic: Traffic,
    pub strain: Strain,
    pub alerts: Vec<Alert>,
    pub silences: Vec<Silence>,
    /// Since when Alertmanager has refused its configuration, by its own word, look after look.
    pub notifier_refuses: Option<Timestamp>,
    /// The last answer to the capacity query; stays when the server is exhausted.
    pub capacity: Option<Capacity>,
    /// Since when the database has been refusing connections for lack of slots (53300), and its words.
    pub exhausted: Option<(Timestamp, Name)>,
    /// Used connections over the last hour.
    pub connections: Series,
    /// How many of the sessions that lived at the first look were open already, back to the oldest of them: others may have
    /// come and gone, so at least so many were used then.
    pub opened: Series,
    /// Since when a look has shown an index that was begun and never finished.
    pub unfinished_since: Option<Timestamp>,
    /// Idle-in-transaction connections over the last hour.
    pub idle_in_transaction: Series,
    /// Sessions on a CPU, or wanting one, over the last hour.
    pub on_cpu: Series,
    /// Sessions that wait for locks, over the last hour.
    pub lock_waiters: Series,
    /// Who does what on the database, and when that was seen.
    pub activity: Option<(Timestamp, Activity)>,
    pub cache: Option<Cache>,
    /// Since when the cache has been refusing writes for want of memory, look after look.
    pub cache_refuses: Option<Timestamp>,
    /// The database's instances by CloudWatch.
    pub rds: Option<RdsLoad>,
    /// The cache's hit ratio over the last hour, 0 to 1.
    pub hit_ratio: Series,
    /// By host and port.
    pub handshakes: BTreeMap<(Name, u16), Vec<Handshake>>,
    /// By public host.
    pub reaches: BTreeMap<Name, Reach>,
    /// Since when a Service has had a slice without a ready endpoint, as far as seen.
    pub unserved: BTreeMap<Key, Timestamp>,
    /// When nodes that were ready were seen not to be, the last few times of each: events of nodes are in a namespace that
    /// may not be looked at.
    pub falls: BTreeMap<Key, Vec<Timestamp>>,
    /// When a node's lease was last seen to be renewed, by our own clock.
    pub beats: BTreeMap<Key, Timestamp>,
    /// Deployments whose controller has not seen their specification: the last generation that it saw, and since when we
    /// see that; None where it was so at first sight.
    pub overtaken: BTreeMap<Key, (i64, Option<Timestamp>)>,
    /// Certificates that were renewed under our eyes, and when.
    pub renewed: BTreeMap<Key, Timestamp>,
    pub monitoring: Option<Monitoring>,
    /// Since when each of these has been so, look after look.
    pub monitoring_since: MonitoringSince,
    pub noise: Noise,
    /// When an alert that always fires was last seen at Alertmanager.
    pub watchdog: Option<Timestamp>,
    /// The triggers of the team's own playbooks.
    pub triggers: Vec<Trigger>,
    /// What was last seen of each of them, by playbook.
    pub asked: BTreeMap<Name, Result<Vec<Case>, Blind>>,
    /// Cases by their anomaly, also of those that are over: their labels fill placeholders.
    cases: BTreeMap<AnomalyId, Case>,
    /// By node: when its kubelet was asked, and what it said of its disk.
    pub disks: BTreeMap<Name, (Timestamp, NodeDisk)>,
    /// By node: the free share of its disk over the last hour.
    pub disk_free: BTreeMap<Name, Series>,
    /// What changed under our eyes and no object tells, oldest first.
    pub seen_changes: Vec<Change>,
    /// What this cockpit did, oldest first.
    pub deeds: Vec<Change>,
    pub answered_in: Option<Duration>,
    pub(super) sights: BTreeMap<Origin, Sight>,
}

/// Since when something about Prometheus has been wrong.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct MonitoringSince {
    pub down: Option<Timestamp>,
    pub refused: Option<Timestamp>,
    pub stopped: Option<Timestamp>,
    pub targets: Option<Timestamp>,
    /// It takes more than a second to say that it is alive.
    pub slow: Option<Timestamp>,
    /// Alertmanager refuses its configuration, as Prometheus has it.
    pub notifier_refuses: Option<Timestamp>,
}

impl Snapshot {
    /// Nothing seen yet, of one namespace or of all, with a team's triggers to look out for.
    pub fn watching(scope: Option<Name>, triggers: Vec<Trigger>) -> Self {
        Self { scope, triggers, ..Self::default() }
    }

    /// All namespaces are looked at: names alone tell nobody where something is.
    pub fn is_everywhere(&self) -> bool {
        self.scope.is_none()
    }

    /// The alerts of what is looked at, and those of no namespace.
    pub fn alerts_in_scope(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| {
            let namespace = alert.labels.get("namespace");
            self.scope.as_ref().is_none_or(|scope| namespace.is_none_or(|namespace| namespace == scope))
        })
    }

    pub fn fold(&mut self, observation: Observation) {
        let Observation { at, origin, seen } = observation;
        let sight = self.sights.entry(origin).or_default();
        match seen {
            Err(blind) => {
                sight.tried = Some(at);
                // The first moment of a lasting blindness is the one to show.
                let since =
                    sight.blind.as_ref().map_or(blind.since, |earlier| earlier.since.min(blind.since));
                sight.blind = Some(Blind { since, ..blind });
            }
            Ok(fact) => {
                sight.seen = Some(at);
                sight.blind = None;
                self.learn(at, fact);
            }
        }
    }

    fn learn(&mut self, at: Timestamp, fact: Fact) {
        match fact {
            Fact::Answered(took) => self.answered_in = Some(took),
            Fact::Unchanged => {}
            Fact::Pods(delta) => self.pods.fold(delta),
            Fact::Nodes(delta) => {
                self.note_falls(at, &delta);
                self.note_nodes(at, &delta);
                self.nodes.fold(delta);
            }
            Fact::Deployments(delta) => {
                self.note_overtaken(at, &delta);
                self.deployments.fold(delta);
            }
            Fact::ReplicaSets(delta) => self.replica_sets.fold(delta),
            Fact::StatefulSets(delta) => self.stateful_sets.fold(delta),
            Fact::DaemonSets(delta) => self.daemon_sets.fold(delta),
            Fact::ControllerRevisions(delta) => self.controller_revisions.fold(delta),
            Fact::Jobs(delta) => self.jobs.fold(delta),
            Fact::CronJobs(delta) => self.cron_jobs.fold(delta),
            Fact::Autoscalers(delta) => self.autoscalers.fold(delta),
            Fact::DisruptionBudgets(delta) => self.disruption_budgets.fold(delta),
            Fact::Events(delta) => self.events.fold(delta),
            Fact::Services(delta) => {
                self.note_edits(
                    Kind::Service,
                    |all| &all.services,
                    |one| (one.created, one.edited.as_ref()),
                    &delta,
                );
                self.services.fold(delta);
            }
            Fact::EndpointSlices(delta) => {
                self.note_unserved(at, &delta);
                self.endpoint_slices.fold(delta);
            }
            Fact::Ingresses(delta) => {
                self.note_edits(
                    Kind::Ingress,
                    |all| &all.ingresses,
                    |one| (one.created, one.edited.as_ref()),
                    &delta,
                );
                self.ingresses.fold(delta);
            }
            Fact::PersistentVolumeClaims(delta) => self.claims.fold(delta),
            Fact::ConfigMaps(delta) => {
                self.note_edits(
                    Kind::ConfigMap,
                    |all| &all.config_maps,
                    |one| (one.created, one.edited.as_ref()),
                    &delta,
                );
                self.note_deleted(at, |snapshot| &snapshot.config_maps, &delta);
                self.config_maps.fold(delta);
            }
            Fact::Secrets(delta) => {
                self.note_deleted(at, |snapshot| &snapshot.secrets, &delta);
                self.secrets.fold(delta);
            }
            Fact::NetworkPolicies(delta) => self.network_policies.fold(delta),
            Fact::ResourceQuotas(delta) => self.quotas.fold(delta),
            Fact::LimitRanges(delta) => self.limit_ranges.fold(delta),
            Fact::Leases(delta) => {
                self.note_beats(at, &delta);
                self.leases.fold(delta);
            }
            Fact::Certificates(delta) => {
                self.note_renewals(at, &delta);
                self.certificates.fold(delta);
            }
            Fact::NodeDisks(disks) => {
                for (node, disk) in disks {
                    if let Some(free) = disk.root.free() {
                        self.disk_free.entry(node.clone()).or_default().push(at, free, HISTORY);
                    }
                    self.disks.insert(node, (at, disk));
                }
            }
            Fact::PodUsage(source, usage) => {
                self.usage_source = Some(source);
                self.pod_usage = usage.into_iter().collect();
            }
            Fact::NodeUsage(source, usage) => {
                self.usage_source = Some(source);
                self.node_usage = usage.into_iter().collect();
            }
            Fact::Traffic(traffic) => self.traffic = *traffic,
            Fact::Strain(strain) => self.strain = *strain,
            Fact::Alerts { alerts, silences, loaded } => {
                let refuses = loaded == Some(false);
                self.notifier_refuses = refuses.then(|| self.notifier_refuses.unwrap_or(at));
                if alerts.iter().any(|alert| WATCHDOGS.contains(&&*alert.name)) {
                    self.watchdog = Some(at);
                }
                self.alerts = alerts;
                self.silences = silences;
                self.keep_alert_cases();
            }
            Fact::Database(Database::Capacity(capacity)) => {
                self.exhausted = None;
                self.connections.push(at, f64::from(capacity.used), HISTORY);
                self.idle_in_transaction.push(at, f64::from(capacity.idle_in_transaction), HISTORY);
                self.on_cpu.push(at, f64::from(capacity.on_cpu), HISTORY);
                self.lock_waiters.push(at, f64::from(capacity.lock_waiters), HISTORY);
                self.capacity = Some(capacity);
            }
            Fact::Database(Database::Activity(activity)) => {
                if !activity.opened.is_empty() {
                    let counted = activity.opened.iter().enumerate();
                    self.opened = Series::new(counted.map(|(before, at)| (*at, (before + 1) as f64)));
                }
                let unfinished = !activity.invalid_indexes.is_empty();
                self.unfinished_since = unfinished.then(|| self.unfinished_since.unwrap_or(at));
                self.activity = Some((at, *activity));
            }
            Fact::Database(Database::Exhausted { message }) => {
                let since = self.exhausted.as_ref().map_or(at, |(since, _)| *since);
                self.exhausted = Some((since, message));
            }
            Fact::RdsLoad(load) => self.rds = Some(*load),
            Fact::Cache(cache) => {
                if let Some(ratio) = cache.hit_ratio {
                    self.hit_ratio.push(at, ratio, HISTORY);
                }
                self.cache_refuses = cache.refuses_writes().then(|| self.cache_refuses.unwrap_or(at));
                self.cache = Some(cache);
            }
            Fact::Hosts(hosts) => self.handshakes.retain(|host, _| hosts.contains(host)),
            Fact::Handshakes(rows) => {
                if let Some(first) = rows.first() {
                    self.handshakes.insert((first.host.clone(), first.port), rows);
                }
            }
            Fact::Walks(walks) => {
                let before = std::mem::take(&mut self.reaches);
                self.reaches = walks
                    .into_iter()
                    .map(|walk| (walk.host.clone(), Reach::after(before.get(&walk.host), walk)))
                    .collect();
            }
            Fact::Monitoring(monitoring) => self.learn_monitoring(at, *monitoring),
            Fact::Noise(noise) => self.noise = *noise,
            Fact::Asked(answers) => answers.into_iter().for_each(|answer| self.learn_answer(answer)),
            Fact::Acted(change) => self.deeds.push(change),
        }
    }

    fn learn_monitoring(&mut self, at: Timestamp, seen: Monitoring) {
        let kept = |since: &mut Option<Timestamp>, holds: bool| {
            *since = if holds { Some(since.unwrap_or(at)) } else { None };
        };
        let since = &mut self.monitoring_since;
        kept(&mut since.down, !seen.serves());
        kept(&mut since.refused, seen.loaded == Some(false));
        kept(&mut since.stopped, seen.ingest.is_some_and(|rate| rate <= 0.0));
        kept(&mut since.targets, seen.targets.is_some_and(|(up, all)| up * 2 < all));
        kept(&mut since.slow, seen.took.is_some_and(|took| took > Duration::from_secs(1)));
        kept(&mut since.notifier_refuses, seen.notifier_loaded == Some(false));
        self.monitoring = Some(seen);
    }

    fn learn_answer(&mut self, answer: Asked) {
        if let (Ok(cases), Some(trigger)) =
            (&answer.seen, self.triggers.iter().find(|trigger| trigger.playbook == answer.playbook))
        {
            self.cases.extend(cases.iter().map(|case| (trigger.id(case), case.clone())));
        }
        while self.cases.len() > CASES {
            self.cases.pop_first();
        }
        self.asked.insert(answer.playbook, answer.seen);
    }

    fn keep_alert_cases(&mut self) {
        let kept: Vec<(AnomalyId, Case)> = self
            .triggers
            .iter()
            .filter(|trigger| !trigger.is_asked())
            .flat_map(|trigger| self.alert_cases(trigger).into_iter().map(|case| (trigger.id(&case), case)))
            .collect();
        self.cases.extend(kept);
    }

    /// The active alerts that a trigger is about.
    pub fn alert_cases(&self, trigger: &Trigger) -> Vec<Case> {
        let Ask::Alert { labels } = &trigger.ask else { return Vec::new() };
        let is_meant = |alert: &&Alert| {
            alert.state == AlertState::Active
                && labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
        };
        let case = |alert: &Alert| Case {
            labels: Labels::new(
                alert.labels.0.iter().filter(|(name, _)| &**name != "alertname").cloned().collect(),
            ),
            value: None,
            says: match &alert.summary {
                Some(summary) => format!("{}: {summary}", alert.name).into(),
                None => alert.name.clone(),
            },
            object: None,
            since: alert.starts,
        };
        self.alerts.iter().filter(is_meant).map(case).collect()
    }

    /// The case behind a team's anomaly.
    pub fn case(&self, id: &AnomalyId) -> Option<&Case> {
        self.cases.get(id)
    }
}
