//! One write to one object, and posts to the two servers: every writing call of this folder. A write is pretended
//! first, with the same request.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::config::Door;
use crate::domain::{Kind, MANAGER, Name, ObjectRef, text};
use crate::guard::Pin;
use crate::hands::difference::{Regard, content};
use crate::probes::cluster::{Cluster, value};
use crate::probes::object::string;
use crate::probes::trouble::{Trouble, TroubleKind};

/// How long one of the servers may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is written to an object.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A whole document into one entry, by server-side apply.
    Document {
        entry: String,
        text: String,
    },
    /// JSON patch operations, tests included.
    Json(Vec<Value>),
    Merge(Value),
}

/// Sends it, on the condition that the object is still at `version`; or has the server pretend.
#[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
pub(super) async fn send(
    cluster: &Cluster,
    object: &ObjectRef,
    version: &str,
    body: &Body,
    dry: bool,
) -> Result<Value, Trouble> {
    let mut params =
        PatchParams { field_manager: Some(MANAGER.into()), dry_run: dry, ..PatchParams::default() };
    let patch: Patch<Value> = match body {
        Body::Document { entry, text } => {
            params.force = true;
            Patch::Apply(document(object, version, entry, text))
        }
        Body::Json(operations) => {
            let mut all = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})];
            all.extend(operations.iter().cloned());
            Patch::Json(serde_json::from_value(Value::Array(all)).map_err(kube::Error::SerdeError)?)
        }
        Body::Merge(body) => {
            let mut body = body.clone();
            body["metadata"]["resourceVersion"] = version.into();
            Patch::Merge(body)
        }
    };
    let api = cluster.api(object.kind, &object.key.namespace);
    match timeout(cluster.deadline(), api.patch(&object.key.name, &params, &patch)).await {
        Ok(answer) => Ok(value(&answer?, object.kind)),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}

fn document(object: &ObjectRef, version: &str, entry: &str, text: &str) -> Value {
    let text = match object.kind {
        Kind::Secret => STANDARD.encode(text),
        _ => text.to_owned(),
    };
    json!({
        "apiVersion": object.kind.api_version(), "kind": object.kind.as_str(),
        "metadata": {
            "name": object.key.name, "namespace": object.key.namespace, "resourceVersion": version,
        },
        "data": {entry: text},
    })
}

pub(super) fn version(object: &Value) -> &str {
    string(object, "/metadata/resourceVersion")
}

/// An object as it is seen now.
pub(super) fn pin(object: &ObjectRef, found: &Value) -> Pin {
    Pin {
        object: object.clone(),
        uid: Some(Name::from(string(found, "/metadata/uid"))),
        resource_version: Some(version(found).into()),
        content: Some(content(found, Regard::SPEC)),
    }
}

/// A request that changes one of the servers. The body of a successful answer, or its refusal in its own words.
pub(super) async fn ask(
    door: &Door,
    method: http::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<String, Trouble> {
    match timeout(PATIENCE, request(door, method, path, body)).await {
        Ok(answer) => answer,
        Err(_) => Err(Trouble {
            kind: TroubleKind::Unanswered,
            says: format!("no answer within {} s", PATIENCE.as_secs()),
            repair: None,
        }),
    }
}

async fn request(
    door: &Door,
    method: http::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<String, Trouble> {
    match door {
        Door::Direct { client, base } => {
            let mut url = base.clone();
            url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
            let mut request = client.request(method, url);
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.send().await.map_err(|error| unanswered(&error.to_string()))?;
            let status = answer.status();
            let said = answer.text().await.map_err(|error| unanswered(&error.to_string()))?;
            if status.is_success() { Ok(said) } else { Err(refused(status.as_u16(), &said)) }
        }
        Door::Proxied { client, path: service } => {
            let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
            let request = http::Request::builder()
                .method(method)
                .uri(format!("{service}{path}"))
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(bytes)
                .map_err(|error| unanswered(&error.to_string()))?;
            client.request_text(request).await.map_err(|error| match error {
                kube::Error::Api(status) => refused(status.code, &status.message),
                other => Trouble::from(other),
            })
        }
    }
}

fn unanswered(why: &str) -> Trouble {
    Trouble { kind: TroubleKind::Unanswered, says: plain(why), repair: None }
}

fn refused(code: u16, said: &str) -> Trouble {
    let said: String = said.chars().take(400).collect();
    let kind = match code {
        401 | 403 | 405 => TroubleKind::Forbidden,
        404 => TroubleKind::Absent,
        502..=504 => TroubleKind::Unanswered,
        _ => TroubleKind::Refused,
    };
    Trouble { kind, says: format!("it answers {code}: {}", plain(&said)), repair: None }
}

fn plain(words: &str) -> String {
    text::redact(&text::clean(words)).split_whitespace().collect::<Vec<_>>().join(" ")
}
