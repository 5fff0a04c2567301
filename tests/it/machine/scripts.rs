//! Scripts of the team's own: words in, words out, no shell; watched, ended in time, or left to go on.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use covet_tui::config::{Flags, Outside, ScriptSetting, load};
use covet_tui::domain::{Action, Effect, Script};
use covet_tui::guard::Confirmation;
use covet_tui::journal::Ending;
use tokio_util::sync::CancellationToken;

use super::{Bench, diff};

fn script(folder: &tempfile::TempDir, body: &str) -> String {
    let path = folder.path().join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn outside(argv: &[&str], timeout: Duration) -> Outside {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Outside {
        scripts: BTreeMap::from([("rotate".to_owned(), ScriptSetting { argv, timeout })]),
        ..Outside::default()
    }
}

fn run(with: &[(&str, &str)]) -> Action {
    let with = with.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Action::Script(Script::RunScript { script: "rotate".into(), with })
}

fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_gets_its_words_and_its_output_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        &folder,
        "for word in \"$@\"; do echo \"[$word]\"; done; printf 'password=hunter22 \\033[31mred\\n' >&2",
    );
    let mut bench = Bench::new(outside(&[&path, "--type={type}", "{who}"], Duration::from_secs(20))).await;
    let refused = bench.preview(run(&[("type", "jwt")])).await.unwrap_err();
    assert!(refused.to_string().contains("no value is given for {who}"), "{refused}");
    let unknown = Action::Script(Script::RunScript { script: "other".into(), with: Vec::new() });
    assert!(bench.preview(unknown).await.unwrap_err().to_string().contains("there are: rotate"));
    let action = run(&[("type", "a b; touch /tmp/covet-was-here"), ("who", "$(id)")]);
    assert_eq!(action.effect(), Effect::Destructive);
    let preview = bench.preview(action).await.unwrap();
    assert_eq!(preview.confirmation, Confirmation::Type("rotate".into()));
    assert!(diff(&preview).contains("'--type=a b; touch /tmp/covet-was-here' '$(id)'"), "{}", diff(&preview));
    let outcome = bench.perform(preview).await;
    let Ending::Performed(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert_eq!(says, "the script rotate ended with exit code 0");
    let told = outcome.progress.join("\n");
    assert!(told.contains("[--type=a b; touch /tmp/covet-was-here]") && told.contains("[$(id)]"), "{told}");
    assert!(
        told.contains("stderr: password=•••") && !told.contains("hunter22") && !told.contains('\u{1b}'),
        "{told}"
    );
    assert!(!std::path::Path::new("/tmp/covet-was-here").exists());
    assert!(bench.journalled().contains("run-script") && !bench.journalled().contains("hunter22"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_or_is_not_there_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(&folder, "echo no >&2; exit 7");
    let mut bench = Bench::new(outside(&[&path], Duration::from_secs(20))).await;
    let preview = bench.preview(run(&[])).await.unwrap();
    let failed = bench.perform(preview).await;
    assert!(
        matches!(&failed.result, Ending::Failed(says) if says.ends_with("exit code 7")),
        "{:?}",
        failed.result
    );
    let mut bench = Bench::new(outside(&["/no/such/program"], Duration::from_secs(20))).await;
    let preview = bench.preview(run(&[])).await.unwrap();
    let absent = bench.perform(preview).await;
    assert!(
        matches!(&absent.result, Ending::Refused(refusal, _) if refusal.says.contains("could not be started")),
        "{:?}",
        absent.result
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_takes_too_long_is_ended_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids").display().to_string();
    let path = script(&folder, &format!("sleep 300 & echo $$ $! > {pids}; wait"));
    let mut bench = Bench::new(outside(&[&path], Duration::from_secs(1))).await;
    let preview = bench.preview(run(&[])).await.unwrap();
    let began = Instant::now();
    let outcome = bench.perform(preview).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(
        matches!(&outcome.result, Ending::Unknown(says) if says.contains("was not done after 1s and was ended")),
        "{:?}",
        outcome.result
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        assert!(!lives(pid), "{pid} is still there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_stops_watching_and_the_script_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let path = script(&folder, &format!("echo begun; sleep 2; seq 1 20000; echo yes > {}", done.display()));
    let mut bench = Bench::new(outside(&[&path], Duration::from_secs(60))).await;
    let preview = bench.preview(run(&[])).await.unwrap();
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        later.cancel();
    });
    let outcome = bench.perform_until(preview, cancel).await;
    let Ending::Unknown(says) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.contains("goes on; to end it: kill -TERM -- -"), "{says}");
    assert!(!done.exists());
    for _ in 0..60 {
        if done.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the script did not go on");
}

#[test]
fn scripts_and_ssh_are_read_from_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        load(&Flags::default(), &|_| None, Some(&file))
    };
    let settings = read("[ssh]\nuser = \"ec2-user\"\nport = 2222\njump = \"ann@bastion\"\naddress = \"external\"\n\n[scripts]\nrotate = { argv = [\"/opt/rotate\", \"{type}\"], timeout = \"90s\" }\n[scripts.plain]\nargv = [\"/bin/true\"]\n").unwrap();
    let outside = Outside::of(&settings);
    let ssh = outside.ssh.as_ref().unwrap();
    assert_eq!(ssh.as_command("10.0.0.7"), "ssh -p 2222 -J ann@bastion ec2-user@10.0.0.7");
    assert_eq!(outside.scripts["rotate"].timeout, Duration::from_secs(90));
    assert_eq!(outside.scripts["plain"].timeout, Duration::from_secs(300));
    let shown = covet_tui::config::table(&settings);
    assert!(
        shown.iter().any(|(key, value, _)| key == "scripts.rotate" && value == "/opt/rotate '{type}'"),
        "{shown:?}"
    );
    // What is written out can be read in again.
    let again = read(&covet_tui::config::commented_file(&settings)).unwrap();
    assert_eq!(Outside::of(&again).scripts, outside.scripts);
    assert_eq!(Outside::of(&again).ssh, outside.ssh);
    for (text, words) in [
        ("[ssh]\nport = 0", "is a port"),
        ("[ssh]\nport = 70000", "is a port"),
        ("[ssh]\naddress = \"public\"", "is one of internal, external, hostname, name"),
        ("[ssh]\nkey = \"x\"", "unknown key `key` in [ssh]; allowed are user, port, config, jump, address"),
        ("[scripts]\nx = \"rm -rf /\"", "is a table"),
        ("[scripts]\nx = { argv = [] }", "never a shell line"),
        ("[scripts]\nx = { argv = [\"{what}\"] }", "that must be fixed"),
        ("[scripts]\nx = { argv = [\"a\"], timeout = \"soon\" }", "needs a timeout such as"),
        ("[scripts]\nx = { argv = [\"a\"], shell = true }", "has no `shell`"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.message.contains(words) && error.place.contains("config.toml:2:"), "{text}: {error}");
    }
    let none = read("[ssh]\naddress = \"name\"").unwrap();
    assert!(Outside::of(&none).ssh.is_none(), "nobody asked for it");
}
