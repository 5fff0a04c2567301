//! Why a container does not stay up, as far as its status and the events about its pod prove it.
//! What only a log can tell stays a plain `crash` here.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;

use crate::domain::{Container, Event, Kind, Pod, Terminated, cause, text};

use super::Scene;
use super::crash_words::recognise;
use super::workload::{Bindings, quote};

/// Memory that took this long to fill was leaked rather than needed (audit, section 4: slope over 30 min).
const LEAKED: Duration = Duration::from_mins(30);

/// A container that dies this young did not get past its start (audit, section 3).
const AT_START: Duration = Duration::from_secs(10);

/// What an operating system says of a program for another kind of machine.
const OTHER_MACHINE: &str = "exec format error";

/// A container's cause, proven by its status or by events.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Why {
    /// From the vocabulary.
    pub name: &'static str,
    /// For a title: `OOMKilled`.
    pub label: String,
    /// With the numbers: `app was OOMKilled at its limit of 2.0 GiB, 9 s after it started`.
    pub says: String,
    pub weight: f64,
    /// `missing_kind`, `missing_object`, `missing_key`, `exit_code`, …
    pub bindings: Bindings,
}

impl Why {
    fn new(name: &'static str, label: impl Into<String>, says: impl Into<String>, weight: f64) -> Self {
        Self { name, label: label.into(), says: says.into(), weight, bindings: Bindings::new() }
    }
}

/// Waiting reasons of a container that the kubelet cannot or will not start again.
pub(super) const CANNOT_START: &[&str] = &[
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "PostStartHookError",
];

/// Why this container crashes.
pub(super) fn why(scene: &Scene<'_>, pod: &Pod, container: &Container) -> Why {
    let waiting = container.waiting().map(|reason| &**reason);
    if let Some(reason) = waiting.filter(|reason| CANNOT_START.contains(reason)) {
        return cannot_start(reason, container);
    }
    let Some(end) = container.termination() else {
        let says = format!("{} restarted {} times", container.name, container.restarts);
        return Why::new(cause::CRASH, "crashes", says, 0.3);
    };
    let mut why = ended(scene, pod, container, end);
    why.bindings.insert("exit_code", end.exit_code.to_string());
    why
}

fn cannot_start(reason: &str, container: &Container) -> Why {
    // Judged whole: the telling words may be where a quotation is cut.
    let words = container.waiting_message().map_or("", |message| message);
    if let Some(why) = missing(&container.name, words) {
        return why;
    }
    let says = format!("{}: {reason}: {}", container.name, quote(words));
    let lower = words.to_lowercase();
    if lower.contains(OTHER_MACHINE) {
        return Why::new(cause::IMAGE_ARCH, "wrong architecture", says, 0.9);
    }
    if is_of_the_node(reason, &lower) {
        return Why::new(cause::RUNTIME_LACKS, "its node's runtime lacks something", says, 0.85);
    }
    let commands = ["executable file", "no such file or directory", "permission denied", "exec:"];
    let is_command = commands.iter().any(|words| lower.contains(words));
    if is_command || matches!(reason, "RunContainerError" | "StartError") {
        return Why::new(cause::COMMAND_ERROR, "command cannot be run", says, 0.85);
    }
    Why::new(cause::SPEC_REFUSED, reason, says, 0.8)
}

/// Whether a program, a handler or a profile of the node is missing, rather than the container's own command: runtimes
/// speak of the "container process" (runc) or of "container create failed" (crun, CRI-O) when it is that.
fn is_of_the_node(reason: &str, lower: &str) -> bool {
    let of_nodes = [
        "apparmor_parser",
        "no runtime for",
        "runtime handler",
        "nvidia-container-",
        "containerd-shim",
        "error running hook",
    ];
    let of_command = lower.contains("container process") || lower.contains("container create failed");
    of_nodes.iter().any(|words| lower.contains(words))
        || reason == "CreateContainerError" && lower.contains("executable file not found") && !of_command
}

