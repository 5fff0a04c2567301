//! Whether Prometheus works: alive, ready, replaying, loaded, taking samples, heard by Alertmanager.

use serde_json::Value;

use super::api::Api;
use crate::domain::{Timestamp, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::object::{items, number, string};
use crate::probes::trouble::Trouble;

pub use crate::domain::WATCHDOGS;

/// How far a start has come in its write-ahead log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replay {
    pub current: i64,
    pub last: i64,
}

/// The replay that is under way. It is answered even while everything else is refused.
pub async fn replay(api: &Api) -> Option<Replay> {
    let data = api.data("/api/v1/status/walreplay", &[]).await.ok()?;
    let found = Replay { current: number(&data, "/current"), last: number(&data, "/max") };
    // Once it serves, it says 0 of 0.
    (found.last > 0 && found.current < found.last).then_some(found)
}

pub(super) async fn look(
    prometheus: &Result<Api, Trouble>,
    alertmanager: &Result<Api, Trouble>,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let api = match prometheus {
        Ok(api) => api,
        Err(trouble) => return Err(trouble.clone()),
    };
    let mut answer = Answer::new();
    let mut bad = Vec::new();
    for (path, what) in [("/-/healthy", "healthy"), ("/-/ready", "ready")] {
        match api.text(path, &[]).await {
            Ok(_) => answer.line(Tone::Good, format!("{what}: yes")),
            Err(trouble) => {
                answer.line(Tone::Bad, format!("{what}: no: {}", trouble.says));
                bad.push(format!("not {what}"));
            }
        }
    }
    answer.bind("prometheus_ready", if bad.is_empty() { "yes" } else { "no" });
    if let Some(Replay { current, last }) = replay(api).await {
        let says =
            format!("replays its write-ahead log: segment {current} of {last}; it will be ready by itself");
        answer.line(Tone::Plain, &says);
        answer.found(cause::WAL_REPLAY, &says);
        bad.push("replaying".into());
    }
    if bad.is_empty() {
        runtime(api, &mut answer, &mut bad, now).await;
    }
    watchdog(alertmanager, &mut answer, &mut bad).await;
    if bad.is_empty() {
        answer.summary("alive, ready, loaded, taking samples, heard by Alertmanager");
    } else {
        answer.not_ok();
        answer.summary(bad.join(", "));
    }
    Ok(answer)
}

async fn runtime(api: &Api, answer: &mut Answer, bad: &mut Vec<String>, now: Timestamp) {
    match api.data("/api/v1/status/runtimeinfo", &[]).await {
        Ok(info) => {
            let loaded = info["reloadConfigSuccess"].as_bool().unwrap_or(true);
            let at = string(&info, "/lastConfigTime").parse::<Timestamp>().ok();
            let ago = at.map(|at| text::span(crate::domain::between(at, now))).unwrap_or_default();
            if loaded {
                answer.line(Tone::Good, format!("configuration loaded {ago} ago"));
            } else {
                let says = format!("the last reload was refused; it runs the configuration of {ago} ago");
                answer.found(cause::MONITORING_CONFIG, &says);
                answer.line(Tone::Bad, &says);
                bad.push("reload refused".into());
            }
            let damaged = number(&info, "/corruptionCount");
            if damaged > 0 {
                let says =
                    format!("{damaged} damaged places in the write-ahead log were repaired or dropped");
                answer.found(cause::STORAGE_CORRUPT, &says);
                answer.line(Tone::Bad, says);
            }
            answer.line(Tone::Dim, format!("keeps {}", string(&info, "/storageRetention")));
            answer.bind("retention", string(&info, "/storageRetention"));
        }
        Err(trouble) => answer.line(Tone::Dim, trouble.says),
    }
    if let Ok(status) = api.data("/api/v1/status/tsdb", &[]).await {
        answer.line(Tone::Plain, format!("{} series in memory", number(&status, "/headStats/numSeries")));
    }
    let ingest =
        api.number("sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))").await.ok().flatten();
    match ingest {
        Some(rate) if rate > 0.0 => answer.line(Tone::Good, format!("takes {rate:.0} samples a second")),
        Some(_) => {
            answer.found(cause::INGEST_STOPPED, "takes no samples");
            answer.line(Tone::Bad, "takes no samples");
            bad.push("no ingest".into());
        }
        None => answer.line(Tone::Dim, "does not scrape itself: its ingest is not to be seen"),
    }
    if let Ok(Some(age)) = api.number("time() - max(timestamp(up))").await
        && age > 300.0
    {
        answer.line(Tone::Bad, format!("the youngest sample of `up` is {age:.0} s old"));
        bad.push("stale".into());
    }
    let (up, all) = (api.number("sum(up)").await, api.number("count(up)").await);
    if let (Ok(Some(up)), Ok(Some(all))) = (up, all) {
        let tone = if up < all { Tone::Bad } else { Tone::Good };
        answer.line(tone, format!("{up:.0} of {all:.0} targets up"));
        answer.bind("targets_up", format!("{up:.0}"));
        answer.bind("targets", format!("{all:.0}"));
        if up * 2.0 < all {
            answer.found(cause::TARGETS_DOWN, format!("{:.0} of {all:.0} targets down", all - up));
            bad.push("most targets down".into());
        }
    }
}

