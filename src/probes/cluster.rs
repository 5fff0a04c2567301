//! The reading half of the Kubernetes API, untyped: get and list, each within a deadline.
//! Cannot write: the hands have the other half.

use std::time::Duration;

use futures::future::BoxFuture;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Request};
use serde::Deserialize;
use serde_json::Value;

use super::trouble::{Trouble, TroubleKind};
use crate::domain::{Kind, ObjectRef};

/// How long one call may take.
pub const CALL: Duration = Duration::from_secs(10);

/// Rows per page of a list.
const PAGE: u32 = 500;

/// A page of a list, as it came.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    r#continue: Option<String>,
}

/// A connection to read from.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    call: Duration,
}

impl Cluster {
    pub fn new(client: kube::Client) -> Self {
        Self { client, call: CALL }
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn within(self, call: Duration) -> Self {
        Self { call, ..self }
    }

    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// How long one call may take.
    pub fn deadline(&self) -> Duration {
        self.call
    }

    /// The untyped API of a kind; all namespaces when `namespace` is empty.
    pub fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = resource(kind);
        if kind.is_namespaced() && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// The whole object, as the server has it.
    pub async fn get(&self, object: &ObjectRef) -> Result<Value, Trouble> {
        let api = self.api(object.kind, &object.key.namespace);
        let found = self.timed(Box::pin(async move { api.get(&object.key.name).await })).await?;
        Ok(value(&found, object.kind))
    }

    /// The same, None when it doesn't exist.
    pub async fn find(&self, object: &ObjectRef) -> Result<Option<Value>, Trouble> {
        match self.get(object).await {
            Ok(found) => Ok(Some(found)),
            Err(trouble) if trouble.is(TroubleKind::Absent) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// All objects of a kind, read page by page. Empty selectors select everything.
    pub async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        self.each(kind, namespace, labels, fields, |object| all.push(object)).await?;
        Ok(all)
    }

    /// The same without keeping them: a page is gone once it was looked at.
    pub async fn each(
        &self,
        kind: Kind,
        namespace: &str,
        labels: &str,
        fields: &str,
        mut look: impl FnMut(Value),
    ) -> Result<(), Trouble> {
        let path = self.api(kind, namespace).resource_url().to_owned();
        let mut page = ListParams::default().limit(PAGE);
        page.label_selector = Some(labels.to_owned()).filter(|labels| !labels.is_empty());
        page.field_selector = Some(fields.to_owned()).filter(|fields| !fields.is_empty());
        loop {
            let asked = Request::new(path.as_str()).list(&page).map_err(kube::Error::BuildRequest)?;
            let list = self.timed(Box::pin(self.client.request::<Page>(asked))).await?;
            for mut object in list.items {
                name_kind(&mut object, kind);
                look(object);
            }
            match list.metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) => page.continue_token = Some(token),
                None => return Ok(()),
            }
        }
    }

    async fn timed<T>(&self, call: BoxFuture<'_, kube::Result<T>>) -> Result<T, Trouble> {
        match tokio::time::timeout(self.call, call).await {
            Ok(answer) => answer.map_err(Trouble::from),
            Err(_) => Err(Trouble::unanswered(self.call)),
        }
    }
}

/// How kube names a kind.
pub fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: kind.group().into(),
        version: kind.version().into(),
        api_version: kind.api_version(),
        kind: kind.as_str().into(),
        plural: kind.plural().into(),
    }
}

/// As plain JSON. Lists leave `kind` and `apiVersion` out of their items; here they always are.
pub fn value(object: &DynamicObject, kind: Kind) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    name_kind(&mut value, kind);
    value
}

/// Says what an object is, where it doesn't say so itself.
pub(crate) fn name_kind(object: &mut Value, kind: Kind) {
    if let Some(map) = object.as_object_mut() {
        map.entry("kind").or_insert_with(|| kind.as_str().into());
        map.entry("apiVersion").or_insert_with(|| kind.api_version().into());
    }
}
