//! The charts of the application's traffic, grown from Prometheus' answers look by look.

use std::time::Duration;

use prometheus_http_query::response::RangeVector;

use super::kubernetes::names::own;
use super::prometheus::{Prometheus, STEP, moment};
use super::traffic::{LATENCY_ROW, OF, Queries, REQUESTS_ROW, SlowPaths};
use super::workloads::{self, Answers};
use crate::config::ConnectError;
use crate::domain::{Blind, BlindKind, Key, Series, Timestamp, Traffic};

/// How far the charts reach back.
const HOUR: Duration = Duration::from_hours(1);
/// How far requests are asked for at first, and how long they are kept: what has stopped is still missed hours later.
const REQUESTS_ASKED: Duration = Duration::from_hours(3);
const REQUESTS_KEPT: Duration = Duration::from_hours(6);
/// Points asked for again, because the youngest samples arrive late.
const OVERLAP: i64 = 2;
/// Series that miss this many looks in a row are gone: one may be a scrape that failed.
const MISSED: i64 = 2;

/// Share of the most in an hour below which it is worth a look whether that is usual.
const STOPPED: f64 = 0.1;

/// The last hour, grown look by look.
#[derive(Default)]
pub(super) struct Charts {
    traffic: Traffic,
    /// How many series of requests and of latencies there are.
    present: [Series; 2],
    /// Up to here everything is drawn, in seconds.
    drawn: Option<i64>,
    /// How many lines of requests have stopped.
    stopped: usize,
}

impl Charts {
    /// Asks for what is missing; `slowly` also for what changes slowly. Nothing is kept of a look that failed
    /// half-way.
    pub(super) async fn look(
        &mut self,
        prometheus: &Prometheus,
        queries: &Queries,
        now: Timestamp,
        slowly: bool,
    ) -> Result<Traffic, ConnectError> {
        let step = STEP.as_secs() as i64;
        // On whole steps, so that every look asks for the same moments.
        let to = now.as_second() / step * step;
        let oldest = to - HOUR.as_secs() as i64;
        let from = self.drawn.map_or(oldest, |drawn| (drawn - OVERLAP * step).max(oldest));
        let long_ago = |kept: Duration| to - kept.as_secs() as i64;
        let range = async |expression: Option<&String>, from: i64| match expression {
            Some(expression) => prometheus.range(expression, from, to).await,
            None => Ok(Vec::new()),
        };
        let ask = |expression| range(expression, from);
        let rate_from = if self.drawn.is_some() { from } else { long_ago(REQUESTS_ASKED) };
        let quantile = |index: usize| queries.quantiles.as_ref().map(|three| &three[index]);
        let now_of = async |expression: Option<&String>| match expression {
            Some(expression) => prometheus.instant(expression).await,
            None => Ok(Vec::new()),
        };
        let apart = &queries.by_workload;
        let by_workload = async {
            let (error_ratio, p95, rate) = tokio::try_join!(
                ask(apart.error_ratio.as_ref()),
                ask(apart.p95.as_ref()),
                ask(apart.rate.as_ref())
            )?;
            Ok(Answers { error_ratio, p95, rate })
        };
        // Not every Prometheus reaches back so far: then it is not known.
        let usual = async {
            let found = match &queries.denied_usual {
                Some(expression) => prometheus.instant(expression).await.ok()?,
                None => return None,
            };
            found.first().map(|series| series.sample().value()).filter(|value| value.is_finite())
        };
        let (p50, p95, p99, error_ratio, rate, denied, memory, present, by_pod, refusing, by_workload) = tokio::try_join!(
            ask(quantile(0)),
            ask(quantile(1)),
            ask(quantile(2)),
            ask(queries.error_ratio.as_ref()),
            range(queries.rate.as_ref(), rate_from),
            ask(queries.denied.as_ref()),
            ask(Some(&queries.memory)),
            ask(queries.present.as_ref()),
            now_of(queries.errors_by_pod.as_ref()),
            now_of(apart.denied.as_ref()),
            by_workload
        )?;
        if slowly {
            self.slow(prometheus, queries).await?;
        }
        let usual = usual.await;
        let traffic = &mut self.traffic;
        traffic.denied_usual = usual;
        traffic.denied_by = refusing.first().and_then(|row| {
            let rate = row.sample().value();
            Some((workloads::whose(row.metric(), &queries.namespace)?, rate)).filter(|_| rate > 0.0)
        });
        traffic.questions.clone_from(&queries.parts);
        traffic.namespace.clone_from(&queries.namespace);
        for (series, lines, unit) in [
            (&mut traffic.p50, p50, queries.unit),
            (&mut traffic.p95, p95, queries.unit),
            (&mut traffic.p99, p99, queries.unit),
            (&mut traffic.error_ratio, error_ratio, 1.0),
            (&mut traffic.denied, denied, 1.0),
            (&mut traffic.memory, memory, 1.0),
        ] {
            *series = joined(series, lines.first(), unit, from, oldest);
        }
        let kept_from = long_ago(REQUESTS_KEPT);
        traffic.rate = joined(&traffic.rate, rate.first(), 1.0, rate_from, kept_from);
        let [of_requests, of_latency] = &mut self.present;
        for (series, of) in [(&mut *of_requests, REQUESTS_ROW), (&mut *of_latency, LATENCY_ROW)] {
            let line = present.iter().find(|line| line.metric().get(OF).is_some_and(|value| value == of));
            *series = joined(series, line, 1.0, from, oldest);
        }
        traffic.series.clone_from(of_requests);
        let gone = |series: &Series, metric: &str| vanished(series, metric, &queries.place(), to, now);
        traffic.errors_unseen = lacking(queries.errors_lack.as_ref(), traffic.errors_unseen.take(), now)
            .or_else(|| gone(of_requests, queries.requests.as_deref()?));
        traffic.latency_unseen = lacking(queries.latency_lack.as_ref(), traffic.latency_unseen.take(), now)
            .or_else(|| gone(of_latency, queries.latency.as_deref()?));
        let errors: Vec<(Key, f64)> = by_pod
            .iter()
            .filter_map(|series| Some((queries.pod(series.metric())?, series.sample().value())))
            .filter(|(_, rate)| rate.is_finite() && *rate > 0.0)
            .collect();
        let total: f64 = errors.iter().map(|(_, rate)| rate).sum();
        traffic.errors_by_pod = errors.into_iter().map(|(pod, rate)| (pod, rate / total)).collect();
        traffic.errors_by_pod.sort_by(|one, other| other.1.total_cmp(&one.1));
        let meant = (queries.unit, &queries.namespace);
        workloads::grow(&mut traffic.workloads, &by_workload, meant, (from, oldest, kept_from));
        self.drawn = Some(to);
        self.earlier(prometheus, queries, slowly).await;
        Ok(self.traffic.clone())
    }

