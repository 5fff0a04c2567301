//! One kind of objects, watched for ever: a list that shows itself page by page (or streamed, where the server
//! can), then a watch that is renewed, resumed after an interruption, and restarted when its version is gone.

use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::names::Names;
use super::page::{self, Told};
use crate::domain::{Delta, Fact, Key, Keyed, Kind, Name, Origin};
use crate::eyes::api_server::{Session, Sessions, session};
use crate::eyes::tell::{Backoff, Tell, Unheard};
use crate::eyes::trouble::Trouble;

/// Objects told at once, at most.
const BATCH: usize = 500;
/// Objects of the first page, few enough to be on the screen at once (a server needs three times as long for 500),
/// and of the following.
const FIRST_PAGE: usize = 100;
const PAGE: usize = 500;
/// How long the server and the network may take for a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// A permission or a definition may appear later: look again this often.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// A busy server that doesn't say when to come back (its own `Retry-After` is a second).
const BUSY: Duration = Duration::from_secs(1);

/// What to watch, and how its objects become ours.
pub(in crate::eyes) struct Watch<W, T> {
    pub origin: Origin,
    pub kind: Kind,
    /// None: the whole cluster.
    pub namespace: Option<Name>,
    pub read: fn(W, &mut Names) -> Option<T>,
    pub fact: fn(Delta<T>) -> Fact,
    /// How long changes may wait for others to be told with them.
    pub hold: Duration,
    /// Ask for metadata only.
    pub metadata: bool,
    /// Ask for a streamed list first. Pages are compressed and streams are not, so the largest kinds are paged:
    /// 10 000 pods are 6 MB in pages and 90 MB streamed.
    pub streamed: bool,
    /// For a kind that not every cluster has: what a 404 means, and what to do.
    pub absent: Option<(&'static str, &'static str)>,
}

/// Why a look at the server ended before its time.
enum Broken {
    Trouble(Trouble),
    Unheard,
}

impl From<Unheard> for Broken {
    fn from(_: Unheard) -> Self {
        Broken::Unheard
    }
}

impl From<Trouble> for Broken {
    fn from(trouble: Trouble) -> Self {
        Broken::Trouble(trouble)
    }
}

impl From<kube::Error> for Broken {
    fn from(error: kube::Error) -> Self {
        Broken::Trouble(error.into())
    }
}

/// Where a watch stands.
struct Stand<T> {
    names: Names,
    /// The version everything up to which was told; None before the first list and after a 410.
    version: Option<String>,
    streamed: bool,
    /// A streamed list is under way: its versions are no place to go on from.
    listing: bool,
    /// Changes held back, and the version of the newest.
    seen: Vec<T>,
    gone: Vec<Key>,
    newest: Option<String>,
    /// Since the server last told something.
    failures: u32,
    backoff: Backoff,
}

