//! `registry-probe` and `registry-up` against a real registry with passwords, judged by curl; and against nginx
//! where the registry would have to be limited or broken.

use covet_tui::config::Outside;
use covet_tui::domain::{NetworkProbe, Reading};
use covet_tui::probes::Probes;

use super::bench::{Started, ask, causes, free_port, nginx, probes, run, sh, start_with, told};

/// The registry of Debian, asking for a password or not.
fn registry(login: Option<(&str, &str)>) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let place = folder.path().display().to_string();
    let mut conf = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\n\
         http: {{addr: 127.0.0.1:{port}}}\n"
    );
    if let Some((user, password)) = login {
        let line = run("htpasswd", &["-nbB", user, password]);
        std::fs::write(folder.path().join("htpasswd"), line).unwrap();
        conf.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {place}/htpasswd}}}}\n"));
    }
    let file = folder.path().join("config.yml");
    std::fs::write(&file, conf).unwrap();
    let file = file.display().to_string();
    start_with("docker-registry", &["serve", &file], &[("OTEL_TRACES_EXPORTER", "none")], port, folder)
}

/// Pushes an image of one architecture, and an index of two; by curl, as a client of its own.
fn push(registry: &Started, login: &str) {
    let script = r#"
base=http://127.0.0.1:PORT/v2/org/app
auth="LOGIN"
curl() { command curl -sSf $auth "$@"; }
blob() { digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)
  place=$(curl -X POST -D - -o /dev/null $base/blobs/uploads/ | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  case "$place" in http*) ;; *) place=http://127.0.0.1:PORT$place;; esac
  curl -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$1" "$place&digest=$digest"; }
size() { wc -c < "$1" | tr -d ' '; }
image() { # tag, architecture
  printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}' "$2" > config
  blob config
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[]}' "$digest" "$(size config)" > manifest
  curl -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @manifest $base/manifests/$1 -o /dev/null
  of=sha256:$(sha256sum manifest | cut -d' ' -f1); bytes=$(size manifest); }
image v1 amd64; one=$of; one_size=$bytes
image v2 arm64; two=$of; two_size=$bytes
entry() { printf '{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"platform":{"os":"linux","architecture":"%s"}}' "$1" "$2" "$3"; }
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s]}' "$(entry $one $one_size amd64)" "$(entry $two $two_size arm64)" > index
curl -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @index $base/manifests/both -o /dev/null
printf %s "$one" > digest.v1
"#;
    let script = script.replace("PORT", &registry.port.to_string()).replace("LOGIN", login);
    sh(registry.folder.path(), &script);
}

