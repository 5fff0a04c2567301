//! Ingresses as the way in: hosts, certificates, load balancer, backends, and the controller behind the class.

use serde_json::Value;

use super::Asking;
use super::controller;
use super::service;
use crate::domain::{Key, Kind, ObjectRef, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::object::{annotation, items, key, string};
use crate::probes::trouble::Trouble;

/// What an Ingress says.
#[derive(Clone, Debug, Default)]
pub(super) struct WayIn {
    pub name: String,
    pub namespace: String,
    /// Empty when the cluster's default class is meant.
    pub class: String,
    /// Of the rules, then of the certificates.
    pub hosts: Vec<String>,
    /// Addresses or names of the load balancer.
    pub balancers: Vec<String>,
    /// Where it takes HTTPS: 443, unless its status names a single other port.
    pub port: u16,
    /// Where it takes HTTP: 80, or the same single port.
    pub plain_port: u16,
    /// Host, path, Service and port, as written.
    pub backends: Vec<(String, String, String, String)>,
    /// Hosts and Secret of each entry of `spec.tls`.
    pub tls: Vec<(Vec<String>, String)>,
}

impl WayIn {
    pub(super) fn of(ingress: &Value) -> WayIn {
        let mut way = WayIn { port: 443, plain_port: 80, ..WayIn::default() };
        let found = key(ingress);
        (way.namespace, way.name) = (found.namespace.to_string(), found.name.to_string());
        way.class = match string(ingress, "/spec/ingressClassName") {
            "" => annotation(ingress, "kubernetes.io/ingress.class").unwrap_or_default().to_owned(),
            class => class.to_owned(),
        };
        for rule in items(ingress, "/spec/rules") {
            let host = string(rule, "/host");
            way.hosts.extend((!host.is_empty()).then(|| host.to_owned()));
            for path in items(rule, "/http/paths") {
                way.backends.extend(backend(host, string(path, "/path"), path.get("backend")));
            }
        }
        way.backends.extend(backend("*", "/", ingress.pointer("/spec/defaultBackend")));
        for entry in items(ingress, "/spec/tls") {
            let hosts: Vec<String> =
                items(entry, "/hosts").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            way.hosts.extend(hosts.iter().filter(|host| !host.is_empty()).cloned());
            way.tls.push((hosts, string(entry, "/secretName").to_owned()));
        }
        let mut seen = std::collections::BTreeSet::new();
        way.hosts.retain(|host| seen.insert(host.clone()));
        let balancers = items(ingress, "/status/loadBalancer/ingress");
        let address = |one: &Value| match string(one, "/ip") {
            "" => string(one, "/hostname").to_owned(),
            ip => ip.to_owned(),
        };
        way.balancers = balancers.iter().map(address).filter(|address| !address.is_empty()).collect();
        let ports: std::collections::BTreeSet<u64> = balancers
            .iter()
            .flat_map(|one| items(one, "/ports"))
            .filter_map(|port| port.get("port")?.as_u64())
            .collect();
        if let (1, Some(only)) = (ports.len(), ports.first().and_then(|port| u16::try_from(*port).ok()))
            && !matches!(only, 80 | 443)
        {
            (way.port, way.plain_port) = (only, only);
        }
        way
    }

    /// Hosts that can be asked: a wildcard has no address.
    pub(super) fn askable(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str).filter(|host| !host.contains('*'))
    }

    pub(super) fn serves(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| stands_for(name, host))
    }

    /// A controller that needs no IngressClass (GKE's own) gave it its address.
    fn is_served_without(&self, trouble: &str) -> bool {
        trouble == cause::INGRESS_CLASS && self.class.is_empty() && !self.balancers.is_empty()
    }

    /// The Services behind it, each once.
    pub(super) fn services(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.backends.iter().map(|(_, _, service, _)| service.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Whether a name, maybe with a wildcard for one label, stands for a host.
pub(super) fn stands_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(zone) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(zone)),
        None => name.eq_ignore_ascii_case(host),
    }
}

fn backend(host: &str, path: &str, backend: Option<&Value>) -> Option<(String, String, String, String)> {
    let service = backend?.get("service")?;
    let port = match string(service, "/port/name") {
        "" => service.pointer("/port/number").map(ToString::to_string).unwrap_or_default(),
        name => name.to_owned(),
    };
    Some((host.to_owned(), path.to_owned(), string(service, "/name").to_owned(), port))
}

/// Ingresses with this host, in a namespace or anywhere; none where they may not be listed.
pub(super) async fn of_host(asking: &Asking<'_>, namespace: Option<&str>, host: &str) -> Vec<WayIn> {
    let Some(namespace) = namespace else { return Vec::new() };
    let listed = asking.cluster.list(Kind::Ingress, namespace, "", "").await.unwrap_or_default();
    listed.iter().map(WayIn::of).filter(|way| way.serves(host)).collect()
}

