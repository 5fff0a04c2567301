//! What drills do to certificates: they grow old, cannot be renewed, or are not loaded.
//! What cert-manager makes of it is not its concern.

use jiff::SignedDuration;
use serde_json::json;

use super::cert_manager::ISSUER;
use super::cluster::later;
use super::edge::controller_uids;
use super::{NAMESPACE, World, our_app};
use crate::lab::signals::Certificate;
use crate::lab::store::seconds;

impl World {
    /// The app's certificate has so many hours left, and should have been renewed long ago.
    pub(super) fn age_certificate(&mut self, hours_left: f64) {
        let now = self.cluster.now;
        let ends = later(now, SignedDuration::from_secs((hours_left * 3600.0) as i64));
        let begins = later(ends, -SignedDuration::from_hours(24 * 90));
        let renewal = later(ends, -SignedDuration::from_hours(24 * 30));
        let old = Certificate {
            hosts: our_app::HOSTS.map(str::to_owned).to_vec(),
            not_before: begins,
            not_after: ends,
        };
        self.issuance.issued.insert("covetpy-tls".into(), old);
        let _ = self.cluster.store.update("certificates", NAMESPACE, "covetpy-tls", now, |object| {
            object["status"]["notBefore"] = seconds(begins).into();
            object["status"]["notAfter"] = seconds(ends).into();
            object["status"]["renewalTime"] = seconds(renewal).into();
        });
        self.serve_certificates();
    }

    /// Renewals have failed for days because the solver's class is gone.
    pub(super) fn lose_solver_class(&mut self, class: &str) {
        let now = self.cluster.now;
        let _ = self.cluster.store.update("clusterissuers", "", ISSUER, now, |object| {
            object["spec"]["acme"]["solvers"][0]["http01"]["ingress"]["ingressClassName"] = class.into();
        });
        self.failed_before(
            "invalid",
            "order is in \"invalid\" state: Invalid response from http://api.yourdomain.com/.well-known/acme-challenge/…: 404",
            5,
        );
    }

    /// The authority limits attempts for so many seconds, and has refused some.
    pub fn limit_issuance(&mut self, for_seconds: f64) {
        let until = self.cluster.after(for_seconds);
        self.issuance.limited = Some(until);
        self.issuance.tried_after_limit = false;
        let words = format!(
            "429 urn:ietf:params:acme:error:rateLimited: too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after {}",
            until.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        self.failed_before("errored", &words, 5);
    }

    fn failed_before(&mut self, state: &str, words: &str, more: u64) {
        let earlier = later(self.cluster.now, -SignedDuration::from_hours(5));
        if let Some(object) = self.cluster.store.get("certificates", NAMESPACE, "covetpy-tls") {
            self.issuance.counter += 1;
            let number = self.issuance.counter;
            self.make_request("covetpy-tls", number, &object.value());
            let request = format!("covetpy-tls-{number}");
            self.set_status(
                "orders",
                &request,
                &json!({ "state": state, "reason": words, "failureTime": seconds(earlier) }),
            );
            self.set_status(
                "certificaterequests",
                &request,
                &json!({ "failureTime": seconds(earlier), "conditions": [{
                "type": "Ready", "status": "False", "reason": "Failed", "message": words }] }),
            );
        }
        let message = format!("The certificate request has failed to complete and will be retried: {words}");
        self.mark_failed("covetpy-tls", &message, more + 1, earlier);
        let pod = self.manager_pod();
        let line = format!(
            r#"E0301 "re-queuing item due to error processing" key="{NAMESPACE}/covetpy-tls" error="{words}""#
        );
        self.cluster.logs.append("cert-manager", &pod, "cert-manager", 0, &line, self.cluster.now);
    }

    /// The certificate was renewed weeks ago; the controller's pods hold the old one.
    pub(super) fn hold_old_certificate(&mut self, hours_left: f64) {
        self.age_certificate(hours_left);
        let old = self.issuance.issued.get("covetpy-tls").cloned();
        let now = self.cluster.now;
        let renewed = later(now, -SignedDuration::from_hours(24 * 28));
        let ends = later(renewed, SignedDuration::from_hours(24 * 90));
        let new = Certificate {
            hosts: our_app::HOSTS.map(str::to_owned).to_vec(),
            not_before: renewed,
            not_after: ends,
        };
        self.issuance.issued.insert("covetpy-tls".into(), new);
        let _ = self.cluster.store.update("certificates", NAMESPACE, "covetpy-tls", now, |object| {
            object["status"]["notBefore"] = seconds(renewed).into();
            object["status"]["notAfter"] = seconds(ends).into();
            object["status"]["renewalTime"] =
                seconds(later(ends, -SignedDuration::from_hours(24 * 30))).into();
            object["status"]["revision"] = 4.into();
        });
        self.issuance.stale = old.map(|old| (old, controller_uids(&self.cluster)));
        self.serve_certificates();
    }
}
