//! `tls-probe` and `http-probe` against nginx with certificates of every kind, made by openssl.

use std::path::Path;
use std::sync::OnceLock;

use covet_tui::config::Outside;
use covet_tui::config::net::Dns;
use covet_tui::domain::NetworkProbe;
use covet_tui::probes::Probes;

use super::bench::{Started, ask, causes, named, nginx, probes, run, sh, told};

/// A root, an intermediate, and leaves: `NAME.crt` holds the chain as it is to be served.
pub fn certificates(folder: &Path) {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = tempfile::tempdir().unwrap();
        sh(made.path(), SCRIPT);
        made
    });
    for file in std::fs::read_dir(made.path()).unwrap().flatten().filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
}

const SCRIPT: &str = r#"
mkdir db; touch db/index.txt; echo 1000 > db/serial
cat > ca.cnf <<'CNF'
[ca]
default_ca = it
[it]
new_certs_dir = db
database = db/index.txt
serial = db/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
email_in_dn = no
rand_serial = yes
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
CNF
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
key root; openssl req -x509 -new -key root.key -subj "/CN=House Root" -days 3650 -out root.crt -addext keyUsage=critical,keyCertSign
key mid; openssl req -new -key mid.key -subj "/CN=House Intermediate" -out mid.csr
openssl ca -batch -notext -config ca.cnf -extensions authority -cert root.crt -keyfile root.key -in mid.csr -out mid.crt -days 3650 2>/dev/null
at() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
leaf() { # file, host, from, until
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -out "$1.csr"
  openssl ca -batch -notext -config ca.cnf -extensions leaf -cert mid.crt -keyfile mid.key -in "$1.csr" -out "$1.leaf" \
    -startdate "$(at "$3")" -enddate "$(at "$4")" 2>/dev/null
  cat "$1.leaf" mid.crt > "$1.crt"
}
leaf good good.example "10 days ago" "80 days"
leaf soon soon.example "85 days ago" "5 days"
leaf short short.example "2 days ago" "4 days"
leaf expired expired.example "100 days ago" "3 hours ago"
leaf wrong other.example "10 days ago" "80 days"
leaf chainless chainless.example "10 days ago" "80 days"; cp chainless.leaf chainless.crt
key self; openssl req -x509 -new -key self.key -subj "/CN=self.example" -days 90 -out self.crt -addext "subjectAltName=DNS:self.example"
key fake; openssl req -x509 -new -key fake.key -subj "/O=Acme Co/CN=Kubernetes Ingress Controller Fake Certificate" -days 900 -out fake.crt -addext "subjectAltName=DNS:ingress.local"
"#;

const HOSTS: [&str; 8] = ["good", "soon", "short", "expired", "wrong", "chainless", "self", "fake"];

pub struct Bench {
    pub nginx: Started,
    pub _zone: Started,
    pub probes: Probes,
}

pub async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let mut servers = String::new();
    for name in HOSTS {
        servers.push_str(&format!(
            "server {{ listen 127.0.0.1:PORT ssl; server_name {name}.example; ssl_certificate {name}.crt; \
             ssl_certificate_key {name}.key; location = /gone {{ return 503; }} location = /moved {{ return 302 /login; }} \
             location / {{ return 200 ok; }} }}\n"
        ));
    }
    let root = folder.path().join("root.crt");
    let nginx = nginx(folder, &servers);
    let names: Vec<String> = HOSTS.iter().map(|name| format!("{name} IN A 127.0.0.1")).collect();
    let zone = named(&[("example", &names.join("\n"))]);
    let dns = Dns { system: vec![zone.at()], ..Dns::default() };
    let probes = probes(Outside { dns, tls_authority: Some(root), ..Outside::default() }).await;
    Bench { nginx, _zone: zone, probes }
}

