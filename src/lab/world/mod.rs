//! The world of the lab: one cluster with its controllers, kubelets, load and faults, moved by ticks.
//! It knows no protocol and reads no clock; everybody else sees it through the store, logs, signals and samples.

mod attack;
mod balancer;
mod birth;
mod cache;
mod cert_faults;
mod cert_manager;
mod cluster;
mod conditions;
mod container;
mod course;
mod cron;
mod cron_jobs;
mod database;
mod database_work;
mod deployment;
mod disk;
mod drill;
mod ebs;
mod ec2;
mod edge;
mod endpoints;
mod env;
mod events;
mod fault;
mod firewall;
mod furnish;
mod hpa;
mod jobs;
mod kinds;
mod kubelet;
mod machine;
mod monitoring;
mod neighbours;
mod node_group;
mod node_lifecycle;
mod objects;
mod our_app;
mod perimeter;
mod pod_status;
mod probes;
mod program;
mod quantity;
mod rds;
mod registry;
mod replica_set;
mod revisions;
mod rollout;
mod rollout_status;
mod route53;
mod samples;
mod scale;
mod scheduler;
mod shelf;
mod state_samples;
mod traffic;
mod upkeep;
mod usage;
mod vpc;
mod workloads;

use jiff::{SignedDuration, Timestamp};

pub use self::balancer::{ALIAS_ZONE, BALANCERS, Balancer, Rule, SecurityGroup};
use self::cache::Keeping;
use self::cert_manager::CertManager;
use self::cluster::{Cluster, Work, later};
use self::database::Sessions;
pub use self::database_work::CPUS as DATABASE_CPUS;
use self::disk::Disks;
pub use self::drill::{Drill, Fault, Furnishing, Root, Step, drill, drills};
pub use self::ebs::{Modification, Unmodified, Volume};
pub use self::ec2::{ACCOUNT, AUTO_SCALING_GROUP, CLUSTER, Instance, InstanceState, NODE_GROUP, REGION};
pub use self::edge::BALANCER;
use self::fault::Faults;
pub use self::firewall::{Firewall, IP_SET, WEB_ACL, firewall_arn};
use self::hpa::Autoscaler;
use self::kubelet::Kubelet;
pub use self::machine::Ran;
pub use self::node_group::{Update, UpdateStatus};
use self::node_lifecycle::NodeLifecycle;
pub use self::our_app::DATABASE_HOST;
pub use self::rds::{Capacity, DB_CLUSTER, DB_INSTANCE, DB_RESOURCE, Minute};
pub use self::route53::{Alias, RecordKind, RecordSet, ZONE, ZONE_NAME, ZoneChange};
use self::samples::Sampler;
use self::scale::Churn;
pub use self::scale::Scale;
use self::shelf::Key;
use self::traffic::Traffic;
use self::upkeep::Vault;
pub use self::vpc::{
    ALLOCATION, AclEntry, AclRefusal, LAST, NAT, NAT_ADDRESS, NETWORK_ACL, SUBNETS, VPC, VPC_NETWORK,
};
use super::logs::Logs;
use super::signals::Signals;
use super::store::Store;
use super::tsdb::Tsdb;

/// Namespace and name of the app the drills are about.
pub const NAMESPACE: &str = "covetpy-production";
pub const APP: &str = "covetpy-app";

/// What kind of world.
#[derive(Clone, Debug)]
pub struct Options {
    /// What goes wrong; `None`: nothing does.
    pub drill: Option<&'static Drill>,
    /// How many times faster than life processes go; rates of requests and samples stay.
    pub speed: f64,
    pub seed: u64,
    /// Fill the cluster with this many pods of others.
    pub scale: Option<Scale>,
    /// How many minutes of samples precede the start; with 0 nothing is ever sampled.
    pub back_fill_minutes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { drill: None, speed: 1.0, seed: 1, scale: None, back_fill_minutes: 75 }
    }
}

/// How much work one tick may do; more waits for the next.
const MOST_WORK: usize = 50_000;

