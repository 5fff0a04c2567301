//! The judge of the lab's API server: the real kubectl, doing what people do with it.
pub mod bench;
mod controllers;

use bench::{Bench, NAMESPACE, deployment};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The columns of the row that begins with `name`.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let line =
        table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in:\n{table}"));
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_what_there_is() {
    let bench = Bench::new().await;
    let pods = bench.done(&["get", "pods", "-o", "wide", "-l", "app=web"]).await;
    assert!(pods.starts_with("NAME"), "{pods}");
    for heading in ["READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE"] {
        assert!(pods.lines().next().unwrap().contains(heading), "{pods}");
    }
    assert_eq!(row(&pods, "web-")[1..4], ["1/1", "Running", "0"]);
    assert_eq!(pods.lines().count(), 5);
    let runner = bench.done(&["get", "pod", "job-runner"]).await;
    assert_eq!(row(&runner, "job-runner")[3], "1");
    assert!(runner.contains("ago)"), "{runner}");

    let nodes = bench.done(&["get", "nodes", "-o", "wide"]).await;
    assert_eq!(row(&nodes, "node-2")[1..3], ["Ready", "worker"]);
    assert!(nodes.contains("10.0.0.2") && nodes.contains("containerd://2.1"), "{nodes}");
    assert_eq!(row(&bench.done(&["get", "deploy"]).await, "web")[1], "4/4");
    let hpa = bench.done(&["get", "hpa"]).await;
    assert!(hpa.contains("cpu: 62%/70%"), "{hpa}");
    let events = bench.done(&["get", "events"]).await;
    assert!(events.contains("BackOff") && events.contains("deployment/web"), "{events}");
    let all = bench.done(&["get", "all"]).await;
    assert!(all.contains("deployment.apps/web") && all.contains("service/web"), "{all}");
    let named: Value = serde_json::from_str(&bench.done(&["get", "deploy/web", "-o", "json"]).await).unwrap();
    assert_eq!(named["kind"], "Deployment");
    let sorted = bench
        .done(&["get", "pods", "-A", "--sort-by=.metadata.name", "--field-selector=spec.nodeName=node-1"])
        .await;
    assert!(sorted.contains("job-runner"), "{sorted}");

    let top = bench.done(&["top", "pods"]).await;
    assert_eq!(row(&top, "web-")[1..], ["153m", "402Mi"]);
    let top = bench.done(&["top", "nodes"]).await;
    assert_eq!(row(&top, "node-3")[1..], ["812m", "20%", "3136Mi", "43%"]);

    let described = bench.done(&["describe", "pod", "job-runner"]).await;
    assert!(described.contains("OOMKilled") && described.contains("Exit Code:    137"), "{described}");
    let described = bench.done(&["describe", "node", "node-1"]).await;
    assert!(described.contains("KubeletReady") && described.contains("job-runner"), "{described}");
    let described = bench.done(&["describe", "deployment", "web"]).await;
    assert!(
        described.contains("25% max unavailable") && described.contains("Back-off restarting"),
        "{described}"
    );
    for command in [
        &["api-resources"][..],
        &["api-versions"],
        &["version"],
        &["cluster-info"],
        &["events", "--for", "deploy/web"],
        &["get", "hpa,pdb,svc,cm,secrets,rs,ns,crd,leases"],
    ] {
        bench.done(command).await;
    }
    let resources = bench.done(&["api-resources"]).await;
    assert!(resources.contains("deployments") && resources.contains("deploy "), "{resources}");
    let missing = bench.kubectl(&["get", "pod", "nobody"]).await;
    assert_eq!(missing.err.trim(), "Error from server (NotFound): pods \"nobody\" not found");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_follows_changes_and_logs() {
    let bench = Bench::new().await;
    assert_eq!(bench.done(&["logs", "job-runner"]).await, "second run: started\n");
    assert_eq!(bench.done(&["logs", "job-runner", "--previous"]).await, "first run: out of memory\n");
    let stamped = bench.done(&["logs", "job-runner", "--timestamps", "--tail=1", "--since=1h"]).await;
    assert!(stamped.starts_with("20") && stamped.contains("Z second run"), "{stamped}");
    let web = bench.pods("web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let none = bench.kubectl(&["logs", &web, "--previous"]).await;
    assert_eq!(
        none.err.trim(),
        format!(
            "Error from server (BadRequest): previous terminated container \"web\" in pod \"{web}\" not found"
        )
    );
    let wrong = bench.kubectl(&["logs", &web, "-c", "nope"]).await;
    assert!(wrong.err.contains("container nope is not valid for pod"), "{}", wrong.err);

    let mut follower = bench.started(&["logs", "-f", "job-runner"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "second run: started");
    bench.logs.append(NAMESPACE, "job-runner", "runner", 1, "a line that came later", jiff::Timestamp::now());
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "a line that came later");
    bench.store.delete("pods", NAMESPACE, "job-runner").unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None, "a followed log ends with its container");

    let mut watcher = bench.started(&["get", "configmaps", "-w", "--output-watch-events"]);
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("EVENT"));
    assert!(lines.next_line().await.unwrap().unwrap().contains("settings"));
    bench.done(&["create", "configmap", "later", "--from-literal=a=1", "--from-literal=b=2"]).await;
    let added = lines.next_line().await.unwrap().unwrap();
    assert!(added.starts_with("ADDED") && added.contains("later") && added.contains('2'), "{added}");
    bench.done(&["delete", "configmap", "later"]).await;
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("DELETED"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_rolls_out_and_back() {
    let bench = Bench::new().await;
    let image = |bench: &Bench| {
        let web = bench.get("deployments", "web");
        web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    assert_eq!(bench.done(&["scale", "deploy/web", "--replicas=6"]).await, "deployment.apps/web scaled\n");
    bench.until("six pods", || bench.ready("web") == 6).await;
    let drifted = bench.kubectl(&["scale", "deploy/web", "--replicas=5", "--current-replicas=4"]).await;
    assert!(drifted.err.contains("Expected replicas to be 4, was 6"), "{}", drifted.err);

    bench.done(&["set", "image", "deploy/web", "web=registry.local/web:v2"]).await;
    bench.done(&["rollout", "status", "deploy/web", "--timeout=30s"]).await;
    assert_eq!(image(&bench), "registry.local/web:v2");
    bench.done(&["annotate", "deploy/web", "kubernetes.io/change-cause=to v2", "--overwrite"]).await;
    let history = bench.done(&["rollout", "history", "deploy/web"]).await;
    assert!(
        history.lines().any(|line| line.starts_with('1'))
            && history.lines().any(|line| line.starts_with('2')),
        "{history}"
    );
    let second = bench.done(&["rollout", "history", "deploy/web", "--revision=2"]).await;
    assert!(second.contains("registry.local/web:v2"), "{second}");
    bench.done(&["rollout", "undo", "deploy/web"]).await;
    bench.done(&["rollout", "status", "deploy/web", "--timeout=30s"]).await;
    assert_eq!(image(&bench), "registry.local/web:v1");
    bench.done(&["rollout", "undo", "deploy/web", "--to-revision=2", "--dry-run=server"]).await;
    assert_eq!(image(&bench), "registry.local/web:v1");
    bench.done(&["rollout", "restart", "deploy/web"]).await;
    bench.done(&["rollout", "status", "deploy/web", "--timeout=30s"]).await;
    let annotations = &bench.get("deployments", "web")["spec"]["template"]["metadata"]["annotations"];
    assert!(annotations["kubectl.kubernetes.io/restartedAt"].is_string());
    bench.done(&["rollout", "pause", "deploy/web"]).await;
    assert_eq!(bench.get("deployments", "web")["spec"]["paused"], true);
    let paused = bench.kubectl(&["rollout", "restart", "deploy/web"]).await;
    assert!(paused.err.contains("can't restart paused deployment"), "{}", paused.err);
    bench.done(&["rollout", "resume", "deploy/web"]).await;
    assert!(bench.get("deployments", "web")["spec"]["paused"] != true);
    bench.done(&["set", "resources", "deploy/web", "--limits=memory=3Gi"]).await;
    bench.done(&["set", "env", "deploy/web", "MODE-", "COLOUR=blue"]).await;
    let env = bench.get("deployments", "web")["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let names: Vec<&str> = env.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["LEVEL", "PASSWORD", "COLOUR"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_patches_and_is_refused() {
    let bench = Bench::new().await;
    let patch = async |kind: &str, patch: &str| {
        bench.kubectl(&["patch", "deploy/web", "--type", kind, "-p", patch]).await
    };
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:s"}]}}}}"#;
    assert!(patch("strategic", strategic).await.ok);
    let container = bench.get("deployments", "web")["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!((&container["image"], container["env"].as_array().unwrap().len()), (&json!("web:s"), 3));
    assert!(patch("merge", r#"{"metadata":{"labels":{"tier":"front"}}}"#).await.ok);
    assert_eq!(bench.get("deployments", "web")["metadata"]["labels"], json!({"app": "web", "tier": "front"}));
    let version = bench.get("deployments", "web")["metadata"]["generation"].clone();
    let guarded = |replicas: u32| {
        format!(
            r#"[{{"op":"test","path":"/spec/replicas","value":{replicas}}},{{"op":"replace","path":"/spec/replicas","value":5}}]"#
        )
    };
    assert!(patch("json", &guarded(4)).await.ok);
    assert_ne!(bench.get("deployments", "web")["metadata"]["generation"], version);
    let refused = patch("json", &guarded(4)).await;
    assert!(
        refused.err.contains("the server rejected our request due to an error in our request"),
        "{}",
        refused.err
    );

    let unknown =
        patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"typo"}]}}}}"#).await;
    assert!(
        unknown.err.contains("spec.template.spec.containers[0].image: Required value")
            || unknown.err.contains("spec.template.spec.containers[1].image: Required value"),
        "{}",
        unknown.err
    );
    let small = patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","resources":{"limits":{"memory":"256Mi"}}}]}}}}"#).await;
    assert!(small.err.contains("must be less than or equal to memory limit of 256Mi"), "{}", small.err);
    let negative = bench
        .kubectl(&[
            "patch",
            "deploy/web",
            "--subresource=scale",
            "--type=merge",
            "-p",
            r#"{"spec":{"replicas":-1}}"#,
        ])
        .await;
    assert!(negative.err.contains("must be greater than or equal to 0"), "{}", negative.err);
    let stale = patch("merge", r#"{"metadata":{"resourceVersion":"1","labels":{"x":"y"}}}"#).await;
    assert!(stale.err.contains("the object has been modified"), "{}", stale.err);
    let hpa = bench.kubectl(&["patch", "hpa/web", "-p", r#"{"spec":{"minReplicas":20}}"#]).await;
    assert!(hpa.err.contains("must be greater than or equal to `minReplicas`"), "{}", hpa.err);
    let dry = bench
        .done(&["patch", "deploy/web", "--dry-run=server", "-o", "json", "-p", r#"{"spec":{"replicas":9}}"#])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&dry).unwrap()["spec"]["replicas"], 9);
    assert_eq!(bench.get("deployments", "web")["spec"]["replicas"], 5);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_cordons_and_drains() {
    let bench = Bench::new().await;
    bench.done(&["cordon", "node-3"]).await;
    assert_eq!(row(&bench.done(&["get", "nodes"]).await, "node-3")[1], "Ready,SchedulingDisabled");
    bench.done(&["uncordon", "node-3"]).await;
    bench.done(&["taint", "node", "node-3", "broken=yes:NoSchedule"]).await;
    assert_eq!(bench.get("nodes", "node-3")["spec"]["taints"][0]["key"], "broken");
    bench.done(&["taint", "node", "node-3", "broken-"]).await;
    let bare = bench.kubectl(&["drain", "node-1", "--timeout=30s"]).await;
    assert!(bare.err.contains("declare no controller"), "{}", bare.err);
    let before: Vec<Value> = bench.pods("web").iter().map(|pod| pod["metadata"]["uid"].clone()).collect();
    let drained =
        bench.kubectl(&["drain", "node-1", "--force", "--ignore-daemonsets", "--timeout=45s"]).await;
    assert!(drained.ok, "{}{}", drained.out, drained.err);
    assert!(drained.out.contains("node/node-1 drained"), "{}", drained.out);
    // The last eviction may not have been counted yet: the pods are asked, not the status of their owner.
    bench
        .until("four new pods elsewhere", || {
            let pods = bench.pods("web");
            pods.len() == 4
                && pods.iter().all(|pod| {
                    pod["spec"]["nodeName"] == "node-2" && !before.contains(&pod["metadata"]["uid"])
                })
        })
        .await;
    bench
        .store
        .update("poddisruptionbudgets", NAMESPACE, "web", jiff::Timestamp::now(), |budget| {
            budget["spec"]["minAvailable"] = 4.into();
        })
        .unwrap();
    bench
        .until("a spent budget", || {
            bench.get("poddisruptionbudgets", "web")["status"]["disruptionsAllowed"] == 0
        })
        .await;
    let blocked = bench.kubectl(&["drain", "node-2", "--timeout=3s"]).await;
    assert!(!blocked.ok && blocked.err.contains("violate the pod's disruption budget"), "{}", blocked.err);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_executes_and_asks_what_it_may() {
    let bench = Bench::new().await;
    let pod = bench.pods("web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.done(&["exec", &pod, "--", "echo", "hello", "there"]).await, "hello there\n");
    assert_eq!(bench.done(&["exec", &pod, "--", "cat", "/etc/app/level"]).await, "info");
    assert!(bench.done(&["exec", "deploy/web", "--", "df", "-hP"]).await.contains("overlay"));
    let env = bench.done(&["exec", &pod, "--", "printenv"]).await;
    assert!(env.contains("MODE=drill\nLEVEL=info") && !env.contains("PASSWORD"), "{env}");
    let missing = bench.kubectl(&["exec", &pod, "--", "rm", "-rf", "/"]).await;
    assert!(
        missing.err.contains("exit code 127") && missing.err.contains("not found in $PATH"),
        "{}",
        missing.err
    );
    assert!(bench.kubectl(&["exec", &pod, "--", "false"]).await.err.contains("exit code 1"));

    assert_eq!(bench.done(&["auth", "can-i", "delete", "pods"]).await.trim(), "yes");
    let view = async |arguments: &[&str]| bench.kubectl_as("view", arguments).await;
    assert_eq!(view(&["auth", "can-i", "delete", "pods"]).await.out.trim(), "no");
    assert_eq!(view(&["auth", "can-i", "get", "pods", "--subresource=log"]).await.out.trim(), "yes");
    assert!(view(&["auth", "can-i", "--list"]).await.out.contains("selfsubjectreviews"));
    assert!(view(&["auth", "whoami"]).await.out.contains("lab-viewer"));
    assert!(view(&["get", "pods"]).await.ok);
    let said = view(&["delete", "pod", &pod]).await.err;
    assert_eq!(
        said.trim(),
        format!(
            "Error from server (Forbidden): pods \"{pod}\" is forbidden: User \"lab-viewer\" cannot delete resource \"pods\" in API group \"\" in the namespace \"{NAMESPACE}\""
        )
    );
    assert!(view(&["get", "secrets"]).await.err.contains("cannot list resource \"secrets\""));
    assert!(view(&["exec", &pod, "--", "true"]).await.err.contains("cannot"), "exec is no reading");
    let stranger = bench.kubectl_as("wrong", &["get", "pods"]).await;
    assert!(
        stranger.err.contains("Unauthorized") || stranger.err.contains("must be logged in"),
        "{}",
        stranger.err
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_and_deletes() {
    let bench = Bench::new().await;
    let file = bench.folder.path().join("config.yaml");
    let path = file.to_str().unwrap();
    let write = |value: &str| {
        std::fs::write(
            &file,
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: flags\ndata:\n  a: \"{value}\"\n"),
        )
        .unwrap();
    };
    write("1");
    let apply = async |more: &[&str]| {
        let mut arguments = vec!["apply", "--server-side", "-f", path];
        arguments.extend(more);
        bench.kubectl(&arguments).await
    };
    assert_eq!(apply(&[]).await.out, "configmap/flags serverside-applied\n");
    write("2");
    let conflict = apply(&["--field-manager=other"]).await;
    assert!(conflict.err.contains("conflict with \"kubectl\" using v1: .data.a"), "{}", conflict.err);
    assert!(apply(&["--field-manager=other", "--force-conflicts"]).await.ok);
    assert_eq!(bench.get("configmaps", "flags")["data"]["a"], "2");
    let managed = bench.done(&["get", "cm", "flags", "-o", "json", "--show-managed-fields"]).await;
    let managed: Value = serde_json::from_str(&managed).unwrap();
    let managers = managed["metadata"]["managedFields"].as_array().unwrap().clone();
    assert_eq!(managers.len(), 1, "{managers:?}");
    assert_eq!(managers[0]["fieldsV1"], json!({"f:data": {"f:a": {}}}));

    let app = bench.folder.path().join("app.json");
    let mut object = deployment("side", 2, "side:1");
    object["apiVersion"] = "apps/v1".into();
    object["kind"] = "Deployment".into();
    std::fs::write(&app, object.to_string()).unwrap();
    let app = app.to_str().unwrap();
    bench.done(&["apply", "-f", app]).await;
    bench.until("two pods", || bench.ready("side") == 2).await;
    object["spec"]["replicas"] = 1.into();
    std::fs::write(app, object.to_string()).unwrap();
    assert_eq!(bench.done(&["apply", "-f", app]).await, "deployment.apps/side configured\n");
    assert_eq!(bench.done(&["apply", "-f", app]).await, "deployment.apps/side unchanged\n");
    let diff = bench.kubectl(&["diff", "-f", app]).await;
    assert!(diff.ok, "{}{}", diff.out, diff.err);
    bench.done(&["wait", "deploy/side", "--for=condition=Available", "--timeout=20s"]).await;
    bench.done(&["delete", "deploy", "side"]).await;
    bench.until("nothing left of it", || bench.pods("side").is_empty()).await;
    assert!(
        bench.store.list("replicasets", Some(NAMESPACE)).0.iter().all(|set| !set.name.starts_with("side"))
    );

    bench.done(&["delete", "deploy", "web", "--cascade=orphan"]).await;
    assert_eq!(bench.pods("web").len(), 4, "orphans stay");
    let again = bench.folder.path().join("web.json");
    let mut object = deployment("web", 4, "registry.local/web:v1");
    object["apiVersion"] = "apps/v1".into();
    object["kind"] = "Deployment".into();
    std::fs::write(&again, object.to_string()).unwrap();
    bench.done(&["delete", "rs,pods", "-l", "app=web", "--cascade=foreground"]).await;
    bench.done(&["create", "-f", again.to_str().unwrap()]).await;
    bench.until("four new pods", || bench.ready("web") == 4).await;
    let doubled = bench.kubectl(&["create", "-f", again.to_str().unwrap()]).await;
    assert_eq!(
        doubled
            .err
            .trim_start_matches("Error from server (AlreadyExists): error when creating ")
            .split(": ")
            .nth(1)
            .map(str::trim),
        Some("deployments.apps \"web\" already exists")
    );

    let pods = bench.pods("web");
    let name = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
    bench.done(&["delete", "pod", &name]).await;
    bench.until("its replacement", || bench.ready("web") == 4).await;
    let all = bench.done(&["delete", "pods", "-l", "app=web", "--wait=false"]).await;
    assert_eq!(all.lines().count(), 4, "{all}");
    bench.stop().await;
}
