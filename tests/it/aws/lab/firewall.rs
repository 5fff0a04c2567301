//! The web application firewall and the network ACL: what is written is read again, under a lock or a rehearsal.

use serde_json::{Value, json};

use super::super::bench::{Boto, text};
use super::{lab, list};

fn balancer(boto: &mut Boto) -> Value {
    let all = boto.call("elbv2", "describe_load_balancers", json!({}));
    let ours = |one: &&Value| one["DNSName"] == covet_tui::lab::world::BALANCER;
    list(&all, "/LoadBalancers").iter().find(ours).cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_load_balancer_has_a_web_acl_that_blocks_by_an_ip_set() {
    let (lab, mut boto) = lab(Some("auth-attack.spray")).await;
    let ours = balancer(&mut boto);
    assert_eq!(text(&ours, "/Type"), "application");
    let arn = text(&ours, "/LoadBalancerArn");
    let acl = boto.call("wafv2", "get_web_acl_for_resource", json!({"ResourceArn": arn}));
    let rule = list(&acl, "/WebACL/Rules").iter().find(|rule| rule["Action"]["Block"].is_object()).unwrap();
    let listed = boto.call("wafv2", "list_ip_sets", json!({"Scope": "REGIONAL"}));
    let set = &listed["IPSets"][0];
    assert_eq!(rule["Statement"]["IPSetReferenceStatement"]["ARN"], set["ARN"]);
    let named = |more: Value| {
        let mut asked = json!({"Name": set["Name"], "Id": set["Id"], "Scope": "REGIONAL"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let found = boto.call("wafv2", "get_ip_set", named(json!({})));
    assert!(list(&found, "/IPSet/Addresses").is_empty());
    let update = |token: &str, addresses: &[&str]| named(json!({"LockToken": token, "Addresses": addresses}));
    let token = text(&found, "/LockToken");
    assert!(
        boto.refused("wafv2", "update_ip_set", update(&token, &["nobody"])).contains("WAFInvalidParameter")
    );
    let next = boto.call("wafv2", "update_ip_set", update(&token, &["203.0.113.7/32"]));
    assert!(boto.refused("wafv2", "update_ip_set", update(&token, &[])).contains("WAFOptimisticLock"));
    let found = boto.call("wafv2", "get_ip_set", named(json!({})));
    assert_eq!(found["LockToken"], next["NextLockToken"]);
    assert_eq!(found["IPSet"]["Addresses"], json!(["203.0.113.7/32"]));
    let elsewhere = json!({"Name": "x", "Id": "y", "Scope": "REGIONAL"});
    assert!(boto.refused("wafv2", "get_ip_set", elsewhere).contains("WAFNonexistentItem"));

    // The web ACL is written whole, too.
    let asked = json!({"Name": acl["WebACL"]["Name"], "Id": acl["WebACL"]["Id"], "Scope": "REGIONAL"});
    let found = boto.call("wafv2", "get_web_acl", asked.clone());
    let seen =
        json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "rate"});
    let rate = |window: u64, priority: u64| {
        let limit = json!({"Limit": 100, "EvaluationWindowSec": window, "AggregateKeyType": "IP"});
        json!({"Name": "rate", "Priority": priority, "Action": {"Block": {}}, "VisibilityConfig": seen,
            "Statement": {"RateBasedStatement": limit}})
    };
    let write = |rule: Value| {
        let mut rules = list(&found, "/WebACL/Rules").clone();
        rules.push(rule);
        let mut body = asked.clone();
        body["Rules"] = rules.into();
        for field in ["DefaultAction", "VisibilityConfig"] {
            body[field] = found["WebACL"][field].clone();
        }
        body["LockToken"] = found["LockToken"].clone();
        body
    };
    assert!(boto.refused("wafv2", "update_web_acl", write(rate(77, 5))).contains("WAFInvalidParameter"));
    assert!(boto.refused("wafv2", "update_web_acl", write(rate(300, 0))).contains("WAFDuplicateItem"));
    boto.call("wafv2", "update_web_acl", write(rate(300, 5)));
    assert!(boto.refused("wafv2", "update_web_acl", write(rate(300, 5))).contains("WAFOptimisticLock"));
    let acl = boto.call("wafv2", "get_web_acl_for_resource", json!({"ResourceArn": arn}));
    assert_eq!(list(&acl, "/WebACL/Rules").len(), 3);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_acl_in_front_of_the_load_balancer_takes_entries_and_a_network_load_balancer_no_web_acl() {
    let (lab, mut boto) = lab(None).await;
    let ours = balancer(&mut boto);
    assert_eq!(text(&ours, "/Type"), "network");
    let asked = json!({"ResourceArn": ours["LoadBalancerArn"]});
    assert!(boto.refused("wafv2", "get_web_acl_for_resource", asked).contains("WAFInvalidParameter"));
    let listed = boto.call("wafv2", "list_ip_sets", json!({"Scope": "REGIONAL"}));
    assert!(list(&listed, "/IPSets").is_empty());

    let subnets: Vec<String> =
        list(&ours, "/AvailabilityZones").iter().map(|zone| text(zone, "/SubnetId")).collect();
    let of = |subnets: &[String]| json!({"Filters": [{"Name": "association.subnet-id", "Values": subnets}]});
    let entries = |boto: &mut Boto| {
        let found = boto.call("ec2", "describe_network_acls", of(&subnets));
        let [acl] = &list(&found, "/NetworkAcls")[..] else { panic!("{found}") };
        let mut rules: Vec<i64> = list(acl, "/Entries")
            .iter()
            .filter(|entry| entry["Egress"] == false)
            .map(|entry| entry["RuleNumber"].as_i64().unwrap())
            .collect();
        rules.sort_unstable();
        (text(acl, "/NetworkAclId"), rules)
    };
    let (id, rules) = entries(&mut boto);
    assert_eq!(rules, [100, 32_767]);
    assert!(
        list(&boto.call("ec2", "describe_network_acls", of(&["subnet-0".to_owned()])), "/NetworkAcls")
            .is_empty()
    );
    let deny = |rule: u32, cidr: &str, dry: bool| {
        json!({"NetworkAclId": id, "RuleNumber": rule, "Protocol": "-1", "RuleAction": "deny", "Egress": false,
            "CidrBlock": cidr, "DryRun": dry})
    };
    let mut refused = |body: Value| boto.refused("ec2", "create_network_acl_entry", body);
    assert!(refused(deny(99, "203.0.113.7/32", true)).contains("DryRunOperation"));
    assert!(refused(deny(100, "203.0.113.7/32", false)).contains("NetworkAclEntryAlreadyExists"));
    assert!(refused(deny(99, "somewhere", false)).contains("InvalidParameterValue"));
    boto.call("ec2", "create_network_acl_entry", deny(99, "203.0.113.7/32", false));
    assert_eq!(entries(&mut boto).1, [99, 100, 32_767]);
    let delete = |rule: u32| json!({"NetworkAclId": id, "RuleNumber": rule, "Egress": false});
    boto.call("ec2", "delete_network_acl_entry", delete(99));
    assert!(
        boto.refused("ec2", "delete_network_acl_entry", delete(99))
            .contains("InvalidNetworkAclEntry.NotFound")
    );
    assert_eq!(entries(&mut boto).1, [100, 32_767]);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_knows_its_own_networks_and_addresses() {
    let (lab, mut boto) = lab(None).await;
    let vpcs = boto.call("ec2", "describe_vpcs", json!({}));
    let subnets = boto.call("ec2", "describe_subnets", json!({}));
    assert!(list(&subnets, "/Subnets").iter().all(|one| one["VpcId"] == vpcs["Vpcs"][0]["VpcId"]));
    let gateways = boto.call("ec2", "describe_nat_gateways", json!({}));
    let address = text(&gateways, "/NatGateways/0/NatGatewayAddresses/0/PublicIp");
    let addresses = boto.call("ec2", "describe_addresses", json!({}));
    assert_eq!(text(&addresses, "/Addresses/0/PublicIp"), address);
    let cards = boto.call("ec2", "describe_network_interfaces", json!({}));
    let cards = list(&cards, "/NetworkInterfaces");
    assert!(cards.iter().any(|card| card["Association"]["PublicIp"] == address.as_str()), "{cards:?}");
    assert!(cards.len() >= 4, "the gateway's and the nodes': {cards:?}");
    lab.stop().await;
}
