//! The four drills about the database: each is recognised by its root, and healed by the hands.

use std::collections::BTreeMap;
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside};
use covet_tui::domain::{
    Action, Anomaly, Key, Kind, ObjectRef, Observation, Pick, Snapshot, Sql, System, Which, cause,
};
use covet_tui::eyes::Eyes;
use covet_tui::guard::Confirmation;
use covet_tui::journal::Ending;
use covet_tui::lab::{Lab, Options, start};
use covet_tui::playbooks::{Facts, Library, Plan, Progress, StepState, plan};
use covet_tui::rules::{Thresholds, judge};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::server::{Bench, now};

struct Drill {
    lab: Lab,
    bench: Bench,
    snapshot: Snapshot,
    heard: mpsc::Receiver<Observation>,
    _eyes: Eyes,
}

impl Drill {
    /// A lab where processes are this many times faster than life, and the product on it.
    async fn begin(name: &str) -> Drill {
        let lab =
            start(Options { drill: Some(name.into()), speed: 20.0, ..Options::default() }).await.unwrap();
        let env = lab.env();
        let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let settings = config::load(&Flags::default(), &find, None).unwrap();
        let client = config::client(&settings).await.unwrap();
        let (out, heard) = mpsc::channel(1_024);
        let eyes = Eyes::open(&settings, &[], now, out).await;
        let bench = Bench::new(Outside::of(&settings), client);
        // As the cockpit does: a session that is open before the slots are gone.
        bench.read(Sql::DatabaseCapacity).await;
        Drill { lab, bench, snapshot: Snapshot::default(), heard, _eyes: eyes }
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        while !wanted(&self.snapshot) {
            match tokio::time::timeout_at(deadline, self.heard.recv()).await {
                Ok(Some(observation)) => self.snapshot.fold(observation),
                _ => panic!(
                    "not within two minutes: {what}; {:?} {:?}",
                    self.snapshot.capacity, self.snapshot.activity
                ),
            }
        }
    }

    fn anomaly(&self, rule: &str) -> Option<Anomaly> {
        anomaly(&self.snapshot, rule)
    }

    /// What the playbook advises, with the reads that are named done before.
    async fn advice(&self, anomaly: &Anomaly, reads: &[&str]) -> Plan {
        let library = Library::built_in();
        let playbook = library.get(&anomaly.rule).unwrap();
        let mut progress = Progress::default();
        let settings = BTreeMap::new();
        let systems = [System::Kubernetes, System::Postgres, System::Network].into();
        for id in reads {
            let facts = Facts {
                anomaly,
                fires: true,
                snapshot: &self.snapshot,
                progress: &progress,
                settings: &settings,
                systems: &systems,
                read_only: false,
                denied: &std::collections::BTreeSet::new(),
                now: now(),
            };
            let step = plan(playbook, &facts).steps.into_iter().find(|step| step.id == *id).unwrap();
            let action = step.action.unwrap_or_else(|| panic!("{id}: {:?}", step.state));
            let reading = self.bench.probes.read(&action, now()).await;
            println!("{id}: {} {:?}", reading.summary, reading.found);
            let done = covet_tui::playbooks::Done {
                at: now(),
                ok: reading.ok,
                says: reading.summary.clone(),
                found: covet_tui::playbooks::find(
                    playbook.steps.iter().find(|step| step.id == *id).unwrap(),
                    &reading,
                ),
                bindings: reading.bindings.clone(),
                grounds: None,
                change: None,
                undone: false,
                covers: Default::default(),
            };
            progress.steps.insert((*id).to_owned(), done);
        }
        let facts = Facts {
            anomaly,
            fires: true,
            snapshot: &self.snapshot,
            progress: &progress,
            settings: &settings,
            systems: &systems,
            read_only: false,
            denied: &std::collections::BTreeSet::new(),
            now: now(),
        };
        plan(playbook, &facts)
    }

    async fn act(&mut self, action: Action) -> Ending {
        let preview = self.bench.hands.preview(&self.bench.armed, action, now()).await.unwrap();
        println!("{} {:?} {:?}", preview.title, preview.targets, preview.hazards);
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let warrant = self.bench.armed.confirm(preview, &typed, crate::acting::who(), now()).unwrap();
        let entry = self.bench.journal.enter(warrant).unwrap();
        self.bench.perform(entry, CancellationToken::new()).await.result
    }
}

fn anomaly(snapshot: &Snapshot, rule: &str) -> Option<Anomaly> {
    let judgement = judge(snapshot, &Thresholds::default(), now());
    judgement.anomalies().into_iter().find(|anomaly| &*anomaly.rule == rule)
}

