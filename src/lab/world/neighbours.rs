//! Everything else that runs in the cluster, so that it looks like one: system, monitoring, workers, cache.
//! It knows plausible objects only.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{APP, NAMESPACE, our_app};
use crate::lab::store::seconds;

pub fn namespace(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    })
}

/// A container: image, CPU and memory requests, port name and number.
fn container(name: &str, image: &str, (cpu, memory): (&str, &str), port: Option<(&str, u16)>) -> Value {
    let mut container = json!({
        "name": name, "image": image,
        "resources": { "requests": { "cpu": cpu, "memory": memory }, "limits": { "memory": memory } },
    });
    if let Some((name, port)) = port {
        container["ports"] = json!([{ "name": name, "containerPort": port, "protocol": "TCP" }]);
        container["readinessProbe"] = json!({
            "tcpSocket": { "port": port }, "initialDelaySeconds": 2, "periodSeconds": 10, "failureThreshold": 3,
            "timeoutSeconds": 1, "successThreshold": 1,
        });
    }
    container
}

fn workload(
    (namespace, name): (&str, &str),
    app: &str,
    replicas: Option<i32>,
    containers: &[Value],
) -> Value {
    let mut spec = json!({
        "selector": { "matchLabels": { "app": app } },
        "template": {
            "metadata": { "labels": { "app": app, "app.kubernetes.io/name": app } },
            "spec": { "containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30 },
        },
    });
    if let Some(replicas) = replicas {
        spec["replicas"] = replicas.into();
    }
    json!({
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { "app": app, "app.kubernetes.io/name": app }, "annotations": {},
        },
        "spec": spec,
    })
}

