//! What speaks against a step before anybody tries it, as far as the Snapshot shows. A playbook names the
//! guards; live checks (permissions, quotas, dry runs) belong to the preview, not here.

mod alerting;
mod database;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Action, Job, Kind, Pod, between, cause, text};

use super::Playbook;
use super::view::View;
use alerting::{critical, kept};
pub(super) use database::database_is_full;
use database::{database, explained, index, is_shut, owned, replica, root};

/// A guard by its name in a playbook.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Guard {
    /// An autoscaler owns the replica count and would override it within 15 s (g1, [V] D12).
    HpaOwnsReplicas,
    /// Argo CD, Flux or Helm would revert it (g2).
    GitopsOwner,
    /// The disruption budget has no room (g3).
    PdbHeadroom,
    /// Pods of an older revision are there to make way.
    OlderPods,
    /// The Deployment is paused: the API server refuses restarts and undos (g5).
    Paused,
    /// Another rollout is in flight (g5).
    AnotherRollout,
    /// The connection budget of the database has no room for more replicas (g6).
    DatabaseHeadroom,
    /// It would take the last ready replica (g9).
    LastReadyReplica,
    /// Logs of the previous container have not been read yet and would be lost (g10).
    EvidenceCaptured,
    /// The node has to be Ready for two minutes first.
    NodeReady,
    /// Only what this cockpit cordoned is uncordoned by its advice.
    CordonedByUs,
    /// The workload has to be on the list of those that may be shed.
    Whitelisted,
    /// A third of the nodes at once is not a node's problem: nothing is moved.
    FewNodes,
    /// There has to be a healthy earlier revision.
    HealthyRevision,
    /// Where the newest revision was rolled out and serves, an older one does not bring what is missing.
    RevisionServes,
    /// The replicas' new size has to fit on a node.
    NodeRoom,
    /// What is critical is not made quieter by advice (audit, section 4: critical SLO thresholds).
    NoCriticalRule,
    /// The rule has to be kept where it can be changed, as far as that was looked up.
    RuleIsKept,
    /// So has Alertmanager's configuration.
    ConfigIsKept,
    /// Building an index on a large table while every CPU is busy makes it worse.
    IndexAffordable,
    /// New pods have to find a connection, or their rollout gets stuck.
    DatabaseLetsIn,
    /// The replicas have to be close behind before reads are sent to them.
    ReplicaFresh,
    /// No run of a CronJob is on its way.
    NoRunActive,
    /// A superuser's session is not ended by anybody else.
    RootMayBeEnded,
    /// Indexes are their table's owner's to make and to drop.
    TableOwned,
    /// Where one statement takes most of the time, its plan is read first (audit, section 4).
    Explained,
}

impl Guard {
    pub const ALL: [(&'static str, Guard); 26] = [
        ("hpa-owns-replicas", Guard::HpaOwnsReplicas),
        ("gitops-owner", Guard::GitopsOwner),
        ("pdb-headroom", Guard::PdbHeadroom),
        ("older-pods", Guard::OlderPods),
        ("paused", Guard::Paused),
        ("another-rollout", Guard::AnotherRollout),
        ("database-headroom", Guard::DatabaseHeadroom),
        ("last-ready-replica", Guard::LastReadyReplica),
        ("evidence-captured", Guard::EvidenceCaptured),
        ("node-ready-2m", Guard::NodeReady),
        ("cordoned-by-us", Guard::CordonedByUs),
        ("whitelisted", Guard::Whitelisted),
        ("few-nodes", Guard::FewNodes),
        ("healthy-revision", Guard::HealthyRevision),
        ("revision-serves", Guard::RevisionServes),
        ("node-room", Guard::NodeRoom),
        ("no-critical-rule", Guard::NoCriticalRule),
        ("rule-is-kept", Guard::RuleIsKept),
        ("config-is-kept", Guard::ConfigIsKept),
        ("index-affordable", Guard::IndexAffordable),
        ("database-lets-in", Guard::DatabaseLetsIn),
        ("replica-fresh", Guard::ReplicaFresh),
        ("no-run-active", Guard::NoRunActive),
        ("root-may-be-ended", Guard::RootMayBeEnded),
        ("table-owned", Guard::TableOwned),
        ("explained", Guard::Explained),
    ];

    pub fn parse(name: &str) -> Option<Guard> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, guard)| *guard)
    }

    /// As written in a playbook.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, guard)| *guard == self).map_or("", |(name, _)| name)
    }
}