    /// Where requests have stopped, whether it is quiet at this time on other days. Not every Prometheus reaches back so far.
    async fn earlier(&mut self, prometheus: &Prometheus, queries: &Queries, again: bool) {
        let traffic = &mut self.traffic;
        let all = traffic.workloads.iter().map(|workload| &workload.rate).chain([&traffic.rate]);
        let stopped = all.filter(|rate| has_stopped(rate)).count();
        let is_new = std::mem::replace(&mut self.stopped, stopped) != stopped;
        if stopped == 0 || !(is_new || again) {
            return;
        }
        let ask = async |expression: Option<&String>| match expression {
            Some(expression) => prometheus.instant(expression).await.ok(),
            None => None,
        };
        let (whole, apart) =
            tokio::join!(ask(queries.rate_earlier.as_ref()), ask(queries.by_workload.rate_earlier.as_ref()));
        if let Some(whole) = whole {
            let value = whole.first().map(|series| series.sample().value());
            traffic.rate_earlier = value.filter(|value| value.is_finite());
        }
        if let Some(apart) = apart {
            workloads::remember_rates(&mut traffic.workloads, &apart, &queries.namespace);
        }
    }

    async fn slow(&mut self, prometheus: &Prometheus, queries: &Queries) -> Result<(), ConnectError> {
        if let Some((label, expression)) = &queries.denied_in {
            let found = prometheus.instant(expression).await?;
            let place = found.first().and_then(|series| series.metric().get(*label));
            self.traffic.denied_in = place.filter(|name| !name.is_empty()).map(|name| own(name));
        }
        let seconds = |value: f64| (value.is_finite()).then_some(value * queries.unit);
        if let Some(SlowPaths { label, expression }) = &queries.slow_paths {
            let found = prometheus.instant(expression).await?;
            let row = |series: &prometheus_http_query::response::InstantVector| {
                let path = series.metric().get(label).filter(|path| !path.is_empty())?;
                Some((own(path), seconds(series.sample().value())?))
            };
            let mut paths: Vec<_> = found.iter().filter_map(row).collect();
            paths.sort_by(|one, other| other.1.total_cmp(&one.1));
            self.traffic.slow_paths = paths;
        }
        if let Some(expression) = &queries.by_workload.p95_last_week {
            let found = prometheus.instant(expression).await?;
            workloads::remember(&mut self.traffic.workloads, &found, (queries.unit, &queries.namespace));
        }
        if let Some(expression) = &queries.p95_last_week {
            let found = prometheus.instant(expression).await?;
            self.traffic.p95_last_week = found.first().and_then(|series| seconds(series.sample().value()));
        }
        Ok(())
    }
}

/// Requests came within the last hour, and next to none come now.
fn has_stopped(rate: &Series) -> bool {
    let most = rate.max().unwrap_or_default();
    most > 0.0 && rate.last().is_some_and(|(_, now)| now <= most * STOPPED)
}

/// What nobody named and nothing is known of, since it was first missed.
fn lacking(lack: Option<&ConnectError>, before: Option<Blind>, now: Timestamp) -> Option<Blind> {
    let blind = lack?.clone().into_blind(now);
    let since = before.filter(|before| before.why == blind.why).map_or(now, |before| before.since);
    Some(Blind { since, ..blind })
}

/// Series that were there and are not: no answer is no number.
fn vanished(present: &Series, metric: &str, place: &str, to: i64, now: Timestamp) -> Option<Blind> {
    let last = present.last().map(|(at, _)| at);
    let missed = last.map_or(i64::MAX, |last| (to - last.as_second()) / STEP.as_secs() as i64);
    if missed < MISSED {
        return None;
    }
    let since = last.map_or_else(String::new, |last| format!(" since {}", last.strftime("%H:%M:%S")));
    Some(Blind {
        kind: BlindKind::Broken,
        why: format!("{metric} has no series{place}{since}"),
        repair: Some(
            "look whether the pods that export it run, and for its targets in Prometheus: up == 0".into(),
        ),
        since: last.unwrap_or(now),
    })
}

/// What was drawn before `from`, then what is new. Values that are no numbers are gaps.
pub(super) fn joined(
    before: &Series,
    line: Option<&RangeVector>,
    unit: f64,
    from: i64,
    oldest: i64,
) -> Series {
    let kept = before.points().iter().copied().filter(|(at, _)| (oldest..from).contains(&at.as_second()));
    let new = line.into_iter().flat_map(RangeVector::samples);
    let new = new.filter_map(|sample| Some((moment(sample.timestamp())?, sample.value() * unit)));
    Series::new(kept.chain(new))
}
