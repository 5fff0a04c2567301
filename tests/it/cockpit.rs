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
    let screen = terminal.wait_for("kubeconfig");
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