/// `worker_pool`: the workers' own pool, where it is not the app's.
pub fn deployments(worker_storage: Option<&str>, worker_pool: Option<u32>) -> Vec<Value> {
    let mut worker = workload(
        (NAMESPACE, "covetpy-worker"),
        "covetpy-worker",
        Some(2),
        &[container("worker", &format!("{}:v1.2.3", our_app::IMAGE), ("200m", "512Mi"), None)],
    );
    let spec = &mut worker["spec"]["template"]["spec"];
    spec["imagePullSecrets"] = json!([{ "name": "regcred" }]);
    spec["containers"][0]["args"] = json!(["python", "-m", "covetpy.worker"]);
    spec["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "covetpy-config" } }, { "secretRef": { "name": "covetpy-secrets" } }]);
    if let Some(pool) = worker_pool {
        spec["containers"][0]["env"] = json!([
            { "name": "DB_POOL_SIZE", "value": pool.to_string() },
            { "name": "DB_POOL_MAX_OVERFLOW", "value": "0" },
        ]);
    }
    if let Some(storage) = worker_storage {
        spec["containers"][0]["resources"]["requests"]["ephemeral-storage"] = storage.into();
    }
    let prometheus = vec![
        container(
            "prometheus-server-configmap-reload",
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.86.1",
            ("10m", "32Mi"),
            None,
        ),
        container(
            "prometheus-server",
            "quay.io/prometheus/prometheus:v3.7.3",
            ("250m", "1Gi"),
            Some(("http", 9090)),
        ),
    ];
    let single = |namespace: &str, name: &str, image: &str, ask: (&str, &str), port: u16| {
        workload((namespace, name), name, Some(1), &[container(name, image, ask, Some(("http", port)))])
    };
    vec![
        worker,
        workload(
            (NAMESPACE, "covetpy-docs"),
            "covetpy-docs",
            Some(1),
            &[container("nginx", "docker.io/library/nginx:1.29.3", ("20m", "64Mi"), Some(("http", 80)))],
        ),
        workload(
            ("kube-system", "coredns"),
            "coredns",
            Some(2),
            &[container(
                "coredns",
                "registry.k8s.io/coredns/coredns:v1.13.1",
                ("100m", "70Mi"),
                Some(("dns", 53)),
            )],
        ),
        single(
            "kube-system",
            "metrics-server",
            "registry.k8s.io/metrics-server/metrics-server:v0.8.0",
            ("100m", "200Mi"),
            10250,
        ),
        workload(
            ("ingress-nginx", "ingress-nginx-controller"),
            "ingress-nginx",
            Some(2),
            &[container(
                "controller",
                "registry.k8s.io/ingress-nginx/controller:v1.14.0",
                ("100m", "256Mi"),
                Some(("https", 443)),
            )],
        ),
        single(
            "cert-manager",
            "cert-manager",
            "quay.io/jetstack/cert-manager-controller:v1.19.1",
            ("50m", "128Mi"),
            9402,
        ),
        single(
            "external-secrets",
            "external-secrets",
            "ghcr.io/external-secrets/external-secrets:v1.1.0",
            ("50m", "128Mi"),
            8080,
        ),
        labelled(prometheus_server(&prometheus), "prometheus"),
        single(
            "monitoring",
            "kube-state-metrics",
            "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0",
            ("50m", "128Mi"),
            8080,
        ),
        single(
            "monitoring",
            "postgres-exporter",
            "quay.io/prometheuscommunity/postgres-exporter:v0.18.1",
            ("20m", "64Mi"),
            9187,
        ),
    ]
}

/// Prometheus with its volume and its configuration, as the chart makes it.
fn prometheus_server(containers: &[Value]) -> Value {
    let mut object = workload(("monitoring", "prometheus-server"), "prometheus-server", Some(1), containers);
    let pod = &mut object["spec"]["template"]["spec"];
    pod["volumes"] = json!([
        { "name": "config-volume", "configMap": { "name": "prometheus-server" } },
        { "name": "storage-volume", "persistentVolumeClaim": { "claimName": "prometheus-server" } },
    ]);
    // So that how it ended is in its status, and not only in its log.
    pod["containers"][1]["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
    pod["containers"][1]["args"] = json!([
        "--config.file=/etc/config/prometheus.yml",
        "--storage.tsdb.path=/data",
        "--storage.tsdb.retention.time=15d",
        "--web.enable-lifecycle",
    ]);
    pod["containers"][1]["volumeMounts"] = json!([
        { "name": "config-volume", "mountPath": "/etc/config" }, { "name": "storage-volume", "mountPath": "/data" },
    ]);
    // One writer at a time: the new pod waits until the old one has let the volume go.
    object["spec"]["strategy"] = json!({ "type": "Recreate" });
    object
}

/// Sets the label charts use to name the application, on the object and its pods.
fn labelled(mut object: Value, name: &str) -> Value {
    object["metadata"]["labels"]["app.kubernetes.io/name"] = name.into();
    object["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = name.into();
    object
}

pub fn stateful_sets() -> Vec<Value> {
    let mut redis = workload(
        (NAMESPACE, "redis"),
        "redis",
        Some(1),
        &[container("redis", "docker.io/library/redis:7.4.6", ("100m", "512Mi"), Some(("redis", 6379)))],
    );
    redis["spec"]["serviceName"] = "redis".into();
    let mut alertmanager = workload(
        ("monitoring", "alertmanager"),
        "alertmanager",
        Some(1),
        &[container(
            "alertmanager",
            "quay.io/prometheus/alertmanager:v0.29.0",
            ("20m", "64Mi"),
            Some(("http", 9093)),
        )],
    );
    alertmanager["spec"]["serviceName"] = "alertmanager".into();
    vec![redis, alertmanager]
}

pub fn daemon_sets() -> Vec<Value> {
    let everywhere = |mut object: Value| {
        object["spec"]["template"]["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        object["spec"]["template"]["spec"]["hostNetwork"] = true.into();
        object["spec"]["template"]["spec"]["nodeSelector"] =
            json!({ "eks.amazonaws.com/nodegroup": "general" });
        object["spec"]["updateStrategy"] =
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1 } });
        object
    };
    vec![
        everywhere(workload(
            ("kube-system", "aws-node"),
            "aws-node",
            None,
            &[container(
                "aws-node",
                "602401143452.dkr.ecr.us-east-1.amazonaws.com/amazon-k8s-cni:v1.20.4",
                ("50m", "64Mi"),
                None,
            )],
        )),
        everywhere(workload(
            ("kube-system", "kube-proxy"),
            "kube-proxy",
            None,
            &[container(
                "kube-proxy",
                "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/kube-proxy:v1.35.2",
                ("100m", "64Mi"),
                None,
            )],
        )),
        everywhere(workload(
            ("monitoring", "node-exporter"),
            "node-exporter",
            None,
            &[container(
                "node-exporter",
                "quay.io/prometheus/node-exporter:v1.10.2",
                ("20m", "48Mi"),
                Some(("metrics", 9100)),
            )],
        )),
    ]
}

pub fn services() -> Vec<Value> {
    let service = |namespace: &str, name: &str, app: &str, ports: Value, ip: &str| {
        json!({
            "metadata": { "name": name, "namespace": namespace, "labels": { "app": app, "app.kubernetes.io/name": app } },
            "spec": {
                "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": { "app": app }, "ports": ports,
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
            },
            "status": { "loadBalancer": {} },
        })
    };
    let port = |name: &str, port: u16, target: Value| json!([{ "name": name, "port": port, "targetPort": target, "protocol": "TCP" }]);
    let mut prometheus = service(
        "monitoring",
        "prometheus-server",
        "prometheus-server",
        port("http", 80, json!(9090)),
        "172.20.88.14",
    );
    prometheus["metadata"]["labels"]["app.kubernetes.io/name"] = "prometheus".into();
    let mut kubernetes =
        service("default", "kubernetes", "kubernetes", port("https", 443, json!(6443)), "172.20.0.1");
    if let Some(spec) = kubernetes["spec"].as_object_mut() {
        spec.remove("selector");
    }
    let mut redis = service(NAMESPACE, "redis", "redis", port("redis", 6379, json!("redis")), "172.20.41.7");
    redis["spec"]["publishNotReadyAddresses"] = false.into();
    vec![
        kubernetes,
        service(NAMESPACE, APP, "covetpy", port("http", 80, json!("http")), "172.20.113.52"),
        service(NAMESPACE, "covetpy-docs", "covetpy-docs", port("http", 80, json!("http")), "172.20.19.201"),
        redis,
        service("kube-system", "kube-dns", "coredns", port("dns", 53, json!("dns")), "172.20.0.10"),
        service(
            "kube-system",
            "metrics-server",
            "metrics-server",
            port("https", 443, json!(10250)),
            "172.20.60.3",
        ),
        service(
            "ingress-nginx",
            "ingress-nginx-controller",
            "ingress-nginx",
            port("https", 443, json!("https")),
            "172.20.7.90",
        ),
        prometheus,
        service(
            "monitoring",
            "alertmanager",
            "alertmanager",
            port("http", 9093, json!("http")),
            "172.20.72.118",
        ),
    ]
}

/// A finished migration, from the last release.
pub fn migration() -> Value {
    json!({
        "metadata": { "name": "covetpy-migrate-v1-2-3", "namespace": NAMESPACE, "labels": { "app": "covetpy-jobs" } },
        "spec": job_spec(&["python", "-m", "covetpy.migrate"]),
    })
}

/// The name of the CronJob.
pub const CLEANUP: &str = "covetpy-cleanup";

/// What tidies the database up every night, and ran at `last`.
pub fn cleanup(last: Timestamp) -> Value {
    json!({
        "metadata": { "name": CLEANUP, "namespace": NAMESPACE, "labels": { "app": "covetpy-jobs" } },
        "spec": {
            "schedule": last.strftime("%-M %-H * * *").to_string(), "concurrencyPolicy": "Forbid", "suspend": false,
            "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": { "labels": { "app": "covetpy-jobs" } },
                "spec": job_spec(&["python", "-m", "covetpy.cleanup"]),
            },
        },
        "status": { "lastScheduleTime": seconds(last) },
    })
}

