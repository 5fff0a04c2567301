//! Prometheus: found or given, asked for the application's latency, errors and rate over the last hour, then only
//! for what is new. The names of metrics and labels are looked up, not assumed.

use std::sync::Arc;
use std::time::Duration;

use prometheus_http_query::response::{Data, InstantVector, PromqlResult, RangeVector};
use serde::Deserialize;
use tokio::sync::watch;

use super::api_server::{Sessions, session_for};
use super::charts::Charts;
use super::strain;
use super::tell::{Backoff, Tell, Unheard};
use super::traffic::Queries;
use crate::config::{ConnectError, Door, Settings, discovery};
use crate::domain::{BlindKind, Fact, Origin, Timestamp};

/// Between two looks; also the step of the charts.
pub(super) const STEP: Duration = Duration::from_secs(15);

/// After so many looks, names that were missing are looked up again, and what changes slowly is asked for.
const LOOK_UP_AGAIN: u64 = 4;
const REPAIR: &str = "set PROMETHEUS_URL or [prometheus] url";

/// A Prometheus that can be asked.
pub(super) struct Prometheus {
    door: Door,
}

/// The Prometheus that was reached last, for the eye on usage.
pub(super) type Found = watch::Receiver<Option<Arc<Prometheus>>>;

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

impl Prometheus {
    pub(super) fn new(door: Door) -> Self {
        Self { door }
    }

    /// The vector an expression is now.
    pub(super) async fn instant(&self, expression: &str) -> Result<Vec<InstantVector>, ConnectError> {
        let result: PromqlResult = self.ask("/api/v1/query", &[("query", expression.to_owned())]).await?;
        match result.into_inner().0 {
            Data::Vector(vector) => Ok(vector),
            _ => Ok(Vec::new()),
        }
    }

    /// The lines an expression draws; both ends in whole seconds.
    pub(super) async fn range(
        &self,
        expression: &str,
        from: i64,
        to: i64,
    ) -> Result<Vec<RangeVector>, ConnectError> {
        self.range_in(expression, from, to, STEP.as_secs() as i64).await
    }

