//! ConfigMaps and Secrets as suspects: which a Deployment references, which are missing, which changed lately.
//! Metadata only.

use jiff::SignedDuration;

use crate::domain::{
    Cause, ConfigObject, Deployment, Evidence, Kind, Origin, Timestamp, between, cause, text,
};

use super::Scene;
use super::workload::{Bindings, evidence};

/// How long before the onset a change of configuration is suspected (audit, section 4: crash-loop).
const BLAME: SignedDuration = SignedDuration::from_hours(1);
/// Clocks differ, and onsets are estimates.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Names the configuration that is missing or changed shortly before the onset.
pub(super) fn blame(
    scene: &Scene<'_>,
    deployment: &Deployment,
    onset: Timestamp,
    causes: &mut Vec<Cause>,
    facts: &mut Vec<Evidence>,
    bindings: &mut Bindings,
) {
    for reference in deployment.template.references.iter().filter(|reference| !reference.optional) {
        let (table, origin) = match reference.object.kind {
            Kind::Secret => (&scene.snapshot.secrets, Origin::Secrets),
            _ => (&scene.snapshot.config_maps, Origin::ConfigMaps),
        };
        if table.is_listed() && table.get(&reference.object.key).is_none() {
            let says = format!("{} {} does not exist", reference.object.kind, reference.object.key.name);
            let line = evidence(origin, None, says);
            if !facts.contains(&line) {
                facts.push(line);
            }
        }
    }
    let Some((object, at)) = changed_before(scene, deployment, onset) else { return };
    let before = if at <= onset {
        format!("{} before it began", text::span(between(at, onset)))
    } else {
        "as it began".to_owned()
    };
    let by = object.modified_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let says = format!("{} {} was changed {before}{by}", object.kind, object.key.name);
    let origin = if object.kind == Kind::Secret { Origin::Secrets } else { Origin::ConfigMaps };
    facts.push(evidence(origin, Some(at), says.clone()));
    causes.push(Cause { name: cause::CONFIG_CHANGED, says, weight: 0.6 });
    // What a proven cause named stays: it is the one to mend.
    let binding = if object.kind == Kind::Secret { "secret" } else { "config_map" };
    if !bindings.contains_key("missing_object") {
        bindings.insert(binding, object.key.name.to_string());
    }
}

/// The referenced object that was changed last before the onset, within the window.
fn changed_before<'a>(
    scene: &Scene<'a>,
    deployment: &Deployment,
    onset: Timestamp,
) -> Option<(&'a ConfigObject, Timestamp)> {
    deployment
        .template
        .references
        .iter()
        .filter_map(|reference| match reference.object.kind {
            Kind::Secret => scene.snapshot.secrets.get(&reference.object.key),
            _ => scene.snapshot.config_maps.get(&reference.object.key),
        })
        .filter_map(|object| Some((object, object.modified?)))
        // One that is as old as its last write was created, not changed.
        .filter(|(object, at)| *at > object.created)
        .filter(|(_, at)| at.duration_since(onset) <= SLACK && onset.duration_since(*at) <= BLAME)
        .max_by(|(one, at), (other, other_at)| at.cmp(other_at).then_with(|| other.key.cmp(&one.key)))
}