async fn at(probes: &Probes, image: &str) -> Reading {
    ask(probes, NetworkProbe::RegistryProbe { image: image.into(), pod: None }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_registry_says_what_is_there_by_tag_and_digest_and_for_which_platforms() {
    let registry = registry(None);
    push(&registry, "");
    let probes = probes(Outside::default()).await;
    let host = format!("127.0.0.1:{}", registry.port);
    let up = ask(&probes, NetworkProbe::RegistryUp { registry: host.clone() }).await;
    assert!(up.ok && up.summary.contains("is up to anybody (200)"), "{}", up.summary);
    let digest = std::fs::read_to_string(registry.folder.path().join("digest.v1")).unwrap();
    let reading = at(&probes, &format!("{host}/org/app:v1")).await;
    assert!(reading.ok, "{}", told(&reading));
    assert_eq!(reading.bindings["image_digest"], digest);
    assert_eq!(reading.bindings["image_by_digest"], format!("{host}/org/app@{digest}"));
    assert!(told(&reading).contains("platforms     linux/amd64"), "{}", told(&reading));
    let reading = at(&probes, &format!("{host}/org/app@{digest}")).await;
    assert!(reading.ok, "by digest: {}", told(&reading));
    let reading = at(&probes, &format!("{host}/org/app:both")).await;
    assert!(told(&reading).contains("linux/amd64, linux/arm64"), "{}", told(&reading));
    for absent in [format!("{host}/org/app:v9"), format!("{host}/org/other:v1")] {
        let reading = at(&probes, &absent).await;
        assert!(!reading.ok);
        assert_eq!(causes(&reading), ["image-not-found"], "{}", told(&reading));
    }
    let reading = at(&probes, &format!("{host}/Org/App:v1")).await;
    assert_eq!(causes(&reading), ["bad-image-reference"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_a_login_is_up_and_refuses() {
    let registry = registry(Some(("robot", "hunter22")));
    push(&registry, "-u robot:hunter22");
    let probes = probes(Outside::default()).await;
    let host = format!("127.0.0.1:{}", registry.port);
    let judged = run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", &format!("http://{host}/v2/")]);
    assert_eq!(judged, "401");
    let up = ask(&probes, NetworkProbe::RegistryUp { registry: host.clone() }).await;
    assert!(up.ok && up.summary.contains("asks for a login (401)"), "{}", up.summary);
    let reading = at(&probes, &format!("{host}/org/app:v1")).await;
    assert!(!reading.ok);
    assert_eq!(causes(&reading), ["image-auth"]);
    assert!(reading.summary.contains("looks the same"), "denied may hide not found: {}", reading.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_a_broken_and_an_absent_registry_are_told_apart() {
    let limited = "add_header ratelimit-limit '100;w=21600' always; add_header ratelimit-remaining '0;w=21600' always; \
                   add_header Retry-After 120 always; \
                   location / { default_type application/json; return 429 '{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"pull rate limit\"}]}'; }";
    let server = |inside: &str| {
        nginx(tempfile::tempdir().unwrap(), &format!("server {{ listen 127.0.0.1:PORT; {inside} }}"))
    };
    let (limited, broken) = (server(limited), server("location / { return 502; }"));
    let endpoint =
        |host: &str, server: &Started| (host.to_owned(), format!("http://127.0.0.1:{}", server.port));
    // Asked elsewhere than at its own host, as the settings say.
    let registries = vec![endpoint("docker.io", &limited), endpoint("quay.io", &broken)];
    let probes = probes(Outside { registries, ..Outside::default() }).await;
    let reading = at(&probes, "nginx:1.29").await;
    assert_eq!(causes(&reading), ["image-rate-limit"], "{}", told(&reading));
    let all = told(&reading);
    assert!(all.contains("0 of 100 in 6h") && reading.summary.contains("retry after 120"), "{all}");
    let reading = at(&probes, "quay.io/org/app:v1").await;
    assert_eq!(causes(&reading), ["registry-down"], "{}", told(&reading));
    let up = ask(&probes, NetworkProbe::RegistryUp { registry: "quay.io".into() }).await;
    assert!(!up.ok && up.summary.contains("502"), "{}", up.summary);
    let gone = format!("127.0.0.1:{}/org/app:v1", free_port());
    let reading = at(&probes, &gone).await;
    assert_eq!(causes(&reading), ["registry-down"]);
    assert!(reading.summary.contains("cannot be reached from here"), "{}", reading.summary);
    // A name that only the cluster knows, as of a registry in its own network.
    let reading = at(&probes, "registry.invalid/org/app:v1").await;
    assert!(reading.unseen && causes(&reading).is_empty(), "{}", told(&reading));
    assert!(reading.summary.contains("its name is not known here"), "{}", reading.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_where_the_registry_says_and_used() {
    // nginx plays the token dance: without a bearer 401 and where to get one, with the right one the manifest.
    let servers = r#"
map $http_authorization $door { default closed; "Bearer the-token" open; }
server { listen 127.0.0.1:PORT;
  location = /token { default_type application/json;
    if ($arg_scope != "repository%3Aorg%2Fapp%3Apull") { return 400 '{"why":"$arg_scope"}'; }
    return 200 '{"access_token":"the-token"}'; }
  location / { default_type application/json;
    add_header WWW-Authenticate 'Bearer realm="http://127.0.0.1:PORT/token",service="registry.test",scope="repository:org/app:pull"' always;
    add_header Docker-Content-Digest sha256:0a1b always;
    if ($door = closed) { return 401 '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'; }
    return 200 '{"manifests":[{"platform":{"os":"linux","architecture":"amd64"}}]}'; } }"#;
    let server = nginx(tempfile::tempdir().unwrap(), servers);
    let registries = vec![("ghcr.io".to_owned(), format!("http://127.0.0.1:{}", server.port))];
    let probes = probes(Outside { registries, ..Outside::default() }).await;
    let reading = at(&probes, "ghcr.io/org/app:v1").await;
    assert!(reading.ok, "{}", told(&reading));
    assert_eq!(reading.bindings["image_digest"], "sha256:0a1b");
    assert!(!told(&reading).contains("the-token"), "a token is never shown");
}