async fn watchdog(alertmanager: &Result<Api, Trouble>, answer: &mut Answer, bad: &mut Vec<String>) {
    let alerts = match alertmanager {
        Ok(api) => api.alerts().await,
        Err(trouble) => Err(trouble.clone()),
    };
    match alerts {
        Ok(alerts) => {
            let fires = alerts.iter().find_map(|alert| {
                alert.labels.get("alertname").filter(|name| WATCHDOGS.contains(&name.as_str()))
            });
            match fires {
                Some(name) => answer.line(Tone::Good, format!("{name} arrives at Alertmanager")),
                None => {
                    answer.line(
                        Tone::Bad,
                        "no Watchdog at Alertmanager: alerts do not arrive, or there is none",
                    );
                    bad.push("no Watchdog".into());
                }
            }
        }
        Err(trouble) => answer.line(Tone::Dim, format!("the Watchdog is not to be seen: {}", trouble.says)),
    }
}

/// Targets that do not answer, and why, by job.
pub(super) async fn targets(api: &Api) -> Result<Answer, Trouble> {
    let data = api.data("/api/v1/targets", &[("state", "active".into())]).await?;
    let all = items(&data, "/activeTargets");
    let down: Vec<&Value> = all.iter().filter(|target| string(target, "/health") == "down").collect();
    let mut answer = Answer::new();
    answer.summary(match (all.len(), down.len()) {
        (0, _) => "no targets at all".to_owned(),
        (all, 0) => format!("all {} up", text::count(all, "target")),
        (all, some) => format!("{some} of {} down", text::count(all, "target")),
    });
    if down.len() * 2 > all.len() {
        answer.found(cause::TARGETS_DOWN, format!("{} of {} targets down", down.len(), all.len()));
    }
    answer.bind("targets", all.len().to_string());
    answer.bind("targets_down", down.len().to_string());
    let row = |target: &&Value| {
        vec![
            string(target, "/labels/job").to_owned(),
            string(target, "/labels/instance").to_owned(),
            string(target, "/lastError").to_owned(),
        ]
    };
    let heading = ["JOB", "INSTANCE", "ERROR"].map(str::to_owned).to_vec();
    let cells: Vec<_> = std::iter::once(heading).chain(down.iter().map(row)).collect();
    if cells.len() > 1 {
        let tones = std::iter::once(Tone::Heading).chain(std::iter::repeat(Tone::Bad));
        answer.lines(tones.zip(columns(&cells)));
    }
    Ok(answer)
}
