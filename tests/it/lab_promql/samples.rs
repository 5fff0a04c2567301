//! The samples both servers are filled with: every metric the expressions name, grown from one seed.

/// A fixed past, so that every run asks about the same samples.
pub const END: i64 = 1_767_312_000_000;
pub const MINUTE: i64 = 60_000;

/// Name, labels, and (milliseconds, value).
pub type Sampled = (String, Vec<(String, String)>, Vec<(i64, f64)>);

struct Grower {
    random: fastrand::Rng,
    samples: Vec<Sampled>,
}

impl Grower {
    fn times(&mut self, span: i64, step: i64) -> Vec<i64> {
        let phase = self.random.i64(0..step);
        let mut times = Vec::new();
        let mut at = END - span + phase;
        while at <= END {
            // Scrapes jitter, and sometimes fail for a while.
            if self.random.u32(0..40) == 0 {
                at += step * self.random.i64(1..25);
                continue;
            }
            times.push(at + self.random.i64(0..40));
            at += step;
        }
        times.dedup();
        times
    }

    fn add(&mut self, name: &str, labels: &str, points: Vec<(i64, f64)>) {
        let labels = labels.split(' ').filter_map(|pair| pair.split_once('='));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.samples.push((name.to_owned(), labels, points));
    }

    fn counter_over(&mut self, name: &str, labels: &str, rate: f64, span: i64, step: i64) {
        let mut value = if self.random.bool() { 0.0 } else { self.random.f64() * 1e6 };
        let mut points = Vec::new();
        for at in self.times(span, step) {
            if self.random.u32(0..60) == 0 {
                value = self.random.f64() * rate;
            }
            points.push((at, value));
            value += (self.random.f64() * 2.0 * rate * step as f64 / 1e3).round();
        }
        self.add(name, labels, points);
    }

    fn counter(&mut self, name: &str, labels: &str, rate: f64) {
        self.counter_over(name, labels, rate, 150 * MINUTE, 15_000);
    }

    fn gauge(&mut self, name: &str, labels: &str, low: f64, high: f64) {
        let mut value = low + self.random.f64() * (high - low);
        let mut points = Vec::new();
        for at in self.times(150 * MINUTE, 15_000) {
            points.push((at, value));
            value = (value + (self.random.f64() - 0.5) * (high - low) / 5.0).clamp(low, high);
        }
        self.add(name, labels, points);
    }

    /// A value that jumps among a few.
    fn steps(&mut self, name: &str, labels: &str, among: &[f64]) {
        let mut value = among[0];
        let mut points = Vec::new();
        for at in self.times(150 * MINUTE, 15_000) {
            if self.random.u32(0..8) == 0 {
                value = among[self.random.usize(0..among.len())];
            }
            points.push((at, value));
        }
        self.add(name, labels, points);
    }
}

pub fn samples() -> Vec<Sampled> {
    let mut grow = Grower { random: fastrand::Rng::with_seed(7), samples: Vec::new() };
    plain(&mut grow);
    for pod in ["p-1", "p-2", "p-3"] {
        of_pod(&mut grow, pod);
    }
    of_cluster(&mut grow);
    of_outside(&mut grow);
    grow.samples
}

fn plain(grow: &mut Grower) {
    for (job, instance) in [("app", "a"), ("app", "b"), ("db", "a"), ("db", "c")] {
        let labels = format!("job={job} instance={instance}");
        grow.gauge("gauge", &labels, -10.0, 10.0);
        grow.counter("counter_total", &labels, 3.0);
        grow.steps("rounded", &labels, &[0.0, 1.0, 2.5, 1e21]);
    }
    grow.steps("info", "job=app instance=a version=1", &[1.0]);
    grow.steps("info", "job=app instance=b version=2", &[1.0]);
    grow.steps("info", "job=db instance=c version=2", &[1.0]);
    grow.steps("up", "job=app instance=a", &[1.0, 0.0]);
    grow.steps("up", "job=db", &[1.0, 1.0, 0.0]);
    grow.steps("constant", "of=number", &[3.25]);
    grow.steps("constant", "of=infinity", &[f64::INFINITY]);
    grow.steps("weird", "kind=nan", &[f64::NAN]);
    grow.steps("weird", "kind=mixed", &[f64::NAN, 1.0, -1.0, 0.0, 7.5]);
    grow.steps("weird", "kind=inf", &[f64::INFINITY, 2.0, 1e300]);
    grow.steps("weird", "kind=both", &[f64::NEG_INFINITY, f64::INFINITY, 3.0]);
    grow.steps("weird", "kind=zero", &[0.0, -0.0]);
    let times = grow.times(150 * MINUTE, 200_000);
    let points = times.iter().enumerate().map(|(index, at)| (*at, (index % 7) as f64)).collect();
    grow.add("sparse", "a=b", points);
    for le in ["0.1", "1", "1.0", "+Inf"] {
        grow.counter("odd_bucket", &format!("le={le}"), 1.0);
    }
    for le in ["-1", "0", "5", "+Inf", "broken"] {
        grow.steps("odd_bucket", &format!("le={le} negative=yes"), &[2.0, 4.0, 4.0]);
    }
    grow.steps("odd_bucket", "le=+Inf lonely=yes", &[2.0]);
}

