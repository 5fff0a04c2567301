//! What is never suggested, whatever a playbook says: the "NOT suggested" column of the audit's decision
//! table (section 4), by action. It stays possible; a person may know better.

use std::time::Duration;

use serde_json::Value;

use crate::domain::{
    Action, Alerting, Container, ImageChange, Kind, ObjectRef, Pod, ReplicaSet, Sql, Strategy, Template,
    Which, between, cause, text,
};

use super::guards::{database_is_full, many_nodes};
use super::playbook::Playbook;
use super::sessions::TooYoung;
use super::values::repository;
use super::view::View;

/// Why this action is not advised now, if it isn't.
pub(super) fn against(view: &View<'_>, playbook: &Playbook, action: &Action) -> Option<String> {
    match action {
        Action::Scale { object, replicas } => scale(view, object, *replicas),
        Action::AutoscalerBounds { max, .. } => bounds(view, *max),
        Action::SetResources { change, .. } if change.memory_limit.is_some() => {
            let out_of_memory = view.has(cause::OOM_KILLED) || view.has(cause::MEMORY_LEAK);
            (!out_of_memory).then(|| "no container was killed for memory: more of it changes nothing".into())
        }
        Action::RolloutRestart { object } => restart(view, playbook, object),
        Action::DeletePods { pods } => {
            let pods: Vec<&Pod> = pods.iter().filter_map(|pod| view.snapshot().pods.get(&pod.key)).collect();
            delete(view, &pods)
        }
        Action::Evict { pod } => {
            let pods: Vec<&Pod> = view.snapshot().pods.get(&pod.key).into_iter().collect();
            delete(view, &pods)
        }
        Action::RolloutUndo { to_revision, .. } => undo(view, *to_revision),
        Action::SetImage { images, .. } => {
            let elsewhere = || crashes_beside(view, images);
            let other =
                || images.iter().find_map(|change| other_program(view, &change.container, &change.image));
            same_image(view, images).or_else(other).or_else(elsewhere)
        }
        Action::Patch { object, body, .. } => patch(view, object, body),
        Action::PullSecret { .. } => {
            let not_found = view.has(cause::IMAGE_NOT_FOUND) && !view.has(cause::IMAGE_AUTH);
            not_found.then(|| {
                "the registry says that the image does not exist: a new token does not bring it".into()
            })
        }
        Action::Drain { options, .. } => drain(view, options.force),
        Action::PatchStatus { object, body } => renewal(view, object, body),
        Action::Cordon { .. } => well(view).filter(|_| !starts_nothing(view)).or_else(|| {
            view.node.filter(|node| node.unschedulable).map(|_| "it takes no new pods already".into())
        }),
        Action::DeleteNode { .. } => {
            if is_given_up(view) {
                None
            } else {
                running(view)
            }
        }
        Action::Taint { key, remove: false, .. } if key == OUT_OF_SERVICE => running(view),
        Action::Postgres(sql) => {
            database(view, sql).or_else(|| TooYoung::of(view, Some(action)).map(|young| young.says()))
        }
        Action::Alerting(call @ Alerting::SilenceAlerts { .. }) => silence(view, call),
        Action::Uncordon { .. } => view
            .node
            .filter(|node| !node.is_ready())
            .map(|_| "the node is not Ready: pods would be sent to a dead node".into()),
        _ => None,
    }
}

/// A silence is for quiet until something is mended; afterwards it only hides what the rule still has to say.
fn silence(view: &View<'_>, call: &Alerting) -> Option<String> {
    let alert = call.target()?;
    view.is_tuned(&alert)
        .then(|| format!("the rule of {alert} is tuned: what it still says is worth hearing"))
}

/// Healthy idle sessions of a pool are no trouble, and an index takes CPU that locks do not leave free.
fn database(view: &View<'_>, sql: &Sql) -> Option<String> {
    match sql {
        Sql::TerminateSessions { pick, .. } if pick.which == Which::Idle => {
            let leak = view.has(cause::IDLE_IN_TRANSACTION);
            leak.then(|| "idle sessions are not the leak: end those that idle in a transaction".into())
        }
        Sql::CreateIndex { .. } if view.has(cause::LOCK_CHAIN) => {
            Some("sessions wait for locks: an index would wait for the same transactions".into())
        }
        _ => None,
    }
}

/// More replicas take what the database has left; fewer than the load asks for are slower than it is now.
fn bounds(view: &View<'_>, max: u32) -> Option<String> {
    let scaler = view.autoscaler?;
    if max > scaler.max {
        return database_is_full(view);
    }
    let refused = view.snapshot().exhausted.is_some();
    (max < scaler.desired && !refused)
        .then(|| format!("the load asks for {} of {}: fewer would be slower", scaler.desired, scaler.target))
}

