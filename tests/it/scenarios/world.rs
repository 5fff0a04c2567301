//! Builds a snapshot from compact rows, through the same observations that the eyes send.

use std::collections::BTreeMap;
use std::time::Duration;

use covet_tui::domain::{
    Activity, Backing, Blind, BlindKind, Cache, Capacity, Certificate, Change, ChangeKind, Condition,
    ConfigObject, ConnectionLimit, Database, Delta, DiskTrend, Edit, Ended, EndpointSlice, Event, Fact,
    Handshake, Holder, Ingress, Key, Kind, Labels, Layer, Lease, Limited, LockRoot, MemoryTrend,
    MetricReading, Name, Node, NodeCondition, ObjectRef, Observation, Origin, PersistentVolumeClaim,
    Quantities, RdsLoad, RdsMetric, RdsSeries, Replica, Selector, Series, Served, Service, Snapshot, Status,
    Strain, Taint, Throttled, Timestamp, TopQuery, Traffic, UsageSource, Walk, WorkloadTraffic,
};
use jiff::SignedDuration;
use serde::Deserialize;

use super::disks::{self, DiskHistoryRow, DiskRow};
use super::monitoring::{self, AlertRow, MonitoringRow, NoiseRow};
use super::rows::{
    ActivityRow, AutoscalerRow, CacheRow, CertificateRow, ClaimRow, ConfigRow, ControllerRow, CronJobRow,
    DatabaseRow, DeedRow, DeploymentRow, EndpointsRow, EventRow, HandshakeRow, IngressRow, JobRow, MemoryRow,
    NodeRow, PodRow, RdsRow, ServiceRow, TrafficRow, WalkRow, WorkloadTrafficRow,
};
use super::workloads;

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// The one namespace that is looked at.
    scope: Option<String>,
    /// Origins that cannot be seen: `not-configured`, `refused`, `unreachable` since it was seen, or `never-reached`.
    blind: BTreeMap<Origin, String>,
    /// Origins whose list is not complete yet.
    waiting: Vec<Origin>,
    pub nodes: Vec<NodeRow>,
    disks: Vec<DiskRow>,
    pub deployments: Vec<DeploymentRow>,
    controllers: Vec<ControllerRow>,
    jobs: Vec<JobRow>,
    crons: Vec<CronJobRow>,
    pub pods: Vec<PodRow>,
    events: Vec<EventRow>,
    hpas: Vec<AutoscalerRow>,
    config: Vec<ConfigRow>,
    services: Vec<ServiceRow>,
    #[serde(default)]
    claims: Vec<ClaimRow>,
    certificates: Vec<CertificateRow>,
    handshakes: Vec<HandshakeRow>,
    ingresses: Vec<IngressRow>,
    endpoints: Vec<EndpointsRow>,
    walks: Vec<WalkRow>,
    deeds: Vec<DeedRow>,
    alerts: Vec<AlertRow>,
    noise: Option<NoiseRow>,
    monitoring: Option<MonitoringRow>,
    traffic: Option<TrafficRow>,
    memory: Vec<MemoryRow>,
    disk_history: Vec<DiskHistoryRow>,
    cache: Option<CacheRow>,
    database: Option<DatabaseRow>,
    rds: Option<RdsRow>,
}

/// 03:12, of course.
pub fn now() -> Timestamp {
    "2026-03-01T03:12:00Z".parse().unwrap()
}

/// `2d4h`, `90s`.
pub fn span(text: &str) -> Duration {
    let mut seconds = 0;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            other => panic!("{text}: {other} is not a unit"),
        };
        seconds += number.parse::<u64>().unwrap_or_else(|_| panic!("{text} is not a span")) * unit;
        number.clear();
    }
    assert!(number.is_empty(), "{text} lacks a unit");
    Duration::from_secs(seconds)
}

pub fn ago(text: &str) -> Timestamp {
    now() - SignedDuration::try_from(span(text)).unwrap()
}

/// From now on; back in time with a minus sign.
fn ahead(text: &str) -> Timestamp {
    match text.strip_prefix('-') {
        Some(text) => ago(text),
        None => now() + SignedDuration::try_from(span(text)).unwrap(),
    }
}

