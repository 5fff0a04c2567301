//! Redis: asked and changed on a real server, and the lab's cache by redis-cli and the same hands.

use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, RedisCommand, Timestamp};
use covet_tui::guard::{Actor, Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::Hands;
use covet_tui::journal::{Ending, Journal, Outcome};
use covet_tui::probes::Probes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::eyes::real::redis as start;

fn now() -> Timestamp {
    Timestamp::now()
}

struct Bench {
    probes: Probes,
    hands: Hands,
    armed: Armed,
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn on(url: &str) -> Self {
        // No cluster is asked for any of this.
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(nowhere).unwrap();
        let outside = Outside { redis_url: Some(url.to_owned()), ..Outside::default() };
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        Self {
            probes: Probes::new(client.clone(), now, outside.clone()),
            hands: Hands::new(client, now, outside),
            armed: Armed::arm(),
            journal,
            _folder: folder,
        }
    }

    async fn preview(&self, bytes: u64) -> Result<Preview, Refusal> {
        let action = Action::Redis(RedisCommand::SetCacheMemory { bytes, from: None });
        self.hands.preview(&self.armed, action, now()).await
    }

    async fn perform(&mut self, preview: Preview) -> Outcome {
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let warrant = self.armed.confirm(preview, &typed, Actor::default(), now()).unwrap();
        let entry = self.journal.enter(warrant).unwrap();
        let (progress, _lines) = mpsc::channel(100);
        self.hands.perform(entry, progress, CancellationToken::new()).await
    }

    async fn read(&self, command: RedisCommand) -> covet_tui::domain::Reading {
        self.probes.read(&Action::Redis(command), now()).await
    }
}

async fn ask(connection: &mut ::redis::aio::MultiplexedConnection, words: &[&str]) -> ::redis::Value {
    let mut command = ::redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(connection).await.unwrap()
}

async fn limit(connection: &mut ::redis::aio::MultiplexedConnection) -> u64 {
    let pair: Vec<String> =
        ::redis::cmd("CONFIG").arg("GET").arg("maxmemory").query_async(connection).await.unwrap();
    pair[1].parse().unwrap()
}

async fn user(url: &str) -> ::redis::aio::MultiplexedConnection {
    ::redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_raised_as_previewed_and_put_back_unless_somebody_moved_it() {
    let (port, _server) = start(&["--requirepass", "hunter22", "--maxmemory", "64mb"]).await;
    let url = format!("redis://:hunter22@127.0.0.1:{port}");
    let (mut bench, mut redis) = (Bench::on(&url), user(&url).await);

    let preview = bench.preview(128 << 20).await.unwrap();
    assert_eq!(limit(&mut redis).await, 64 << 20, "a preview changes nothing");
    assert_eq!(preview.title, "set the cache's maxmemory from 64Mi to 128Mi");
    assert!(preview.command.contains("CONFIG SET maxmemory 134217728"), "{}", preview.command);
    let done = bench.perform(preview).await;
    assert!(matches!(done.result, Ending::Performed(_)), "{:?}", done.result);
    assert_eq!(limit(&mut redis).await, 128 << 20);

    // Somebody moves it: the way back is refused, and so is what was previewed before.
    let stale = bench.preview(256 << 20).await.unwrap();
    ask(&mut redis, &["CONFIG", "SET", "maxmemory", "99mb"]).await;
    let undo = done.undo.clone().unwrap();
    let refused = bench.hands.preview_undo(&bench.armed, &undo, now()).await.unwrap_err();
    assert!(refused.says.contains("somebody changed it"), "{refused:?}");
    let refused = bench.perform(stale).await;
    assert!(matches!(refused.result, Ending::Refused(..)), "{:?}", refused.result);
    assert_eq!(limit(&mut redis).await, 99 << 20);

    ask(&mut redis, &["CONFIG", "SET", "maxmemory", "128mb"]).await;
    let back = bench.hands.preview_undo(&bench.armed, &undo, now()).await.unwrap();
    let back = bench.perform(back).await;
    assert!(matches!(back.result, Ending::Performed(_)), "{:?}", back.result);
    assert_eq!(limit(&mut redis).await, 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_is_in_use_and_more_than_the_machine_has_are_warned_of() {
    let (port, _server) = start(&["--maxmemory", "0"]).await;
    let bench = Bench::on(&format!("redis://127.0.0.1:{port}"));
    let little = bench.preview(100_000).await.unwrap();
    let warns = |preview: &Preview, of: &str| preview.hazards.iter().any(|hazard| hazard.says.contains(of));
    assert!(warns(&little, "refuses every write at once"), "{:?}", little.hazards);
    let mut redis = user(&format!("redis://127.0.0.1:{port}")).await;
    ask(&mut redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let evicting = bench.preview(100_000).await.unwrap();
    assert!(warns(&evicting, "evicts down"), "{:?}", evicting.hazards);
    assert!(matches!(little.confirmation, Confirmation::Type(_)));
    let huge = bench.preview(1 << 50).await.unwrap();
    assert!(huge.hazards.iter().any(|hazard| hazard.says.contains("the machine has")), "{:?}", huge.hazards);
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_and_misses_are_measured_while_they_happen_and_the_slow_log_shows_no_data() {
    let (port, _server) =
        start(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru", "--slowlog-log-slower-than", "0"])
            .await;
    let url = format!("redis://127.0.0.1:{port}");
    let bench = Bench::on(&url);
    let mut redis = user(&url).await;
    let load = tokio::spawn(async move {
        let value = "x".repeat(2_000);
        for round in 0_u32.. {
            let key = format!("k{}", round.wrapping_mul(2_654_435_761) % 20_000);
            let hit: Option<String> = ::redis::cmd("GET").arg(&key).query_async(&mut redis).await.unwrap();
            if hit.is_none() {
                ::redis::cmd("SET").arg(&key).arg(&value).query_async::<()>(&mut redis).await.unwrap();
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reading = bench.read(RedisCommand::CacheStats).await;
    load.abort();
    assert!(reading.ok, "{reading:?}");
    assert!(reading.found.iter().any(|found| found.cause == "cache-evicting"), "{reading:?}");
    assert_eq!(reading.bindings["cache_memory_suggestion"], "6Mi");

    let mut redis = user(&url).await;
    ask(&mut redis, &["SET", "who\u{1b}[31m", "secret-of-a-user"]).await;
    let slow = bench.read(RedisCommand::CacheSlowLog { count: 50 }).await;
    assert!(slow.ok && !slow.lines.is_empty(), "{slow:?}");
    let shown: String = slow.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert!(!shown.contains("secret-of-a-user") && !shown.contains('\u{1b}'), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_repair_and_nothing_is_changed() {
    let (port, _server) = start(&["--requirepass", "hunter22"]).await;
    let bench = Bench::on(&format!("redis://127.0.0.1:{port}"));
    let reading = bench.read(RedisCommand::CacheStats).await;
    assert!(!reading.ok && reading.summary.contains("NOAUTH"), "{reading:?}");
    let refused = bench.preview(1 << 30).await.unwrap_err();
    assert!(refused.says.contains("NOAUTH") && refused.repair.is_some(), "{refused:?}");

    // A user who may look but not touch.
    let mut boss = user(&format!("redis://:hunter22@127.0.0.1:{port}")).await;
    ask(&mut boss, &["ACL", "SETUSER", "looker", "on", ">hunter23", "+ping", "+info", "+select"]).await;
    let mut bench = Bench::on(&format!("redis://looker:hunter23@127.0.0.1:{port}"));
    let preview = bench.preview(1 << 30).await.unwrap();
    let refused = bench.perform(preview).await;
    assert!(refused.result.says().contains("NOPERM"), "{:?}", refused.result);
    assert_eq!(limit(&mut boss).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_labs_cache_takes_the_same_setting() {
    let lab = covet_tui::lab::start(covet_tui::lab::Options::default()).await.unwrap();
    let url = lab.env().into_iter().find(|(name, _)| *name == "REDIS_URL").unwrap().1;
    let (mut bench, mut redis) = (Bench::on(&url), user(&url).await);
    let before = limit(&mut redis).await;
    let preview = bench.preview(before * 2).await.unwrap();
    let done = bench.perform(preview).await;
    assert!(matches!(done.result, Ending::Performed(_)), "{:?}", done.result);
    assert_eq!(limit(&mut redis).await, before * 2);
    lab.stop().await;
}
