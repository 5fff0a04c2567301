//! The lab's world, driven by a fake clock: it is quiet when healthy, each drill shows its signals, each fix
//! heals and each wrong step harms, whatever the seed.

use covet_tui::lab::logs::Logs;
use covet_tui::lab::signals::Signals;
use covet_tui::lab::store::Store;
use covet_tui::lab::tsdb::Tsdb;
use covet_tui::lab::world::{APP, Drill, NAMESPACE, Options, Scale, Step, World, drill, drills};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [1, 7, 42];

/// A world and its clock.
pub struct Bench {
    pub world: World,
    pub store: Store,
    pub logs: Logs,
    pub signals: Signals,
    pub tsdb: Tsdb,
    pub now: Timestamp,
}

impl Bench {
    pub fn new(drill: Option<&'static Drill>, seed: u64) -> Self {
        Self::with(Options { drill, seed, back_fill_minutes: 3, ..Options::default() })
    }

    pub fn with(options: Options) -> Self {
        let now: Timestamp = "2026-03-04T03:12:00Z".parse().unwrap();
        let (store, logs) = (Store::new(options.seed), Logs::default());
        let (signals, tsdb) = (Signals::default(), Tsdb::default());
        let world = World::new(store.clone(), logs.clone(), signals.clone(), tsdb.clone(), options, now);
        Self { world, store, logs, signals, tsdb, now }
    }

