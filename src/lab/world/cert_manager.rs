//! cert-manager and its authority, as far as the drills need them: a Certificate that is asked to be issued gets a
//! request, an order and a challenge; what the authority thinks of them; and what the ingress controller serves.
//! It knows objects and times; who changes them is not its concern.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::later;
use super::edge::{controller_uids, text};
use super::{NAMESPACE, World, our_app};
use crate::lab::signals::Certificate;
use crate::lab::store::seconds;

/// How long a challenge takes, in seconds of life.
const CHALLENGE: f64 = 12.0;
/// Failed validations an hour at Let's Encrypt.
const FAILURES: u32 = 5;
/// For how long the authority says 429 after that, in seconds.
const PENALTY: f64 = 7200.0;
/// By how much each further attempt prolongs that, in seconds.
const INSISTENCE: f64 = 600.0;
pub(super) const ISSUER: &str = "letsencrypt-production";

/// What is going on.
#[derive(Default)]
pub struct CertManager {
    /// By Certificate: when its challenge is decided, and under which number.
    attempts: BTreeMap<String, (Timestamp, u32)>,
    /// By Secret.
    pub(super) issued: BTreeMap<String, Certificate>,
    /// What the controller holds in memory although the Secret is newer, and the pods that hold it.
    pub(super) stale: Option<(Certificate, Vec<String>)>,
    /// The authority says 429 until then, to the same set of names.
    pub(super) limited: Option<Timestamp>,
    failures: u32,
    pub(super) counter: u32,
    pub(super) tried_after_limit: bool,
}

impl World {
    /// The certificate of the beginning.
    pub(super) fn begin_certificates(&mut self, served: Certificate) {
        self.issuance.issued.insert("covetpy-tls".into(), served);
        self.issuance.counter = 3;
    }

    pub(super) fn tick_certificates(&mut self) {
        let names: Vec<String> = self
            .cluster
            .store
            .list("certificates", Some(NAMESPACE))
            .0
            .iter()
            .map(|object| object.name.clone())
            .collect();
        for name in names {
            self.reconcile_certificate(&name);
        }
        self.retry_after_limit();
        self.serve_certificates();
    }

