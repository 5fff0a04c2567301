//! The doctor's checks of the systems beside Kubernetes.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::doctor::DoctorRow;
use super::kubernetes::names::Names;
use super::{alertmanager, postgres, prometheus, redis, tls};
use crate::config::net::dns::{Answered, Dns, RecordType, ask};
use crate::config::{ConnectError, DatabaseRefusal, Settings};
use crate::domain::{BlindKind, Fact, Handshake, Timestamp, text};

/// A check takes at most this long, whatever the clients' own patience adds up to.
const PATIENCE: Duration = Duration::from_secs(20);

/// All of them at once.
pub(super) async fn outside(
    settings: &Settings,
    client: Option<&kube::Client>,
    now: Timestamp,
) -> Vec<DoctorRow> {
    let (prometheus, alertmanager, database, cache, mut hosts, mut resolvers) = tokio::join!(
        check("Prometheus", ask_prometheus(settings, client)),
        check("Alertmanager", ask_alertmanager(settings, client, now)),
        check("PostgreSQL", ask_database(settings, client)),
        check("Redis", ask_cache(settings)),
        certificates(settings, client, now),
        resolvers(settings),
    );
    let mut rows = vec![prometheus, alertmanager, database, cache];
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
        Fact::Alerts { alerts, silences } => {
            Ok(format!("{}, {}", text::count(alerts.len(), "alert"), text::count(silences.len(), "silence")))
        }
        _ => Ok(String::new()),
    }
}

async fn ask_database(settings: &Settings, client: Option<&kube::Client>) -> Result<String, ConnectError> {
    let target = postgres::target(settings)?.through(client.cloned());
    let way = target.way().to_string();
    let session = target.look().await.map_err(DatabaseRefusal::into_error)?;
    let capacity = postgres::capacity(&session).await.map_err(DatabaseRefusal::into_error)?;
    let unseen = postgres::unseen(&session).await.map_err(DatabaseRefusal::into_error)?;
    let mut says = format!("{way}; {} of {} usable connections in use", capacity.used, capacity.usable());
    if settings.database_cpus.is_none() {
        says.push_str("; its load is not judged: set [database] cpus");
    }
    for unseen in unseen {
        says.push_str(&format!("; not to be seen: {unseen}"));
    }
    Ok(says)
}

async fn ask_cache(settings: &Settings) -> Result<String, ConnectError> {
    let Some(url) = settings.redis_url.as_deref().filter(|url| *url != "off") else {
        let repair = "set REDIS_URL, e.g. redis://cache.example.com:6379";
        return Err(ConnectError::new(BlindKind::NotConfigured, "no cache was given", repair));
    };
    let mut connection = redis::open(url).await?;
    redis::ping(&mut connection).await?;
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
