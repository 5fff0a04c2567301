//! What moto does not play: pages, refusals, too many calls, endpoints and regions of one service. An endpoint
//! answers here as the API references have it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use covet_tui::config::aws::Aws;
use covet_tui::config::{self, Flags};
use covet_tui::domain::{AwsDoes, WafRef};
use covet_tui::journal::Ending;
use serde_json::{Value, json};

use super::bench::{Bench, REGION, now};

type Form = BTreeMap<String, String>;

/// An endpoint, and what it was asked.
struct Endpoint {
    url: String,
    asked: Arc<Mutex<Vec<Form>>>,
}

impl Endpoint {
    /// Answers calls with a status and XML; the number is how often the same action was asked before.
    async fn new(answer: fn(&Form, usize) -> (u16, String)) -> Endpoint {
        let asked = Arc::new(Mutex::new(Vec::<Form>::new()));
        let seen = asked.clone();
        let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
            let url = reqwest::Url::parse(&format!("form:?{body}")).unwrap();
            let mut form: Form = url.query_pairs().into_owned().collect();
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            form.insert("signature".into(), header("authorization").unwrap());
            if let Some(target) = header("x-amz-target") {
                form.extend([("Action".to_owned(), target), ("body".to_owned(), body)]);
            }
            let mut seen = seen.lock().unwrap();
            let before = seen.iter().filter(|other| other["Action"] == form["Action"]).count();
            let (status, text) = answer(&form, before);
            seen.push(form);
            (StatusCode::from_u16(status).unwrap(), text)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Endpoint { url, asked }
    }

    /// What was asked by an action, one of its parameters each.
    fn asked(&self, action: &str, parameter: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        let of = asked.iter().filter(|form| form["Action"] == action);
        of.map(|form| form.get(parameter).cloned()).collect()
    }
}

