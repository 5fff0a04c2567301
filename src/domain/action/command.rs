//! Actions as the command lines a person could paste into a shell.

use std::time::Duration;

use super::{Action, PatchKind, ResourceChange};
use crate::domain::{DENYLIST, Key, Kind, Name, ObjectRef, text};

/// The list is written whole: what it held stays in it.
fn deny(ingress: &Key, networks: &[String]) -> String {
    let object = ObjectRef::new(Kind::Ingress, ingress.clone());
    let path = DENYLIST.replace('.', "\\.");
    let read = on(&object, "kubectl get", &format!("-o jsonpath='{{.metadata.annotations.{path}}}'"));
    let list = format!("{DENYLIST}=${{old:+$old,}}{}", networks.join(","));
    format!("old=$({read}); {}", on(&object, "kubectl annotate --overwrite", &format!("\"{list}\"")))
}

/// kubectl makes a Job of a CronJob by itself; a Job is copied without what the cluster wrote into it.
fn run_again(from: &ObjectRef, name: Option<&str>) -> String {
    let own = format!("{}-$(date +%s)", from.key.name);
    let new = name.map_or_else(|| own, shell_quote);
    let place = scope(&from.key.namespace);
    if from.kind == Kind::CronJob {
        return format!("kubectl create job {new} {place} --from=cronjob/{}", shell_quote(&from.key.name));
    }
    let old = shell_quote(&from.key.name);
    format!(
        "kubectl get job {old} {place} -o json | jq --arg name {new} {} | kubectl create -f -",
        shell_quote(COPY)
    )
}

/// What makes a new Job of an old one, in the words of jq.
const COPY: &str = r#"{apiVersion, kind, metadata: {name: $name, namespace: .metadata.namespace, labels: .metadata.labels}, spec} | del(.spec.selector, (.metadata.labels, .spec.template.metadata.labels)["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"])"#;

impl Action {
    /// The line a person could paste into a shell for the same effect.
    pub fn as_command(&self) -> String {
        match self {
            Action::ListPods { namespace, selector, node, .. } => {
                let mut line = format!("kubectl get pods {} -o wide", within(namespace));
                if let Some(selector) = selector {
                    line.push_str(&format!(" -l {}", shell_quote(selector)));
                }
                if let Some(node) = node {
                    line.push_str(&format!(" --field-selector spec.nodeName={}", shell_quote(node)));
                }
                line
            }
            Action::ListNodes => "kubectl get nodes -o wide".into(),
            Action::ListReplicaSets { deployment } => {
                format!("kubectl get replicasets {} -o wide", scope(&deployment.namespace))
            }
            Action::ListEvents { about } => format!(
                "kubectl get events {} --field-selector involvedObject.name={},type=Warning",
                within(&about.key.namespace),
                shell_quote(&about.key.name)
            ),
            Action::Describe { object } => on(object, "kubectl describe", ""),
            Action::Logs { pods, container, previous, tail, since } => {
                logs(pods, container.as_ref(), *previous, *tail, *since)
            }
            Action::LoginFailures { pods, since } => format!(
                "{} | grep -iE 'authentication failed|login failed|invalid credentials'",
                logs(pods, None, false, 5_000, Some(*since))
            ),
            Action::PodUsage { namespace, .. } => {
                format!("kubectl top pods {} --containers", within(namespace))
            }
            Action::NodeUsage => "kubectl top nodes".into(),
            Action::NodeAllocation { node } => {
                format!("kubectl describe node {}", node.as_deref().map(shell_quote).unwrap_or_default())
                    .trim_end()
                    .into()
            }
            Action::CheckConfigMaps { object } => {
                format!("kubectl get configmaps {}", scope(&object.key.namespace))
            }
            Action::CheckSecrets { object } => {
                format!("kubectl get secrets {}", scope(&object.key.namespace))
            }
            Action::ListExternalSecrets { namespace } => {
                format!("kubectl get externalsecrets {}", within(namespace))
            }
            Action::CompareRevisions { object } => rollout_of("history", object, ""),
            Action::RolloutStatus { object, timeout } => {
                rollout_of("status", object, &format!(" --timeout={}s", timeout.as_secs()))
            }
            Action::CheckPullSecrets { pod } => format!(
                "kubectl get pod {} {} -o jsonpath='{{.spec.imagePullSecrets}}'",
                shell_quote(&pod.name),
                scope(&pod.namespace)
            ),
            Action::Network(probe) => probe.as_command(),
            Action::NodeLease { node } => {
                format!("kubectl get lease {} -n kube-node-lease -o yaml", shell_quote(node))
            }
            Action::NodeDisk { node } => {
                format!("kubectl get --raw /api/v1/nodes/{}/proxy/stats/summary", shell_quote(node))
            }
            Action::NodeEvents { node } => format!(
                "kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={}",
                shell_quote(node)
            ),
            // Secrets never reach a clipboard.
            other => other.masked().change_command(),
        }
    }

