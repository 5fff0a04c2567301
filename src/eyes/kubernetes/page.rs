//! The questions put to the API server, and its answers taken apart: pages of a list, lines of a watch.
//! An object that cannot be understood is left out; it never costs the others.

use std::borrow::Cow;

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::names::Names;
use super::wire::Meta;
use crate::domain::{Key, Kind, Name};
use crate::eyes::trouble::Trouble;

/// One page of a list.
pub(in crate::eyes) struct Page<T> {
    pub objects: Vec<T>,
    pub version: String,
    /// The token of the next page.
    pub next: Option<String>,
}

/// What a line of a watch says.
pub(in crate::eyes) enum Told<T> {
    Seen(T),
    Gone(Key),
    /// Nothing but a newer version.
    Bookmark,
    /// The bookmark that ends a streamed list.
    EndOfList,
}

/// A GET for a kind in one namespace or everywhere.
pub(in crate::eyes) fn request(
    kind: Kind,
    namespace: Option<&Name>,
    metadata: bool,
    list: bool,
    query: &[(&str, String)],
) -> Result<http::Request<Vec<u8>>, Trouble> {
    let mut path = match kind.group() {
        "" => format!("/api/{}", kind.version()),
        group => format!("/apis/{group}/{}", kind.version()),
    };
    if let Some(namespace) = namespace {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    let accept = match (metadata, list) {
        (false, _) => "application/json",
        (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    };
    get(&format!("{path}/{}", kind.plural()), query, accept)
}

/// A GET of any path of the API server.
pub(in crate::eyes) fn get(
    path: &str,
    query: &[(&str, String)],
    accept: &str,
) -> Result<http::Request<Vec<u8>>, Trouble> {
    let broken = |error: &dyn std::fmt::Display| Trouble::Undecodable(error.to_string());
    let mut url = Url::parse("http://server").map_err(|error| broken(&error))?;
    url.set_path(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    http::Request::get(target)
        .header(http::header::ACCEPT, accept)
        .body(Vec::new())
        .map_err(|error| broken(&error))
}

#[derive(Deserialize)]
struct ListWire<T> {
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

/// Takes a list apart. Where one object is not understood, each is tried alone.
pub(in crate::eyes) fn decode<W: DeserializeOwned, T>(
    body: &str,
    read: fn(W, &mut Names) -> Option<T>,
    names: &mut Names,
) -> Result<Page<T>, Trouble> {
    let (metadata, objects) = if let Ok(list) = serde_json::from_str::<ListWire<W>>(body) {
        let wires = list.items.unwrap_or_default();
        (list.metadata, wires.into_iter().filter_map(|wire| read(wire, names)).collect())
    } else {
        let list: ListWire<&RawValue> =
            serde_json::from_str(body).map_err(|error| Trouble::Undecodable(error.to_string()))?;
        let wires = list.items.unwrap_or_default();
        let all = wires.len();
        let objects: Vec<T> =
            wires.into_iter().filter_map(|raw| read(serde_json::from_str(raw.get()).ok()?, names)).collect();
        tracing::warn!(left_out = all - objects.len(), "objects are not understood");
        (list.metadata, objects)
    };
    Ok(Page {
        objects,
        version: metadata.resource_version.unwrap_or_default(),
        next: metadata.r#continue.filter(|token| !token.is_empty()),
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize, Default)]
struct Envelope {
    #[serde(default)]
    metadata: Meta,
}

#[derive(Deserialize, Default)]
struct StatusWire {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

/// Takes a line of a watch apart: what it says, and the version it leads to.
pub(in crate::eyes) fn event<W: DeserializeOwned, T>(
    line: &str,
    read: fn(W, &mut Names) -> Option<T>,
    names: &mut Names,
) -> Result<(Told<T>, Option<String>), Trouble> {
    let line: Line<'_> =
        serde_json::from_str(line).map_err(|error| Trouble::Undecodable(error.to_string()))?;
    if line.kind == "ERROR" {
        let status: StatusWire = serde_json::from_str(line.object.get()).unwrap_or_default();
        return Err(Trouble::answered(status.code, &status.message));
    }
    let Envelope { metadata } = serde_json::from_str(line.object.get()).unwrap_or_default();
    let told = match &*line.kind {
        "ADDED" | "MODIFIED" => {
            let wire = serde_json::from_str::<W>(line.object.get()).ok();
            wire.and_then(|wire| read(wire, names)).map(Told::Seen)
        }
        "DELETED" => metadata.key(names).map(Told::Gone),
        _ => {
            let ends = metadata.annotations.as_ref().and_then(|known| known.initial_events_end.as_deref());
            Some(if ends == Some("true") { Told::EndOfList } else { Told::Bookmark })
        }
    };
    if told.is_none() {
        tracing::warn!(kind = &*line.kind, "an object is not understood");
    }
    Ok((told.unwrap_or(Told::Bookmark), metadata.resource_version))
}
