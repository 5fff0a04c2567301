//! Answers: which shape the caller accepts (object, metadata only, table), and bytes made of stored bytes.
//! It never parses an object that can be sent as it is stored; a long list is joined, not built.
use std::convert::Infallible;
use std::io::Write;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::call::{Call, Target};
use super::status::Status;
use super::{events, table};
use crate::lab::store::Object;

/// Answers longer than this are compressed for callers who accept gzip, as the real server does.
const WORTH_COMPRESSING: usize = 128 * 1024;
const CHUNK: usize = 128 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    None,
    Metadata,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Object,
    Metadata,
    Table(Include),
}

/// The shape of the answer; `meta` is the version of meta.k8s.io asked for.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    pub view: View,
    pub meta: &'static str,
}

impl Format {
    /// The first shape of the Accept header that the lab speaks. 406 when there is none (only protobuf).
    pub fn of(call: &Call) -> Result<Self, Status> {
        let include = match call.query.get("includeObject") {
            Some("None") => Include::None,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        };
        call.accept().split(',').find_map(|clause| Self::clause(clause.trim(), include)).ok_or_else(|| {
            let why = "only the following media types are accepted: application/json";
            Status::new(406, "NotAcceptable", why)
        })
    }

    fn clause(clause: &str, include: Include) -> Option<Self> {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (mut kind, mut meta) = ("", "v1");
        for part in parts {
            match part.split_once('=') {
                Some(("as", name)) => kind = name,
                Some(("v", "v1beta1")) => meta = "v1beta1",
                _ => {}
            }
        }
        if !["application/json", "*/*", "application/*", ""].contains(&media) {
            return None;
        }
        let view = match kind {
            "" => View::Object,
            "Table" => View::Table(include),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => View::Metadata,
            _ => return None,
        };
        Some(Self { view, meta })
    }
}

/// One object as an element of a list or a watch event under this format (a table row for tables).
pub fn element(call: &Call, target: &Target, format: Format, object: &Object) -> Bytes {
    match format.view {
        View::Object if target.is_new_events() => events::to_new(&object.value()).to_string().into(),
        View::Object => object.json().clone(),
        View::Metadata => metadata_only(object),
        View::Table(include) => table::row(object, include, call.now),
    }
}

/// `PartialObjectMetadata` of an object.
pub fn metadata_only(object: &Object) -> Bytes {
    #[derive(Deserialize)]
    struct Slim<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let metadata = serde_json::from_slice::<Slim<'_>>(object.json()).map_or("{}", |slim| slim.metadata.get());
    Bytes::from(format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata}}}"
    ))
}

/// One object as a whole answer.
pub fn object(call: &Call, target: &Target, code: u16, object: &Object) -> Result<Response<Body>, Status> {
    let format = Format::of(call)?;
    let element = element(call, target, format, object);
    if !matches!(format.view, View::Table(_)) {
        return Ok(bytes(call, code, element));
    }
    let metadata = json!({"resourceVersion": object.revision.to_string()});
    let text = table::table(format.meta, &metadata, &table::definitions(object.resource), &[element]);
    Ok(bytes(call, code, text.into()))
}

pub fn value(call: &Call, code: u16, value: &Value) -> Response<Body> {
    bytes(call, code, value.to_string().into())
}

pub fn bytes(call: &Call, code: u16, text: Bytes) -> Response<Body> {
    let gzip = call.takes_gzip() && text.len() > WORTH_COMPRESSING;
    answer(code, gzip, std::iter::once(text))
}

/// `head`, the parts with commas between, `tail`.
pub fn joined(call: &Call, head: String, parts: Vec<Bytes>, tail: &'static str) -> Response<Body> {
    let size: usize = parts.iter().map(Bytes::len).sum();
    let comma = Bytes::from_static(b",");
    let first = std::iter::once(Bytes::from(head));
    let middle = parts.into_iter().enumerate().flat_map(move |(number, part)| {
        let before = if number == 0 { Bytes::new() } else { comma.clone() };
        [before, part]
    });
    let all = first.chain(middle).chain(std::iter::once(Bytes::from_static(tail.as_bytes())));
    answer(200, call.takes_gzip() && size > WORTH_COMPRESSING, coalesced(all))
}

fn answer(code: u16, gzip: bool, parts: impl Iterator<Item = Bytes> + Send + 'static) -> Response<Body> {
    let body = if gzip {
        compressed(parts)
    } else {
        Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)))
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

/// Small parts gathered into chunks worth a write.
fn coalesced(mut parts: impl Iterator<Item = Bytes>) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let mut chunk = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        for part in parts.by_ref() {
            chunk.extend_from_slice(&part);
            if chunk.len() >= CHUNK {
                break;
            }
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    })
}

/// Compressed on a thread of its own and sent as it comes, so that the reader can begin at once.
fn compressed(parts: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(8);
    tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(CHUNK), Compression::fast());
        for part in parts {
            if encoder.write_all(&part).is_err() {
                return;
            }
            if encoder.get_ref().len() >= CHUNK / 2 {
                let ready = std::mem::take(encoder.get_mut());
                if sender.blocking_send(Ok(ready.into())).is_err() {
                    return;
                }
            }
        }
        let _ = sender.blocking_send(encoder.finish().map(Bytes::from));
    });
    from_channel(receiver)
}

/// A body fed from elsewhere; it ends when the senders are gone.
pub fn from_channel(receiver: mpsc::Receiver<Result<Bytes, std::io::Error>>) -> Body {
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (part, receiver))
    }))
}
