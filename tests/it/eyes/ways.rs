//! Kubeconfigs as they are in the wild: other server names, proxies, no authority, certificates that are too old.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// The lab's kubeconfig with one piece of its cluster changed.
fn changed(lab: &Lab, folder: &Path, change: impl Fn(String) -> String) -> PathBuf {
    let text = std::fs::read_to_string(lab.kubeconfig()).unwrap();
    let path = folder.join("kubeconfig");
    let changed = change(text.clone());
    assert_ne!(changed, text);
    std::fs::write(&path, changed).unwrap();
    path
}

fn settings_at(kubeconfig: &Path) -> Settings {
    let path = kubeconfig.display().to_string();
    config::load(&Flags::default(), &|name| (name == "KUBECONFIG").then(|| path.clone()), None).unwrap()
}

async fn version(settings: &Settings) -> Result<String, String> {
    let client = config::client(settings).await.map_err(|error| error.why)?;
    let request = http::Request::get("/version").body(Vec::new()).unwrap();
    client.request_text(request).await.map_err(|error| covet_tui::config::connect::whole(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_name_may_be_another_and_a_wrong_one_is_explained() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| {
        let line = format!("    tls-server-name: {name}\ncontexts:");
        changed(&lab, folder.path(), |text| text.replacen("contexts:", &line, 1))
    };
    assert!(version(&settings_at(&named("localhost"))).await.is_ok());
    let mut watcher = Watcher::open(&settings_at(&named("api.other.example"))).await;
    watcher.until("refused", |snapshot| blind(snapshot, Origin::ApiServer).is_some()).await;
    let found = watcher.blind(Origin::ApiServer).unwrap();
    assert!(found.why.contains("certificate not valid for name"), "{}", found.why);
    assert!(found.repair.unwrap().contains("tls-server-name"));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused_unless_the_kubeconfig_says_otherwise() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let without = |instead: &str| {
        changed(&lab, folder.path(), |text| {
            let lines = text
                .lines()
                .map(|line| if line.contains("certificate-authority-data") { instead } else { line });
            lines.collect::<Vec<_>>().join("\n")
        })
    };
    let refused = version(&settings_at(&without("    disable-compression: true"))).await.unwrap_err();
    assert!(refused.to_lowercase().contains("unknownissuer"), "{refused}");
    assert!(version(&settings_at(&without("    insecure-skip-tls-verify: true"))).await.is_ok());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_kubeconfig_is_used_and_a_broken_one_is_named() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = tunnels.clone();
    let keeper = tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move { tunnel(near, &counted).await });
        }
    });
    let through = |proxy: &str| {
        let line = format!("    proxy-url: {proxy}\ncontexts:");
        changed(&lab, folder.path(), |text| text.replacen("contexts:", &line, 1))
    };
    assert!(version(&settings_at(&through(&format!("http://{proxy}")))).await.is_ok());
    assert!(tunnels.load(Ordering::SeqCst) > 0, "nothing went through the proxy");
    let broken = config::client(&settings_at(&through("'http://pro xy:1'"))).await;
    let Err(error) = broken else { panic!("a proxy that is no URL") };
    assert!(error.why.contains("proxy") && error.repair.is_some(), "{error:?}");
    keeper.abort();
    lab.stop().await;
}

/// One `CONNECT`.
async fn tunnel(near: TcpStream, counted: &AtomicUsize) -> Option<()> {
    let mut near = BufReader::new(near);
    let mut first = String::new();
    near.read_line(&mut first).await.ok()?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    loop {
        let mut line = String::new();
        near.read_line(&mut line).await.ok()?;
        if line.trim().is_empty() {
            break;
        }
    }
    let mut far = TcpStream::connect(target).await.ok()?;
    counted.fetch_add(1, Ordering::SeqCst);
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    let early = near.buffer().to_vec();
    far.write_all(&early).await.ok()?;
    let mut near = near.into_inner();
    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok()?;
    let _ = far.read(&mut [0; 1]).await;
    Some(())
}

#[test]
fn a_client_certificate_that_is_too_old_is_recognised() {
    use base64::Engine;
    let mut parameters = rcgen::CertificateParams::new(vec!["ann".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let data = base64::prelude::BASE64_STANDARD.encode(certificate);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
         users: [{{name: u, user: {{client-certificate-data: {data}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let settings = settings_at(&path);
    let expired = |now: &str| config::connect::expired_certificate(&settings, now.parse().unwrap());
    assert_eq!(expired("2024-06-01T00:00:00Z"), None);
    assert_eq!(expired("2025-01-04T00:00:00Z").unwrap().to_string(), "2025-01-01T00:00:00Z");
}
