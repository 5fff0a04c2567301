//! How well each origin is seen: when last, how old that is, and why it cannot be relied on.

use std::time::Duration;

use super::{Age, Blind, BlindKind, Origin, Snapshot, Timestamp, between, text};

/// Samples older than this are history (audit, section 3: 300 s).
const OLD_SAMPLES: Duration = Duration::from_secs(300);

/// When an origin was last seen, and what stands in the way now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sight {
    pub seen: Option<Timestamp>,
    pub blind: Option<Blind>,
    /// When it was tried last without success.
    pub tried: Option<Timestamp>,
}

impl Sight {
    /// For how long one attempt after another has found nobody listening where it should be: the host answers, and
    /// refuses the connection. None where it lets us in, says no, or is silent.
    pub fn closed_for(&self) -> Option<Duration> {
        let blind = self.blind.as_ref().filter(|blind| blind.kind == BlindKind::Unreachable)?;
        let is_closed = blind.why.to_lowercase().contains("connection refused");
        is_closed.then(|| between(blind.since, self.tried.unwrap_or(blind.since)))
    }
}

impl Snapshot {
    pub fn sight(&self, origin: Origin) -> Option<&Sight> {
        self.sights.get(&origin)
    }

    /// How old what is known from an origin is.
    ///
    /// A quiet watch is live as long as the API server answers; a polled origin goes stale after three
    /// missed polls.
    pub fn age(&self, origin: Origin, now: Timestamp) -> Age {
        let Some(sight) = self.sights.get(&origin) else {
            return match self.api_server_blind() {
                Some(blind) if origin.is_kubernetes() => Age::Blind(blind.clone(), None),
                _ => Age::Waiting,
            };
        };
        let seen = sight.seen.map(|seen| between(seen, now));
        if let Some(blind) = &sight.blind {
            return Age::Blind(blind.clone(), seen);
        }
        if let Some(blind) = self.api_server_blind().filter(|_| origin.is_kubernetes()) {
            return Age::Blind(blind.clone(), Some(between(blind.since, now)));
        }
        match seen {
            None => Age::Waiting,
            Some(seen) => match stale_after(origin) {
                Some(limit) if seen > limit => Age::Stale(seen),
                Some(_) => Age::Live(seen),
                None => Age::Live(self.heard_from_api_server(now).unwrap_or(seen)),
            },
        }
    }

    /// Why this origin can't be relied on now, if it can't. Waiting for the first sight counts: before a
    /// list is complete, nothing about what is absent is known.
    pub fn blindness(&self, origin: Origin, now: Timestamp) -> Option<Blind> {
        if let Some(blind) = self.half_dead(origin) {
            return Some(blind);
        }
        match self.age(origin, now) {
            Age::Live(_) if self.is_complete(origin) => None,
            Age::Blind(blind, _) => Some(blind),
            Age::Stale(age) => Some(Blind {
                kind: BlindKind::Unreachable,
                why: format!("no news from {} for {} s", origin.as_str(), age.as_secs()),
                repair: None,
                since: now - jiff::SignedDuration::try_from(age).unwrap_or_default(),
            }),
            Age::Waiting | Age::Live(_) => Some(Blind {
                kind: BlindKind::Unreachable,
                why: self.slow(origin).unwrap_or_else(|| format!("{} not listed yet", origin.as_str())),
                repair: None,
                since: now,
            }),
        }
    }

    /// Whether the first complete list of it is still under way: nothing failed, and little is known.
    pub fn is_awaited(&self, origin: Origin, now: Timestamp) -> bool {
        match self.age(origin, now) {
            Age::Waiting => true,
            Age::Live(_) => !self.is_complete(origin),
            Age::Stale(_) | Age::Blind(..) => false,
        }
    }

