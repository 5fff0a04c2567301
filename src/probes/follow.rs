//! A container's log as it grows. Lines of any length cost a bounded amount of memory; what nobody takes in
//! time is dropped and counted, never silently.

use std::io;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt, Stream, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;

use super::cluster::Cluster;
use super::object::is_finished;
use super::trouble::{Trouble, TroubleKind};
use crate::domain::{Key, Kind, Name, ObjectRef, Timestamp, text};

/// Bytes kept of a line.
const WIDTH: usize = 8 * 1024;
/// Lines that may wait to be taken.
const QUEUE: usize = 2_000;
/// Before a log that ended is opened again.
const REOPEN: Duration = Duration::from_secs(1);

/// One line of a followed log, or how many were left out.
#[derive(Clone, PartialEq, Debug)]
pub enum LogLine {
    /// Cleaned and redacted; `cut` bytes were left off its end.
    Line { at: Option<Timestamp>, text: String, cut: usize },
    /// That many lines came faster than they could be taken.
    Dropped(u64),
    /// The stream ended, in words why.
    Ended(String),
}

pub(super) fn follow(
    cluster: Cluster,
    pod: Key,
    container: Option<Name>,
    previous: bool,
    tail: u32,
) -> impl Stream<Item = LogLine> + Send + use<> {
    let (lines, taken) = mpsc::channel(QUEUE);
    let reader = tokio::spawn(async move {
        let mut out = Out { lines, dropped: 0 };
        let why = read(&cluster, &pod, container.as_ref(), previous, tail, &mut out).await;
        out.end(why).await;
    });
    // The reader ends with the stream.
    let guard = AbortOnDrop(reader);
    stream::unfold((taken, guard), |(mut taken, guard)| async move {
        taken.recv().await.map(|line| (line, (taken, guard)))
    })
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The way out, with a count of what did not fit.
struct Out {
    lines: mpsc::Sender<LogLine>,
    dropped: u64,
}

impl Out {
    fn line(&mut self, line: LogLine) {
        if self.dropped > 0 && self.lines.try_send(LogLine::Dropped(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        if self.dropped > 0 || self.lines.try_send(line).is_err() {
            self.dropped += 1;
        }
    }

    async fn end(self, why: String) {
        if self.dropped > 0 {
            let _ = self.lines.send(LogLine::Dropped(self.dropped)).await;
        }
        let _ = self.lines.send(LogLine::Ended(why)).await;
    }
}

/// Reads until there is nothing more to come; returns why.
async fn read(
    cluster: &Cluster,
    pod: &Key,
    container: Option<&Name>,
    previous: bool,
    tail: u32,
    out: &mut Out,
) -> String {
    let api: Api<Pod> = Api::namespaced(cluster.client(), &pod.namespace);
    let mut last: Option<Timestamp> = None;
    loop {
        let params = LogParams {
            container: container.map(ToString::to_string),
            follow: !previous,
            previous,
            timestamps: true,
            tail_lines: last.is_none().then_some(i64::from(tail)),
            since_time: last,
            ..LogParams::default()
        };
        let opened = tokio::time::timeout(cluster.deadline(), api.log_stream(&pod.name, &params)).await;
        match opened {
            Ok(Ok(stream)) => {
                if let Err(error) = lines(stream, &mut last, out).await {
                    out.line(note(&format!("the log was interrupted: {error}")));
                }
                if previous {
                    return "end of the previous container's log".into();
                }
            }
            Ok(Err(error)) => match Trouble::from(error) {
                trouble if trouble.is(TroubleKind::Unanswered) => out.line(note(&trouble.says)),
                trouble if trouble.says.contains("waiting to start") => {}
                trouble => return trouble.to_string(),
            },
            Err(_) => out.line(note(&Trouble::unanswered(cluster.deadline()).says)),
        }
        if out.lines.is_closed() {
            return String::new();
        }
        tokio::time::sleep(REOPEN).await;
        match cluster.find(&ObjectRef::new(Kind::Pod, pod.clone())).await {
            Ok(None) => return format!("pod {pod} is gone"),
            Ok(Some(found)) if is_finished(&found) => return format!("pod {pod} has finished"),
            _ => {}
        }
    }
}

fn note(words: &str) -> LogLine {
    LogLine::Line { at: None, text: text::redact(&text::clean(&format!("— {words} —"))), cut: 0 }
}

/// Passes lines on until the stream ends. Lines at or before `last` were passed on already.
async fn lines(stream: impl AsyncBufRead, last: &mut Option<Timestamp>, out: &mut Out) -> io::Result<()> {
    let mut stream = std::pin::pin!(stream);
    let seen = *last;
    let mut line = Vec::new();
    let mut cut = 0;
    loop {
        let chunk = stream.fill_buf().await?;
        if chunk.is_empty() {
            if !line.is_empty() {
                pass(&line, cut, seen, last, out);
            }
            return Ok(());
        }
        let (used, ended) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (chunk.len(), false),
        };
        let text = &chunk[..used - usize::from(ended)];
        let room = WIDTH.saturating_sub(line.len()).min(text.len());
        line.extend_from_slice(&text[..room]);
        cut += text.len() - room;
        stream.consume_unpin(used);
        if ended {
            pass(&line, cut, seen, last, out);
            line.clear();
            cut = 0;
        }
    }
}

fn pass(line: &[u8], cut: usize, seen: Option<Timestamp>, last: &mut Option<Timestamp>, out: &mut Out) {
    let line = String::from_utf8_lossy(line);
    let (at, words) = match line.split_once(' ') {
        Some((stamp, words)) => match stamp.parse::<Timestamp>() {
            Ok(at) => (Some(at), words),
            Err(_) => (None, &*line),
        },
        None => (None, &*line),
    };
    if at.is_some() && at <= seen {
        return;
    }
    *last = at.max(*last);
    out.line(LogLine::Line { at, text: text::redact(&text::clean(words)), cut });
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    async fn collect(bytes: Vec<u8>, queue: usize) -> Vec<LogLine> {
        let (lines, mut taken) = mpsc::channel(queue);
        let mut out = Out { lines, dropped: 0 };
        super::lines(Cursor::new(bytes), &mut None, &mut out).await.expect("a readable log");
        let mut all = Vec::new();
        while let Ok(line) = taken.try_recv() {
            all.push(line);
        }
        let ended = tokio::spawn(out.end("end".into()));
        while let Some(line) = taken.recv().await {
            all.push(line);
        }
        ended.await.expect("it ends");
        all
    }

    #[tokio::test]
    async fn a_line_of_ten_megabytes_is_cut_and_says_so() {
        let mut bytes = b"2026-01-01T00:00:00Z ".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 10 << 20));
        bytes.extend(b"\n2026-01-01T00:00:01Z next\n");
        let lines = collect(bytes, 10).await;
        let LogLine::Line { text, cut, .. } = &lines[0] else { unreachable!("{lines:?}") };
        assert!(text.len() <= WIDTH);
        assert!(*cut > 9 << 20);
        assert!(matches!(&lines[1], LogLine::Line { text, cut: 0, .. } if text == "next"));
    }

    #[tokio::test]
    async fn what_nobody_takes_is_counted() {
        let bytes = "line\n".repeat(100).into_bytes();
        let lines = collect(bytes, 10).await;
        let shown = lines.iter().filter(|line| matches!(line, LogLine::Line { .. })).count();
        let dropped: u64 =
            lines.iter().map(|line| if let LogLine::Dropped(count) = line { *count } else { 0 }).sum();
        assert_eq!(shown as u64 + dropped, 100);
        assert!(dropped > 0);
    }
}