/// How a step stands before its guard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Fine,
    /// Worth knowing, no reason to hold back.
    Note(String),
    /// Another step has to be done first.
    First {
        step: String,
        why: String,
    },
    NotAdvised(String),
    Blocked(String),
}

/// How long a node has to be Ready before it gets pods again (audit, section 4).
const NODE_SETTLED: Duration = Duration::from_mins(2);
/// A rollout younger than this has not shown yet what it does.
const ROLLOUT_SETTLED: Duration = Duration::from_mins(1);

/// What a guard is asked about.
pub(super) struct Case<'a> {
    pub view: &'a View<'a>,
    pub playbook: &'a Playbook,
    pub action: Option<&'a Action>,
    pub values: &'a BTreeMap<String, String>,
}

impl Guard {
    pub(super) fn standing(self, case: &Case<'_>) -> Standing {
        let view = case.view;
        match self {
            Guard::HpaOwnsReplicas => hpa(view),
            Guard::GitopsOwner => keeper(case),
            Guard::PdbHeadroom => budget(case),
            Guard::Paused if view.deployment.is_some_and(|deployment| deployment.paused) => {
                Standing::Blocked("the Deployment is paused: resume it first".into())
            }
            Guard::OlderPods if !has_older_pods(view) => {
                Standing::NotAdvised("no pod of an older revision is left that could make way".into())
            }
            Guard::AnotherRollout => another_rollout(view),
            Guard::DatabaseHeadroom => database(view),
            Guard::LastReadyReplica => last_ready(case),
            Guard::EvidenceCaptured => evidence(case),
            Guard::NodeReady => node_ready(view),
            Guard::CordonedByUs => cordoned_by_us(case),
            Guard::Whitelisted => whitelisted(case),
            Guard::FewNodes if many_nodes(view) => {
                let (down, all) = view.nodes_down();
                Standing::NotAdvised(format!(
                    "{down} of {all} nodes at once: suspect the control plane or the network, move nothing"
                ))
            }
            Guard::HealthyRevision if !case.values.contains_key("good_revision") => {
                Standing::Blocked("no earlier revision is known to be healthy".into())
            }
            Guard::RevisionServes => revision_serves(view),
            Guard::NoCriticalRule => critical(case),
            Guard::RuleIsKept => kept(case, "rule_unkept"),
            Guard::ConfigIsKept => kept(case, "config_unkept"),
            Guard::NodeRoom if !case.values.contains_key("memory_suggestion") => {
                Standing::NotAdvised("no node is known to have room for more memory".into())
            }
            Guard::IndexAffordable => index(case.values),
            Guard::DatabaseLetsIn if is_shut(view) => Standing::NotAdvised(
                "new pods find no connection slot now: their rollout would get stuck".into(),
            ),
            Guard::DatabaseLetsIn => Standing::Fine,
            Guard::ReplicaFresh => replica(case.values),
            Guard::NoRunActive => run_active(case),
            Guard::RootMayBeEnded => root(case.values),
            Guard::TableOwned => owned(case),
            Guard::Explained => explained(case),
            Guard::OlderPods | Guard::Paused | Guard::FewNodes | Guard::HealthyRevision | Guard::NodeRoom => {
                Standing::Fine
            }
        }
    }
}

fn hpa(view: &View<'_>) -> Standing {
    match view.autoscaler {
        Some(scaler) => Standing::NotAdvised(format!(
            "HPA {} owns the replicas ({} to {}) and overrides this within 15 s: change its bounds instead",
            scaler.key.name, scaler.min, scaler.max
        )),
        None => Standing::Fine,
    }
}