/// `secret "db" not found`, `couldn't find key URL in ConfigMap shop/web`, …
pub(super) fn missing(container: &str, message: &str) -> Option<Why> {
    static OBJECT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?i)\b(secret|configmap|serviceaccount)s? "([^"]+)" (?:is )?not found"#).ok()
    });
    static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)couldn't find key (\S+) in (secret|configmap) (?:\S+/)?([^\s/]+)").ok()
    });
    // A volume's: it does not say of which object.
    static NAMELESS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)references non-existent (secret|config) key: (\S+)").ok());
    let kind = |word: &str| match word.to_lowercase().as_str() {
        "secret" => Kind::Secret,
        "serviceaccount" => Kind::ServiceAccount,
        _ => Kind::ConfigMap,
    };
    if let Some(found) = NAMELESS.as_ref()?.captures(message) {
        let (kind, key) = (kind(&found[1]), quote(&found[2]));
        let label = format!("key {key} missing in a {kind}");
        let says = format!("{container} needs key {key} of a {kind} that does not have it");
        let mut why = Why::new(cause::MISSING_REFERENCE, label, says, 0.95);
        why.bindings.insert("missing_kind", kind.as_str().to_owned());
        why.bindings.insert("missing_key", key);
        why.bindings.insert("missing_part", "key".into());
        return Some(why);
    }
    let (kind, object, key) = if let Some(found) = KEY.as_ref()?.captures(message) {
        (kind(&found[2]), found[3].to_owned(), Some(found[1].to_owned()))
    } else {
        let found = OBJECT.as_ref()?.captures(message)?;
        (kind(&found[1]), found[2].to_owned(), None)
    };
    // `secrets "shop/db"`: only the name matters, the namespace is the pod's.
    let object = quote(object.rsplit('/').next().unwrap_or(&object));
    let key = key.map(|key| quote(&key));
    let (label, says) = match &key {
        Some(key) => (
            format!("key {key} missing in {kind} {object}"),
            format!("{container} needs key {key} of {kind} {object}, which does not have it"),
        ),
        None => (
            format!("{kind} {object} missing"),
            format!("{container} needs {kind} {object}, which does not exist"),
        ),
    };
    let mut why = Why::new(cause::MISSING_REFERENCE, label, says, 0.95);
    why.bindings.insert("missing_kind", kind.as_str().to_owned());
    let own = match kind {
        Kind::Secret => Some("secret"),
        Kind::ConfigMap => Some("config_map"),
        _ => None,
    };
    why.bindings.extend(own.map(|own| (own, object.clone())));
    why.bindings.insert("missing_object", object);
    why.bindings.insert("missing_part", if key.is_some() { "key" } else { "object" }.into());
    why.bindings.extend(key.map(|key| ("missing_key", key)));
    Some(why)
}

