//! A real sshd on a free loopback port, with its own keys, and small programs put first in its PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use covet_tui::config::{Outside, Ssh};

/// Ended, and only it, when the test is over.
pub struct Sshd {
    child: Child,
    options: Vec<String>,
    pub folder: tempfile::TempDir,
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn sshd() -> PathBuf {
    let found = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("sshd is needed for this test: tests/run installs it"))
}

pub fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success(), "ssh-keygen");
}

fn launch(folder: &Path, port: u16, options: &[String]) -> Child {
    let mut command = Command::new(sshd());
    command.arg("-D").arg("-E").arg(folder.join("log")).args(["-f", "/dev/null", "-p", &port.to_string()]);
    command.arg("-h").arg(folder.join("host"));
    for option in options {
        command.args(["-o", option]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The processes that it started, and those that they started.
fn descendants(process: u32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = listed.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
    children.flat_map(|child| [vec![child], descendants(child.unsigned_abs())].concat()).collect()
}

impl Sshd {
    pub async fn start(options: &[&str]) -> Sshd {
        if rustix::process::geteuid().is_root() {
            // The place where sshd locks away what is not logged in yet.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host"));
        keygen(&at("key"));
        fs::copy(at("key.pub"), at("authorized_keys")).unwrap();
        fs::create_dir(at("bin")).unwrap();
        let path = format!("SetEnv=PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", at("bin").display());
        let keys = format!("AuthorizedKeysFile={}", at("authorized_keys").display());
        let usual = [
            "ListenAddress=127.0.0.1",
            "StrictModes=no",
            "PidFile=none",
            "UsePAM=no",
            "LogLevel=VERBOSE",
            "PermitRootLogin=yes",
            "PasswordAuthentication=no",
        ];
        // The first value counts: what a test asks for comes before what is usual.
        let options = options.iter().copied().chain([path.as_str(), keys.as_str()]).chain(usual);
        let options: Vec<String> = options.map(str::to_owned).collect();
        let port = free_port();
        let server = Sshd { child: launch(folder.path(), port, &options), options, folder, port };
        server.trust();
        server.until_it_listens().await;
        server
    }

    async fn until_it_listens(&self) {
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("sshd did not start: {}", self.log());
    }

    /// How many connections stand, as processes of the server.
    pub fn connections(&self) -> usize {
        descendants(self.child.id()).len()
    }

    /// The end of the server and of everybody's connections to it.
    pub fn crash(&mut self) {
        for connection in descendants(self.child.id()) {
            if let Some(pid) = rustix::process::Pid::from_raw(connection) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        self.stop();
    }

    /// The same server again, at the same port and with the same keys.
    pub async fn again(&mut self) {
        self.child = launch(self.folder.path(), self.port, &self.options);
        self.until_it_listens().await;
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Writes a config file for ssh, and the host key into its known hosts.
    fn trust(&self) {
        let key = fs::read_to_string(self.at("host.pub")).unwrap();
        fs::write(self.at("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        fs::write(self.at("config"), self.settings("")).unwrap();
    }

    /// ssh's settings: whatever the address of a node, it is this server.
    pub fn settings(&self, before: &str) -> String {
        format!(
            "{before}\nHost *\n  HostName 127.0.0.1\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
            self.at("key").display(),
            self.at("known_hosts").display()
        )
    }

    pub fn ssh(&self) -> Ssh {
        Ssh { port: Some(self.port), config: Some(self.at("config")), ..Ssh::default() }
    }

    pub fn outside(&self) -> Outside {
        Outside { ssh: Some(self.ssh()), ..Outside::default() }
    }

    /// Puts a small program first in the machine's PATH.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program that prints this.
    pub fn prints(&self, name: &str, output: &str) {
        let file = self.at(&format!("{name}.out"));
        fs::write(&file, output).unwrap();
        self.program(name, &format!("cat {}", file.display()));
    }

    /// Logged in as somebody who is not root, with a sudo that runs what it is given and writes it down.
    pub fn ordinary_user(&self) {
        self.program("id", "echo 1000");
        self.program(
            "sudo",
            &format!("shift; echo \"$*\" >> {}; exec \"$@\"", self.at("sudo.log").display()),
        );
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }
}