pub fn bytes(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = match &text[digits.len()..] {
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        other => panic!("{other} is not a unit of memory"),
    };
    digits.parse::<u64>().unwrap() * unit
}

pub fn condition(kind: &str, status: Status, reason: &str, message: &str, since: Timestamp) -> Condition {
    let some = |text: &str| (!text.is_empty()).then(|| Name::from(text));
    Condition { kind: kind.into(), status, reason: some(reason), message: some(message), since: Some(since) }
}

/// When something was written, and by whom.
pub fn edit(at: Option<&str>, by: Option<&str>) -> Option<Edit> {
    at.map(|at| Edit { at: ago(at), by: by.map(Name::from) })
}

/// `kind/name` in a namespace.
pub fn object(text: &str, namespace: &str) -> ObjectRef {
    let (kind, name) = text.split_once('/').unwrap_or_else(|| panic!("{text} is not kind/name"));
    let kind = Kind::parse(kind).unwrap_or_else(|| panic!("{kind} is not a kind"));
    let key = if kind.is_namespaced() { Key::new(namespace, name) } else { Key::cluster(name) };
    ObjectRef::new(kind, key)
}

impl World {
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.unseen();
        for observation in self.observations() {
            snapshot.fold(observation);
        }
        snapshot
    }

    /// Before anything of it is seen.
    pub fn unseen(&self) -> Snapshot {
        Snapshot::watching(self.scope.as_deref().map(Name::from), Vec::new())
    }

    pub fn observations(&self) -> Vec<Observation> {
        let built = workloads::build(&self.deployments, &self.controllers, &self.pods);
        let mut all: Vec<Observation> = Vec::new();
        let mut see =
            |origin: Origin, fact: Fact| all.push(Observation { at: now(), origin, seen: Ok(fact) });
        see(Origin::ApiServer, Fact::Answered(Duration::from_millis(9)));
        macro_rules! list {
            ($origin:ident, $rows:expr) => {
                list!($origin, $origin, $rows)
            };
            ($origin:ident, $fact:ident, $rows:expr) => {
                see(Origin::$origin, Fact::$fact(Delta::Relisting));
                see(Origin::$origin, Fact::$fact(Delta::Seen($rows)));
                if !self.waiting.contains(&Origin::$origin) {
                    see(Origin::$origin, Fact::$fact(Delta::Listed));
                }
            };
        }
        list!(Pods, built.pods);
        list!(Nodes, self.nodes.iter().map(node).collect());
        list!(Deployments, built.deployments);
        list!(ReplicaSets, built.replica_sets);
        let (sets, agents) = built.controllers.into_iter().partition(|one| one.kind == Kind::StatefulSet);
        list!(StatefulSets, sets);
        list!(DaemonSets, agents);
        list!(ControllerRevisions, built.revisions);
        list!(Jobs, self.jobs.iter().map(workloads::job).collect());
        list!(CronJobs, self.crons.iter().map(workloads::cron_job).collect());
        list!(Autoscalers, self.hpas.iter().map(workloads::autoscaler).collect());
        list!(DisruptionBudgets, Vec::new());
        list!(Events, self.events.iter().enumerate().map(event).collect());
        list!(Services, self.services.iter().map(service).collect());
        list!(EndpointSlices, self.endpoints.iter().map(endpoints).collect());
        list!(Ingresses, self.ingresses.iter().map(ingress).collect());
        list!(PersistentVolumeClaims, self.claims.iter().map(claim).collect());
        list!(ConfigMaps, self.config_objects(Kind::ConfigMap));
        list!(Secrets, self.config_objects(Kind::Secret));
        list!(NetworkPolicies, self.config_objects(Kind::NetworkPolicy));
        list!(ResourceQuotas, self.config_objects(Kind::ResourceQuota));
        list!(LimitRanges, self.config_objects(Kind::LimitRange));
        list!(Leases, self.nodes.iter().filter_map(lease).collect());
        list!(Certificates, self.certificates.iter().map(certificate).collect());
        see(Origin::PodUsage, Fact::PodUsage(UsageSource::MetricsServer, built.usage));
        see(Origin::NodeUsage, Fact::NodeUsage(UsageSource::MetricsServer, Vec::new()));
        see(
            Origin::Prometheus,
            Fact::Traffic(Box::new(self.traffic.as_ref().map(traffic).unwrap_or_default())),
        );
        let alerts = self.alerts.iter().map(monitoring::alert).collect();
        see(Origin::Alertmanager, Fact::Alerts { alerts, silences: Vec::new(), loaded: None });
        see(Origin::Containers, Fact::Strain(Box::new(self.strain())));
        if let Some(row) = &self.rds {
            see(Origin::CloudWatch, Fact::RdsLoad(Box::new(rds(row))));
        }
        if self.cache.is_none() {
            see(Origin::Redis, Fact::Cache(Cache::default()));
        }
        let noise = self.noise.as_ref().map(NoiseRow::fact).unwrap_or_default();
        see(Origin::AlertHistory, Fact::Noise(Box::new(noise)));
        if self.monitoring.is_none() {
            see(Origin::Monitoring, Fact::Monitoring(Box::default()));
        }
        see(Origin::Triggers, Fact::Asked(Vec::new()));
        see(Origin::Tls, Fact::Handshakes(Vec::new()));
        // Who finds nobody to ask says that, and tells of no walks.
        if self.walks.is_empty() && !self.blind.contains_key(&Origin::Reach) {
            see(Origin::Reach, Fact::Walks(Vec::new()));
        }
        let mut hosts: BTreeMap<(&str, u16), Vec<Handshake>> = BTreeMap::new();
        for row in &self.handshakes {
            hosts.entry((&row.host, row.port)).or_default().push(handshake(row));
        }
        for rows in hosts.into_values() {
            see(Origin::Tls, Fact::Handshakes(rows));
        }
        for row in &self.deeds {
            see(Origin::Cockpit, Fact::Acted(deed(row)));
        }
        all.extend(self.walks_of_minutes());
        all.extend(self.endpoints_since());
        if let Some(row) = &self.monitoring {
            // What was before comes first: onsets are when something was seen first.
            let mut earlier = row.looks();
            earlier.append(&mut all);
            all = earlier;
            all.push(row.now());
        }
        all.extend(disks::looks(&self.disks));
        all.extend(self.database_looks());
        all.extend(self.cache.iter().flat_map(cache_looks));
        for (origin, kind) in &self.blind {
            if kind.starts_with("never-") || kind.starts_with("closed for ") {
                all.retain(|observation| observation.origin != *origin);
            }
            all.push(Observation { at: now(), origin: *origin, seen: Err(blind(*origin, kind)) });
        }
        all
    }

    fn strain(&self) -> Strain {
        let key = |namespace: &str, pod: &str| Key::new(namespace, pod);
        let stopped = self.traffic.iter().flat_map(|row| {
            row.throttled.iter().map(|(pod, share)| Throttled {
                pod: key(&row.namespace, pod),
                container: "app".into(),
                share: *share,
            })
        });
        let memory = self.memory.iter().map(|row| {
            let late = SignedDuration::try_from(row.ended.as_deref().map(span).unwrap_or_default()).unwrap();
            let mib = samples(&row.mib, 240).into_iter();
            MemoryTrend {
                pod: key(&row.namespace, &row.pod),
                container: row.container.as_str().into(),
                bytes: Series::new(mib.map(|(at, mib)| (at - late, mib * 1_048_576.0))),
            }
        });
        let disks = self.disk_history.iter().map(|row| {
            let late = SignedDuration::try_from(row.ended.as_deref().map(span).unwrap_or_default()).unwrap();
            let percent = samples(&row.free, 600).into_iter();
            DiskTrend {
                node: row.node.as_str().into(),
                mountpoint: row.mountpoint.as_str().into(),
                free: Series::new(percent.map(|(at, percent)| (at - late, percent / 100.0))),
            }
        });
        Strain { memory: memory.collect(), throttled: stopped.collect(), disks: disks.collect() }
    }

    fn config_objects(&self, kind: Kind) -> Vec<ConfigObject> {
        let rows = self.config.iter().map(|row| (row, object(&row.object, &row.namespace)));
        rows.filter(|(_, object)| object.kind == kind)
            .map(|(row, object)| ConfigObject {
                kind,
                uid: object.to_string().into(),
                key: object.key,
                resource_version: "1".into(),
                created: ago(&row.age),
                edited: edit(row.edited.as_deref(), row.by.as_deref()),
                keeper: None,
            })
            .collect()
    }

    /// All hosts walked to together, twenty seconds apart.
    fn walks_of_minutes(&self) -> Vec<Observation> {
        let most = self.walks.iter().map(|row| row.times).max().unwrap_or(0);
        (0..most)
            .rev()
            .map(|back| {
                let at = now() - SignedDuration::from_secs(i64::from(back) * 20);
                let rows = self.walks.iter().filter(|row| back < row.times);
                let walks = rows.map(|row| walk(row, at)).collect();
                Observation { at, origin: Origin::Reach, seen: Ok(Fact::Walks(walks)) }
            })
            .collect()
    }

    /// Slices that had been so for a while when the list was complete.
    fn endpoints_since(&self) -> Vec<Observation> {
        let rows = self.endpoints.iter().filter_map(|row| Some((row, row.since.as_deref()?)));
        let seen = |row: &EndpointsRow| Fact::EndpointSlices(Delta::Seen(vec![endpoints(row)]));
        let well = |row: &EndpointsRow| EndpointsRow {
            ready: 1,
            since: None,
            service: row.service.clone(),
            namespace: row.namespace.clone(),
            total: 1,
            ports: row.ports.clone(),
        };
        rows.flat_map(|(row, since)| [(now(), seen(&well(row))), (ago(since), seen(row)), (now(), seen(row))])
            .map(|(at, fact)| Observation { at, origin: Origin::EndpointSlices, seen: Ok(fact) })
            .collect()
    }

    fn database_looks(&self) -> Vec<Observation> {
        let look = |at: Timestamp, fact: Database| Observation {
            at,
            origin: Origin::Postgres,
            seen: Ok(Fact::Database(fact)),
        };
        let Some(row) = &self.database else {
            let fine = Capacity { max_connections: 100, used: 5, idle: 5, ..Capacity::default() };
            return vec![look(now(), Database::Capacity(fine))];
        };
        let (on_cpu, waiting) = (samples(&row.on_cpu, 5), samples(&row.waiting, 5));
        let then = |series: &[(Timestamp, f64)], at: Timestamp, usual: u32| {
            let found = series.iter().rev().find(|(moment, _)| *moment <= at);
            if series.is_empty() { usual } else { found.map_or(0, |(_, value)| *value as u32) }
        };
        let mut looks: Vec<Observation> = samples(&row.used, 5)
            .into_iter()
            .map(|(at, used)| {
                let capacity = Capacity {
                    max_connections: row.max,
                    reserved: row.reserved,
                    used: used as u32,
                    active: row.active,
                    idle: row.idle,
                    idle_in_transaction: row.idle_in_transaction,
                    lock_waiters: then(&waiting, at, row.lock_waiters),
                    on_cpu: then(&on_cpu, at, 0),
                    ..Capacity::default()
                };
                look(at, Database::Capacity(capacity))
            })
            .collect();
        if let Some(seen) = &row.activity {
            looks.push(look(now(), Database::Activity(Box::new(activity(seen)))));
        }
        if let Some((since, message)) = &row.exhausted {
            for at in [ago(since), now()] {
                looks.push(look(at, Database::Exhausted { message: message.as_str().into() }));
            }
        }
        looks
    }
}

