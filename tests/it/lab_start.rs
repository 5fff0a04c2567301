//! The whole lab from start to stop: one world, and every server tells of it.

use std::path::Path;
use std::time::Duration;

use covet_tui::lab::{Lab, LabError, Options, drills, start};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

async fn client(kubeconfig: &Path) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn raw(client: &kube::Client, path: &str) -> Result<Value, kube::Error> {
    client.request(http::Request::get(path).body(Vec::new()).unwrap()).await
}

fn env(lab: &Lab, name: &str) -> String {
    lab.env().into_iter().find(|(key, _)| *key == name).unwrap().1
}

/// Asks the lab's Prometheus through the API server, as the cockpit does when nobody gave it a URL.
async fn query(client: &kube::Client, expression: &str) -> Vec<(Value, f64)> {
    let url = reqwest::Url::parse_with_params("http://x/", [("query", expression)]).unwrap();
    let path = "/api/v1/namespaces/monitoring/services/prometheus-server:80/proxy/api/v1/query";
    let answer = raw(client, &format!("{path}?{}", url.query().unwrap())).await.unwrap();
    let result = answer["data"]["result"].as_array().unwrap();
    let element =
        |element: &Value| (element["metric"].clone(), element["value"][1].as_str().unwrap().parse().unwrap());
    result.iter().map(element).collect()
}