fn scale(view: &View<'_>, object: &ObjectRef, replicas: u32) -> Option<String> {
    let own = view
        .deployment
        .filter(|deployment| object.kind == Kind::Deployment && deployment.key == object.key)?;
    if replicas == 0 {
        return Some(match view.ready() {
            0 => "it takes away the evidence and mends nothing: a last resort".into(),
            ready => format!("{} still serve: this is a full outage", text::count(ready, "ready replica")),
        });
    }
    if replicas > own.replicas { database_is_full(view) } else { None }
}

fn restart(view: &View<'_>, playbook: &Playbook, object: &ObjectRef) -> Option<String> {
    let surges = view.deployment.is_some_and(|deployment| match deployment.strategy {
        Strategy::RollingUpdate { max_surge, .. } => max_surge.up(deployment.replicas) > 0,
        Strategy::Recreate => false,
    });
    if view.snapshot().exhausted.is_some() && surges {
        return Some(
            "new pods cannot connect while the database refuses connections: the restart would get stuck"
                .into(),
        );
    }
    let configured = playbook.steps.iter().any(|step| {
        let loads = matches!(step.todo.verb.name, "set-config" | "annotate" | "pull-secret" | "apply");
        loads && view.done(&step.id).is_some_and(|done| done.ok)
    });
    let own = view.deployment.is_some_and(|deployment| deployment.key == object.key)
        || view.controller.is_some_and(|controller| controller.object() == *object);
    let loops = view.failing().iter().any(|pod| crash_loops(pod));
    (own && loops && !configured)
        .then(|| "the back-off restarts the containers anyway: mend the cause first".into())
}

pub(super) fn crash_loops(pod: &Pod) -> bool {
    pod.containers.iter().any(|row| row.waiting().is_some_and(|reason| &**reason == "CrashLoopBackOff"))
}

fn delete(view: &View<'_>, pods: &[&Pod]) -> Option<String> {
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    let left_behind = view.left_behind();
    if !pods.is_empty() && pods.iter().all(|pod| left_behind.iter().any(|other| other.uid == pod.uid)) {
        return None;
    }
    // It serves, and is the trouble itself.
    let to_blame = (view.has(cause::ONE_POD) || view.has(cause::POD_FILLS_DISK)) && pods.len() == 1;
    if ready > 0 && !to_blame {
        return Some(format!("{} among them still serve", text::count(ready, "ready pod")));
    }
    let older = pods.iter().filter(|pod| !view.revisions.is_empty() && !view.is_newest(pod)).count();
    if older > 0 && !to_blame {
        return Some("pods of the older revision are among them: they are what still works".into());
    }
    if pods.iter().any(|pod| crash_loops(pod)) {
        return Some("a new pod of the same revision crashes the same way".into());
    }
    None
}

fn undo(view: &View<'_>, to: u64) -> Option<String> {
    let newest = view.revisions.first()?;
    if newest.revision == Some(to) {
        return Some(format!("revision {to} is the one that runs now"));
    }
    if is_restart_of(view, to) {
        let now = newest.revision.map(|revision| revision.to_string()).unwrap_or_default();
        return Some(format!(
            "revision {now} is only a restart of revision {to}: going back changes nothing"
        ));
    }
    if lacks_memory_too(view, to) {
        return Some(format!(
            "revision {to} gives less memory and is the same otherwise: it would be killed as well"
        ));
    }
    if let Some(missing) = needs_the_same(view, to) {
        return Some(format!("revision {to} needs the same {missing}, which is missing"));
    }
    let irreversible =
        newest.change_cause.as_ref().is_some_and(|words| words.to_lowercase().contains("irreversible"));
    irreversible.then(|| {
        "its change cause says that it is irreversible (a migration?): ask its author before going back"
            .into()
    })
}

/// The newest revision differs from that one by the moment of a restart alone: what fails is what a start
/// reads, and a pod of the older revision would read the same.
fn is_restart_of(view: &View<'_>, to: u64) -> bool {
    let (Some(newest), Some(older)) =
        (view.revisions.first(), view.revisions.iter().find(|set| set.revision == Some(to)))
    else {
        return false;
    };
    newest.template.is_restart_of(&older.template)
}