fn rds(row: &RdsRow) -> RdsLoad {
    let metric = |name: &String| {
        let found = RdsMetric::ALL.into_iter().find(|metric| metric.as_str() == name);
        found.unwrap_or_else(|| panic!("{name} is no metric of RDS"))
    };
    let series = row.figures.iter().map(|(name, line)| RdsSeries {
        instance: row.writer.as_str().into(),
        writer: true,
        metric: metric(name),
        points: Series::new(samples(line, 60)),
    });
    RdsLoad { cluster: "shop".into(), capacity: row.capacity, series: series.collect() }
}

fn activity(row: &ActivityRow) -> Activity {
    let holder = |text: &String| {
        let (count, rest) = text.split_once(' ').unwrap();
        let (state, rest) = rest.split_once(" by ").unwrap();
        let (who, longest) = rest.split_once(" for ").unwrap();
        Holder {
            database: "shop".into(),
            role: "app".into(),
            application: who.into(),
            state: state.into(),
            sessions: count.parse().unwrap(),
            longest: Some(span(longest)),
        }
    };
    let root = |text: &String| {
        let (pid, rest) = text.split_once(' ').unwrap();
        let (application, rest) = rest.split_once(' ').unwrap();
        let (state, rest) = rest.split_once(" for ").unwrap();
        let (age, blocked) = rest.split_once(" blocks ").unwrap();
        LockRoot {
            pid: pid.parse().unwrap(),
            backend_start: ago("1h"),
            database: "shop".into(),
            role: if application == "dba" { "postgres" } else { "app" }.into(),
            superuser: application == "dba",
            application: application.into(),
            state: state.into(),
            transaction: Some(span(age)),
            query: "UPDATE stock SET n = n - 1".into(),
            blocked: blocked.parse().unwrap(),
        }
    };
    let opened = |text: &String| {
        let (count, since) = text.split_once(" for ").unwrap();
        vec![ago(since); count.parse().unwrap()]
    };
    let replica = |text: &String| {
        let (name, lag) = text.split_once(' ').unwrap();
        Replica { name: name.into(), lag: Some(span(lag)) }
    };
    let limit = |text: &String| {
        let words: Vec<&str> = text.split(' ').collect();
        ConnectionLimit {
            of: if words[0] == "role" { Limited::Role } else { Limited::Database },
            name: words[1].into(),
            used: words[2].parse().unwrap(),
            most: words[4].parse().unwrap(),
        }
    };
    Activity {
        cpus: row.cpus,
        limits: row.limits.iter().map(limit).collect(),
        stuck: row.stuck,
        holders: row.holders.iter().map(holder).collect(),
        roots: row.roots.iter().map(root).collect(),
        waiting: row.waiting.iter().map(|name| name.as_str().into()).collect(),
        top: row.top.as_ref().map(|(share, text)| TopQuery {
            id: 42,
            text: text.as_str().into(),
            share: *share,
            calls_per_second: 20.0,
            mean: 80.0,
        }),
        opened: row.opened.iter().flat_map(opened).collect(),
        replicas: row.replicas.iter().map(replica).collect(),
        invalid_indexes: row.invalid.iter().map(|name| name.as_str().into()).collect(),
        ..Activity::default()
    }
}

