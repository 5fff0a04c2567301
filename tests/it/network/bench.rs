//! Real servers on free ports, each ended with its test; and probes that need no cluster.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, NetworkProbe, Reading, Timestamp, Tone};
use covet_tui::probes::Probes;

/// A server of a test: ended, and only it, when the test is over.
pub struct Started {
    child: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Started {
    pub fn at(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

/// Free for TCP and UDP.
pub fn free_port() -> u16 {
    for _ in 0..50 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// The program, on PATH or where Debian puts those of the administrator.
pub fn program(name: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let folders = on_path.into_iter().flatten().chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is needed for this test: tests/run installs it"))
}

/// Runs a tool to its end and returns what it printed.
pub fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(program(name)).args(arguments).stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} {arguments:?}: {err}{out}");
    out.into_owned()
}

pub fn sh(folder: &Path, script: &str) {
    let output = Command::new("sh").arg("-ec").arg(script).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a server and waits until it takes connections.
pub fn start(name: &str, arguments: &[&str], port: u16, folder: tempfile::TempDir) -> Started {
    start_with(name, arguments, &[], port, folder)
}

pub fn start_with(
    name: &str,
    arguments: &[&str],
    env: &[(&str, &str)],
    port: u16,
    folder: tempfile::TempDir,
) -> Started {
    let log = fs::File::create(folder.path().join("server.log")).unwrap();
    let child = Command::new(program(name))
        .args(arguments)
        .envs(env.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut started = Started { child, port, folder };
    for _ in 0..150 {
        if TcpStream::connect(started.at()).is_ok() {
            return started;
        }
        if started.child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = fs::read_to_string(started.folder.path().join("server.log")).unwrap_or_default();
    panic!("{name} did not start: {log}");
}

/// BIND, authoritative for these zones: origin and records.
pub fn named(zones: &[(&str, &str)]) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let place = folder.path().display();
    let mut conf = format!(
        "options {{ directory \"{place}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file \"{place}/pid\"; session-keyfile \"{place}/key\"; recursion no; allow-query {{ any; }}; \
         dnssec-validation no; minimal-responses yes; }};\ncontrols {{}};\n"
    );
    for (origin, records) in zones {
        conf.push_str(&format!("zone \"{origin}\" {{ type primary; file \"{origin}.zone\"; }};\n"));
        let zone = format!(
            "$TTL 300\n@ IN SOA ns1.{origin}. admin.{origin}. 1 3600 600 86400 60\n@ IN NS ns1.{origin}.\n\
             ns1 IN A 127.0.0.1\n{records}\n"
        );
        fs::write(folder.path().join(format!("{origin}.zone")), zone).unwrap();
    }
    let file = folder.path().join("named.conf");
    fs::write(&file, conf).unwrap();
    let file = file.display().to_string();
    start("named", &["-g", "-n", "1", "-c", &file], port, folder)
}

/// dnsmasq: a resolver that knows what it is told, and asks another about the rest.
pub fn dnsmasq(settings: &[&str]) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let number = format!("--port={port}");
    let user = format!("--user={}", run("id", &["-un"]).trim());
    let pid = format!("--pid-file={}", folder.path().join("pid").display());
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--log-facility=-",
        &number,
        &user,
        &pid,
    ];
    arguments.extend(settings);
    start("dnsmasq", &arguments, port, folder)
}

/// nginx with these contents of its `http` block; `PORT` stands for its port.
pub fn nginx(folder: tempfile::TempDir, servers: &str) -> Started {
    let port = free_port();
    let place = folder.path().display().to_string();
    let servers = servers.replace("PORT", &port.to_string());
    let conf = format!(
        "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr;\nevents {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c; \
         uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n{servers}\n}}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, conf).unwrap();
    let file = file.display().to_string();
    start("nginx", &["-e", "stderr", "-p", &place, "-c", &file], port, folder)
}

/// Probes whose cluster is nowhere.
pub async fn probes(outside: Outside) -> Probes {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    Probes::new(client, Timestamp::now, outside).within(Duration::from_secs(2))
}

pub async fn ask(probes: &Probes, probe: NetworkProbe) -> Reading {
    let reading = probes.read(&Action::Network(probe), Timestamp::now()).await;
    println!("{}", told(&reading));
    reading
}

/// All that a person sees of a reading.
pub fn told(reading: &Reading) -> String {
    let mark = |tone: Tone| match tone {
        Tone::Bad => "! ",
        Tone::Good => "✓ ",
        _ => "  ",
    };
    let lines = reading.lines.iter().map(|(tone, line)| format!("{}{line}", mark(*tone)));
    format!("{}\n{}", reading.summary, lines.collect::<Vec<_>>().join("\n"))
}

pub fn causes(reading: &Reading) -> Vec<&str> {
    reading.found.iter().map(|found| found.cause.as_str()).collect()
}
