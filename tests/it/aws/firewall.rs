//! WAF: addresses blocked in an IP set, in union with what was there, and taken out again.

use covet_tui::domain::{AwsDoes, WafRef};
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use serde_json::{Value, json};

use super::bench::{Bench, text};

fn set(bench: &mut Bench) -> WafRef {
    let made = bench.boto.call(
        "wafv2",
        "create_ip_set",
        json!({"Name": "blocked", "Scope": "REGIONAL",
        "IPAddressVersion": "IPV4", "Addresses": ["192.0.2.44/32"]}),
    );
    WafRef {
        name: "blocked".into(),
        id: text(&made, "/Summary/Id").as_str().into(),
        scope: "REGIONAL".into(),
    }
}

fn held(bench: &mut Bench, set: &WafRef) -> (Vec<String>, String) {
    let found = bench.boto.call(
        "wafv2",
        "get_ip_set",
        json!({"Name": &*set.name, "Id": &*set.id, "Scope": &*set.scope}),
    );
    let mut list: Vec<String> = found["IPSet"]["Addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect();
    list.sort();
    (list, text(&found, "/LockToken"))
}

fn block(ip_set: &WafRef, addresses: &[&str]) -> AwsDoes {
    let addresses = addresses.iter().map(|one| (*one).to_owned()).collect();
    AwsDoes::BlockAddresses { ip_set: ip_set.clone(), addresses }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_added_to_those_there_and_only_those_are_taken_out_again() {
    let mut bench = Bench::new().await;
    let ip_set = set(&mut bench);
    let outcome = bench.act(block(&ip_set, &["203.0.113.7/32", "192.0.2.44/32", "198.51.100.0/24"])).await;
    assert_eq!(held(&mut bench, &ip_set).0, ["192.0.2.44/32", "198.51.100.0/24", "203.0.113.7/32"]);
    let reading = bench.read(AwsDoes::IpSet { ip_set: ip_set.clone() }).await;
    assert!(reading.summary.contains("blocked holds 3 networks (IPV4)"), "{}", reading.summary);
    assert!(bench.refused(block(&ip_set, &["203.0.113.7/32"])).await.contains("already"));
    assert!(bench.refused(block(&ip_set, &["2001:db8::1/128"])).await.contains("IPV4 only"));
    bench.undo(&outcome).await;
    assert_eq!(held(&mut bench, &ip_set).0, ["192.0.2.44/32"], "what was there before stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_moved_is_not_written_over() {
    let mut bench = Bench::new().await;
    let ip_set = set(&mut bench);
    let preview = bench.preview(block(&ip_set, &["203.0.113.7/32"])).await.unwrap();
    let (_, token) = held(&mut bench, &ip_set);
    let other = json!({"Name": "blocked", "Scope": "REGIONAL", "Id": &*ip_set.id, "LockToken": token,
        "Addresses": ["192.0.2.44/32", "192.0.2.45/32"]});
    bench.boto.call("wafv2", "update_ip_set", other);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let Ending::Refused(refusal, Some(fresh)) = outcome.result else { panic!("{:?}", outcome.result) };
    assert!(refusal.says.contains("changed since you saw it"), "{refusal}");
    assert!(fresh.diff.iter().any(|(_, line)| line.contains("192.0.2.45/32")), "{:?}", fresh.diff);
    assert_eq!(held(&mut bench, &ip_set).0, ["192.0.2.44/32", "192.0.2.45/32"]);
    let preview = bench.preview(block(&ip_set, &["10.1.0.0/16"])).await.unwrap();
    assert_eq!(preview.worst(), Some(Level::Stop), "our own nodes are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_one_rule_more_and_everything_else_of_the_web_acl_stays() {
    let mut bench = Bench::new().await;
    let seen = json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "m"});
    let made = bench.boto.call(
        "wafv2",
        "create_ip_set",
        json!({"Name": "blocked", "Scope": "REGIONAL", "IPAddressVersion": "IPV4", "Addresses": []}),
    );
    let rule = json!({"Name": "deny", "Priority": 4, "Action": {"Block": {}}, "VisibilityConfig": seen,
        "Statement": {"IPSetReferenceStatement": {"ARN": text(&made, "/Summary/ARN")}}});
    let acl = bench.boto.call(
        "wafv2",
        "create_web_acl",
        json!({"Name": "shop", "Scope": "REGIONAL", "Description": "the shop", "DefaultAction": {"Allow": {}},
            "VisibilityConfig": seen, "Rules": [rule]}),
    );
    let id = text(&acl, "/Summary/Id");
    let asked = json!({"Name": "shop", "Id": id, "Scope": "REGIONAL"});
    let held = |bench: &mut Bench| bench.boto.call("wafv2", "get_web_acl", asked.clone())["WebACL"].clone();
    let web_acl = WafRef { name: "shop".into(), id: id.as_str().into(), scope: "REGIONAL".into() };
    let limit = |limit| AwsDoes::LimitRate { web_acl: web_acl.clone(), path: "/login".into(), limit };
    let before = held(&mut bench);
    assert!(bench.refused(limit(9)).await.contains("10 requests at least"));
    let preview = bench.preview(limit(100)).await.unwrap();
    assert_eq!(preview.worst(), Some(Level::Warn), "an office behind one address is limited, too");
    let outcome = bench.act(limit(100)).await;
    let after = held(&mut bench);
    let rules = after["Rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]), (2, &before["Rules"][0]));
    assert_eq!(rules[1]["Priority"], 5);
    let rate = &rules[1]["Statement"]["RateBasedStatement"];
    assert_eq!((&rate["Limit"], &rate["AggregateKeyType"]), (&json!(100), &json!("IP")));
    for field in ["DefaultAction", "Description", "VisibilityConfig"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert!(bench.refused(limit(200)).await.contains("already"));
    bench.undo(&outcome).await;
    assert_eq!(held(&mut bench)["Rules"], before["Rules"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ip_set_is_found_by_the_web_acl_of_the_load_balancer() {
    let mut bench = Bench::new().await;
    let made = bench.boto.call(
        "wafv2",
        "create_ip_set",
        json!({"Name": "blocked", "Scope": "REGIONAL",
        "IPAddressVersion": "IPV4", "Addresses": []}),
    );
    let seen = json!({"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "m"});
    let rule: Value = json!({"Name": "deny", "Priority": 0, "Action": {"Block": {}}, "VisibilityConfig": seen,
        "Statement": {"IPSetReferenceStatement": {"ARN": text(&made, "/Summary/ARN")}}});
    let acl = bench.boto.call(
        "wafv2",
        "create_web_acl",
        json!({"Name": "shop", "Scope": "REGIONAL",
        "DefaultAction": {"Allow": {}}, "VisibilityConfig": seen, "Rules": [rule]}),
    );
    let subnets = bench.boto.call("ec2", "describe_subnets", json!({}));
    let (one, two) = (text(&subnets, "/Subnets/0/SubnetId"), text(&subnets, "/Subnets/1/SubnetId"));
    let balancer =
        bench.boto.call("elbv2", "create_load_balancer", json!({"Name": "shop", "Subnets": [one, two]}));
    let arn = text(&balancer, "/LoadBalancers/0/LoadBalancerArn");
    let bare = bench.read(AwsDoes::LoadBalancer { host: arn.clone() }).await;
    assert!(bare.lines.iter().any(|(_, line)| line.contains("no web ACL")), "{:?}", bare.lines);
    bench.boto.call(
        "wafv2",
        "associate_web_acl",
        json!({"WebACLArn": text(&acl, "/Summary/ARN"), "ResourceArn": arn}),
    );
    let found = bench.read(AwsDoes::LoadBalancer { host: arn }).await;
    let wanted = format!("blocked/{}/REGIONAL", text(&made, "/Summary/Id"));
    assert_eq!(found.bindings.get("ip_set"), Some(&wanted), "{:?}", found.lines);
    let wanted = format!("shop/{}/REGIONAL", text(&acl, "/Summary/Id"));
    assert_eq!(found.bindings.get("web_acl"), Some(&wanted), "{:?}", found.lines);
}
