//! Reads on demand: logs, describe, SQL, HTTP. They change nothing.
//! Knows the outside systems; what it hands back is cleaned and redacted.

pub(crate) mod access;
pub mod alerting;
mod answer;
pub mod aws;
pub mod cluster;
mod describe;
mod detail;
pub mod events;
mod follow;
mod logins;
mod logs;
pub mod machine;
mod network;
mod nodes;
pub mod object;
mod pods;
pub(crate) mod postgres;
mod pull_secrets;
mod redis;
pub(crate) mod references;
mod revisions;
pub mod rollout;
pub mod trouble;
mod usage;
mod value;

use std::time::Duration;

use futures::Stream;
use tokio::time::Instant;

use crate::config::Outside;
use crate::domain::{Access, Action, Effect, Key, Name, ObjectRef, Reading, Timestamp, Tone};
use answer::Answer;
use cluster::Cluster;

pub use follow::LogLine;

/// Reads on demand.
#[derive(Clone)]
pub struct Probes {
    cluster: Cluster,
    clock: fn() -> Timestamp,
    outside: Outside,
}

/// Everything the detail view shows of one object.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Detail {
    pub describe: Vec<(Tone, String)>,
    pub events: Vec<(Tone, String)>,
    /// Without managedFields, Secret values masked.
    pub yaml: Vec<String>,
}

impl Probes {
    pub fn new(client: kube::Client, clock: fn() -> Timestamp, outside: Outside) -> Probes {
        Probes { cluster: Cluster::new(client), clock, outside }
    }

    /// With another deadline for each call to the API server.
    #[must_use]
    pub fn within(self, call: Duration) -> Probes {
        Probes { cluster: self.cluster.within(call), ..self }
    }

    /// Performs a read action. Never fails: a read that could not be done says why.
    pub async fn read(&self, action: &Action, now: Timestamp) -> Reading {
        let started = Instant::now();
        let answer = match self.answer(action, now).await {
            Ok(answer) => answer,
            Err(trouble) => Answer::new().unseen(&trouble.to_string()),
        };
        answer.into_reading((self.clock)().max(now), started.elapsed())
    }

    async fn answer(&self, action: &Action, now: Timestamp) -> Result<Answer, trouble::Trouble> {
        let cluster = &self.cluster;
        match action {
            Action::ListPods { namespace, selector, node, waiting } => {
                pods::list(cluster, namespace, selector.as_deref(), node.as_deref(), waiting, now).await
            }
            Action::ListNodes => nodes::list(cluster, now).await,
            Action::NodeAllocation { node } => nodes::allocation(cluster, node.as_deref()).await,
            Action::NodeDisk { node } => machine::disk(cluster, node).await,
            Action::NodeEvents { node } => machine::events(cluster, node, now).await,
            Action::NodeLease { node } => nodes::lease(cluster, node, now).await,
            Action::PodUsage { namespace, pods } => usage::pods(cluster, namespace, pods).await,
            Action::NodeUsage => usage::nodes(cluster).await,
            Action::ListReplicaSets { deployment } => revisions::list(cluster, deployment, now).await,
            Action::CompareRevisions { object } => revisions::compare(cluster, object, now).await,
            Action::RolloutStatus { object, timeout } => {
                revisions::status(cluster, object, *timeout, now).await
            }
            Action::ListEvents { about } => events::answer(cluster, about, now).await,
            Action::Describe { object } => describe::answer(cluster, object, now).await,
            Action::Logs { pods, container, previous, tail, since } => {
                logs::read(cluster, pods, container.as_ref(), *previous, *tail, *since).await
            }
            Action::CheckConfigMaps { object } => {
                references::check(cluster, object, crate::domain::Kind::ConfigMap, now).await
            }
            Action::CheckSecrets { object } => {
                references::check(cluster, object, crate::domain::Kind::Secret, now).await
            }
            Action::ListExternalSecrets { namespace } => {
                references::external_secrets(cluster, namespace).await
            }
            Action::LoginFailures { pods, since } => logins::read(cluster, pods, *since).await,
            Action::CheckPullSecrets { pod } => pull_secrets::check(cluster, pod).await,
            change if change.effect() != Effect::Read => Ok(Answer::failed("a change is no read")),
            Action::Postgres(sql) => postgres::read(&self.outside, cluster, sql).await,
            Action::Redis(command) => Ok(redis::read(&self.outside, command).await),
            Action::Alerting(call) => alerting::read(cluster, &self.outside, call, now).await,
            Action::Aws(call) => Ok(aws::read(&self.outside, call, self.clock, now).await),
            Action::Machine(command) => Ok(machine::read(cluster, &self.outside, command).await),
            Action::Network(probe) => network::read(cluster, &self.outside, probe, now).await,
            Action::Elsewhere { system, .. } => {
                Ok(Answer::failed(&format!("{} is not configured", system.as_str())))
            }
            _ => Ok(Answer::failed("there is no probe for this")),
        }
    }

    /// Whether the API server lets us do this; None when it did not say.
    pub async fn may(&self, access: &Access) -> Option<bool> {
        access::may(&self.cluster, access, "").await
    }

    /// Follows a container's log until dropped, from one container to its successor. Bounded: what isn't
    /// taken in time is dropped and counted. With `previous`, the last terminated container's log, to its end.
    pub fn follow(
        &self,
        pod: &Key,
        container: Option<Name>,
        previous: bool,
        tail: u32,
    ) -> impl Stream<Item = LogLine> + Send + use<> {
        follow::follow(self.cluster.clone(), pod.clone(), container, previous, tail)
    }

    /// The keys of a ConfigMap whose values are text.
    pub async fn config_keys(&self, config_map: &Key) -> Result<Vec<String>, String> {
        value::keys(&self.cluster, config_map).await
    }

    /// One value of a ConfigMap exactly as it is, for the person's editor; None when there is no such key.
    pub async fn config_value(&self, config_map: &Key, key: &str) -> Result<Option<String>, String> {
        value::of(&self.cluster, config_map, key).await
    }

    /// Everything about one object, for the detail view.
    pub async fn detail(&self, object: &ObjectRef, now: Timestamp) -> Result<Detail, String> {
        detail::detail(&self.cluster, object, now).await.map_err(|trouble| trouble.to_string())
    }
}