fn keeper(case: &Case<'_>) -> Standing {
    let snapshot = case.view.snapshot();
    let object = case.action.and_then(Action::object);
    let keeper = match object {
        Some(object) if object.kind == Kind::ConfigMap => {
            snapshot.config_maps.get(&object.key).and_then(|found| found.keeper.as_ref())
        }
        Some(object) if object.kind == Kind::Secret => {
            snapshot.secrets.get(&object.key).and_then(|found| found.keeper.as_ref())
        }
        _ => case
            .view
            .deployment
            .map(|deployment| &deployment.keeper)
            .or(case.view.controller.map(|controller| &controller.keeper))
            .and_then(Option::as_ref),
    };
    match keeper {
        Some(keeper) => Standing::Note(format!(
            "{} ({}) manages it and will revert this: change it there too",
            keeper.tool, keeper.name
        )),
        None => Standing::Fine,
    }
}

/// Budgets without room whose pods are among the targets and still count as healthy.
fn budget(case: &Case<'_>) -> Standing {
    let view = case.view;
    let targets: Vec<&Pod> = match case.action {
        Some(Action::Drain { .. }) => view.on_node(),
        Some(Action::DeletePods { pods }) => {
            pods.iter().filter_map(|pod| view.snapshot().pods.get(&pod.key)).collect()
        }
        Some(Action::Evict { pod }) => view.snapshot().pods.get(&pod.key).into_iter().collect(),
        _ => Vec::new(),
    };
    let budgets = &view.snapshot().disruption_budgets;
    let mut full: Vec<&str> = budgets
        .iter()
        .filter(|budget| budget.allowed == 0)
        .filter(|budget| {
            targets.iter().any(|pod| {
                pod.key.namespace == budget.key.namespace
                    && pod.is_ready()
                    && budget.selector.matches(&pod.labels)
            })
        })
        .map(|budget| &*budget.key.name)
        .collect();
    full.sort_unstable();
    match (full.is_empty(), case.action) {
        (true, _) => Standing::Fine,
        (false, Some(Action::Drain { .. })) => {
            Standing::Note(format!("will wait for PDB {}, which allows no disruption now", full.join(", ")))
        }
        (false, _) => Standing::NotAdvised(format!("PDB {} allows no disruption now", full.join(", "))),
    }
}

fn has_older_pods(view: &View<'_>) -> bool {
    view.deployment.is_some_and(|deployment| deployment.status_replicas > deployment.updated)
}

fn revision_serves(view: &View<'_>) -> Standing {
    let serving = match (view.deployment, view.controller) {
        (Some(deployment), _) if deployment.was_completed() => deployment.available,
        (None, Some(controller)) if !controller.seems_to_roll() => controller.available,
        _ => 0,
    };
    if serving == 0 || view.has(cause::BAD_REVISION) {
        return Standing::Fine;
    }
    let serve = match serving {
        1 => "one pod of the newest revision serves".to_owned(),
        many => format!("{many} pods of the newest revision serve"),
    };
    Standing::NotAdvised(format!("{serve}: an older one does not bring what is missing"))
}

fn another_rollout(view: &View<'_>) -> Standing {
    let Some(deployment) = view.deployment else { return Standing::Fine };
    if deployment.observed_generation < deployment.generation {
        return Standing::NotAdvised("the last change has not been taken up yet: wait for it".into());
    }
    let young = view
        .revisions
        .first()
        .map(|newest| between(newest.created, view.facts.now))
        .filter(|age| *age < ROLLOUT_SETTLED && !deployment.is_rolled_out());
    match young {
        Some(age) => Standing::NotAdvised(format!(
            "another rollout began {} ago: let it show what it does",
            text::span(age)
        )),
        None => Standing::Fine,
    }
}