fn cache_looks(row: &CacheRow) -> Vec<Observation> {
    let looks = samples(&row.hits, 30).into_iter().map(|(at, ratio)| {
        let cache = Cache {
            hit_ratio: Some(ratio),
            is_compared: true,
            evicted_per_second: row.evicted,
            used_memory: row.used << 20,
            max_memory: row.max << 20,
            keeps_all: row.keeps_all,
            ..Cache::default()
        };
        Observation { at, origin: Origin::Redis, seen: Ok(Fact::Cache(cache)) }
    });
    looks.collect()
}

/// `0.2 for 20m` or `0.2..0.9 for 20m` and so on, oldest first, up to now.
fn samples(parts: &[String], every: u64) -> Vec<(Timestamp, f64)> {
    let parts: Vec<(f64, f64, Duration)> = parts
        .iter()
        .map(|part| {
            let (value, time) = part.split_once(" for ").unwrap_or_else(|| panic!("{part}: no ` for `"));
            let (from, to) = value.split_once("..").unwrap_or((value, value));
            (from.parse().unwrap(), to.parse().unwrap(), span(time))
        })
        .collect();
    let total: Duration = parts.iter().map(|(.., time)| *time).sum();
    let mut at = now() - SignedDuration::try_from(total).unwrap();
    let mut all = Vec::new();
    for (from, to, time) in parts {
        let steps = time.as_secs() / every;
        for step in 0..steps {
            at += SignedDuration::from_secs(every as i64);
            all.push((at, from + (to - from) * step as f64 / steps.max(1) as f64));
        }
    }
    all
}

