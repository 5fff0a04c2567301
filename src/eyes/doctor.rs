//! Every connection, credential and permission, tried once, with what to do about each that fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::needs::{Need, Where, Who, needs};
use super::trouble::Trouble;
use crate::config::access::Asked;
use crate::config::{self, ConnectError, Settings};
use crate::domain::{BlindKind, Timestamp, text};

/// No check takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One check and how it went.
#[derive(Clone, Debug)]
pub struct DoctorRow {
    pub what: String,
    /// Nothing has to be done about it.
    pub ok: bool,
    /// It is not there, and nobody asked for it.
    pub absent: bool,
    pub latency: Option<Duration>,
    pub says: String,
    pub repair: Option<String>,
}

impl DoctorRow {
    pub(super) fn good(what: impl Into<String>, latency: Duration, says: impl AsRef<str>) -> Self {
        let says = text::redact(&text::clean(says.as_ref()));
        Self { what: what.into(), ok: true, absent: false, latency: Some(latency), says, repair: None }
    }

    /// Something that was fine, without a time worth telling.
    pub(super) fn found(what: impl Into<String>, says: impl AsRef<str>) -> Self {
        Self { latency: None, ..Self::good(what, Duration::ZERO, says) }
    }

    pub(super) fn bad(what: impl Into<String>, error: ConnectError) -> Self {
        // What nobody configured is no failure.
        let absent = error.kind == BlindKind::NotConfigured;
        Self { what: what.into(), ok: absent, absent, latency: None, says: error.why, repair: error.repair }
    }
}

/// Tries everything the settings lead to. `clock` tells which certificates have expired; with `rights`, what changes
/// need is told right by right.
pub async fn doctor(settings: &Settings, clock: fn() -> Timestamp, rights: bool) -> Vec<DoctorRow> {
    let mut rows = Vec::new();
    let began = Instant::now();
    let client = match config::client(settings).await {
        Ok(client) => {
            let context = settings.context.as_deref().unwrap_or("in cluster");
            rows.push(DoctorRow::good("kubeconfig", began.elapsed(), format!("context {context}")));
            Some(client)
        }
        Err(error) => {
            let (ok, absent) = (false, false);
            rows.push(DoctorRow { ok, absent, ..DoctorRow::bad("kubeconfig", error) });
            None
        }
    };
    if let Some(client) = &client {
        rows.push(version(client).await);
        if let Some(namespace) = settings.namespace.one()
            && let Err(trouble) = super::kubernetes::page::exists(client, namespace).await
        {
            rows.push(DoctorRow::bad(format!("namespace {namespace}"), trouble.explain()));
        }
    }
    rows.extend(Box::pin(super::doctor_outside::outside(settings, client.as_ref(), clock)).await);
    if let Some(client) = &client {
        rows.extend(permissions(client, settings, rights).await);
    }
    rows
}

/// The rows as a person reads them.
pub fn doctor_table(rows: &[DoctorRow]) -> String {
    let wide = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in rows {
        let mark = match (row.ok, row.absent) {
            (true, false) => "ok  ",
            (true, true) => "–   ",
            (false, _) => "FAIL",
        };
        let took = row.latency.map(text::span).unwrap_or_default();
        lines.push(format!("{mark}  {:<wide$}  {took:>6}  {}", row.what, row.says).trim_end().to_owned());
        if let Some(repair) = &row.repair {
            lines.push(format!("      {:wide$}          → {repair}", ""));
        }
    }
    lines.join("\n")
}

async fn ask(client: &kube::Client, request: http::Request<Vec<u8>>) -> Result<Value, Trouble> {
    match timeout(PATIENCE, client.request::<Value>(request)).await {
        Ok(answer) => answer.map_err(Trouble::from),
        Err(_) => Err(Trouble::TimedOut(PATIENCE)),
    }
}

async fn version(client: &kube::Client) -> DoctorRow {
    let what = "API server";
    let began = Instant::now();
    let answered = match super::kubernetes::page::get("/version", &[], "application/json") {
        Ok(request) => ask(client, request).await,
        Err(trouble) => Err(trouble),
    };
    match answered {
        Ok(version) => DoctorRow::good(what, began.elapsed(), version["gitVersion"].as_str().unwrap_or("?")),
        Err(trouble) => DoctorRow::bad(what, trouble.explain()),
    }
}

/// One SelfSubjectAccessReview for each need, sixteen at a time; told resource by resource.
async fn permissions(client: &kube::Client, settings: &Settings, rights: bool) -> Vec<DoctorRow> {
    let user = who(client).await;
    let user = user.as_deref();
    let found = timeout(PATIENCE, config::discovery::prometheus(client)).await;
    let monitoring = found.ok().and_then(Result::ok).flatten().map(|found| found.namespace);
    let monitoring = monitoring.as_deref();
    let absent = absent_groups(client).await;
    let asked = needs()
        .filter(|need| !absent.contains(&need.group))
        .filter(|need| need.by != Who::Hands || !*settings.read_only)
        .filter(|need| need.at != Where::Monitoring || monitoring.is_some())
        .map(|need| async move {
            let namespace = need.namespace(&settings.namespace, monitoring);
            review(client, need, namespace).await
        });
    let reviews: Vec<Review> = futures::stream::iter(asked).buffered(16).collect().await;
    let mut rows = Vec::new();
    let (changes, reads): (Vec<&Review>, Vec<&Review>) =
        reviews.iter().partition(|review| review.need.by == Who::Hands && !rights);
    let mut rest = &reads[..];
    while let Some(first) = rest.first() {
        let (alike, others) = rest.split_at(rest.iter().take_while(|other| first.goes_with(other)).count());
        rows.push(permission(alike, user));
        rest = others;
    }
    rows.extend(to_change(&changes));
    rows.extend(absent.into_iter().map(|group| DoctorRow {
        absent: true,
        ..DoctorRow::found(group, "not installed in this cluster: no rights are needed")
    }));
    rows
}

