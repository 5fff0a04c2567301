//! The doctor's checks of the systems beside Kubernetes.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::doctor::DoctorRow;
use super::kubernetes::names::Names;
use super::kubernetes::page::get;
use super::{alertmanager, postgres, prometheus, tls};
use crate::config::aws::{Aws, find_cluster, host_of, is_rds, region_of};
use crate::config::net::dns::{Answered, Dns, RecordType, ask};
use crate::config::{self, ConnectError, DatabaseRefusal, Settings};
use crate::domain::{BlindKind, Fact, Handshake, Timestamp, aws_region, text};

/// A check takes at most this long, whatever the clients' own patience adds up to.
const PATIENCE: Duration = Duration::from_secs(20);

/// All of them at once.
pub(super) async fn outside(
    settings: &Settings,
    client: Option<&kube::Client>,
    clock: fn() -> Timestamp,
) -> Vec<DoctorRow> {
    let now = clock();
    let (prometheus, alertmanager, database, cache, aws, machines, mut hosts, mut resolvers) = tokio::join!(
        check("Prometheus", ask_prometheus(settings, client)),
        check("Alertmanager", ask_alertmanager(settings, client, now)),
        check("PostgreSQL", ask_database(settings, client)),
        check("Redis", ask_cache(settings)),
        check("AWS", ask_aws(settings, client, clock)),
        check("SSH", ask_a_machine(settings, client)),
        certificates(settings, client, now),
        resolvers(settings),
    );
    let mut rows = vec![prometheus, alertmanager, database, cache, aws, machines];
    rows.append(&mut resolvers);
    rows.append(&mut hosts);
    rows
}

async fn check(what: &str, asked: impl Future<Output = Result<String, ConnectError>>) -> DoctorRow {
    let began = Instant::now();
    match timeout(PATIENCE, asked).await {
        Ok(Ok(says)) => DoctorRow::good(what, began.elapsed(), says),
        Ok(Err(error)) => DoctorRow::bad(what, error),
        Err(_) => {
            let why = format!("no answer within {} s", PATIENCE.as_secs());
            DoctorRow::bad(what, ConnectError::new(BlindKind::Unreachable, why, "check the network path"))
        }
    }
}

async fn ask_prometheus(settings: &Settings, client: Option<&kube::Client>) -> Result<String, ConnectError> {
    let prometheus = prometheus::find(settings, client).await?;
    let up = prometheus.instant("sum(up)").await?;
    let targets = up.first().map_or(0.0, |series| series.sample().value());
    let queries = super::traffic::Queries::discover(settings, &prometheus).await?;
    Ok(format!("{targets:.0} targets up; {}", queries.summary()))
}

async fn ask_alertmanager(
    settings: &Settings,
    client: Option<&kube::Client>,
    now: Timestamp,
) -> Result<String, ConnectError> {
    let door = alertmanager::find(settings, client).await?;
    match alertmanager::look(&door, &mut Names::default(), now).await? {
        Fact::Alerts { alerts, silences, .. } => {
            Ok(format!("{}, {}", text::count(alerts.len(), "alert"), text::count(silences.len(), "silence")))
        }
        _ => Ok(String::new()),
    }
}

async fn ask_database(settings: &Settings, client: Option<&kube::Client>) -> Result<String, ConnectError> {
    let target = postgres::target(settings)?.through(client.cloned());
    let way = target.way().to_string();
    let failed = |refusal: DatabaseRefusal| {
        let error = refusal.into_error();
        ConnectError { why: format!("{way}; {}", error.why), ..error }
    };
    let session = target.look().await.map_err(failed)?;
    let capacity = postgres::capacity(&session).await.map_err(failed)?;
    let unseen = postgres::unseen(&session).await.map_err(failed)?;
    let mut says = format!("{way}; {} of {} usable connections in use", capacity.used, capacity.usable());
    if settings.database_cpus.is_none() {
        says.push_str("; its load is not judged: set [database] cpus");
    }
    for unseen in unseen {
        says.push_str(&format!("; not to be seen: {unseen}"));
    }
    if let Some(unexplained) = postgres::unexplained(&session).await.map_err(failed)? {
        says.push_str(&format!("; {unexplained}"));
    }
    Ok(says)
}

async fn ask_cache(settings: &Settings) -> Result<String, ConnectError> {
    let Some(url) = settings.redis_url.as_deref().filter(|url| *url != "off") else {
        let repair = "set REDIS_URL, e.g. redis://cache.example.com:6379";
        return Err(ConnectError::new(BlindKind::NotConfigured, "no cache was given", repair));
    };
    let mut connection = config::redis::open(url).await?;
    config::redis::ping(&mut connection).await?;
    Ok("PONG".into())
}