/// The same, ended a while ago.
fn ended(parts: &[String], gone: Option<&str>) -> Series {
    let late = SignedDuration::try_from(gone.map(span).unwrap_or_default()).unwrap();
    Series::new(samples(parts, 30).into_iter().map(|(at, value)| (at - late, value)))
}

/// Requests per second over time, or the one number of them.
fn rates(line: &[String], one: Option<f64>, gone: Option<&str>) -> Series {
    if line.is_empty() {
        return Series::new(one.map(|rate| (gone.map_or(now(), ago), rate)));
    }
    ended(line, gone)
}

fn traffic(row: &TrafficRow) -> Traffic {
    let gone = row.gone.as_deref();
    let unseen = gone.map(|gone| Blind {
        kind: BlindKind::Broken,
        why: format!("http_requests_total has no series in {} since then", row.namespace),
        repair: Some("look for its targets".into()),
        since: ago(gone),
    });
    let own = |row: &WorkloadTrafficRow| WorkloadTraffic {
        error_ratio: ended(&row.errors, row.gone.as_deref()),
        p95: ended(&row.p95, row.gone.as_deref()),
        p95_last_week: row.last_week,
        rate: rates(&row.rates, row.rate, row.gone.as_deref()),
        rate_earlier: row.earlier,
        ..WorkloadTraffic::new(Key::new(row.namespace.as_str(), row.name.as_str()))
    };
    Traffic {
        namespace: row.namespace.as_str().into(),
        errors_unseen: unseen.clone(),
        latency_unseen: unseen,
        workloads: row.workloads.iter().map(own).collect(),
        p95: ended(&row.p95, gone),
        error_ratio: ended(&row.errors, gone),
        denied_usual: row.denied_usual,
        denied_by: row
            .denied_by
            .as_ref()
            .map(|(name, rate)| (Key::new(row.namespace.as_str(), name.as_str()), *rate)),
        denied: ended(&row.denied, gone),
        rate: rates(&row.rates, Some(row.rate), gone),
        rate_earlier: row.earlier,
        series: ended(&row.series, gone),
        p95_last_week: row.last_week,
        errors_by_pod: row
            .errors_by_pod
            .iter()
            .map(|(pod, share)| (Key::new(row.namespace.as_str(), pod.as_str()), *share))
            .collect(),
        ..Traffic::default()
    }
}

