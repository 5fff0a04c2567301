//! A Service against the pods it is meant for: selector, ports, ready endpoints; and what would mend it, where
//! that can be computed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Asking;
use crate::domain::{Key, Kind, ObjectRef, Tone, cause, text};
use crate::probes::answer::{Answer, clock};
use crate::probes::object::{flag, is_finished, is_ready, items, key, labels, name, string, writers};
use crate::probes::trouble::Trouble;

/// What was found.
#[derive(Default)]
pub(super) struct Looked {
    pub says: String,
    /// Causes and what they say, the one that explains the others first.
    pub troubles: Vec<(&'static str, String)>,
    lines: Vec<(Tone, String)>,
    bindings: BTreeMap<&'static str, String>,
}

impl Looked {
    /// Lines and causes.
    pub(super) fn tell(&self, answer: &mut Answer) {
        answer.lines(self.lines.clone());
        for (cause, says) in &self.troubles {
            answer.found(cause, says);
        }
    }

    fn bind(&self, answer: &mut Answer) {
        for (name, value) in &self.bindings {
            answer.bind(name, value);
        }
    }

    /// Whether it is known what would mend it.
    fn is_mendable(&self) -> bool {
        ["selector_right", "port_right"].iter().any(|name| self.bindings.contains_key(name))
    }