fn of_pod(grow: &mut Grower, pod: &str) {
    let of = format!("namespace=covetpy-production pod={pod}");
    let container = format!("{of} container=covetpy");
    for status in ["200", "500", "503"] {
        let rate = if status == "200" { 40.0 } else { 2.0 };
        grow.counter("http_requests_total", &format!("{of} path=/api status={status}"), rate);
    }
    for (status, rate) in [("200", 1.0), ("401", 3.0)] {
        let labels = format!("{of} path=/login status={status}");
        grow.counter_over("http_requests_total", &labels, rate, 49 * 60 * MINUTE, 60_000);
    }
    histogram(grow, &of);
    grow.steps(
        "kube_pod_container_status_waiting_reason",
        &format!("{container} reason=CrashLoopBackOff"),
        &[0.0, 1.0],
    );
    grow.steps(
        "kube_pod_container_status_waiting_reason",
        &format!("{container} reason=ImagePullBackOff"),
        &[0.0, 1.0],
    );
    grow.steps(
        "kube_pod_init_container_status_waiting_reason",
        &format!("{container} reason=ErrImagePull"),
        &[0.0, 1.0],
    );
    grow.counter("kube_pod_container_status_restarts_total", &container, 0.01);
    grow.steps(
        "kube_pod_container_status_last_terminated_reason",
        &format!("{container} reason=OOMKilled"),
        &[1.0, 0.0],
    );
    grow.gauge("container_memory_working_set_bytes", &container, 1e9, 2e9);
    grow.gauge("container_memory_working_set_bytes", &format!("{of} container="), 1e9, 2e9);
    grow.steps(
        "kube_pod_container_resource_limits",
        &format!("{container} resource=memory unit=byte"),
        &[2_147_483_648.0],
    );
    grow.counter("container_cpu_cfs_throttled_periods_total", &container, 4.0);
    grow.counter("container_cpu_cfs_periods_total", &container, 10.0);
    grow.gauge("process_resident_memory_bytes", &format!("app=covetpy {of}"), 1e8, 5e8);
    grow.steps("kube_pod_status_reason", &format!("{of} reason=Evicted"), &[0.0, 1.0]);
    grow.steps("kube_pod_info", &format!("{of} node=n-{}", &pod[2..]), &[1.0]);
}

fn histogram(grow: &mut Grower, of: &str) {
    let times = grow.times(150 * MINUTE, 15_000);
    let bounds = ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    let mut counts = vec![0.0; bounds.len()];
    let mut lines: Vec<Vec<(i64, f64)>> = vec![Vec::new(); bounds.len()];
    for at in times {
        let slow = grow.random.f64();
        let mut total = 0.0;
        for (index, count) in counts.iter_mut().enumerate() {
            total += (grow.random.f64() * 20.0 * if index > 5 { slow } else { 1.0 }).round();
            *count += total;
            lines[index].push((at, *count));
        }
    }
    let all = lines[bounds.len() - 1].clone();
    for (le, points) in bounds.iter().zip(lines) {
        grow.add("http_request_duration_seconds_bucket", &format!("{of} le={le}"), points);
    }
    grow.add("http_request_duration_seconds_count", of, all);
}

