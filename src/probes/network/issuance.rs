//! cert-manager's own objects: Certificates as a list, and why one of them is (not) issued: its requests, orders,
//! challenges and issuer. Kinds that are not installed are said to be so.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::Asking;
use super::issuer;
use crate::domain::{Key, Kind, ObjectRef, Timestamp, Tone, between, cause, text};
use crate::probes::answer::{Answer, ago, columns};
use crate::probes::object::{annotation, condition, items, name, number, string, time, uid};
use crate::probes::trouble::{Trouble, TroubleKind};

pub(super) async fn list(asking: &Asking<'_>, namespace: &str) -> Result<Answer, Trouble> {
    let Some(found) = installed(asking, Kind::Certificate, namespace).await? else {
        return Ok(Answer::failed("cert-manager's Certificates are not installed in this cluster"));
    };
    let mut answer = Answer::new();
    let mut rows = vec![(
        Tone::Heading,
        ["CERTIFICATE", "READY", "LEFT", "RENEWAL", "SECRET", "NAMES"].map(str::to_owned).to_vec(),
    )];
    let mut unready = Vec::new();
    for one in &found {
        let ready = condition(one, "Ready").map_or("?", |row| string(row, "/status"));
        let ends = time(one, "/status/notAfter");
        if ready != "True" {
            unready.push(name(one));
        }
        let tone = if ready == "True" { Tone::Plain } else { Tone::Bad };
        rows.push((
            tone,
            vec![
                name(one).to_owned(),
                ready.to_owned(),
                ends.map_or_else(|| "?".into(), |ends| left(ends, asking.now)),
                time(one, "/status/renewalTime").map_or_else(|| "?".into(), |at| when(at, asking.now)),
                string(one, "/spec/secretName").to_owned(),
                names(one).join(", "),
            ],
        ));
    }
    let (tones, cells): (Vec<Tone>, Vec<Vec<String>>) = rows.into_iter().unzip();
    answer.lines(tones.into_iter().zip(columns(&cells)));
    let all = text::count(found.len(), "Certificate");
    if unready.is_empty() {
        answer.summary(format!("{all}, all Ready"));
    } else {
        answer.summary(format!("{} of {all} not Ready: {}", unready.len(), unready.join(", ")));
    }
    Ok(answer)
}

/// The names a Certificate stands for.
pub(super) fn names(certificate: &Value) -> Vec<String> {
    let listed = items(certificate, "/spec/dnsNames").iter().filter_map(Value::as_str);
    let common = Some(string(certificate, "/spec/commonName")).filter(|name| !name.is_empty());
    let mut names: Vec<String> = listed.chain(common).map(str::to_owned).collect();
    names.dedup();
    names
}

fn left(ends: Timestamp, now: Timestamp) -> String {
    if ends <= now { "expired".into() } else { text::span_short(between(now, ends)) }
}

fn when(at: Timestamp, now: Timestamp) -> String {
    if at <= now {
        format!("{} ago", text::span_short(between(at, now)))
    } else {
        format!("in {}", text::span_short(between(now, at)))
    }
}

