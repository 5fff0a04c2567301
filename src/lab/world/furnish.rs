//! Furnishing: a month of history lived through by the controllers themselves, so that it is consistent.
//! It knows the order of past events; the objects are described beside it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::StatefulSet;
use super::cluster::{Cluster, Secret, Work, later};
use super::cron_jobs;
use super::drill::{self, Drill, Furnishing};
use super::objects::{
    Config, CronJob, DaemonSet, Deployment, ExternalSecret, Hpa, Job, Node, Pdb, Quota, Service,
};
use super::shelf::Key;
use super::{APP, NAMESPACE, World, neighbours, our_app, samples};
use crate::lab::job;
use crate::lab::store::seconds;

const DAY: i64 = 86_400;

/// The releases before the world begins: days ago, image tag, what the pipeline noted.
const RELEASES: [(f64, &str, &str); 5] = [
    (24.0, "v1.2.1", "release v1.2.1: order export"),
    (17.0, "v1.2.1", "config: raise request timeout to 30 s"),
    (9.2, "v1.2.2", "release v1.2.2: faster search"),
    (5.1, "v1.2.2", "config: cache on"),
    (1.9, "v1.2.3", "release v1.2.3: fix rounding of totals"),
];

impl World {
    /// Lives through the past up to `now`; the last `back_fill` seconds of it leave samples.
    pub(super) fn furnish(&mut self, drill: Option<&'static Drill>, now: Timestamp, back_fill: i64) {
        self.kubelet.behaviours = drill::common_behaviours();
        self.vault.keep("covetpy-secrets", &our_app::secrets());
        for behaviour in &mut self.kubelet.behaviours {
            if let Some(pattern) = &mut behaviour.when.not_matches {
                let password = self.vault.value("covetpy-secrets", "DATABASE_PASSWORD").unwrap_or_default();
                *pattern = pattern.replace("{password}", password);
            }
        }
        let furnishing = drill.map(|drill| drill.world.clone()).unwrap_or_default();
        self.ec2.suspended.clone_from(&furnishing.suspended_processes);
        samples::describe(&self.tsdb);
        self.begin_certificates(our_app::certificate(now));
        self.signals.write(|shown| {
            shown.certificates = vec![our_app::certificate(now)];
            shown.registry = self.kubelet.registry.shown();
        });
        self.settle_dns();
        let ago = |days: f64| later(now, -SignedDuration::from_secs((days * DAY as f64) as i64));
        self.begin(ago(30.0), now, &furnishing);
        self.live(60, 3);
        for (days, tag, note) in RELEASES {
            self.jump(ago(days));
            release(&mut self.cluster, tag, note);
            self.live(90, 3);
        }
        self.jump(ago(1.0));
        self.restart_a_worker();
        self.live(30, 3);
        let mut migration = neighbours::migration();
        job::select_own_pods(&mut migration, &self.cluster.store.uid());
        self.create_all::<Job>(vec![migration]);
        self.live(45, 3);
        let cleaned = furnishing.last_cleanup(now);
        if cleaned < later(now, -SignedDuration::from_hours(20)) {
            self.jump(cleaned);
            self.clean_up(cleaned);
            self.live(45, 3);
        }
        self.jump(later(now, -SignedDuration::from_secs(back_fill.max(120) + 300)));
        self.create_all::<Hpa>(vec![our_app::autoscaler(furnishing.most_replicas)]);
        self.live(300, 15);
        if back_fill > 0 {
            self.sampler.enable(drill.map_or(&[], |drill| &drill.world.exported));
        }
        if let Some(share) = furnishing.worker_log_per_hour {
            self.disks.trickle(&self.cluster, share);
        }
        let tail = back_fill.max(120);
        self.live(tail / 2, 15);
        if self.cluster.jobs.within(NAMESPACE).all(|(_, job)| job.metadata.controller().is_none()) {
            self.clean_up(cleaned);
        }
        self.live(tail - tail / 2, 15);
        self.jump(now);
        self.plain("clusterissuers", super::cert_manager::issuer(&seconds(ago(30.0))));
    }

    fn jump(&mut self, to: Timestamp) {
        self.cluster.now = to.max(self.cluster.now);
        self.traffic.skip_to(self.cluster.now);
    }

    /// The first day: nodes, then everything that runs on them.
    fn begin(&mut self, first: Timestamp, now: Timestamp, furnishing: &Furnishing) {
        self.cluster.now = first;
        self.cluster.furnishing = false;
        let zones = node_names(&mut self.cluster);
        for namespace in [
            "default",
            "kube-system",
            "kube-public",
            "kube-node-lease",
            NAMESPACE,
            "monitoring",
            "ingress-nginx",
            "cert-manager",
            "external-secrets",
        ] {
            self.plain("namespaces", neighbours::namespace(namespace));
            self.plain(
                "serviceaccounts",
                json!({ "metadata": { "name": "default", "namespace": namespace } }),
            );
        }
        for (index, name) in zones.iter().enumerate() {
            let node = node(name, index, &seconds(first));
            self.create_all::<Node>(vec![node]);
        }
        for (resource, objects) in neighbours::plain(first).into_iter().chain(our_app::plain(now, first)) {
            for object in objects {
                self.plain(resource, object);
            }
        }
        let data = self.vault.encoded("covetpy-secrets");
        let secrets = our_app::stored_secrets(&data, &mut self.cluster.rng);
        self.create_all::<Secret>(secrets);
        self.create_all::<Config>(our_app::config_maps());
        self.create_all::<Config>(super::monitoring::config_maps(furnishing));
        self.create_all::<ExternalSecret>(vec![our_app::external_secret(&seconds(first))]);
        self.create_all::<Service>(neighbours::services());
        self.create_all::<DaemonSet>(neighbours::daemon_sets());
        self.create_all::<StatefulSet>(neighbours::stateful_sets());
        self.create_all::<Deployment>(neighbours::deployments(
            furnishing.worker_storage.as_deref(),
            furnishing.worker_pool,
        ));
        self.create_all::<CronJob>(vec![neighbours::cleanup(furnishing.last_cleanup(now))]);
        self.create_all::<Deployment>(vec![our_app::deployment(furnishing.progress_deadline_seconds)]);
        self.create_all::<Pdb>(vec![our_app::disruption_budget()]);
        if !furnishing.quota.is_empty() {
            self.create_all::<Quota>(vec![json!({
                "metadata": { "name": "covetpy-quota", "namespace": NAMESPACE },
                "spec": { "hard": furnishing.quota },
            })]);
        }
    }

