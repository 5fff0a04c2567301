//! Load balancers and what lets traffic to them: targets, security groups, network ACLs.

use covet_tui::domain::AwsDoes;
use covet_tui::guard::Level;
use serde_json::{Value, json};

use super::bench::{Bench, text};

struct Stage {
    arn: String,
    dns: String,
    group: String,
    target_group: String,
    acl: String,
}

/// A load balancer with a target group and a security group that lets 80 in.
fn stage(bench: &mut Bench) -> Stage {
    let subnets = bench.boto.call("ec2", "describe_subnets", json!({}));
    let (vpc, one) = (text(&subnets, "/Subnets/0/VpcId"), text(&subnets, "/Subnets/0/SubnetId"));
    let two = text(&subnets, "/Subnets/1/SubnetId");
    let made = bench.boto.call(
        "ec2",
        "create_security_group",
        json!({"GroupName": "lb", "Description": "lb", "VpcId": vpc}),
    );
    let group = text(&made, "/GroupId");
    bench.boto.call(
        "ec2",
        "authorize_security_group_ingress",
        json!({"GroupId": group, "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}),
    );
    let made = bench.boto.call(
        "elbv2",
        "create_load_balancer",
        json!({"Name": "shop", "Subnets": [one, two], "SecurityGroups": [group]}),
    );
    let (arn, dns) =
        (text(&made, "/LoadBalancers/0/LoadBalancerArn"), text(&made, "/LoadBalancers/0/DNSName"));
    let made = bench.boto.call(
        "elbv2",
        "create_target_group",
        json!({"Name": "web", "Protocol": "HTTP", "Port": 8080,
        "VpcId": vpc, "TargetType": "ip", "HealthCheckPath": "/health/ready"}),
    );
    let target_group = text(&made, "/TargetGroups/0/TargetGroupArn");
    bench.boto.call(
        "elbv2",
        "create_listener",
        json!({"LoadBalancerArn": arn, "Protocol": "HTTP", "Port": 80,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": target_group}]}),
    );
    let acls = bench.boto.call(
        "ec2",
        "describe_network_acls",
        json!({"Filters": [{"Name": "association.subnet-id", "Values": [one]}]}),
    );
    Stage { arn, dns, group, target_group, acl: text(&acls, "/NetworkAcls/0/NetworkAclId") }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_behind_a_host_its_targets_and_its_groups() {
    let mut bench = Bench::new().await;
    let Stage { arn, dns, group, target_group, acl } = stage(&mut bench);
    let found = bench.read(AwsDoes::LoadBalancer { host: format!("dualstack.{dns}.") }).await;
    assert!(found.ok, "{}", found.summary);
    let bound = |name: &str| found.bindings.get(name).map(String::as_str);
    assert_eq!((bound("load_balancer"), bound("security_group")), (Some(&*arn), Some(&*group)));
    let lost = bench.read(AwsDoes::LoadBalancer { host: "lb.example.com".into() }).await;
    assert!(!lost.ok && lost.summary.contains("no load balancer"), "{}", lost.summary);

    let groups = bench.read(AwsDoes::TargetGroups { load_balancer: arn.clone() }).await;
    assert_eq!(groups.bindings.get("target_group"), Some(&target_group));
    assert!(groups.lines.iter().any(|(_, line)| line.contains("/health/ready")));
    let empty = bench.read(AwsDoes::TargetHealth { of: arn.clone() }).await;
    assert!(!empty.ok && empty.summary.contains("no target is registered"), "{}", empty.summary);
    bench.boto.call(
        "elbv2",
        "register_targets",
        json!({"TargetGroupArn": target_group, "Targets": [{"Id": "10.0.0.5", "Port": 8080}]}),
    );
    let health = bench.read(AwsDoes::TargetHealth { of: target_group }).await;
    assert!(health.ok && health.summary.contains("1 of 1 target healthy"), "{}", health.summary);

    let closed = bench.read(AwsDoes::SecurityGroups { load_balancer: arn.clone() }).await;
    assert!(!closed.ok && closed.summary.contains("443 is closed, 80 is open"), "{}", closed.summary);
    let acls = bench.read(AwsDoes::NetworkAcls { load_balancer: arn }).await;
    assert_eq!(acls.bindings.get("network_acl"), Some(&acl));
    assert!(acls.lines.iter().any(|(_, line)| line.contains("100 allow 0.0.0.0/0")), "{:?}", acls.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_opened_again_and_closed_by_the_way_back() {
    let mut bench = Bench::new().await;
    let Stage { arn, group, .. } = stage(&mut bench);
    let rules = |bench: &mut Bench| {
        let found = bench.boto.call("ec2", "describe_security_groups", json!({"GroupIds": [group]}));
        found["SecurityGroups"][0]["IpPermissions"].as_array().unwrap().len()
    };
    let open = |port, cidr: &str| AwsDoes::OpenPort { group: group.as_str().into(), port, cidr: cidr.into() };
    let preview = bench.preview(open(22, "0.0.0.0/0")).await.unwrap();
    assert_eq!(preview.worst(), Some(Level::Stop), "no playbook opens 22 to everybody");
    assert!(bench.refused(open(80, "0.0.0.0/0")).await.contains("already"));
    let preview = bench.preview(open(443, "0.0.0.0/0")).await.unwrap();
    assert_eq!(rules(&mut bench), 1, "EC2's dry run changed nothing");
    assert!(
        preview.diff.iter().any(|(_, line)| line.contains("tcp 443-443 0.0.0.0/0")),
        "{:?}",
        preview.diff
    );
    let outcome = bench.act(open(443, "0.0.0.0/0")).await;
    let now = bench.read(AwsDoes::SecurityGroups { load_balancer: arn }).await;
    assert!(now.ok && now.summary.contains("443 is open"), "{}", now.summary);
    bench.undo(&outcome).await;
    assert_eq!(rules(&mut bench), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_is_denied_before_the_allow_rule_and_let_in_again() {
    let mut bench = Bench::new().await;
    let Stage { acl, .. } = stage(&mut bench);
    let denies = |bench: &mut Bench| -> Vec<(i64, String)> {
        let found = bench.boto.call("ec2", "describe_network_acls", json!({"NetworkAclIds": [acl]}));
        let entries = found["NetworkAcls"][0]["Entries"].as_array().unwrap().clone();
        let is = |entry: &&Value| {
            entry["RuleAction"] == "deny"
                && entry["Egress"] == false
                && entry["RuleNumber"].as_i64() < Some(32_767)
        };
        entries
            .iter()
            .filter(is)
            .map(|entry| (entry["RuleNumber"].as_i64().unwrap(), text(entry, "/CidrBlock")))
            .collect()
    };
    let deny = |cidr: &str| AwsDoes::DenyAddress { network_acl: acl.as_str().into(), cidr: cidr.into() };
    let first = bench.act(deny("203.0.113.7")).await;
    let second = bench.act(deny("198.51.100.0/24")).await;
    let mut there = denies(&mut bench);
    there.sort();
    assert_eq!(there, [(98, "198.51.100.0/24".into()), (99, "203.0.113.7/32".into())].to_vec());
    assert!(bench.refused(deny("203.0.113.7/32")).await.contains("by rule 99"));
    // The ACL is another one by now; only what was left may be undone blindly.
    assert!(bench.undo_refused(&first).await.contains("was changed since"));
    bench.undo(&second).await;
    bench.undo(&first).await;
    assert!(denies(&mut bench).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_networks_and_whole_providers_are_never_blocked() {
    let mut bench = Bench::new().await;
    let Stage { acl, .. } = stage(&mut bench);
    let made = bench.boto.call("ec2", "allocate_address", json!({"Domain": "vpc"}));
    let ours = text(&made, "/PublicIp");
    bench.set(&[("COVET_AWS_NEVER_BLOCK", "203.0.113.0/24, 2001:db8:7::/48")]);
    for (cidr, why) in [
        ("203.0.113.9/32", "never_block"),
        ("52.0.0.0/8", "wider than /16"),
        ("0.0.0.0/0", "wider than /16"),
        ("172.31.0.0/16", "internal network"),
        (&format!("{ours}/32"), "which is our address"),
    ] {
        let deny = AwsDoes::DenyAddress { network_acl: acl.as_str().into(), cidr: cidr.into() };
        let preview = bench.preview(deny).await.unwrap();
        let stop =
            preview.hazards.iter().find(|hazard| hazard.level == Level::Stop && hazard.says.contains(why));
        assert!(stop.is_some(), "{cidr}: {:?}", preview.hazards);
    }
    let deny = AwsDoes::DenyAddress { network_acl: acl.as_str().into(), cidr: "198.51.100.4/32".into() };
    let preview = bench.preview(deny).await.unwrap();
    assert!(preview.worst() < Some(Level::Stop), "{:?}", preview.hazards);
}
