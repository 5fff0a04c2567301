//! The web application firewall in front of an application load balancer: one IP set, one web ACL. What is written is
//! shown at once, and in force a little later. It knows rules as their API has them, not who comes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use super::cluster::Cluster;
use super::ec2::{ACCOUNT, REGION};
use super::perimeter::{LOGIN, Network, Visitor};

pub const IP_SET: (&str, &str) = ("covetpy-blocked", "6c1f9a0e-2d4b-4e8a-9b57-3f0c8d1e2a61");
pub const WEB_ACL: (&str, &str) = ("covetpy-web", "b83d5e27-91c4-4f0d-8a6e-75c2e4d90f13");

/// Seconds until every place has a change (AWS WAF developer guide: seconds to a number of minutes).
const SPREAD: (f64, f64) = (10.0, 20.0);
/// Seconds in which a rate-based rule counts, where it does not say (AWS WAF API: `EvaluationWindowSec`).
const WINDOW: f64 = 300.0;

/// The firewall, as it is shown and as it acts.
pub struct Firewall {
    pub addresses: Vec<String>,
    /// The web ACL's `Rules`, as they were written.
    pub rules: Vec<Value>,
    /// Changes so far to each: what a lock token stands for.
    pub versions: [u32; 2],
    in_force: (Vec<Network>, Vec<Limit>),
    /// Since when the limits count.
    counts_since: Option<Timestamp>,
    due: Option<Timestamp>,
}

/// A rule that counts by address.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Limit {
    /// Requests within the window.
    pub most: f64,
    /// Seconds.
    pub window: f64,
    /// Only logins count, and only they are blocked.
    pub logins_only: bool,
    /// Seconds for which it has counted.
    pub counted: f64,
}

impl Limit {
    /// Whether an address has asked so often that this rule blocks it.
    pub fn stops(&self, visitor: Visitor) -> bool {
        let counted = if self.logins_only { visitor.logins } else { visitor.per_second };
        let seen = visitor.since.as_secs_f64().min(self.window).min(self.counted);
        counted * seen > self.most
    }
}

/// The ARN of the IP set or of the web ACL.
pub fn firewall_arn(kind: &str, (name, id): (&str, &str)) -> String {
    format!("arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/{kind}/{name}/{id}")
}

impl Default for Firewall {
    fn default() -> Self {
        let seen = |metric: &str| json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": metric});
        let rules = vec![
            json!({
                "Name": "block-listed", "Priority": 0, "Action": {"Block": {}}, "VisibilityConfig": seen("block-listed"),
                "Statement": {"IPSetReferenceStatement": {"ARN": firewall_arn("ipset", IP_SET)}},
            }),
            json!({
                "Name": "common", "Priority": 10, "OverrideAction": {"None": {}}, "VisibilityConfig": seen("common"),
                "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}},
            }),
        ];
        Self {
            addresses: Vec::new(),
            rules,
            versions: [0; 2],
            in_force: Default::default(),
            counts_since: None,
            due: None,
        }
    }
}

impl Firewall {
    /// Networks that are blocked, and limits that hold, by now.
    pub(super) fn in_force(&self, cluster: &Cluster) -> (Vec<Network>, Vec<Limit>) {
        let (networks, mut limits) = self.in_force.clone();
        let passed = self.counts_since.map_or(0.0, |since| cluster.now.duration_since(since).as_secs_f64());
        for limit in &mut limits {
            limit.counted = passed * cluster.speed;
        }
        (networks, limits)
    }

    fn read(&self) -> (Vec<Network>, Vec<Limit>) {
        let blocks = self.rules.iter().filter(|rule| rule.pointer("/Action/Block").is_some());
        let (mut networks, mut limits) = (Vec::new(), Vec::new());
        for statement in blocks.map(|rule| &rule["Statement"]) {
            if statement["IPSetReferenceStatement"]["ARN"] == firewall_arn("ipset", IP_SET) {
                networks.extend(self.addresses.iter().filter_map(|text| Network::read(text)));
            }
            limits.extend(limit(&statement["RateBasedStatement"]));
        }
        (networks, limits)
    }

