//! A small cluster behind the lab's API server, and kubectl pointed at it.
//! The cluster's controllers are the few lines kubectl's commands need; the drills have a whole world.
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use covet_tui::lab::api::{Authority, ProxyRoutes, Role, Running, Settings, Tokens, kubeconfig, serve};
use covet_tui::lab::logs::Logs;
use covet_tui::lab::store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::controllers;

pub const NAMESPACE: &str = "covetpy-production";

pub struct Bench {
    pub store: Store,
    pub logs: Logs,
    pub tokens: Tokens,
    pub routes: ProxyRoutes,
    pub server: Running,
    pub folder: tempfile::TempDir,
    controllers: tokio::task::JoinHandle<()>,
}

pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub async fn new() -> Self {
        let store = Store::new(7);
        let logs = Logs::default();
        furnish(&store, &logs);
        let (tokens, routes) = (Tokens::default(), ProxyRoutes::default());
        tokens.grant("admin-token", "lab-admin", Role::Admin);
        tokens.grant("view-token", "lab-viewer", Role::View);
        let authority = Authority::new(Timestamp::now()).unwrap();
        let tls = authority.server(Timestamp::now(), &["h2", "http/1.1"]).unwrap();
        let settings = Settings {
            store: store.clone(),
            logs: logs.clone(),
            tokens: tokens.clone(),
            routes: routes.clone(),
            clock: Arc::new(Timestamp::now),
        };
        let server = serve(settings, tls, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        for role in ["admin", "view", "wrong"] {
            let text = kubeconfig(server.addr, authority.pem(), &format!("{role}-token"), NAMESPACE);
            std::fs::write(folder.path().join(role), text).unwrap();
        }
        let controllers = tokio::spawn(controllers::run(store.clone(), logs.clone()));
        let bench = Self { store, logs, tokens, routes, server, folder, controllers };
        bench.until("the first pods", || bench.ready("web") == 4).await;
        bench
    }

    pub fn kubeconfig(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    /// Runs kubectl as admin.
    pub async fn kubectl(&self, arguments: &[&str]) -> Said {
        self.kubectl_as("admin", arguments).await
    }

    /// Runs kubectl, which must succeed, and gives what it printed.
    pub async fn done(&self, arguments: &[&str]) -> String {
        let said = self.kubectl(arguments).await;
        assert!(said.ok, "kubectl {arguments:?} failed:\n{}{}", said.out, said.err);
        said.out
    }

    pub async fn kubectl_as(&self, role: &str, arguments: &[&str]) -> Said {
        let child = self.command(role, arguments).stdin(Stdio::null()).output();
        let output = tokio::time::timeout(Duration::from_mins(1), child)
            .await
            .unwrap_or_else(|_| panic!("kubectl {arguments:?} hangs"))
            .unwrap();
        Said {
            ok: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts kubectl and lets it run; it is killed when dropped.
    pub fn started(&self, arguments: &[&str]) -> Child {
        self.command("admin", arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(kubectl());
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig(role))
            .args(arguments)
            .env_remove("KUBECONFIG")
            .env("HOME", self.folder.path())
            .env("KUBECTL_KUBERC", "false")
            .kill_on_drop(true);
        command
    }

    pub fn get(&self, resource: &str, name: &str) -> Value {
        let namespaced = covet_tui::lab::store::resource(resource).unwrap().namespaced;
        let namespace = if namespaced { NAMESPACE } else { "" };
        self.store.get(resource, namespace, name).unwrap_or_else(|| panic!("no {resource}/{name}")).value()
    }

    pub fn pods(&self, app: &str) -> Vec<Value> {
        let all = self.store.list("pods", Some(NAMESPACE)).0;
        all.iter()
            .filter(|pod| pod.labels.get("app").is_some_and(|is| is == app))
            .map(|pod| pod.value())
            .collect()
    }

    pub fn ready(&self, deployment: &str) -> i64 {
        let object = self.store.get("deployments", NAMESPACE, deployment).unwrap().value();
        object["status"]["readyReplicas"].as_i64().unwrap_or(0)
    }

    /// Waits for the world to get there.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..600 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("waited 30 s for {what}");
    }

    pub async fn stop(self) {
        self.controllers.abort();
        self.server.stop().await;
    }
}

/// `COVET_KUBECTL`, or a recent enough one on the PATH.
pub fn kubectl() -> PathBuf {
    static FOUND: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    FOUND
        .get_or_init(|| {
            let asked =
                std::env::var_os("COVET_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
            let version =
                std::process::Command::new(&asked).args(["version", "--client", "-o", "json"]).output();
            let output = version.unwrap_or_else(|error| {
                panic!(
                    "this test needs kubectl 1.30 or later, on the PATH or named by COVET_KUBECTL: {error}"
                )
            });
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let minor = said["clientVersion"]["minor"].as_str().unwrap_or_default();
            let minor: u32 = minor.trim_end_matches('+').parse().unwrap_or(0);
            assert!(
                minor >= 30,
                "this test needs kubectl 1.30 or later; {} is {said}: set COVET_KUBECTL",
                asked.display()
            );
            asked
        })
        .clone()
}

pub fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "replicas": replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 1,
                "volumes": [{"name": "config", "configMap": {"name": "settings"}}],
                "containers": [{
                    "name": name, "image": image, "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                    "env": [{"name": "MODE", "value": "drill"},
                            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
                            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}}],
                    "resources": {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}],
                }],
            }},
        },
    })
}

