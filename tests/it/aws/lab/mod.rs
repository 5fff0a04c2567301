//! The lab's AWS, judged by boto3: every call that is served, and what is not.

mod database;
mod firewall;
mod machines;
mod network;

use std::time::{Duration, Instant};

use covet_tui::lab::{Lab, Options, aws, start};
use serde_json::{Value, json};

use super::bench::{Boto, text};
use crate::pty::Terminal;

/// As many times faster than life.
const SPEED: f64 = 60.0;

async fn lab(drill: Option<&str>) -> (Lab, Boto) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options { drill: drill.map(str::to_owned), speed: SPEED, ..Options::default() };
    let lab = start(options).await.unwrap();
    let boto = Boto::new(lab.addresses().aws.port());
    (lab, boto)
}

fn list<'a>(value: &'a Value, path: &str) -> &'a Vec<Value> {
    value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// Asks until it is so.
fn until<R>(what: &str, mut ask: impl FnMut() -> Option<R>) -> R {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(found) = ask() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

/// Names of the nodes.
fn nodes(lab: &Lab) -> Vec<String> {
    let mut nodes: Vec<String> =
        lab.world(|world| world.machines()).into_iter().map(|(name, _)| name).collect();
    nodes.sort();
    nodes
}

/// Nodes whose machine is there and whose kubelet reports.
fn ready(lab: &Lab) -> usize {
    nodes(lab).len() - lab.world(|world| world.stopped_kubelets()).len()
}

fn running(boto: &mut Boto) -> Vec<Value> {
    let found = boto.call("ec2", "describe_instances", json!({}));
    let all = list(&found, "/Reservations").iter().map(|one| one["Instances"][0].clone());
    all.filter(|one| one["State"]["Name"] == "running").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_leads_to_the_account_and_to_nobody_else() {
    let (lab, mut boto) = lab(None).await;
    let env = lab.env();
    let given =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!(given("AWS_ENDPOINT_URL"), format!("http://{}", lab.addresses().aws));
    assert_eq!(
        (given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY"), given("AWS_REGION")),
        (aws::ACCESS_KEY.to_owned(), aws::SECRET_KEY.to_owned(), "us-east-1".to_owned())
    );
    let who = boto.call("sts", "get_caller_identity", json!({}));
    assert_eq!(text(&who, "/Account"), "111122223333");
    // What is not served is refused as AWS would refuse it, in the protocol of the service.
    for (service, operation, params, code) in [
        ("ec2", "describe_key_pairs", json!({}), "InvalidAction"),
        ("autoscaling", "describe_policies", json!({}), "InvalidAction"),
        ("eks", "list_clusters", json!({}), "UnknownOperationException"),
        ("route53", "list_health_checks", json!({}), "InvalidAction"),
        ("wafv2", "list_rule_groups", json!({"Scope": "REGIONAL"}), "UnknownOperationException"),
        (
            "ec2",
            "describe_instances",
            json!({"Filters": [{"Name": "vpc-id", "Values": ["v"]}]}),
            "InvalidParameterValue",
        ),
    ] {
        let says = boto.refused(service, operation, params);
        assert!(says.contains(code), "{service}.{operation}: {says}");
    }
    // Nobody without the lab's key, nor in another region.
    let url = given("AWS_ENDPOINT_URL");
    let ask = |header: Option<&'static str>| {
        let asked = reqwest::Client::new().post(&url).body("Action=GetCallerIdentity&Version=2011-06-15");
        let asked = header.into_iter().fold(asked, |asked, value| asked.header("authorization", value));
        async move {
            let answer = asked.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let signed = |key: &str, region: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/sts/aws4_request, SignedHeaders=host, Signature=0a"
        )
    };
    let refusals = [
        (None, "MissingAuthenticationToken"),
        (Some(signed("AKIASOMEBODYSOWNKEY0", "us-east-1")), "InvalidClientTokenId"),
        (Some(signed(aws::ACCESS_KEY, "eu-west-1")), "SignatureDoesNotMatch"),
        (Some("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE".to_owned()), "IncompleteSignature"),
    ];
    for (header, code) in refusals {
        let (status, body) = ask(header.map(|header| &*header.leak())).await;
        assert!(status == 403 && body.contains(code), "{code}: {status} {body}");
    }
    lab.stop().await;
}

/// Everything that a person's shell and home may say of their own account and of the way to it; whoever follows it
/// falls into the trap.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_never_asks_the_persons_own_account() {
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", trap.local_addr().unwrap());
    let caught = tokio::spawn(async move { trap.accept().await.map(|(_, from)| from) });
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    let (process, ran) = (home.path().join("process"), home.path().join("ran"));
    let keys = r#"{"Version": 1, "AccessKeyId": "AKIASOMEBODYSOWNKEY1", "SecretAccessKey": "x"}"#;
    std::fs::write(&process, format!("#!/bin/sh\ntouch {}\necho '{keys}'\n", ran.display())).unwrap();
    std::fs::set_permissions(&process, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let profile = |name: &str| {
        let process = process.display();
        format!(
            "[{name}]\nregion = eu-central-1\ncredential_process = {process}\nendpoint_url = {elsewhere}\n"
        )
    };
    std::fs::write(folder.join("config"), profile("default") + &profile("profile work")).unwrap();
    let own = "aws_access_key_id = AKIASOMEBODYSOWNKEY2\naws_secret_access_key = x\n";
    std::fs::write(folder.join("credentials"), format!("[default]\n{own}[work]\n{own}")).unwrap();
    let config = folder.join("config").display().to_string();
    let terminal = tokio::task::spawn_blocking(move || {
        let shell = [
            ("AWS_PROFILE", "work"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODYSOWNKEY0"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_SESSION_TOKEN", "x"),
            ("AWS_ENDPOINT_URL", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_EC2", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_AUTO_SCALING", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_STS", elsewhere.as_str()),
            ("HTTP_PROXY", elsewhere.as_str()),
        ];
        let drill = ["drill", "node-notready.impaired", "--seed", "7", "--speed", "20"];
        let terminal = Terminal::open_with(&drill, home.path(), 200, 110, &shell);
        // EC2 and Auto Scaling have answered.
        terminal.wait("AWS's word", |screen| {
            screen.contains("; hardware ") && screen.contains("in group eks-general")
        });
        (terminal, home)
    });
    let (terminal, home) = terminal.await.unwrap();
    let said = terminal.raw_text();
    assert!(!said.contains("AKIA"), "a key is on the screen");
    assert!(!caught.is_finished(), "somebody else's endpoint was asked");
    assert!(!home.path().join("ran").exists(), "somebody's own credentials were asked for");
}