    fn trouble(&mut self, cause: &'static str, says: String) {
        self.lines.push((Tone::Bad, format!("  {says}")));
        self.troubles.push((cause, says));
    }
}

/// What a change would be made of: all of it of one Service, the first that it is known how to mend.
pub(super) fn bind(all: &[Looked], answer: &mut Answer) {
    let wrong = || all.iter().find(|one| !one.troubles.is_empty());
    let told = all.iter().find(|one| one.is_mendable()).or_else(wrong).or(all.first());
    if let Some(told) = told {
        told.bind(answer);
    }
}

pub(super) async fn check(asking: &Asking<'_>, service: &Key) -> Result<Answer, Trouble> {
    let looked = look(asking, service).await?;
    let mut answer = Answer::new();
    looked.tell(&mut answer);
    looked.bind(&mut answer);
    if let Some((_, says)) = looked.troubles.first() {
        answer.not_ok();
        answer.summary(format!("{}: {says}", looked.says));
    } else {
        answer.summary(&looked.says);
    }
    Ok(answer)
}

pub(super) async fn look(asking: &Asking<'_>, key: &Key) -> Result<Looked, Trouble> {
    let mut looked = Looked::default();
    looked.bindings.insert("service", key.name.to_string());
    let object = ObjectRef::new(Kind::Service, key.clone());
    let Some(service) = asking.cluster.find(&object).await? else {
        looked.says = format!("Service {} does not exist", key.name);
        looked.trouble(cause::SERVICE_ABSENT, looked.says.clone());
        return Ok(looked);
    };
    let (ready, total) = endpoints(asking, key).await?;
    looked.says = format!("Service {}: {ready} of {} ready", key.name, text::count(total, "endpoint"));
    let selector = selector(&service);
    if selector.is_empty() {
        looked.lines.push((Tone::Dim, "  it has no selector: somebody else writes its endpoints".into()));
    }
    let pods = asking.cluster.list(Kind::Pod, &key.namespace, "", "").await?;
    let pods: Vec<&Value> = pods.iter().filter(|pod| !is_finished(pod)).collect();
    let selected: Vec<&Value> =
        pods.iter().copied().filter(|pod| !selector.is_empty() && takes(&selector, pod)).collect();
    let well = selected.iter().filter(|pod| is_ready(pod)).count();
    if !selector.is_empty() {
        let words =
            selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        let says = format!("  selector {words}: {}, {well} Ready", text::count(selected.len(), "pod"));
        looked.lines.push((if well > 0 { Tone::Good } else { Tone::Bad }, says));
        if selected.is_empty() {
            wrong_selector(&mut looked, asking, &service, &selector).await?;
        }
    }
    ports(&mut looked, &service, &selected);
    if ready == 0 && selector.is_empty() {
        let says = "it selects no pods, and none of the endpoints that are written by hand is ready";
        looked.trouble(cause::ENDPOINTS_BY_HAND, says.into());
    } else if ready == 0 && looked.troubles.is_empty() {
        let says = match (selected.len(), well) {
            (0, _) => "no pod is behind it".to_owned(),
            (all, 0) => format!("none of its {} is Ready", text::count(all, "pod")),
            (_, well) => format!("{} behind it, but no endpoint is ready", text::count(well, "Ready pod")),
        };
        looked.trouble(cause::NO_ENDPOINTS, says);
    }
    Ok(looked)
}

/// Ready endpoints and all, over the slices.
async fn endpoints(asking: &Asking<'_>, key: &Key) -> Result<(usize, usize), Trouble> {
    let label = format!("kubernetes.io/service-name={}", key.name);
    let slices = asking.cluster.list(Kind::EndpointSlice, &key.namespace, &label, "").await?;
    let all: Vec<&Value> = slices.iter().flat_map(|slice| items(slice, "/endpoints")).collect();
    // A condition that isn't given counts as ready, by the API's definition.
    let ready =
        all.iter().filter(|one| one.pointer("/conditions/ready").is_none() || flag(one, "/conditions/ready"));
    Ok((ready.count(), all.len()))
}

fn selector(service: &Value) -> BTreeMap<String, String> {
    let pairs = service.pointer("/spec/selector").and_then(Value::as_object);
    let pairs = pairs.into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn takes(selector: &BTreeMap<String, String>, pod: &Value) -> bool {
    let labels = labels(pod);
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    selector.iter().all(|(key, value)| label(key) == Some(value))
}

/// The Deployment it is meant for: of the same name, or the only one that differs in a single label.
async fn wrong_selector(
    looked: &mut Looked,
    asking: &Asking<'_>,
    service: &Value,
    selector: &BTreeMap<String, String>,
) -> Result<(), Trouble> {
    let Key { namespace, name: own } = key(service);
    let deployments = asking.cluster.list(Kind::Deployment, &namespace, "", "").await?;
    let differing = |deployment: &Value| -> Vec<(String, String, String)> {
        let labels = deployment.pointer("/spec/template/metadata/labels");
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
        let pairs = selector.iter().filter(|(name, value)| label(name) != Some(value));
        pairs
            .map(|(name, value)| (name.clone(), value.clone(), label(name).unwrap_or_default().to_owned()))
            .collect()
    };
    if let Some(own) = deployments.iter().find(|one| differing(one).is_empty()) {
        let at_rest = own.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0);
        let (cause, state) = if at_rest {
            (cause::SCALED_TO_ZERO, "is scaled to 0")
        } else {
            (cause::NO_ENDPOINTS, "has no pod")
        };
        looked.trouble(cause, format!("{}, which it selects, {state}", name(own)));
        return Ok(());
    }
    let close: Vec<&Value> = deployments.iter().filter(|one| differing(one).len() == 1).collect();
    let named = close.iter().find(|one| name(one) == &*own);
    let meant = named.copied().or_else(|| (close.len() == 1).then(|| close[0]));
    let Some(meant) = meant else {
        looked.trouble(cause::SERVICE_SELECTOR, "its selector takes no pod at all".into());
        return Ok(());
    };
    let (label, wrong, right) = differing(meant).swap_remove(0);
    let says = if right.is_empty() {
        format!("its selector asks for {label}={wrong}, a label that the pods of {} do not have", name(meant))
    } else {
        format!("its selector asks for {label}={wrong}, the pods of {} are {label}={right}", name(meant))
    };
    let says = match writers(service, "/f:spec/f:selector").first() {
        Some((at, who)) => format!("{says}; {who} wrote it at {}", clock(*at, asking.now)),
        None => says,
    };
    if !right.is_empty() {
        // As JSON Patch writes a key.
        looked.bindings.insert("selector_service", key(service).name.to_string());
        looked.bindings.insert("selector_key", label.replace('~', "~0").replace('/', "~1"));
        looked.bindings.insert("selector_label", label);
        looked.bindings.insert("selector_wrong", wrong);
        looked.bindings.insert("selector_right", right);
    }
    looked.bindings.insert("deployment", name(meant).to_owned());
    looked.trouble(cause::SERVICE_SELECTOR, says);
    Ok(())
}

fn ports(looked: &mut Looked, service: &Value, selected: &[&Value]) {
    for (index, port) in items(service, "/spec/ports").iter().enumerate() {
        let number = port.get("port").map(ToString::to_string).unwrap_or_default();
        let target = match port.get("targetPort") {
            Some(Value::String(name)) => name.clone(),
            Some(value) => value.to_string(),
            None => number.clone(),
        };
        looked.lines.push((Tone::Plain, format!("  port {number} → {target}")));
        let known: BTreeMap<String, String> = selected.iter().flat_map(|pod| container_ports(pod)).collect();
        let fits = known.keys().any(|name| *name == target) || known.values().any(|value| *value == target);
        if selected.is_empty() || known.is_empty() || fits {
            continue;
        }
        let list =
            known.iter().map(|(name, value)| format!("{name} ({value})")).collect::<Vec<_>>().join(", ");
        let right = known.get("http").map(|_| "http".to_owned());
        let right = right.or_else(|| (known.len() == 1).then(|| known.keys().next().cloned()).flatten());
        if let Some(right) = right {
            looked.bindings.insert("port_service", name(service).to_owned());
            looked.bindings.insert("port_index", index.to_string());
            looked.bindings.insert("port_wrong", target.clone());
            looked.bindings.insert("port_right", right);
        }
        looked.trouble(
            cause::SERVICE_PORT,
            format!("port {number} leads to {target}, on which no container listens: they have {list}"),
        );
    }
}

/// Names (or numbers, where they have none) and numbers of the ports a pod declares.
fn container_ports(pod: &Value) -> Vec<(String, String)> {
    let containers = items(pod, "/spec/containers").iter();
    containers
        .flat_map(|container| items(container, "/ports"))
        .map(|port| {
            let number = port.get("containerPort").map(ToString::to_string).unwrap_or_default();
            let name = string(port, "/name");
            (if name.is_empty() { number.clone() } else { name.to_owned() }, number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(service: &str, bindings: &[(&'static str, &str)], trouble: &'static str) -> Looked {
        let pairs = bindings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Looked {
            bindings: pairs.chain([("service", service.to_owned())]).collect(),
            troubles: vec![(trouble, "wrong".to_owned())],
            ..Looked::default()
        }
    }

    #[test]
    fn what_would_mend_one_service_is_not_told_of_another() {
        let absent = looked("nosuch", &[], cause::SERVICE_ABSENT);
        let right = [("selector_service", "web"), ("selector_right", "web")];
        let web = looked("web", &right, cause::SERVICE_SELECTOR);
        let told = |all: &[Looked]| {
            let mut answer = Answer::new();
            bind(all, &mut answer);
            answer.into_reading(crate::domain::Timestamp::UNIX_EPOCH, std::time::Duration::ZERO).bindings
        };
        let mended = told(&[absent, web, looked("pay", &[], cause::NO_ENDPOINTS)]);
        assert_eq!((mended["service"].as_str(), mended["selector_service"].as_str()), ("web", "web"));
        let absent = told(&[looked("nosuch", &[], cause::SERVICE_ABSENT)]);
        assert_eq!((absent["service"].as_str(), absent.get("selector_right")), ("nosuch", None));
    }
}
