//! How quickly and in how much memory the eyes take in a large cluster. Measured by hand, never asserted:
//! `KUBECONFIG=… cargo nextest run --run-ignored only -E 'test(/eyes::scale/)' --no-capture`

use std::time::Instant;

use super::*;

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures the cluster of $KUBECONFIG"]
async fn a_large_cluster_is_taken_in() {
    let flags = Flags { all_namespaces: true, ..Flags::default() };
    let settings = config::load(&flags, &|name| std::env::var(name).ok(), None).unwrap();
    println!("before: {} MiB", resident());
    let began = Instant::now();
    let mut watcher = Watcher::open(&settings).await;
    watcher.until("first rows", |snapshot| !snapshot.pods.is_empty()).await;
    println!("first rows after {:?}", began.elapsed());
    watcher.until("all rows", |snapshot| snapshot.pods.is_listed()).await;
    println!("{} pods after {:?}, {} MiB", watcher.snapshot.pods.len(), began.elapsed(), resident());
    let rest = [Origin::Nodes, Origin::Events, Origin::ReplicaSets, Origin::Leases, Origin::Secrets];
    let listed = |snapshot: &Snapshot| {
        rest.iter().all(|origin| snapshot.blindness(*origin, Timestamp::now()).is_none())
    };
    watcher.until("the rest", listed).await;
    println!("everything after {:?}, {} MiB", began.elapsed(), resident());
    let (mut heard, until) = (0, tokio::time::Instant::now() + Duration::from_secs(30));
    while let Ok(Some(observation)) = tokio::time::timeout_at(until, watcher.heard.recv()).await {
        watcher.snapshot.fold(observation);
        heard += 1;
    }
    println!("{heard} observations in 30 s, {} MiB", resident());
}
