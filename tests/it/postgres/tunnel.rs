//! A database behind a machine that lets us through by SSH: a real sshd and a real PostgreSQL.

use std::fs;
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside, Settings};
use covet_tui::domain::{Blind, BlindKind, Origin, Pick, Reading, Snapshot, Sql, Which};
use covet_tui::eyes::{Eyes, doctor};
use covet_tui::journal::Ending;
use tokio::sync::mpsc;

use super::server::{Bench, Server, free_port, now, nowhere, server};
use super::ways::certificate;
use crate::machine::server::{Sshd, keygen};

/// Settings of a database at `url`, through this machine.
fn settings(machine: &Sshd, url: &str) -> Settings {
    let (via, config) = (format!("ssh:bastion:{}", machine.port), machine.at("config").display().to_string());
    let env = |name: &str| match name {
        "KUBECONFIG" => Some("/nowhere/kubeconfig".to_owned()),
        "DATABASE_URL" => Some(url.to_owned()),
        "COVET_DATABASE_VIA" => Some(via.clone()),
        "COVET_SSH_CONFIG" => Some(config.clone()),
        _ => None,
    };
    config::load(&Flags::default(), &env, None).unwrap()
}

fn bench(machine: &Sshd, url: &str) -> Bench {
    Bench::new(Outside::of(&settings(machine, url)), nowhere())
}

async fn refused(machine: &Sshd, url: &str) -> Reading {
    let reading = bench(machine, url).read(Sql::DatabaseCapacity).await;
    assert!(!reading.ok, "{}", reading.summary);
    reading
}

/// Its name is known to nobody here; its address is that of the server.
fn named(server: &Server, name: &str, rest: &str) -> String {
    server.url("eye", "shop").replace("127.0.0.1", name) + "?hostaddr=127.0.0.1" + rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_carries_probes_and_hands_and_the_certificate_is_still_the_databases() {
    let folder = certificate("db.internal");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = server(&format!("ssl=on ssl_cert_file={} ssl_key_file={}", path("crt"), path("key"))).await;
    let machine = Sshd::start(&[]).await;
    let verified = format!("&sslmode=verify-full&sslrootcert={}", path("crt"));
    let mut bench = bench(&machine, &named(&server, "db.internal", &verified));
    assert!(bench.read(Sql::PingDatabase).await.ok);
    assert!(bench.read(Sql::DatabaseCapacity).await.ok);
    let leak = server.connect_as("app", "shop", "web").await;
    leak.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let pick = Pick { which: Which::IdleInTransaction, older: Duration::ZERO, role: None };
    let ended = bench.act(Sql::TerminateSessions { pick, sessions: Vec::new() }).await;
    assert!(matches!(ended.result, Ending::Performed(_)), "{:?}", ended.result);
    assert!(machine.log().contains("Accepted publickey"), "{}", machine.log());

    let other = refused(&machine, &named(&server, "other.internal", &verified)).await;
    assert!(other.summary.contains("certificate"), "{}", other.summary);

    // Nothing is left behind at the database, nor at the machine.
    let boss = server.connect("boss", "postgres").await;
    drop(bench);
    server.until(&boss, "application_name='covet-tui'", 0).await;
    for _ in 0..50 {
        if machine.connections() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} connections are left", machine.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn eyes_see_through_it_say_that_it_broke_and_come_back() {
    let server = server("").await;
    let mut machine = Sshd::start(&[]).await;
    let settings = settings(&machine, &named(&server, "db.internal", ""));
    let (out, mut heard) = mpsc::channel(256);
    let _eyes = Eyes::open(&settings, &[], now, out).await;
    let mut watched = Watched { heard: &mut heard, snapshot: Snapshot::default() };
    watched.until_it_is_seen().await;

    machine.crash();
    let broken = watched.until_it_is_blind().await;
    assert_eq!(broken.kind, BlindKind::Unreachable, "{broken:?}");
    assert!(broken.why.contains("no SSH tunnel through bastion"), "{broken:?}");
    assert!(broken.repair.is_some(), "{broken:?}");

    machine.again().await;
    watched.until_it_is_seen().await;
}

struct Watched<'a> {
    heard: &'a mut mpsc::Receiver<covet_tui::domain::Observation>,
    snapshot: Snapshot,
}

impl Watched<'_> {
    async fn until_it_is_seen(&mut self) {
        self.snapshot.capacity = None;
        while self.snapshot.capacity.is_none() {
            let seen = self.next().await;
            self.snapshot.fold(seen);
        }
    }

    async fn until_it_is_blind(&mut self) -> Blind {
        loop {
            let seen = self.next().await;
            if let (Origin::Postgres, Err(blind)) = (seen.origin, seen.seen) {
                return blind;
            }
        }
    }

    async fn next(&mut self) -> covet_tui::domain::Observation {
        tokio::time::timeout(Duration::from_secs(60), self.heard.recv())
            .await
            .expect("within a minute")
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_on_the_way_has_its_words_and_its_repair() {
    let server = server("").await;
    let url = named(&server, "db.internal", "");
    let machine = Sshd::start(&[]).await;
    let says = |reading: &Reading, words: &str| {
        assert!(reading.summary.contains(words), "{words}\n{}", reading.summary);
    };

    let closed = refused(&machine, &format!("postgresql://eye:x@127.0.0.1:{}/shop", free_port())).await;
    says(&closed, "nothing listens at 127.0.0.1:");
    let nameless = refused(&machine, &server.url("eye", "shop").replace("127.0.0.1", "db.invalid")).await;
    says(&nameless, "bastion does not know the name in db.invalid:");
    let password = refused(&machine, &url.replace("hunter22", "wrong")).await;
    says(&password, "28P01");

    let settings = settings(&machine, &url);
    let row = |rows: Vec<covet_tui::eyes::DoctorRow>| {
        rows.into_iter().find(|row| row.what == "PostgreSQL").expect("its row")
    };
    let fine = row(doctor(&settings, now, false).await);
    assert!(fine.ok && fine.says.contains("by SSH through bastion:"), "{fine:?}");

    let known = machine.read("known_hosts");
    fs::write(machine.at("known_hosts"), "").unwrap();
    let unknown = row(doctor(&settings, now, false).await);
    assert!(!unknown.ok && unknown.says.contains("is not known, and is not believed unseen"), "{unknown:?}");
    assert!(unknown.says.starts_with("by SSH through bastion:"), "{unknown:?}");
    assert!(unknown.repair.unwrap().contains("compare its fingerprint: ssh -F"));
    assert_eq!(machine.read("known_hosts"), "", "nobody wrote it down for us");
    keygen(&machine.at("other"));
    fs::write(
        machine.at("known_hosts"),
        format!("[127.0.0.1]:{} {}", machine.port, machine.read("other.pub")),
    )
    .unwrap();
    says(&refused(&machine, &url).await, "is not the one we know");
    fs::write(machine.at("known_hosts"), known).unwrap();

    fs::write(machine.at("authorized_keys"), machine.read("other.pub")).unwrap();
    let stranger = refused(&machine, &url).await;
    says(&stranger, "is not let in");
    says(&stranger, "ssh:USER@HOST");

    let strict = Sshd::start(&["AllowTcpForwarding=no"]).await;
    let forbidden = refused(&strict, &url).await;
    says(&forbidden, "lets nobody through");
    says(&forbidden, "AllowTcpForwarding");
}
