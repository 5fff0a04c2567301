//! WAFv2: the web ACL of the load balancer and its IP set, where there is one; written whole, under a lock token.

use serde_json::{Value, json};

use super::{Failure, load_balancing};
use crate::lab::world::{BALANCERS, Firewall, IP_SET, WEB_ACL, World, firewall_arn};

/// What calls for this service are targeted at.
pub(super) const SERVICE: &str = "AWSWAF_20190729";
/// Addresses of one set (AWS WAF quotas).
const MOST: usize = 10_000;
/// The fewest requests that a rate-based rule may allow, and the windows it may count in (AWS WAF API).
const FEWEST: u64 = 10;
const WINDOWS: [u64; 4] = [60, 120, 300, 600];

pub(super) fn answer(world: &mut World, operation: &str, body: &[u8]) -> Result<Value, Failure> {
    let asked: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::new("SerializationException", error.to_string()))?;
    match operation {
        "GetWebACLForResource" => of_resource(world, word(&asked, "ResourceArn")),
        "ListIPSets" | "ListWebACLs" => {
            let is_here = |_: &&Firewall| word(&asked, "Scope") == "REGIONAL";
            let of = |firewall: &Firewall| match operation {
                "ListIPSets" => named("ipset", IP_SET, firewall.versions[0]),
                _ => named("webacl", WEB_ACL, firewall.versions[1]),
            };
            let found: Vec<Value> = world.firewall().filter(is_here).map(of).into_iter().collect();
            Ok(if operation == "ListIPSets" { json!({"IPSets": found}) } else { json!({"WebACLs": found}) })
        }
        "GetIPSet" => {
            let firewall = found(world, &asked, IP_SET)?;
            Ok(json!({"IPSet": set(firewall), "LockToken": token("ipset", firewall.versions[0])}))
        }
        "UpdateIPSet" => {
            let firewall = found(world, &asked, IP_SET)?;
            locked(&asked, "ipset", firewall.versions[0])?;
            let next = token("ipset", firewall.versions[0] + 1);
            world.set_blocked(addresses(&asked)?);
            Ok(json!({"NextLockToken": next}))
        }
        "GetWebACL" => {
            let firewall = found(world, &asked, WEB_ACL)?;
            Ok(json!({"WebACL": acl(firewall), "LockToken": token("webacl", firewall.versions[1])}))
        }
        "UpdateWebACL" => {
            let firewall = found(world, &asked, WEB_ACL)?;
            locked(&asked, "webacl", firewall.versions[1])?;
            let next = token("webacl", firewall.versions[1] + 1);
            world.set_rules(rules(&asked)?);
            Ok(json!({"NextLockToken": next}))
        }
        _ => Err(Failure::new("UnknownOperationException", "")),
    }
}

fn word<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_default()
}

fn invalid(says: impl Into<String>) -> Failure {
    Failure::new("WAFInvalidParameterException", says)
}

/// The firewall, when what is asked for is part of it.
fn found<'a>(world: &'a World, asked: &Value, (name, id): (&str, &str)) -> Result<&'a Firewall, Failure> {
    let this = (word(asked, "Name"), word(asked, "Id"), word(asked, "Scope")) == (name, id, "REGIONAL");
    world.firewall().filter(|_| this).ok_or_else(|| {
        let says =
            "AWS WAF couldn\u{2019}t perform the operation because your resource doesn\u{2019}t exist.";
        Failure::new("WAFNonexistentItemException", says)
    })
}

fn of_resource(world: &World, arn: &str) -> Result<Value, Failure> {
    if !BALANCERS
        .iter()
        .any(|one| load_balancing::arn(one, world) == arn && arn.contains("loadbalancer/app/"))
    {
        return Err(invalid(
            "Error reason: The ARN isn't valid. A valid ARN begins with arn: and includes other information separated by colons or slashes., field: RESOURCE_ARN",
        ));
    }
    Ok(world.firewall().map_or_else(|| json!({}), |firewall| json!({"WebACL": acl(firewall)})))
}