fn job_spec(args: &[&str]) -> Value {
    let mut container = container("job", &format!("{}:v1.2.3", our_app::IMAGE), ("100m", "256Mi"), None);
    container["args"] = json!(args);
    container["envFrom"] = json!([{ "configMapRef": { "name": "covetpy-config" } }, { "secretRef": { "name": "covetpy-secrets" } }]);
    json!({
        "backoffLimit": 2, "completions": 1, "parallelism": 1,
        "template": {
            "metadata": { "labels": { "app": "covetpy-jobs" } },
            "spec": {
                "restartPolicy": "Never", "containers": [container], "imagePullSecrets": [{ "name": "regcred" }],
            },
        },
    })
}

/// Objects no controller of the lab acts upon.
pub fn plain(first: Timestamp) -> Vec<(&'static str, Vec<Value>)> {
    let volume = |namespace: &str, name: &str, size: &str, id: &str| {
        json!({
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "volumeName": id,
                "resources": { "requests": { "storage": size } }, "volumeMode": "Filesystem",
            },
            "status": { "phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": { "storage": size } },
        })
    };
    let class = json!({
        "metadata": { "name": "gp3", "annotations": { "storageclass.kubernetes.io/is-default-class": "true" } },
        "provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": true, "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer", "parameters": { "type": "gp3" },
    });
    let ingress_class = json!({
        "metadata": { "name": "nginx", "creationTimestamp": seconds(first) },
        "spec": { "controller": "k8s.io/ingress-nginx" },
    });
    vec![
        ("storageclasses", vec![class]),
        ("ingressclasses", vec![ingress_class]),
        (
            "persistentvolumeclaims",
            vec![
                volume("monitoring", "prometheus-server", "8Gi", "pvc-5d0c6a1e"),
                volume(NAMESPACE, "data-redis-0", "2Gi", "pvc-91c3f7ab"),
            ],
        ),
    ]
}