/// This machine's resolvers, and those of the world that they are compared with. Any answer will do.
async fn resolvers(settings: &Settings) -> Vec<DoctorRow> {
    let dns = Dns::of(settings);
    let ours = dns.system_servers().into_iter().map(|server| (server, true));
    let all: Vec<_> = ours.chain(dns.public.iter().map(|server| (*server, false))).collect();
    let asked = all.into_iter().map(|(server, ours)| async move {
        let began = Instant::now();
        let answered = ask(server, ".", RecordType::NS, true).await;
        let what = format!("DNS {server}");
        match answered {
            Answered::Silent(why) if ours => {
                let repair = "check this machine's resolver, or name one in [dns] system";
                DoctorRow::bad(what, ConnectError::new(BlindKind::Unreachable, why, repair))
            }
            // Many networks let nobody ask outside: only the comparison is lost.
            Answered::Silent(why) => {
                DoctorRow::found(what, format!("{why}: names cannot be compared with what the world sees"))
            }
            _ => DoctorRow::good(what, began.elapsed(), "answers"),
        }
    });
    futures::future::join_all(asked).await
}

/// Who calls, and where; and the database's cluster, if it is at RDS.
async fn ask_aws(
    settings: &Settings,
    client: Option<&kube::Client>,
    clock: fn() -> Timestamp,
) -> Result<String, ConnectError> {
    let Some(aws) = Aws::of(&settings.aws) else {
        let repair = "set AWS_PROFILE or [aws] profile, if the cluster is at AWS";
        return Err(ConnectError::new(BlindKind::NotConfigured, "no AWS credentials were given", repair));
    };
    let host = settings.database_url.as_deref().and_then(host_of).filter(|host| is_rds(host));
    let nodes = match host.as_deref().and_then(region_of) {
        Some(region) => Some(region.to_owned()),
        None => nodes_region(client).await,
    };
    let session = aws.session(nodes.as_deref(), clock).await?;
    let identity = session.identity().await?;
    let mut says = format!("{} in {}", identity.arn, session.region);
    if let Some(nodes) = nodes.filter(|nodes| *nodes != session.region) {
        says.push_str(&format!("; the nodes or the database are in {nodes}"));
    }
    if host.is_some() || settings.aws.db_cluster.is_some() {
        let cluster = find_cluster(&session, settings.aws.db_cluster.as_deref(), host.as_deref()).await?;
        says.push_str(&format!("; database {}, {}", cluster.name, cluster.status));
    }
    Ok(says)
}

/// The region of any node; None when there is none to be seen.
async fn nodes_region(client: Option<&kube::Client>) -> Option<String> {
    let nodes = kube::Api::<k8s_openapi::api::core::v1::Node>::all(client?.clone());
    let listed = nodes.list(&kube::api::ListParams::default().limit(1)).await.ok()?;
    let id = listed.items.first()?.spec.as_ref()?.provider_id.clone()?;
    aws_region(&id)
}

/// Logs in to one node's machine, the first by name.
async fn ask_a_machine(settings: &Settings, client: Option<&kube::Client>) -> Result<String, ConnectError> {
    let Some(ssh) = config::Outside::of(settings).ssh else {
        let repair = "set [ssh] user, e.g. ec2-user";
        return Err(ConnectError::new(
            BlindKind::NotConfigured,
            "nobody logs in to the nodes' machines",
            repair,
        ));
    };
    let unknown = || ConnectError::new(BlindKind::NotConfigured, "not tried: no node can be listed", "");
    let request = get("/api/v1/nodes", &[("limit", "1".to_owned())], "application/json");
    let request = request.map_err(|_| unknown())?;
    let list = client.ok_or_else(unknown)?.request::<serde_json::Value>(request).await;
    let list = list.map_err(|_| unknown())?;
    let node = list.pointer("/items/0").ok_or_else(unknown)?;
    let name = node.pointer("/metadata/name").and_then(serde_json::Value::as_str).unwrap_or_default();
    let machine = ssh.connect(&ssh.address(name, node)?).await?;
    let root = machine.look_as_root(&["true"], Duration::from_secs(5)).await;
    let says = match (machine.is_root(), root) {
        (true, _) => format!("logged in to {name} ({}) as root", machine.host()),
        (false, Ok(_)) => format!("logged in to {name} ({}), with sudo", machine.host()),
        (false, Err(none)) => format!("logged in to {name} ({}); {none}", machine.host()),
    };
    machine.close().await;
    Ok(says)
}

async fn certificates(settings: &Settings, client: Option<&kube::Client>, now: Timestamp) -> Vec<DoctorRow> {
    let hosts = match timeout(PATIENCE, tls::look(settings, client, now)).await {
        Ok(hosts) if !hosts.is_empty() => hosts,
        _ => return Vec::new(),
    };
    hosts.iter().flatten().map(certificate).collect()
}

fn certificate(row: &Handshake) -> DoctorRow {
    let what = format!("TLS {}:{}", row.host, row.port);
    let bad = |why: String, repair: &str| {
        DoctorRow::bad(what.clone(), ConnectError::new(BlindKind::Broken, why, repair))
    };
    match &row.served {
        Ok(served) if served.distrust.is_none() => {
            let left = text::span_short(crate::domain::between(row.at, served.not_after));
            DoctorRow::found(what, format!("{left} left, by {}", served.issuer))
        }
        Ok(served) => {
            let why = served.distrust.as_deref().unwrap_or_default();
            bad(format!("not trusted: {why}"), "renew or reissue it, or trust its authority on this machine")
        }
        Err(why) => bad(why.to_string(), "check the load balancer, DNS and the port"),
    }
}