fn node(row: &NodeRow) -> Node {
    let since = ago(&row.since);
    let (status, reason) = match row.ready.as_str() {
        "true" => (Status::True, "KubeletReady"),
        "false" => (Status::False, "KubeletNotReady"),
        "unknown" | "none" => (Status::Unknown, "NodeStatusUnknown"),
        other => panic!("{other} is not a state of a node"),
    };
    let ready = condition("Ready", status, row.reason.as_deref().unwrap_or(reason), &row.message, since);
    let ready = (row.ready != "none").then_some(ready);
    let pressures =
        row.pressure.iter().map(|kind| condition(kind, Status::True, kind, "under pressure", since));
    let conditions = ready.into_iter().chain(pressures);
    let taint = |key: &str, added: Option<Timestamp>| Taint {
        key: key.into(),
        value: None,
        effect: "NoSchedule".into(),
        added,
    };
    let cordon = row.cordoned.as_deref().map(|at| taint("node.kubernetes.io/unschedulable", Some(ago(at))));
    Node {
        key: Key::cluster(row.name.as_str()),
        uid: row.name.as_str().into(),
        resource_version: "1".into(),
        labels: super::workloads::labels(&row.labels),
        created: ago(&row.age),
        deleting: row.deleting.as_deref().map(ago),
        unschedulable: row.cordoned.is_some(),
        taints: row.taints.iter().map(|key| taint(key, None)).chain(cordon).collect(),
        conditions: conditions.map(|condition| NodeCondition { condition, heartbeat: None }).collect(),
        allocatable: Quantities { cpu_milli: Some(4000), memory_bytes: Some(bytes(&row.memory)) },
        allocatable_pods: Some(110),
        provider_id: Some(format!("aws:///eu-west-1a/i-{}", row.name).into()),
        internal_ip: None,
        kubelet_version: None,
        os_image: None,
        container_runtime: None,
    }
}

