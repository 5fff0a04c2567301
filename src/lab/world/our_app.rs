//! The objects of the app the drills are about: covetpy in `covetpy-production`.
//! It knows what the team would have in its repository, nothing of behaviour.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::later;
use super::{APP, NAMESPACE};
use crate::lab::signals::Certificate;
use crate::lab::store::seconds;

pub const IMAGE: &str = "ghcr.io/yourorg/covetpy";
pub const DATABASE_HOST: &str = "covet-aurora.cluster-c1x8kzq4w2ab.us-east-1.rds.amazonaws.com";
pub const HOSTS: [&str; 2] = ["api.yourdomain.com", "yourdomain.com"];
/// The share of the users that comes to each of them.
pub const USERS_OF_HOSTS: [f64; 2] = [0.8, 0.2];

/// What the vault holds for the app.
pub fn secrets() -> [(&'static str, &'static str); 2] {
    [("DATABASE_PASSWORD", "Vq7-lab-3fTz9xMw"), ("JWT_SECRET_KEY", "lab-5b1d0e9f7c2a4e8d")]
}

pub fn deployment(progress_deadline: Option<u32>) -> Value {
    json!({
        "metadata": {
            "name": APP, "namespace": NAMESPACE,
            "labels": { "app": "covetpy", "app.kubernetes.io/name": "covetpy", "team": "core" },
            "annotations": { "kubernetes.io/change-cause": "release v1.2.0" },
        },
        "spec": {
            "replicas": 4,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": progress_deadline.unwrap_or(600),
            "selector": { "matchLabels": { "app": "covetpy" } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "template": {
                "metadata": {
                    "labels": { "app": "covetpy", "tier": "web" },
                    "annotations": {
                        "prometheus.io/scrape": "true", "prometheus.io/port": "9090", "prometheus.io/path": "/metrics",
                    },
                },
                "spec": {
                    "restartPolicy": "Always",
                    "terminationGracePeriodSeconds": 30,
                    "imagePullSecrets": [{ "name": "regcred" }],
                    "topologySpreadConstraints": [{
                        "maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": { "matchLabels": { "app": "covetpy" } },
                    }],
                    "containers": [container()],
                },
            },
        },
    })
}

fn container() -> Value {
    let probe = |path: &str, delay: u32| {
        json!({
            "httpGet": { "path": path, "port": "http", "scheme": "HTTP" }, "initialDelaySeconds": delay,
            "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 3, "successThreshold": 1,
        })
    };
    json!({
        "name": "covetpy",
        "image": format!("{IMAGE}:v1.2.0"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            { "name": "http", "containerPort": 8000, "protocol": "TCP" },
            { "name": "metrics", "containerPort": 9090, "protocol": "TCP" },
        ],
        "envFrom": [{ "configMapRef": { "name": "covetpy-config" } }, { "secretRef": { "name": "covetpy-secrets" } }],
        "env": [{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.name" } } }],
        "resources": { "requests": { "cpu": "500m", "memory": "1Gi" }, "limits": { "cpu": "1", "memory": "2Gi" } },
        "readinessProbe": probe("/health/ready", 10),
        "livenessProbe": probe("/health/live", 30),
    })
}

pub fn config_maps() -> Vec<Value> {
    vec![json!({
        "metadata": { "name": "covetpy-config", "namespace": NAMESPACE, "labels": { "app": "covetpy" } },
        "data": {
            "DATABASE_HOST": DATABASE_HOST, "DATABASE_NAME": "covetpy", "DATABASE_USER": "app",
            "DB_POOL_SIZE": "10", "DB_POOL_MAX_OVERFLOW": "5", "DB_POOL_TIMEOUT": "30",
            "REDIS_HOST": "redis.covetpy-production.svc.cluster.local", "CACHE_ENABLED": "true", "CACHE_TTL": "3600",
            "LOG_LEVEL": "INFO", "MAX_CONCURRENT_REQUESTS": "1000", "REQUEST_TIMEOUT": "30", "WEB_CONCURRENCY": "1",
        },
    })]
}

/// The app's Secret as synced from the vault, and the registry credential.
pub fn stored_secrets(data: &Value, rng: &mut fastrand::Rng) -> Vec<Value> {
    let token: String = (0..36).map(|_| rng.alphanumeric()).collect();
    let pair = STANDARD.encode(format!("yourorg-bot:ghp_{token}"));
    let registry = json!({ "auths": { "ghcr.io": {
        "username": "yourorg-bot", "password": format!("ghp_{token}"), "auth": pair } } });
    vec![
        json!({
            "metadata": {
                "name": "covetpy-secrets", "namespace": NAMESPACE,
                "labels": { "app": "covetpy", "reconcile.external-secrets.io/managed": "true" },
            },
            "type": "Opaque", "data": data,
        }),
        json!({
            "metadata": { "name": "regcred", "namespace": NAMESPACE },
            "type": "kubernetes.io/dockerconfigjson",
            "data": { ".dockerconfigjson": STANDARD.encode(registry.to_string()) },
        }),
    ]
}

pub fn external_secret(at: &str) -> Value {
    json!({
        "metadata": { "name": "covetpy-secrets", "namespace": NAMESPACE, "labels": { "app": "covetpy" } },
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": { "kind": "ClusterSecretStore", "name": "aws-secrets-manager" },
            "target": { "name": "covetpy-secrets", "creationPolicy": "Owner" },
            "dataFrom": [{ "extract": { "key": "production/covetpy" } }],
        },
        "status": {
            "refreshTime": at,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
                "lastTransitionTime": at,
            }],
        },
    })
}

