//! What alerts did over hours and days, asked of Prometheus calmly: who flaps, who is loud, how many were told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kubernetes::names::own;
use super::prometheus::{Found, Prometheus};
use super::tell::Tell;
use crate::config::ConnectError;
use crate::domain::{Fact, Name, Noise, Origin};

/// These questions reach back a week: once a minute is often enough.
const EVERY: Duration = Duration::from_mins(1);
/// How often it is tried while Prometheus is not found yet.
const SOON: Duration = Duration::from_secs(3);

/// Begins of firing, of each series: what is only pending tells nobody.
const STARTS: &str = r#"count_over_time((ALERTS{alertstate="firing"} unless ALERTS{alertstate="firing"} offset 30s)[WINDOW:30s])"#;
/// Who has begun again and again in six hours and not been quiet for an hour since.
const FLAPS: &str = "sum by (alertname) (LONG - 1) and on (alertname) count by (alertname) (SHORT)";
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
                match look(&prometheus).await {
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

async fn look(prometheus: &Prometheus) -> Result<Noise, ConnectError> {
    let sent = |window: &str| SENT.replace("WINDOW", window);
    let (hour, shift) = (sent("1h"), sent("12h"));
    let starts = |window: &str| STARTS.replace("WINDOW", window);
    let flaps = FLAPS.replace("LONG", &starts("6h")).replace("SHORT", &starts("1h"));
    let (flaps, firing, sent_1h, sent_12h) = tokio::try_join!(
        by_name(prometheus, &flaps),
        by_name(prometheus, FIRING),
        prometheus.number(&hour),
        prometheus.number(&shift),
    )?;
    let total: f64 = firing.iter().map(|(_, count)| count).sum();
    let shares = firing.into_iter().map(|(name, count)| (name, count / total.max(1.0))).collect();
    Ok(Noise { flaps, shares, sent_1h, sent_12h })
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