fn has(anomaly: Option<&Anomaly>, cause: &str) -> bool {
    anomaly.is_some_and(|anomaly| anomaly.causes.iter().any(|known| known.name == cause))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_root_is_named_and_ended() {
    let mut drill = Drill::begin("db-cpu.lock").await;
    drill.until("waiters", |snapshot| has(anomaly(snapshot, "db-cpu").as_ref(), cause::LOCK_CHAIN)).await;
    drill
        .until("the root", |snapshot| {
            anomaly(snapshot, "db-cpu").is_some_and(|found| found.bindings.contains_key("lock_root"))
        })
        .await;
    let found = drill.anomaly("db-cpu").unwrap();
    assert!(found.title.contains("monthly-report, idle in transaction"), "{}", found.title);
    let plan = drill.advice(&found, &["locks"]).await;
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "terminate-blocker", "{}", plan.why);
    let ended = drill.act(step.action.clone().unwrap()).await;
    assert!(
        matches!(&ended, Ending::Performed(says) if says.starts_with("1 session terminated")),
        "{ended:?}"
    );
    drill.until("nobody waits", |snapshot| snapshot.capacity.is_some_and(|now| now.lock_waiters == 0)).await;
    assert!(drill.lab.drill().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_fills_the_slots_and_is_ended_and_undone() {
    let mut drill = Drill::begin("db-pool.leak").await;
    drill.until("a full server", |snapshot| snapshot.capacity.is_some_and(|now| now.fill() > 0.95)).await;
    let found = drill.anomaly("db-pool").unwrap();
    assert!(has(Some(&found), cause::IDLE_IN_TRANSACTION), "{:?}", found.causes);
    let plan = drill.advice(&found, &[]).await;
    assert_eq!(plan.suggestion().unwrap().id, "terminate-idle", "{}", plan.why);
    // Nobody gets in any more, but the session that was open looks and acts.
    let pick = Pick { which: Which::IdleInTransaction, older: Duration::from_secs(1), role: None };
    let ended = drill.act(Action::Postgres(Sql::TerminateSessions { pick, sessions: Vec::new() })).await;
    assert!(matches!(ended, Ending::Performed(_)), "{ended:?}");
    let deployment = Key::new("covetpy-production", "covetpy-app");
    let found = Anomaly { touches: vec![ObjectRef::new(Kind::Deployment, deployment.clone())], ..found };
    assert!(has(Some(&found), cause::BAD_REVISION), "{:?}", found.causes);
    let to = found.bindings["good_revision"].parse().unwrap();
    let undone = drill
        .act(Action::RolloutUndo { object: ObjectRef::new(Kind::Deployment, deployment), to_revision: to })
        .await;
    assert!(matches!(undone, Ending::Performed(_)), "{undone:?}");
    drill
        .until("it stays so", |snapshot| {
            snapshot.capacity.is_some_and(|now| now.fill() < 0.7 && now.idle_in_transaction == 0)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_is_found_and_built() {
    let mut drill = Drill::begin("db-cpu.index").await;
    drill
        .until("a hot statement", |snapshot| has(anomaly(snapshot, "db-cpu").as_ref(), cause::HOT_QUERY))
        .await;
    let found = drill.anomaly("db-cpu").unwrap();
    assert!(found.bindings.contains_key("top_query"), "{:?}", found.bindings);
    let plan = drill.advice(&found, &["locks", "expensive", "transactions", "indexes", "scans"]).await;
    assert_eq!(plan.suggestion().unwrap().id, "plan", "{}", plan.why);
    let plan =
        drill.advice(&found, &["locks", "expensive", "transactions", "indexes", "scans", "plan"]).await;
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "add-index", "{}", plan.why);
    let built = drill.act(step.action.clone().unwrap()).await;
    assert_eq!(built, Ending::Performed("index users_email_idx is built and valid".into()));
    drill
        .until("idle CPUs", |snapshot| {
            snapshot.on_cpu.mean_over(Duration::from_secs(20)).last().is_some_and(|(_, load)| load < 2.8)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_do_not_fit_are_counted_and_shrunk() {
    let mut drill = Drill::begin("db-pool.scale").await;
    drill.until("a full server", |snapshot| snapshot.capacity.is_some_and(|now| now.fill() > 0.95)).await;
    drill
        .until("the scaling is known", |snapshot| {
            has(anomaly(snapshot, "db-pool").as_ref(), cause::POOL_BUDGET)
        })
        .await;
    let found = drill.anomaly("db-pool").unwrap();
    let plan = drill.advice(&found, &["budget"]).await;
    // Five replicas would fit. That the load asks for more speaks against it until nobody is let in.
    let fewer = plan.step("fewer-clients").unwrap();
    assert!(matches!(fewer.action, Some(Action::AutoscalerBounds { max: 5, .. })), "{:?}", fewer.action);
    let is_kept = matches!(&fewer.state, StepState::NotAdvised { why } if why.contains("the load asks for"));
    let asks_for_more = drill.snapshot.autoscalers.iter().any(|scaler| scaler.desired > 5);
    let kept = asks_for_more && drill.snapshot.exhausted.is_none();
    let first = if kept { "smaller-pools" } else { "fewer-clients" };
    assert_eq!(plan.suggestion().unwrap().id, first, "{} {:?}", plan.why, found.causes);
    assert_eq!(is_kept, kept, "{:?}", fewer.state);
    let smaller = plan.step("smaller-pools").unwrap().action.clone().unwrap();
    let Action::SetConfig { data, .. } = &smaller else { panic!("{smaller:?}") };
    assert!(
        data.iter().any(|(key, value)| key == "DB_POOL_SIZE" && value.as_deref() == Some("4")),
        "{data:?}"
    );
    drill.act(smaller).await;
    let restart = Action::RolloutRestart {
        object: ObjectRef::new(Kind::Deployment, Key::new("covetpy-production", "covetpy-app")),
    };
    let restarted = drill.act(restart).await;
    assert!(matches!(restarted, Ending::Performed(_)), "{restarted:?}");
    drill.until("it fits", |snapshot| snapshot.capacity.is_some_and(|now| now.fill() < 0.7)).await;
}