pub fn autoscaler(most: Option<u32>) -> Value {
    json!({
        "metadata": { "name": APP, "namespace": NAMESPACE, "labels": { "app": "covetpy" } },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": APP },
            "minReplicas": 3, "maxReplicas": most.unwrap_or(10),
            "metrics": [{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } }],
        },
    })
}

pub fn disruption_budget() -> Value {
    json!({
        "metadata": { "name": APP, "namespace": NAMESPACE, "labels": { "app": "covetpy" } },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "covetpy" } } },
    })
}

/// Objects no controller of the lab acts upon.
pub fn plain(now: Timestamp, first: Timestamp) -> Vec<(&'static str, Vec<Value>)> {
    let rules: Vec<Value> = HOSTS
        .iter()
        .map(|host| {
            json!({ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": {
                "service": { "name": APP, "port": { "number": 80 } } } }] } })
        })
        .collect();
    let ingress = json!({
        "metadata": {
            "name": "covetpy-ingress", "namespace": NAMESPACE, "labels": { "app": "covetpy" },
            "annotations": { "cert-manager.io/cluster-issuer": "letsencrypt-production" },
        },
        "spec": { "ingressClassName": "nginx", "rules": rules, "tls": [{ "hosts": HOSTS, "secretName": "covetpy-tls" }] },
        "status": { "loadBalancer": { "ingress": [
            { "hostname": super::edge::BALANCER }] } },
    });
    vec![("ingresses", vec![ingress]), ("certificates", vec![certificate_object(now, first)])]
}

/// What the HTTPS endpoint serves: two thirds of ninety days left.
pub fn certificate(now: Timestamp) -> Certificate {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    Certificate {
        hosts: HOSTS.map(str::to_owned).to_vec(),
        not_before: later(now, -days(29)),
        not_after: later(now, days(61)),
    }
}

fn certificate_object(now: Timestamp, first: Timestamp) -> Value {
    let served = certificate(now);
    let renewal = later(served.not_after, -SignedDuration::from_hours(24 * 30));
    json!({
        "metadata": { "name": "covetpy-tls", "namespace": NAMESPACE, "labels": { "app": "covetpy" } },
        "spec": {
            "secretName": "covetpy-tls", "dnsNames": HOSTS, "duration": "2160h0m0s", "renewBefore": "720h0m0s",
            "issuerRef": { "group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt-production" },
        },
        "status": {
            "notBefore": seconds(served.not_before), "notAfter": seconds(served.not_after),
            "renewalTime": seconds(renewal), "revision": 3,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 1,
                "message": "Certificate is up to date and has not expired", "lastTransitionTime": seconds(first),
            }],
        },
    })
}
