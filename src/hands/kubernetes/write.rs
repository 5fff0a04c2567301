//! One write to one object: the same request for the dry run and for the act. The only file besides its
//! neighbours for pods and exec that may call a writing verb.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::Body;
use kube::core::{Request, Status};
use serde_json::{Value, json};

use crate::domain::{MANAGER, ObjectRef, text};
use crate::probes::cluster::{Cluster, name_kind};
use crate::probes::trouble::Trouble;

/// What is written, and how.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Write {
    pub(super) object: ObjectRef,
    pub(super) part: Part,
    pub(super) how: How,
    pub(super) body: Value,
    /// In words: `scale deployment/web from 4 to 6 replicas`.
    pub(super) title: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Whole,
    Scale,
    Status,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    Strategic,
    Merge,
    Json,
    Apply {
        force: bool,
    },
    /// Takes the object away; the answer is null.
    Delete,
}

/// Whether the server shall only pretend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    DryRun,
    Real,
}

/// What the server made of a write.
pub(super) struct Answer {
    /// Of a scale the Scale, else the object; null for what was deleted.
    pub(super) object: Value,
    /// What it warns of (`Warning` headers): unknown fields, deprecated versions, Pod Security.
    pub(super) warnings: Vec<String>,
}

impl Write {
    /// Sends it, on the condition that the object is still at `version` (None: that it need not exist).
    #[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
    pub(super) async fn send(
        &self,
        cluster: &Cluster,
        version: Option<&str>,
        mode: Mode,
    ) -> Result<Answer, Trouble> {
        let api = cluster.api(self.object.kind, &self.object.key.namespace);
        let name = &*self.object.key.name;
        if self.how == How::Delete {
            let mut params = DeleteParams::default()
                .preconditions(Preconditions { uid: None, resource_version: version.map(str::to_owned) });
            params.dry_run = mode == Mode::DryRun;
            return match tokio::time::timeout(cluster.deadline(), api.delete(name, &params)).await {
                Ok(answer) => Ok(answer.map(|_| Answer { object: Value::Null, warnings: Vec::new() })?),
                Err(_) => Err(Trouble::unanswered(cluster.deadline())),
            };
        }
        let (patch, params) = self.patch(version, mode)?;
        let place = Request::new(api.resource_url());
        let request = match self.part {
            Part::Whole => place.patch(name, &params, &patch),
            Part::Scale => place.patch_subresource("scale", name, &params, &patch),
            Part::Status => place.patch_subresource("status", name, &params, &patch),
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        match tokio::time::timeout(cluster.deadline(), answer(&cluster.client(), request)).await {
            Ok(answer) => {
                let Answer { mut object, warnings } = answer?;
                name_kind(&mut object, self.object.kind);
                Ok(Answer { object, warnings })
            }
            Err(_) => Err(Trouble::unanswered(cluster.deadline())),
        }
    }

    fn patch(&self, version: Option<&str>, mode: Mode) -> Result<(Patch<Value>, PatchParams), Trouble> {
        let mut params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        params.dry_run = mode == Mode::DryRun;
        let patch = match self.how {
            How::Json => {
                let mut operations = self.body.as_array().cloned().unwrap_or_default();
                if let Some(version) = version {
                    let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
                    operations.insert(0, test);
                }
                Patch::Json(
                    serde_json::from_value(Value::Array(operations)).map_err(kube::Error::SerdeError)?,
                )
            }
            How::Merge => Patch::Merge(pinned(&self.body, version)),
            How::Strategic => Patch::Strategic(pinned(&self.body, version)),
            How::Apply { force } => {
                params.force = force;
                Patch::Apply(pinned(&self.body, version))
            }
            // Sent by itself, before there is a patch to make.
            How::Delete => Patch::Merge(Value::Null),
        };
        Ok((patch, params))
    }
}

/// Makes a new object; refused by the server where one of that name exists.
#[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
pub(super) async fn create(
    cluster: &Cluster,
    object: &ObjectRef,
    body: &Value,
    mode: Mode,
) -> Result<Answer, Trouble> {
    let place = Request::new(cluster.api(object.kind, &object.key.namespace).resource_url());
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    let request = place.create(&post(mode), body).map_err(kube::Error::BuildRequest)?;
    match tokio::time::timeout(cluster.deadline(), answer(&cluster.client(), request)).await {
        Ok(answer) => {
            let Answer { object: mut made, warnings } = answer?;
            name_kind(&mut made, object.kind);
            Ok(Answer { object: made, warnings })
        }
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}

/// The answer with its warnings, which the typed calls drop.
async fn answer(client: &kube::Client, request: http::Request<Vec<u8>>) -> Result<Answer, kube::Error> {
    let answer = client.send(request.map(Body::from)).await?;
    let (parts, body) = answer.into_parts();
    let body = body.collect_bytes().await?;
    if parts.status.is_client_error() || parts.status.is_server_error() {
        let told = serde_json::from_slice::<Status>(&body).ok().filter(|status| status.code >= 400);
        let status = told.unwrap_or_else(|| {
            let words = String::from_utf8_lossy(&body).into_owned();
            Status { code: parts.status.as_u16(), ..Status::failure(&words, "Unknown") }
        });
        return Err(kube::Error::Api(Box::new(status)));
    }
    let object = serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?;
    let warnings = parts.headers.get_all(http::header::WARNING).iter();
    let warnings = warnings.filter_map(|header| header.to_str().ok()).filter_map(warning).collect();
    Ok(Answer { object, warnings })
}

/// The words of `299 - "unknown field \"spec.foo\""`.
fn warning(header: &str) -> Option<String> {
    let words = header.split_once('"')?.1.rsplit_once('"')?.0;
    let words = words.replace("\\\"", "\"").replace("\\\\", "\\");
    Some(text::redact(&text::clean(&words))).filter(|words| !words.is_empty())
}

/// The body with the version it is meant for: the server answers 409 for any other.
fn pinned(body: &Value, version: Option<&str>) -> Value {
    let mut body = body.clone();
    if let (Some(version), Some(map)) = (version, body.as_object_mut())
        && let Some(metadata) = map.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
    {
        metadata.insert("resourceVersion".into(), version.into());
    }
    body
}

/// Parameters of a creating call, pretended or real.
pub(super) fn post(mode: Mode) -> PostParams {
    PostParams { dry_run: mode == Mode::DryRun, field_manager: Some(MANAGER.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_from_their_header() {
        let header = r#"299 - "would violate PodSecurity \"restricted:latest\": runAsNonRoot != true""#;
        let words = r#"would violate PodSecurity "restricted:latest": runAsNonRoot != true"#;
        assert_eq!(warning(header).as_deref(), Some(words));
        assert_eq!(warning("299 - nothing"), None);
    }
}