fn last_ready(case: &Case<'_>) -> Standing {
    let ready = case.view.ready();
    let taken = match case.action {
        Some(Action::DeletePods { pods }) => pods
            .iter()
            .filter(|pod| case.view.snapshot().pods.get(&pod.key).is_some_and(Pod::is_ready))
            .count(),
        Some(Action::Evict { pod }) => {
            usize::from(case.view.snapshot().pods.get(&pod.key).is_some_and(Pod::is_ready))
        }
        Some(Action::Scale { replicas: 0, .. }) => ready,
        _ => 0,
    };
    if taken > 0 && taken >= ready {
        return Standing::NotAdvised(match ready {
            1 => "it takes the last ready replica".into(),
            _ => format!("it takes all {ready} ready replicas"),
        });
    }
    Standing::Fine
}

/// Whether a previous log exists that no step has read yet.
fn evidence(case: &Case<'_>) -> Standing {
    let ended = case.view.failing().iter().any(|pod| pod.containers.iter().any(|row| row.last.is_some()));
    let reader =
        case.playbook.steps.iter().find(|step| step.todo.verb.name == "logs" && step.todo.flag("previous"));
    match reader {
        Some(reader) if ended && case.view.done(&reader.id).is_none() => Standing::First {
            step: reader.id.clone(),
            why: "the log of the crash goes with the pod: read it first".into(),
        },
        _ => Standing::Fine,
    }
}

fn node_ready(view: &View<'_>) -> Standing {
    let Some(node) = view.node else { return Standing::Blocked("the node is not known".into()) };
    let Some(ready) = node.condition("Ready").filter(|_| node.is_ready()) else {
        return Standing::NotAdvised("the node is not Ready yet".into());
    };
    if let Some(pressure) = node.pressures().next() {
        return Standing::NotAdvised(format!("the node still reports {}", pressure.kind));
    }
    let held = ready.since.map(|since| between(since, view.facts.now)).unwrap_or_default();
    if held < NODE_SETTLED {
        let left = text::span(NODE_SETTLED.saturating_sub(held));
        return Standing::NotAdvised(format!("Ready for {} only: wait {left} more", text::span(held)));
    }
    Standing::Fine
}

fn cordoned_by_us(case: &Case<'_>) -> Standing {
    match case.view.node {
        Some(node) if !node.unschedulable => Standing::NotAdvised("the node is not cordoned".into()),
        Some(_) if case.view.cordoned_by_us(case.playbook) => Standing::Fine,
        _ => Standing::NotAdvised("it was not this cockpit that cordoned the node: ask who did".into()),
    }
}

fn run_active(case: &Case<'_>) -> Standing {
    let snapshot = case.view.snapshot();
    let cron = case.action.and_then(Action::object).and_then(|object| snapshot.cron_jobs.get(&object.key));
    let running = cron.and_then(|cron| {
        let own = |job: &&Job| job.owner.as_ref().is_some_and(|owner| owner.uid == cron.uid);
        let open = |job: &&Job| !job.suspended && !job.is_complete() && job.gave_up().is_none();
        snapshot.jobs.iter().filter(own).filter(open).map(|job| &job.key.name).min()
    });
    match running {
        Some(job) => Standing::NotAdvised(format!("{job} is on its way: see how it ends")),
        None => Standing::Fine,
    }
}

fn whitelisted(case: &Case<'_>) -> Standing {
    let allowed = super::values::sheddable(case.view);
    let target = case.action.and_then(Action::object);
    match target {
        Some(object) if allowed.contains(&object.key) => Standing::Fine,
        Some(object) => {
            Standing::Blocked(format!("{} is not on the list of workloads that may be shed", object.key))
        }
        None if allowed.is_empty() => Standing::Blocked(format!(
            "not configured: which workloads may be shed; {}",
            r#"sheddable = ["namespace/name"]"#
        )),
        None => Standing::Blocked("none of the workloads that may be shed runs in this namespace".into()),
    }
}

/// At least two nodes, and at least 30 % of them (audit, section 4).
pub(super) fn many_nodes(view: &View<'_>) -> bool {
    let (down, all) = view.nodes_down();
    view.has(cause::CONTROL_PLANE) || (down >= 2 && down * 10 >= all * 3)
}
