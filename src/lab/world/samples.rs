//! The samples Prometheus would have scraped: exporters, kubelets and the app, every fifteen seconds.
//! It knows metric names and labels; the values are the world's.

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, later};
use super::disk::Disks;
use super::drill::Exported;
use super::kubelet::Kubelet;
use super::objects::Pod;
use super::our_app;
use super::scale;
use super::shelf::Key;
use super::state_samples::{autoscalers, deployment_state, flag, node_state, pod_state, services};
use super::traffic::{BOUNDS, Traffic};
use super::usage;
use crate::lab::signals::Signals;
use crate::lab::tsdb::Tsdb;

/// `scrape_interval`, in seconds.
const INTERVAL: i64 = 15;

#[derive(Default)]
pub struct Sampler {
    /// Nobody scrapes: Prometheus is down.
    silent: bool,
    next: Option<Timestamp>,
    scrapes: f64,
    /// What this drill's exporters show beside the usual.
    exported: &'static [Exported],
}

/// One scrape being put together.
#[derive(Default)]
pub(super) struct Scrape {
    rows: Vec<Row>,
}

type Row = (&'static str, Vec<(&'static str, String)>, f64);

impl Scrape {
    pub fn put(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        self.rows.push((name, labels, value));
    }
}

/// The metrics of the lab, for `/api/v1/metadata`.
pub fn describe(tsdb: &Tsdb) {
    for (name, kind, help) in [
        ("http_requests_total", "counter", "HTTP requests by path and status."),
        ("http_request_duration_seconds", "histogram", "Duration of HTTP requests."),
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."),
        ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
        ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
        ("container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals."),
        ("container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals."),
        (
            "kube_pod_container_status_restarts_total",
            "counter",
            "The number of container restarts per container.",
        ),
        (
            "kube_pod_container_status_waiting_reason",
            "gauge",
            "The reason the container is in waiting state.",
        ),
        (
            "kube_pod_container_status_last_terminated_reason",
            "gauge",
            "The last reason the container was terminated.",
        ),
        ("kube_pod_container_resource_limits", "gauge", "Limits of a container by resource."),
        ("kube_deployment_status_condition", "gauge", "The current status conditions of a deployment."),
        (
            "kube_deployment_status_replicas_available",
            "gauge",
            "The number of available replicas per deployment.",
        ),
        ("kube_node_status_condition", "gauge", "The condition of a cluster node."),
        ("pg_stat_activity_count", "gauge", "number of connections in this state"),
        ("pg_settings_max_connections", "gauge", "Sets the maximum number of concurrent connections."),
        ("redis_keyspace_hits_total", "counter", "keyspace_hits_total metric"),
        ("redis_keyspace_misses_total", "counter", "keyspace_misses_total metric"),
        ("certmanager_certificate_expiration_timestamp_seconds", "gauge", "Expiration of the certificate."),
        ("nginx_ingress_controller_requests", "counter", "The total number of client requests."),
        ("alertmanager_notifications_total", "counter", "The total number of attempted notifications."),
        ("up", "gauge", "1 if the instance is reachable."),
    ] {
        tsdb.metadata(name, kind, help);
    }
}

impl Sampler {
    pub fn enable(&mut self, exported: &'static [Exported]) {
        self.next = Some(Timestamp::MIN);
        self.exported = exported;
    }

