//! The whole program in a terminal: an incident from its first symptom to its verified fix, and the ways a
//! session can end.

use crate::pty::Terminal;

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn without_a_cluster_it_says_so_and_offers_drills() {
    let home = home();
    let mut terminal = Terminal::open(&[], home.path(), 100, 30);
    terminal.wait_for("There is no kubeconfig");
    terminal.press("d");
    let screen = terminal.wait("the drills", |screen| screen.contains("type to filter"));
    assert!(screen.contains("crash-loop.oom"), "{screen}");
    terminal.press("\x1b");
    assert!(terminal.ended().success());
    terminal.wait("the screen given back", |_| !terminal.is_full_screen());
}

#[test]
fn a_signal_gives_the_screen_back() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::HUP] {
        let home = home();
        let mut terminal = Terminal::open(&["drill", "crash-loop.oom"], home.path(), 120, 40);
        terminal.wait_for("covetpy-production");
        assert!(terminal.is_full_screen());
        terminal.signal(signal);
        assert!(terminal.ended().success());
        terminal.wait("the screen given back", |_| !terminal.is_full_screen());
        let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
        assert!(raw.contains("\x1b[?2004l"), "bracketed paste stays on");
        assert!(raw.ends_with("\x1b[?25h") || raw.contains("\x1b[?25h"), "the cursor stays hidden");
    }
}

#[test]
fn a_lost_terminal_ends_it() {
    let home = home();
    let mut terminal = Terminal::open(&["drill", "crash-loop.oom"], home.path(), 120, 40);
    terminal.wait_for("covetpy-production");
    terminal.hang_up();
    terminal.ended();
}

#[test]
fn it_survives_every_size() {
    let home = home();
    let mut terminal = Terminal::open(&["drill", "crash-loop.oom"], home.path(), 120, 40);
    terminal.wait_for("covetpy-production");
    for (columns, rows) in [(80, 24), (20, 5), (300, 100), (1, 1), (200, 50), (80, 24)] {
        terminal.resize(columns, rows);
        std::thread::sleep(std::time::Duration::from_millis(150));
    }
    terminal.wait_for("covetpy-production");
    terminal.press("q");
    terminal.ended();
}

/// Fills the prompt of the preview that is open: the name it asks for stands after "type".
fn confirm(terminal: &mut Terminal) {
    let screen = terminal.wait("a preview", |screen| screen.contains("and Enter:"));
    let line = screen.lines().find(|line| line.contains("and Enter:")).expect("the prompt");
    let name = line.split_whitespace().skip_while(|word| *word != "type").nth(1).expect("a name").to_owned();
    terminal.press(&name);
    terminal.press("\r");
}

#[test]
fn an_incident_is_led_from_its_first_symptom_to_the_fix_its_undo_and_the_journal() {
    let home = home();
    let mut terminal = Terminal::open(&["drill", "crash-loop.oom", "--seed", "7"], home.path(), 160, 50);
    let screen =
        terminal.wait("the cause", |screen| screen.contains("OOMKilled") && screen.contains("Roll back"));
    assert!(screen.contains("revision 6"), "{screen}");
    terminal.press("n");
    let preview = terminal.wait("the preview", |screen| screen.contains("and Enter:"));
    assert!(preview.contains("kubectl rollout undo deployment/covetpy-app"), "{preview}");
    confirm(&mut terminal);
    terminal.wait("the outcome", |screen| screen.contains("previews the undo"));
    terminal.press("\r");
    terminal.wait("a world that heals", |screen| screen.contains("resolved in"));
    terminal.press("u");
    let undo = terminal.wait("the undo's preview", |screen| screen.contains("and Enter:"));
    assert!(undo.contains("--to-revision=7") && undo.contains("it may return"), "{undo}");
    // To its end: the bad revision comes back, and the screen says that it does not work.
    confirm(&mut terminal);
    terminal.wait("the symptom again", |screen| {
        screen.contains("Running: Undo") && screen.contains("crash-looping: OOMKilled")
    });
    terminal.press("\x1b");
    let ended = terminal.wait("the undo's end", |screen| screen.contains("Done, not verified"));
    assert!(ended.contains("watching was called off"), "{ended}");
    assert!(ended.contains("previews doing it again"), "what was taken back can be done again: {ended}");
    // And back to health, by the way back of the way back.
    terminal.press("u");
    let again = terminal.wait("doing it again", |screen| screen.contains("and Enter:"));
    assert!(again.contains("Do again") && again.contains("--to-revision=8"), "{again}");
    confirm(&mut terminal);
    terminal.wait("its end", |screen| screen.contains("Done: Do again"));
    terminal.press("\r");
    terminal.wait("the main screen", |screen| !screen.contains("Done: Do again"));
    terminal.press("J");
    let journal = terminal.wait("the journal", |screen| screen.matches("performed").count() == 2);
    assert!(journal.contains("unverified"), "{journal}");
    terminal.press("\x03");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.signal(rustix::process::Signal::TERM);
    terminal.ended();

    let listed = std::process::Command::new(env!("CARGO_BIN_EXE_covet-tui"))
        .args(["journal", "list"])
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .output()
        .expect("the journal is listed");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("performed") && text.contains("covetpy-app"), "{text}");
}

