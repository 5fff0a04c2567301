//! The questions put to the API server, and its answers taken apart: pages of a list, lines of a watch.
//! An object that cannot be understood is left out; it never costs the others.

use std::borrow::Cow;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures::AsyncReadExt;
use reqwest::Url;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::names::Names;
use super::wire::Meta;
use crate::domain::{Key, Kind, Name};
use crate::eyes::trouble::Trouble;

/// How long a list waits to know whether its namespace is there.
const BRIEFLY: Duration = Duration::from_secs(3);

/// The whole body of an answer, in place of what was there: pages are megabytes, and buffers of that size that come
/// and go leave holes in the heap that nothing fills.
pub(in crate::eyes) async fn read_into(
    body: &mut Vec<u8>,
    client: &kube::Client,
    request: http::Request<Vec<u8>>,
) -> Result<(), Trouble> {
    body.clear();
    let stream = client.request_stream(request).await?;
    pin!(stream).read_to_end(body).await.map_err(|error| Trouble::Unreachable(error.to_string()))?;
    Ok(())
}

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

/// Whether a namespace is there. Who may not ask, or gets no answer, is not told that it isn't.
pub(in crate::eyes) async fn exists(client: &kube::Client, namespace: &Name) -> Result<(), Trouble> {
    let request = get(&format!("/api/v1/namespaces/{namespace}"), &[], "application/json")?;
    match timeout(BRIEFLY, client.request_text(request)).await {
        // Another 404 comes from a proxy or gateway that serves no namespaces.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 && status.reason == "NotFound" => {
            Err(Trouble::NoNamespace(namespace.clone()))
        }
        _ => Ok(()),
    }
}

/// A refusal as it is meant: a server refuses what it does not even serve to who may not ask for it, but tells
/// everybody which groups it serves.
pub(in crate::eyes) async fn refused_or_absent(
    client: &kube::Client,
    group: &str,
    trouble: Trouble,
) -> Trouble {
    if !matches!(trouble, Trouble::Forbidden(_)) {
        return trouble;
    }
    let Ok(request) = get(&format!("/apis/{group}"), &[], "application/json") else { return trouble };
    match timeout(BRIEFLY, client.request_text(request)).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Trouble::Absent,
        _ => trouble,
    }
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

/// Takes a list apart, each object as it is read. Where one is not understood, each is tried alone.
pub(in crate::eyes) fn decode<W: DeserializeOwned, T>(
    body: &[u8],
    read: fn(W, &mut Names) -> Option<T>,
    names: &mut Names,
) -> Result<Page<T>, Trouble> {
    let whole = List { read, names: &mut *names };
    let (metadata, objects) = match whole.deserialize(&mut serde_json::Deserializer::from_slice(body)) {
        Ok(list) => list,
        Err(_) => one_by_one(body, read, names)?,
    };
    Ok(Page {
        objects,
        version: metadata.resource_version.unwrap_or_default(),
        next: metadata.r#continue.filter(|token| !token.is_empty()),
    })
}

fn one_by_one<W: DeserializeOwned, T>(
    body: &[u8],
    read: fn(W, &mut Names) -> Option<T>,
    names: &mut Names,
) -> Result<(ListMeta, Vec<T>), Trouble> {
    let list: ListWire<&RawValue> =
        serde_json::from_slice(body).map_err(|error| Trouble::Undecodable(error.to_string()))?;
    let wires = list.items.unwrap_or_default();
    let all = wires.len();
    let objects: Vec<T> =
        wires.into_iter().filter_map(|raw| read(serde_json::from_str(raw.get()).ok()?, names)).collect();
    tracing::warn!(left_out = all - objects.len(), "objects are not understood");
    Ok((list.metadata, objects))
}

/// Turns each object into ours before the next is read, so that a page is never held twice.
struct List<'n, W, T> {
    read: fn(W, &mut Names) -> Option<T>,
    names: &'n mut Names,
}

impl<'de, W: DeserializeOwned, T> DeserializeSeed<'de> for List<'_, W, T> {
    type Value = (ListMeta, Vec<T>);

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<Self::Value, D::Error> {
        list.deserialize_map(self)
    }
}

impl<'de, W: DeserializeOwned, T> Visitor<'de> for List<'_, W, T> {
    type Value = (ListMeta, Vec<T>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut metadata, mut objects) = (None, Vec::new());
        while let Some(key) = list.next_key::<Cow<'_, str>>()? {
            match &*key {
                "metadata" => metadata = list.next_value()?,
                "items" => {
                    objects =
                        list.next_value_seed(Items(List { read: self.read, names: &mut *self.names }))?;
                }
                _ => drop(list.next_value::<IgnoredAny>()?),
            }
        }
        Ok((metadata.unwrap_or_default(), objects))
    }
}

struct Items<'n, W, T>(List<'n, W, T>);

impl<'de, W: DeserializeOwned, T> DeserializeSeed<'de> for Items<'_, W, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, items: D) -> Result<Self::Value, D::Error> {
        items.deserialize_any(self)
    }
}

impl<'de, W: DeserializeOwned, T> Visitor<'de> for Items<'_, W, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(wire) = items.next_element::<W>()? {
            objects.extend((self.0.read)(wire, self.0.names));
        }
        Ok(objects)
    }
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
