//! The lab's way in, judged by clients of others: `dig` for its name server, `curl` for its registries, its load
//! balancer and the path of its challenges, `kubectl` for cert-manager's objects.

use covet_tui::lab::{Lab, Options, start};
use std::process::{Command, Stdio};

use super::bench::program;

async fn lab(drill: Option<&str>, speed: f64) -> Lab {
    start(Options { drill: drill.map(str::to_owned), speed, ..Options::default() }).await.unwrap()
}

fn env(lab: &Lab, name: &str) -> String {
    lab.env().into_iter().find(|(key, _)| *key == name).unwrap().1
}

/// What a tool prints, whether it likes it or not.
async fn said(name: &str, arguments: &[&str]) -> (bool, String) {
    let (name, arguments) =
        (name.to_owned(), arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    tokio::task::spawn_blocking(move || {
        let output = Command::new(program(&name)).args(&arguments).stdin(Stdio::null()).output().unwrap();
        let out =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), out)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_finds_the_public_names_and_what_is_not_there() {
    let lab = lab(None, 1.0).await;
    let address = env(&lab, "COVET_DNS_PUBLIC");
    let port = address.split(':').nth(1).unwrap().to_owned();
    let dig = |words: &[&str]| {
        let mut all = vec!["@127.0.0.1".to_owned(), "-p".to_owned(), port.clone(), "+time=3".to_owned()];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        async move { said("dig", &all.iter().map(String::as_str).collect::<Vec<_>>()).await.1 }
    };
    assert_eq!(dig(&["+short", "api.yourdomain.com"]).await.trim(), "127.0.0.1");
    assert_eq!(dig(&["+short", "+tcp", "api.yourdomain.com"]).await.trim(), "127.0.0.1");
    assert_eq!(dig(&["+short", "NS", "yourdomain.com"]).await.trim(), "ns1.yourdomain.com.");
    let whole = dig(&["API.yourdomain.com"]).await;
    assert!(whole.contains("NOERROR") && whole.contains(" aa") && whole.contains("\t60\t"), "{whole}");
    assert!(dig(&["gone.yourdomain.com"]).await.contains("NXDOMAIN"));
    assert!(dig(&["TXT", "api.yourdomain.com"]).await.contains("NOERROR"));
    assert!(dig(&["example.org"]).await.contains("REFUSED"));
    lab.world(|world| world.point_dns("api.yourdomain.com", "127.0.0.2"));
    assert_eq!(dig(&["+short", "api.yourdomain.com"]).await.trim(), "127.0.0.2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_served_by_the_zone_before_resolvers_forget_the_old_answer() {
    let lab = lab(None, 5.0).await;
    let port = env(&lab, "COVET_DNS_PUBLIC").split(':').nth(1).unwrap().to_owned();
    let asked = |recursion: &'static str| {
        let words = ["@127.0.0.1", "-p", &port, "+short", "+time=3", recursion, "api.yourdomain.com"];
        let words = words.map(str::to_owned);
        async move { said("dig", &words.each_ref().map(String::as_str)).await.1.trim().to_owned() }
    };
    lab.world(|world| {
        let sets = &world.hosted_zone().sets;
        let mut set = sets.iter().find(|set| set.name == "api.yourdomain.com").unwrap().clone();
        (set.alias, set.ttl, set.values) = (None, Some(60), vec!["127.0.0.3".to_owned()]);
        world.change_records(vec![(set, true)])
    });
    let mut seen = vec![(asked("+norecurse").await, asked("+recurse").await)];
    for _ in 0..400 {
        seen.push((asked("+norecurse").await, asked("+recurse").await));
        if seen.last().is_some_and(|(_, resolver)| resolver == "127.0.0.3") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (old, new) = ("127.0.0.1".to_owned(), "127.0.0.3".to_owned());
    assert!(seen.contains(&(new.clone(), old)), "{seen:?}");
    assert!(seen.iter().all(|(zone, resolver)| *resolver != new || *zone == new), "{seen:?}");
    assert_eq!(seen.last(), Some(&(new.clone(), new)));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_pulls_like_a_runtime_from_the_labs_registries() {
    let lab = lab(Some("image-pull.token"), 1.0).await;
    let base = format!("http://{}", lab.addresses().registry);
    let code = |more: &[&str], path: &str| {
        let url = format!("{base}{path}");
        let mut all: Vec<String> = ["-s", "-o", "/dev/null", "-w", "%{http_code}"].map(str::to_owned).into();
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all.push(url);
        async move { said("curl", &all.iter().map(String::as_str).collect::<Vec<_>>()).await.1 }
    };
    let body = |more: &[&str], path: &str| {
        let url = format!("{base}{path}");
        let mut all: Vec<String> = vec!["-s".into()];
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all.push(url);
        async move { said("curl", &all.iter().map(String::as_str).collect::<Vec<_>>()).await.1 }
    };
    assert_eq!(code(&[], "/ghcr.io/v2/").await, "401");
    let headers = body(&["-I"], "/ghcr.io/v2/yourorg/covetpy/manifests/v1.2.3").await;
    assert!(headers.to_lowercase().contains("www-authenticate: bearer realm="), "{headers}");
    let scope = "/ghcr.io/token?service=ghcr.io&scope=repository:yourorg/covetpy:pull";
    assert_eq!(code(&[], scope).await, "401", "private");
    assert_eq!(code(&["-u", "yourorg-bot:ghp_0123456789abcdefghijABCDEFGHIJ"], scope).await, "200");
    assert_eq!(code(&["-u", "yourorg-bot:nonsense"], scope).await, "401");
    let token = body(&["-u", "bot:ghp_0123456789abcdefghijABCDEFGHIJ"], scope).await;
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let bearer = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());
    let manifest = "/ghcr.io/v2/yourorg/covetpy/manifests/v1.2.3";
    let head = body(&["-I", "-H", &bearer], manifest).await.to_lowercase();
    assert!(head.contains("200 ok") && head.contains("docker-content-digest: sha256:"), "{head}");
    assert_eq!(code(&["-H", &bearer], "/ghcr.io/v2/yourorg/covetpy/manifests/v9").await, "404");
    let index: serde_json::Value = serde_json::from_str(&body(&["-H", &bearer], manifest).await).unwrap();
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_refuses_when_no_controller_is_left_and_takes_plain_http_too() {
    let lab = lab(None, 20.0).await;
    let port = lab.addresses().https.port();
    let authority = lab.web_authority().display().to_string();
    let ask = |url: String| {
        let (authority, to) = (authority.clone(), format!("::127.0.0.1:{port}"));
        async move {
            said(
                "curl",
                &[
                    "-sS",
                    "-w",
                    " %{http_code}",
                    "--max-time",
                    "5",
                    "--cacert",
                    &authority,
                    "--connect-to",
                    &to,
                    &url,
                ],
            )
            .await
        }
    };
    let secure = || ask(format!("https://api.yourdomain.com:{port}/health/ready"));
    let until = async |words: &str| {
        for _ in 0..100 {
            let (_, out) = secure().await;
            if out.contains(words) {
                return out;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        panic!("never: {words}");
    };
    until("ready\n 200").await;
    let (_, plain) = ask(format!("http://api.yourdomain.com:{port}/.well-known/acme-challenge/x")).await;
    assert!(plain.ends_with(" 404"), "{plain}");
    let kubeconfig = lab.kubeconfig().display().to_string();
    let kubectl = |words: &'static [&'static str]| {
        let mut all = vec!["--kubeconfig".to_owned(), kubeconfig.clone()];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        async move { said(&kubectl_name(), &all.iter().map(String::as_str).collect::<Vec<_>>()).await.1 }
    };
    kubectl(&["-n", "ingress-nginx", "scale", "deployment", "ingress-nginx-controller", "--replicas=0"])
        .await;
    let refused = until("(7)").await;
    assert!(!refused.contains("200"), "{refused}");
    kubectl(&["-n", "ingress-nginx", "scale", "deployment", "ingress-nginx-controller", "--replicas=2"])
        .await;
    until("ready\n 200").await;
    let issuers = kubectl(&["get", "clusterissuers,certificates", "-n", "covetpy-production"]).await;
    assert!(issuers.contains("letsencrypt-production") && issuers.contains("covetpy-tls"), "{issuers}");
    kubectl(&[
        "-n",
        "covetpy-production",
        "patch",
        "service",
        "covetpy-app",
        "-p",
        r#"{"spec":{"selector":{"app":"nobody"}}}"#,
    ])
    .await;
    until("503").await;
}

fn kubectl_name() -> String {
    std::env::var("COVET_KUBECTL").unwrap_or_else(|_| "kubectl".into())
}