    /// The same in other steps, in seconds.
    pub(super) async fn range_in(
        &self,
        expression: &str,
        from: i64,
        to: i64,
        step: i64,
    ) -> Result<Vec<RangeVector>, ConnectError> {
        let query = [
            ("query", expression.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
            ("step", step.to_string()),
        ];
        let result: PromqlResult = self.ask("/api/v1/query_range", &query).await?;
        match result.into_inner().0 {
            Data::Matrix(lines) => Ok(lines),
            _ => Ok(Vec::new()),
        }
    }

    /// The only number an expression is now, if it is one.
    pub(super) async fn number(&self, expression: &str) -> Result<Option<f64>, ConnectError> {
        Ok(self.instant(expression).await?.first().map(|series| series.sample().value()))
    }

    /// What a path of the API has in `data`.
    pub(super) async fn data(&self, path: &str) -> Result<serde_json::Value, ConnectError> {
        self.ask(path, &[]).await
    }

    /// What it scrapes, as it tells it.
    pub(super) async fn targets(&self) -> Result<serde_json::Value, ConnectError> {
        self.ask("/api/v1/targets", &[("state", "active".to_owned())]).await
    }

    /// The body of a successful answer.
    pub(super) async fn text(&self, path: &str) -> Result<String, ConnectError> {
        self.door.get(path, &[]).await.map_err(named)
    }

    /// Whether it is reached through the API server.
    pub(super) fn is_proxied(&self) -> bool {
        matches!(self.door, Door::Proxied { .. })
    }

    /// The labels that series of a metric have.
    pub(super) async fn labels(&self, metric: &str) -> Result<Vec<String>, ConnectError> {
        self.ask("/api/v1/labels", &[("match[]", metric.to_owned())]).await
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ConnectError> {
        let body = self.door.get(path, query).await.map_err(named)?;
        let broken = |why: String| {
            ConnectError::new(BlindKind::Broken, format!("Prometheus' answer is not understood: {why}"), "")
        };
        let answer: Answer<T> = serde_json::from_str(&body).map_err(|error| broken(error.to_string()))?;
        answer.data.ok_or_else(|| broken(answer.error.unwrap_or_else(|| "no data".into())))
    }
}

fn named(error: ConnectError) -> ConnectError {
    ConnectError { why: format!("Prometheus: {}", error.why), ..error }
}

/// Finds Prometheus: by the given URL, else in the cluster.
pub(super) async fn find(
    settings: &Settings,
    client: Option<&kube::Client>,
) -> Result<Prometheus, ConnectError> {
    let unknown = |why: &str| ConnectError::new(BlindKind::NotConfigured, why, REPAIR);
    match settings.prometheus.url.as_deref() {
        Some("off") => Err(unknown("Prometheus is switched off in the settings")),
        Some(url) => Door::to(url, "Prometheus", "PROMETHEUS_URL").map(Prometheus::new),
        None => {
            let client =
                client.ok_or_else(|| unknown("no URL was given, and there is no cluster to look in"))?;
            match discovery::prometheus(client).await? {
                Some(found) => Ok(Prometheus::new(found.door)),
                None => Err(unknown("no service in the cluster looks like Prometheus")),
            }
        }
    }
}

/// Looks for ever.
pub(super) async fn watch(
    settings: Settings,
    mut sessions: Sessions,
    tell: Tell,
    found: watch::Sender<Option<Arc<Prometheus>>>,
) {
    let mut backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(30));
    loop {
        let client = match settings.prometheus.url.value {
            Some(_) => None,
            None => match session_for(Origin::Prometheus, REPAIR, &mut sessions, &tell).await {
                Some(session) => Some(session.client),
                None => return,
            },
        };
        let error = match find(&settings, client.as_ref()).await {
            Ok(prometheus) => {
                let prometheus = Arc::new(prometheus);
                found.send_replace(Some(prometheus.clone()));
                match follow(&settings, &prometheus, &tell, &mut backoff).await {
                    Ok(never) => match never {},
                    Err(Ended::Unheard) => return,
                    Err(Ended::Error(error)) => error,
                }
            }
            Err(error) => error,
        };
        let wait = backoff.after(&error);
        let heard = tell.blind(Origin::Containers, error.clone()).await;
        if heard.is_err() || tell.blind(Origin::Prometheus, error).await.is_err() {
            return;
        }
        tell.rest(wait).await;
    }
}

enum Ended {
    Unheard,
    Error(ConnectError),
}

impl From<Unheard> for Ended {
    fn from(_: Unheard) -> Self {
        Ended::Unheard
    }
}

impl From<ConnectError> for Ended {
    fn from(error: ConnectError) -> Self {
        Ended::Error(error)
    }
}

async fn follow(
    settings: &Settings,
    prometheus: &Prometheus,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, Ended> {
    let mut queries = questions(settings, prometheus, tell).await?;
    let mut charts = Charts::default();
    let mut ticks = tell.beat(STEP);
    let mut failures = 0;
    for look in 0_u64.. {
        ticks.tick().await;
        let may_be_more = queries.as_ref().is_none_or(Queries::is_partial);
        if may_be_more && look % LOOK_UP_AGAIN == LOOK_UP_AGAIN - 1 {
            queries = questions(settings, prometheus, tell).await?;
        }
        let slowly = look % LOOK_UP_AGAIN == 0;
        if let Some(queries) = &queries {
            match charts.look(prometheus, queries, tell.now(), slowly).await {
                Ok(traffic) => {
                    failures = 0;
                    backoff.reset();
                    tell.fact(Origin::Prometheus, Fact::Traffic(Box::new(traffic))).await?;
                }
                // It may have moved: after a few failures it is looked for again.
                Err(error) if failures >= 3 => return Err(error.into()),
                Err(error) => {
                    failures += 1;
                    tell.blind(Origin::Prometheus, error).await?;
                }
            }
        }
        if slowly {
            match strain::look(prometheus, settings, tell.now()).await {
                Ok(strain) => tell.fact(Origin::Containers, Fact::Strain(Box::new(strain))).await?,
                Err(error) => tell.blind(Origin::Containers, error).await?,
            }
        }
    }
    Err(Ended::Unheard)
}

/// What can be asked of traffic; None, and told, where nothing of it is known: containers are still looked at.
async fn questions(
    settings: &Settings,
    prometheus: &Prometheus,
    tell: &Tell,
) -> Result<Option<Queries>, Ended> {
    match Queries::discover(settings, prometheus).await {
        Ok(queries) => Ok(Some(queries)),
        Err(error) if error.kind == BlindKind::NotConfigured => {
            tell.blind(Origin::Prometheus, error).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A moment as Prometheus writes it: seconds, with fractions.
pub(super) fn moment(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}