    /// Whether nobody scrapes at the moment.
    pub fn silence(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Samples lie on multiples of the interval, whatever the tick.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub fn scrape(
        &mut self,
        cluster: &Cluster,
        (kubelet, disks): (&Kubelet, &Disks),
        traffic: &Traffic,
        signals: &Signals,
        tsdb: &Tsdb,
    ) {
        let now = cluster.now;
        let into = now.as_second().rem_euclid(INTERVAL);
        self.next = Some(later(now, SignedDuration::from_secs(INTERVAL - into)));
        if self.silent {
            return;
        }
        self.scrapes += 1.0;
        let mut scrape = Scrape::default();
        for (key, pod) in cluster.pods.iter().filter(|(key, _)| !scale::is_crowd(&key.namespace)) {
            pod_state(&mut scrape, pod);
            containers(&mut scrape, cluster, kubelet, traffic, (key, pod));
        }
        for (_, deployment) in cluster.deployments.iter().filter(|(key, _)| !scale::is_crowd(&key.namespace))
        {
            deployment_state(&mut scrape, deployment);
        }
        for (key, node) in cluster.nodes.iter().take(100) {
            let up = !kubelet.is_stopped(&key.name);
            node_state(&mut scrape, node, up.then(|| disks.space(cluster, kubelet, &key.name)));
        }
        autoscalers(&mut scrape, cluster);
        services(&mut scrape, cluster);
        app(&mut scrape, cluster, kubelet, traffic);
        outside(&mut scrape, signals, cluster);
        for Exported { name, labels, value } in self.exported {
            let labels: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            scrape.put(name, &labels, *value);
        }
        scrape.put(
            "prometheus_config_last_reload_successful",
            &[("instance", "localhost:9090"), ("job", "prometheus")],
            1.0,
        );
        let appended = self.scrapes * scrape.rows.len() as f64;
        scrape.put(
            "prometheus_tsdb_head_samples_appended_total",
            &[("instance", "localhost:9090"), ("job", "prometheus")],
            appended,
        );
        tsdb.append_all(
            now,
            scrape.rows.iter().map(|(name, labels, value)| {
                (*name, labels.iter().map(|(key, value)| (*key, value.as_str())).collect(), *value)
            }),
        );
        tsdb.end_scrape(now);
    }
}

fn containers(
    scrape: &mut Scrape,
    cluster: &Cluster,
    kubelet: &Kubelet,
    traffic: &Traffic,
    (key, pod): (&Key, &Pod),
) {
    let base = [("namespace", key.namespace.as_str()), ("pod", key.name.as_str())];
    for container in &pod.spec.containers {
        let base =
            [base[0], base[1], ("container", container.name.as_str()), ("node", pod.spec.node_name.as_str())];
        for (resource, unit) in [("cpu", "core"), ("memory", "byte")] {
            let labels = [base[0], base[1], base[2], base[3], ("resource", resource), ("unit", unit)];
            if let Some(limit) = container.limit(resource) {
                scrape.put("kube_pod_container_resource_limits", &labels, limit);
            }
            if container.request(resource) > 0.0 {
                scrape.put("kube_pod_container_resource_requests", &labels, container.request(resource));
            }
        }
    }
    let Some(run) = kubelet.run(key).filter(|_| !kubelet.is_stopped(&pod.spec.node_name)) else { return };
    let counters = traffic.counters.get(key);
    for (slot, container) in run.slots.iter().zip(&pod.spec.containers) {
        let Some(since) = slot.running_since() else { continue };
        let labels =
            [base[0], base[1], ("container", container.name.as_str()), ("node", pod.spec.node_name.as_str())];
        let bytes = usage::memory(slot, container, since, cluster);
        scrape.put("container_memory_working_set_bytes", &labels, bytes);
        let Some(counters) = counters else { continue };
        let seconds = usage::cores(container, counters.cpu_seconds, pod.requests("cpu"));
        scrape.put("container_cpu_usage_seconds_total", &labels, seconds);
        if container.limit("cpu").is_some() {
            scrape.put("container_cpu_cfs_periods_total", &labels, counters.periods);
            scrape.put("container_cpu_cfs_throttled_periods_total", &labels, counters.throttled);
        }
    }
}

fn app(scrape: &mut Scrape, cluster: &Cluster, kubelet: &Kubelet, traffic: &Traffic) {
    let pods = cluster.pods.within(super::NAMESPACE).filter(|(_, pod)| {
        pod.metadata.labels.get("app").is_some_and(|app| app == "covetpy") && !pod.status.pod_ip.is_empty()
    });
    for (key, pod) in pods {
        let run = kubelet.run(key).filter(|_| !kubelet.is_stopped(&pod.spec.node_name));
        let up = run.is_some_and(|run| {
            run.slots.iter().any(|slot| slot.running_since().is_some() && slot.life.exit.is_none())
        });
        let base = [("namespace", key.namespace.as_str()), ("pod", key.name.as_str())];
        let instance = format!("{}:9090", pod.status.pod_ip);
        scrape.put("up", &[base[0], base[1], ("instance", &instance), ("job", "kubernetes-pods")], flag(up));
        let Some(counters) = traffic.counters.get(key).filter(|_| up) else { continue };
        for ((path, status), count) in &counters.requests {
            scrape.put(
                "http_requests_total",
                &[base[0], base[1], ("path", path), ("status", status)],
                count.floor(),
            );
        }
        for (path, buckets) in &counters.buckets {
            let labels = [base[0], base[1], ("path", *path)];
            for (count, bound) in buckets
                .iter()
                .zip(BOUNDS.map(|bound| bound.to_string()).iter().map(String::as_str).chain(["+Inf"]))
            {
                let labels = [labels[0], labels[1], labels[2], ("le", bound)];
                scrape.put("http_request_duration_seconds_bucket", &labels, count.floor());
            }
            scrape.put("http_request_duration_seconds_count", &labels, buckets[BOUNDS.len()].floor());
            let sum = counters.sum.get(path).copied().unwrap_or(0.0);
            scrape.put("http_request_duration_seconds_sum", &labels, sum);
        }
        if let Some((slot, container)) =
            run.and_then(|run| run.slots.first().zip(pod.spec.containers.first()))
            && let Some(since) = slot.running_since()
        {
            let bytes = usage::memory(slot, container, since, cluster) * 0.94;
            scrape.put("process_resident_memory_bytes", &[base[0], base[1], ("app", "covetpy")], bytes);
        }
    }
    for (status, count) in &traffic.ingress {
        let labels =
            [("exported_namespace", super::NAMESPACE), ("ingress", "covetpy-ingress"), ("status", *status)];
        scrape.put("nginx_ingress_controller_requests", &labels, count.floor());
    }
}

fn outside(scrape: &mut Scrape, signals: &Signals, cluster: &Cluster) {
    let database = [("instance", our_app::DATABASE_HOST)];
    signals.read(|shown| {
        for state in ["active", "idle", "idle in transaction"] {
            let of = |session: &&crate::lab::signals::Session| {
                session.state.is_some_and(|now| now.as_str() == state)
            };
            let count = shown.database.sessions.iter().filter(of).count();
            let labels = [database[0], ("datname", "covetpy"), ("state", state)];
            scrape.put("pg_stat_activity_count", &labels, count as f64);
        }
        scrape.put("pg_up", &database, flag(shown.database.up));
        scrape.put("pg_settings_max_connections", &database, f64::from(shown.database.max_connections));
        scrape.put(
            "pg_settings_superuser_reserved_connections",
            &database,
            f64::from(shown.database.reserved),
        );
        let cache = [("instance", "redis.covetpy-production:6379")];
        for (name, value) in [
            ("redis_keyspace_hits_total", shown.cache.keyspace_hits),
            ("redis_keyspace_misses_total", shown.cache.keyspace_misses),
            ("redis_evicted_keys_total", shown.cache.evicted_keys),
            ("redis_memory_used_bytes", shown.cache.used_memory),
            ("redis_memory_max_bytes", shown.cache.maxmemory),
            ("redis_connected_clients", shown.cache.connected_clients),
        ] {
            scrape.put(name, &cache, value as f64);
        }
        let pager = [("instance", "alertmanager:9093"), ("integration", "pagerduty")];
        scrape.put("alertmanager_notifications_total", &pager, shown.notified as f64);
        scrape.put("redis_up", &cache, flag(shown.cache.up));
        for served in &shown.certificates {
            let base = [("namespace", super::NAMESPACE), ("name", "covetpy-tls")];
            let renewal = served.not_after.as_second() - 30 * 86_400;
            scrape.put(
                "certmanager_certificate_expiration_timestamp_seconds",
                &base,
                served.not_after.as_second() as f64,
            );
            scrape.put("certmanager_certificate_renewal_timestamp_seconds", &base, renewal as f64);
            for (word, holds) in [("True", true), ("False", false), ("Unknown", false)] {
                let labels = [base[0], base[1], ("condition", word)];
                scrape.put(
                    "certmanager_certificate_ready_status",
                    &labels,
                    flag(holds && served.not_after > cluster.now),
                );
            }
        }
    });
    let claim = [("namespace", "monitoring"), ("persistentvolumeclaim", "prometheus-server")];
    scrape.put("kubelet_volume_stats_capacity_bytes", &claim, 8.35e9);
    scrape.put("kubelet_volume_stats_available_bytes", &claim, 4.9e9);
}
