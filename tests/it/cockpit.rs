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
    assert!(!terminal.is_full_screen(), "the screen is given back");
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
    terminal.press("u");
    let undo = terminal.wait("the undo's preview", |screen| screen.contains("and Enter:"));
    assert!(undo.contains("--to-revision=7"), "{undo}");
    terminal.press("\x1b");
    // A letter right behind Esc would be Alt and that letter.
    terminal.wait("the main screen", |screen| !screen.contains("and Enter:"));
    terminal.press("J");
    terminal.wait("the journal", |screen| screen.contains("performed"));
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
