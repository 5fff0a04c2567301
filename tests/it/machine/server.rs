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
    pub folder: tempfile::TempDir,
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let port = free_port();
        let mut command = Command::new(sshd());
        command.args(["-D", "-E"]).arg(at("log")).args(["-f", "/dev/null", "-p", &port.to_string(), "-h"]);
        command.arg(at("host"));
        let path = format!("SetEnv=PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", at("bin").display());
        let keys = format!("AuthorizedKeysFile={}", at("authorized_keys").display());
        let usual = [
            "ListenAddress=127.0.0.1",
            "StrictModes=no",
            "PidFile=none",
            "UsePAM=no",
            "LogLevel=VERBOSE",
            "PermitRootLogin=yes",
        ];
        // The first value counts: what a test asks for comes before what is usual.
        for option in options
            .iter()
            .copied()
            .chain([path.as_str(), keys.as_str()])
            .chain(usual)
            .chain(["PasswordAuthentication=no"])
        {
            command.args(["-o", option]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Sshd { child, folder, port };
        server.trust();
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("sshd did not start: {}", server.log());
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
