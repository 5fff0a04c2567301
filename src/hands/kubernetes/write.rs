//! One write to one object: the same request for the dry run and for the act. The only file besides its
//! neighbours for pods and exec that may call a writing verb.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::domain::ObjectRef;
use crate::probes::cluster::{Cluster, value};
use crate::probes::trouble::Trouble;

/// The name under which the server records our fields.
pub(crate) const MANAGER: &str = "covet-tui";

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
    Apply { force: bool },
}

/// Whether the server shall only pretend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    DryRun,
    Real,
}

impl Write {
    /// Sends it, on the condition that the object is still at `version` (None: that it need not exist).
    /// For a scale, returns the Scale; else the object.
    #[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
    pub(super) async fn send(
        &self,
        cluster: &Cluster,
        version: Option<&str>,
        mode: Mode,
    ) -> Result<Value, Trouble> {
        let api = cluster.api(self.object.kind, &self.object.key.namespace);
        let name = &*self.object.key.name;
        let (patch, params) = self.patch(version, mode)?;
        let sent = async {
            match self.part {
                Part::Whole => api.patch(name, &params, &patch).await,
                Part::Scale => api.patch_subresource("scale", name, &params, &patch).await,
                Part::Status => api.patch_status(name, &params, &patch).await,
            }
        };
        match tokio::time::timeout(cluster.deadline(), sent).await {
            Ok(answer) => Ok(value(&answer?, self.object.kind)),
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
        };
        Ok((patch, params))
    }
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
