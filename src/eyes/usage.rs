//! CPU and memory in use: from the metrics API, else from Prometheus, else blind with the reason.

use std::collections::HashMap;
use std::time::Duration;

use prometheus_http_query::response::InstantVector;
use serde::Deserialize;
use tokio::time::timeout;

use super::api_server::{Session, Sessions, session};
use super::kubernetes::names::Names;
use super::kubernetes::page::{get, refused_or_absent};
use super::kubernetes::wire::{Amounts, Meta};
use super::prometheus::{Found, Prometheus};
use super::tell::{Backoff, Tell, Unheard};
use super::trouble::Trouble;
use crate::config::{ConnectError, Scope};
use crate::domain::{BlindKind, Fact, Grant, Key, Name, Origin, Usage, UsageSource, refused_user};

/// Between two looks. The metrics server itself looks each 15 to 60 s.
const EVERY: Duration = Duration::from_secs(20);
/// For large clusters, where each look is megabytes.
const SELDOM: Duration = Duration::from_mins(1);
const LARGE: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(15);
const GROUP: &str = "metrics.k8s.io";

#[derive(Deserialize)]
struct List<T> {
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct PodWire {
    #[serde(default)]
    metadata: Meta,
    containers: Option<Vec<ContainerWire>>,
}

#[derive(Deserialize)]
struct ContainerWire {
    #[serde(default)]
    name: String,
    usage: Option<Amounts>,
}

#[derive(Deserialize)]
struct NodeWire {
    #[serde(default)]
    metadata: Meta,
    usage: Option<Amounts>,
}

/// Looks for ever.
pub(super) async fn watch(scope: Scope, mut sessions: Sessions, prometheus: Found, tell: Tell) {
    let mut names = Names::default();
    let mut backoff = Backoff::new(Duration::from_secs(3), SELDOM);
    while let Some(session) = session(&mut sessions).await {
        let (pods, nodes) = tokio::join!(pods(&session, &scope), nodes(&session));
        let known = prometheus.borrow().clone();
        let told = async {
            let seen = tell_pods(pods, &scope, known.as_deref(), &mut names, &tell).await?;
            tell_nodes(nodes, known.as_deref(), &mut names, &tell).await?;
            Ok::<usize, Unheard>(seen)
        };
        match told.await {
            // Nothing yet: a metrics server that has just started, or none at all.
            Ok(0) => tell.rest(backoff.next()).await,
            Ok(seen) => {
                backoff.reset();
                tell.rest(if seen > LARGE { SELDOM } else { EVERY }).await;
            }
            Err(Unheard) => return,
        }
    }
}

async fn ask<T: serde::de::DeserializeOwned>(session: &Session, path: &str) -> Result<Vec<T>, Trouble> {
    let request = get(path, &[], "application/json")?;
    let asked = timeout(PATIENCE, session.client.request::<List<T>>(request)).await;
    match asked.map_err(|_| Trouble::TimedOut(PATIENCE))? {
        Ok(list) => Ok(list.items.unwrap_or_default()),
        Err(error) => Err(refused_or_absent(&session.client, GROUP, error.into()).await),
    }
}

async fn pods(session: &Session, scope: &Scope) -> Result<Vec<PodWire>, Trouble> {
    let within = scope.one().map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
    ask(session, &format!("/apis/metrics.k8s.io/v1beta1/{within}pods")).await
}

async fn nodes(session: &Session) -> Result<Vec<NodeWire>, Trouble> {
    ask(session, "/apis/metrics.k8s.io/v1beta1/nodes").await
}

async fn tell_pods(
    pods: Result<Vec<PodWire>, Trouble>,
    scope: &Scope,
    prometheus: Option<&Prometheus>,
    names: &mut Names,
    tell: &Tell,
) -> Result<usize, Unheard> {
    let trouble = match pods {
        Ok(pods) => {
            let mut usage = Vec::with_capacity(pods.len());
            for pod in &pods {
                let Some(key) = pod.metadata.key(names) else { continue };
                for container in pod.containers.iter().flatten() {
                    usage.push((
                        (key.clone(), names.shared(&container.name)),
                        amount(container.usage.as_ref()),
                    ));
                }
            }
            tell.fact(Origin::PodUsage, Fact::PodUsage(UsageSource::MetricsServer, usage)).await?;
            return Ok(pods.len());
        }
        Err(trouble) => trouble,
    };
    match second_pods(scope, prometheus, names).await {
        Some(usage) => {
            let seen = usage.len();
            tell.fact(Origin::PodUsage, Fact::PodUsage(UsageSource::Prometheus, usage)).await?;
            Ok(seen)
        }
        None => tell.blind(Origin::PodUsage, explain(&trouble, "pods", scope.one())).await.map(|()| 0),
    }
}

async fn tell_nodes(
    nodes: Result<Vec<NodeWire>, Trouble>,
    prometheus: Option<&Prometheus>,
    names: &mut Names,
    tell: &Tell,
) -> Result<(), Unheard> {
    let trouble = match nodes {
        Ok(nodes) => {
            let usage = nodes
                .iter()
                .filter_map(|node| Some((node.metadata.key(names)?.name, amount(node.usage.as_ref()))))
                .collect();
            return tell.fact(Origin::NodeUsage, Fact::NodeUsage(UsageSource::MetricsServer, usage)).await;
        }
        Err(trouble) => trouble,
    };
    match second_nodes(prometheus, names).await {
        Some(usage) => tell.fact(Origin::NodeUsage, Fact::NodeUsage(UsageSource::Prometheus, usage)).await,
        None => tell.blind(Origin::NodeUsage, explain(&trouble, "nodes", None)).await,
    }
}

fn amount(raw: Option<&Amounts>) -> Usage {
    let quantities = Amounts::quantities(raw);
    Usage {
        cpu_milli: quantities.cpu_milli.unwrap_or_default(),
        memory_bytes: quantities.memory_bytes.unwrap_or_default(),
    }
}

/// From cAdvisor's series. None when Prometheus isn't there or has none of them.
async fn second_pods(
    scope: &Scope,
    prometheus: Option<&Prometheus>,
    names: &mut Names,
) -> Option<Vec<((Key, Name), Usage)>> {
    let within = scope.one().map(|namespace| format!(",namespace=\"{namespace}\"")).unwrap_or_default();
    let which = format!("{{container!=\"\",container!=\"POD\"{within}}}");
    let by = "namespace, pod, container";
    let (cpu, memory) = both(prometheus?, &which, by).await?;
    let mut usage: HashMap<(Key, Name), Usage> = HashMap::new();
    for (series, is_cpu) in cpu.iter().map(|series| (series, true)).chain(memory.iter().map(|s| (s, false))) {
        let label = |name: &str| series.metric().get(name).map(String::as_str).unwrap_or_default();
        let key = Key { namespace: names.shared(label("namespace")), name: names.shared(label("pod")) };
        let entry = usage.entry((key, names.shared(label("container")))).or_default();
        add(entry, series.sample().value(), is_cpu);
    }
    Some(usage.into_iter().collect())
}

async fn second_nodes(prometheus: Option<&Prometheus>, names: &mut Names) -> Option<Vec<(Name, Usage)>> {
    let (cpu, memory) = both(prometheus?, "{id=\"/\",node!=\"\"}", "node").await?;
    let mut usage: HashMap<Name, Usage> = HashMap::new();
    for (series, is_cpu) in cpu.iter().map(|series| (series, true)).chain(memory.iter().map(|s| (s, false))) {
        let node = series.metric().get("node").map(String::as_str).unwrap_or_default();
        add(usage.entry(names.shared(node)).or_default(), series.sample().value(), is_cpu);
    }
    Some(usage.into_iter().collect())
}

async fn both(
    prometheus: &Prometheus,
    which: &str,
    by: &str,
) -> Option<(Vec<InstantVector>, Vec<InstantVector>)> {
    let cpu = format!("sum by ({by}) (rate(container_cpu_usage_seconds_total{which}[2m]))");
    let memory = format!("sum by ({by}) (container_memory_working_set_bytes{which})");
    let (cpu, memory) = tokio::try_join!(prometheus.instant(&cpu), prometheus.instant(&memory)).ok()?;
    (!cpu.is_empty() || !memory.is_empty()).then_some((cpu, memory))
}

fn add(usage: &mut Usage, value: f64, is_cpu: bool) {
    if !value.is_finite() || value < 0.0 {
        return;
    }
    if is_cpu {
        usage.cpu_milli += (value * 1000.0).round() as u64;
    } else {
        usage.memory_bytes += value as u64;
    }
}

fn explain(trouble: &Trouble, resource: &str, namespace: Option<&Name>) -> ConnectError {
    let no_other = "and Prometheus has no usage either";
    match trouble {
        Trouble::Absent | Trouble::Answered(503, _) => ConnectError::new(
            BlindKind::NotConfigured,
            format!("no metrics server answers (metrics.k8s.io), {no_other}"),
            "install metrics-server, or give a Prometheus that scrapes cAdvisor",
        ),
        Trouble::Forbidden(message) => {
            let grant = Grant {
                verbs: &["get", "list"],
                group: "metrics.k8s.io",
                resource,
                namespace: namespace.map(|namespace| &**namespace),
                user: refused_user(message),
            };
            ConnectError::new(
                BlindKind::Refused,
                format!("may not list {resource} of metrics.k8s.io (403), {no_other}"),
                &format!("let an admin run: {}", grant.as_command()),
            )
        }
        other => other.explain(),
    }
}