/// What runs is killed for want of memory, and differs from that revision only by having more of it.
fn lacks_memory_too(view: &View<'_>, to: u64) -> bool {
    let out_of_memory = view.has(cause::OOM_KILLED) || view.has(cause::MEMORY_LEAK);
    let older = view.revisions.iter().find(|set| set.revision == Some(to));
    let pair = view.revisions.first().zip(older).filter(|_| out_of_memory);
    pair.is_some_and(|(newest, older)| newest.template.only_adds_memory_to(&older.template))
}

/// The missing object, if the older revision refers to it just the same: going back would not help.
fn needs_the_same(view: &View<'_>, to: u64) -> Option<String> {
    if !view.has(cause::MISSING_REFERENCE) {
        return None;
    }
    let missing = |name: &str| view.facts.anomaly.bindings.get(name).map(String::as_str);
    let (kind, object) = (Kind::parse(missing("missing_kind")?)?, missing("missing_object")?);
    let older = view.revisions.iter().find(|set| set.revision == Some(to))?;
    let same = older.template.references.iter().any(|reference| {
        reference.object.kind == kind
            && &*reference.object.key.name == object
            && !reference.optional
            && match (&reference.key, missing("missing_key")) {
                (Some(own), Some(key)) => &**own == key,
                _ => true,
            }
    });
    same.then(|| match missing("missing_key") {
        Some(key) => format!("key {key} of {kind} {object}"),
        None => format!("{kind} {object}"),
    })
}

/// What its pods are made from.
fn template<'a>(view: &View<'a>) -> Option<&'a Template> {
    let of_deployment = view.deployment.map(|deployment| &deployment.template);
    of_deployment.or(view.controller.map(|controller| &controller.template))
}

/// The pods that fail ask for it already.
fn same_image(view: &View<'_>, images: &[ImageChange]) -> Option<String> {
    let written = |change: &ImageChange| {
        let row = template(view).and_then(|template| template.container(&change.container));
        row.is_some_and(|row| *row.image == *change.image)
    };
    if images.iter().all(written) {
        return Some("that is what its template says already: its pods come by themselves".into());
    }
    let failing = view.failing();
    let has = |change: &ImageChange| {
        let mut containers = failing.iter().flat_map(|pod| pod.containers.iter());
        containers.any(|row| row.name == change.container && *row.image == *change.image)
    };
    images.iter().all(has).then(|| "the pods that fail are made from that image already".into())
}

/// Another repository is another program, unless the digest is the same (audit D124) or it ran here before.
fn other_program(view: &View<'_>, container: &str, image: &str) -> Option<String> {
    let sets = view.revisions.iter().map(|set| &set.template);
    let mut ran = sets.chain(view.templates_of_controller());
    if ran.any(|template| template.container(container).is_some_and(|row| &*row.image == image)) {
        return None;
    }
    let now = template(view)?.container(container)?;
    let digest = |image: &str| image.split_once('@').map(|(_, digest)| digest.to_owned());
    let elsewhere = repository(&now.image) != repository(image);
    let same = digest(image).is_some() && digest(image) == digest(&now.image);
    (elsewhere && !same).then(|| "another repository without the same digest may hold another program".into())
}

/// A container of the same pods whose image stays and that crashes.
fn crashes_beside(view: &View<'_>, images: &[ImageChange]) -> Option<String> {
    let stays = |name: &str| !images.iter().any(|change| &*change.container == name);
    let crashes = |row: &&Container| row.waiting().is_some_and(|reason| &**reason == "CrashLoopBackOff");
    let failing = view.failing();
    let mut containers = failing.iter().flat_map(|pod| pod.containers.iter());
    let other = containers.find(|row| stays(&row.name) && crashes(row))?;
    Some(format!("{} of the same pods crashes, too: another image alone does not mend them", other.name))
}

/// What one pod less on a node makes place for.
const MAKES_PLACE: &[&str] = &[cause::UNSCHEDULABLE, cause::SPREAD_CONSTRAINT, cause::HOST_PORT];

/// maxSurge 1 / maxUnavailable 0 needs more room, not less, and resets the progress condition, which hides
/// the incident (audit D111).
fn patch(view: &View<'_>, object: &ObjectRef, body: &Value) -> Option<String> {
    if object.kind != Kind::Deployment {
        return None;
    }
    let unavailable = body.pointer("/spec/strategy/rollingUpdate/maxUnavailable")?;
    let none = unavailable == &Value::from(0)
        || unavailable.as_str().is_some_and(|text| text == "0%" || text == "0");
    let surge = body.pointer("/spec/strategy/rollingUpdate/maxSurge");
    let no_surge = surge.is_some_and(|surge| surge == &Value::from(0) || surge.as_str() == Some("0%"));
    if none && no_surge {
        return Some("with both at 0 no rollout can move; the API server refuses it".into());
    }
    if !MAKES_PLACE.iter().any(|cause| view.has(cause)) {
        return None;
    }
    if no_surge && !view.revisions.iter().skip(1).any(|set| set.replicas > 0) {
        return Some("no older pod is left that could make way for a new one".into());
    }
    if none {
        return Some("a surge needs more room than there is, and hides the stuck rollout".into());
    }
    (no_surge && asks_for_more(view)).then(|| {
        "the new pods ask for more than an old one frees: a replica would be lost for nothing".into()
    })
}

