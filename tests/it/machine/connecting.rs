//! Getting in, and being kept out: each refusal names its reason and its repair, nothing asks, nothing hangs,
//! nothing is left behind.

use std::fs;
use std::time::{Duration, Instant};

use covet_tui::config::{ConnectError, Ssh};
use covet_tui::domain::BlindKind;

use super::server::{Sshd, free_port, keygen};

const SOON: Duration = Duration::from_secs(10);

async fn refused(ssh: &Ssh) -> ConnectError {
    let error = ssh.connect("10.0.0.7").await.expect_err("a refusal");
    println!("{:?}: {}\n  {}", error.kind, error.why, error.repair.as_deref().unwrap_or("-"));
    assert!(error.repair.is_some(), "{error:?}");
    error
}

/// Private folders of connections that are there now.
fn folders() -> Vec<String> {
    let base =
        std::env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| std::env::temp_dir().display().to_string());
    let names =
        fs::read_dir(base).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("covet-ssh-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lets_us_in_and_words_arrive_as_they_were_sent() {
    let server = Sshd::start(&[]).await;
    server.program("ls", "for word in \"$@\"; do printf '[%s]\\n' \"$word\"; done");
    let machine = server.ssh().connect("10.0.0.7").await.unwrap();
    assert_eq!(machine.host(), "10.0.0.7");
    let hostile = [
        "ls",
        "two words",
        "'",
        "\"",
        "$(touch /tmp/covet-was-here)",
        "`id`",
        ";reboot",
        "a\\b",
        "*",
        "~",
        "$HOME",
        "-rf",
        "ü\u{202e}",
        "&& rm",
        "| sh",
        "#x",
        "!x",
        "{a,b}",
        "",
        "a\tb",
    ];
    let ran = machine.look(&hostile, SOON).await.unwrap();
    let expected: String = hostile[1..].iter().map(|word| format!("[{word}]\n")).collect();
    assert_eq!(ran.out, expected, "{}", ran.err);
    assert!(!std::path::Path::new("/tmp/covet-was-here").exists());
    let gone = machine.look(&["ls", "a\nb"], SOON).await.unwrap();
    assert_eq!(gone.out, "[a\nb]\n");
    // What is not on the list of looks is not sent.
    let refused = machine.look(&["touch", "/tmp/covet-was-here"], SOON).await.unwrap_err();
    assert!(refused.says.contains("not known to change nothing"), "{refused}");
    machine.close().await;
    assert_eq!(server.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_leaves_nothing_behind() {
    let server = Sshd::start(&[]).await;
    server.program("df", "sleep 60");
    let ssh = server.ssh();
    let before: Vec<String> = folders();
    let machine = ssh.connect("10.0.0.7").await.unwrap();
    let began = Instant::now();
    let silent = machine.look(&["df", "-hPT"], Duration::from_secs(1)).await.unwrap_err();
    assert!(silent.says.contains("gave no answer within 1s"), "{silent}");
    assert!(began.elapsed() < Duration::from_secs(5));
    machine.close().await;
    // Called off on the way: dropped without being closed.
    let machine = ssh.connect("10.0.0.7").await.unwrap();
    drop(machine);
    let disconnected = || {
        server.log().matches("Disconnected from").count()
            + server.log().matches("Received disconnect").count()
    };
    for _ in 0..50 {
        if disconnected() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(disconnected() >= 2, "{}", server.log());
    let mine = server.folder.path().display().to_string();
    let left: Vec<String> = folders()
        .into_iter()
        .filter(|name| !before.contains(name))
        .filter(|name| {
            let config = std::env::temp_dir().join(name).join("config");
            fs::read_to_string(config).is_ok_and(|text| text.contains(&mine))
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_known_or_not_the_same_are_refused() {
    let server = Sshd::start(&[]).await;
    fs::write(server.at("known_hosts"), "").unwrap();
    let unknown = refused(&server.ssh()).await;
    assert_eq!(unknown.kind, BlindKind::Refused);
    assert!(unknown.why.contains("is not known, and is not believed unseen"), "{}", unknown.why);
    assert!(unknown.repair.as_deref().unwrap().contains("compare its fingerprint: ssh -F"), "{unknown:?}");
    assert_eq!(server.read("known_hosts"), "", "nobody wrote it down for us");

    keygen(&server.at("other"));
    let other = format!("[127.0.0.1]:{} {}", server.port, server.read("other.pub"));
    fs::write(server.at("known_hosts"), other).unwrap();
    let changed = refused(&server.ssh()).await;
    assert_eq!(changed.kind, BlindKind::Refused);
    assert!(changed.why.contains("is not the one we know"), "{}", changed.why);
    assert!(changed.why.contains("known_hosts:1"), "{}", changed.why);
    assert!(changed.repair.as_deref().unwrap().contains("ssh-keygen -R"), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_says_what_would_be_accepted() {
    let server = Sshd::start(&[]).await;
    keygen(&server.at("stranger"));
    let settings = server
        .settings("")
        .replace(&server.at("key").display().to_string(), &server.at("stranger").display().to_string());
    fs::write(server.at("config"), settings).unwrap();
    let stranger = refused(&Ssh { user: Some("root".into()), ..server.ssh() }).await;
    assert_eq!(stranger.kind, BlindKind::Refused);
    assert!(stranger.why.contains("root@") && stranger.why.contains("publickey"), "{}", stranger.why);
    assert!(stranger.repair.as_deref().unwrap().contains("ssh-add"), "{stranger:?}");

    let passwords = Sshd::start(&[
        "PubkeyAuthentication=no",
        "PasswordAuthentication=yes",
        "KbdInteractiveAuthentication=no",
    ])
    .await;
    let began = Instant::now();
    let refused = refused(&passwords.ssh()).await;
    assert!(refused.why.contains("accepted: password"), "{}", refused.why);
    assert!(refused.repair.as_deref().unwrap().contains("never asked for here"), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "nothing waited for a password");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_refusals_and_nonsense_have_their_own_words() {
    let server = Sshd::start(&[]).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let hanging = refused(&Ssh { port: Some(port), ..server.ssh() }).await;
    assert_eq!(hanging.kind, BlindKind::Unreachable);
    assert!(hanging.why.contains("does not answer") && hanging.why.contains("timed out"), "{}", hanging.why);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    let nobody = refused(&Ssh { port: Some(free_port()), ..server.ssh() }).await;
    assert!(nobody.why.contains("nothing takes SSH connections"), "{}", nobody.why);
    assert!(nobody.repair.as_deref().unwrap().contains("[ssh] port"));

    fs::write(
        server.at("config"),
        server.settings("").replace("HostName 127.0.0.1", "HostName nowhere.invalid"),
    )
    .unwrap();
    let nowhere = refused(&server.ssh()).await;
    assert!(nowhere.why.contains("the name nowhere.invalid is not known"), "{}", nowhere.why);

    fs::write(server.at("config"), "Host *\n  NoSuchOption yes\n").unwrap();
    let broken = refused(&server.ssh()).await;
    assert!(broken.why.contains("does not accept its config file"), "{}", broken.why);

    let option = server.ssh().connect("-oProxyCommand=touch /tmp/covet-was-here").await.err().unwrap();
    assert!(option.why.contains("is no address"), "{}", option.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_is_gone_through_and_never_asks_either() {
    let target = Sshd::start(&[]).await;
    let jump = Sshd::start(&[]).await;
    let known = format!("{}[127.0.0.1]:{} {}", target.read("known_hosts"), jump.port, jump.read("host.pub"));
    fs::write(target.at("known_hosts"), &known).unwrap();
    let bastion = format!(
        "Host bastion\n  HostName 127.0.0.1\n  Port {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
        jump.port,
        jump.at("key").display()
    );
    fs::write(target.at("config"), target.settings(&bastion)).unwrap();
    let ssh = Ssh { jump: Some("bastion".into()), ..target.ssh() };
    let machine = ssh.connect("10.0.0.7").await.unwrap();
    let ran = machine.look(&["id", "-u"], SOON).await.unwrap();
    assert!(ran.is_ok() && ran.out.trim().parse::<u32>().is_ok(), "{ran:?}");
    machine.close().await;
    assert!(jump.log().contains("Accepted publickey"), "{}", jump.log());
    assert!(target.log().contains("Accepted publickey"), "{}", target.log());

    // The jump host's key is not known: its ssh does not ask on the terminal, and its words are heard.
    fs::write(target.at("known_hosts"), known.lines().next().unwrap().to_owned() + "\n").unwrap();
    let began = Instant::now();
    let unknown = refused(&ssh).await;
    assert!(unknown.why.contains("is not known, and is not believed unseen"), "{}", unknown.why);
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudo_that_asks_is_said_and_a_user_without_it_too() {
    let server = Sshd::start(&[]).await;
    server.program("id", "echo 1000");
    server.program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
    let machine = server.ssh().connect("10.0.0.7").await.unwrap();
    let refused = machine.look_as_root(&["true"], SOON).await.unwrap_err();
    assert!(refused.says.contains("asks for a password"), "{refused}");
    assert!(refused.repair.as_deref().unwrap().contains("NOPASSWD"));
    machine.close().await;
    server.program("id", "echo 0");
    let root = server.ssh().connect("10.0.0.7").await.unwrap();
    assert!(
        root.is_root() && root.look_as_root(&["true"], SOON).await.unwrap().is_ok(),
        "root needs no sudo"
    );
    root.close().await;
}