impl Bench {
    fn tls(&self, name: &str) -> NetworkProbe {
        let host = format!("{name}.example:{}", self.nginx.port);
        NetworkProbe::TlsProbe { host, connect_to: None, namespace: None, certificate: None, secret: None }
    }

    fn http(&self, name: &str, path: &str, connect_to: Option<&str>) -> NetworkProbe {
        let url = match connect_to {
            Some(_) => format!("https://{name}.example{path}"),
            None => format!("https://{name}.example:{}{path}", self.nginx.port),
        };
        NetworkProbe::HttpProbe { url, times: 2, connect_to: connect_to.map(str::to_owned) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_certificate_is_told_by_its_trouble() {
    let bench = bench().await;
    for (name, ok, cause, words) in [
        ("good", true, None, "80 d|79d|80d left"),
        ("soon", false, None, "only 4d23h left"),
        // A short life is measured by its own length.
        ("short", true, None, "3d left"),
        ("expired", false, Some("expired"), "expired 3h ago"),
        ("wrong", false, Some("name-mismatch"), "not for wrong.example: it names other.example"),
        ("chainless", false, Some("untrusted"), "the chain may be incomplete"),
        ("self", false, Some("untrusted"), "self-signed"),
        ("fake", false, Some("default-certificate"), "the controller's placeholder"),
    ] {
        let reading = ask(&bench.probes, bench.tls(name)).await;
        let all = told(&reading);
        assert_eq!(reading.ok, ok, "{name}: {all}");
        assert_eq!(causes(&reading), cause.into_iter().collect::<Vec<_>>(), "{name}: {all}");
        assert!(words.split('|').any(|words| all.contains(words)), "{name}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serial_dates_and_names_are_those_that_openssl_sees() {
    let bench = bench().await;
    let reading = ask(&bench.probes, bench.tls("good")).await;
    let file = bench.nginx.folder.path().join("good.leaf").display().to_string();
    let judged =
        run("openssl", &["x509", "-in", &file, "-noout", "-serial", "-enddate", "-dateopt", "iso_8601"]);
    let serial = judged.lines().find_map(|line| line.strip_prefix("serial=")).unwrap().to_lowercase();
    assert_eq!(reading.bindings["served_serial"].trim_start_matches('0'), serial.trim_start_matches('0'));
    let until = judged.lines().find_map(|line| line.strip_prefix("notAfter=")).unwrap();
    assert!(told(&reading).contains(&until[..16]), "{judged}\n{}", told(&reading));
    assert!(
        told(&reading).contains("names good.example") && told(&reading).contains("by House Intermediate")
    );
}

/// An API server that knows one Secret, and lets it be read or not.
async fn secret_of(status: &'static str, certificate: &Path) -> kube::Client {
    use base64::Engine;
    let pem = std::fs::read(certificate).unwrap();
    let data = base64::engine::general_purpose::STANDARD.encode(pem);
    let body = match status {
        "200 OK" => format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"kiosk-tls","namespace":"kiosk"}},"data":{{"tls.crt":"{data}","tls.key":"bm90IHNob3du"}}}}"#
        ),
        _ => r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"secrets is forbidden","code":403}"#.to_owned(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or_default();
            let is_it = String::from_utf8_lossy(&asked[..read]).contains("/secrets/kiosk-tls ");
            let (status, body) = if is_it { (status, body.as_str()) } else { ("404 Not Found", "{}") };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let mut config = kube::Config::new(format!("http://127.0.0.1:{port}").parse().unwrap());
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_holds_a_newer_certificate_than_is_served_was_not_loaded() {
    let bench = bench().await;
    let folder = bench.nginx.folder.path();
    let dns = Dns { system: vec![bench._zone.at()], ..Dns::default() };
    let outside = Outside { dns, tls_authority: Some(folder.join("root.crt")), ..Outside::default() };
    let secret = || Some(covet_tui::domain::Key::new("kiosk", "kiosk-tls"));
    for (status, kept, served, stale) in [
        ("200 OK", "good.crt", "expired", true),
        ("200 OK", "good.crt", "soon", true),
        ("200 OK", "expired.crt", "expired", false),
        ("403 Forbidden", "good.crt", "expired", false),
    ] {
        let client = secret_of(status, &folder.join(kept)).await;
        let probes = Probes::new(client, covet_tui::domain::Timestamp::now, outside.clone());
        let host = format!("{served}.example:{}", bench.nginx.port);
        let probe = NetworkProbe::TlsProbe {
            host,
            connect_to: None,
            namespace: None,
            certificate: None,
            secret: secret(),
        };
        let reading = ask(&probes, probe).await;
        let all = told(&reading);
        assert_eq!(causes(&reading).contains(&"served-stale"), stale, "{status} {served}: {all}");
        assert_eq!(all.contains("older than the one in the Secret kiosk-tls (serial "), stale, "{all}");
        assert_eq!(all.contains("Secret kiosk-tls: "), status != "200 OK", "{all}");
        assert!(!all.contains("bm90IHNob3du") && !all.contains("not shown"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_tls_and_a_port_without_anybody_are_told_apart() {
    let bench = bench().await;
    let plain = nginx(tempfile::tempdir().unwrap(), "server { listen 127.0.0.1:PORT; return 200 ok; }");
    let host = |port: u16| NetworkProbe::TlsProbe {
        host: format!("good.example:{port}"),
        connect_to: None,
        namespace: None,
        certificate: None,
        secret: None,
    };
    let reading = ask(&bench.probes, host(plain.port)).await;
    assert_eq!(causes(&reading), ["handshake-failed"]);
    assert!(reading.summary.contains("handshake failed"), "{}", reading.summary);
    let reading = ask(&bench.probes, host(super::bench::free_port())).await;
    assert!(reading.summary.to_lowercase().contains("connection refused"), "{}", reading.summary);
    let missing = NetworkProbe::TlsProbe {
        host: "gone.example".into(),
        connect_to: None,
        namespace: None,
        certificate: None,
        secret: None,
    };
    let reading = ask(&bench.probes, missing).await;
    assert!(!reading.ok && reading.summary.contains("NXDOMAIN"), "{}", reading.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_asked_where_dns_leads_or_at_the_load_balancer_with_the_time_of_each_layer() {
    let bench = bench().await;
    let reading = ask(&bench.probes, bench.http("good", "/", None)).await;
    assert!(reading.ok, "{}", told(&reading));
    for layer in ["dns ", "tcp ", "tls ", "first byte "] {
        assert!(told(&reading).contains(layer), "{}", told(&reading));
    }
    assert_eq!(reading.bindings["http_good"], "2");
    let to = format!("127.0.0.1:{}", bench.nginx.port);
    let reading = ask(&bench.probes, bench.http("good", "/", Some(&to))).await;
    assert!(reading.ok && !told(&reading).contains("dns "), "{}", told(&reading));
    // By the same Host and SNI, not by the address: another certificate would be served.
    let reading = ask(&bench.probes, bench.http("expired", "/", Some(&to))).await;
    assert!(!reading.ok && told(&reading).contains("TLS fails"), "{}", told(&reading));
    let reading = ask(&bench.probes, bench.http("good", "/gone", Some(&to))).await;
    assert!(!reading.ok && reading.summary.contains("503"), "{}", reading.summary);
    let reading = ask(&bench.probes, bench.http("good", "/moved", None)).await;
    assert!(!reading.ok && reading.summary.contains("302"), "a redirect to a login is not health");
    let nobody = format!("127.0.0.1:{}", super::bench::free_port());
    let reading = ask(&bench.probes, bench.http("good", "/", Some(&nobody))).await;
    assert_eq!(causes(&reading), ["balancer-unreachable"]);
    assert!(reading.summary.contains("TCP fails"), "{}", reading.summary);
}
