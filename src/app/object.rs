//! One object in full: its status, events and YAML, and for pods their logs.

use super::event::{Document, Effect, Request};
use super::text_view::TextView;
use crate::domain::{Action, Kind, Name, ObjectRef, Pod, Timestamp, Tone};

/// Lines of a log to begin with.
const TAIL: u32 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tab {
    Status,
    Events,
    Yaml,
    Logs,
}

impl Tab {
    pub fn title(self) -> &'static str {
        match self {
            Tab::Status => "Status",
            Tab::Events => "Events",
            Tab::Yaml => "YAML",
            Tab::Logs => "Logs",
        }
    }
}

#[derive(Debug)]
pub struct ObjectView {
    pub object: ObjectRef,
    pub tab: Tab,
    pub status: TextView,
    pub events: TextView,
    pub yaml: TextView,
    pub logs: LogView,
    /// The document is being fetched.
    pub fetching: Option<(Request, Timestamp)>,
    /// Why it could not be fetched.
    pub failed: Option<String>,
}

/// The log of one container.
#[derive(Debug, Default)]
pub struct LogView {
    pub text: TextView,
    pub containers: Vec<Name>,
    /// Into `containers`.
    pub container: usize,
    pub previous: bool,
    pub request: Option<Request>,
    /// Asked for and nothing came yet.
    pub waiting: Option<Timestamp>,
    /// How it ended, once it has.
    pub ended: Option<String>,
}

impl ObjectView {
    pub fn new(object: ObjectRef, pod: Option<&Pod>) -> Self {
        let containers: Vec<Name> = pod
            .map(|pod| pod.containers.iter().map(|container| container.name.clone()).collect())
            .unwrap_or_default();
        // The container that is in trouble is the one to read.
        let container = pod
            .and_then(|pod| pod.containers.iter().position(|container| !container.ready && !container.init))
            .or_else(|| pod.and_then(|pod| pod.containers.iter().position(|container| !container.init)))
            .unwrap_or_default();
        Self {
            object,
            tab: Tab::Status,
            status: TextView::default(),
            events: TextView::default(),
            yaml: TextView::default(),
            logs: LogView { containers, container, ..LogView::default() },
            fetching: None,
            failed: None,
        }
    }

    pub fn tabs(&self) -> &'static [Tab] {
        match self.object.kind {
            Kind::Pod => &[Tab::Status, Tab::Events, Tab::Yaml, Tab::Logs],
            _ => &[Tab::Status, Tab::Events, Tab::Yaml],
        }
    }

    pub fn next_tab(&mut self, by: isize) {
        let tabs = self.tabs();
        let here = tabs.iter().position(|tab| *tab == self.tab).unwrap_or_default();
        self.tab = tabs[(here as isize + by).rem_euclid(tabs.len() as isize) as usize];
    }

    pub fn text(&self) -> &TextView {
        match self.tab {
            Tab::Status => &self.status,
            Tab::Events => &self.events,
            Tab::Yaml => &self.yaml,
            Tab::Logs => &self.logs.text,
        }
    }

    pub fn text_mut(&mut self) -> &mut TextView {
        match self.tab {
            Tab::Status => &mut self.status,
            Tab::Events => &mut self.events,
            Tab::Yaml => &mut self.yaml,
            Tab::Logs => &mut self.logs.text,
        }
    }

    pub fn is_waiting(&self) -> bool {
        self.fetching.is_some() || self.logs.waiting.is_some()
    }

    pub fn awaits(&self, request: Request) -> bool {
        self.logs.request == Some(request) || self.fetching.is_some_and(|(fetch, _)| fetch == request)
    }

    pub fn learn(&mut self, document: Result<Document, String>) {
        self.fetching = None;
        match document {
            Ok(document) => {
                self.status = TextView::new(document.describe);
                self.events = TextView::new(document.events);
                self.yaml = TextView::new(document.yaml.into_iter().map(|line| (Tone::Plain, line)));
                self.failed = None;
            }
            Err(why) => self.failed = Some(why),
        }
    }

    pub fn fail(&mut self, request: Request, why: &str) {
        if self.logs.request == Some(request) {
            self.logs.end(Some(why.to_owned()));
        } else {
            self.learn(Err(why.to_owned()));
        }
    }

    /// Begins the log anew, of the chosen container and life; `stop` is what it stopped.
    pub fn follow(&mut self, request: Request, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.logs.stop();
        let logs = &mut self.logs;
        logs.text = TextView::default();
        logs.text.following = true;
        logs.request = Some(request);
        logs.waiting = Some(now);
        logs.ended = None;
        effects.push(Effect::Follow {
            request,
            pod: self.object.key.clone(),
            container: logs.containers.get(logs.container).cloned(),
            previous: logs.previous,
            tail: TAIL,
        });
        effects
    }

    /// The equivalent command of what is shown.
    pub fn command(&self) -> String {
        match self.tab {
            Tab::Status => Action::Describe { object: self.object.clone() }.as_command(),
            Tab::Events => Action::ListEvents { about: self.object.clone() }.as_command(),
            Tab::Yaml => {
                let describe = Action::Describe { object: self.object.clone() }.as_command();
                format!("{} -o yaml", describe.replacen("describe", "get", 1))
            }
            Tab::Logs => Action::Logs {
                pods: vec![self.object.key.clone()],
                container: self.logs.containers.get(self.logs.container).cloned(),
                previous: self.logs.previous,
                tail: TAIL,
                since: None,
            }
            .as_command(),
        }
    }
}

impl LogView {
    pub fn learn(&mut self, lines: &[String], dropped: u64) {
        self.waiting = None;
        self.text.dropped += dropped;
        for line in lines {
            self.text.push(tone_of(line), line);
        }
    }

    pub fn end(&mut self, why: Option<String>) {
        self.waiting = None;
        self.ended = Some(why.unwrap_or_else(|| "end of log".into()));
    }

    pub fn stop(&mut self) -> Vec<Effect> {
        self.waiting = None;
        let running = self.request.take().filter(|_| self.ended.is_none());
        running.map(Effect::Cancel).into_iter().collect()
    }
}

/// What a log line's level says of it; only obvious words, so that colours stay rare.
fn tone_of(line: &str) -> Tone {
    let start: String = line.chars().take(200).collect();
    let upper = start.to_ascii_uppercase();
    let has = |word: &str| {
        upper.match_indices(word).any(|(at, _)| {
            let edge = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
            edge(at.checked_sub(1).and_then(|before| upper.as_bytes().get(before)))
                && edge(upper.as_bytes().get(at + word.len()))
        })
    };
    if ["ERROR", "FATAL", "CRITICAL", "PANIC"].iter().any(|word| has(word)) {
        Tone::Bad
    } else if ["DEBUG", "TRACE"].iter().any(|word| has(word)) {
        Tone::Dim
    } else {
        Tone::Plain
    }
}
