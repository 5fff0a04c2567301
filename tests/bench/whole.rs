//! The whole program against the lab at scale, beside curl: first frame, rows, memory, CPU, keys.
//! It measures and prints; it never fails on a figure. `cargo bench --bench whole -- [PODS] [NODES] [CHURN]`

#![allow(clippy::print_stdout, clippy::allow_attributes, reason = "a measurement is printed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const BINARY: &str = env!("CARGO_BIN_EXE_covet-tui");

fn main() {
    let numbers: Vec<f64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let pods = numbers.first().map_or(10_000, |n| *n as usize);
    let nodes = numbers.get(1).map_or(500, |n| *n as usize);
    let churn = numbers.get(2).copied().unwrap_or(50.0);
    let folder = tempfile::tempdir().expect("a temporary folder");

    println!("{pods} pods on {nodes} nodes");
    let lab = Lab::start(folder.path(), pods, nodes, 0.0);
    let curl = lab.curl();
    println!("  curl --compressed, the same list     {:>8.0} ms", ms(curl));
    let cockpit = Cockpit::start(&lab, folder.path(), pods);
    println!("  first frame after exec               {:>8.0} ms", ms(cockpit.first_frame));
    println!("  first rows                           {:>8.0} ms", ms(cockpit.first_rows));
    println!(
        "  all rows                             {:>8.0} ms   {:.2} x curl",
        ms(cockpit.all_rows),
        cockpit.all_rows.as_secs_f64() / curl.as_secs_f64()
    );
    println!("  resident memory                      {:>8.0} MB", cockpit.memory_mb());
    println!("  CPU, idle cluster, 20 s              {:>8.1} % of a core", cockpit.cpu_percent(20));
    drop(cockpit);
    drop(lab);

    let lab = Lab::start(folder.path(), pods, nodes, churn);
    let mut cockpit = Cockpit::start(&lab, folder.path(), pods);
    println!("with {churn} pod updates a second");
    println!("  CPU, 20 s                            {:>8.1} % of a core", cockpit.cpu_percent(20));
    let keys = cockpit.keys(200);
    println!("  key to painted frame, median         {:>8.1} ms", ms(keys[keys.len() / 2]));
    println!("  key to painted frame, p99            {:>8.1} ms", ms(keys[keys.len() * 99 / 100]));
    println!("  resident memory                      {:>8.0} MB", cockpit.memory_mb());
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

struct Lab {
    child: Child,
    kubeconfig: PathBuf,
    /// What the lab says to set, so that every panel has its source.
    settings: Vec<(String, String)>,
}

impl Lab {
    fn start(folder: &Path, pods: usize, nodes: usize, churn: f64) -> Self {
        let kubeconfig = folder.join("kubeconfig");
        let mut child = Command::new(BINARY)
            .args(["lab", "--pods", &pods.to_string(), "--nodes", &nodes.to_string()])
            .args(["--churn", &churn.to_string(), "--kubeconfig-out"])
            .arg(&kubeconfig)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the lab starts");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let lines = out.lines().map_while(Result::ok);
        // It prints them once everything listens, and then how to end it.
        let exports = lines.map_while(|line| Some(line.strip_prefix("export ")?.to_owned()));
        let settings = exports.filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        let settings = settings.collect();
        Self { child, kubeconfig, settings }
    }

    fn value(&self, key: &str) -> String {
        let text = std::fs::read_to_string(&self.kubeconfig).expect("a kubeconfig");
        let line = text.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().trim_matches('"').to_owned()).unwrap_or_default()
    }

    /// The best of three.
    fn curl(&self) -> Duration {
        let url = format!("{}/api/v1/pods", self.value("server"));
        let bearer = format!("Authorization: Bearer {}", self.value("token"));
        (0..3)
            .map(|_| {
                let start = Instant::now();
                let ended = Command::new("curl")
                    .args([
                        "-sk",
                        "--compressed",
                        "-A",
                        "covet-tui-bench",
                        "-o",
                        "/dev/null",
                        "-H",
                        &bearer,
                        &url,
                    ])
                    .status()
                    .expect("curl runs");
                assert!(ended.success(), "curl could not list the pods");
                start.elapsed()
            })
            .min()
            .unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Cockpit {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn std::io::Write + Send>,
    painted: Receiver<Instant>,
    first_frame: Duration,
    first_rows: Duration,
    all_rows: Duration,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Cockpit {
    fn start(lab: &Lab, folder: &Path, pods: usize) -> Self {
        let size = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(BINARY);
        command.args(["-A", "--kubeconfig"]);
        command.arg(&lab.kubeconfig);
        for (name, value) in lab.settings.iter().filter(|(name, _)| name != "KUBECONFIG") {
            command.env(name, value);
        }
        command.env("XDG_STATE_HOME", folder);
        command.env("XDG_CONFIG_HOME", folder);
        command.env("TERM", "xterm-256color");
        let start = Instant::now();
        let child = pty.slave.spawn_command(command).expect("the cockpit starts");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("its output");
        let writer = pty.master.take_writer().expect("its input");
        let (screens, screen) = channel();
        let (paints, painted) = channel();
        std::thread::spawn(move || {
            let mut parser = vt100::Parser::new(
                std::num::NonZeroU16::new(50).expect("rows"),
                std::num::NonZeroU16::new(200).expect("columns"),
                0,
            );
            let mut bytes = vec![0; 65536];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                parser.process(&bytes[..count]);
                let _ = paints.send(Instant::now());
                let _ = screens.send((Instant::now(), parser.screen().contents()));
            }
        });
        let mut seen = [None::<Duration>; 3];
        while seen[2].is_none() && start.elapsed() < Duration::from_mins(2) {
            let Ok((at, text)) = screen.recv_timeout(Duration::from_mins(1)) else { break };
            let count = count_of_pods(&text);
            for (slot, reached) in [!text.trim().is_empty(), count > 0, count >= pods].into_iter().enumerate()
            {
                if reached && seen[slot].is_none() {
                    seen[slot] = Some(at - start);
                }
            }
        }
        let [first_frame, first_rows, all_rows] = seen.map(Option::unwrap_or_default);
        Self { child, writer, painted, first_frame, first_rows, all_rows, _master: pty.master }
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or_default()
    }

    fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }

    fn cpu_ticks(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        ticks(11) + ticks(12)
    }

    fn cpu_percent(&self, seconds: u64) -> f64 {
        std::thread::sleep(Duration::from_secs(3));
        let before = self.cpu_ticks();
        std::thread::sleep(Duration::from_secs(seconds));
        // A tick is a hundredth of a second on Linux.
        (self.cpu_ticks() - before) / seconds as f64
    }

    /// From writing a key to the next paint, sorted.
    fn keys(&mut self, count: usize) -> Vec<Duration> {
        let mut taken = Vec::with_capacity(count);
        for number in 0..count {
            std::thread::sleep(Duration::from_millis(37));
            while self.painted.try_recv().is_ok() {}
            let pressed = Instant::now();
            let key = if number % 2 == 0 { b"\t" } else { b"j" };
            if self.writer.write_all(key).and_then(|()| self.writer.flush()).is_err() {
                break;
            }
            if let Ok(at) = self.painted.recv_timeout(Duration::from_secs(2)) {
                taken.push(at - pressed);
            }
        }
        taken.sort();
        if taken.is_empty() { vec![Duration::ZERO] } else { taken }
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The largest number before the word "ready": the Pods panel counts them so.
fn count_of_pods(screen: &str) -> usize {
    let words: Vec<&str> = screen.split_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| pair[1] == "ready")
        .filter_map(|pair| pair[0].parse().ok())
        .max()
        .unwrap_or(0)
}