impl<W: DeserializeOwned + Send + 'static, T: Keyed + Send + 'static> Watch<W, T> {
    /// Watches until nobody listens any more.
    pub(in crate::eyes) async fn run(self, mut sessions: Sessions, tell: Tell) {
        let mut stand = Stand {
            names: Names::default(),
            version: None,
            streamed: self.streamed,
            listing: false,
            seen: Vec::new(),
            gone: Vec::new(),
            newest: None,
            failures: 0,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
        };
        while let Some(session) = session(&mut sessions).await {
            sessions.mark_unchanged();
            stand.forget_untold();
            let looked = tokio::select! {
                looked = self.look(&session, &mut stand, &tell) => looked,
                changed = sessions.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            match looked {
                Ok(()) => {}
                Err(Broken::Unheard) => return,
                Err(Broken::Trouble(mut trouble)) => {
                    stand.failures += 1;
                    if self.absent.is_some() {
                        trouble = page::refused_or_absent(&session.client, self.kind.group(), trouble).await;
                    }
                    let Ok(wait) = self.mind(&trouble, &mut stand, &session, &tell).await else { return };
                    tokio::select! {
                        () = tell.rest(wait) => {}
                        changed = sessions.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// Says what stands in the way, and how long to wait.
    async fn mind(
        &self,
        trouble: &Trouble,
        stand: &mut Stand<T>,
        session: &Session,
        tell: &Tell,
    ) -> Result<Duration, Unheard> {
        match (trouble, self.absent) {
            (Trouble::Gone, _) => {
                stand.version = None;
                return Ok(if stand.failures > 2 { stand.backoff.next() } else { Duration::ZERO });
            }
            (Trouble::Answered(400 | 405 | 422, _), _) if stand.streamed && stand.version.is_none() => {
                stand.streamed = false;
                return Ok(Duration::ZERO);
            }
            (Trouble::Absent, Some((why, repair))) => tell.not_configured(self.origin, why, repair).await?,
            // A connection that breaks once is everyday life, and so is a server that is busy or changes its
            // leader; twice is worth a word.
            (
                Trouble::Unreachable(_)
                | Trouble::TimedOut(_)
                | Trouble::Busy(..)
                | Trouble::Answered(500..=599, _),
                _,
            ) if stand.failures < 2 && stand.version.is_some() => {}
            _ => tell.blind(self.origin, trouble.explain_for(self.kind, self.namespace.as_ref())).await?,
        }
        if matches!(trouble, Trouble::Unauthorized(_)) {
            session.expired.notify_one();
        }
        Ok(match trouble {
            Trouble::Forbidden(_) | Trouble::Absent | Trouble::NoNamespace(_) => REFUSED_AGAIN,
            Trouble::Busy(after, _) => stand.backoff.next().max(after.unwrap_or(BUSY)),
            _ => stand.backoff.next(),
        })
    }

    async fn look(&self, session: &Session, stand: &mut Stand<T>, tell: &Tell) -> Result<(), Broken> {
        if stand.version.is_none()
            && self.kind == Kind::Pod
            && let Some(namespace) = &self.namespace
        {
            page::exists(&session.client, namespace).await?;
        }
        if stand.version.is_none() && !stand.streamed {
            self.list(session, stand, tell).await?;
        }
        self.watch(session, stand, tell).await
    }

    async fn list(&self, session: &Session, stand: &mut Stand<T>, tell: &Tell) -> Result<(), Broken> {
        tell.fact(self.origin, (self.fact)(Delta::Relisting)).await?;
        let mut token: Option<String> = None;
        let mut limit = FIRST_PAGE;
        let mut body = Vec::new();
        loop {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(token.take().map(|token| ("continue", token)));
            let request = page::request(self.kind, self.namespace.as_ref(), self.metadata, true, &query)?;
            timeout(PATIENCE, page::read_into(&mut body, &session.client, request))
                .await
                .map_err(|_| Trouble::TimedOut(PATIENCE))??;
            let page = page::decode(&body, self.read, &mut stand.names)?;
            let mut objects = page.objects.into_iter();
            loop {
                let batch: Vec<T> = objects.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                tell.fact(self.origin, (self.fact)(Delta::Seen(batch))).await?;
            }
            limit = PAGE;
            token = page.next;
            if token.is_none() {
                tell.fact(self.origin, (self.fact)(Delta::Listed)).await?;
                stand.version = Some(page.version);
                return Ok(());
            }
        }
    }

    async fn watch(&self, session: &Session, stand: &mut Stand<T>, tell: &Tell) -> Result<(), Broken> {
        // Spread, so that all watches don't end together.
        let seconds = fastrand::u64(40..60);
        stand.listing = stand.version.is_none();
        let request = self.watch_request(stand.version.as_ref(), seconds)?;
        let stream = timeout(PATIENCE, session.client.request_stream(request))
            .await
            .map_err(|_| Trouble::TimedOut(PATIENCE))??;
        let first = if stand.listing { (self.fact)(Delta::Relisting) } else { Fact::Unchanged };
        tell.fact(self.origin, first).await?;
        let mut lines = stream.lines();
        let patience = Duration::from_secs(seconds + 10);
        let ends = Instant::now() + patience;
        let listed_by = Instant::now() + PATIENCE;
        let mut due: Option<Instant> = None;
        loop {
            let until = if stand.listing { listed_by } else { ends };
            let line = tokio::select! {
                line = timeout_at(until, lines.next()) => line,
                () = sleep_until(due.unwrap_or(ends)), if due.is_some() => {
                    due = None;
                    stand.tell(self, tell).await?;
                    continue;
                }
            };
            match line {
                Ok(Some(Ok(line))) => {
                    self.hear(&line, stand, tell).await?;
                    if !stand.is_told() && due.is_none() {
                        due = Some(Instant::now() + tell.hold(self.hold));
                    }
                    stand.failures = 0;
                    stand.backoff.reset();
                }
                // A server that doesn't know how to end a streamed list.
                Ok(None) | Err(_) if stand.listing => {
                    stand.streamed = false;
                    return Ok(());
                }
                ended => {
                    stand.tell(self, tell).await?;
                    return match ended {
                        Ok(Some(Err(error))) => Err(Trouble::Unreachable(error.to_string()).into()),
                        Err(_) => Err(Trouble::TimedOut(patience).into()),
                        _ => Ok(()),
                    };
                }
            }
        }
    }

    fn watch_request(
        &self,
        version: Option<&String>,
        seconds: u64,
    ) -> Result<http::Request<Vec<u8>>, Trouble> {
        let mut query = vec![
            ("watch", "1".to_owned()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("timeoutSeconds", seconds.to_string()),
        ];
        if let Some(version) = version {
            query.push(("resourceVersion", version.clone()));
        } else {
            query.push(("sendInitialEvents", "true".to_owned()));
            query.push(("resourceVersionMatch", "NotOlderThan".to_owned()));
        }
        page::request(self.kind, self.namespace.as_ref(), self.metadata, false, &query)
    }

    /// Takes one event.
    async fn hear(&self, line: &str, stand: &mut Stand<T>, tell: &Tell) -> Result<(), Broken> {
        let (told, version) = page::event::<W, T>(line, self.read, &mut stand.names)?;
        let mut ends_list = false;
        match told {
            Told::Seen(object) => {
                if !stand.gone.is_empty() || stand.seen.len() >= BATCH {
                    stand.tell(self, tell).await?;
                }
                stand.seen.push(object);
            }
            Told::Gone(key) => {
                if !stand.seen.is_empty() || stand.gone.len() >= BATCH {
                    stand.tell(self, tell).await?;
                }
                stand.gone.push(key);
            }
            Told::Bookmark => {}
            Told::EndOfList => ends_list = std::mem::take(&mut stand.listing),
        }
        stand.newest = version.or(stand.newest.take());
        if ends_list {
            stand.tell(self, tell).await?;
            tell.fact(self.origin, (self.fact)(Delta::Listed)).await?;
        } else if stand.is_told() {
            stand.advance();
        }
        Ok(())
    }
}

impl<T: Keyed> Stand<T> {
    fn is_told(&self) -> bool {
        self.seen.is_empty() && self.gone.is_empty()
    }

    /// Tells what is held back, and stands where it ends.
    async fn tell<W>(&mut self, watch: &Watch<W, T>, tell: &Tell) -> Result<(), Unheard> {
        if !self.seen.is_empty() {
            let seen = std::mem::take(&mut self.seen);
            tell.fact(watch.origin, (watch.fact)(Delta::Seen(seen))).await?;
        }
        if !self.gone.is_empty() {
            let gone = std::mem::take(&mut self.gone);
            tell.fact(watch.origin, (watch.fact)(Delta::Gone(gone))).await?;
        }
        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        if !self.listing && self.newest.is_some() {
            self.version = self.newest.take();
        }
    }

    /// What was held back when a look ended will be sent again.
    fn forget_untold(&mut self) {
        self.seen.clear();
        self.gone.clear();
        self.newest = None;
    }
}