    fn tick(&mut self, now: Timestamp) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let (networks, limits) = self.read();
            if limits != self.in_force.1 {
                self.counts_since = Some(now);
            }
            self.in_force = (networks, limits);
        }
    }

    fn spread(&mut self, cluster: &mut Cluster) {
        self.due = Some(cluster.after_about(SPREAD.0, SPREAD.1));
    }
}

/// One that counts by address: all requests, or those for the login.
fn limit(rule: &Value) -> Option<Limit> {
    let most = rule["Limit"].as_f64()?;
    let window = rule["EvaluationWindowSec"].as_f64().unwrap_or(WINDOW);
    if rule["AggregateKeyType"] != "IP" {
        return None;
    }
    let scope = &rule["ScopeDownStatement"];
    if scope.is_null() {
        return Some(Limit { most, window, logins_only: false, counted: 0.0 });
    }
    let path = &scope["ByteMatchStatement"];
    let word = STANDARD.decode(path["SearchString"].as_str()?).ok()?;
    let word = String::from_utf8(word).ok().filter(|_| path["FieldToMatch"]["UriPath"].is_object())?;
    let fits = match path["PositionalConstraint"].as_str()? {
        "EXACTLY" => LOGIN == word,
        "STARTS_WITH" => LOGIN.starts_with(&word),
        "ENDS_WITH" => LOGIN.ends_with(&word),
        "CONTAINS" => LOGIN.contains(&word),
        _ => false,
    };
    fits.then_some(Limit { most, window, logins_only: true, counted: 0.0 })
}

impl World {
    /// The firewall, where the load balancer is one that can have it.
    pub fn firewall(&self) -> Option<&Firewall> {
        self.firewall.as_ref()
    }

    /// Writes the IP set anew.
    pub fn set_blocked(&mut self, addresses: Vec<String>) {
        if let Some(firewall) = &mut self.firewall {
            firewall.addresses = addresses;
            firewall.versions[0] += 1;
            firewall.spread(&mut self.cluster);
        }
    }

    /// Writes the web ACL's rules anew.
    pub fn set_rules(&mut self, rules: Vec<Value>) {
        if let Some(firewall) = &mut self.firewall {
            firewall.rules = rules;
            firewall.versions[1] += 1;
            firewall.spread(&mut self.cluster);
        }
    }

    pub(super) fn tick_firewall(&mut self) {
        let now = self.cluster.now;
        if let Some(firewall) = &mut self.firewall {
            firewall.tick(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn visitor(per_second: f64, logins: f64, seconds: i64) -> Visitor {
        let address = std::net::Ipv4Addr::new(203, 0, 113, 7);
        Visitor { address, per_second, logins, since: SignedDuration::from_secs(seconds) }
    }

    #[test]
    fn a_limit_counts_what_it_is_for_within_its_window() {
        let for_login = json!({"ByteMatchStatement": {"SearchString": STANDARD.encode("/login"),
            "FieldToMatch": {"UriPath": {}}, "PositionalConstraint": "STARTS_WITH"}});
        let rule = json!({"Limit": 100, "AggregateKeyType": "IP", "ScopeDownStatement": for_login});
        let fresh = limit(&rule).unwrap();
        assert!(!fresh.stops(visitor(0.5, 0.5, 900)), "it has only begun to count");
        let logins = Limit { counted: 900.0, ..fresh };
        assert!(!logins.stops(visitor(0.5, 0.5, 100)), "it has not counted for long");
        assert!(logins.stops(visitor(0.5, 0.5, 900)));
        assert!(!logins.stops(visitor(0.3, 0.3, 900)), "ninety in five minutes");
        assert!(!logins.stops(visitor(50.0, 0.0, 900)), "other requests do not count");
        let all =
            Limit { counted: 900.0, ..limit(&json!({"Limit": 100, "AggregateKeyType": "IP"})).unwrap() };
        assert!(all.stops(visitor(50.0, 0.0, 900)));
        let elsewhere = json!({"ByteMatchStatement": {"SearchString": STANDARD.encode("/admin"),
            "FieldToMatch": {"UriPath": {}}, "PositionalConstraint": "STARTS_WITH"}});
        assert!(
            limit(&json!({"Limit": 100, "AggregateKeyType": "IP", "ScopeDownStatement": elsewhere}))
                .is_none()
        );
    }
}
