//! What the containers of the lab have printed: the running instance and the one before it.
//! It knows neither pods' states nor the protocol that serves the lines.
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::watch;

/// A container's log file is rotated away after this many lines, or this many bytes of them.
const KEPT_LINES: usize = 20_000;
const KEPT_BYTES: usize = 16 << 20;

/// Cheap to clone. The kubelet of the world appends, the API reads.
#[derive(Clone)]
pub struct Logs(Arc<Shared>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub text: Arc<str>,
    /// Position in this instance's output, counted from 0; grows by one a line.
    pub number: u64,
}

struct Shared {
    by_container: RwLock<HashMap<Container, Instances>>,
    wake: watch::Sender<u64>,
}

type Container = (String, String, String);

/// The newest instance last; at most two.
type Instances = VecDeque<Instance>;

struct Instance {
    number: u32,
    lines: VecDeque<Line>,
    bytes: usize,
    next: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self(Arc::new(Shared { by_container: RwLock::default(), wake: watch::Sender::new(0) }))
    }
}

impl Logs {
    /// Adds a line. `instance` is the container's restart count; a higher one than before starts a new
    /// file and keeps only the previous. A line of an instance already gone is dropped.
    pub fn append(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        instance: u32,
        line: &str,
        at: Timestamp,
    ) {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let mut all = self.0.by_container.write().unwrap_or_else(PoisonError::into_inner);
        let instances = all.entry(key).or_default();
        if instances.back().is_none_or(|newest| newest.number < instance) {
            instances.push_back(Instance { number: instance, lines: VecDeque::new(), bytes: 0, next: 0 });
            if instances.len() > 2 {
                instances.pop_front();
            }
        }
        if let Some(file) = instances.iter_mut().find(|file| file.number == instance) {
            file.append(line, at);
        }
        drop(all);
        self.0.wake.send_modify(|count| *count += 1);
    }

    /// The lines of one instance from line `from` on; `None` if that instance has no file (it never
    /// printed, or was rotated away).
    pub fn read(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        instance: u32,
        from: u64,
    ) -> Option<Vec<Line>> {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let all = self.0.by_container.read().unwrap_or_else(PoisonError::into_inner);
        let file = all.get(&key)?.iter().find(|file| file.number == instance)?;
        let first = file.lines.front().map_or(file.next, |line| line.number);
        let skip = from.saturating_sub(first) as usize;
        Some(file.lines.iter().skip(skip).cloned().collect())
    }

    /// The newest instance that printed something.
    pub fn newest(&self, namespace: &str, pod: &str, container: &str) -> Option<u32> {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let all = self.0.by_container.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&key)?.back().map(|file| file.number)
    }

    /// Wakes after any line of any container.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.wake.subscribe()
    }

    /// The pod is gone, and its files with it.
    pub fn forget(&self, namespace: &str, pod: &str) {
        let mut all = self.0.by_container.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(ns, name, _), _| ns != namespace || name != pod);
        drop(all);
        self.0.wake.send_modify(|count| *count += 1);
    }
}

impl Instance {
    fn append(&mut self, text: &str, at: Timestamp) {
        self.bytes += text.len();
        self.lines.push_back(Line { at, text: text.into(), number: self.next });
        self.next += 1;
        while self.lines.len() > KEPT_LINES || (self.bytes > KEPT_BYTES && self.lines.len() > 1) {
            if let Some(rotated) = self.lines.pop_front() {
                self.bytes -= rotated.text.len();
            }
        }
    }
}
