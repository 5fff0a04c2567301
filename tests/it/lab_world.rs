//! The lab's world, driven by a fake clock: it is quiet when healthy, each drill shows its signals, each fix
//! heals and each wrong step harms, whatever the seed.

use covet_tui::lab::logs::Logs;
use covet_tui::lab::signals::Signals;
use covet_tui::lab::store::Store;
use covet_tui::lab::tsdb::Tsdb;
use covet_tui::lab::world::{APP, Drill, NAMESPACE, Options, Scale, World, drill, drills};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [1, 7, 42];

struct Bench {
    world: World,
    store: Store,
    logs: Logs,
    signals: Signals,
    tsdb: Tsdb,
    now: Timestamp,
}

impl Bench {
    fn new(drill: Option<&'static Drill>, seed: u64) -> Self {
        Self::with(Options { drill, seed, ..Options::default() })
    }

    fn with(options: Options) -> Self {
        let now: Timestamp = "2026-03-04T03:12:00Z".parse().unwrap();
        let (store, logs) = (Store::new(options.seed), Logs::default());
        let (signals, tsdb) = (Signals::default(), Tsdb::default());
        let world = World::new(store.clone(), logs.clone(), signals.clone(), tsdb.clone(), options, now);
        Self { world, store, logs, signals, tsdb, now }
    }

    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.world.tick(self.now);
        }
    }

    /// Runs until `holds`, at most `seconds`; says whether it came to that.
    fn until(&mut self, seconds: i64, holds: impl Fn(&Self) -> bool) -> bool {
        (0..seconds).any(|_| {
            self.run(1);
            holds(self)
        })
    }

    fn get(&self, resource: &str, name: &str) -> Value {
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
}

#[test]
fn look() {
    let mut bench = Bench::new(drill("crash-loop.oom"), 1);
    println!("struck {}", bench.world.has_struck());
    for step in 0..12 {
        println!("--- {}", step * 15);
        for pod in bench.store.list("pods", None).0 {
            let v = pod.value();
            println!(
                "{} {} {} {} restarts {} {}",
                pod.namespace,
                pod.name,
                v["spec"]["nodeName"],
                v["status"]["phase"],
                v["status"]["containerStatuses"][0]["restartCount"],
                v["status"]["containerStatuses"][0]["state"]
            );
        }
        println!("{}", bench.app()["status"]);
        println!("{}", bench.get("horizontalpodautoscalers", APP)["status"]);
        bench.run(15);
    }
    for e in bench.store.list("events", None).0 {
        let v = e.value();
        println!(
            "{} {} {} x{} {} {}",
            v["lastTimestamp"], v["type"], v["reason"], v["count"], v["involvedObject"]["name"], v["message"]
        );
    }
    for p in bench.store.list("pods", Some(NAMESPACE)).0 {
        if !p.name.starts_with("covetpy-app") {
            println!("{} {:?}", p.name, bench.logs.read(NAMESPACE, &p.name, "job", 0, 0));
        }
    }
    println!("series {}", bench.tsdb.series_count());
    println!("sessions {}", bench.signals.read(|s| s.database.sessions.len()));
}