fn lease(row: &NodeRow) -> Option<Lease> {
    let renewed = match row.lease.as_deref() {
        Some("none") => return None,
        renewed => Some(renewed.map_or_else(now, ago)),
    };
    Some(Lease { key: Key::new("kube-node-lease", row.name.as_str()), renewed })
}

fn event((index, row): (usize, &EventRow)) -> Event {
    let about = object(&row.about, &row.namespace);
    let first = ago(&row.first);
    Event {
        key: Key::new(row.namespace.as_str(), format!("event-{index}")),
        about_kind: about.kind.as_str().into(),
        about: about.key,
        about_uid: None,
        warning: row.warning,
        reason: row.reason.as_str().into(),
        message: row.message.as_str().into(),
        count: row.count,
        first,
        last: row.last.as_deref().map_or(first, ago),
        source: None,
    }
}

fn service(row: &ServiceRow) -> Service {
    let pairs = row.selector.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    Service {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        created: ago("30d"),
        edited: edit(row.edited.as_deref(), row.by.as_deref()),
        labels: Labels::default(),
        selector: Selector { labels: Labels::new(pairs.collect()), has_expressions: false },
        ports: row
            .ports
            .iter()
            .map(|text| match text.split_once(':') {
                Some((name, number)) => (Some(name.into()), number.parse().unwrap()),
                None => (None, text.parse().unwrap()),
            })
            .collect(),
        is_headless: row.headless,
    }
}

fn claim(row: &ClaimRow) -> PersistentVolumeClaim {
    let asked = Some(bytes(&row.asks));
    PersistentVolumeClaim {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        phase: if row.has.is_some() { "Bound" } else { "Pending" }.into(),
        created: ago(&row.age),
        edited: edit(row.edited.as_deref(), row.by.as_deref()),
        capacity_bytes: row.has.as_deref().map(bytes).or(asked),
        requested_bytes: asked,
        storage_class: row.class.as_deref().map(Into::into),
    }
}

fn certificate(row: &CertificateRow) -> Certificate {
    let status = if row.ready { Status::True } else { Status::False };
    let ready = condition("Ready", status, "", &row.message, ago(&row.since));
    let issuing = row.issuing.as_deref().map(|since| condition("Issuing", Status::True, "", "", ago(since)));
    Certificate {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        resource_version: "1".into(),
        secret: row.name.as_str().into(),
        dns_names: row.dns.iter().map(|name| name.as_str().into()).collect(),
        issuer: "letsencrypt".into(),
        not_after: Some(ahead(&row.left)),
        renewal_time: Some(ahead(&row.renewal)),
        last_failure: row.failure.as_deref().map(ago),
        failed_attempts: row.failed,
        conditions: std::iter::once(ready).chain(issuing).collect(),
    }
}

fn handshake(row: &HandshakeRow) -> Handshake {
    let not_after = ahead(&row.left);
    let own = || vec![row.host.as_str().into()];
    let names: Vec<Name> = if row.names.is_empty() {
        own()
    } else {
        row.names.iter().map(|name| name.as_str().into()).collect()
    };
    let served = Served {
        not_before: not_after - SignedDuration::try_from(span(&row.life)).unwrap(),
        not_after,
        name_matches: names.iter().any(|name| **name == *row.host),
        names: names.into(),
        issuer: row.issuer.as_str().into(),
        serial: "0a1b".into(),
        distrust: row.distrust.as_deref().map(Name::from),
        is_alone: row.alone,
    };
    Handshake {
        host: row.host.as_str().into(),
        port: row.port,
        address: row.address.as_str().into(),
        is_given: row.given,
        at: now(),
        served: row.fails.as_deref().map_or(Ok(served), |why| Err(why.into())),
    }
}