    fn change_command(&self) -> String {
        match self {
            Action::Scale { object, replicas } => on(object, "kubectl scale", &format!(" --replicas={replicas}")),
            Action::AutoscalerBounds { autoscaler, min, max } => format!(
                "kubectl patch hpa {} {} --type=merge -p '{{\"spec\":{{\"minReplicas\":{min},\"maxReplicas\":{max}}}}}'",
                shell_quote(&autoscaler.name),
                scope(&autoscaler.namespace)
            ),
            Action::Patch { object, kind, body } => {
                let kind = match kind {
                    PatchKind::Strategic => "strategic",
                    PatchKind::Merge => "merge",
                    PatchKind::Json => "json",
                };
                on(object, "kubectl patch", &format!(" --type={kind} -p {}", shell_quote(&body.to_string())))
            }
            Action::RolloutRestart { object } => on(object, "kubectl rollout restart", ""),
            Action::RolloutUndo { object, to_revision } => {
                rollout_of("undo", object, &format!(" --to-revision={to_revision}"))
            }
            Action::RolloutPause { deployment } => rollout("pause", deployment, ""),
            Action::RolloutResume { deployment } => rollout("resume", deployment, ""),
            Action::DeletePods { pods } => pods
                .iter()
                .map(|pod| format!("kubectl delete pod {} {}", shell_quote(&pod.key.name), scope(&pod.key.namespace)))
                .collect::<Vec<_>>()
                .join(" && "),
            Action::Evict { pod } => format!(
                "kubectl create --raw /api/v1/namespaces/{}/pods/{}/eviction -f - <<<{}",
                pod.key.namespace,
                pod.key.name,
                shell_quote(&format!(
                    r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{}"}}}}"#,
                    pod.key.name
                ))
            ),
            Action::Cordon { node } => format!("kubectl cordon {}", shell_quote(node)),
            Action::Uncordon { node } => format!("kubectl uncordon {}", shell_quote(node)),
            Action::Drain { node, options } => {
                let mut line = format!(
                    "kubectl drain {} --ignore-daemonsets --timeout={}s",
                    shell_quote(node),
                    options.timeout.as_secs()
                );
                if options.delete_empty_dir {
                    line.push_str(" --delete-emptydir-data");
                }
                if options.force {
                    line.push_str(" --force");
                }
                line
            }
            Action::Annotate { object, annotations } => on(object, "kubectl annotate --overwrite", &pairs(annotations)),
            Action::DenyAtIngress { ingress, networks } => deny(ingress, networks),
            Action::Label { object, labels } => on(object, "kubectl label --overwrite", &pairs(labels)),
            Action::Taint { node, key, value, effect, remove } => format!(
                "kubectl taint nodes {} {}{}",
                shell_quote(node),
                shell_quote(&format!("{key}={value}:{effect}")),
                if *remove { "-" } else { "" }
            ),
            Action::Apply { manifest, force } => format!(
                "kubectl apply --server-side --field-manager=covet-tui{} -f - <<<{}",
                if *force { " --force-conflicts" } else { "" },
                shell_quote(&manifest.to_string())
            ),
            Action::PullSecret { secret, registry, username, token_env } => format!(
                "kubectl create secret docker-registry {} {} --docker-server={} --docker-username={} \
                 --docker-password=\"${token_env}\" --dry-run=client -o yaml | kubectl apply --server-side -f -",
                shell_quote(&secret.name),
                scope(&secret.namespace),
                shell_quote(registry),
                shell_quote(username)
            ),
            Action::RestoreSecret { secret, kept } => format!(
                "kubectl {} secret {} {}{}",
                if kept.is_some() { "edit" } else { "delete" },
                shell_quote(&secret.name),
                scope(&secret.namespace),
                if kept.is_some() { "  # its data before is only in the cockpit's memory" } else { "" }
            ),
            Action::ReferencePullSecret { deployment, secret } => on(
                &ObjectRef::new(Kind::Deployment, deployment.clone()),
                "kubectl patch",
                &format!(
                    " -p {}",
                    shell_quote(
                        &serde_json::json!({"spec": {"template": {"spec": {"imagePullSecrets": [{"name": secret}]}}}})
                            .to_string()
                    )
                ),
            ),
            Action::SetImage { object, images } => {
                let images: String = images
                    .iter()
                    .map(|change| format!(" {}", shell_quote(&format!("{}={}", change.container, change.image))))
                    .collect();
                on(object, "kubectl set image", &images)
            }
            Action::SetResources { object, container, change } => on(
                object,
                "kubectl set resources",
                &format!(" -c {}{}", shell_quote(container), resources(change)),
            ),
            Action::RunJobAgain { from, name } => run_again(from, name.as_deref()),
            Action::DeleteJob { job, .. } => on(&ObjectRef::new(Kind::Job, job.clone()), "kubectl delete", ""),
            Action::SetConfig { config_map, data } => on(
                &ObjectRef::new(Kind::ConfigMap, config_map.clone()),
                "kubectl patch",
                &format!(
                    " --type=merge -p {}",
                    shell_quote(
                        &serde_json::json!({"data": data.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()})
                            .to_string()
                    )
                ),
            ),
            Action::Exec { pod, container, argv } => format!(
                "kubectl exec {} {} -c {} -- {}",
                shell_quote(&pod.name),
                scope(&pod.namespace),
                shell_quote(container),
                argv.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
            ),
            Action::PatchStatus { object, body } => on(
                object,
                "kubectl patch --subresource=status --type=merge",
                &format!(" -p {}", shell_quote(&body.to_string())),
            ),
            Action::DeleteNode { node } => format!("kubectl delete node {}", shell_quote(node)),
            Action::Postgres(sql) => sql.as_command(),
            Action::Redis(command) => command.as_command(),
            Action::Alerting(call) => call.as_command(),
            Action::Aws(call) => call.as_command(),
            Action::Machine(command) => command.as_command(),
            Action::Script(script) => script.as_command(),
            Action::Elsewhere { operation, .. } => operation.clone(),
            // Reads were answered by `as_command`.
            _ => String::new(),
        }
    }
}

