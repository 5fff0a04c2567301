//! The one loop: event → update → view → effect. Everything slow happens beside it, in tasks that answer
//! with events; the loop itself never waits for anything but the next event.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use color_eyre::Result;
use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Document, Effect, Event, Request};
use crate::domain::{Change, ChangeKind, Fact, Observation, Origin, Timestamp};
use crate::guard::{Actor, Armed, Preview, Refusal};
use crate::hands::Hands;
use crate::journal::{Ending, Journal, Outcome};
use crate::probes::{LogLine, Probes};
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
pub async fn run(mut cockpit: Cockpit, screen: &mut Screen) -> Result<Ended> {
    let mut signals = Signals::listen()?;
    let mut input = EventStream::new();
    let (answers, mut answered) = mpsc::channel::<Event>(256);
    let mut desk = Desk::new(answers);
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut batch = Vec::with_capacity(BATCH);
    let mut drawn = Instant::now();
    let mut dirty = false;

    loop {
        let wake = if dirty { FRAME.saturating_sub(drawn.elapsed()) } else { cockpit.app.wake_after() };
        let mut urgent = false;
        let event = tokio::select! {
            biased;
            () = signals.received() => return Ok(Ended::Quit),
            event = input.next() => match event {
                Some(Ok(event)) => { urgent = true; translate(event) }
                // The terminal is gone: reading on would spin.
                Some(Err(_)) | None => return Ok(Ended::Quit),
            },
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
        if let Some(event) = event {
            dirty = true;
            for effect in cockpit.app.update(event, (cockpit.clock)()) {
                match effect {
                    Effect::Quit => return Ok(Ended::Quit),
                    Effect::Drill => return Ok(Ended::Drill),
                    Effect::Copy(text) => screen.copy(&text)?,
                    Effect::Suspend => screen.suspend()?,
                    Effect::Redraw => screen.repaint()?,
                    other => desk.start(&cockpit, other),
                }
            }
        }
        if dirty && (urgent || drawn.elapsed() >= FRAME) {
            screen.draw(|frame| ui::view(&cockpit.app, frame))?;
            drawn = Instant::now();
            dirty = false;
        }
    }
}

/// Waits for a signal that ends a session politely.
pub async fn until_signalled() {
    if let Ok(mut signals) = Signals::listen() {
        signals.received().await;
    }
}

/// Key presses, not releases; everything else that matters.
fn translate(event: Input) -> Option<Event> {
    match event {
        Input::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(key)),
        Input::Mouse(mouse) => Some(Event::Mouse(mouse)),
        Input::Paste(text) => Some(Event::Paste(text)),
        Input::Resize(columns, rows) => Some(Event::Resized(columns, rows)),
        _ => None,
    }
}

/// The signals that end a session politely.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What was asked for and is still under way.
pub struct Desk {
    answers: mpsc::Sender<Event>,
    running: HashMap<Request, CancellationToken>,
}

impl Desk {
    /// Answers go to this channel.
    pub fn new(answers: mpsc::Sender<Event>) -> Self {
        Self { answers, running: HashMap::new() }
    }

    /// Begins what an effect asks for and returns at once. Effects on the terminal are the loop's own.
    pub fn start(&mut self, cockpit: &Cockpit, effect: Effect) {
        self.running.retain(|_, token| !token.is_cancelled());
        let answers = self.answers.clone();
        let now = (cockpit.clock)();
        let reach = cockpit.reach.borrow().clone();
        match effect {
            Effect::Cancel(request) => {
                if let Some(token) = self.running.remove(&request) {
                    token.cancel();
                }
            }
            Effect::ReadJournal => {
                let folder = cockpit.journal_folder.clone();
                tokio::spawn(async move {
                    let records = tokio::task::spawn_blocking(move || Journal::read(&folder)).await;
                    let event = match records {
                        Ok(Ok(records)) => Event::Journal(records),
                        Ok(Err(error)) => Event::Notice(format!("the journal cannot be read: {error}")),
                        Err(error) => Event::Notice(format!("the journal cannot be read: {error}")),
                    };
                    let _ = answers.send(event).await;
                });
            }
            Effect::Read { request, action } => match reach {
                Some(reach) => self.beside(request, async move {
                    Some(Event::Read { request, reading: reach.probes.read(&action, now).await })
                }),
                None => self.not_connected(request),
            },
            Effect::Fetch { request, object } => match reach {
                Some(reach) => self.beside(request, async move {
                    let document = reach.probes.detail(&object, now).await.map(|detail| Document {
                        describe: detail.describe,
                        events: detail.events,
                        yaml: detail.yaml,
                    });
                    Some(Event::Document { request, document })
                }),
                None => self.not_connected(request),
            },
            Effect::Follow { request, pod, container, previous, tail } => match reach {
                Some(reach) => self.beside(request, async move {
                    follow(reach, request, Log { pod, container, previous, tail }, answers).await
                }),
                None => self.not_connected(request),
            },
            Effect::Preview { request, action } => match (reach, cockpit.arms.clone()) {
                (Some(reach), Some(arms)) => self.beside(request, async move {
                    let preview = reach.hands.preview(&arms.armed, action, now).await;
                    Some(Event::Previewed { request, preview })
                }),
                (None, Some(_)) => self.not_connected(request),
                (_, None) => self.refuse(request, read_only()),
            },
            Effect::PreviewUndo { request, undo } => match (reach, cockpit.arms.clone()) {
                (Some(reach), Some(arms)) => self.beside(request, async move {
                    let preview = reach.hands.preview_undo(&arms.armed, &undo, now).await;
                    Some(Event::Previewed { request, preview })
                }),
                (None, Some(_)) => self.not_connected(request),
                (_, None) => self.refuse(request, read_only()),
            },
            Effect::Confirm { request, preview, typed } => match (reach, cockpit.arms.clone()) {
                (Some(reach), Some(arms)) => {
                    let token = self.token(request);
                    let deed =
                        Deed { request, clock: cockpit.clock, observe: cockpit.observe.clone(), answers };
                    tokio::spawn(deed.carry_out(reach, arms, *preview, typed, token));
                }
                (None, Some(_)) => self.not_connected(request),
                (_, None) => self.refuse(request, read_only()),
            },
            Effect::Quit | Effect::Drill | Effect::Copy(_) | Effect::Suspend | Effect::Redraw => {}
        }
    }

