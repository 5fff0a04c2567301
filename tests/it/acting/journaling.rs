//! The journal: on disk before the hand, whole after any crash, honest about what it does not know.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use covet_tui::app::Earlier;
use covet_tui::domain::{Action, Key, Kind, ObjectRef, PatchKind, ResourceChange};
use covet_tui::guard::{Armed, Confirmation, Draft};
use covet_tui::journal::{Ending, EntryId, Journal, Outcome, list, show};
use proptest::prelude::*;
use serde_json::json;

use super::bench::{APP, Bench, now, object, who};
use super::changes::performed;
use super::guarding::{moment, preview, scale};

fn enter(journal: &mut Journal) -> EntryId {
    let armed = Armed::arm();
    let warrant = armed.confirm(preview(&armed, scale(), Vec::new()), "web", who(), moment()).unwrap();
    journal.enter(warrant).unwrap().id().clone()
}

fn close(journal: &mut Journal, entry: EntryId) {
    let outcome = Outcome {
        entry,
        action: scale(),
        result: Ending::Performed("scaled".into()),
        at: moment(),
        undo: None,
        progress: vec!["1 of 2 replicas available".into()],
    };
    journal.close(&outcome).unwrap();
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("journal.jsonl")
}

#[test]
fn an_action_is_remembered_from_confirmation_to_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    let first = enter(&mut journal);
    close(&mut journal, first.clone());
    enter(&mut journal);
    let records = Journal::read(folder.path()).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].closing.as_ref().unwrap().result, "performed");
    assert!(records[1].closing.is_none());
    assert!(records.iter().all(|record| record.intact));
    assert_eq!(records[0].who, who());
    let mode = fs::metadata(file(folder.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let lines = list(&records);
    assert!(lines[0].contains("performed") && lines[1].contains("no outcome"), "{lines:?}");
    let shown = show(&records, &first.0).unwrap().join("\n");
    assert!(shown.contains("kubectl scale deployment web") && shown.contains("ann@here"), "{shown}");
    assert!(
        shown.contains("context   shop-eu") && lines[0].contains("(lab-admin in shop-eu)"),
        "{shown}\n{lines:?}"
    );
    assert!(show(&records, "2026").unwrap_err().contains("more than one"));
    assert!(show(&records, "nothing").is_err());
}

#[test]
fn a_journal_that_is_not_there_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Journal::read(folder.path()).unwrap().is_empty());
}

#[test]
fn who_dies_between_entry_and_outcome_is_named_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    let done = enter(&mut journal);
    close(&mut journal, done);
    let lost = enter(&mut journal);

    // While that cockpit lives, its action is in progress, not lost.
    let (other, orphans) = Journal::open(folder.path()).unwrap();
    assert!(orphans.is_empty(), "{orphans:?}");
    drop(other);
    drop(journal);

    let (mut next, orphans) = Journal::open(folder.path()).unwrap();
    assert_eq!(orphans.iter().map(|orphan| &orphan.id).collect::<Vec<_>>(), [&lost]);
    assert_eq!(orphans[0].targets, ["deployment/web"]);
    next.settle(&orphans[0], "found at the next start", moment()).unwrap();
    drop(next);
    let (_, orphans) = Journal::open(folder.path()).unwrap();
    assert!(orphans.is_empty());
    let records = Journal::read(folder.path()).unwrap();
    assert_eq!(records[1].closing.as_ref().unwrap().result, "unknown");
}

const KILLED: &str = "COVET_TEST_KILLED_JOURNAL";

/// Not a test by itself: the cockpit that the next one kills in the middle of an action.
#[test]
fn enters_and_waits_to_be_killed() {
    let Some(folder) = std::env::var_os(KILLED) else { return };
    let (mut journal, _) = Journal::open(Path::new(&folder)).unwrap();
    enter(&mut journal);
    std::thread::sleep(std::time::Duration::from_secs(600));
}

#[test]
fn a_cockpit_killed_in_the_middle_of_an_action_leaves_it_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut cockpit = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "acting::journaling::enters_and_waits_to_be_killed"])
        .env(KILLED, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while Journal::read(folder.path()).unwrap().is_empty() {
        assert!(cockpit.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (_other, orphans) = Journal::open(folder.path()).unwrap();
    assert!(orphans.is_empty(), "it still lives");
    cockpit.kill().unwrap();
    cockpit.wait().unwrap();
    let (_next, orphans) = Journal::open(folder.path()).unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].command, "kubectl scale deployment web -n shop --replicas=2");
}