fn ingress(row: &IngressRow) -> Ingress {
    let names = |list: &[String]| -> Box<[Name]> { list.iter().map(|name| name.as_str().into()).collect() };
    Ingress {
        key: Key::new(row.namespace.as_str(), row.name.as_str()),
        created: ago(&row.age),
        edited: edit(row.edited.as_deref(), row.by.as_deref()),
        class: Some("nginx".into()),
        hosts: names(&row.hosts),
        tls: row.secret.iter().map(|secret| (names(&row.hosts), secret.as_str().into())).collect(),
        services: row.services.iter().map(|text| text.split(':').next().unwrap_or(text).into()).collect(),
        backends: row
            .services
            .iter()
            .map(|text| match text.split_once(':') {
                Some((service, port)) => Backing { service: service.into(), port: Some(port.into()) },
                None => Backing { service: text.as_str().into(), port: None },
            })
            .collect(),
        addresses: names(&row.addresses),
    }
}

fn endpoints(row: &EndpointsRow) -> EndpointSlice {
    EndpointSlice {
        key: Key::new(row.namespace.as_str(), format!("{}-x", row.service)),
        service: Some(row.service.as_str().into()),
        ready: row.ready,
        total: row.total.max(row.ready),
        ports: row.ports.iter().map(|name| name.as_str().into()).collect(),
    }
}

fn walk(row: &WalkRow, at: Timestamp) -> Walk {
    let ended = match (&row.fails, &row.doubt) {
        (Some(fails), _) => {
            let (layer, says) = fails.split_once(": ").unwrap_or_else(|| panic!("{fails}: no layer"));
            let layer = [Layer::Dns, Layer::Tcp, Layer::Tls, Layer::Http]
                .into_iter()
                .find(|known| known.as_str().eq_ignore_ascii_case(layer))
                .unwrap_or_else(|| panic!("{layer} is no layer"));
            Ended::Failed { layer, says: says.into() }
        }
        (None, Some(says)) => Ended::Doubtful { says: says.as_str().into() },
        (None, None) => Ended::Answered { status: row.status },
    };
    let addresses: Box<[Name]> = Box::from([Name::from("192.0.2.1")]);
    let note = row.note.as_deref().map(Name::from);
    Walk {
        host: row.host.as_str().into(),
        at,
        ended,
        addresses: addresses.clone(),
        balancers: addresses,
        note,
    }
}

fn deed(row: &DeedRow) -> Change {
    let object = object(&row.object, &row.namespace);
    Change { at: ago(&row.at), kind: ChangeKind::Ours, object, says: row.says.clone(), by: None }
}

fn blind(origin: Origin, kind: &str) -> Blind {
    if let Some(since) = kind.strip_prefix("closed for ") {
        let why = format!("{} cannot be reached: Connection refused", origin.as_str());
        return Blind { kind: BlindKind::Unreachable, why, repair: None, since: ago(since) };
    }
    let silent = format!("{}: cannot be reached: Connection refused", origin.as_str());
    let (kind, why) = match kind {
        "not-configured" => (BlindKind::NotConfigured, None),
        "refused" => (BlindKind::Refused, None),
        "unreachable" | "never-reached" => (BlindKind::Unreachable, None),
        "never-answered" => (BlindKind::Unreachable, Some(silent)),
        other => panic!("{other} is not a kind of blindness"),
    };
    let why = why.unwrap_or_else(|| format!("{} cannot be seen", origin.as_str()));
    Blind { kind, why, repair: None, since: ago("3m") }
}

pub fn metric(ratio: f64) -> MetricReading {
    let percent = |value: f64| Some(Name::from(format!("{value:.0}%")));
    MetricReading {
        name: "cpu".into(),
        current: percent(ratio * 70.0),
        target: percent(70.0),
        ratio: Some(ratio),
    }
}
