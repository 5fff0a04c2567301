//! The drills of certificates and of the way in, played with the real probes and hands: what the reads find, what
//! the remedy is, and that it heals.

use std::time::Duration;

use covet_tui::domain::{Action, Kind, NetworkProbe, ObjectRef, PatchKind, Reading};
use covet_tui::domain::{Key, Timestamp};
use serde_json::{Value, json};

use super::bench::{causes, told};
use crate::acting::bench::{Bench, SPACE, key, now};

const INGRESS: &str = "covetpy-ingress";
const CERTIFICATE: &str = "covetpy-tls";
const HOST: &str = "api.yourdomain.com";

async fn read(bench: &Bench, probe: NetworkProbe) -> Reading {
    let reading = bench.probes.read(&Action::Network(probe), now()).await;
    println!("{}\n", told(&reading));
    reading
}

fn served(host: &str) -> NetworkProbe {
    NetworkProbe::TlsProbe {
        host: host.into(),
        connect_to: None,
        namespace: Some(SPACE.into()),
        certificate: Some(key(CERTIFICATE)),
        secret: None,
    }
}

fn issuance() -> NetworkProbe {
    NetworkProbe::CheckIssuance { certificate: key(CERTIFICATE) }
}

fn has(reading: &Reading, cause: &str) -> bool {
    causes(reading).contains(&cause)
}

fn renew() -> Action {
    let condition = json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
        "message": "Renewal asked for by hand", "lastTransitionTime": Timestamp::now().to_string()});
    Action::PatchStatus {
        object: ObjectRef::new(Kind::Certificate, key(CERTIFICATE)),
        body: json!({"status": {"conditions": [condition]}}),
    }
}

/// Two operations of JSON Patch: what has to be there, and what takes its place.
fn replace(path: &str, wrong: &str, right: &str) -> Value {
    json!([{"op": "test", "path": path, "value": wrong}, {"op": "replace", "path": path, "value": right}])
}

