//! What to know before confirming: the guards of the audit, g1 to g10, looked up when a preview is made.
//! Reads only; a guard that cannot look says so instead of staying silent.

mod budget;
mod certificate;
mod connections;
pub(super) mod denylist;
mod elsewhere;
mod foresight;
mod keeper;
mod pause;
mod pulls;
mod quota;
mod restart;
mod run;
mod workload;
mod writer;

pub(super) use budget::{blockers, budgets};
pub(super) use elsewhere::elsewhere;
pub(super) use run::before_a_run;

use serde_json::Value;

use super::Hands;
use crate::domain::{Action, ObjectRef};
use crate::guard::{Guard, Hazard};
use crate::probes::trouble::Trouble;

/// What is about to happen.
pub(super) struct Scene<'a> {
    pub(super) action: &'a Action,
    pub(super) object: &'a ObjectRef,
    pub(super) before: Option<&'a Value>,
    /// By the dry run; the same as before where only pods go.
    pub(super) after: &'a Value,
    /// Pods that will be gone.
    pub(super) victims: &'a [Value],
}

/// Everything the guards have to say.
pub(super) async fn of(hands: &Hands, scene: &Scene<'_>) -> Vec<Hazard> {
    let (scaler, lacks, budget, quota, connections, foresight, evidence, denied, well, pause, pulls) = tokio::join!(
        workload::autoscaler(&hands.cluster, scene),
        workload::lacks(&hands.cluster, scene),
        budget::hazards(&hands.cluster, scene),
        quota::hazards(&hands.cluster, scene),
        connections::hazard(hands, scene),
        foresight::hazards(&hands.cluster, scene),
        workload::evidence(&hands.cluster, scene),
        denylist::hazards(hands, scene),
        restart::of_what_is_well(&hands.cluster, scene),
        pause::hazard(&hands.cluster, scene),
        pulls::hazard(&hands.cluster, scene, (hands.clock)()),
    );
    let mut hazards = Vec::new();
    hazards.extend(scaler);
    hazards.extend(lacks);
    hazards.extend(keeper::hazard(scene));
    hazards.extend(workload::rollout_in_flight(scene));
    hazards.extend(workload::held_back(scene));
    hazards.extend(workload::outage(scene));
    hazards.extend(budget);
    hazards.extend(quota);
    hazards.extend(connections);
    hazards.extend(foresight);
    hazards.extend(evidence);
    hazards.extend(denied);
    hazards.extend(well);
    hazards.extend(pause);
    hazards.extend(pulls);
    hazards.extend(run::suspends(scene));
    hazards.extend(restart::fine_log_level(scene));
    hazards.extend(certificate::hazard(scene, (hands.clock)()));
    hazards.extend(writer::hazard(scene, (hands.clock)()));
    hazards.sort_by_key(|hazard| std::cmp::Reverse(hazard.level));
    hazards
}

/// g8: the context is a protected one.
pub(super) fn protected(hands: &Hands) -> Option<Hazard> {
    let context = hands.protected.as_ref()?;
    Some(Hazard::warn(Guard::Protected, format!("{context} is a protected context")))
}

/// A guard that could not look.
fn blind(guard: Guard, what: &str, trouble: &Trouble) -> Hazard {
    Hazard::note(guard, format!("{what} could not be checked: {}", trouble.says))
}
