//! Reads on demand against the lab: each answers its question, harmlessly, and writes nothing.

use std::time::Duration;

use covet_tui::domain::{Action, Kind, NetworkProbe, Reading, ResourceChange, Sql};
use covet_tui::guard::Guard;
use covet_tui::probes::LogLine;
use covet_tui::probes::object::{name, restarts, string};
use futures::StreamExt;

use super::bench::{APP, Bench, SPACE, key, now, object};

fn all(reading: &Reading) -> String {
    let lines: Vec<_> = reading.lines.iter().map(|(_, line)| line.as_str()).collect();
    format!("{}\n{}", reading.summary, lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_answers_and_none_of_them_writes() {
    let bench = Bench::new(None).await;
    bench.settled().await;
    let usage = Action::PodUsage { namespace: SPACE.into(), pods: Vec::new() };
    let measured = || async { bench.probes.read(&usage, now()).await.summary.contains('%') };
    bench.until("usage is measured", measured).await;
    bench.wire.forget();
    let pods = bench.pods().await;
    let pod = key(name(&pods[0]));
    let node: covet_tui::domain::Name = string(&pods[0], "/spec/nodeName").into();
    let reads = [
        (
            Action::ListPods {
                namespace: SPACE.into(),
                selector: Some("app=covetpy".into()),
                node: None,
                waiting: Vec::new(),
            },
            "all well",
        ),
        (Action::ListNodes, "ready"),
        (Action::ListReplicaSets { deployment: key(APP) }, "newest is"),
        (Action::ListEvents { about: object(Kind::Deployment, APP) }, ""),
        (Action::Describe { object: object(Kind::Deployment, APP) }, "covetpy-app"),
        (Action::Describe { object: object(Kind::Node, &node) }, "node/"),
        (
            Action::Logs { pods: vec![pod.clone()], container: None, previous: false, tail: 20, since: None },
            "line",
        ),
        (Action::PodUsage { namespace: SPACE.into(), pods: Vec::new() }, "memory"),
        (Action::NodeUsage, "memory"),
        (Action::NodeAllocation { node: None }, "largest free room"),
        (Action::NodeAllocation { node: Some(node.clone()) }, "largest free room"),
        (Action::CheckConfigMaps { object: object(Kind::Deployment, APP) }, "all 1 ConfigMap"),
        (Action::CheckSecrets { object: object(Kind::Deployment, APP) }, "all 1 Secret"),
        (Action::ListExternalSecrets { namespace: SPACE.into() }, "in sync"),
        (Action::CompareRevisions { object: object(Kind::Deployment, APP) }, "healthy"),
        (Action::CompareRevisions { object: object(Kind::StatefulSet, "redis") }, "revision 1 is healthy"),
        (
            Action::RolloutStatus { object: object(Kind::Deployment, APP), timeout: Duration::from_secs(5) },
            "rolled out",
        ),
        (Action::CheckPullSecrets { pod: pod.clone() }, "credentials"),
        (Action::Postgres(Sql::PingDatabase), "the database answers"),
        (Action::NodeLease { node }, "last reported"),
    ];
    for (action, words) in reads {
        let reading = bench.probes.read(&action, now()).await;
        println!("{action:?}\n  {}\n", all(&reading).replace('\n', "\n  "));
        assert!(reading.ok, "{action:?}: {}", reading.summary);
        assert!(reading.summary.contains(words), "{action:?}: {}", reading.summary);
        let text = format!("{reading:?}");
        assert!(!text.contains("Vq7-lab-3fTz9xMw") && !text.contains("ghp_"), "a secret in {action:?}");
    }
    assert!(bench.wire.writes().is_empty(), "{:?}", bench.wire.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_described_logged_and_explained() {
    let bench = Bench::new(Some("crash-loop.oom")).await;
    let crashed =
        || async { bench.pods().await.iter().find(|pod| restarts(pod) > 0).map(|pod| key(name(pod))) };
    bench.until("a pod crashed", || async { crashed().await.is_some() }).await;
    let pod = crashed().await.unwrap();
    let logs = |previous| Action::Logs {
        pods: vec![pod.clone()],
        container: None,
        previous,
        tail: 200,
        since: None,
    };
    let before = bench.probes.read(&logs(true), now()).await;
    assert!(before.ok && all(&before).contains("loading catalogue"), "{}", all(&before));
    let described =
        bench.probes.read(&Action::Describe { object: object(Kind::Pod, &pod.name) }, now()).await;
    assert!(all(&described).contains("OOMKilled (exit code 137)"), "{}", all(&described));
    assert!(described.found.iter().any(|found| found.cause == "oom-killed"), "{:?}", described.found);
    // Watching its rollout ends with the next crash, not with its patience.
    let watched =
        Action::RolloutStatus { object: object(Kind::Deployment, APP), timeout: Duration::from_mins(5) };
    let watched =
        tokio::time::timeout(Duration::from_mins(1), bench.probes.read(&watched, now())).await.unwrap();
    assert!(!watched.ok && watched.summary.contains("crashed again: OOMKilled"), "{}", watched.summary);
    // Less memory would not do.
    let less = Action::SetResources {
        object: object(Kind::Deployment, APP),
        container: "covetpy".into(),
        change: ResourceChange { memory_limit: Some("1Gi".into()), ..ResourceChange::default() },
    };
    let preview = bench.previewed(less).await;
    let says = super::changes::hazard(&preview, Guard::Target);
    assert!(says.contains("covetpy was OOMKilled at its limit of 2.0 GiB: this gives it 1.0 GiB"), "{says}");
    let healthy = bench.pods().await.into_iter().find(|pod| restarts(pod) == 0).unwrap();
    let none = Action::Logs {
        pods: vec![key(name(&healthy))],
        container: None,
        previous: true,
        tail: 10,
        since: None,
    };
    let none = bench.probes.read(&none, now()).await;
    assert!(!none.ok && none.summary.contains("no previous container"), "{}", all(&none));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_changed_is_named() {
    let bench = Bench::new(Some("crash-loop.secret")).await;
    let secrets = Action::CheckSecrets { object: object(Kind::Deployment, APP) };
    let check = || bench.probes.read(&secrets, now());
    bench
        .until("the Secret was changed", || async { check().await.summary.contains("was changed at") })
        .await;
    let reading = check().await;
    println!("{}", all(&reading));
    // Whether it is a cause, the rule says: it knows when the trouble began.
    assert_eq!(reading.found, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_as_it_grows() {
    let bench = Bench::new(None).await;
    bench.settled().await;
    let pod = key(name(&bench.pods().await[0]));
    let mut stream = Box::pin(bench.probes.follow(&pod, Some("covetpy".into()), false, 5));
    let mut lines = 0;
    let reading = tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(line) = stream.next().await {
            match line {
                LogLine::Line { at, text, .. } => {
                    assert!(at.is_some() && !text.is_empty());
                    lines += 1;
                }
                LogLine::Dropped(_) => {}
                LogLine::Ended(why) => panic!("{why}"),
            }
            // More than the tail: it grew while we looked.
            if lines > 8 {
                break;
            }
        }
    });
    reading.await.unwrap();
    let gone = bench.probes.follow(&key("no-such-pod"), None, false, 5).collect::<Vec<_>>().await;
    assert!(matches!(gone.last(), Some(LogLine::Ended(why)) if why.contains("not found")), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn details_have_words_events_and_yaml_without_secrets() {
    let bench = Bench::new(None).await;
    let detail = bench.probes.detail(&object(Kind::Secret, "covetpy-secrets"), now()).await.unwrap();
    let yaml = detail.yaml.join("\n");
    assert!(yaml.contains("DATABASE_PASSWORD: ••• ") || yaml.contains("DATABASE_PASSWORD: \"••• "), "{yaml}");
    assert!(!yaml.contains("managedFields"));
    let words = format!("{:?}", detail.describe);
    assert!(words.contains("DATABASE_PASSWORD (") && !words.contains("Vq7"), "{words}");
    let absent = bench.probes.detail(&object(Kind::Pod, "nobody"), now()).await.unwrap_err();
    assert!(absent.contains("not found"), "{absent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_probed_and_its_failures_have_words() {
    let bench = Bench::new(None).await;
    let prometheus = format!("http://{}/-/ready", bench.lab.addresses().prometheus);
    let good = bench
        .probes
        .read(
            &Action::Network(NetworkProbe::HttpProbe { url: prometheus, times: 3, connect_to: None }),
            now(),
        )
        .await;
    assert!(good.ok && good.summary.contains("3 of 3"), "{good:?}");
    let nobody = Action::Network(NetworkProbe::HttpProbe {
        url: "http://127.0.0.1:1/x?token=hunter2secret".into(),
        times: 1,
        connect_to: None,
    });
    let bad = bench.probes.read(&nobody, now()).await;
    assert!(!bad.ok && !format!("{bad:?}").contains("hunter2secret"), "{bad:?}");
    assert!(
        !bench
            .probes
            .read(
                &Action::Network(NetworkProbe::HttpProbe {
                    url: "nonsense".into(),
                    times: 1,
                    connect_to: None
                }),
                now()
            )
            .await
            .ok
    );
}
