//! A terminal for the whole program: a pseudo-terminal, what is on its screen, and keys for it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

pub struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Option<Box<dyn std::io::Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    screen: Arc<Mutex<Seen>>,
    hung_up: Arc<AtomicBool>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// The program with these arguments, its state below `home`, nothing of this machine's clusters.
    pub fn open(args: &[&str], home: &Path, columns: u16, rows: u16) -> Self {
        Self::open_with(args, home, columns, rows, &[])
    }

    /// The same, with more in its environment.
    pub fn open_with(
        args: &[&str],
        home: &Path,
        columns: u16,
        rows: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_covet-tui"));
        command.args(args);
        command.env_clear();
        command.env("HOME", home);
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for (name, value) in environment {
            command.env(name, value);
        }
        command.cwd(home);
        let child = pty.slave.spawn_command(command).expect("the program starts");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("its output");
        let keys = pty.master.take_writer().expect("its input");
        let parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        let screen = Arc::new(Mutex::new(Seen { parser, raw: Vec::new() }));
        let shared = Arc::clone(&screen);
        let hung_up = Arc::new(AtomicBool::new(false));
        let closing = Arc::clone(&hung_up);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65536];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                // The terminal is only gone when nobody holds its other side any more.
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                let mut seen = shared.lock().expect("nobody panicked");
                seen.parser.process(&bytes[..count]);
                seen.raw.extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, keys: Some(keys), master: Some(pty.master), screen, hung_up }
    }

    pub fn screen(&self) -> String {
        self.screen.lock().expect("nobody panicked").parser.screen().contents()
    }

    /// Whether the alternate screen is on.
    pub fn is_full_screen(&self) -> bool {
        self.screen.lock().expect("nobody panicked").parser.screen().alternate_screen()
    }

    /// Everything the program ever wrote.
    pub fn raw(&self) -> Vec<u8> {
        self.screen.lock().expect("nobody panicked").raw.clone()
    }

    /// The same, as text.
    pub fn raw_text(&self) -> String {
        String::from_utf8_lossy(&self.raw()).into_owned()
    }

    pub fn press(&mut self, keys: &str) {
        let writer = self.keys.as_mut().expect("an open terminal");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("the program reads keys");
    }

    /// Waits until the screen satisfies `wanted`; the bound is generous, not a measurement.
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "waited in vain for {what}; the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.screen
            .lock()
            .expect("nobody panicked")
            .parser
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        self.master.as_ref().expect("an open terminal").resize(size).expect("a new size");
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("a running program")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it can be signalled");
    }

    /// The other side of the terminal goes away, as when an ssh connection breaks.
    pub fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::SeqCst);
        self.keys = None;
        self.master = None;
    }

    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the program does not end:\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(count).expect("a terminal has cells")
}