/// The groups we could use and the API server does not serve. None are known where it does not say.
async fn absent_groups(client: &kube::Client) -> Vec<&'static str> {
    let Ok(request) = super::kubernetes::page::get("/apis", &[], "application/json") else {
        return Vec::new();
    };
    let Ok(answer) = ask(client, request).await else { return Vec::new() };
    let served: Vec<&str> = answer["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["name"].as_str())
        .collect();
    let wanted: BTreeSet<&str> = needs().map(|need| need.group).filter(|group| !group.is_empty()).collect();
    wanted.into_iter().filter(|group| !served.is_empty() && !served.contains(group)).collect()
}

/// What the API server said of one need.
struct Review {
    need: Need,
    namespace: Option<String>,
    /// Whether it is allowed; where it is not, perhaps with a reason.
    answer: Result<Result<(), Option<String>>, Trouble>,
    took: Duration,
}

impl Review {
    /// Another verb on the same.
    fn goes_with(&self, other: &Review) -> bool {
        let of = |review: &Review| {
            let need = review.need;
            (need.by, need.group, need.resource, need.subresource, review.namespace.clone())
        };
        of(self) == of(other)
    }
}

/// Our name for the API server (SelfSubjectReview, since Kubernetes 1.28).
async fn who(client: &kube::Client) -> Option<String> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes())
        .ok()?;
    let answer = ask(client, request).await.ok()?;
    answer.pointer("/status/userInfo/username").and_then(Value::as_str).map(str::to_owned)
}

async fn review(client: &kube::Client, need: Need, namespace: Option<String>) -> Review {
    let began = Instant::now();
    let request = config::access::review(&Asked {
        verb: need.verb,
        group: need.group,
        resource: need.resource,
        subresource: need.subresource,
        namespace: namespace.as_deref().unwrap_or_default(),
        name: "",
    });
    let answered = match request {
        Ok(request) => ask(client, request).await,
        Err(error) => Err(Trouble::Undecodable(error.to_string())),
    };
    let answer = answered.map(|answer| {
        let reason = answer["status"]["reason"].as_str().filter(|reason| !reason.is_empty());
        if answer["status"]["allowed"] == true { Ok(()) } else { Err(reason.map(str::to_owned)) }
    });
    Review { need, namespace, answer, took: began.elapsed() }
}

/// What was said of all that changes need: whoever only looks needs none of it.
fn to_change(reviews: &[&Review]) -> Option<DoctorRow> {
    let what = "may change things";
    let took = reviews.iter().map(|review| review.took).max()?;
    if let Some(trouble) = reviews.iter().find_map(|review| review.answer.as_ref().err()) {
        return Some(DoctorRow::bad(what, trouble.explain()));
    }
    let missing = reviews.iter().filter(|review| matches!(review.answer, Ok(Err(_)))).count();
    let all = text::count(reviews.len(), "right");
    if missing == 0 {
        return Some(DoctorRow::good(what, took, format!("all {all}")));
    }
    let error = ConnectError::new(
        BlindKind::Refused,
        format!("{missing} of {all} missing, read-only use is fine"),
        "covet-tui doctor --rights names each and the command that grants it; with --read-only none is needed",
    );
    Some(DoctorRow { latency: Some(took), ..DoctorRow::bad(what, error) })
}

/// What was said of the verbs on one resource.
fn permission(reviews: &[&Review], user: Option<&str>) -> DoctorRow {
    let Review { need, namespace, .. } = reviews[0];
    let verbs = |of: &dyn Fn(&Review) -> bool| -> Vec<&'static str> {
        reviews.iter().copied().filter(|review| of(review)).map(|review| review.need.verb).collect()
    };
    let place = namespace.as_deref().map_or("cluster-wide".to_owned(), |namespace| format!("in {namespace}"));
    let what = format!("may {} {} {place}", verbs(&|_| true).join(" and "), need.full_resource());
    let took = reviews.iter().map(|review| review.took).max().unwrap_or_default();
    if let Some(trouble) = reviews.iter().find_map(|review| review.answer.as_ref().err()) {
        return DoctorRow::bad(what, trouble.explain());
    }
    let refused = verbs(&|review| matches!(review.answer, Ok(Err(_))));
    if refused.is_empty() {
        return DoctorRow::good(what, took, "allowed");
    }
    let without = match need.by {
        Who::Eyes => "a panel is blind without it",
        Who::Probes => "some steps cannot read without it",
        Who::Hands => "some changes will be refused",
    };
    let which = if refused.len() < reviews.len() {
        format!("may not {}", refused.join(", "))
    } else {
        "not allowed".into()
    };
    let mut reasons =
        reviews.iter().filter_map(|review| review.answer.as_ref().ok()?.as_ref().err()?.as_ref());
    let reason = reasons.next().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let error = ConnectError::new(
        BlindKind::Refused,
        format!("{which}: {without}{reason}"),
        &need.rule(&refused, namespace.as_deref(), user),
    );
    DoctorRow { latency: Some(took), ..DoctorRow::bad(what, error) }
}