async fn until_well(bench: &Bench, probe: impl Fn() -> NetworkProbe) -> Reading {
    for _ in 0..60 {
        let reading = bench.probes.read(&Action::Network(probe()), now()).await;
        if reading.ok {
            return reading;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let last = read(bench, probe()).await;
    panic!("never well: {}", told(&last));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_nobody_serves_is_found_mended_and_the_certificate_renewed() {
    let mut bench = Bench::new(Some("cert-expiry.challenge")).await;
    let reading = read(&bench, served(HOST)).await;
    assert!(!reading.ok && told(&reading).contains("only 1d"), "{}", told(&reading));
    let reading = read(&bench, NetworkProbe::ListCertificates { namespace: SPACE.into() }).await;
    assert!(told(&reading).contains(CERTIFICATE));
    let why = read(&bench, issuance()).await;
    assert!(!why.ok && has(&why, "solver-class") && has(&why, "issuance-failing"), "{}", told(&why));
    assert_eq!(
        (why.bindings["solver_wrong"].as_str(), why.bindings["solver_right"].as_str()),
        ("nginx-old", "nginx")
    );
    let log = NetworkProbe::FilteredLogs {
        namespace: "cert-manager".into(),
        selector: "app.kubernetes.io/name=cert-manager".into(),
        about: CERTIFICATE.into(),
    };
    let log = read(&bench, log).await;
    assert!(log.summary.contains("404"), "{}", told(&log));
    // The remedy as the playbook binds it: a JSON patch that tests what it replaces.
    let path = format!(
        "/spec/acme/solvers/{}/http01/ingress/{}",
        why.bindings["solver_index"], why.bindings["solver_field"]
    );
    let mend = Action::Patch {
        object: ObjectRef::new(Kind::ClusterIssuer, Key::cluster("letsencrypt-production")),
        kind: PatchKind::Json,
        body: replace(&path, "nginx-old", "nginx"),
    };
    let mended = bench.act(mend).await;
    assert!(mended.undo.is_some(), "it can be put back");
    let again = read(&bench, issuance()).await;
    assert!(!has(&again, "solver-class"), "{}", told(&again));
    let before = read(&bench, served(HOST)).await.bindings["served_serial"].clone();
    bench.act(renew()).await;
    let well = until_well(&bench, || served(HOST)).await;
    assert_ne!(well.bindings["served_serial"], before, "a new certificate is served");
    assert!(well.summary.contains("89d left") || well.summary.contains("90d left"), "{}", well.summary);
    let after = read(&bench, issuance()).await;
    assert!(after.ok, "{}", told(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_challenge_runs_its_key_can_be_fetched_as_the_authority_does() {
    let mut bench = Bench::new(None).await;
    let idle = read(&bench, NetworkProbe::AcmeChallenge { certificate: key(CERTIFICATE) }).await;
    assert!(idle.ok && idle.summary.contains("no challenge runs"), "{}", told(&idle));
    bench.act(renew()).await;
    let mut seen = false;
    for _ in 0..40 {
        let reading = bench
            .probes
            .read(&Action::Network(NetworkProbe::AcmeChallenge { certificate: key(CERTIFICATE) }), now())
            .await;
        seen = seen || told(&reading).contains("200 and the right key");
        if seen {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(seen, "the challenge was never to be fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_certificate_in_the_controllers_memory_is_found_and_a_restart_loads_the_new_one() {
    let mut bench = Bench::new(Some("cert-expiry.stale")).await;
    let reading = read(&bench, served(HOST)).await;
    assert!(has(&reading, "served-stale"), "{}", told(&reading));
    let ingress = read(&bench, NetworkProbe::CheckIngress { ingress: key(INGRESS) }).await;
    assert!(ingress.ok, "{}", told(&ingress));
    assert_eq!(ingress.bindings["controller"], "ingress-nginx-controller");
    assert_eq!(ingress.bindings["controller_kind"], "Deployment");
    let controller =
        Key::new(ingress.bindings["controller_namespace"].as_str(), ingress.bindings["controller"].as_str());
    bench.act(Action::RolloutRestart { object: ObjectRef::new(Kind::Deployment, controller) }).await;
    let well = until_well(&bench, || served(HOST)).await;
    assert!(well.summary.contains("62d") || well.summary.contains("61d"), "{}", well.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_with_its_end_and_passes_by_itself() {
    let mut bench = Bench::new(None).await;
    // However slow this machine is, the limit lasts until the test ends it.
    bench.lab.world(|world| world.limit_issuance(100_000.0));
    let why = read(&bench, issuance()).await;
    assert!(has(&why, "issuance-rate-limited"), "{}", told(&why));
    assert!(
        why.bindings.contains_key("retry_after") && why.summary.contains("limits our attempts until"),
        "{}",
        why.summary
    );
    // Another set of names is not limited: the emergency's way.
    let manifest = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": {"name": "covetpy-tls-manual", "namespace": SPACE},
        "spec": {"secretName": "covetpy-tls-manual", "dnsNames": [HOST, "yourdomain.com", "www.yourdomain.com"],
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt-production"}}});
    bench.act(Action::Apply { manifest, force: false }).await;
    let list = || NetworkProbe::ListCertificates { namespace: SPACE.into() };
    bench
        .until("the second certificate is Ready", || async {
            bench
                .probes
                .read(&Action::Network(list()), now())
                .await
                .summary
                .contains("2 Certificates, all Ready")
        })
        .await;
    let point = Action::Patch {
        object: ObjectRef::new(Kind::Ingress, key(INGRESS)),
        kind: PatchKind::Json,
        body: replace("/spec/tls/0/secretName", CERTIFICATE, "covetpy-tls-manual"),
    };
    let pointed = bench.act(point).await;
    let second = || NetworkProbe::TlsProbe {
        host: HOST.into(),
        connect_to: None,
        namespace: Some(SPACE.into()),
        certificate: Some(key("covetpy-tls-manual")),
        secret: None,
    };
    let well = until_well(&bench, second).await;
    assert!(told(&well).contains("www.yourdomain.com"), "{}", told(&well));
    bench.undo(&pointed).await;
    // Once it has passed, cert-manager tries again by itself.
    bench.lab.world(|world| world.limit_issuance(1.0));
    let well = until_well(&bench, || served(HOST)).await;
    assert!(!told(&well).contains("www.yourdomain.com"), "{}", told(&well));
}

fn walk() -> NetworkProbe {
    NetworkProbe::IngressProbe { ingress: key(INGRESS) }
}

async fn pods(bench: &Bench) -> NetworkProbe {
    let pods = bench.pods().await.iter().map(covet_tui::probes::object::key).collect();
    NetworkProbe::PodHttp { pods, port: None, path: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_selects_nobody_is_found_and_its_selector_computed() {
    let mut bench = Bench::new(Some("ingress-down.selector")).await;
    bench.until("the fault has struck", || async { bench.lab.world(|world| world.has_struck()) }).await;
    bench
        .until("nobody is reached", || async { !bench.probes.read(&Action::Network(walk()), now()).await.ok })
        .await;
    let reading = read(&bench, walk()).await;
    assert_eq!(reading.bindings["first_layer"], "Service");
    assert!(has(&reading, "service-selector") && reading.summary.contains("503"), "{}", told(&reading));
    let found = read(&bench, NetworkProbe::CheckService { service: key("covetpy-app") }).await;
    let bound = |name: &str| found.bindings[name].clone();
    assert_eq!((bound("selector_wrong").as_str(), bound("selector_right").as_str()), ("covet-py", "covetpy"));
    assert_eq!(bound("deployment"), "covetpy-app");
    assert!(found.summary.contains("kubectl-edit wrote it"), "{}", told(&found));
    let asked = read(&bench, pods(&bench).await).await;
    assert!(asked.ok && asked.summary.contains("answer well, asked directly"), "{}", told(&asked));
    let mend = Action::Patch {
        object: ObjectRef::new(Kind::Service, key("covetpy-app")),
        kind: PatchKind::Json,
        body: replace(&format!("/spec/selector/{}", bound("selector_key")), "covet-py", "covetpy"),
    };
    let mended = bench.act(mend).await;
    until_well(&bench, walk).await;
    let well = read(&bench, NetworkProbe::CheckIngress { ingress: key(INGRESS) }).await;
    assert!(well.ok, "{}", told(&well));
    bench.undo(&mended).await;
    bench.until("and back", || async { !bench.probes.read(&Action::Network(walk()), now()).await.ok }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_at_zero_is_found_behind_a_refused_connection() {
    let mut bench = Bench::new(Some("ingress-down.controller")).await;
    bench
        .until("nobody is reached", || async { !bench.probes.read(&Action::Network(walk()), now()).await.ok })
        .await;
    let reading = read(&bench, walk()).await;
    assert_eq!(reading.bindings["first_layer"], "TCP");
    assert!(has(&reading, "balancer-unreachable"), "{}", told(&reading));
    let ingress = read(&bench, NetworkProbe::CheckIngress { ingress: key(INGRESS) }).await;
    assert!(has(&ingress, "controller-down"), "{}", told(&ingress));
    assert_eq!(
        (ingress.bindings["controller_wanted"].as_str(), ingress.bindings["controller_replicas"].as_str()),
        ("0", "2")
    );
    let name =
        NetworkProbe::DnsLookup { name: HOST.into(), record: "A".into(), namespace: Some(SPACE.into()) };
    let dns = read(&bench, name).await;
    assert!(dns.ok && dns.summary.contains("that is the load balancer"), "DNS is innocent: {}", told(&dns));
    let controller = ObjectRef::new(Kind::Deployment, Key::new("ingress-nginx", "ingress-nginx-controller"));
    bench.act(Action::Scale { object: controller, replicas: 2 }).await;
    until_well(&bench, walk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readiness_probe_of_the_wrong_path_is_told_from_pods_that_are_not_ready() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let container = json!({"name": "covetpy", "readinessProbe": {"httpGet": {"path": "/healthy"}}});
    let wrong = Action::Patch {
        object: ObjectRef::new(Kind::Deployment, key("covetpy-app")),
        kind: PatchKind::Strategic,
        body: json!({"spec": {"template": {"spec": {"containers": [container]}}}}),
    };
    let preview = bench.previewed(wrong).await;
    let entry = bench.confirm(preview);
    // Its rollout never ends well; only that it began matters here.
    let (progress, _lines) = tokio::sync::mpsc::channel(100);
    let called_off = tokio_util::sync::CancellationToken::new();
    let stop = called_off.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(8)).await;
        stop.cancel();
    });
    bench.hands.perform(entry, progress, called_off).await;
    let new: Vec<Key> = bench
        .pods()
        .await
        .iter()
        .filter(|pod| {
            pod.pointer("/spec/containers/0/readinessProbe/httpGet/path") == Some(&json!("/healthy"))
        })
        .map(covet_tui::probes::object::key)
        .collect();
    assert!(!new.is_empty(), "no new pod came");
    let asked = read(&bench, NetworkProbe::PodHttp { pods: new, port: None, path: None }).await;
    assert!(has(&asked, "readiness-path"), "{}", told(&asked));
    let bound = |name: &str| asked.bindings[name].as_str();
    assert_eq!(
        (bound("wrong_path"), bound("ready_path"), bound("container")),
        ("/healthy", "/health/ready", "covetpy")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_that_leads_to_an_old_load_balancer_is_the_first_layer_that_fails() {
    let bench = Bench::new(None).await;
    until_well(&bench, walk).await;
    bench.lab.world(|world| world.point_dns(HOST, "127.0.0.9"));
    let reading = read(&bench, walk()).await;
    assert_eq!(reading.bindings["first_layer"], "DNS", "{}", told(&reading));
    assert!(has(&reading, "dns-wrong") && reading.summary.contains("127.0.0.9"), "{}", told(&reading));
    let lookup =
        NetworkProbe::DnsLookup { name: HOST.into(), record: "A".into(), namespace: Some(SPACE.into()) };
    let lookup = read(&bench, lookup).await;
    assert!(!lookup.ok && has(&lookup, "dns-wrong"), "{}", told(&lookup));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrys_word_with_the_clusters_own_login_shows_no_password() {
    let bench = Bench::new(Some("image-pull.token")).await;
    let pods = bench.pods().await;
    let pod = covet_tui::probes::object::key(&pods[0]);
    let image = "ghcr.io/yourorg/covetpy:v1.2.3".to_owned();
    let anybody = read(&bench, NetworkProbe::RegistryProbe { image: image.clone(), pod: None }).await;
    assert!(has(&anybody, "image-auth"), "{}", told(&anybody));
    let before =
        read(&bench, NetworkProbe::RegistryProbe { image: image.clone(), pod: Some(pod.clone()) }).await;
    let struck = bench.lab.world(|world| world.has_struck());
    if !struck {
        assert!(before.ok && told(&before).contains("linux/amd64"), "{}", told(&before));
    }
    bench.until("the token has expired", || async { bench.lab.world(|world| world.has_struck()) }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = read(&bench, NetworkProbe::RegistryProbe { image, pod: Some(pod) }).await;
    assert!(has(&after, "image-auth"), "{}", told(&after));
    let all = format!("{before:?}{after:?}{anybody:?}");
    assert!(all.contains("yourorg-bot") && !all.contains("ghp_"), "a password is never shown");
    let absent = read(
        &bench,
        NetworkProbe::RegistryProbe { image: "docker.io/library/nginx:1.29.3".into(), pod: None },
    )
    .await;
    assert!(absent.ok, "{}", told(&absent));
    let up = read(&bench, NetworkProbe::RegistryUp { registry: "ghcr.io".into() }).await;
    assert!(up.ok, "{}", up.summary);
}