/// What it was changed so often since stands for.
fn token(kind: &str, version: u32) -> String {
    let half = if kind == "ipset" { 0x1a5e } else { 0xac1d };
    format!("{version:08x}-{half:04x}-4c3b-9d2e-5f6a7b8c9d0e")
}

fn locked(asked: &Value, kind: &str, version: u32) -> Result<(), Failure> {
    if word(asked, "LockToken") == token(kind, version) {
        return Ok(());
    }
    let says = "AWS WAF couldn\u{2019}t save your changes because someone changed the resource after you started to edit it. Reapply your changes.";
    Err(Failure::new("WAFOptimisticLockException", says))
}

fn named(kind: &str, (name, id): (&str, &str), version: u32) -> Value {
    json!({"Name": name, "Id": id, "ARN": firewall_arn(kind, (name, id)), "LockToken": token(kind, version), "Description": ""})
}

fn set(firewall: &Firewall) -> Value {
    json!({
        "Name": IP_SET.0, "Id": IP_SET.1, "ARN": firewall_arn("ipset", IP_SET),
        "Description": "blocked by hand", "IPAddressVersion": "IPV4", "Addresses": firewall.addresses,
    })
}

fn acl(firewall: &Firewall) -> Value {
    json!({
        "Name": WEB_ACL.0, "Id": WEB_ACL.1, "ARN": firewall_arn("webacl", WEB_ACL),
        "DefaultAction": {"Allow": {}}, "Description": "", "Rules": firewall.rules, "Capacity": 701,
        "VisibilityConfig": {"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": WEB_ACL.0},
        "ManagedByFirewallManager": false, "LabelNamespace": "awswaf:111122223333:webacl:covetpy-web:",
    })
}

fn addresses(asked: &Value) -> Result<Vec<String>, Failure> {
    let list = asked["Addresses"]
        .as_array()
        .ok_or_else(|| invalid("Error reason: You have omitted a required parameter., field: ADDRESSES"))?;
    let is_network = |text: &str| {
        let (address, prefix) = text.split_once('/')?;
        let bits: u8 = prefix.parse().ok()?;
        (address.parse::<std::net::Ipv4Addr>().is_ok() && (1..=32).contains(&bits)).then_some(())
    };
    let read = |value: &Value| {
        let text = value.as_str().filter(|text| is_network(text).is_some());
        text.map(str::to_owned).ok_or_else(|| {
            invalid(format!("Error reason: The parameter contains formatting that is not valid., field: IP_ADDRESS, parameter: {value}"))
        })
    };
    if list.len() > MOST {
        return Err(Failure::new("WAFLimitsExceededException", "the set is full"));
    }
    list.iter().map(read).collect()
}

fn rules(asked: &Value) -> Result<Vec<Value>, Failure> {
    let rules = asked["Rules"].as_array().cloned().unwrap_or_default();
    for field in ["DefaultAction", "VisibilityConfig"] {
        if !asked[field].is_object() {
            return Err(invalid(format!(
                "Error reason: You have omitted a required parameter., field: {field}"
            )));
        }
    }
    let mut places = std::collections::BTreeSet::new();
    for rule in &rules {
        if !places.insert(rule["Priority"].as_u64()) {
            let says =
                "AWS WAF couldn\u{2019}t perform the operation because the priority of a rule is taken.";
            return Err(Failure::new("WAFDuplicateItemException", says));
        }
        let rate = &rule["Statement"]["RateBasedStatement"];
        let within =
            |value: &Value, fits: &dyn Fn(u64) -> bool| value.is_null() || value.as_u64().is_some_and(fits);
        if !within(&rate["Limit"], &|limit| limit >= FEWEST)
            || !within(&rate["EvaluationWindowSec"], &|window| WINDOWS.contains(&window))
        {
            return Err(invalid(
                "Error reason: Your rate limit is out of bounds., field: RATE_BASED_STATEMENT",
            ));
        }
    }
    Ok(rules)
}