fn furnish(store: &Store, logs: &Logs) {
    let now = Timestamp::now();
    let add = |resource: &str, object: Value| store.create(resource, object, now).unwrap();
    for name in ["default", NAMESPACE, "kube-system", "kube-node-lease"] {
        add("namespaces", json!({"metadata": {"name": name}, "spec": {}, "status": {"phase": "Active"}}));
    }
    for number in 1..=3 {
        let name = format!("node-{number}");
        add(
            "nodes",
            json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "node-role.kubernetes.io/worker": ""}},
                "spec": {"podCIDR": format!("10.1.{number}.0/24")},
                "status": {
                    "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                    "allocatable": {"cpu": "3920m", "memory": "7Gi", "pods": "110"},
                    "addresses": [{"type": "InternalIP", "address": format!("10.0.0.{number}")}],
                    "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                                    "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                    "nodeInfo": {"kubeletVersion": "v1.35.2", "osImage": "Bottlerocket", "kernelVersion": "6.12",
                                 "containerRuntimeVersion": "containerd://2.1"},
                },
            }),
        );
        add(
            "nodemetrics",
            json!({"metadata": {"name": name}, "timestamp": now.to_string(), "window": "20s",
                                  "usage": {"cpu": "812m", "memory": "3211264Ki"}}),
        );
    }
    add(
        "configmaps",
        json!({"metadata": {"name": "settings", "namespace": NAMESPACE}, "data": {"level": "info"}}),
    );
    add(
        "secrets",
        json!({"metadata": {"name": "keys", "namespace": NAMESPACE}, "type": "Opaque", "data": {"password": "aHVzaA=="}}),
    );
    let web = add("deployments", deployment("web", 4, "registry.local/web:v1"));
    add(
        "poddisruptionbudgets",
        json!({"metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}}}),
    );
    add(
        "horizontalpodautoscalers",
        json!({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 3, "maxReplicas": 10,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]},
        "status": {"currentReplicas": 4, "desiredReplicas": 4,
                   "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 62, "averageValue": "155m"}}}]}}),
    );
    add(
        "services",
        json!({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"type": "ClusterIP",
        "clusterIP": "10.96.3.7", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}]}}),
    );
    add(
        "events",
        json!({"metadata": {"name": "web.1", "namespace": NAMESPACE}, "type": "Warning", "reason": "BackOff",
        "involvedObject": {"kind": "Deployment", "namespace": NAMESPACE, "name": "web", "uid": web.uid, "apiVersion": "apps/v1"},
        "message": "Back-off restarting failed container", "count": 7, "source": {"component": "kubelet"},
        "firstTimestamp": now.to_string(), "lastTimestamp": now.to_string()}),
    );
    // a pod that restarted once, with the output of both runs
    add(
        "pods",
        json!({
            "metadata": {"name": "job-runner", "namespace": NAMESPACE, "labels": {"app": "runner"}},
            "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 1, "containers": [{"name": "runner", "image": "runner:1"}]},
            "status": {"phase": "Running", "podIP": "10.1.1.9", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{
                "name": "runner", "ready": true, "restartCount": 1, "image": "runner:1", "imageID": "", "containerID": "containerd://b",
                "state": {"running": {"startedAt": now.to_string()}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": now.to_string(), "startedAt": now.to_string()}}}]},
        }),
    );
    logs.append(NAMESPACE, "job-runner", "runner", 0, "first run: out of memory", now);
    logs.append(NAMESPACE, "job-runner", "runner", 1, "second run: started", now);
}