fn ended(scene: &Scene<'_>, pod: &Pod, container: &Container, end: &Terminated) -> Why {
    let name = &container.name;
    let lived = end.lived();
    let after = lived.map_or_else(String::new, |lived| format!(", {} after it started", text::span(lived)));
    if &*end.reason == "OOMKilled" {
        let limit = container.limits.memory_bytes;
        let at = limit.map_or_else(String::new, |limit| format!(" at its limit of {}", text::bytes(limit)));
        let says = format!("{name} was OOMKilled{at}{after}");
        if limit.is_none() {
            let node = pod.node.as_deref().unwrap_or("its node");
            let says = format!("{says} although it has no limit: {node} itself ran out of memory");
            return Why::new(cause::NODE_OOM, "OOMKilled without a limit", says, 0.9);
        }
        let leaked = lived.is_some_and(|lived| lived >= LEAKED);
        let word = if leaked { cause::MEMORY_LEAK } else { cause::OOM_KILLED };
        return Why::new(word, "OOMKilled", says, 0.95);
    }
    if end.message.as_deref().is_some_and(|words| words.to_lowercase().contains(OTHER_MACHINE)) {
        let says = format!("{name} is a program for another kind of machine than its node");
        return Why::new(cause::IMAGE_ARCH, "wrong architecture", says, 0.9);
    }
    if let Some(words) =
        end.message.as_deref().filter(|words| is_of_the_node(&end.reason, &words.to_lowercase()))
    {
        let says = format!("{name}: {}: {}", end.reason, quote(words));
        return Why::new(cause::RUNTIME_LACKS, "its node's runtime lacks something", says, 0.85);
    }
    if matches!(&*end.reason, "StartError" | "ContainerCannotRun") || matches!(end.exit_code, 126..=128) {
        let message = end.message.as_ref().map(|message| format!(": {}", quote(message))).unwrap_or_default();
        let says = format!("{name} cannot run its command (exit code {}){message}", end.exit_code);
        return Why::new(cause::COMMAND_ERROR, "command cannot be run", says, 0.9);
    }
    if let Some((word, probe)) = killed_by_probe(scene, pod, &container.name, end) {
        let says = format!("{name} was killed because its {probe} probe failed{after}");
        return Why::new(word, format!("{probe} probe fails"), says, 0.85);
    }
    if let Some((word, label)) = end.message.as_deref().and_then(recognise) {
        let message = end.message.as_deref().map(quote).unwrap_or_default();
        return Why::new(word, label, format!("{name} ended{after} saying: {message}"), 0.8);
    }
    if &*end.reason == "ContainerStatusUnknown" {
        let says = format!("{name} ended unseen: its node lost track of it");
        return Why::new(cause::KILLED, "lost by its node", says, 0.4);
    }
    let code = end.exit_code;
    match (code, end.signal) {
        (132 | 134 | 135 | 136 | 139, _) | (_, Some(4 | 6 | 7 | 8 | 11)) => {
            let signal = end.signal.unwrap_or(code - 128);
            let signal = signal_name(signal);
            Why::new(cause::NATIVE_CRASH, signal, format!("{name} crashed with {signal}{after}"), 0.85)
        }
        (137, _) | (_, Some(9)) => {
            Why::new(cause::KILLED, "SIGKILL", format!("{name} was killed by SIGKILL{after}"), 0.5)
        }
        (0, _) => {
            Why::new(cause::COMPLETES, "ends with exit 0", format!("{name} ended with exit 0{after}"), 0.7)
        }
        _ => {
            let start = lived.is_some_and(|lived| lived < AT_START);
            let hint = if start { "; it did not get past its start" } else { "" };
            let said = end.message.as_deref().map(quote).filter(|said| !said.is_empty());
            let said = said.map(|said| format!(", saying: {said}")).unwrap_or_default();
            let says = format!("{name} ended with exit {code}{after}{said}{hint}");
            Why::new(cause::CRASH, format!("exit {code}"), says, 0.4)
        }
    }
}

/// The cause, and `liveness` or `startup`, when events say that such a probe had the container killed in the life that
/// ended like this: one that was killed once may die by itself the next time.
fn killed_by_probe(
    scene: &Scene<'_>,
    pod: &Pod,
    container: &str,
    end: &Terminated,
) -> Option<(&'static str, &'static str)> {
    // Times are whole seconds, and it may be told for the first and the last time only.
    const SLACK: SignedDuration = SignedDuration::from_secs(2);
    let in_that_life = |event: &&Event| {
        let began = end.started.is_none_or(|started| started.duration_since(event.last) <= SLACK);
        began && end.finished.is_none_or(|finished| event.first.duration_since(finished) <= SLACK)
    };
    let killings = scene.events(Kind::Pod, &pod.key).filter(|event| &*event.reason == "Killing");
    killings.filter(in_that_life).find_map(|event| {
        let message = &event.message;
        let of_this = message.contains(&format!("Container {container} "))
            || message.contains(&format!("container \"{container}\""));
        [(cause::LIVENESS_KILLED, "liveness"), (cause::STARTUP_KILLED, "startup")]
            .into_iter()
            .find(|(_, probe)| of_this && message.contains(&format!("failed {probe} probe")))
    })
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        _ => "a signal",
    }
}