fn scope(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!("-n {}", shell_quote(namespace)) }
}

/// Where a list looks: in one namespace, or in all.
fn within(namespace: &str) -> String {
    if namespace.is_empty() { "-A".to_owned() } else { scope(namespace) }
}

fn on(object: &ObjectRef, verb: &str, rest: &str) -> String {
    let line = format!(
        "{verb} {} {} {}",
        object.kind.for_kubectl(),
        shell_quote(&object.key.name),
        scope(&object.key.namespace)
    );
    format!("{}{rest}", line.trim_end())
}

fn rollout(verb: &str, deployment: &Key, rest: &str) -> String {
    rollout_of(verb, &ObjectRef::new(Kind::Deployment, deployment.clone()), rest)
}

fn rollout_of(verb: &str, object: &ObjectRef, rest: &str) -> String {
    format!(
        "kubectl rollout {verb} {}/{} {}{rest}",
        object.kind.for_kubectl(),
        shell_quote(&object.key.name),
        scope(&object.key.namespace)
    )
}

fn logs(
    pods: &[Key],
    container: Option<&Name>,
    previous: bool,
    tail: u32,
    since: Option<Duration>,
) -> String {
    pods.iter()
        .map(|pod| {
            let mut line = format!("kubectl logs {} {}", shell_quote(&pod.name), scope(&pod.namespace));
            match container {
                Some(container) => line.push_str(&format!(" -c {}", shell_quote(container))),
                None => line.push_str(" --all-containers"),
            }
            if previous {
                line.push_str(" --previous");
                // Not every container has died.
                line.push_str(if container.is_none() { " --ignore-errors" } else { "" });
            }
            if let Some(since) = since {
                line.push_str(&format!(" --since={}s", since.as_secs()));
            }
            line.push_str(&format!(" --tail={tail}"));
            line
        })
        .collect::<Vec<_>>()
        .join("; ")
}

fn pairs(pairs: &[(String, Option<String>)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!(" {}", shell_quote(&format!("{key}={value}"))),
            None => format!(" {}", shell_quote(&format!("{key}-"))),
        })
        .collect()
}

fn resources(change: &ResourceChange) -> String {
    let list = |cpu: &Option<String>, memory: &Option<String>| {
        [("cpu", cpu), ("memory", memory)]
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
            .collect::<Vec<_>>()
            .join(",")
    };
    [
        ("--requests", list(&change.cpu_request, &change.memory_request)),
        ("--limits", list(&change.cpu_limit, &change.memory_limit)),
    ]
    .iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(flag, list)| format!(" {flag}={}", shell_quote(list)))
    .collect()
}

/// A word as a POSIX shell reads it back unchanged, made harmless for the terminal.
pub fn shell_quote(word: &str) -> String {
    let word = text::clean(word);
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@+%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