#[test]
fn two_cockpits_share_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let path = folder.path().to_owned();
            std::thread::spawn(move || {
                let (mut journal, _) = Journal::open(&path).unwrap();
                for _ in 0..10 {
                    let entry = enter(&mut journal);
                    close(&mut journal, entry);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let records = Journal::read(folder.path()).unwrap();
    assert_eq!(records.len(), 40);
    assert!(records.iter().all(|record| record.intact && record.closing.is_some()));
}

#[test]
fn no_secret_reaches_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    let armed = Armed::arm();
    let action = Action::Patch {
        object: ObjectRef::new(Kind::Secret, Key::new("shop", "db")),
        kind: PatchKind::Merge,
        body: json!({"stringData": {"password": "hunter2"}}),
    };
    let sealed = armed.seal(Draft {
        at: moment(),
        title: "patch secret/db with token=hunter2".into(),
        targets: vec!["secret/db".into()],
        diff: Vec::new(),
        hazards: Vec::new(),
        pins: Vec::new(),
        before: json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}),
        undo: None,
        command: String::new(),
        confirmation: Confirmation::Type("db".into()),
        action: action.clone(),
    });
    let entry = journal.enter(armed.confirm(sealed, "db", who(), moment()).unwrap()).unwrap();
    let outcome = Outcome {
        entry: entry.id().clone(),
        action,
        result: Ending::Failed("postgres://app:hunter2@db refused".into()),
        at: moment(),
        undo: None,
        progress: vec!["Authorization: Bearer hunter2hunter2".into()],
    };
    journal.close(&outcome).unwrap();
    let text = fs::read_to_string(file(folder.path())).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
}

#[test]
fn a_line_that_was_altered_or_removed_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    for _ in 0..3 {
        let entry = enter(&mut journal);
        close(&mut journal, entry);
    }
    let text = fs::read_to_string(file(folder.path())).unwrap();
    fs::write(file(folder.path()), text.replacen("\"os_user\":\"ann\"", "\"os_user\":\"bob\"", 1)).unwrap();
    assert!(!Journal::read(folder.path()).unwrap()[0].intact);
    let without: Vec<_> =
        text.lines().enumerate().filter(|(index, _)| *index != 1).map(|(_, line)| line).collect();
    fs::write(file(folder.path()), without.join("\n") + "\n").unwrap();
    assert!(Journal::read(folder.path()).unwrap().iter().any(|record| !record.intact));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Power can go at any byte: what was whole stays, and the journal goes on.
    #[test]
    fn truncation_at_any_byte_loses_at_most_the_last_line(share in 0.0f64..1.0) {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        for _ in 0..3 {
            let entry = enter(&mut journal);
            close(&mut journal, entry);
        }
        drop(journal);
        let path = file(folder.path());
        let whole = fs::read(&path).unwrap();
        let cut = (whole.len() as f64 * share) as usize;
        fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();

        let (mut journal, orphans) = Journal::open(folder.path()).unwrap();
        // A line that lacks only its newline is whole too.
        let entered = Journal::read(folder.path()).unwrap();
        prop_assert!(entered.len() == lines.div_ceil(2) || entered.len() == (lines + 1).div_ceil(2));
        prop_assert_eq!(orphans.len(), entered.iter().filter(|record| record.closing.is_none()).count());
        let entry = enter(&mut journal);
        close(&mut journal, entry);
        let after = Journal::read(folder.path()).unwrap();
        prop_assert_eq!(after.len(), entered.len() + 1);
        prop_assert!(after.iter().all(|record| record.intact));
        prop_assert!(after.last().unwrap().closing.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_session_takes_back_what_an_earlier_one_did_unless_somebody_moved_it() {
    let mut bench = Bench::new(None).await;
    bench.settled().await;
    let more = Action::SetResources {
        object: object(Kind::Deployment, APP),
        container: "covetpy".into(),
        change: ResourceChange { memory_limit: Some("3Gi".into()), ..ResourceChange::default() },
    };
    let did = bench.act(more).await;
    let earlier = |bench: &Bench, context: &str| {
        let records = Journal::read(bench.folder.path()).unwrap();
        Earlier::of(&records, context, now())
    };
    assert!(earlier(&bench, "elsewhere").undos.is_empty());
    let Earlier { deeds, undos } = earlier(&bench, "shop-eu");
    assert_eq!(
        deeds.iter().map(|deed| deed.object.clone()).collect::<Vec<_>>(),
        [object(Kind::Deployment, APP)]
    );
    let [known] = &undos[..] else { panic!("{undos:?}") };
    assert_eq!((&known.entry, Some(&known.undo)), (&did.entry, did.undo.as_ref()));

    let preview = bench.hands.preview_undo(&bench.armed, &known.undo, now()).await.unwrap();
    let name = preview.action.target().unwrap();
    let warrant = bench.armed.confirm(preview, &name, who(), now()).unwrap();
    let entry = bench.journal.enter_undo(warrant, Some(did.entry.clone())).unwrap();
    let back = bench.perform(entry).await;
    performed(&back);

    let records = Journal::read(bench.folder.path()).unwrap();
    assert!(list(&records)[1].contains(&format!("the undo of {}", did.entry)), "{:?}", list(&records));
    let shown = show(&records, &did.entry.0).unwrap().join("\n");
    assert!(shown.contains(&format!("undone    by {}", back.entry)), "{shown}");
    // Only the way forth is open now.
    let undos = earlier(&bench, "shop-eu").undos;
    assert_eq!(
        undos.iter().map(|known| (&known.entry, known.origin.undoing)).collect::<Vec<_>>(),
        [(&back.entry, true)]
    );
    let refusal = bench.hands.preview_undo(&bench.armed, &known.undo, now()).await.unwrap_err();
    assert!(refusal.says.contains("changed since"), "{refusal}");
}
