//! Reading: one object, a list, or a page of a list pinned to the revision of its first page.
//! It knows paging and resourceVersion rules; shapes belong to `render`.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, Target};
use super::render::{self, Format, View};
use super::select::Selection;
use super::status::Status;
use super::table;
use crate::lab::store::{Object, Resource, Store};

/// How many unfinished paged lists are remembered; the oldest expires first.
const UNFINISHED: usize = 128;

/// Lists that are being read page by page.
#[derive(Default)]
pub struct Pages(Mutex<VecDeque<Arc<Pinned>>>);

/// The state a paged list shows from its first page to its last.
struct Pinned {
    id: u64,
    items: Vec<Arc<Object>>,
    revision: u64,
}

/// What a `continue` token says. A negative `rv` means "go on with what there is now".
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    /// `namespace/name` of the last object sent.
    start: String,
    id: u64,
}

struct Page {
    items: Vec<Arc<Object>>,
    revision: u64,
    next: Option<Token>,
    remaining: u64,
}

pub fn get(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let object = api
        .store
        .get(target.resource.plural, target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    render::object(call, target, 200, &object)
}

pub fn list(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let selection = Selection::of(call, target)?;
    let format = Format::of(call)?;
    check_version(api, call, target)?;
    let page = page(api, call, target, &selection)?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(token) = &page.next {
        metadata["continue"] = encode(token).into();
        if selection.takes_all() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    let items: Vec<_> =
        page.items.iter().map(|object| render::element(call, target, format, object)).collect();
    Ok(render::joined(call, head(target, format, &metadata), items, "]}"))
}

/// The objects a request selects right now, for others who act on lists.
pub fn selected(api: &Api, call: &Call, target: &Target) -> Result<Vec<Arc<Object>>, Status> {
    let selection = Selection::of(call, target)?;
    Ok(now(&api.store, target, &selection).0)
}

fn head(target: &Target, format: Format, metadata: &Value) -> String {
    let (kind, version) = match format.view {
        View::Table(_) => {
            return table::head(format.meta, metadata, &table::definitions(target.resource));
        }
        View::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        View::Object if target.is_new_events() => ("EventList".to_owned(), "events.k8s.io/v1".to_owned()),
        View::Object => (format!("{}List", target.resource.kind), target.resource.api_version()),
    };
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[")
}

/// A version from the future is refused; an exact one must still be the present one.
fn check_version(api: &Api, call: &Call, target: &Target) -> Result<(), Status> {
    let Some(wanted) = call.query.number("resourceVersion")? else { return Ok(()) };
    let current = api.store.revision();
    if wanted > current {
        return Err(Status::too_large_version(wanted, current));
    }
    let exact = call.query.get("resourceVersionMatch") == Some("Exact");
    if exact && wanted < api.store.last_change(target.resource.plural) {
        let message = format!("The resourceVersion for the provided list is too old: {wanted}.");
        return Err(Status::new(410, "Expired", message));
    }
    Ok(())
}

fn page(api: &Api, call: &Call, target: &Target, selection: &Selection) -> Result<Page, Status> {
    let limit = call.query.number("limit")?.unwrap_or(0) as usize;
    // Like the real server's watch cache: a list at version 0 is answered whole.
    let whole = limit == 0 || call.query.get("resourceVersion") == Some("0");
    if let Some(token) = call.query.get("continue") {
        let token = decode(token)?;
        let pinned = if token.rv < 0 {
            let (items, revision) = now(&api.store, target, selection);
            api.pages.pin(items, revision)
        } else {
            api.pages.find(&api.store, target.resource, &token)?
        };
        return Ok(api.pages.cut(&pinned, Some(&token.start), limit));
    }
    let (items, revision) = now(&api.store, target, selection);
    if whole || items.len() <= limit {
        return Ok(Page { items, revision, next: None, remaining: 0 });
    }
    let pinned = api.pages.pin(items, revision);
    Ok(api.pages.cut(&pinned, None, limit))
}

fn now(store: &Store, target: &Target, selection: &Selection) -> (Vec<Arc<Object>>, u64) {
    let (mut items, revision) = store.list(target.resource.plural, target.namespace.as_deref());
    if !selection.takes_all() {
        items.retain(|object| selection.takes(object));
    }
    (items, revision)
}

impl Pages {
    fn pin(&self, items: Vec<Arc<Object>>, revision: u64) -> Arc<Pinned> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = all.back().map_or(1, |last| last.id + 1);
        let pinned = Arc::new(Pinned { id, items, revision });
        all.push_back(pinned.clone());
        if all.len() > UNFINISHED {
            all.pop_front();
        }
        pinned
    }

    /// 410 when the list was forgotten, or its revision compacted away meanwhile.
    fn find(&self, store: &Store, resource: &Resource, token: &Token) -> Result<Arc<Pinned>, Status> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|pinned| pinned.id == token.id && pinned.revision == token.rv as u64);
        let alive = found.filter(|pinned| pinned.revision >= store.oldest(resource.plural));
        alive.cloned().ok_or_else(|| {
            let mut status = Status::new(410, "Expired", TOO_OLD);
            let resume = Token { v: token.v.clone(), rv: -1, start: token.start.clone(), id: 0 };
            status.resume = Some(encode(&resume));
            status
        })
    }

    fn cut(&self, pinned: &Arc<Pinned>, after: Option<&str>, limit: usize) -> Page {
        let start =
            after.map_or(0, |after| pinned.items.partition_point(|object| key(object).as_str() <= after));
        let limit = if limit == 0 { usize::MAX } else { limit };
        let items: Vec<_> = pinned.items[start..].iter().take(limit).cloned().collect();
        let remaining = pinned.items.len() - start - items.len();
        let next = items.last().filter(|_| remaining > 0).map(|last| Token {
            v: "meta.k8s.io/v1".into(),
            rv: pinned.revision as i64,
            start: key(last),
            id: pinned.id,
        });
        if next.is_none() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other.id != pinned.id);
        }
        Page { items, revision: pinned.revision, next, remaining: remaining as u64 }
    }
}

fn key(object: &Object) -> String {
    format!("{}/{}", object.namespace, object.name)
}

fn encode(token: &Token) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default())
}

fn decode(text: &str) -> Result<Token, Status> {
    let bad = || Status::bad_request("continue key is not valid: the token cannot be read");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    serde_json::from_slice(&bytes).map_err(|_| bad())
}

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start \
a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
deleted between the time the first chunk was returned and now may show up in the list.";
