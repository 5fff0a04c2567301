//! Deny entries in a network ACL. Security groups cannot deny; an ACL can, before the entries that allow.

use serde_json::{Value, json};

use super::networks;
use super::plan::Plan;
use crate::config::aws::{AwsError, AwsTrouble, Session, words};
use crate::domain::{AwsDoes, Cidr};
use crate::guard::{Guard, Hazard, Refusal};
use crate::hands::Hands;

/// Entries for one direction, unless AWS raised it (VPC quotas).
const QUOTA: usize = 20;
/// The entry that every ACL ends with.
const LAST: u16 = 32_767;

/// The ingress entries, by rule number.
pub(super) async fn image(session: &Session, acl: &str) -> Result<Value, AwsError> {
    let asked = words(&[("NetworkAclId.1", acl)]);
    let found = session.ec2().describe("DescribeNetworkAcls", asked).await?;
    let mut entries: Vec<(u32, Value)> = Vec::new();
    for entry in
        found.each("networkAclSet/item/entrySet/item").filter(|entry| entry.text("egress") == "false")
    {
        let rule: u32 = entry.number("ruleNumber").unwrap_or_default();
        let from = [entry.text("cidrBlock"), entry.text("ipv6CidrBlock")].concat();
        entries.push((rule, json!({"rule": rule, "action": entry.text("ruleAction"), "from": from, "protocol": entry.text("protocol")})));
    }
    entries.sort_by_key(|(rule, _)| *rule);
    let subnets: Vec<&str> = found
        .each("networkAclSet/item/associationSet/item")
        .map(|association| association.text("subnetId"))
        .collect();
    let entries: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(json!({"network_acl": acl, "subnets": subnets, "ingress": entries}))
}

fn entries(image: &Value) -> &[Value] {
    image.get("ingress").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn rule_of(entry: &Value) -> u16 {
    entry.get("rule").and_then(Value::as_u64).and_then(|rule| u16::try_from(rule).ok()).unwrap_or(u16::MAX)
}

fn is(entry: &Value, name: &str, value: &str) -> bool {
    entry.get(name).and_then(Value::as_str) == Some(value)
}

pub(super) async fn deny(
    hands: &Hands,
    session: &Session,
    acl: &str,
    cidr: &str,
    before: Value,
) -> Result<Plan, Refusal> {
    let network: Cidr = cidr.parse().map_err(Refusal::new)?;
    let cidr = network.to_string();
    // The last rule denies whatever no other allows.
    let denies =
        |entry: &&Value| is(entry, "action", "deny") && is(entry, "from", &cidr) && rule_of(entry) < LAST;
    if let Some(entry) = entries(&before).iter().find(denies) {
        return Err(Refusal::new(format!("{acl} denies {cidr} already, by rule {}", rule_of(entry))));
    }
    let rule = free_rule(&before).ok_or_else(|| {
        Refusal::new(format!("{acl} has no free number before its first allow entry"))
            .repair("renumber its allow entries, or block at the WAF")
    })?;
    let mut hazards = networks::hazards(hands, session, std::slice::from_ref(&cidr)).await?;
    // The last one, which denies the rest, does not count.
    if entries(&before).len() > QUOTA {
        hazards.push(Hazard::warn(
            Guard::Quota,
            format!("it has {} entries: AWS allows {QUOTA} by default", entries(&before).len() - 1),
        ));
    }
    let subnets = before.get("subnets").and_then(Value::as_array).map_or(0, Vec::len);
    hazards.push(Hazard::note(
        Guard::Target,
        format!("everything from {cidr} to its {subnets} subnets is dropped, on every port"),
    ));
    let mut after = before.clone();
    if let Some(list) = after.get_mut("ingress").and_then(Value::as_array_mut) {
        list.push(json!({"rule": rule, "action": "deny", "from": cidr, "protocol": "-1"}));
        list.sort_by_key(rule_of);
    }
    let plan = Plan {
        title: format!("deny {cidr} in {acl}, by rule {rule}"),
        targets: vec![acl.to_owned()],
        hazards,
        before,
        after,
        token: Some(rule.to_string()),
        ..Plan::default()
    };
    let back = AwsDoes::UndenyAddress { network_acl: acl.into(), rule, cidr: cidr.clone() };
    Ok(plan.undo(back, format!("rule {rule} goes away, {cidr} may come again")))
}

/// The highest free number below the first entry that allows.
fn free_rule(image: &Value) -> Option<u16> {
    let used: Vec<u16> = entries(image).iter().map(rule_of).collect();
    let first =
        entries(image).iter().filter(|entry| is(entry, "action", "allow")).map(rule_of).min().unwrap_or(101);
    (1..first).rev().find(|rule| !used.contains(rule))
}

pub(super) fn undeny(acl: &str, rule: u16, cidr: &str, before: Value) -> Result<Plan, Refusal> {
    let there =
        |entry: &&Value| rule_of(entry) == rule && is(entry, "action", "deny") && is(entry, "from", cidr);
    if !entries(&before).iter().any(|entry| there(&entry)) {
        return Err(
            Refusal::new(format!("rule {rule} of {acl} does not deny {cidr}")).repair("look at its entries")
        );
    }
    let mut after = before.clone();
    if let Some(list) = after.get_mut("ingress").and_then(Value::as_array_mut) {
        list.retain(|entry| rule_of(entry) != rule);
    }
    let plan = Plan {
        title: format!("let {cidr} in again: rule {rule} of {acl} goes"),
        targets: vec![acl.to_owned()],
        before,
        after,
        ..Plan::default()
    };
    let back = AwsDoes::DenyAddress { network_acl: acl.into(), cidr: cidr.to_owned() };
    Ok(plan.undo(back, format!("{cidr} denied again")))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant; dry for the preview")]
pub(super) async fn send(session: &Session, does: &AwsDoes, plan: &Plan, dry: bool) -> Result<(), AwsError> {
    let (action, asked) = match does {
        AwsDoes::DenyAddress { network_acl, cidr } => {
            let six = cidr.contains(':');
            let cidr = cidr.parse::<Cidr>().map_or_else(|_| cidr.clone(), |cidr| cidr.to_string());
            let rule = plan.token.clone().unwrap_or_default();
            (
                "CreateNetworkAclEntry",
                words(&[
                    ("NetworkAclId", network_acl),
                    ("RuleNumber", &rule),
                    ("Protocol", "-1"),
                    ("RuleAction", "deny"),
                    ("Egress", "false"),
                    (if six { "Ipv6CidrBlock" } else { "CidrBlock" }, &cidr),
                ]),
            )
        }
        AwsDoes::UndenyAddress { network_acl, rule, .. } => (
            "DeleteNetworkAclEntry",
            words(&[("NetworkAclId", network_acl), ("RuleNumber", &rule.to_string()), ("Egress", "false")]),
        ),
        _ => return Err(AwsError::new(AwsTrouble::Refused, "this is no change to a network ACL")),
    };
    session.ec2().change_or_rehearse(action, asked, dry).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deny_goes_before_the_first_allow() {
        let image = |rules: &[(u16, &str)]| {
            let list: Vec<Value> =
                rules.iter().map(|(rule, action)| json!({"rule": rule, "action": action})).collect();
            json!({"ingress": list})
        };
        assert_eq!(free_rule(&image(&[(100, "allow"), (32767, "deny")])), Some(99));
        assert_eq!(free_rule(&image(&[(99, "deny"), (100, "allow")])), Some(98));
        assert_eq!(free_rule(&image(&[(1, "allow")])), None);
        assert_eq!(free_rule(&image(&[])), Some(100));
    }
}