    /// The run of the nightly cleanup that was due at this moment.
    fn clean_up(&mut self, due: Timestamp) {
        let key = Key::new(NAMESPACE, neighbours::CLEANUP);
        let Some(cron) = self.cluster.cron_jobs.get(&key) else { return };
        let name = format!("{}-{}", key.name, due.as_second() / 60);
        let run = cron_jobs::run(&self.cluster, &cron, &name, due);
        self.create_all::<Job>(vec![run]);
    }

    fn create_all<K: super::cluster::Kind>(&mut self, objects: Vec<Value>) {
        for object in objects {
            let made = self.cluster.create::<K>(with_managers(object, &seconds(self.cluster.now)));
            debug_assert!(made.is_ok(), "{:?}", made.err());
        }
    }

    fn plain(&mut self, resource: &str, object: Value) {
        let made = self.cluster.store.create(resource, object, self.cluster.now);
        debug_assert!(made.is_ok(), "{resource}: {:?}", made.err());
    }

    /// Benign noise: one worker was restarted once, yesterday.
    fn restart_a_worker(&mut self) {
        let worker =
            self.cluster.pods.within(NAMESPACE).find(|(key, _)| key.name.starts_with("covetpy-worker-"));
        let Some(key) = worker.map(|(key, _)| key.clone()) else { return };
        self.kubelet.crash(&mut self.cluster, &key, 1);
        self.cluster.enqueue(Work::Pod(key));
    }
}

/// The pipeline sets an image and says why.
fn release(cluster: &mut Cluster, tag: &str, note: &str) {
    cluster.update::<Deployment>(&Key::new(NAMESPACE, APP), |deployment| {
        deployment["metadata"]["annotations"]["kubernetes.io/change-cause"] = note.into();
        let template = &mut deployment["spec"]["template"];
        template["metadata"]["annotations"]["covetpy.io/release"] = note.into();
        template["spec"]["containers"][0]["image"] = format!("{}:{tag}", our_app::IMAGE).into();
    });
}

/// Three names as EC2 gives them, in order of their addresses.
fn node_names(cluster: &mut Cluster) -> Vec<String> {
    (0..3).map(|zone| format!("ip-10-0-{}-{}.ec2.internal", 1 + zone, cluster.rng.u8(10..250))).collect()
}

/// A node of the group `general`: 4 CPU, 8 GiB.
pub fn node(name: &str, index: usize, at: &str) -> Value {
    let address: String =
        name.trim_start_matches("ip-").split('.').next().unwrap_or_default().replace('-', ".");
    let zone = ["us-east-1a", "us-east-1b", "us-east-1c"][index % 3];
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({ "type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": at, "lastTransitionTime": at })
    };
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "c6i.xlarge", "eks.amazonaws.com/nodegroup": "general",
                "topology.kubernetes.io/region": "us-east-1", "topology.kubernetes.io/zone": zone,
                "eks.amazonaws.com/capacityType": "ON_DEMAND",
            },
            "annotations": { "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
        },
        "spec": { "providerID": format!("aws:///{zone}/i-0{:016x}", fingerprint(name)) },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }, { "type": "Hostname", "address": name }],
            "capacity": { "cpu": "4", "memory": "8Gi", "pods": "58", "ephemeral-storage": "83873772Ki" },
            "allocatable": { "cpu": "3920m", "memory": "7392Mi", "pods": "58", "ephemeral-storage": "76224326324" },
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "Amazon Linux 2023.9.20260105",
                "kernelVersion": "6.12.63-84.121.amzn2023.x86_64", "kubeletVersion": "v1.35.2-eks-7d2f1a4",
                "kubeProxyVersion": "v1.35.2-eks-7d2f1a4", "containerRuntimeVersion": "containerd://2.1.5",
                "bootID": "", "machineID": "", "systemUUID": "",
            },
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
        },
    })
}

fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Records who applied an object, as the API server does for server-side apply.
fn with_managers(mut object: Value, at: &str) -> Value {
    let owned: serde_json::Map<String, Value> = ["spec", "data"]
        .iter()
        .filter_map(|part| Some((format!("f:{part}"), fields(object.get(*part)?))))
        .collect();
    if !owned.is_empty() {
        object["metadata"]["managedFields"] = json!([{
            "manager": "deploy-bot", "operation": "Apply", "apiVersion": "v1", "time": at,
            "fieldsType": "FieldsV1", "fieldsV1": owned,
        }]);
    }
    object
}

/// The `FieldsV1` form of a value: lists of named things by name, other lists as one.
pub fn fields(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (format!("f:{key}"), fields(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) if items.iter().all(|item| item["name"].is_string()) => {
            let named = items.iter().map(|item| (format!("k:{{\"name\":{}}}", item["name"]), fields(item)));
            named.collect::<serde_json::Map<_, _>>().into()
        }
        _ => json!({}),
    }
}
