//! PromQL triggers: each expression drawn over its `for` and a little more, so that even the first look knows since
//! when a series has been beyond the bound.

use std::time::Duration;

use prometheus_http_query::response::RangeVector;
use tokio::time::timeout;

use super::{EVERY, answer};
use crate::config::ConnectError;
use crate::domain::{Ask, BlindKind, Case, Labels, Name, Series, Timestamp, Trigger, text};
use crate::eyes::kubernetes::names::says;
use crate::eyes::prometheus::{Found, Prometheus, STEP, moment};
use crate::eyes::tell::Tell;

/// One question may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much further back than its `for` a series is drawn.
const MARGIN: Duration = Duration::from_mins(5);
/// An expression that finds more is not a trigger.
const MOST: usize = 100;

/// Asks for ever.
pub(super) async fn watch(triggers: Vec<Trigger>, found: Found, tell: Tell) {
    let mut ticks = tell.beat(EVERY);
    let mut found = found;
    // The first questions wait a moment for Prometheus to be found, and no longer.
    let _ = timeout(Duration::from_secs(5), found.wait_for(Option::is_some)).await;
    loop {
        ticks.tick().await;
        let prometheus = found.borrow().clone();
        for trigger in &triggers {
            let seen = match &prometheus {
                None => Err(ConnectError::new(
                    BlindKind::NotConfigured,
                    "Prometheus is not found",
                    "set PROMETHEUS_URL or [prometheus] url",
                )),
                Some(prometheus) => ask(prometheus, trigger, tell.now()).await,
            };
            if answer(&tell, trigger, seen).await.is_err() {
                return;
            }
        }
    }
}

async fn ask(prometheus: &Prometheus, trigger: &Trigger, now: Timestamp) -> Result<Vec<Case>, ConnectError> {
    let Ask::Promql { expr, above, below } = &trigger.ask else { return Ok(Vec::new()) };
    let step = STEP.as_secs() as i64;
    let to = now.as_second() / step * step;
    let from = to - (trigger.for_ + MARGIN).as_secs() as i64 / step * step;
    let lines = match timeout(PATIENCE, prometheus.range(expr, from, to)).await {
        Ok(lines) => lines?,
        Err(_) => {
            let why = format!("the expression takes longer than {}", text::span(PATIENCE));
            return Err(ConnectError::new(BlindKind::Broken, why, "make it cheaper, or record it"));
        }
    };
    let cases: Vec<Case> =
        lines.iter().filter_map(|line| case(line, expr, (*above, *below), to)).take(MOST + 1).collect();
    if cases.len() > MOST {
        let why = format!("the expression holds for more than {MOST} series");
        return Err(ConnectError::new(BlindKind::Broken, why, "aggregate it: sum by (…)"));
    }
    Ok(cases)
}

/// A series that is beyond the bound at its end.
fn case(line: &RangeVector, expr: &str, (above, below): (Option<f64>, Option<f64>), to: i64) -> Option<Case> {
    let bound = above.or(below)?;
    // Turned round, below is above.
    let sign = if above.is_some() { 1.0 } else { -1.0 };
    let points =
        line.samples().iter().filter_map(|sample| Some((moment(sample.timestamp())?, sample.value() * sign)));
    let series = Series::new(points);
    let (last, value) = series.last()?;
    if to - last.as_second() > STEP.as_secs() as i64 * 2 {
        return None;
    }
    // A gap ends what held before it.
    let gap = Duration::from_secs(STEP.as_secs() * 2);
    let mut since = last;
    for (at, value) in series.points().iter().rev() {
        if *value <= bound * sign || crate::domain::between(*at, since) > gap {
            break;
        }
        since = *at;
    }
    if value <= bound * sign {
        return None;
    }
    let value = value * sign;
    let pairs: Vec<(Name, Name)> = line
        .metric()
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| (says(name), says(value)))
        .collect();
    let labels = Labels::new(pairs);
    let shown: Vec<String> = labels.0.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let of = if shown.is_empty() { short(expr) } else { format!("{{{}}}", shown.join(", ")) };
    let word = if above.is_some() { "above" } else { "below" };
    Some(Case {
        labels,
        value: Some(value),
        says: says(&format!("{of} is {value}, {word} {bound}")),
        object: None,
        since,
    })
}

fn short(expr: &str) -> String {
    const LONGEST: usize = 80;
    let plain: String = expr.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.chars().count() > LONGEST { plain.chars().take(LONGEST).chain(['…']).collect() } else { plain }
}
