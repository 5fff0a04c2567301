//! The HTTP API of the lab's Prometheus, in the shapes of version 2.42, over the lab's samples and rules.
//! It evaluates nothing itself and never changes the world.

mod form;
mod render;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use jiff::Timestamp;
use promql_parser::label::Matchers;
use promql_parser::parser::Expr;
use serde_json::{Value as Json_, json};

use super::promql::{self, QueryError};
use super::rules::Rules;
use super::signals::{Loaded, Serving, Signals};
use super::tsdb::{Labels, NAME, Series, Tsdb};
pub(super) use form::Form;

/// What the API answers from.
#[derive(Clone)]
pub struct Prometheus {
    pub tsdb: Tsdb,
    pub rules: Rules,
    pub started: Timestamp,
    pub signals: Signals,
    /// How many times faster than life processes go.
    pub speed: f64,
    pub clock: fn() -> Timestamp,
    /// Shown as the Alertmanager that alerts go to.
    pub alertmanager_url: String,
}

impl Prometheus {
    /// In milliseconds.
    fn now(&self) -> i64 {
        (self.clock)().as_millisecond()
    }
}

/// How far back series and labels are looked for when the request does not say: what is "now" for a person.
const SERIES_WINDOW_MS: i64 = 3600 * 1000;

/// The whole API.
pub fn router(prometheus: Prometheus) -> Router {
    Router::new()
        .route("/api/v1/query", any(query))
        .route("/api/v1/query_range", any(query_range))
        .route("/api/v1/series", any(series))
        .route("/api/v1/labels", any(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/alertmanagers", get(alertmanagers))
        .route("/api/v1/status/buildinfo", get(buildinfo))
        .route("/api/v1/status/config", get(config))
        .route("/api/v1/status/runtimeinfo", get(runtimeinfo))
        .route("/api/v1/status/walreplay", get(walreplay))
        .route("/api/v1/status/tsdb", get(tsdb_status))
        .route("/-/reload", post(reload).put(reload))
        .route("/-/ready", get(|| async { "Prometheus Server is Ready.\n" }))
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
        .layer(axum::middleware::from_fn_with_state(prometheus.clone(), gate))
        .with_state(prometheus)
}

/// An API error in Prometheus's own form.
struct Failure(QueryError);

impl From<QueryError> for Failure {
    fn from(why: QueryError) -> Self {
        Self(why)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, kind) = match &self.0 {
            QueryError::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            QueryError::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        let body = json!({"status": "error", "errorType": kind, "error": self.0.to_string()});
        (status, Json(body)).into_response()
    }
}

type Answer = Result<Json<Json_>, Failure>;

fn success(data: impl Into<Json_>) -> Json<Json_> {
    Json(json!({"status": "success", "data": data.into()}))
}

async fn query(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery, body: Bytes) -> Answer {
    let form = Form::read(url.as_deref(), &body);
    let at = form.time("time")?.unwrap_or_else(|| prometheus.now());
    let expr = promql::parse(form.get("query").unwrap_or_default())?;
    let tsdb = prometheus.tsdb.clone();
    let value = blocking(move || promql::instant(&tsdb, &expr, at)).await?;
    Ok(success(render::value(&value, at)))
}

async fn query_range(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery, body: Bytes) -> Answer {
    let form = Form::read(url.as_deref(), &body);
    let (start, end) = (form.needed_time("start")?, form.needed_time("end")?);
    let step = form.duration("step")?;
    let expr = promql::parse(form.get("query").unwrap_or_default())?;
    let tsdb = prometheus.tsdb.clone();
    let lines = blocking(move || promql::range(&tsdb, &expr, start, end, step)).await?;
    Ok(success(render::matrix(&lines)))
}

/// Evaluation is pure computation and may take a while on a large world.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, QueryError> + Send + 'static,
) -> Result<R, QueryError> {
    let stopped = |_| QueryError::Execution("query was interrupted".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

async fn series(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery, body: Bytes) -> Answer {
    let form = Form::read(url.as_deref(), &body);
    if form.all("match[]").next().is_none() {
        return Err(QueryError::BadData("no match[] parameter provided".to_owned()).into());
    }
    let found = matching(&prometheus, &form)?;
    Ok(success(found.iter().map(|series| render::labels(&series.labels)).collect::<Json_>()))
}

async fn labels(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery, body: Bytes) -> Answer {
    let found = matching(&prometheus, &Form::read(url.as_deref(), &body))?;
    let names = found.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name));
    Ok(success(sorted(names)))
}

async fn label_values(
    State(prometheus): State<Prometheus>,
    Path(name): Path<String>,
    RawQuery(url): RawQuery,
) -> Answer {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(letters) {
        return Err(QueryError::BadData(format!("invalid label name: {name:?}")).into());
    }
    let found = matching(&prometheus, &Form::read(url.as_deref(), &[]))?;
    let values = found.iter().map(|series| series.labels.get(&name)).filter(|value| !value.is_empty());
    Ok(success(sorted(values)))
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> Json_ {
    words.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The series of all `match[]` selectors (every series without one), each once.
fn matching(prometheus: &Prometheus, form: &Form) -> Result<Vec<Series>, QueryError> {
    let to = form.time("end")?.unwrap_or_else(|| prometheus.now());
    let from = form.time("start")?.unwrap_or(to - SERIES_WINDOW_MS);
    let mut found: Vec<Series> = Vec::new();
    let mut any = false;
    for text in form.all("match[]") {
        any = true;
        let (name, matchers) = selector(text)?;
        found.extend(prometheus.tsdb.select(
            name.as_deref(),
            |labels: &Labels| promql::passes(&matchers, labels),
            from,
            to,
        ));
    }
    if !any {
        found = prometheus.tsdb.select(None, |_| true, from, to);
    }
    found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    found.dedup_by(|a, b| a.labels == b.labels);
    Ok(found)
}

fn selector(text: &str) -> Result<(Option<String>, Matchers), QueryError> {
    match promql::parse(text)? {
        Expr::VectorSelector(selector) => {
            Ok((promql::metric_name(&selector).map(str::to_owned), selector.matchers))
        }
        _ => Err(QueryError::BadData(format!("invalid parameter \"match[]\": not a selector: {text}"))),
    }
}

async fn metadata(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery) -> Answer {
    let form = Form::read(url.as_deref(), &[]);
    let wanted = form.get("metric").filter(|metric| !metric.is_empty());
    let limit = form.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let all = prometheus.tsdb.all_metadata();
    let entries = all
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == **name))
        .take(limit)
        .map(|(name, is)| ((*name).to_owned(), json!([{"type": is.kind, "help": is.help, "unit": ""}])));
    Ok(success(Json_::Object(entries.collect())))
}

async fn rules(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery) -> Answer {
    let only_recording = Form::read(url.as_deref(), &[]).get("type") == Some("record");
    let groups = if only_recording { Vec::new() } else { prometheus.rules.groups() };
    Ok(success(render::rules(&groups)))
}

async fn alerts(State(prometheus): State<Prometheus>) -> Answer {
    Ok(success(render::alerts(&prometheus.rules.groups())))
}

async fn targets(State(prometheus): State<Prometheus>, RawQuery(url): RawQuery) -> Answer {
    let dropped_only = Form::read(url.as_deref(), &[]).get("state") == Some("dropped");
    let to = prometheus.now();
    let is_up = |labels: &Labels| labels.get(NAME) == "up";
    let found = prometheus.tsdb.select(Some("up"), is_up, to - promql::LOOKBACK_MS, to);
    let active = if dropped_only { Vec::new() } else { found };
    Ok(success(render::targets(&active)))
}

async fn alertmanagers(State(prometheus): State<Prometheus>) -> Answer {
    let url = format!("{}/api/v2/alerts", prometheus.alertmanager_url);
    Ok(success(json!({"activeAlertmanagers": [{"url": url}], "droppedAlertmanagers": []})))
}

async fn buildinfo() -> Answer {
    Ok(success(json!({
        "version": "2.42.0", "revision": "lab", "branch": "HEAD", "buildUser": "covet-tui lab",
        "buildDate": "20230131-14:38:12", "goVersion": "",
    })))
}

async fn config(State(prometheus): State<Prometheus>) -> Answer {
    Ok(success(json!({"yaml": loaded(&prometheus).config})))
}

/// What the server runs; what was there at its start, as long as nobody reloaded.
fn loaded(prometheus: &Prometheus) -> Loaded {
    prometheus.signals.write(|shown| {
        let server = &mut shown.server;
        let since = match server.serving {
            Serving::Yes { since } => since.max(prometheus.started),
            _ => prometheus.started,
        };
        let mounted = server.mounted.as_ref().map(|(config, ..)| config.clone()).unwrap_or_default();
        server.loaded.get_or_insert(Loaded { config: mounted, at: since, refused: false }).clone()
    })
}

/// Answers as a server that is down, or that replays its log, would.
async fn gate(State(prometheus): State<Prometheus>, request: Request, next: Next) -> Response {
    let serving = prometheus.signals.read(|shown| shown.server.serving);
    let path = request.uri().path();
    match serving {
        Serving::Yes { .. } => next.run(request).await,
        Serving::Replays { .. } if matches!(path, "/-/healthy" | "/api/v1/status/walreplay") => {
            next.run(request).await
        }
        Serving::Replays { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response(),
        Serving::No => {
            let says = "no endpoints available for service \"prometheus-server\"\n";
            (StatusCode::SERVICE_UNAVAILABLE, says).into_response()
        }
    }
}

async fn walreplay(State(prometheus): State<Prometheus>) -> Answer {
    let (current, last) = match prometheus.signals.read(|shown| shown.server.serving) {
        Serving::Replays { current, last } => (current, last),
        _ => (0, 0),
    };
    Ok(success(json!({"min": 0, "max": last, "current": current})))
}

async fn tsdb_status(State(prometheus): State<Prometheus>) -> Answer {
    let series = prometheus
        .tsdb
        .select(None, |_| true, prometheus.now() - promql::LOOKBACK_MS, prometheus.now())
        .len();
    Ok(success(json!({"headStats": {"numSeries": series, "chunkCount": series}})))
}

/// Loads the files as they are in the container now, or refuses and goes on.
async fn reload(State(prometheus): State<Prometheus>) -> Response {
    let before = loaded(&prometheus);
    let files = prometheus.signals.read(|shown| shown.server.mounted.clone()).unwrap_or_default();
    let (config, rules, _) = files;
    let sound = sound(&config)
        .and_then(|()| prometheus.rules.replace(&rules, prometheus.speed).map_err(|why| why.to_string()));
    let loaded = match &sound {
        Ok(()) => Loaded { config, at: (prometheus.clock)(), refused: false },
        Err(_) => Loaded { refused: true, ..before },
    };
    prometheus.signals.write(|shown| shown.server.loaded = Some(loaded));
    match sound {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => {
            let says = format!(
                "failed to reload config: couldn't load configuration (--config.file=\"/etc/config/prometheus.yml\"): {why}\n"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, says).into_response()
        }
    }
}

fn sound(config: &str) -> Result<(), String> {
    const KNOWN: [&str; 7] =
        ["global", "rule_files", "scrape_configs", "alerting", "remote_write", "remote_read", "storage"];
    let value: Json_ = serde_saphyr::from_str(config)
        .map_err(|why| format!("parsing YAML file /etc/config/prometheus.yml: {why}"))?;
    match value.as_object().and_then(|top| top.keys().find(|key| !KNOWN.contains(&key.as_str()))) {
        Some(key) => Err(format!(
            "parsing YAML file /etc/config/prometheus.yml: yaml: unmarshal errors: field {key} not found in type config.plain"
        )),
        None => Ok(()),
    }
}

async fn runtimeinfo(State(prometheus): State<Prometheus>) -> Answer {
    let loaded = loaded(&prometheus);
    Ok(success(json!({
        "startTime": prometheus.started.to_string(), "CWD": "/", "reloadConfigSuccess": !loaded.refused,
        "lastConfigTime": loaded.at.to_string(), "corruptionCount": 0, "goroutineCount": 1,
        "GOMAXPROCS": 1, "GOGC": "", "GODEBUG": "", "storageRetention": "6h",
    })))
}
