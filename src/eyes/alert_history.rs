//! What alerts did over hours and days, asked of Prometheus calmly: who flaps, who is loud, how many were told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kubernetes::names::own;
use super::prometheus::{Found, Prometheus};
use super::tell::Tell;
use crate::config::ConnectError;
use crate::domain::{Fact, Flapping, Name, Noise, Origin, Timestamp};

/// These questions reach back a week: once a minute is often enough.
const EVERY: Duration = Duration::from_mins(1);
/// How often it is tried while Prometheus is not found yet.
const SOON: Duration = Duration::from_secs(3);

/// Begins of firing, of each series: what is only pending tells nobody.
const STARTS: &str = r#"count_over_time((ALERTS{alertstate="firing"} unless ALERTS{alertstate="firing"} offset 30s)[WINDOW:30s])"#;
/// How often each has begun again in six hours.
const FLAPS: &str = "sum by (alertname) (LONG - 1)";
/// When, by whichever of its series: asked of those alone that did so often.
const BEGINS: &str = r#"count by (alertname) (ALERTS{alertstate="firing",alertname=~"NAMES"} unless ALERTS{alertstate="firing"} offset 30s)"#;
/// Fewer begins in six hours are nobody's noise.
const OFTEN: f64 = 3.0;
/// Episodes with a longer pause between them are two stories.
const PAUSE: i64 = 75 * 60;
const SIX_HOURS: i64 = 6 * 3600;
const SAMPLE: i64 = 30;
const FIRING: &str = r#"sum by (alertname) (count_over_time(ALERTS{alertstate="firing"}[7d]))"#;
const SENT: &str = "sum(increase(alertmanager_notifications_total[WINDOW]))";

/// Looks for ever.
pub(super) async fn watch(found: Found, tell: Tell) {
    let mut ticks = tell.beat(SOON);
    let mut rested = EVERY;
    loop {
        ticks.tick().await;
        rested += SOON;
        let prometheus = found.borrow().clone();
        let told = match prometheus {
            None => {
                let why = "no Prometheus is reached, and it keeps the history of alerts";
                let repair = "see what is said of Prometheus";
                tell.not_configured(Origin::AlertHistory, why, repair).await
            }
            Some(_) if rested < EVERY => continue,
            Some(prometheus) => {
                rested = Duration::ZERO;
                match look(&prometheus, tell.now()).await {
                    Ok(noise) => tell.fact(Origin::AlertHistory, Fact::Noise(Box::new(noise))).await,
                    Err(error) => {
                        rested = EVERY.saturating_sub(SOON * 3);
                        tell.blind(Origin::AlertHistory, error).await
                    }
                }
            }
        };
        if told.is_err() {
            return;
        }
    }
}

async fn look(prometheus: &Prometheus, now: Timestamp) -> Result<Noise, ConnectError> {
    let sent = |window: &str| SENT.replace("WINDOW", window);
    let (quarter, hour, shift) = (sent("15m"), sent("1h"), sent("12h"));
    let flaps = FLAPS.replace("LONG", &STARTS.replace("WINDOW", "6h"));
    let (counts, firing, sent_15m, sent_1h, sent_12h) = tokio::try_join!(
        by_name(prometheus, &flaps),
        by_name(prometheus, FIRING),
        prometheus.number(&quarter),
        prometheus.number(&hour),
        prometheus.number(&shift),
    )?;
    let total: f64 = firing.iter().map(|(_, count)| count).sum();
    let shares = firing.into_iter().map(|(name, count)| (name, count / total.max(1.0))).collect();
    let flaps = flapping(prometheus, counts, now).await?;
    Ok(Noise { flaps, shares, sent_15m, sent_1h, sent_12h })
}

/// When those that came and went often did so.
async fn flapping(
    prometheus: &Prometheus,
    counts: Vec<(Name, f64)>,
    now: Timestamp,
) -> Result<Vec<Flapping>, ConnectError> {
    let often: Vec<(Name, f64)> = counts.into_iter().filter(|(_, times)| *times >= OFTEN).collect();
    if often.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> =
        often.iter().map(|(name, _)| regex::escape(name).replace('\\', "\\\\")).collect();
    let to = now.as_second() / SAMPLE * SAMPLE;
    let lines =
        prometheus.range_in(&BEGINS.replace("NAMES", &names.join("|")), to - SIX_HOURS, to, SAMPLE).await?;
    let begins = |alert: &Name| -> Vec<i64> {
        let line =
            lines.iter().find(|line| line.metric().get("alertname").is_some_and(|name| **name == **alert));
        line.map(|line| line.samples().iter().map(|sample| sample.timestamp() as i64).collect())
            .unwrap_or_default()
    };
    let row = |(alert, times): (Name, f64)| {
        let begins = begins(&alert);
        let (since, last, every) = episodes(&begins)?;
        let at = |seconds: i64| Timestamp::from_second(seconds).ok();
        Some(Flapping { alert, times, since: at(since)?, last: at(last)?, every })
    };
    Ok(often.into_iter().filter_map(row).collect())
}

/// The first and the last of the episodes without a long pause up to the last, and the middle of the pauses; in seconds.
fn episodes(begins: &[i64]) -> Option<(i64, i64, Duration)> {
    let last = *begins.last()?;
    let pauses: Vec<i64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut run: Vec<i64> = pauses.iter().rev().copied().take_while(|pause| *pause <= PAUSE).collect();
    let since = last - run.iter().sum::<i64>();
    run.sort_unstable();
    let middle = run.get(run.len() / 2).copied().unwrap_or_default();
    Some((since, last, Duration::from_secs(middle.unsigned_abs())))
}

/// The largest first.
async fn by_name(prometheus: &Prometheus, expression: &str) -> Result<Vec<(Name, f64)>, ConnectError> {
    let vector = prometheus.instant(expression).await?;
    let mut sums: BTreeMap<Name, f64> = BTreeMap::new();
    for series in &vector {
        let value = series.sample().value();
        if let Some(name) = series.metric().get("alertname").filter(|_| value.is_finite()) {
            *sums.entry(own(name)).or_default() += value;
        }
    }
    let mut sorted: Vec<(Name, f64)> = sums.into_iter().collect();
    sorted.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_episode_of_the_morning_is_not_when_the_flapping_began() {
        assert_eq!(episodes(&[]), None);
        assert_eq!(episodes(&[100]), Some((100, 100, Duration::ZERO)));
        let begins = [0, 18_000, 18_060, 18_090, 18_150];
        assert_eq!(episodes(&begins), Some((18_000, 18_150, Duration::from_secs(60))));
    }
}