    fn reconcile_certificate(&mut self, name: &str) {
        let Some(object) = self.cluster.store.get("certificates", NAMESPACE, name) else { return };
        let value = object.value();
        let condition = |kind: &str| {
            let all = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|row| row["type"] == kind)
        };
        let asked = condition("Issuing").is_some_and(|row| row["status"] == "True");
        let new = condition("Ready").is_none();
        let now = self.cluster.now;
        match self.issuance.attempts.get(name).copied() {
            None if asked || new => self.attempt(name, &value),
            Some((due, number)) if due <= now => {
                self.issuance.attempts.remove(name);
                match self.verdict(&value) {
                    Ok(()) => self.issue(name, number),
                    Err((reason, message)) => self.fail(name, number, &reason, &message),
                }
            }
            _ => {}
        }
    }

    /// A request, an order and a challenge are made.
    fn attempt(&mut self, name: &str, certificate: &Value) {
        self.issuance.counter += 1;
        let number = self.issuance.counter;
        let due = self.cluster.after(CHALLENGE);
        self.issuance.attempts.insert(name.to_owned(), (due, number));
        let host = certificate["spec"]["dnsNames"][0].as_str().unwrap_or_default().to_owned();
        let limited = self.is_limited();
        let solved = self.solver_is_served();
        let (reason, state) = match (limited, solved) {
            (Some(_), _) => (String::new(), None),
            (None, true) => (String::new(), Some("processing")),
            (None, false) => (
                "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'"
                    .to_owned(),
                Some("pending"),
            ),
        };
        self.make_request(name, number, certificate);
        if let Some(state) = state {
            let token = format!("tok-{number}-{:08x}", self.cluster.rng.u32(..));
            let key = format!("{token}.lab-account-thumbprint");
            if solved {
                let answer = key.clone();
                self.signals.write(|shown| shown.edge.challenges.insert(token.clone(), answer));
            }
            let owner = self.uid("orders", &format!("{name}-{number}"));
            self.put("challenges", &format!("{name}-{number}"), &json!({
                "metadata": { "ownerReferences": [reference("acme.cert-manager.io/v1", "Order", &format!("{name}-{number}"), &owner)] },
                "spec": { "type": "HTTP-01", "dnsName": host, "token": token, "key": key, "wildcard": false,
                    "issuerRef": { "group": "cert-manager.io", "kind": "ClusterIssuer", "name": ISSUER } },
                "status": { "state": state, "reason": reason, "presented": solved, "processing": true },
            }));
        }
    }

    pub(super) fn make_request(&mut self, name: &str, number: u32, certificate: &Value) {
        let uid = certificate["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let request = format!("{name}-{number}");
        self.put("certificaterequests", &request, &json!({
            "metadata": { "annotations": { "cert-manager.io/certificate-name": name, "cert-manager.io/certificate-revision": number.to_string() },
                "ownerReferences": [reference("cert-manager.io/v1", "Certificate", name, &uid)] },
            "spec": { "issuerRef": certificate["spec"]["issuerRef"] },
            "status": { "conditions": [{ "type": "Ready", "status": "False", "reason": "Pending",
                "message": format!("Waiting on certificate issuance from order {NAMESPACE}/{request}: \"pending\"") }] },
        }));
        let owner = self.uid("certificaterequests", &request);
        self.put("orders", &request, &json!({
            "metadata": { "ownerReferences": [reference("cert-manager.io/v1", "CertificateRequest", &request, &owner)] },
            "spec": { "dnsNames": certificate["spec"]["dnsNames"], "issuerRef": certificate["spec"]["issuerRef"] },
            "status": { "state": "pending" },
        }));
    }

    /// What the authority thinks: the reason of a failure, and its words.
    fn verdict(&mut self, certificate: &Value) -> Result<(), (String, String)> {
        if let Some(until) = self.is_limited() {
            let names: Vec<&str> = certificate["spec"]["dnsNames"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            if names == our_app::HOSTS {
                let until = until.strftime("%Y-%m-%d %H:%M:%S UTC");
                let words = format!(
                    "Failed to create Order: 429 urn:ietf:params:acme:error:rateLimited: too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after {until}"
                );
                return Err(("errored".into(), words));
            }
        }
        if self.solver_is_served() {
            return Ok(());
        }
        let host = certificate["spec"]["dnsNames"][0].as_str().unwrap_or_default();
        Err((
            "invalid".into(),
            format!(
                "Error accepting authorization: acme: authorization error for {host}: 403 urn:ietf:params:acme:error:unauthorized: Invalid response from http://{host}/.well-known/acme-challenge/…: 404"
            ),
        ))
    }

    fn is_limited(&self) -> Option<Timestamp> {
        self.issuance.limited.filter(|until| *until > self.cluster.now)
    }

    /// The issuer's solver names an ingress class that exists.
    fn solver_is_served(&self) -> bool {
        let Some(issuer) = self.cluster.store.get("clusterissuers", "", ISSUER) else { return false };
        let class = text(&issuer, "/spec/acme/solvers/0/http01/ingress/ingressClassName");
        self.cluster.store.get("ingressclasses", "", &class).is_some()
    }

    fn issue(&mut self, name: &str, number: u32) {
        let now = self.cluster.now;
        let Some(object) = self.cluster.store.get("certificates", NAMESPACE, name) else { return };
        let hosts: Vec<String> = object.value()["spec"]["dnsNames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let ends = later(now, SignedDuration::from_hours(24 * 90));
        let secret = text(&object, "/spec/secretName");
        self.issuance.issued.insert(secret, Certificate { hosts, not_before: now, not_after: ends });
        self.issuance.failures = 0;
        let (at, renewal) = (seconds(now), seconds(later(ends, -SignedDuration::from_hours(24 * 30))));
        let status = json!({
            "notBefore": at, "notAfter": seconds(ends), "renewalTime": renewal, "revision": number,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 1,
                "message": "Certificate is up to date and has not expired", "lastTransitionTime": at }],
        });
        self.set_status("certificates", name, &status);
        let request = format!("{name}-{number}");
        self.set_status("orders", &request, &json!({ "state": "valid" }));
        self.set_status(
            "certificaterequests",
            &request,
            &json!({ "conditions": [{ "type": "Ready", "status": "True",
            "reason": "Issued", "message": "Certificate fetched from issuer successfully" }] }),
        );
        self.forget_challenge(&request);
    }

    fn fail(&mut self, name: &str, number: u32, state: &str, message: &str) {
        let now = self.cluster.now;
        let request = format!("{name}-{number}");
        if state == "invalid" {
            self.issuance.failures += 1;
            if self.issuance.failures >= FAILURES {
                self.issuance.limited = Some(self.cluster.after(PENALTY));
            }
        } else if let Some(until) = self.is_limited() {
            self.issuance.limited = Some(later(until, self.cluster.lasting(INSISTENCE)));
        }
        let words = format!("The certificate request has failed to complete and will be retried: {message}");
        self.mark_failed(name, &words, 1, now);
        self.set_status(
            "orders",
            &request,
            &json!({ "state": state, "reason": message, "failureTime": seconds(now) }),
        );
        self.set_status("certificaterequests", &request, &json!({ "failureTime": seconds(now), "conditions": [{ "type": "Ready",
            "status": "False", "reason": "Failed", "message": format!("Failed to wait for order resource \"{request}\" to become ready: {message}") }] }));
        self.forget_challenge(&request);
        let (namespace, pod) = ("cert-manager", self.manager_pod());
        let line = format!(
            r#"E0301 "error waiting for order" logger="cert-manager.certificates" key="{NAMESPACE}/{name}" error="{message}""#
        );
        self.cluster.logs.append(namespace, &pod, "cert-manager", 0, &line, now);
    }

    pub(super) fn mark_failed(&mut self, name: &str, words: &str, more: u64, at: Timestamp) {
        let moment = seconds(at);
        let change = |object: &mut Value| {
            let status = &mut object["status"];
            let attempts = status["failedIssuanceAttempts"].as_u64().unwrap_or(0) + more;
            status["failedIssuanceAttempts"] = attempts.into();
            status["lastFailureTime"] = moment.clone().into();
            let rows = status["conditions"].as_array().cloned().unwrap_or_default();
            let others = rows.into_iter().filter(|row| row["type"] != "Issuing");
            let row = json!({ "type": "Issuing", "status": "False", "reason": "Failed", "message": words, "lastTransitionTime": moment });
            let mut rows: Vec<Value> = others.chain([row]).collect();
            if !rows.iter().any(|row| row["type"] == "Ready") {
                rows.push(json!({ "type": "Ready", "status": "False", "reason": "DoesNotExist", "message": "Issuing certificate as Secret does not exist", "lastTransitionTime": moment }));
            }
            status["conditions"] = rows.into();
        };
        let _ = self.cluster.store.update("certificates", NAMESPACE, name, self.cluster.now, change);
    }

    pub(super) fn manager_pod(&self) -> String {
        let mut pods = self.cluster.pods.within("cert-manager");
        pods.next().map(|(key, _)| key.name.clone()).unwrap_or_default()
    }

    fn forget_challenge(&mut self, name: &str) {
        if let Some(object) = self.cluster.store.get("challenges", NAMESPACE, name) {
            let token = text(&object, "/spec/token");
            self.signals.write(|shown| shown.edge.challenges.remove(&token));
            let _ = self.cluster.store.delete("challenges", NAMESPACE, name);
        }
    }

    /// Once the limit has passed, cert-manager tries again by itself.
    fn retry_after_limit(&mut self) {
        let passed = self.issuance.limited.is_some_and(|until| until <= self.cluster.now);
        if !passed || self.issuance.tried_after_limit {
            return;
        }
        self.issuance.tried_after_limit = true;
        let at = seconds(self.cluster.now);
        let row = json!({ "type": "Issuing", "status": "True", "reason": "Renewing", "lastTransitionTime": at,
            "message": "Renewing certificate as renewal was scheduled" });
        let _ =
            self.cluster.store.update("certificates", NAMESPACE, "covetpy-tls", self.cluster.now, |object| {
                let rows = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                object["status"]["conditions"] =
                    rows.into_iter().filter(|row| row["type"] != "Issuing").chain([row]).collect();
            });
    }

    /// What the controller serves: the Secret its Ingress names, unless it holds an older one in memory.
    pub(super) fn serve_certificates(&mut self) {
        if let Some((_, pods)) = &self.issuance.stale {
            let ready = controller_uids(&self.cluster);
            if !ready.is_empty() && !ready.iter().any(|uid| pods.contains(uid)) {
                self.issuance.stale = None;
            }
        }
        let ingress = self.cluster.store.get("ingresses", NAMESPACE, "covetpy-ingress");
        let secret = ingress.map(|ingress| text(&ingress, "/spec/tls/0/secretName")).unwrap_or_default();
        let held = self.issuance.stale.as_ref().map(|(held, _)| held.clone());
        let served: Vec<Certificate> =
            held.or_else(|| self.issuance.issued.get(&secret).cloned()).into_iter().collect();
        let changed = self.signals.read(|shown| shown.certificates != served);
        if changed {
            self.signals.write(|shown| shown.certificates = served);
        }
    }

    fn put(&mut self, resource: &str, name: &str, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = NAMESPACE.into();
        let _ = self.cluster.store.create(resource, object, self.cluster.now);
    }

    fn uid(&self, resource: &str, name: &str) -> String {
        self.cluster
            .store
            .get(resource, NAMESPACE, name)
            .map(|object| text(&object, "/metadata/uid"))
            .unwrap_or_default()
    }

    pub(super) fn set_status(&mut self, resource: &str, name: &str, status: &Value) {
        let now = self.cluster.now;
        let _ = self
            .cluster
            .store
            .update(resource, NAMESPACE, name, now, |object| object["status"] = status.clone());
    }
}

fn reference(version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true })
}

/// The issuer of the lab's certificates.
pub(super) fn issuer(at: &str) -> Value {
    json!({
        "metadata": { "name": ISSUER },
        "spec": { "acme": {
            "email": "oncall@yourdomain.com", "server": "https://acme-v02.api.letsencrypt.org/directory",
            "privateKeySecretRef": { "name": "letsencrypt-account" },
            "solvers": [{ "http01": { "ingress": { "ingressClassName": "nginx" } } }],
        } },
        "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "ACMEAccountRegistered",
            "message": "The ACME account was registered with the ACME server", "lastTransitionTime": at }] },
    })
}
