//! Route 53: a name's records, set and put back.

use covet_tui::domain::{AwsDoes, Name, RecordSet};
use serde_json::{Value, json};

use super::bench::{Bench, text};

fn zone(bench: &mut Bench) -> Name {
    let made = bench.boto.call(
        "route53",
        "create_hosted_zone",
        json!({"Name": "example.com", "CallerReference": "1"}),
    );
    let id: Name = text(&made, "/HostedZone/Id").trim_start_matches("/hostedzone/").into();
    let change = |set: Value| json!({"Action": "CREATE", "ResourceRecordSet": set});
    let plain = |name: &str, value: &str| {
        change(json!({"Name": name, "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": value}]}))
    };
    let alias = change(
        json!({"Name": "www.example.com", "Type": "A", "AliasTarget": {"HostedZoneId": "Z35SXDOTRQ7X7K",
        "DNSName": "old.us-east-1.elb.amazonaws.com", "EvaluateTargetHealth": true}}),
    );
    let weighted = change(
        json!({"Name": "split.example.com", "Type": "A", "TTL": 60, "SetIdentifier": "blue", "Weight": 10,
        "ResourceRecords": [{"Value": "192.0.2.9"}]}),
    );
    let changes =
        [plain("api.example.com", "192.0.2.1"), plain("apj.example.com", "192.0.2.2"), alias, weighted];
    bench.boto.call(
        "route53",
        "change_resource_record_sets",
        json!({"HostedZoneId": &*id, "ChangeBatch": {"Changes": changes}}),
    );
    id
}

fn record(name: &str, values: &[&str]) -> RecordSet {
    RecordSet {
        name: name.into(),
        kind: "A".into(),
        ttl: Some(60),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        alias: None,
    }
}

fn shown(bench: &mut Bench, zone: &str, name: &str) -> Vec<Value> {
    let all = bench.boto.call("route53", "list_resource_record_sets", json!({"HostedZoneId": zone}));
    let sets = all["ResourceRecordSets"].as_array().unwrap().clone();
    sets.into_iter().filter(|set| set["Name"] == format!("{name}.")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_read_set_and_put_back_as_it_was() {
    let mut bench = Bench::new().await;
    let zone = zone(&mut bench);
    let found = bench.read(AwsDoes::HostedRecords { zone: None, name: "api.example.com".into() }).await;
    let bound = |name: &str| found.bindings.get(name).map(String::as_str);
    assert_eq!(
        (bound("hosted_zone"), bound("record_values"), bound("record_ttl")),
        (Some(&*zone), Some("192.0.2.1"), Some("300"))
    );
    let none = bench.read(AwsDoes::HostedRecords { zone: None, name: "www.example.org".into() }).await;
    assert!(!none.ok && none.summary.contains("no public hosted zone"), "{}", none.summary);

    let set =
        |name: &str, values: &[&str]| AwsDoes::SetRecord { zone: zone.clone(), record: record(name, values) };
    let before = shown(&mut bench, &zone, "api.example.com");
    let outcome = bench.act(set("api.example.com", &["198.51.100.1", "198.51.100.2"])).await;
    let now = shown(&mut bench, &zone, "api.example.com");
    assert_eq!(now[0]["ResourceRecords"], json!([{"Value": "198.51.100.1"}, {"Value": "198.51.100.2"}]));
    bench.undo(&outcome).await;
    assert_eq!(shown(&mut bench, &zone, "api.example.com"), before);
    assert_eq!(shown(&mut bench, &zone, "apj.example.com").len(), 1, "its neighbour is untouched");

    // An alias comes back as an alias.
    let before = shown(&mut bench, &zone, "www.example.com");
    let outcome = bench.act(set("www.example.com", &["198.51.100.1"])).await;
    assert!(shown(&mut bench, &zone, "www.example.com")[0].get("AliasTarget").is_none());
    bench.undo(&outcome).await;
    let after = shown(&mut bench, &zone, "www.example.com");
    for field in ["HostedZoneId", "EvaluateTargetHealth"] {
        assert_eq!(after[0]["AliasTarget"][field], before[0]["AliasTarget"][field]);
    }
    assert_eq!(
        text(&after[0], "/AliasTarget/DNSName").trim_end_matches('.'),
        text(&before[0], "/AliasTarget/DNSName").trim_end_matches('.')
    );

    // A new one goes away again.
    let outcome = bench.act(set("new.example.com", &["198.51.100.1"])).await;
    assert_eq!(shown(&mut bench, &zone, "new.example.com").len(), 1);
    bench.undo(&outcome).await;
    assert!(shown(&mut bench, &zone, "new.example.com").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_put_back_is_not_changed() {
    let mut bench = Bench::new().await;
    let zone = zone(&mut bench);
    let set = |record: RecordSet| AwsDoes::SetRecord { zone: zone.clone(), record };
    assert!(
        bench
            .refused(set(record("split.example.com", &["192.0.2.3"])))
            .await
            .contains("routing policy (blue)")
    );
    let same = RecordSet { ttl: Some(300), ..record("api.example.com", &["192.0.2.1"]) };
    assert!(bench.refused(set(same)).await.contains("so already"));
    let servers = RecordSet { kind: "NS".into(), ..record("example.com", &["ns.example.net"]) };
    assert!(bench.refused(set(servers)).await.contains("name servers"));
    let delete =
        AwsDoes::DeleteRecord { zone: zone.clone(), record: record("api.example.com", &["192.0.2.77"]) };
    assert!(bench.refused(delete).await.contains("another one now"));
}