/// All objects of a kind, or None when the cluster does not know it.
pub(super) async fn installed(
    asking: &Asking<'_>,
    kind: Kind,
    namespace: &str,
) -> Result<Option<Vec<Value>>, Trouble> {
    match asking.cluster.list(kind, namespace, "", "").await {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.is(TroubleKind::Absent) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// The objects that lead from a Certificate to its authority, the newest of each.
pub(super) struct Chain {
    pub certificate: Value,
    pub request: Option<Value>,
    pub order: Option<Value>,
    pub challenges: Vec<Value>,
}

pub(super) async fn chain(asking: &Asking<'_>, key: &Key) -> Result<Option<Chain>, Trouble> {
    let object = ObjectRef::new(Kind::Certificate, key.clone());
    let Some(certificate) = asking.cluster.find(&object).await? else { return Ok(None) };
    let of = |kind| installed(asking, kind, &key.namespace);
    let requests = of(Kind::CertificateRequest).await?.unwrap_or_default();
    let is_ours = |one: &Value| {
        annotation(one, "cert-manager.io/certificate-name") == Some(&key.name) || owns(&certificate, one)
    };
    let request = newest(requests, is_ours);
    let orders = of(Kind::Order).await?.unwrap_or_default();
    let order = request.as_ref().and_then(|request| newest(orders, |one| owns(request, one)));
    let challenges = of(Kind::Challenge).await?.unwrap_or_default();
    let challenges = match &order {
        Some(order) => challenges.into_iter().filter(|one| owns(order, one)).collect(),
        None => Vec::new(),
    };
    Ok(Some(Chain { certificate, request, order, challenges }))
}

fn owns(owner: &Value, one: &Value) -> bool {
    !uid(owner).is_empty()
        && items(one, "/metadata/ownerReferences")
            .iter()
            .any(|reference| string(reference, "/uid") == uid(owner))
}

fn newest(all: Vec<Value>, is_ours: impl Fn(&Value) -> bool) -> Option<Value> {
    all.into_iter().filter(|one| is_ours(one)).max_by_key(|one| {
        (
            time(one, "/metadata/creationTimestamp"),
            annotation(one, "cert-manager.io/certificate-revision").map(str::to_owned),
        )
    })
}

pub(super) async fn check(asking: &Asking<'_>, key: &Key) -> Result<Answer, Trouble> {
    let Some(chain) = chain(asking, key).await? else {
        return Ok(Answer::failed(&format!("Certificate {} does not exist", key.name)));
    };
    let mut answer = Answer::new();
    let mut first = None;
    certificate(&mut answer, &chain.certificate, asking.now, &mut first);
    if let Some(request) = &chain.request {
        step(&mut answer, "request", request, asking.now, &mut first);
    }
    if let Some(order) = &chain.order {
        step(&mut answer, "order", order, asking.now, &mut first);
    }
    for one in &chain.challenges {
        challenge(&mut answer, one, &mut first);
    }
    if chain.request.is_none() {
        answer.line(Tone::Dim, "no CertificateRequest is kept for it: nothing is being issued");
    }
    let issuer = issuer::look(asking, key, &chain.certificate).await?;
    issuer.tell(&mut answer, &mut first);
    rate_limit(&mut answer, &chain, asking.now, &mut first);
    match first {
        None => answer.summary(format!("{}: nothing stands in the way of issuing it", key.name)),
        Some(says) => {
            answer.not_ok();
            answer.summary(format!("{}: {says}", key.name));
        }
    }
    Ok(answer)
}

fn certificate(answer: &mut Answer, found: &Value, now: Timestamp, first: &mut Option<String>) {
    let attempts = number(found, "/status/failedIssuanceAttempts");
    let ends = time(found, "/status/notAfter").map_or_else(|| "never issued".into(), |ends| left(ends, now));
    answer.line(
        Tone::Plain,
        format!("certificate  {ends} left, revision {}", number(found, "/status/revision")),
    );
    answer.bind("dns_names", names(found).join(","));
    for kind in ["Ready", "Issuing"] {
        let Some(row) = condition(found, kind) else { continue };
        let bad =
            (kind == "Ready") != (string(row, "/status") == "True") || string(row, "/reason") == "Failed";
        let says = format!(
            "{kind}={} {}: {}",
            string(row, "/status"),
            string(row, "/reason"),
            string(row, "/message")
        );
        answer.line(if bad { Tone::Bad } else { Tone::Plain }, format!("  {says}"));
        if string(row, "/reason") == "Failed" {
            answer.found(cause::ISSUANCE_FAILING, string(row, "/message"));
        }
    }
    if attempts > 0 {
        let at = ago(time(found, "/status/lastFailureTime"), now);
        let says = format!("{}, the last {at} ago", text::count(attempts as usize, "failed attempt"));
        answer.line(Tone::Bad, format!("  {says}"));
        answer.bind("failed_attempts", attempts.to_string());
        answer.found(cause::ISSUANCE_FAILING, &says);
        first.get_or_insert(says);
    }
}

/// A CertificateRequest (by its condition) or an Order (by its state).
fn step(answer: &mut Answer, what: &str, object: &Value, now: Timestamp, first: &mut Option<String>) {
    let made = ago(time(object, "/metadata/creationTimestamp"), now);
    let (state, words) = match condition(object, "Ready") {
        Some(row) => (string(row, "/reason").to_owned(), string(row, "/message").to_owned()),
        None => (string(object, "/status/state").to_owned(), string(object, "/status/reason").to_owned()),
    };
    let bad = ["Failed", "Denied", "invalid", "errored", "expired"].contains(&state.as_str());
    let tone = if bad { Tone::Bad } else { Tone::Plain };
    answer.line(tone, format!("{what:<12} {} ({made} ago): {state} {words}", name(object)));
    if bad {
        answer.found(cause::ISSUANCE_FAILING, format!("{what} {state}: {words}"));
        // What is nearer to the authority says more.
        *first = Some(format!("{what} {state}: {words}"));
    }
}

fn challenge(answer: &mut Answer, one: &Value, first: &mut Option<String>) {
    let (kind, host) = (string(one, "/spec/type"), string(one, "/spec/dnsName"));
    let (state, reason) = (string(one, "/status/state"), string(one, "/status/reason"));
    let bad =
        matches!(state, "invalid" | "errored" | "expired") || (state == "pending" && !reason.is_empty());
    let tone = if bad { Tone::Bad } else { Tone::Plain };
    let presented = if one.pointer("/status/presented") == Some(&Value::Bool(true)) {
        "presented"
    } else {
        "not presented"
    };
    answer.line(tone, format!("challenge    {kind} for {host}: {state}, {presented} {reason}"));
    if bad {
        let cause = if kind == "DNS-01" { cause::CHALLENGE_DNS } else { cause::CHALLENGE_PATH };
        answer.found(cause, format!("{kind} for {host}: {reason}"));
        answer.bind("challenge_host", host);
        *first = Some(format!("{kind} challenge for {host} is {state}: {reason}"));
    }
}

/// What the authority says about too many attempts, and until when.
fn rate_limit(answer: &mut Answer, chain: &Chain, now: Timestamp, first: &mut Option<String>) {
    static LIMITED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)\b429\b|rateLimited|too many (?:certificates|failed|new orders)").ok()
    });
    let words = [Some(&chain.certificate), chain.request.as_ref(), chain.order.as_ref()];
    let words: Vec<String> = words
        .into_iter()
        .flatten()
        .map(|one| one.pointer("/status").map_or_else(String::new, ToString::to_string))
        .collect();
    let words = words.join(" ");
    if !LIMITED.as_ref().is_some_and(|limited| limited.is_match(&words)) {
        return;
    }
    let at = text::retry_after(&words);
    let says = match at {
        Some(at) if at > now => format!(
            "the authority limits our attempts until {} ({})",
            at.strftime("%Y-%m-%d %H:%MZ"),
            when(at, now)
        ),
        Some(at) => format!("the authority limited our attempts until {} ago", text::span(between(at, now))),
        None => "the authority limits our attempts (429)".to_owned(),
    };
    answer.line(Tone::Bad, &says);
    if at.is_none_or(|at| at > now) {
        answer.found(cause::ISSUANCE_RATE_LIMITED, &says);
        *first = Some(says);
    }
    if let Some(at) = at {
        answer.bind("retry_after", at.to_string());
    }
}