/// An editor that says what it was given, and does what it is told on the terminal.
const EDITOR: &str = r#"#!/bin/sh
{ stty -a; stat -c '%a' "$1" "$(dirname "$1")"; cat "$1"; } > "$HOME/seen"
echo "EDITING $1"
read answer
case $answer in
  save) printf '3600\n' > "$1" ;;
  same) ;;
  *) exit 1 ;;
esac
"#;

#[test]
fn a_value_is_edited_in_the_persons_editor_and_taken_back() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home();
    let editor = home.path().join("editor");
    std::fs::write(&editor, EDITOR).expect("a script");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    let private = home.path().join("private");
    std::fs::create_dir(&private).expect("a folder");
    let environment = [
        ("VISUAL", editor.to_str().expect("a path")),
        ("XDG_RUNTIME_DIR", private.to_str().expect("a path")),
    ];
    let drill = ["drill", "crash-loop.config", "--seed", "7"];
    let mut terminal = Terminal::open_with(&drill, home.path(), 160, 60, &environment);
    terminal.wait("the cause", |screen| screen.contains("config-error") && screen.contains("Roll back"));
    let open = |terminal: &mut Terminal| {
        terminal.press(":");
        terminal.wait_for("Commands");
        terminal.press("correct a value");
        terminal.wait_for("(fix-config)");
        terminal.press("\r");
    };
    open(&mut terminal);
    terminal.press("e");
    terminal.wait("the keys it has", |screen| {
        screen.contains("covetpy-config has") && screen.contains("CACHE_TTL")
    });
    terminal.press("CACHE_TTL");
    terminal.press("\x0f");
    terminal.wait_for("EDITING ");
    assert!(!terminal.is_full_screen(), "the editor has the terminal");
    assert!(terminal.raw_text().contains("\x1b[?1000l"), "the mouse is the editor's");
    // Keys go to the editor and to nobody else.
    terminal.press("no\r");
    terminal.wait("back", |screen| screen.contains("without saving: nothing was changed"));
    assert!(terminal.is_full_screen());
    let seen = std::fs::read_to_string(home.path().join("seen")).expect("what the editor saw");
    assert!(seen.contains(" icanon") && seen.contains(" echo "), "the terminal is as a shell has it: {seen}");
    assert!(seen.ends_with("600\n700\n1h"), "{seen}");

    terminal.press("e");
    terminal.wait_for("covetpy-config has");
    terminal.press("CACHE_TTL\x0f");
    terminal.wait_for("EDITING ");
    terminal.press("save\r");
    let preview = terminal.wait("the difference", |screen| screen.contains("y does it"));
    assert!(
        preview.contains("-   CACHE_TTL: 1h") && preview.contains("+   CACHE_TTL: \"3600\""),
        "{preview}"
    );
    let left = std::fs::read_dir(&private).expect("the folder").count();
    assert_eq!(left, 0, "the file does not stay");
    terminal.press("y");
    terminal.wait_for("previews the undo");
    terminal.press("u");
    let undo = terminal.wait("the undo's preview", |screen| screen.contains("y does it"));
    assert!(undo.contains("+   CACHE_TTL: 1h"), "{undo}");
    terminal.press("y");
    let ended = terminal.wait("the undo's end", |screen| screen.contains("Done: Undo"));
    assert!(ended.contains("read back"), "{ended}");
    terminal.press("\r");
    terminal.wait("the main screen", |screen| !screen.contains("Done: Undo"));
    terminal.press("J");
    terminal.wait("the journal", |screen| screen.matches("performed").count() == 2);
    terminal.signal(rustix::process::Signal::TERM);
    assert!(terminal.ended().success());
}
