//! Takes the screen and always gives it back: on return, on panic, on a signal, and around a suspend.
//! It knows nothing of what is drawn.

use std::io::{self, Stdout, Write, stdout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use ratatui::{Frame, Terminal};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// Whether the screen is ours now, for the panic hook, which has nothing else to ask.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// How the terminal was set before it was ours.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// The screen, until dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Screen {
    /// Takes the screen. Errors say what is missing when standard output is not a terminal.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !isatty(stdout()) || !isatty(io::stdin()) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the cockpit needs a terminal for input and output; for scripts use `covet-tui check`",
            ));
        }
        if let Ok(before) = tcgetattr(io::stdin()) {
            let _ = BEFORE.set(before);
        }
        enter(mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(Self { terminal, mouse })
    }

    /// Draws one frame, whole or not at all on terminals that know synchronised output.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(view).map(|_| ());
        queue!(stdout(), EndSynchronizedUpdate)?;
        stdout().flush()?;
        drawn
    }

    /// Forgets what the terminal shows, so that the next frame paints every cell.
    pub fn repaint(&mut self) -> io::Result<()> {
        let size = self.size()?;
        self.terminal.resize(ratatui::layout::Rect::new(0, 0, size.width, size.height))
    }

    pub fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    /// Puts text on the clipboard of the person's terminal (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Gives the screen back, stops this process like ctrl-z does everywhere, and takes it again on return.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.release();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        self.retake()
    }

    /// Gives the screen to somebody else for a while, as it was before it was ours.
    pub fn release(&mut self) {
        leave();
    }

    /// Takes it back, whatever was done to it meanwhile; the next frame paints every cell.
    pub fn retake(&mut self) -> io::Result<()> {
        settle();
        enter(self.mouse)?;
        self.repaint()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Whether the terminal is still there. A pty whose other side is gone answers with an error, and reading
/// from it would spin.
pub fn is_alive() -> bool {
    tcgetattr(io::stdin()).is_ok()
}

/// Restores the screen before a panic's report is printed. Call after installing color-eyre's hook.
pub fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        leave();
        report(panic);
    }));
}

fn enter(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, cursor::Hide)?;
    if mouse {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Best effort, in the order that leaves the least behind; a lost terminal has nothing to restore.
fn leave() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
    settle();
}

/// The settings of the terminal as they were found: an editor that was killed leaves others behind.
fn settle() {
    if let Some(before) = BEFORE.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}