pub struct World {
    cluster: Cluster,
    kubelet: Kubelet,
    nodes: NodeLifecycle,
    ec2: ec2::Ec2,
    zone: route53::HostedZone,
    security_groups: Vec<SecurityGroup>,
    network_acl: vpc::NetworkAcl,
    firewall: Option<Firewall>,
    node_group: node_group::NodeGroup,
    rds: rds::Rds,
    modifications: ebs::Modifications,
    disks: Disks,
    /// How often a service was restarted on each machine.
    machine_restarts: std::collections::HashMap<String, u32>,
    autoscaler: Autoscaler,
    vault: Vault,
    traffic: Traffic,
    sessions: Sessions,
    keeping: Keeping,
    sampler: Sampler,
    issuance: CertManager,
    attack: Option<attack::Attack>,
    faults: Faults,
    churn: Option<Churn>,
    /// False while the past is lived through.
    present: bool,
    watch: monitoring::Watch,
    signals: Signals,
    tsdb: Tsdb,
}

impl World {
    /// Furnishes a cluster that has been running for a month, as of `now`.
    pub fn new(
        store: Store,
        logs: Logs,
        signals: Signals,
        tsdb: Tsdb,
        Options { drill, speed, seed, scale, back_fill_minutes }: Options,
        now: Timestamp,
    ) -> Self {
        let mut world = Self {
            cluster: Cluster::new(store, logs, now, seed, 1.0),
            kubelet: Kubelet::default(),
            nodes: NodeLifecycle::default(),
            ec2: ec2::Ec2::default(),
            zone: route53::HostedZone::new(),
            security_groups: balancer::security_groups(),
            network_acl: vpc::NetworkAcl::default(),
            firewall: drill.filter(|drill| drill.world.firewall).map(|_| Firewall::default()),
            node_group: node_group::NodeGroup::default(),
            rds: rds::Rds::default(),
            modifications: ebs::Modifications::default(),
            disks: Disks::default(),
            machine_restarts: std::collections::HashMap::new(),
            autoscaler: Autoscaler::default(),
            vault: Vault::default(),
            traffic: Traffic::new(seed),
            sessions: Sessions::new(seed),
            keeping: Keeping::new(seed),
            sampler: Sampler::default(),
            issuance: CertManager::default(),
            attack: None,
            faults: Faults::none(),
            churn: None,
            present: false,
            watch: monitoring::Watch::default(),
            signals,
            tsdb,
        };
        world.furnish(drill, now, i64::from(back_fill_minutes) * 60);
        world.cluster.speed = speed.max(0.01);
        world.present = true;
        world.faults = Faults::plan(drill, now, &mut world.cluster.rng);
        world.churn = scale.map(|scale| scale::populate(&mut world.cluster, scale));
        world
    }

    /// Advances the world to `now`. Cheap when nothing is due.
    pub fn tick(&mut self, now: Timestamp) {
        self.cluster.now = now.max(self.cluster.now);
        self.cluster.drain();
        self.strike();
        self.nodes.tick(&mut self.cluster, &self.kubelet);
        self.kubelet.facts = self.facts_of_monitoring();
        self.disks.tick(&mut self.cluster, &mut self.kubelet);
        self.work();
        self.monitor();
        if let Some(churn) = &mut self.churn {
            churn.tick(&mut self.cluster);
        }
        if self.present {
            self.ec2.tick(&mut self.cluster, &mut self.kubelet, &self.nodes);
            self.roll_nodes();
            self.tick_certificates();
            self.modifications.tick(&mut self.disks, self.cluster.now);
            self.show_dns();
            self.tick_firewall();
            self.show_edge();
        }
        let gates = self.attack.is_some().then(|| self.gates());
        if let (Some(attack), Some(gates)) = (&mut self.attack, gates) {
            self.traffic.knocking = attack.advance(&gates, &mut self.cluster, &self.signals);
        }
        let slowness = self.keeping.slowness();
        let elapsed = self.traffic.advance(&self.cluster, &mut self.kubelet, &self.sessions, slowness);
        if elapsed {
            self.sessions.advance(&mut self.cluster, &self.kubelet, &self.traffic, &self.signals);
            let (rds, now) = (&mut self.rds, self.cluster.now);
            self.signals.read(|shown| rds.measure(&shown.database, now));
            let (load, now, speed) = (self.traffic.load, self.cluster.now, self.cluster.speed);
            let clients = traffic::targets(&self.cluster).len() as u64 * 3;
            self.signals.write(|shown| self.keeping.advance(shown, clients, load, now, speed));
            traffic::show(&self.traffic, &self.cluster, &self.signals);
            traffic::print_access_logs(&self.traffic, &mut self.cluster);
        }
        if self.sampler.is_due(self.cluster.now) {
            if self.present {
                usage::publish(&self.cluster, &self.kubelet, &self.traffic);
            }
            let gap = self.signals.read(|shown| monitoring::is_gap(&shown.server));
            self.sampler.silence(gap);
            let machines = (&self.kubelet, &self.disks);
            self.sampler.scrape(&self.cluster, machines, &self.traffic, &self.signals, &self.tsdb);
            self.cluster.forget_events();
        }
    }