    /// What is asked of a Prometheus that takes its time is not here yet.
    fn slow(&self, origin: Origin) -> Option<String> {
        let asked = [Origin::Prometheus, Origin::Containers, Origin::AlertHistory].contains(&origin);
        self.monitoring_since.slow.filter(|_| asked)?;
        let took = self.monitoring.as_ref()?.took?;
        Some(format!("Prometheus needs {} for each answer: it has not told all yet", text::span(took)))
    }

    /// A Prometheus that answers but takes no samples knows nothing of now.
    fn half_dead(&self, origin: Origin) -> Option<Blind> {
        let monitoring = self.monitoring.as_ref().filter(|_| origin == Origin::Prometheus)?;
        let old = monitoring.stale.filter(|age| *age > OLD_SAMPLES)?;
        let since = self.monitoring_since.stopped.or(self.sights.get(&Origin::Monitoring)?.seen)?;
        Some(Blind {
            kind: BlindKind::Broken,
            why: format!("Prometheus answers, but its youngest sample is {} old", text::span(old)),
            repair: Some("see prom-down".into()),
            since,
        })
    }

    fn api_server_blind(&self) -> Option<&Blind> {
        self.sights.get(&Origin::ApiServer).and_then(|sight| sight.blind.as_ref())
    }

    fn heard_from_api_server(&self, now: Timestamp) -> Option<Duration> {
        let seen = self.sights.get(&Origin::ApiServer)?.seen?;
        Some(between(seen, now))
    }

    /// Whether a list was seen to its end.
    fn is_complete(&self, origin: Origin) -> bool {
        match origin {
            Origin::Pods => self.pods.is_listed(),
            Origin::Nodes => self.nodes.is_listed(),
            Origin::Deployments => self.deployments.is_listed(),
            Origin::ReplicaSets => self.replica_sets.is_listed(),
            Origin::StatefulSets => self.stateful_sets.is_listed(),
            Origin::DaemonSets => self.daemon_sets.is_listed(),
            Origin::ControllerRevisions => self.controller_revisions.is_listed(),
            Origin::Jobs => self.jobs.is_listed(),
            Origin::CronJobs => self.cron_jobs.is_listed(),
            Origin::Autoscalers => self.autoscalers.is_listed(),
            Origin::DisruptionBudgets => self.disruption_budgets.is_listed(),
            Origin::Events => self.events.is_listed(),
            Origin::Services => self.services.is_listed(),
            Origin::EndpointSlices => self.endpoint_slices.is_listed(),
            Origin::Ingresses => self.ingresses.is_listed(),
            Origin::PersistentVolumeClaims => self.claims.is_listed(),
            Origin::ConfigMaps => self.config_maps.is_listed(),
            Origin::Secrets => self.secrets.is_listed(),
            Origin::NetworkPolicies => self.network_policies.is_listed(),
            Origin::ResourceQuotas => self.quotas.is_listed(),
            Origin::LimitRanges => self.limit_ranges.is_listed(),
            Origin::Leases => self.leases.is_listed(),
            Origin::Certificates => self.certificates.is_listed(),
            _ => true,
        }
    }
}

/// After how long without news a polled origin is stale; None for watches, whose silence is normal.
fn stale_after(origin: Origin) -> Option<Duration> {
    match origin {
        Origin::ApiServer => Some(Duration::from_secs(5)),
        Origin::NodeDisks => Some(Duration::from_mins(5)),
        Origin::PodUsage | Origin::NodeUsage => Some(Duration::from_secs(90)),
        Origin::Prometheus | Origin::Alertmanager => Some(Duration::from_secs(45)),
        Origin::Containers => Some(Duration::from_mins(4)),
        Origin::Monitoring => Some(Duration::from_secs(60)),
        Origin::AlertHistory => Some(Duration::from_mins(5)),
        Origin::Postgres | Origin::Redis => Some(Duration::from_secs(15)),
        // Three looks, and what a slow answer takes.
        Origin::CloudWatch => Some(Duration::from_mins(4)),
        Origin::Tls => Some(Duration::from_mins(10)),
        Origin::Reach => Some(Duration::from_mins(3)),
        _ => None,
    }
}