fn of_cluster(grow: &mut Grower) {
    for node in ["n-1", "n-2"] {
        let of = format!("node={node}");
        grow.steps("kube_node_status_condition", &format!("{of} condition=Ready status=true"), &[1.0, 0.0]);
        grow.steps(
            "kube_node_status_condition",
            &format!("{of} condition=DiskPressure status=true"),
            &[0.0, 1.0],
        );
        grow.steps("kube_node_spec_unschedulable", &of, &[0.0]);
        for mountpoint in ["/", "/var/lib", "/boot"] {
            let of = format!("instance={node} mountpoint={mountpoint} fstype=ext4");
            grow.gauge("node_filesystem_avail_bytes", &of, 1e9, 3e10);
            grow.steps("node_filesystem_size_bytes", &of, &[1e11]);
            grow.steps("node_filesystem_readonly", &of, &[0.0]);
        }
    }
    for name in ["one", "two"] {
        let of = format!("namespace=covetpy-production deployment={name}");
        grow.steps(
            "kube_deployment_status_condition",
            &format!("{of} condition=Progressing status=false"),
            &[0.0, 1.0],
        );
        grow.steps("kube_deployment_spec_replicas", &of, &[4.0]);
        grow.steps("kube_deployment_status_replicas_available", &of, &[4.0, 3.0]);
        grow.steps("kube_deployment_status_replicas_updated", &of, &[4.0]);
        let of = format!("namespace=covetpy-production horizontalpodautoscaler={name}");
        grow.steps("kube_horizontalpodautoscaler_status_current_replicas", &of, &[10.0, 4.0]);
        grow.steps("kube_horizontalpodautoscaler_spec_max_replicas", &of, &[10.0]);
        grow.steps("kube_horizontalpodautoscaler_spec_min_replicas", &of, &[3.0]);
        let of = format!("namespace=covetpy-production persistentvolumeclaim={name}");
        grow.gauge("kubelet_volume_stats_available_bytes", &of, 0.0, 1e10);
        grow.steps("kubelet_volume_stats_capacity_bytes", &of, &[1e11]);
        grow.steps(
            "kube_service_info",
            &format!("namespace=covetpy-production service={name} uid={name}"),
            &[1.0],
        );
        let of = format!("namespace=covetpy-production endpoint={name} ready=true");
        grow.steps("kube_endpoint_address", &format!("{of} ip=10.0.0.1"), &[1.0, 0.0]);
        grow.steps("kube_endpoint_address", &format!("{of} ip=10.0.0.2"), &[0.0]);
        let of = format!("alertname={name} severity=warning");
        grow.steps("ALERTS", &format!("{of} alertstate=firing"), &[1.0]);
        grow.steps("ALERTS_FOR_STATE", &of, &[1.7e9, 1.71e9, 1.72e9]);
    }
}

fn of_outside(grow: &mut Grower) {
    for (state, most) in [("active", 30.0), ("idle", 60.0)] {
        grow.steps("pg_stat_activity_count", &format!("instance=db:5432 state={state}"), &[10.0, most]);
    }
    grow.steps("pg_settings_max_connections", "instance=db:5432", &[90.0]);
    grow.steps("pg_settings_superuser_reserved_connections", "instance=db:5432", &[3.0]);
    grow.counter("redis_keyspace_hits_total", "instance=redis:6379", 90.0);
    grow.counter("redis_keyspace_misses_total", "instance=redis:6379", 30.0);
    for name in ["tls", "old"] {
        let of = format!("name={name} namespace=covetpy-production");
        let expiry = END as f64 / 1e3 + if name == "old" { 86_400.0 } else { 60.0 * 86_400.0 };
        grow.steps("certmanager_certificate_expiration_timestamp_seconds", &of, &[expiry]);
        grow.steps("certmanager_certificate_renewal_timestamp_seconds", &of, &[expiry - 2_592_000.0]);
        for condition in ["True", "False", "Unknown"] {
            grow.steps(
                "certmanager_certificate_ready_status",
                &format!("{of} condition={condition}"),
                &[0.0, 1.0],
            );
        }
    }
    grow.counter("certmanager_http_acme_client_request_count", "host=acme status=429", 0.05);
    grow.steps("prometheus_config_last_reload_successful", "instance=p", &[1.0, 0.0]);
    grow.counter("prometheus_tsdb_head_samples_appended_total", "instance=p", 100.0);
    grow.counter("alertmanager_notifications_total", "integration=pager", 0.01);
    for status in ["200", "502"] {
        let labels = format!("exported_namespace=covetpy-production status={status}");
        grow.counter("nginx_ingress_controller_requests", &labels, 10.0);
    }
}
