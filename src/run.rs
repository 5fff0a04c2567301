//! The one loop: event → update → view → effect. Everything slow happens beside it, in tasks that answer
//! with events; the loop itself never waits for anything but the next event.

use std::sync::Arc;
use std::time::Duration;

use color_eyre::Result;
use crossterm::event::{Event as Input, EventStream, KeyEventKind, MouseButton, MouseEventKind};
use futures::StreamExt;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::{App, Effect, Event, Gesture};
use crate::desk::Desk;
use crate::domain::{Observation, Timestamp};
use crate::editor::Editor;
use crate::guard::{Actor, Armed};
use crate::hands::Hands;
use crate::journal::Journal;
use crate::probes::Probes;
use crate::terminal::{self, Screen};
use crate::ui;

/// Frames that nobody's key asked for: at most this often.
const FRAME: Duration = Duration::from_millis(100);

/// How many observations are folded before keys are looked at again.
const BATCH: usize = 256;

/// Everything the loop works with.
pub struct Cockpit {
    pub app: App,
    pub clock: fn() -> Timestamp,
    /// What the eyes see.
    pub observations: mpsc::Receiver<Observation>,
    /// For the deeds of this cockpit, which are seen like everything else.
    pub observe: mpsc::Sender<Observation>,
    /// None until, and unless, there is a cluster to ask.
    pub reach: tokio::sync::watch::Receiver<Option<Reach>>,
    /// None in a read-only session: then nothing below can move a hand.
    pub arms: Option<Arc<Arms>>,
    pub journal_folder: std::path::PathBuf,
    /// The person's editor, a shell command as in `$VISUAL`; None for the usual one.
    pub editor: Option<String>,
}

/// How to ask and to act, once connected.
#[derive(Clone)]
pub struct Reach {
    pub probes: Probes,
    pub hands: Hands,
    pub who: Actor,
}

/// The right to act and the memory of it.
pub struct Arms {
    pub armed: Armed,
    pub journal: Mutex<Journal>,
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Quit,
    /// The person wants a drill instead.
    Drill,
}

/// Runs until the person leaves, a signal says so, or the terminal is gone.
pub async fn run(mut cockpit: Cockpit, screen: &mut Screen, mut signals: Signals) -> Result<Ended> {
    let mut input = Some(EventStream::new());
    let mut editor: Option<Editor> = None;
    let (answers, mut answered) = mpsc::channel::<Event>(256);
    let mut desk = Desk::new(answers);
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut batch = Vec::with_capacity(BATCH);
    let mut drawn = Instant::now();
    let mut dirty = false;

    loop {
        let away = editor.is_some();
        let wake =
            if dirty && !away { FRAME.saturating_sub(drawn.elapsed()) } else { cockpit.app.wake_after() };
        let mut urgent = false;
        let event = tokio::select! {
            biased;
            () = signals.received(away) => return Ok(Ended::Quit),
            event = next_input(&mut input) => match event {
                Some(Ok(event)) => { urgent = true; translate(&cockpit.app, event) }
                // The terminal is gone: reading on would spin.
                Some(Err(_)) | None => return Ok(Ended::Quit),
            },
            event = left(&mut editor) => {
                urgent = true;
                editor = None;
                back(&mut cockpit, screen, &mut input)?;
                Some(event)
            }
            Some(event) = answered.recv() => Some(event),
            count = cockpit.observations.recv_many(&mut batch, BATCH) => {
                if count == 0 { tokio::time::sleep(FRAME).await; None }
                else { Some(Event::Observed(std::mem::take(&mut batch))) }
            }
            _ = tick.tick() => {
                if !terminal::is_alive() { return Ok(Ended::Quit); }
                Some(Event::Tick)
            }
            () = tokio::time::sleep(wake) => Some(Event::Tick),
        };
        let mut effects = Vec::new();
        if let Some(event) = event {
            dirty |= !event.is_routine();
            effects = cockpit.app.update(event, (cockpit.clock)());
        }
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Ended::Quit),
                Effect::Drill => return Ok(Ended::Drill),
                Effect::Copy(text) => screen.copy(&text)?,
                Effect::Suspend => screen.suspend()?,
                Effect::Redraw => screen.repaint()?,
                Effect::Edit { request, name, text } => {
                    // The reader must be gone before the editor comes: two would share the keys.
                    input = None;
                    screen.release();
                    editor = Some(Editor::open(request, cockpit.editor.as_deref(), &name, &text));
                }
                other => desk.start(&cockpit, other),
            }
        }
        if dirty && editor.is_none() && (urgent || drawn.elapsed() >= FRAME) {
            screen.draw(|frame| ui::view(&cockpit.app, frame))?;
            drawn = Instant::now();
            dirty = false;
        }
    }
}

/// Never, while the terminal is the editor's.
async fn next_input(input: &mut Option<EventStream>) -> Option<std::io::Result<Input>> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

/// The person left the editor. Never, while there is none.
async fn left(editor: &mut Option<Editor>) -> Event {
    match editor {
        Some(editor) => Event::Edited { request: editor.request, text: editor.left().await },
        None => std::future::pending().await,
    }
}

/// The screen is ours again, perhaps of another size.
fn back(cockpit: &mut Cockpit, screen: &mut Screen, input: &mut Option<EventStream>) -> Result<()> {
    screen.retake()?;
    *input = Some(EventStream::new());
    let size = screen.size()?;
    cockpit.app.update(Event::Resized(size.width, size.height), (cockpit.clock)());
    Ok(())
}

/// Waits for a signal that ends a session politely.
pub async fn until_signalled() {
    if let Ok(mut signals) = Signals::listen() {
        signals.received(false).await;
    }
}

/// Key presses, not releases; the mouse with what lies under it; everything else that matters.
fn translate(app: &App, event: Input) -> Option<Event> {
    match event {
        Input::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(key)),
        Input::Mouse(mouse) => {
            let gesture = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Gesture::Click,
                MouseEventKind::ScrollUp => Gesture::WheelUp,
                MouseEventKind::ScrollDown => Gesture::WheelDown,
                _ => return None,
            };
            let area = Rect::new(0, 0, app.size.0, app.size.1);
            let cell = (mouse.column, mouse.row);
            Some(Event::Pointed { target: ui::under(app, area, cell), cell, gesture })
        }
        Input::Paste(text) => Some(Event::Paste(text)),
        Input::Resize(columns, rows) => Some(Event::Resized(columns, rows)),
        _ => None,
    }
}

/// The signals that end a session politely. To be listened to before the screen is taken: one that comes in
/// between would leave the terminal as it is then.
pub struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Within a runtime. From then on these signals no longer end the process by themselves.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Ctrl-C in an editor is the editor's, and not the end of the session.
    pub async fn received(&mut self, editing: bool) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => return,
                _ = self.interrupt.recv() => if !editing { return },
            }
        }
    }
}