fn ok(form: &Form, inside: &str) -> (u16, String) {
    let action = &form["Action"];
    let text = format!(
        "<{action}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><{action}Result>{inside}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    );
    (200, text)
}

fn refused(status: u16, code: &str, says: &str) -> (u16, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{says}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (status, text)
}

const WHO: &str = "<Arn>arn:aws:iam::1:user/ann</Arn><UserId>A</UserId><Account>1</Account>";
/// As RDS makes them, with what a form must not garble.
const MARKER: &str = "bWFyaw==/+ &amp;~";

fn instance(name: &str) -> String {
    format!(
        "<DBInstances><DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier>\
         <DBInstanceClass>db.r6g.large</DBInstanceClass><DBInstanceStatus>available</DBInstanceStatus>\
         <PendingModifiedValues><DBInstanceClass>db.r6g.xlarge</DBInstanceClass></PendingModifiedValues>\
         </DBInstance></DBInstances>"
    )
}

fn paged(form: &Form, before: usize) -> (u16, String) {
    let cluster = |name: &str, member: &str| {
        format!(
            "<DBCluster><DBClusterIdentifier>{name}</DBClusterIdentifier><Status>available</Status>\
             <Endpoint>{name}.cluster-x.eu-west-1.rds.amazonaws.com</Endpoint>\
             <CustomEndpoints><member>{name}.reports.example</member></CustomEndpoints>\
             <DBClusterMembers><DBClusterMember><DBInstanceIdentifier>{member}</DBInstanceIdentifier>\
             <IsClusterWriter>true</IsClusterWriter></DBClusterMember></DBClusterMembers></DBCluster>"
        )
    };
    let row = |name: &str, value: u32| {
        format!(
            "<Parameter><ParameterName>{name}</ParameterName><ParameterValue>{value}</ParameterValue>\
             <Source>user</Source><IsModifiable>true</IsModifiable></Parameter>"
        )
    };
    let (first, second) = match form["Action"].as_str() {
        "DescribeDBClusters" => (cluster("other", "other-1"), cluster("shop", "shop-1")),
        "DescribeDBParameters" => (row("work_mem", 4_096), row("max_connections", 300)),
        "DescribeDBInstances" => return ok(form, &instance(&form["DBInstanceIdentifier"])),
        _ => return ok(form, WHO),
    };
    let list = |inside: &str| match form["Action"].as_str() {
        "DescribeDBClusters" => format!("<DBClusters>{inside}</DBClusters>"),
        _ => format!("<Parameters>{inside}</Parameters>"),
    };
    match before {
        0 => ok(form, &format!("{}<Marker>{MARKER}</Marker>", list(&first))),
        // A page may be empty, and yet not the last.
        1 => ok(form, &format!("{}<Marker>last</Marker>", list(""))),
        _ => ok(form, &list(&second)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_a_later_page_is_found() {
    let endpoint = Endpoint::new(paged).await;
    let mut bench = Bench::new().await;
    bench.set(&[
        ("AWS_ENDPOINT_URL", &endpoint.url),
        ("DATABASE_URL", "postgresql://app@shop.reports.example/shop"),
    ]);
    let markers = [None, Some("bWFyaw==/+ &~".to_owned()), Some("last".to_owned())];
    let found = bench.read(AwsDoes::DatabaseCluster { cluster: None }).await;
    assert!(found.ok && found.summary.contains("shop: available, 1 instance"), "{}", found.summary);
    assert!(found.lines.iter().any(|(_, line)| line.contains("changes wait")), "{:?}", found.lines);
    assert_eq!(endpoint.asked("DescribeDBClusters", "Marker"), markers);
    let set = |value: u64| AwsDoes::SetDatabaseParameter {
        group: "shop-params".into(),
        parameter: "max_connections".into(),
        value: Some(value),
        may_lower: false,
    };
    assert!(bench.refused(set(300)).await.contains("give more than 300"));
    assert_eq!(endpoint.asked("DescribeDBParameters", "Marker"), markers);
    let preview = bench.preview(set(500)).await.unwrap();
    assert!(preview.title.contains("(now 300)"), "{}", preview.title);
    let undo = preview.undo.as_ref().expect("a way back");
    assert!(undo.says.contains("300 again"), "it was set by somebody: {}", undo.says);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_permission_that_is_missing() {
    let endpoint = Endpoint::new(|form, _| {
        let says = format!("User: arn:aws:iam::1:user/ann is not authorized to perform: rds:{} on resource: arn:aws:rds:us-east-1:1:cluster:shop because no identity-based policy allows it", form["Action"]);
        refused(403, "AccessDenied", &says)
    })
    .await;
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", &endpoint.url)]);
    let lost = bench.read(AwsDoes::DatabaseCluster { cluster: Some("shop".into()) }).await;
    assert!(
        !lost.ok
            && lost.summary.contains("AWS does not allow rds:DescribeDBClusters (AccessDenied)")
            && lost.summary.contains("ask for an IAM policy that allows rds:DescribeDBClusters"),
        "{}",
        lost.summary
    );
    assert_eq!(endpoint.asked("DescribeDBClusters", "Version"), [Some("2014-10-31".to_owned())], "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_tried_again_and_changes_are_not() {
    let endpoint = Endpoint::new(|form, before| match (form["Action"].as_str(), before) {
        ("DescribeDBInstances", 0) => refused(400, "ThrottlingException", "Rate exceeded"),
        ("DescribeDBInstances", 1) => (503, "<html>busy".to_owned()),
        ("DescribeDBInstances", _) => ok(form, &instance(&form["DBInstanceIdentifier"])),
        ("GetCallerIdentity", _) => ok(form, WHO),
        _ => refused(400, "Throttling", "Rate exceeded"),
    })
    .await;
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", &endpoint.url)]);
    let set = AwsDoes::SetDatabaseClass { instance: "shop-1".into(), class: "db.r6g.2xlarge".into() };
    let preview = bench.preview(set).await.unwrap();
    assert_eq!(endpoint.asked("DescribeDBInstances", "DBInstanceIdentifier").len(), 3);
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let Ending::Failed(trouble) = outcome.result else { panic!("{:?}", outcome.result) };
    assert!(format!("{trouble:?}").contains("Rate exceeded"), "{trouble:?}");
    let asked = endpoint.asked("ModifyDBInstance", "ApplyImmediately");
    assert_eq!(asked, [Some("true".to_owned())], "sent once");
}

/// As the SDKs have it: an endpoint of one service in the user's own files, unless our settings name one for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_have_an_endpoint_of_its_own() {
    let (one, all) = (Endpoint::new(paged).await, Endpoint::new(paged).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config").display().to_string();
    let text = format!(
        "[profile ops]\nregion = {REGION}\naws_access_key_id = AKIA\naws_secret_access_key = x\n\
         services = own\n[services own]\nrds =\n  endpoint_url = {}\n",
        one.url
    );
    std::fs::write(&file, text).unwrap();
    let with = |endpoint: Option<&str>| {
        let find = |name: &str| match name {
            "AWS_CONFIG_FILE" => Some(file.clone()),
            "COVET_AWS_PROFILE" => Some("ops".to_owned()),
            "AWS_ENDPOINT_URL" => endpoint.map(ToOwned::to_owned),
            _ => None,
        };
        Aws::of(&config::load(&Flags::default(), &find, None).unwrap().aws).unwrap()
    };
    for (endpoint, counts) in [(None, (1, 0)), (Some(all.url.as_str()), (1, 1))] {
        let session = with(endpoint).session(None, now).await.unwrap();
        let found = session.rds().describe("DescribeDBClusters", Vec::new()).await.unwrap();
        assert!(found.at("DBClusters/DBCluster").is_some());
        let count = |of: &Endpoint| of.asked("DescribeDBClusters", "Action").len();
        assert_eq!((count(&one), count(&all)), counts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_later_pages_are_found_and_a_refusal_named() {
    let endpoint = Endpoint::new(|form, before| {
        let body: Value = serde_json::from_str(&form["body"]).unwrap();
        let event = |at: u64| json!({"timestamp": at, "message": format!("line {at}")});
        match (body["logGroupName"].as_str(), before) {
            (Some("secret"), _) => {
                let says = "User: ann is not authorized to perform: logs:FilterLogEvents on resource: x";
                (400, json!({"__type": "com.amazonaws#AccessDeniedException", "Message": says}).to_string())
            }
            (_, 0) => (200, json!({"events": [], "nextToken": "1"}).to_string()),
            (_, 1) => (200, json!({"events": [event(2_000)], "nextToken": "2"}).to_string()),
            _ => (200, json!({"events": [event(1_000)]}).to_string()),
        }
    })
    .await;
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", &endpoint.url)]);
    let events = |group: &str| AwsDoes::LogEvents {
        group: group.into(),
        pattern: "line".into(),
        window: std::time::Duration::from_hours(1),
    };
    let found = bench.read(events("shop")).await;
    assert!(found.summary.contains("2 matching events in shop"), "{}", found.summary);
    let lines: Vec<&str> = found.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["00:00:01 line 1000", "00:00:02 line 2000"], "in the order of time");
    let bodies = endpoint.asked("Logs_20140328.FilterLogEvents", "body").into_iter().flatten();
    let tokens: Vec<Value> = bodies
        .map(|body| {
            serde_json::from_str::<Value>(&body).unwrap().get("nextToken").cloned().unwrap_or_default()
        })
        .collect();
    assert_eq!(tokens, [Value::Null, json!("1"), json!("2")]);
    let lost = bench.read(events("secret")).await;
    assert!(
        !lost.ok && lost.summary.contains("ask for an IAM policy that allows logs:FilterLogEvents"),
        "{}",
        lost.summary
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_firewall_of_cloudfront_is_asked_in_its_own_region() {
    let endpoint = Endpoint::new(|_, _| (200, "{}".to_owned())).await;
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", &endpoint.url), ("AWS_REGION", "eu-west-1")]);
    for scope in ["REGIONAL", "CLOUDFRONT"] {
        let ip_set = WafRef { name: "blocked".into(), id: "1-2".into(), scope: scope.into() };
        let lost = bench.read(AwsDoes::IpSet { ip_set }).await;
        assert!(!lost.ok && lost.summary.contains("there is no IP set blocked"), "{}", lost.summary);
    }
    let signatures = endpoint.asked("AWSWAF_20190729.GetIPSet", "signature");
    let signed: Vec<&str> = signatures.iter().flatten().map(String::as_str).collect();
    assert_eq!(signed.len(), 2);
    assert!(signed[0].contains("/eu-west-1/wafv2/") && signed[1].contains("/us-east-1/wafv2/"), "{signed:?}");
}

/// Load balancing calls the marker of the next page otherwise than RDS.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_on_a_later_page_is_found() {
    let endpoint = Endpoint::new(|form, before| {
        let page = |name: &str, next: &str| {
            format!(
                "<LoadBalancers><member><LoadBalancerName>{name}</LoadBalancerName><Type>network</Type>\
                 <DNSName>{name}-1.elb.us-east-1.amazonaws.com</DNSName><State><Code>active</Code></State>\
                 <SecurityGroups><member>sg-1</member></SecurityGroups></member></LoadBalancers>{next}"
            )
        };
        match before {
            0 => ok(form, &page("other", "<NextMarker>n/1</NextMarker>")),
            _ => ok(form, &page("shop", "<NextMarker/>")),
        }
    })
    .await;
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", &endpoint.url)]);
    let host = "dualstack.shop-1.elb.us-east-1.amazonaws.com".to_owned();
    let found = bench.read(AwsDoes::LoadBalancer { host }).await;
    assert!(found.summary.contains("shop is active"), "{}", found.summary);
    assert_eq!(endpoint.asked("DescribeLoadBalancers", "Marker"), [None, Some("n/1".to_owned())]);
    let lost = bench.read(AwsDoes::LoadBalancer { host: "nowhere".into() }).await;
    assert!(
        !lost.ok && lost.summary.contains("no load balancer in us-east-1 is nowhere"),
        "{}",
        lost.summary
    );
}
