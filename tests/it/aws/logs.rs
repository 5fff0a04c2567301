//! Log groups, the cluster's audit log, access logs in S3, CloudTrail.

use std::io::Write;
use std::time::Duration;

use covet_tui::domain::{AwsDoes, Timestamp, cause};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::bench::{Bench, REGION, now};

const WINDOW: Duration = Duration::from_hours(1);

fn log(bench: &mut Bench, group: &str, lines: &[String]) {
    bench.boto.call("logs", "create_log_group", json!({"logGroupName": group}));
    bench.boto.call("logs", "create_log_stream", json!({"logGroupName": group, "logStreamName": "s"}));
    let at = now().as_millisecond() - 60_000;
    let events: Vec<_> = lines.iter().map(|line| json!({"timestamp": at, "message": line})).collect();
    bench.boto.call(
        "logs",
        "put_log_events",
        json!({"logGroupName": group, "logStreamName": "s", "logEvents": events}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_of_the_kubernetes_api_are_counted_by_who() {
    let mut bench = Bench::new().await;
    let audit = |user: &str, code: u16| {
        json!({"kind": "Event", "verb": "list", "user": {"username": user}, "sourceIPs": ["203.0.113.9"],
            "userAgent": "kubectl/v1.35", "objectRef": {"resource": "secrets"}, "responseStatus": {"code": code}})
        .to_string()
    };
    let mut lines: Vec<String> = (0..7).map(|_| audit("system:anonymous", 403)).collect();
    lines.extend([audit("ann", 403), audit("ann", 200), "E1126 not json 403".into()]);
    log(&mut bench, "/aws/eks/shop/cluster", &lines);
    let reading = bench.read(AwsDoes::ApiDenials { cluster: "shop".into(), window: WINDOW }).await;
    assert!(reading.summary.contains("8 refused calls by 2 principals"), "{}", reading.summary);
    let first = &reading.lines[1].1;
    assert!(
        first.starts_with('7') && first.contains("system:anonymous") && first.contains("403 list secrets"),
        "{first}"
    );
    let none = bench.read(AwsDoes::ApiDenials { cluster: "other".into(), window: WINDOW }).await;
    assert!(!none.ok && none.summary.contains("ResourceNotFound"), "{}", none.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn matching_events_of_a_group_are_shown_without_secrets() {
    let mut bench = Bench::new().await;
    let lines = ["ERROR login failed for ann password=hunter22".into(), "INFO all well".into()];
    log(&mut bench, "CloudTrail/shop", &lines);
    let group = "CloudTrail/shop".to_owned();
    let reading = bench.read(AwsDoes::LogEvents { group, pattern: "ERROR".into(), window: WINDOW }).await;
    assert!(reading.summary.contains("1 matching event in CloudTrail/shop"), "{}", reading.summary);
    let whole = format!("{:?}", reading.lines);
    assert!(whole.contains("login failed for ann") && !whole.contains("hunter22"), "{whole}");
}

fn zipped(lines: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(lines.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn line(client: &str, status: u16, path: &str) -> String {
    format!(
        "https 2026-11-26T07:01:02.123456Z app/shop/50dc6c495c0c9188 {client}:41234 10.0.1.7:8080 0.001 0.020 0.000 {status} {status} 520 310 \"POST https://shop.example.com:443{path} HTTP/2.0\" \"curl/8.5 (x; y)\" - - arn:t \"Root=1\" \"shop.example.com\" \"-\" 0 2026-11-26T07:01:02.100000Z \"forward\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\"\n"
    )
}

fn key(prefix: &str, at: Timestamp, random: &str) -> String {
    format!(
        "{prefix}AWSLogs/123456789012/elasticloadbalancing/{REGION}/{}/123456789012_elasticloadbalancing_{REGION}_app.shop.50dc6c495c0c9188_{}_203.0.113.1_{random}.log.gz",
        at.strftime("%Y/%m/%d"),
        at.strftime("%Y%m%dT%H%MZ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn access_logs_of_the_window_name_the_attackers_and_who_got_in() {
    let mut bench = Bench::new().await;
    bench.boto.call("s3", "create_bucket", json!({"Bucket": "shop-alb-logs"}));
    let ago = |minutes: i64| now() - jiff::SignedDuration::from_mins(minutes);
    let mut early = String::new();
    for _ in 0..12 {
        early.push_str(&line("203.0.113.5", 401, "/auth/login"));
        early.push_str(&line("198.51.100.20", 200, "/products"));
    }
    early.push_str(&line("203.0.113.6", 401, "/auth/login"));
    let mut late = String::new();
    for _ in 0..11 {
        late.push_str(&line("203.0.113.9", 403, "/auth/login"));
    }
    late.push_str(&line("203.0.113.5", 200, "/auth/login"));
    late.push_str("a line that is none\n");
    // Outside the window, with the worst of all.
    let old = line("203.0.113.200", 401, "/auth/login").repeat(99);
    for (at, body, random) in [(ago(20), &early, "a+b"), (ago(5), &late, "c"), (ago(300), &old, "d")] {
        bench.boto.upload("shop-alb-logs", &key("lb/", at, random), &zipped(body));
    }
    let bucket = || "shop-alb-logs/lb".into();
    let files = bench.read(AwsDoes::AccessLogs { bucket: bucket(), window: WINDOW }).await;
    assert!(files.summary.starts_with("2 files"), "{}", files.summary);
    let sources = AwsDoes::AccessLogSources { bucket: bucket(), window: WINDOW, path: "/auth/login".into() };
    let reading = bench.read(sources).await;
    assert!(reading.summary.contains("24 refusals of /auth/login from 3 addresses"), "{}", reading.summary);
    assert_eq!(
        reading.bindings.get("attacking_addresses").map(String::as_str),
        Some("203.0.113.5/32,203.0.113.9/32")
    );
    let causes: Vec<&str> = reading.found.iter().map(|found| &*found.cause).collect();
    assert_eq!(causes, [cause::ATTACK_FEW, cause::ACCOUNT_TAKEN]);
    assert!(
        reading.lines.iter().any(|(_, line)| line.contains("1 line not understood")),
        "{:?}",
        reading.lines
    );
    assert!(!format!("{:?}", reading.lines).contains("203.0.113.200"));
    let none = bench.read(AwsDoes::AccessLogs { bucket: "nowhere".into(), window: WINDOW }).await;
    assert!(!none.ok && none.summary.contains("NoSuchBucket"), "{}", none.summary);
}

/// moto has no LookupEvents: what it answers here was judged by botocore's models and parser.
#[tokio::test(flavor = "multi_thread")]
async fn cloudtrail_tells_refused_and_telling_calls() {
    let bench = Bench::new().await;
    let event = |name: &str, error: Option<&str>| {
        let mut whole = json!({"eventTime": "2026-11-26T07:00:00Z", "eventName": name, "sourceIPAddress": "203.0.113.5",
            "userIdentity": {"arn": "arn:aws:iam::123456789012:user/svc-report"}});
        if let Some(error) = error {
            whole["errorCode"] = json!(error);
        }
        json!({"EventName": name, "CloudTrailEvent": whole.to_string()})
    };
    bench
        .script(json!({"cloudtrail.LookupEvents": [
            {"Events": [event("ListUsers", Some("AccessDenied")), event("DescribeInstances", None)], "NextToken": "2"},
            {"Events": [event("CreateAccessKey", None), event("GetObject", Some("NoSuchKey"))]}]}))
        .await;
    let reading = bench.read(AwsDoes::AccountEvents { window: WINDOW }).await;
    assert!(reading.summary.contains("1 refused and 1 telling of 4 calls"), "{}", reading.summary);
    assert!(reading.lines.iter().any(|(_, line)| {
        line.contains(
            "ListUsers (AccessDenied) by arn:aws:iam::123456789012:user/svc-report from 203.0.113.5",
        )
    }));
    let asked = bench.asked().await;
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1]["params"]["NextToken"], "2");
}