    fn token(&mut self, request: Request) -> CancellationToken {
        let token = CancellationToken::new();
        self.running.insert(request, token.clone());
        token
    }

    /// Work that may be dropped at any moment: it changes nothing.
    fn beside(&mut self, request: Request, work: impl Future<Output = Option<Event>> + Send + 'static) {
        let token = self.token(request);
        let answers = self.answers.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                event = work => if let Some(event) = event { let _ = answers.send(event).await; },
            }
        });
    }

    fn refuse(&mut self, request: Request, refusal: Refusal) {
        self.beside(request, async move { Some(Event::Refused { request, refusal }) });
    }

    fn not_connected(&mut self, request: Request) {
        let refusal = Refusal::new("not connected to a cluster yet")
            .repair("`covet-tui doctor` says what stands in the way");
        self.refuse(request, refusal);
    }
}

fn read_only() -> Refusal {
    Refusal::new("this session is read-only").repair("start covet-tui without --read-only to act")
}

struct Log {
    pod: crate::domain::Key,
    container: Option<crate::domain::Name>,
    previous: bool,
    tail: u32,
}

/// Streams a log as batches of lines, so that a flood costs a few events and not one each.
async fn follow(reach: Reach, request: Request, log: Log, answers: mpsc::Sender<Event>) -> Option<Event> {
    let stream = reach.probes.follow(&log.pod, log.container, log.previous, log.tail);
    let mut batches = std::pin::pin!(stream.ready_chunks(500));
    while let Some(batch) = batches.next().await {
        let mut lines = Vec::with_capacity(batch.len());
        let mut dropped = 0;
        let mut ended = None;
        for line in batch {
            match line {
                LogLine::Line { text, .. } => lines.push(text),
                LogLine::Dropped(count) => dropped += count,
                LogLine::Ended(why) => ended = Some(why),
            }
        }
        if !lines.is_empty() || dropped > 0 {
            answers.send(Event::LogLines { request, lines, dropped }).await.ok()?;
        }
        if ended.is_some() {
            return Some(Event::LogEnded { request, why: ended });
        }
    }
    Some(Event::LogEnded { request, why: None })
}

/// One confirmed action on its way from the guard to its outcome.
struct Deed {
    request: Request,
    clock: fn() -> Timestamp,
    observe: mpsc::Sender<Observation>,
    answers: mpsc::Sender<Event>,
}

impl Deed {
    /// Guard, journal, hand, journal: in this order or not at all.
    async fn carry_out(
        self,
        reach: Reach,
        arms: Arc<Arms>,
        preview: Preview,
        typed: String,
        token: CancellationToken,
    ) {
        let request = self.request;
        let warrant = match arms.armed.confirm(preview, &typed, reach.who.clone(), (self.clock)()) {
            Ok(warrant) => warrant,
            Err(refusal) => return self.answer(Event::Refused { request, refusal }).await,
        };
        let entry = match arms.journal.lock().await.enter(warrant) {
            Ok(entry) => entry,
            Err(error) => {
                let refusal =
                    Refusal::new(format!("the journal cannot be written, so nothing was done: {error}"))
                        .repair("free space or mend the permissions of the state directory");
                return self.answer(Event::Refused { request, refusal }).await;
            }
        };
        let (progress, mut lines) = mpsc::channel::<String>(64);
        let answers = self.answers.clone();
        tokio::spawn(async move {
            while let Some(says) = lines.recv().await {
                let _ = answers.send(Event::Progress { request, says }).await;
            }
        });
        let outcome = reach.hands.perform(entry, progress, token).await;
        if let Err(error) = arms.journal.lock().await.close(&outcome) {
            self.answer(Event::Notice(format!("the outcome could not be written to the journal: {error}")))
                .await;
        }
        if let Some(change) = as_change(&outcome, &reach.who) {
            let seen = Ok(Fact::Acted(change));
            let _ = self.observe.send(Observation { at: outcome.at, origin: Origin::Cockpit, seen }).await;
        }
        self.answer(Event::Finished { request, outcome }).await;
    }

    async fn answer(&self, event: Event) {
        let _ = self.answers.send(event).await;
    }
}

/// What the timeline says of an outcome; nothing of an action that did not happen.
fn as_change(outcome: &Outcome, who: &Actor) -> Option<Change> {
    let says = match &outcome.result {
        Ending::Performed(says) | Ending::Unverified(says) => says.clone(),
        Ending::Unknown(says) => format!("unknown outcome: {says}"),
        Ending::Refused(..) | Ending::Failed(_) => return None,
    };
    let object = outcome.action.object()?;
    Some(Change { at: outcome.at, kind: ChangeKind::Ours, object, says, by: Some(who.to_string().into()) })
}