async fn eventually<F: Future<Output = Option<R>>, R>(what: &str, ask: impl Fn() -> F) -> R {
    for _ in 0..300 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("not within a minute: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_tells_of_the_same_world() {
    let lab = start(Options { seed: 3, ..Options::default() }).await.unwrap();
    let client = client(lab.kubeconfig()).await;
    let pods =
        raw(&client, "/api/v1/namespaces/covetpy-production/pods?labelSelector=app%3Dcovetpy").await.unwrap();
    let names: Vec<&str> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap())
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    let requests = r#"sum by (pod) (rate(http_requests_total{namespace="covetpy-production"}[5m])) > 0"#;
    let busy = query(&client, requests).await;
    let mut measured: Vec<&str> = busy.iter().map(|(metric, _)| metric["pod"].as_str().unwrap()).collect();
    measured.sort_unstable();
    let mut expected = names.clone();
    expected.sort_unstable();
    assert_eq!(measured, expected, "the pods that serve requests are the pods there are");
    let p95 = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))";
    let p95 = query(&client, p95).await[0].1;
    assert!((0.01..1.0).contains(&p95), "a healthy p95 of {p95} s");

    let (database, connection) =
        tokio_postgres::connect(&env(&lab, "DATABASE_URL"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = database
        .query_one("/* covet:capacity */ SELECT 90 AS max_conn, count(*) AS used FROM pg_stat_activity", &[])
        .await
        .unwrap();
    let used: i64 = row.get("used");
    assert!(used > 4 && used < i64::from(row.get::<_, i32>("max_conn")), "{used} connections");

    let cache = redis::Client::open(env(&lab, "REDIS_URL")).unwrap();
    let mut cache = cache.get_multiplexed_async_connection().await.unwrap();
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut cache).await.unwrap();
    assert!(info.get::<u64>("keyspace_hits").unwrap() > 0);

    let watchdog = format!("{}/api/v2/alerts?filter=alertname%3DWatchdog", env(&lab, "ALERTMANAGER_URL"));
    eventually("the Watchdog at the Alertmanager", || async {
        let alerts: Value = reqwest::get(&watchdog).await.ok()?.json().await.ok()?;
        (alerts.as_array()?.len() == 1).then_some(())
    })
    .await;
    let firing = query(&client, r#"ALERTS{alertstate="firing",alertname!="Watchdog"}"#).await;
    assert!(firing.is_empty(), "a healthy world fires nothing: {firing:?}");

    let ingresses = raw(&client, "/apis/networking.k8s.io/v1/ingresses").await.unwrap();
    let ingress = &ingresses["items"][0];
    let door = &ingress["status"]["loadBalancer"]["ingress"][0];
    assert_eq!(
        (&door["hostname"], &door["ports"][0]["port"]),
        (&covet_tui::lab::world::BALANCER.into(), &lab.addresses().https.port().into())
    );
    let host = ingress["spec"]["rules"][0]["host"].as_str().unwrap();
    let authority = reqwest::Certificate::from_pem(&std::fs::read(lab.web_authority()).unwrap()).unwrap();
    let https = reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(host, lab.addresses().https)
        .build()
        .unwrap();
    let url = format!("https://{host}:{}/health/ready", lab.addresses().https.port());
    assert_eq!(https.get(url).send().await.unwrap().status(), 200);
    let probe = reqwest::get(env(&lab, "COVET_PROBE_URL")).await.unwrap();
    assert_eq!(probe.status(), 200);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prometheus_client_library_understands_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lab = start(Options::default()).await.unwrap();
    let client = prometheus_http_query::Client::try_from(env(&lab, "PROMETHEUS_URL")).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let up = client.query("up").at(now).get().await.unwrap();
    assert!(!up.data().as_vector().unwrap().is_empty());
    let rate = "sum(rate(http_requests_total[5m]))";
    let lines = client.query_range(rate, now - 3600, now, 60.0).post().await.unwrap();
    let points = lines.data().as_matrix().unwrap()[0].samples();
    assert!(points.len() > 50, "an hour of history, not {} points", points.len());
    assert!(points.iter().all(|point| point.value() > 1.0));
    let scalar = client.query("scalar(vector(1))").get().await.unwrap();
    assert!((scalar.data().as_scalar().unwrap().value() - 1.0).abs() < f64::EPSILON);
    let rules = client.rules().get().await.unwrap();
    let number: usize = rules.iter().map(|group| group.rules().len()).sum();
    assert!(number > 20);
    client.alerts().await.unwrap();
    assert!(!client.targets(None).await.unwrap().active().is_empty());
    let metadata = client.metric_metadata().get().await.unwrap();
    assert!(metadata.contains_key("http_requests_total"), "{:?}", metadata.keys());
    assert!(client.label_names().get().await.unwrap().contains(&"namespace".to_owned()));
    assert!(client.label_values("namespace").get().await.unwrap().contains(&"covetpy-production".to_owned()));
    assert_eq!(client.build_information().await.unwrap().version(), "2.42.0");
    assert!(client.is_server_ready().await.unwrap());
    let wrong = client.query("up{").get().await.unwrap_err();
    assert!(wrong.to_string().contains("parse error"), "{wrong}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_lab_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("kubeconfig");
    let lab = start(Options { kubeconfig_out: Some(copy.clone()), ..Options::default() }).await.unwrap();
    let files = [lab.kubeconfig(), lab.view_kubeconfig(), lab.web_authority(), &copy].map(Path::to_owned);
    for file in &files {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let admin = client(lab.kubeconfig()).await;
    let viewer = client(lab.view_kubeconfig()).await;
    assert!(raw(&admin, "/api/v1/namespaces/covetpy-production/secrets").await.is_ok());
    let refused = raw(&viewer, "/api/v1/namespaces/covetpy-production/secrets").await;
    assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
    assert!(raw(&viewer, "/api/v1/pods").await.is_ok());
    let addresses = lab.addresses();
    let kept_open = reqwest::Client::new();
    let ready = format!("{}/-/ready", env(&lab, "PROMETHEUS_URL"));
    assert!(kept_open.get(&ready).send().await.unwrap().text().await.is_ok());
    tokio::time::timeout(Duration::from_secs(5), lab.stop()).await.expect("a lab stops at once");
    assert!(kept_open.get(&ready).send().await.is_err(), "an open connection still answers");
    for file in &files {
        assert!(!file.exists(), "{} is left", file.display());
    }
    let all = [
        addresses.kubernetes,
        addresses.prometheus,
        addresses.alertmanager,
        addresses.database,
        addresses.cache,
        addresses.https,
        addresses.http,
    ];
    for address in all {
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{address} still listens");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_seen_by_all() {
    let drill = drills().iter().find(|drill| drill.playbook == "crash-loop").unwrap();
    let options = Options { drill: Some(drill.name.clone()), speed: 100.0, ..Options::default() };
    let lab = start(options).await.unwrap();
    let client = client(lab.kubeconfig()).await;
    eventually("a container in CrashLoopBackOff", || async {
        let pods = raw(&client, "/api/v1/namespaces/covetpy-production/pods").await.unwrap();
        pods.to_string().contains("CrashLoopBackOff").then_some(())
    })
    .await;
    let waiting = r#"kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"} == 1"#;
    let pod = eventually("the metric", || async {
        query(&client, waiting).await.first().map(|(metric, _)| metric["pod"].as_str().unwrap().to_owned())
    })
    .await;
    let url =
        format!("{}/api/v2/alerts?filter=alertname%3DKubePodCrashLooping", env(&lab, "ALERTMANAGER_URL"));
    eventually("the alert at the Alertmanager", || async {
        let alerts: Value = reqwest::get(&url).await.ok()?.json().await.ok()?;
        alerts.as_array()?.iter().any(|alert| alert["labels"]["pod"] == pod.as_str()).then_some(())
    })
    .await;
    lab.stop().await;
}

#[tokio::test]
async fn an_unknown_drill_is_refused_with_the_known_ones() {
    match start(Options { drill: Some("nonsense".to_owned()), ..Options::default() }).await {
        Err(why @ LabError::Drill(..)) => assert!(why.to_string().contains("crash-loop"), "{why}"),
        other => panic!("{:?}", other.map(|_| "a lab")),
    }
}
