//! What the cluster would tell about the settings nobody made: for `config show` and `config init`.

use std::time::Duration;

use tokio::time::timeout;

use super::prometheus::Prometheus;
use super::tls::of_ingresses;
use super::traffic::Queries;
use crate::config::{self, Settings, Source, Sourced, discovery};

/// Longer than this nobody waits for a table.
const PATIENCE: Duration = Duration::from_secs(8);

/// The settings, with what was found and where. What cannot be found stays as it was.
pub async fn discover(settings: &Settings) -> Settings {
    let mut found = settings.clone();
    // Whatever was found when the time is over stays found.
    let _ = timeout(PATIENCE, fill(&mut found)).await;
    found
}

async fn fill(settings: &mut Settings) {
    let client = config::client(settings).await.ok();
    if let Some(client) = &client {
        if settings.alertmanager_url.is_none()
            && let Ok(Some(found)) = discovery::alertmanager(client).await
        {
            settings.alertmanager_url.from = Source::Discovered(found.object);
        }
        if settings.prometheus.url.is_none()
            && let Ok(Some(found)) = discovery::prometheus(client).await
        {
            settings.prometheus.url.from = Source::Discovered(found.object);
        }
        if settings.tls_hosts.is_empty()
            && let Ok(targets) = of_ingresses(client, settings.namespace.one()).await
        {
            let mut value: Vec<String> = targets.into_iter().map(|target| target.host).collect();
            value.sort();
            value.dedup();
            if !value.is_empty() {
                settings.tls_hosts = Sourced { value, from: Source::Discovered("ingresses".into()) };
            }
        }
    }
    if let Ok(prometheus) = super::prometheus::find(settings, client.as_ref()).await {
        name_metrics(settings, &prometheus).await;
    }
}

async fn name_metrics(settings: &mut Settings, prometheus: &Prometheus) {
    let Ok(queries) = Queries::discover(settings, prometheus).await else { return };
    let by = Source::Discovered("Prometheus".into());
    let names = &mut settings.prometheus;
    for (slot, name) in [
        (&mut names.requests, &queries.requests),
        (&mut names.latency, &queries.latency),
        (&mut names.status_label, &queries.status_label),
    ] {
        if slot.is_none() && name.is_some() {
            *slot = Sourced { value: name.clone(), from: by.clone() };
        }
    }
}
