//! Watching: changes as a stream of lines, with initial events, bookmarks, selectors and expiry.
//! It knows the watch protocol; where changes come from is the store's business.
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Api;
use super::call::{Call, Target};
use super::render::{self, Format, View};
use super::select::Selection;
use super::status::Status;
use super::table;
use crate::lab::store::{Change, Changed, Object, Watch};

/// The real server sends one about every minute; a lab that is watched for minutes wants them sooner.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);
/// When the caller names no timeout (the real server chooses between 30 and 60 minutes).
const LONGEST: u64 = 1800;

type Sender = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// The caller is gone.
struct Gone;

struct Stream {
    call: Call,
    target: Target,
    format: Format,
    selection: Selection,
    bookmarks: bool,
    /// A table's columns are sent with its first event only.
    columns_sent: bool,
    sender: Sender,
}

pub fn watch(api: &Arc<Api>, call: Call, target: Target) -> Result<Response<Body>, Status> {
    let selection = Selection::of(&call, &target)?;
    let format = Format::of(&call)?;
    let initial = call.query.get("sendInitialEvents").is_some();
    if initial && call.query.get("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(Status::new(
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let from = call.query.number("resourceVersion")?.unwrap_or(0);
    let timeout =
        Duration::from_secs(call.query.number("timeoutSeconds")?.unwrap_or(LONGEST).min(LONGEST * 4));
    let (sender, receiver) = mpsc::channel(64);
    let bookmarks = call.query.is("allowWatchBookmarks");
    let mut stream = Stream { call, target, format, selection, bookmarks, columns_sent: false, sender };
    let api = api.clone();
    tokio::spawn(async move {
        let _ = stream.run(&api, from, timeout).await;
    });
    let mut response = Response::new(render::from_channel(receiver));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Stream {
    async fn run(&mut self, api: &Api, from: u64, timeout: Duration) -> Result<(), Gone> {
        let asked = self.call.query.get("sendInitialEvents");
        let start = if asked == Some("true") || (asked.is_none() && from == 0) {
            self.initial(api, asked.is_some()).await?
        } else if from == 0 {
            api.store.revision()
        } else {
            from
        };
        match api.store.watch(self.target.resource.plural, start) {
            Ok(watch) => self.follow(api, watch, timeout).await,
            Err(expired) => self.fail(&expired.into()).await,
        }
    }

    /// Everything there is, and for a streamed list the bookmark that ends it.
    async fn initial(&mut self, api: &Api, bookmark: bool) -> Result<u64, Gone> {
        let (objects, revision) =
            api.store.list(self.target.resource.plural, self.target.namespace.as_deref());
        let mut batch = Vec::new();
        for object in &objects {
            if self.selection.takes(object) {
                self.event("ADDED", object, &mut batch);
            }
            if batch.len() > 64 * 1024 {
                self.send(std::mem::take(&mut batch)).await?;
            }
        }
        self.send(batch).await?;
        if bookmark && self.bookmarks {
            self.bookmark(revision, true).await?;
        }
        Ok(revision)
    }

    async fn follow(&mut self, api: &Api, mut watch: Watch, timeout: Duration) -> Result<(), Gone> {
        let end = Instant::now() + timeout;
        let mut next_bookmark = Instant::now() + BOOKMARK_EVERY;
        let sender = self.sender.clone();
        loop {
            tokio::select! {
                () = sender.closed() => return Err(Gone),
                () = api.stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(end) => {
                    return if self.bookmarks { self.bookmark(watch.revision(), false).await } else { Ok(()) };
                }
                () = tokio::time::sleep_until(next_bookmark), if self.bookmarks => {
                    let changes = watch.drain().unwrap_or_default();
                    self.changes(&changes).await?;
                    self.bookmark(watch.revision(), false).await?;
                    next_bookmark = Instant::now() + BOOKMARK_EVERY;
                }
                changes = watch.next() => match changes {
                    Ok(changes) => {
                        self.call.now = (api.clock)();
                        self.changes(&changes).await?;
                    }
                    Err(expired) => return self.fail(&expired.into()).await,
                },
            }
        }
    }

    async fn changes(&mut self, changes: &[Changed]) -> Result<(), Gone> {
        let mut batch = Vec::new();
        for changed in changes {
            let object = &changed.object;
            let within =
                self.target.namespace.as_ref().is_none_or(|namespace| *namespace == object.namespace);
            if !within {
                continue;
            }
            let takes_now = self.selection.takes(object);
            let took = changed.before.as_ref().is_some_and(|before| self.selection.takes(before));
            match (changed.change, took, takes_now) {
                (Change::Deleted, _, true) => self.event("DELETED", object, &mut batch),
                (Change::Deleted, ..) | (_, false, false) => {}
                (_, false, true) => self.event("ADDED", object, &mut batch),
                (_, true, true) => self.event("MODIFIED", object, &mut batch),
                (_, true, false) => self.event("DELETED", object, &mut batch),
            }
        }
        self.send(batch).await
    }

    fn event(&mut self, kind: &str, object: &Object, batch: &mut Vec<u8>) {
        let element = render::element(&self.call, &self.target, self.format, object);
        batch.extend_from_slice(b"{\"type\":\"");
        batch.extend_from_slice(kind.as_bytes());
        batch.extend_from_slice(b"\",\"object\":");
        if matches!(self.format.view, View::Table(_)) {
            let columns = if std::mem::replace(&mut self.columns_sent, true) {
                Value::Null
            } else {
                table::definitions(self.target.resource)
            };
            let metadata = json!({"resourceVersion": object.revision.to_string()});
            let text = table::table(self.format.meta, &metadata, &columns, &[element]);
            batch.extend_from_slice(text.as_bytes());
        } else {
            batch.extend_from_slice(&element);
        }
        batch.extend_from_slice(b"}\n");
    }

    async fn bookmark(&self, revision: u64, ends_initial: bool) -> Result<(), Gone> {
        let resource = self.target.resource;
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.format.view {
            View::Object => {
                let version = if self.target.is_new_events() {
                    "events.k8s.io/v1".into()
                } else {
                    resource.api_version()
                };
                json!({"kind": resource.kind, "apiVersion": version, "metadata": metadata})
            }
            View::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            View::Table(_) => {
                let object = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
                json!({"kind": "Table", "apiVersion": format!("meta.k8s.io/{}", self.format.meta),
                       "metadata": {"resourceVersion": revision.to_string()}, "columnDefinitions": null,
                       "rows": [{"cells": [], "object": object}]})
            }
        };
        self.send(format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n").into_bytes()).await
    }

    async fn fail(&self, status: &Status) -> Result<(), Gone> {
        self.send(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.body()).into_bytes()).await
    }

    async fn send(&self, text: Vec<u8>) -> Result<(), Gone> {
        if text.is_empty() {
            return Ok(());
        }
        self.sender.send(Ok(text.into())).await.map_err(|_| Gone)
    }
}