pub(super) async fn get(asking: &Asking<'_>, ingress: &Key) -> Result<WayIn, Trouble> {
    let object = ObjectRef::new(Kind::Ingress, ingress.clone());
    asking.cluster.get(&object).await.map(|found| WayIn::of(&found))
}

pub(super) async fn check(asking: &Asking<'_>, ingress: &Key) -> Result<Answer, Trouble> {
    let way = get(asking, ingress).await?;
    let mut answer = Answer::new();
    let mut wrong: Vec<String> = Vec::new();
    answer.line(
        Tone::Plain,
        format!("class         {}", if way.class.is_empty() { "the default one" } else { &way.class }),
    );
    for (hosts, secret) in &way.tls {
        answer.line(Tone::Plain, format!("certificate   {secret} for {}", hosts.join(", ")));
        answer.bind("tls_secret", secret);
    }
    if way.balancers.is_empty() {
        let says = "its status has no load balancer address";
        answer.line(Tone::Bad, format!("load balancer {says}"));
        answer.found(cause::BALANCER_PENDING, says);
        wrong.push(says.into());
    } else {
        answer.line(Tone::Good, format!("load balancer {}", way.balancers.join(", ")));
        let port = if way.port == 443 { String::new() } else { format!(":{}", way.port) };
        answer.bind("balancer", format!("{}{port}", way.balancers[0]));
    }
    answer.bind("host", way.askable().next().unwrap_or_default());
    controller_of(asking, &way, &mut answer, &mut wrong).await;
    for (host, path, service, port) in &way.backends {
        answer.line(Tone::Plain, format!("rule          {host}{path} → {service}:{port}"));
    }
    let mut all = Vec::new();
    for name in way.services() {
        let looked = service::look(asking, &Key::new(ingress.namespace.clone(), name)).await?;
        let tone = if looked.troubles.is_empty() { Tone::Good } else { Tone::Bad };
        answer.line(tone, format!("backend       {}", looked.says));
        wrong.extend(looked.troubles.first().map(|(_, says)| says.clone()));
        if !looked.troubles.is_empty() || way.services().len() == 1 {
            looked.tell(&mut answer);
            all.push(looked);
        }
    }
    service::bind(&all, &mut answer);
    match wrong.first() {
        None => answer.summary(format!(
            "{} with {}: class, load balancer, controller and backends are in order",
            way.name,
            text::count(way.hosts.len(), "host")
        )),
        Some(first) => {
            answer.not_ok();
            let more =
                if wrong.len() > 1 { format!(" (and {} more)", wrong.len() - 1) } else { String::new() };
            answer.summary(format!("{}: {first}{more}", way.name));
        }
    }
    Ok(answer)
}

async fn controller_of(asking: &Asking<'_>, way: &WayIn, answer: &mut Answer, wrong: &mut Vec<String>) {
    match controller::find(asking, &way.class).await {
        Ok(found) => {
            let trouble = found.trouble.as_ref().filter(|(cause, _)| !way.is_served_without(cause));
            let tone = if trouble.is_none() { Tone::Good } else { Tone::Bad };
            answer.line(tone, format!("controller    {}", found.says));
            if let Some((cause, says)) = trouble {
                answer.found(cause, says);
                wrong.push(says.clone());
            }
            found.bind(answer);
        }
        Err(trouble) => answer.line(Tone::Dim, format!("controller    cannot be read: {trouble}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_has_an_address_needs_no_class() {
        let way = |address: &[&str], class: &str| WayIn {
            balancers: address.iter().map(|address| (*address).to_owned()).collect(),
            class: class.to_owned(),
            ..WayIn::default()
        };
        assert!(way(&["192.0.2.1"], "").is_served_without(cause::INGRESS_CLASS));
        assert!(!way(&["192.0.2.1"], "").is_served_without(cause::CONTROLLER_DOWN));
        assert!(!way(&[], "").is_served_without(cause::INGRESS_CLASS));
        assert!(!way(&["192.0.2.1"], "nginx").is_served_without(cause::INGRESS_CLASS), "it is gone");
    }

    #[test]
    fn an_ingress_says_where_it_leads() {
        let way = WayIn::of(&json!({
            "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["a.example", "*.b.example"], "secretName": "t"}],
                "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "backend":
                    {"service": {"name": "web", "port": {"number": 80}}}}]}}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example", "ports": [{"port": 8443}]}]}}}));
        assert_eq!((way.port, way.balancers.as_slice()), (8443, &["lb.example".to_owned()][..]));
        assert_eq!(way.services(), ["web"]);
        assert!(way.serves("x.b.example") && !way.serves("x.y.b.example"));
        assert_eq!(way.askable().collect::<Vec<_>>(), ["a.example"]);
    }
}