/// A pod of the newest revision requests more than one of the revision before.
fn asks_for_more(view: &View<'_>) -> bool {
    let [newest, older, ..] = view.revisions.as_slice() else { return false };
    let requested = |set: &ReplicaSet| {
        let rows = set.template.containers.iter();
        rows.fold((0, 0), |(cpu, memory), row| {
            (
                cpu + row.requests.cpu_milli.unwrap_or_default(),
                memory + row.requests.memory_bytes.unwrap_or_default(),
            )
        })
    };
    let (new, old) = (requested(newest), requested(older));
    new.0 > old.0 || new.1 > old.1
}

/// Tells the cluster that a machine is off, so that its volumes may be used elsewhere.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Every attempt counts at the issuer: five failed ones an hour at Let's Encrypt (audit D72).
const RENEWAL: Duration = Duration::from_hours(1);

fn renewal(view: &View<'_>, object: &ObjectRef, body: &Value) -> Option<String> {
    let asks = body.to_string().contains("ManuallyTriggered");
    if object.kind != Kind::Certificate || !asks {
        return None;
    }
    let deeds = view.snapshot().deeds.iter().rev();
    let last = deeds.filter(|deed| deed.object == *object).map(|deed| deed.at).next()?;
    let passed = between(last, view.facts.now);
    (passed < RENEWAL).then(|| {
        let left = text::span(RENEWAL.saturating_sub(passed));
        format!("asked for {} ago: not more than once an hour, wait {left}", text::span(passed))
    })
}

fn running(view: &View<'_>) -> Option<String> {
    let stopped = view.has(cause::NODE_STOPPED);
    (!stopped).then(|| "only when the machine is known to be stopped: it may still be writing".into())
}

/// Silent for long, everything on it told to go, and nothing with a volume among it that could be written twice.
fn is_given_up(view: &View<'_>) -> bool {
    let silent = between(view.facts.anomaly.onset, view.facts.now) >= GIVEN_UP;
    let leaving = |pod: &Pod| pod.deleting.is_some() && pod.claims.is_empty();
    let cordoned = view.node.is_some_and(|node| node.unschedulable);
    view.has(cause::KUBELET_SILENT) && cordoned && silent && view.movable().into_iter().all(leaving)
}

/// Nothing that is silent for so long comes back by itself.
const GIVEN_UP: Duration = Duration::from_mins(10);

/// What runs on it goes on, and nothing that is sent to it starts.
fn starts_nothing(view: &View<'_>) -> bool {
    view.has(cause::RUNTIME) || view.has(cause::NODE_NETWORK)
}

fn well(view: &View<'_>) -> Option<String> {
    let flaps = view.has(cause::NODE_FLAPPING);
    let node = view.node.filter(|node| node.is_ready() && node.pressures().next().is_none() && !flaps)?;
    Some(format!("{} is Ready: let it work", node.key.name))
}

fn drain(view: &View<'_>, force: bool) -> Option<String> {
    if let Some(why) = well(view) {
        return Some(why);
    }
    if many_nodes(view) {
        let (down, all) = view.nodes_down();
        return Some(format!("{down} of {all} nodes at once: suspect the control plane, move nothing"));
    }
    let movable = view.movable();
    if !movable.is_empty() && movable.iter().all(|pod| pod.deleting.is_some()) {
        return Some(format!(
            "what runs on it was told to go already ({}): it waits for the machine to come back, or to be given up",
            text::count(movable.len(), "pod")
        ));
    }
    let bare = view.on_node().iter().filter(|pod| pod.owner.is_none() && !pod.is_mirror).count();
    if force && bare > 0 {
        return Some(format!("{} without a controller would be gone for good", text::count(bare, "pod")));
    }
    let young = between(view.facts.anomaly.onset, view.facts.now) < Duration::from_mins(2);
    young.then(|| "most nodes come back within two minutes: wait before moving pods".into())
}
