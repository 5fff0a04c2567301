//! Actions on Kubernetes from the arguments of a step.

use std::time::Duration;

use crate::domain::{Action, DrainOptions, ImageChange, Name, PatchKind, ResourceChange};

use super::super::pods;
use super::{Args, Bound, missing, networks};

/// Pods whose output is read at once: those of a workload mostly say the same, and a kubelet is asked for each.
const HEARD: usize = 8;

pub(super) fn read(args: &Args<'_>) -> Bound<Action> {
    Ok(match args.verb.name {
        "list-pods" => Action::ListPods {
            // What runs on a node is of any namespace.
            namespace: match (args.given.get("namespace"), args.given.get("node")) {
                (None, Some(_)) => Name::from(""),
                _ => args.namespace()?,
            },
            selector: args.maybe("selector")?,
            node: args.maybe("node")?.map(Name::from),
            waiting: args.words("waiting")?.into_iter().map(Name::from).collect(),
        },
        "list-nodes" => Action::ListNodes,
        "list-replica-sets" => Action::ListReplicaSets { deployment: args.key("deployment")? },
        "list-events" => Action::ListEvents { about: args.object()? },
        "describe" => Action::Describe { object: args.object()? },
        "logs" => Action::Logs {
            pods: args.pods()?.iter().take(HEARD).map(|pod| pod.key.clone()).collect(),
            container: args.maybe("container")?.map(Name::from),
            previous: args.flag("previous"),
            tail: args.maybe_count("tail")?.unwrap_or(100),
            since: args.maybe_span("since")?,
        },
        "login-failures" => Action::LoginFailures {
            pods: args.pods()?.iter().map(|pod| pod.key.clone()).collect(),
            since: args.maybe_span("since")?.unwrap_or(std::time::Duration::from_hours(1)),
        },
        "pod-usage" => Action::PodUsage {
            namespace: args.namespace()?,
            pods: if args.given.contains_key("pods") {
                args.pods()?.iter().map(|pod| pod.key.clone()).collect()
            } else {
                Vec::new()
            },
        },
        "node-usage" => Action::NodeUsage,
        "node-allocation" => Action::NodeAllocation { node: args.maybe("node")?.map(Name::from) },
        "check-config-maps" => Action::CheckConfigMaps { object: args.object()? },
        "check-secrets" => Action::CheckSecrets { object: args.object()? },
        "list-external-secrets" => Action::ListExternalSecrets { namespace: args.namespace()? },
        "compare-revisions" => Action::CompareRevisions { object: args.object()? },
        "rollout-status" => Action::RolloutStatus {
            object: args.rolled_out()?,
            timeout: args.maybe_span("timeout")?.unwrap_or(Duration::from_mins(5)),
        },
        "check-pull-secrets" => Action::CheckPullSecrets { pod: args.key("pod")? },
        "node-disk" => Action::NodeDisk { node: args.name("node")? },
        "node-events" => Action::NodeEvents { node: args.name("node")? },
        "node-lease" => Action::NodeLease { node: args.name("node")? },
        _ => change(args)?,
    })
}

fn change(args: &Args<'_>) -> Bound<Action> {
    Ok(match args.verb.name {
        "scale" => Action::Scale { object: args.object()?, replicas: args.count("replicas")? },
        "autoscaler-bounds" => {
            let (min, max) = (args.count("min")?, args.count("max")?);
            if min == 0 || min > max {
                return Err(missing("max", format!("the bounds {min} to {max} are the wrong way round")));
            }
            Action::AutoscalerBounds { autoscaler: args.key("hpa")?, min, max }
        }
        "patch" => Action::Patch {
            object: args.object()?,
            kind: match args.text("type")?.as_str() {
                "strategic" => PatchKind::Strategic,
                "json" => PatchKind::Json,
                _ => PatchKind::Merge,
            },
            body: args.json("body")?,
        },
        "rollout-restart" => Action::RolloutRestart { object: args.object()? },
        "rollout-undo" => {
            Action::RolloutUndo { object: args.object()?, to_revision: u64::from(args.count("to_revision")?) }
        }
        "rollout-pause" => Action::RolloutPause { deployment: args.key("deployment")? },
        "rollout-resume" => Action::RolloutResume { deployment: args.key("deployment")? },
        "delete-pods" => Action::DeletePods { pods: pods::targets(&args.pods()?) },
        "evict" => match pods::targets(&args.pods()?).into_iter().next() {
            Some(pod) => Action::Evict { pod },
            None => return Err(args.no_pods()),
        },
        "cordon" => Action::Cordon { node: args.name("node")? },
        "uncordon" => Action::Uncordon { node: args.name("node")? },
        "drain" => Action::Drain {
            node: args.name("node")?,
            options: DrainOptions {
                delete_empty_dir: args.flag("delete_empty_dir"),
                force: args.flag("force"),
                timeout: args.maybe_span("timeout")?.unwrap_or(Duration::from_mins(5)),
            },
        },
        "annotate" => Action::Annotate { object: args.object()?, annotations: args.pairs("annotations")? },
        "deny-at-ingress" => {
            Action::DenyAtIngress { ingress: args.key("ingress")?, networks: networks(args, "networks")? }
        }
        "label" => Action::Label { object: args.object()?, labels: args.pairs("labels")? },
        "taint" => Action::Taint {
            node: args.name("node")?,
            key: args.text("key")?,
            value: args.maybe("value")?.unwrap_or_default(),
            effect: args.text("effect")?,
            remove: args.flag("remove"),
        },
        "apply" => Action::Apply { manifest: args.json("manifest")?, force: args.flag("force") },
        "pull-secret" => Action::PullSecret {
            secret: args.key("secret")?,
            registry: args.text("registry")?,
            username: args.text("username")?,
            token_env: args.text("token_env")?,
        },
        "reference-pull-secret" => {
            Action::ReferencePullSecret { deployment: args.key("deployment")?, secret: args.name("secret")? }
        }
        "set-image" => Action::SetImage {
            object: args.object()?,
            images: vec![ImageChange { container: args.name("container")?, image: args.text("image")? }],
        },
        "set-resources" => Action::SetResources {
            object: args.object()?,
            container: args.name("container")?,
            change: ResourceChange {
                cpu_request: args.maybe("cpu_request")?,
                cpu_limit: args.maybe("cpu_limit")?,
                memory_request: args.maybe("memory_request")?,
                memory_limit: args.maybe("memory_limit")?,
            },
        },
        "run-job-again" => Action::RunJobAgain { from: args.object()?, name: None },
        "set-config" => Action::SetConfig { config_map: args.key("config_map")?, data: args.pairs("data")? },
        "exec" => Action::Exec {
            pod: args.key("pod")?,
            container: args.name("container")?,
            argv: args.words("argv")?,
        },
        "patch-status" => Action::PatchStatus { object: args.object()?, body: args.json("body")? },
        "delete-node" => Action::DeleteNode { node: args.name("node")? },
        _ => return Err(args.cannot()),
    })
}
