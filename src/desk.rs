//! What was asked for and is still under way: each effect becomes a task beside the loop that answers with
//! events. Nothing here waits, and nothing here draws.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::{Document, Effect, Event, Request};
use crate::domain::{Change, ChangeKind, Fact, Observation, Origin, Timestamp};
use crate::guard::{Actor, Preview, Refusal};
use crate::journal::{Ending, EntryId, Journal, Outcome};
use crate::probes::LogLine;
use crate::run::{Arms, Cockpit, Reach};

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
            Effect::Review { request, access } => {
                if let Some(reach) = reach {
                    self.beside(request, async move {
                        let allowed = reach.probes.may(&access).await?;
                        Some(Event::Reviewed { access, allowed })
                    });
                }
            }
            Effect::ReadKeys { request, config_map } => {
                if let Some(reach) = reach {
                    self.beside(request, async move {
                        let keys = reach.probes.config_keys(&config_map).await.ok()?;
                        Some(Event::Keys { config_map, keys })
                    });
                }
            }
            Effect::ReadValue { request, config_map, key } => self.beside(request, async move {
                let value = match reach {
                    Some(reach) => reach.probes.config_value(&config_map, &key).await,
                    None => Err("not connected to a cluster yet".to_owned()),
                };
                Some(Event::Value { request, value })
            }),
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
            Effect::Confirm { request, preview, typed, undoes } => match (reach, cockpit.arms.clone()) {
                (Some(reach), Some(arms)) => {
                    let token = self.token(request);
                    let deed = Deed {
                        request,
                        undoes,
                        clock: cockpit.clock,
                        observe: cockpit.observe.clone(),
                        answers,
                    };
                    tokio::spawn(deed.carry_out(reach, arms, *preview, typed, token));
                }
                (None, Some(_)) => self.not_connected(request),
                (_, None) => self.refuse(request, read_only()),
            },
            Effect::Quit
            | Effect::Drill
            | Effect::Copy(_)
            | Effect::Edit { .. }
            | Effect::Suspend
            | Effect::Redraw => {}
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
    /// The action it takes back.
    undoes: Option<EntryId>,
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
        let entry = match arms.journal.lock().await.enter_undo(warrant, self.undoes.clone()) {
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
        let began = (self.clock)();
        let outcome = reach.hands.perform(entry, progress, token).await;
        if let Err(error) = arms.journal.lock().await.close(&outcome) {
            self.answer(Event::Notice(format!("the outcome could not be written to the journal: {error}")))
                .await;
        }
        if let Some(change) = as_change(&outcome, began, &reach.who) {
            let seen = Ok(Fact::Acted(change));
            let _ = self.observe.send(Observation { at: outcome.at, origin: Origin::Cockpit, seen }).await;
        }
        self.answer(Event::Finished { request, outcome }).await;
    }

    async fn answer(&self, event: Event) {
        let _ = self.answers.send(event).await;
    }
}

/// What the timeline says of an outcome; nothing of an action that did not happen. It counts from when it was begun: to
/// see it through may take minutes, and what it does it does before that.
fn as_change(outcome: &Outcome, began: Timestamp, who: &Actor) -> Option<Change> {
    let says = match &outcome.result {
        Ending::Performed(says) | Ending::Unverified(says) => says.clone(),
        Ending::Unknown(says) => format!("unknown outcome: {says}"),
        Ending::Refused(..) | Ending::Failed(_) => return None,
    };
    let object = outcome.action.object()?;
    Some(Change { at: began, kind: ChangeKind::Ours, object, says, by: Some(who.to_string().into()) })
}
