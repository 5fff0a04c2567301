//! ConfigMaps and Secrets as suspects: which a Deployment references, which are missing, which changed lately.
//! Metadata only.

use jiff::SignedDuration;

use crate::domain::{
    Cause, ConfigObject, ContainerState, Deployment, Edit, Evidence, Key, Kind, Name, ObjectRef, Origin, Pod,
    Template, Timestamp, between, cause, is_made_by_the_cluster, text,
};

use super::Scene;
use super::suspicion::looping_since;
use super::workload::{Bindings, evidence};

/// How long before the onset a change of configuration is suspected (audit, section 4: crash-loop).
const BLAME: SignedDuration = SignedDuration::from_hours(1);
/// Clocks differ, and onsets are estimates.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Names the configuration of a template that is missing or changed shortly before the onset; `owners` are those of
/// the pods, where these can prove a change right or wrong.
pub(super) fn blame(
    scene: &Scene<'_>,
    (template, owners): (&Template, &[&Key]),
    onset: Timestamp,
    causes: &mut Vec<Cause>,
    facts: &mut Vec<Evidence>,
    bindings: &mut Bindings,
) {
    for object in missing(scene, template) {
        let origin = if object.kind == Kind::Secret { Origin::Secrets } else { Origin::ConfigMaps };
        let line = evidence(origin, None, format!("{} {} does not exist", object.kind, object.key.name));
        if !facts.contains(&line) {
            facts.push(line);
        }
    }
    let Some(edited) = edited_before(scene, (template, owners), onset) else { return };
    facts.push(edited.fact);
    causes.push(edited.cause);
    bindings.insert("changed_object", edited.object);
    // What a proven cause named stays: it is the one to mend.
    if !bindings.contains_key("missing_object") {
        bindings.extend([edited.binding]);
    }
}

/// An edit that may be what broke it.
pub(super) struct Edited {
    pub at: Timestamp,
    pub fact: Evidence,
    pub cause: Cause,
    /// `config_map` or `secret`, and its name.
    pub binding: (&'static str, String),
    /// `Secret web-db`.
    pub object: String,
}

/// The last edit, before the onset, of what a template refers to; `owners` as for [`blame`].
pub(super) fn edited_before(
    scene: &Scene<'_>,
    (template, owners): (&Template, &[&Key]),
    onset: Timestamp,
) -> Option<Edited> {
    let (object, edit) = changed_before(scene, template, owners, onset)?;
    let at = edit.at;
    let before = if at <= onset {
        format!("{} before it began", text::span(between(at, onset)))
    } else {
        "as it began".to_owned()
    };
    let by = edit.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let says = format!("{} {} was changed {before}{by}", object.kind, object.key.name);
    let origin = if object.kind == Kind::Secret { Origin::Secrets } else { Origin::ConfigMaps };
    let binding = if object.kind == Kind::Secret { "secret" } else { "config_map" };
    Some(Edited {
        at,
        fact: evidence(origin, Some(at), says.clone()),
        cause: Cause { name: cause::CONFIG_CHANGED, says, weight: 0.6 },
        binding: (binding, object.key.name.to_string()),
        object: format!("{} {}", object.kind, object.key.name),
    })
}

/// What a template needs and is known not to exist.
pub(super) fn missing<'a>(scene: &Scene<'_>, template: &'a Template) -> impl Iterator<Item = &'a ObjectRef> {
    let (secrets, config_maps) = (&scene.snapshot.secrets, &scene.snapshot.config_maps);
    let needed = template.references.iter().filter(|reference| !reference.optional);
    needed.map(|reference| &reference.object).filter(move |object| {
        let table = if object.kind == Kind::Secret { secrets } else { config_maps };
        table.is_listed() && table.get(&object.key).is_none() && !is_made_by_the_cluster(&object.key.name)
    })
}

/// The longest that the kubelet waits before it tries again, and a little (kubelet: back-off up to 5 min).
const TRIES_AGAIN: SignedDuration = SignedDuration::from_mins(6);

/// That what pods need was written after the last of them tried, and none has tried since: nothing is in their way now,
/// as far as can be seen.
pub(super) fn corrected<'o>(
    scene: &Scene<'_>,
    needed: impl Iterator<Item = &'o ObjectRef>,
    tried: Timestamp,
    bindings: &mut Bindings,
) -> Option<Cause> {
    let written = needed.filter_map(|object| {
        let table =
            if object.kind == Kind::Secret { &scene.snapshot.secrets } else { &scene.snapshot.config_maps };
        let found = table.get(&object.key)?;
        Some((found.edited.as_ref().map_or(found.created, |edit| edit.at.max(found.created)), object))
    });
    let (at, object) = written.max_by(|(at, one), (later, other)| at.cmp(later).then(one.cmp(other)))?;
    if at <= tried || scene.now.duration_since(at) > TRIES_AGAIN {
        return None;
    }
    let named = format!("{} {}", object.kind, object.key.name);
    let ago = text::span(between(at, scene.now));
    let says = format!("{named} was written {ago} ago, after the last try: the next is within 5m");
    bindings.insert("changed_object", named);
    Some(Cause { name: cause::CORRECTED, says, weight: 0.95 })
}