    pub fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.world.tick(self.now);
        }
    }

    /// Runs until `holds`, at most `seconds`; says whether it came to that.
    pub fn until(&mut self, seconds: i64, holds: impl Fn(&Self) -> bool) -> bool {
        (0..seconds).any(|_| {
            self.run(1);
            holds(self)
        })
    }

    pub fn get(&self, resource: &str, name: &str) -> Value {
        self.store.get(resource, NAMESPACE, name).map(|object| object.value()).unwrap_or_default()
    }

    fn app(&self) -> Value {
        self.get("deployments", APP)
    }

    fn pods(&self) -> Vec<Value> {
        let all = self.store.list("pods", Some(NAMESPACE)).0;
        let ours = all.iter().filter(|pod| pod.labels.get("app").is_some_and(|app| app == "covetpy"));
        ours.map(|pod| pod.value()).collect()
    }

    fn ready(&self) -> usize {
        self.pods()
            .iter()
            .filter(|pod| is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null())
            .count()
    }

    /// `message` and `reason` of every waiting container of the app.
    fn waiting(&self) -> Vec<(String, String)> {
        let pods = self.pods();
        let states = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]["state"]["waiting"]);
        states
            .filter(|waiting| waiting.is_object())
            .map(|waiting| (text(&waiting["reason"]), text(&waiting["message"])))
            .collect()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let app = self.app();
        let found = conditions(&app).iter().find(|condition| condition["type"] == kind);
        found.map_or_else(Default::default, |found| (text(&found["status"]), text(&found["reason"])))
    }

    /// All that was asked for is there, of the newest revision, and nothing complains.
    fn is_well(&self) -> bool {
        let app = self.app();
        let (want, status) = (&app["spec"]["replicas"], &app["status"]);
        let complete = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
        let nodes = self.store.list("nodes", None).0;
        complete.iter().all(|field| status[*field] == *want)
            && status["observedGeneration"] == app["metadata"]["generation"]
            && self.waiting().is_empty()
            && self.condition("Progressing").1 == "NewReplicaSetAvailable"
            && nodes.len() == 3
            && nodes.iter().all(|node| is_ready(&node.value()) && !is_pressed(&node.value()))
    }

    /// The fault strikes and has its time to show.
    fn strike(&mut self, seconds: i64) {
        assert!(self.is_well(), "well before the fault: {}", self.app()["status"]);
        assert!(self.until(60, |bench| bench.world.has_struck()));
        self.run(seconds);
    }

    pub fn change(&self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.store.update(resource, NAMESPACE, name, self.now, change).unwrap();
    }

    fn change_container(&self, change: impl FnOnce(&mut Value)) {
        self.change("deployments", APP, |app| change(&mut app["spec"]["template"]["spec"]["containers"][0]));
    }

    fn restart(&self) {
        let at = self.now.to_string();
        self.change("deployments", APP, |app| {
            app["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] =
                at.into();
        });
    }

    /// `kubectl rollout undo`: the template of the revision before.
    fn undo(&self) {
        let mut sets: Vec<Value> =
            self.store.list("replicasets", Some(NAMESPACE)).0.iter().map(|set| set.value()).collect();
        sets.retain(|set| set["metadata"]["ownerReferences"][0]["name"] == APP);
        let revision = |set: &Value| {
            text(&set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]).parse().unwrap_or(0)
        };
        sets.sort_by_key(|set| std::cmp::Reverse::<i64>(revision(set)));
        let mut template = sets[1]["spec"]["template"].clone();
        template["metadata"]["labels"].as_object_mut().unwrap().remove("pod-template-hash");
        self.change("deployments", APP, |app| app["spec"]["template"] = template);
    }

    /// Deletes pods as the API does: with their grace.
    fn delete_pods(&self, which: impl Fn(&Value) -> bool) {
        for pod in self.pods().into_iter().filter(which) {
            let until = (self.now + SignedDuration::from_secs(30)).to_string();
            self.change("pods", &text(&pod["metadata"]["name"]), |pod| {
                pod["metadata"]["deletionTimestamp"] = until.into();
                pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
            });
        }
    }

    fn lost_node(&self) -> String {
        self.world.stopped_kubelets().first().cloned().unwrap_or_else(|| self.pressed_node())
    }

    /// The node that reports DiskPressure.
    fn pressed_node(&self) -> String {
        let nodes = self.store.list("nodes", None).0;
        let pressed: Vec<_> = nodes.iter().filter(|node| is_pressed(&node.value())).collect();
        assert_eq!(pressed.len(), 1, "one node is out of disk");
        pressed[0].name.clone()
    }

    /// Errors the ingress has answered so far.
    fn errors(&self) -> f64 {
        let series = self.tsdb.select(
            Some("nginx_ingress_controller_requests"),
            |labels| labels.get("status").starts_with('5'),
            0,
            i64::MAX,
        );
        series.iter().filter_map(|series| series.samples.last()).map(|sample| sample.value).sum()
    }

    /// Takes one step of a drill, by its id.
    fn take(&mut self, step: &str) {
        match step {
            "undo" => self.undo(),
            "undo-twice" => {
                self.undo();
                assert!(self.until(240, Self::is_well));
                self.undo();
            }
            "memory" => self.resources("memory", "1536Mi", "3Gi"),
            "memory-too-much" => self.resources("memory", "8Gi", "8Gi"),
            "request" => self.resources("cpu", "500m", "1"),
            "scale-zero" => self.change("deployments", APP, |app| app["spec"]["replicas"] = 0.into()),
            "delete-healthy" => self.delete_pods(is_ready),
            "strategy" => self.change("deployments", APP, |app| {
                app["spec"]["strategy"]["rollingUpdate"] = json!({ "maxSurge": 1, "maxUnavailable": 0 });
            }),
            "force-sync" => self.change("externalsecrets", "covetpy-secrets", |secret| {
                secret["metadata"]["annotations"]["force-sync"] = "1772593920".into();
            }),
            "secret-key" => self.change("secrets", "covetpy-secrets", |secret| {
                secret["data"]["DATABASE_PASSWORD"] = secret["data"]["DB_PASSWORD"].clone();
            }),
            "config" => {
                self.change("configmaps", "covetpy-config", |config| config["data"]["CACHE_TTL"] = "3600".into());
                self.restart();
            }
            "search-url" => {
                self.change("configmaps", "covetpy-config", |config| config["data"]["SEARCH_URL"] = "http://search:9200".into());
                self.restart();
            }
            "quota" => self.change("resourcequotas", "covetpy-quota", |quota| quota["spec"]["hard"]["requests.cpu"] = "8".into()),
            "set-image" => self.change_container(|app| app["image"] = "ghcr.io/yourorg/covetpy:v1.2.3".into()),
            "same-digest" => self.change_container(|app| app["image"] = "ghcr.io/yourorg/covetpy:v1.2.4".into()),
            "token" => self.change("secrets", "regcred", |secret| {
                // {"auths":{"ghcr.io":{"password":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}}}
                secret["data"][".dockerconfigjson"] = "eyJhdXRocyI6eyJnaGNyLmlvIjp7InBhc3N3b3JkIjoiZ2hwXzAxMjM0NTY3ODlhYmNkZWZnaGlqQUJDREVGR0hJSjAxMjM0NSJ9fX0=".into();
            }),
            "wait" => self.run(1000),
            "restart-kubelet" => {
                let node = self.lost_node();
                self.world.restart_kubelet(&node);
            }
            "evict-hog" => {
                let node = self.pressed_node();
                let pods = self.store.list("pods", Some(NAMESPACE)).0;
                let hog = pods.iter().find(|pod| pod.name.starts_with("covetpy-worker-") && pod.value()["spec"]["nodeName"] == node.as_str()).unwrap();
                let until = (self.now + SignedDuration::from_secs(30)).to_string();
                self.change("pods", &hog.name, |pod| {
                    pod["metadata"]["deletionTimestamp"] = until.into();
                    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
                });
            }
            "prune-images" => {
                let node = self.pressed_node();
                let line = ["sudo", "-n", "crictl", "rmi", "--prune"].map(str::to_owned);
                let ran = self.world.on_machine(&node, &line);
                assert!(ran.code == 0 && ran.out.contains("ci-builder"), "{ran:?}");
            }
            "replace-instance" => {
                let impaired = self.world.instances().find(|one| one.impaired.is_some()).unwrap().id.clone();
                assert!(self.world.terminate_instance(&impaired));
            }
            "drain" => {
                let lost = self.lost_node();
                self.store.update("nodes", "", &lost, self.now, |node| node["spec"]["unschedulable"] = true.into()).unwrap();
                self.delete_pods(|pod| pod["spec"]["nodeName"] == lost.as_str());
            }
            "delete-node" => {
                let node = self.lost_node();
                self.store.delete("nodes", "", &node).unwrap();
            }
            "drain-another" => {
                let lost = self.lost_node();
                let used: Vec<String> = self.pods().iter().filter(|pod| is_ready(pod)).map(|pod| text(&pod["spec"]["nodeName"])).collect();
                let other = used.into_iter().find(|node| *node != lost).unwrap();
                self.store.update("nodes", "", &other, self.now, |node| node["spec"]["unschedulable"] = true.into()).unwrap();
                self.delete_pods(|pod| pod["spec"]["nodeName"] == other.as_str());
            }
            other => panic!("no test knows the step {other}"),
        }
    }

    fn resources(&self, resource: &str, request: &str, limit: &str) {
        self.change_container(|app| {
            app["resources"]["requests"][resource] = request.into();
            app["resources"]["limits"][resource] = limit.into();
        });
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn conditions(object: &Value) -> &[Value] {
    object["status"]["conditions"].as_array().map_or(&[], Vec::as_slice)
}

fn is_ready(object: &Value) -> bool {
    conditions(object).iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn is_pressed(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array().map_or(&[][..], Vec::as_slice);
    conditions(node)
        .iter()
        .any(|condition| condition["type"] == "DiskPressure" && condition["status"] == "True")
        || taints.iter().any(|taint| taint["key"] == "node.kubernetes.io/disk-pressure")
}

/// How long a drill is left alone before a person acts.
fn patience(drill: &Drill) -> i64 {
    match drill.playbook.as_str() {
        "rollout-stuck" => 90,
        // 4 % of the disk a minute, from 84 % to the kubelet's 90 %, and two evictions.
        "disk-full" => 150,
        _ => 75,
    }
}

#[test]
fn a_healthy_world_is_quiet_for_half_an_hour() {
    for seed in SEEDS {
        let mut bench = Bench::new(None, seed);
        let count = |bench: &Bench| {
            bench
                .pods()
                .iter()
                .map(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap())
                .sum::<i64>()
        };
        let (before, generation) = (count(&bench), bench.app()["metadata"]["generation"].clone());
        let names =
            |bench: &Bench| bench.pods().iter().map(|pod| text(&pod["metadata"]["name"])).collect::<Vec<_>>();
        let pods = names(&bench);
        assert_eq!(pods.len(), 4, "seed {seed}");
        for minute in 0..30 {
            bench.run(60);
            assert!(bench.is_well(), "seed {seed}, minute {minute}: {}", bench.app()["status"]);
        }
        assert_eq!((count(&bench), names(&bench)), (before, pods), "seed {seed}");
        assert_eq!(bench.app()["metadata"]["generation"], generation, "nobody scaled, seed {seed}");
        let (used, usable) = bench.signals.read(|shown| {
            (shown.database.sessions.len(), shown.database.max_connections - shown.database.reserved)
        });
        assert!(used > 20 && used < usable as usize * 7 / 10, "{used} of {usable}, seed {seed}");
        let warnings: Vec<_> = bench
            .store
            .list("events", None)
            .0
            .iter()
            .map(|event| event.value())
            .filter(|event| event["type"] == "Warning")
            .collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn history_is_there_to_roll_back_to() {
    let bench = Bench::new(None, 3);
    let sets = bench.store.list("replicasets", Some(NAMESPACE)).0;
    let ours: Vec<Value> = sets
        .iter()
        .map(|set| set.value())
        .filter(|set| set["metadata"]["ownerReferences"][0]["name"] == APP)
        .collect();
    assert!(ours.len() >= 3, "{}", ours.len());
    let mut revisions: Vec<String> = ours
        .iter()
        .map(|set| text(&set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
        .collect();
    revisions.sort();
    assert_eq!(revisions, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(ours.iter().filter(|set| set["spec"]["replicas"] == 4).count(), 1);
    let workers = bench.store.list("pods", Some(NAMESPACE)).0;
    let restarted = workers
        .iter()
        .map(|pod| pod.value())
        .filter(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1)
        .count();
    assert_eq!(restarted, 1, "one container was restarted once, yesterday");
}

/// What a drill shows once it has struck.
fn shows(bench: &mut Bench, drill: &Drill, seed: u64) {
    let name = format!("{}, seed {seed}", drill.name);
    assert!(!bench.is_well(), "{name}");
    match drill.playbook.as_str() {
        "crash-loop" => shows_crash_loop(bench, &name),
        "rollout-stuck" => {
            let timed_out = ("False".into(), "ProgressDeadlineExceeded".into());
            assert_eq!(bench.condition("Progressing"), timed_out, "{name}");
            assert_eq!(bench.ready(), 3, "{name}");
            shows_why_it_is_stuck(bench, &name);
        }
        "image-pull" => shows_image_pull(bench, &name),
        "node-notready" => shows_lost_node(bench, &name),
        "disk-full" => shows_full_disk(bench, &name),
        other => panic!("{other}"),
    }
}

fn shows_crash_loop(bench: &Bench, name: &str) {
    assert!(
        bench.waiting().iter().any(|(reason, _)| reason == "CrashLoopBackOff"),
        "{name}: {:?}",
        bench.waiting()
    );
    assert_eq!(bench.ready(), 3, "{name}");
    let (reason, says) = match name.split([',', '.']).nth(1) {
        Some("oom") => ("OOMKilled", "loading catalogue"),
        Some("secret") => ("Error", "password authentication failed"),
        Some("config") => ("Error", "ValidationError"),
        Some("db-host") => ("Error", "refused"),
        other => panic!("{other:?}"),
    };
    let crashing = bench.pods().into_iter().find(|pod| !is_ready(pod)).unwrap();
    let status = &crashing["status"]["containerStatuses"][0];
    assert!(status["restartCount"].as_u64().unwrap() >= 2, "{name}: {status}");
    let ended = [&status["lastState"]["terminated"], &status["state"]["terminated"]];
    assert!(ended.iter().any(|ended| ended["reason"] == reason), "{name}: {status}");
    let pod = text(&crashing["metadata"]["name"]);
    let instance = bench.logs.newest(NAMESPACE, &pod, "covetpy").unwrap();
    let lines = bench.logs.read(NAMESPACE, &pod, "covetpy", instance - 1, 0).unwrap();
    assert!(lines.iter().any(|line| line.text.contains(says)), "{name}: {lines:?}");
}

fn shows_why_it_is_stuck(bench: &Bench, name: &str) {
    let (reason, says) = match name.split([',', '.']).nth(1) {
        Some("readiness") => ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
        Some("unschedulable") => ("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."),
        Some("quota") => (
            "FailedCreate",
            "is forbidden: exceeded quota: covetpy-quota, requested: requests.cpu=1200m, used:",
        ),
        other => panic!("{other:?}"),
    };
    let events = bench.store.list("events", Some(NAMESPACE)).0;
    let said = |event: &Value| event["reason"] == reason && text(&event["message"]).contains(says);
    assert!(events.iter().any(|event| said(&event.value())), "{name}: no {reason} event");
    if reason == "FailedCreate" {
        assert_eq!(bench.condition("ReplicaFailure"), ("True".into(), "FailedCreate".into()), "{name}");
    }
}

fn shows_image_pull(bench: &mut Bench, name: &str) {
    let says = match name.split([',', '.']).nth(1) {
        Some("tag") => "not found",
        Some("token") => "401 Unauthorized",
        Some("rate-limit") => "429 Too Many Requests",
        other => panic!("{other:?}"),
    };
    let shown = |bench: &Bench| {
        bench.waiting().iter().any(|(reason, message)| reason == "ImagePullBackOff" && message.contains(says))
    };
    assert!(bench.until(60, shown), "{name}: {:?}", bench.waiting());
    assert_eq!(bench.ready(), 3, "{name}: the old pods serve");
}

/// The disk, the condition, the events and the machine agree.
fn shows_full_disk(bench: &mut Bench, name: &str) {
    let node = bench.pressed_node();
    let events = bench.store.list("events", None).0;
    let of = |reason: &str| {
        events.iter().map(|event| event.value()).find(|event| event["reason"] == reason).unwrap_or_default()
    };
    assert_eq!(of("NodeHasDiskPressure")["type"], "Normal", "{name}");
    assert_eq!(of("EvictionThresholdMet")["type"], "Warning", "{name}");
    let evicted = bench.pods().into_iter().filter(|pod| pod["status"]["reason"] == "Evicted").count();
    assert_eq!(evicted > 0, of("Evicted")["type"] == "Warning", "{name}: {evicted} of ours");
    let summary = bench.world.disk_summary(&node).unwrap();
    let fs = &summary["node"]["fs"];
    let share = |free: &str, all: &str| fs[free].as_f64().unwrap() / fs[all].as_f64().unwrap();
    let (bytes, inodes) = (share("availableBytes", "capacityBytes"), share("inodesFree", "inodes"));
    let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let df = bench.world.on_machine(&node, &line(&["df", "-hPT"])).out;
    let root = df.lines().last().unwrap();
    let percent: f64 = root.split_whitespace().nth(5).unwrap().trim_end_matches('%').parse().unwrap();
    assert!((percent - (1.0 - bytes) * 100.0).abs() <= 1.0, "{name}: {root} {bytes}");
    match name.split([',', '.']).nth(1) {
        Some("logs") => {
            assert!(bytes < 0.10 && inodes > 0.5, "{name}: {bytes} {inodes}");
            let pods = summary["pods"].as_array().unwrap();
            let most = pods.iter().max_by_key(|pod| pod["ephemeral-storage"]["usedBytes"].as_u64()).unwrap();
            assert!(text(&most["podRef"]["name"]).starts_with("covetpy-worker-"), "{name}");
        }
        Some("images") => {
            assert!(bytes < 0.10, "{name}: {bytes}");
            let images = summary["node"]["runtime"]["imageFs"]["usedBytes"].as_f64().unwrap();
            assert!(images > 0.6 * fs["capacityBytes"].as_f64().unwrap(), "{name}");
        }
        Some("inodes") => assert!(bytes > 0.5 && inodes < 0.05, "{name}: {bytes} {inodes}"),
        other => panic!("{other:?}"),
    }
}

fn shows_lost_node(bench: &Bench, name: &str) {
    let lost = bench.lost_node();
    let node = bench.store.get("nodes", "", &lost).unwrap().value();
    let ready = conditions(&node).iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!(
        (ready["status"].as_str(), ready["reason"].as_str()),
        (Some("Unknown"), Some("NodeStatusUnknown")),
        "{name}"
    );
    assert_eq!(node["spec"]["taints"].as_array().unwrap().len(), 2, "{name}");
    assert!(bench.ready() < 4, "{name}");
}

#[test]
fn a_lost_node_loses_its_pods_after_five_minutes() {
    for seed in SEEDS {
        let mut bench = Bench::new(drill("node-notready.kubelet"), seed);
        bench.strike(330);
        assert!(bench.until(90, |bench| bench.ready() == 4), "seed {seed}: replaced elsewhere");
        bench.run(120);
        let leaving = |pod: &&Value| !pod["metadata"]["deletionTimestamp"].is_null();
        assert!(bench.pods().iter().any(|pod| leaving(&pod)), "seed {seed}: Terminating for ever");
    }
}

#[test]
fn an_impaired_instance_is_replaced_by_its_group_where_nobody_suspended_that() {
    let suspended = drill("node-notready.impaired").unwrap();
    let mut free = suspended.clone();
    free.world.suspended_processes.clear();
    for (drill, heals) in [(suspended, false), (&*Box::leak(Box::new(free)), true)] {
        let mut bench = Bench::new(Some(drill), 7);
        bench.strike(patience(drill));
        assert_eq!(bench.until(900, Bench::is_well), heals);
    }
}

#[test]
fn every_fix_heals() {
    for (drill, step, seed) in steps(|drill| &drill.fixes) {
        let mut bench =
            Bench::with(Options { drill: Some(drill), seed, back_fill_minutes: 0, ..Options::default() });
        bench.strike(patience(drill));
        shows(&mut bench, drill, seed);
        bench.take(step);
        // a crashing container may have to wait for its back-off once more
        assert!(
            bench.until(400, Bench::is_well),
            "{}: {step}, seed {seed}: {}\n{:?}",
            drill.name,
            bench.app()["status"],
            bench.waiting()
        );
        bench.run(120);
        assert!(bench.is_well(), "{}: {step}, seed {seed} stays well", drill.name);
    }
}

#[test]
fn every_wrong_step_harms() {
    for (drill, step, seed) in steps(|drill| &drill.worse) {
        let name = format!("{}: {step}, seed {seed}", drill.name);
        let mut bench = Bench::new(Some(drill), seed);
        bench.strike(patience(drill));
        shows(&mut bench, drill, seed);
        let (ready, errors) = (bench.ready(), bench.errors());
        bench.take(step);
        match step {
            "scale-zero" => {
                bench.run(60);
                assert_eq!(bench.ready(), 0, "{name}");
                let hpa = bench.get("horizontalpodautoscalers", APP);
                assert!(
                    conditions(&hpa).iter().any(|condition| condition["reason"] == "ScalingDisabled"),
                    "{name}: {hpa}"
                );
                assert!(bench.errors() > errors + 1000.0, "{name}");
            }
            "memory-too-much" => {
                bench.run(90);
                let refused = |pod: &Value| {
                    conditions(pod).iter().any(|c| {
                        c["reason"] == "Unschedulable" && text(&c["message"]).contains("Insufficient memory")
                    })
                };
                assert!(bench.pods().iter().any(refused), "{name}");
                assert!(!bench.is_well(), "{name}");
            }
            "delete-healthy" | "drain-another" => {
                bench.run(5);
                assert!(bench.ready() < ready, "{name}: {} of {ready}", bench.ready());
                bench.run(25);
                assert!(bench.errors() > errors + 300.0, "{name}: {} errors", bench.errors() - errors);
            }
            "drain" => {
                bench.run(120);
                let hangs = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
                assert!(bench.pods().iter().any(hangs), "{name}: no kubelet ends them");
                assert!(!bench.is_well(), "{name}");
            }
            "strategy" => {
                bench.run(5);
                assert_eq!(
                    bench.condition("Progressing").1,
                    "ReplicaSetUpdated",
                    "{name}: the signal is hidden"
                );
                bench.run(90);
                assert_eq!(
                    bench.condition("Progressing").1,
                    "ProgressDeadlineExceeded",
                    "{name}: and comes back"
                );
            }
            "undo-twice" => {
                bench.run(90);
                assert!(!bench.is_well(), "{name}");
            }
            other => panic!("{other}"),
        }
    }
}

/// Every step of every drill, with the seeds dealt out in turn.
fn steps(of: fn(&Drill) -> &Vec<Step>) -> Vec<(&'static Drill, &'static str, u64)> {
    // What happens beside the pods and nodes is played over the wire, with the probes that have to see it.
    let here = ["crash-loop", "rollout-stuck", "image-pull", "node-notready", "disk-full"];
    // A disk that is yet to be full hurts nobody here.
    let hurts = |drill: &&Drill| drill.world.worker_log_per_hour.is_none();
    let of_pods = drills().iter().filter(|drill| here.contains(&drill.playbook.as_str())).filter(hurts);
    let all = of_pods.flat_map(|drill| of(drill).iter().map(move |step| (drill, step)));
    // Nor is what is asked of AWS.
    let here = |step: &Step| step.does.as_ref().is_none_or(|does| does["action"] != "aws");
    let all = all.filter(|(_, step)| here(step)).map(|(drill, step)| (drill, step.id.as_str()));
    all.zip(SEEDS.into_iter().cycle()).map(|((drill, step), seed)| (drill, step, seed)).collect()
}

#[test]
fn a_crowd_is_quiet_until_somebody_touches_it() {
    let scale = Some(Scale { pods: 400, nodes: 20, churn_per_second: 50.0 });
    let mut bench = Bench::with(Options { scale, back_fill_minutes: 1, ..Options::default() });
    let crowd = |bench: &Bench| {
        let all = bench.store.list("pods", None).0;
        all.into_iter().filter(|pod| pod.namespace.starts_with("team-")).collect::<Vec<_>>()
    };
    let pods = crowd(&bench);
    assert_eq!((pods.len(), bench.store.list("nodes", None).0.len()), (400, 20));
    let size = pods.iter().map(|pod| pod.json().len()).sum::<usize>() / pods.len();
    assert!((6_000..9_500).contains(&size), "{size} bytes a pod");
    assert!(pods.iter().all(|pod| is_ready(&pod.value())));
    let before = bench.store.revision();
    bench.run(10);
    let changes = bench.store.revision() - before;
    assert!((480..800).contains(&changes), "{changes} changes in 10 s");
    assert_eq!(crowd(&bench).len(), 400);
    // a deleted one is replaced, by a pod that becomes ready
    let victim = &pods[17];
    let until = (bench.now + SignedDuration::from_secs(30)).to_string();
    let gone = |pod: &mut Value| {
        pod["metadata"]["deletionTimestamp"] = until.into();
        pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    };
    bench.store.update("pods", &victim.namespace, &victim.name, bench.now, gone).unwrap();
    let well = |bench: &Bench| {
        let now = crowd(bench);
        now.len() == 400 && now.iter().all(|pod| pod.uid != victim.uid && is_ready(&pod.value()))
    };
    assert!(bench.until(60, well));
}

#[test]
fn speed_makes_processes_faster() {
    let mut bench = Bench::with(Options {
        drill: drill("node-notready"),
        speed: 10.0,
        back_fill_minutes: 1,
        ..Options::default()
    });
    assert!(bench.until(60, |bench| bench.world.has_struck()));
    bench.run(8);
    assert_eq!(bench.store.list("nodes", None).0.iter().filter(|node| !is_ready(&node.value())).count(), 1);
    bench.run(40);
    assert_eq!(bench.ready(), 4, "evicted and replaced within a tenth of the time");
}

#[test]
fn samples_agree_with_the_world() {
    let mut bench = Bench::with(Options { back_fill_minutes: 10, ..Options::default() });
    bench.run(30);
    let from = (bench.now - SignedDuration::from_mins(10)).as_millisecond();
    let select = |name: &str| bench.tsdb.select(Some(name), |_| true, from, i64::MAX);
    let requests = select("http_requests_total");
    assert!(
        requests.iter().all(|series| series.samples.windows(2).all(|pair| pair[0].value <= pair[1].value))
    );
    let increase: f64 =
        requests.iter().map(|series| series.samples.last().unwrap().value - series.samples[0].value).sum();
    let seconds = (requests[0].samples.last().unwrap().at - requests[0].samples[0].at) as f64 / 1000.0;
    assert!((85.0..115.0).contains(&(increase / seconds)), "{} requests per second", increase / seconds);
    assert!(requests[0].samples.len() >= 38, "{}", requests[0].samples.len());
    let replicas = select("kube_deployment_status_replicas_available");
    let app = replicas.iter().find(|series| series.labels.get("deployment") == APP).unwrap();
    assert!(app.samples.iter().all(|sample| sample.value == 4.0));
    let sessions: f64 =
        select("pg_stat_activity_count").iter().map(|series| series.samples.last().unwrap().value).sum();
    let now = bench.signals.read(|shown| shown.database.sessions.len()) as f64;
    assert!((sessions - now).abs() <= 6.0, "{sessions} sampled, {now} now");
}