    /// The time in the world.
    pub fn now(&self) -> Timestamp {
        self.cluster.now
    }

    /// Starts the kubelet of a node again, as a person at the machine would.
    pub fn restart_kubelet(&mut self, node: &str) {
        self.kubelet.start(node);
        self.cluster.enqueue(Work::Node(node.to_owned()));
        for pod in self.cluster.pods_on(node) {
            self.cluster.enqueue(Work::Pod(Key::of(&*pod)));
        }
        self.work();
    }

    /// Every node there is, with the address of its machine.
    pub fn machines(&self) -> Vec<(String, String)> {
        let address = |node: &objects::Node| {
            node.status.addresses.first().map(|first| first.address.clone()).unwrap_or_default()
        };
        self.cluster.nodes.iter().map(|(key, node)| (key.name.clone(), address(node))).collect()
    }

    /// Nodes whose kubelet is stopped.
    pub fn stopped_kubelets(&self) -> Vec<String> {
        let names = self.cluster.nodes.iter().map(|(key, _)| key.name.clone());
        names.filter(|name| self.kubelet.is_stopped(name)).collect()
    }

    /// Whether the fault has struck.
    pub fn has_struck(&self) -> bool {
        self.faults.struck()
    }

    /// When the fault strikes, or struck.
    pub fn strikes_at(&self) -> Option<Timestamp> {
        self.faults.strikes_at()
    }

    fn work(&mut self) {
        for _ in 0..MOST_WORK {
            let Some(work) = self.cluster.next_work() else { return };
            self.dispatch(work);
        }
    }

    fn dispatch(&mut self, work: Work) {
        let cluster = &mut self.cluster;
        match work {
            Work::Deployment(key) => deployment::reconcile(cluster, &key),
            Work::ReplicaSet(key) => replica_set::reconcile(cluster, &key),
            Work::StatefulSet(key) => workloads::stateful_set(cluster, &key),
            Work::DaemonSet(key) => workloads::daemon_set(cluster, &key),
            Work::Job(key) => jobs::reconcile(cluster, &key),
            Work::CronJob(key) => cron_jobs::reconcile(cluster, &key),
            Work::Pod(key) => self.kubelet.sync(cluster, &key),
            Work::Schedule(key) => scheduler::schedule(cluster, &key),
            Work::Service(key) => endpoints::reconcile(cluster, &key),
            Work::Hpa(key) => self.autoscaler.reconcile(cluster, &key, &self.traffic.cores),
            Work::Pdb(key) => upkeep::disruption_budget(cluster, &key),
            Work::Quota(namespace) => birth::count_quota(cluster, &namespace),
            Work::ExternalSecret(key) => self.vault.reconcile(cluster, &key),
            Work::Node(name) => self.nodes.reconcile(cluster, &self.kubelet, &name),
            Work::Orphans(uid) => upkeep::collect_orphans(cluster, &uid),
        }
    }

    /// Lives through a stretch of the past in steps of `step` seconds.
    fn live(&mut self, seconds: i64, step: i64) {
        for _ in 0..seconds / step.max(1) {
            let next = later(self.cluster.now, SignedDuration::from_secs(step));
            self.tick(next);
        }
    }
}