/// As [`blame`], for a Deployment, whose pods belong to its ReplicaSets.
pub(super) fn blame_of(
    scene: &Scene<'_>,
    deployment: &Deployment,
    onset: Timestamp,
    causes: &mut Vec<Cause>,
    facts: &mut Vec<Evidence>,
    bindings: &mut Bindings,
) {
    let owners: Vec<&Key> = scene.revisions(deployment).iter().map(|set| &set.key).collect();
    blame(scene, (&deployment.template, &owners), onset, causes, facts, bindings);
}

/// A container that started with what was written then, and has run well for this long, speaks for it.
const PROVEN: SignedDuration = SignedDuration::from_mins(5);

/// Whether a pod of these owners started after a change and works with it: the change is not what the others die of.
fn is_proven(scene: &Scene<'_>, owners: &[&Key], changed: Timestamp) -> bool {
    let is_theirs = |pod: &Pod| {
        let owner = pod.owner.as_ref().map(|owner| &*owner.name);
        owners.iter().any(|one| one.namespace == pod.key.namespace && Some(&*one.name) == owner)
    };
    let works = |pod: &Pod| {
        pod.is_ready()
            && pod.containers.iter().filter(|container| !container.init).all(|container| {
                match container.state {
                    ContainerState::Running { since: Some(since) } => {
                        since > changed && scene.now.duration_since(since) >= PROVEN
                    }
                    _ => false,
                }
            })
    };
    scene.snapshot.pods.iter().any(|pod| is_theirs(pod) && works(pod))
}

/// The referenced object that was changed last before the onset, within the window. What was changed while pods were
/// crashing already is a remedy, whether or not it helped.
fn changed_before<'a>(
    scene: &Scene<'a>,
    template: &Template,
    owners: &[&Key],
    onset: Timestamp,
) -> Option<(&'a ConfigObject, &'a Edit)> {
    template
        .references
        .iter()
        .filter_map(|reference| match reference.object.kind {
            Kind::Secret => scene.snapshot.secrets.get(&reference.object.key),
            _ => scene.snapshot.config_maps.get(&reference.object.key),
        })
        .filter_map(|object| Some((object, object.edited.as_ref()?)))
        // One that is as old as its last write was created, not changed.
        .filter(|(object, edit)| edit.at > object.created)
        .filter(|(_, edit)| {
            let slack = if edit.is_ours() { SignedDuration::ZERO } else { SLACK };
            edit.at.duration_since(onset) <= slack && onset.duration_since(edit.at) <= BLAME
        })
        .filter(|(_, edit)| !owners.iter().any(|owner| looping_since(scene, owner, edit.at).is_some()))
        .filter(|(_, edit)| !is_proven(scene, owners, edit.at))
        .max_by(|(one, edit), (other, later)| edit.at.cmp(&later.at).then_with(|| other.key.cmp(&one.key)))
}

/// How long before the onset a NetworkPolicy is suspected: what it cuts off is missed soon (audit, section 5: changes
/// explain what follows within 15 minutes).
const CUT_OFF: SignedDuration = SignedDuration::from_mins(15);

/// What a container says that cannot reach what it needs, or nothing that is known.
const LACKS_OTHERS: &[&str] = &[
    cause::CRASH,
    cause::DATABASE_UNREACHABLE,
    cause::LIVENESS_KILLED,
    cause::STARTUP_KILLED,
    cause::READINESS,
];

/// Names the NetworkPolicy that was written just before, where what is wrong may be for want of a way to others and
/// nothing else was changed.
pub(super) fn blame_policy(
    scene: &Scene<'_>,
    namespace: &Name,
    onset: Timestamp,
    causes: &mut Vec<Cause>,
    bindings: &mut Bindings,
) {
    if causes.is_empty() || !causes.iter().all(|cause| LACKS_OTHERS.contains(&cause.name)) {
        return;
    }
    let policies = scene.snapshot.network_policies.iter().filter(|one| one.key.namespace == *namespace);
    let written = policies.map(|one| (one.edited.as_ref().map_or(one.created, |edit| edit.at), one));
    let before = written
        .filter(|(at, _)| at.duration_since(onset) <= SLACK && onset.duration_since(*at) <= CUT_OFF)
        .max_by(|(at, one), (later, other)| at.cmp(later).then_with(|| other.key.cmp(&one.key)));
    let Some((at, policy)) = before else { return };
    let name = &policy.key.name;
    let when = if at <= onset {
        format!("{} before it began", text::span(between(at, onset)))
    } else {
        "as it began".to_owned()
    };
    let says = format!("NetworkPolicy {name} was written {when}: it may cut off what is needed");
    causes.push(Cause { name: cause::NETWORK_POLICY, says, weight: 0.6 });
    bindings.insert("network_policy", name.to_string());
}
