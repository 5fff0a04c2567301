//! A very small API server that does as it is told: which token it takes, which lists and watches it answers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What it knows of pods, and what was asked of it.
#[derive(Default)]
pub struct Script {
    pub token: String,
    pub pods: Vec<Value>,
    pub version: u64,
    /// Lines for the next watches of pods, one list for each watch; then watches stay silent.
    pub watches: Vec<Vec<Value>>,
    /// Every target that was asked for, and when.
    pub asked: Vec<String>,
    pub asked_at: Vec<std::time::Instant>,
    /// Status objects for the next watches of pods, before any other answer.
    pub refusals: Vec<Value>,
    /// Lists of other resources by path; they refuse to be streamed, as servers before 1.32 do.
    pub lists: std::collections::BTreeMap<String, Value>,
}

pub type Shared = Arc<Mutex<Script>>;

pub struct Server {
    pub script: Shared,
    pub port: u16,
    _task: tokio::task::JoinSet<()>,
}

impl Server {
    pub async fn start(script: Script) -> Self {
        let script: Shared = Arc::new(Mutex::new(script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = axum::Router::new().fallback(answer).with_state(script.clone());
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { script, port, _task: task }
    }

    pub fn kubeconfig(&self, folder: &Path, token: &str) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: scripted\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{token: '{token}'}}}}]\n\
             contexts: [{{name: scripted, context: {{cluster: c, user: u, namespace: shop}}}}]\n",
            self.port
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running"},
    })
}

fn status(code: u16, message: &str) -> Response {
    let code_known = StatusCode::from_u16(code).unwrap();
    let body =
        json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "Test"});
    (code_known, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn answer(
    State(script): State<Shared>,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let mut script = script.lock().unwrap();
    script.asked.push(request.uri().to_string());
    script.asked_at.push(std::time::Instant::now());
    let authorized = format!("Bearer {}", script.token);
    if request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
        != Some(&*authorized)
    {
        return status(401, "Unauthorized");
    }
    match request.uri().path() {
        "/readyz" => "ok".into_response(),
        "/api/v1/namespaces/shop/pods" if query.contains_key("watch") && !script.refusals.is_empty() => {
            let refusal = script.refusals.remove(0);
            let code = StatusCode::from_u16(refusal["code"].as_u64().unwrap() as u16).unwrap();
            (code, [(header::CONTENT_TYPE, "application/json")], refusal.to_string()).into_response()
        }
        path if script.lists.contains_key(path) && query.contains_key("sendInitialEvents") => status(
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
        ),
        path if script.lists.contains_key(path) && query.contains_key("watch") => {
            Body::from_stream(futures::stream::pending::<Result<String, std::convert::Infallible>>())
                .into_response()
        }
        path if script.lists.contains_key(path) => {
            // As servers answer whoever looks like a browser or like kubectl.
            let pretty = serde_json::to_string_pretty(&script.lists[path]).unwrap();
            ([(header::CONTENT_TYPE, "application/json")], pretty).into_response()
        }
        "/api/v1/namespaces/shop/pods" if query.contains_key("watch") => {
            let lines = if script.watches.is_empty() { None } else { Some(script.watches.remove(0)) };
            let silent = lines.is_none();
            let text: String = lines.into_iter().flatten().map(|line| format!("{line}\n")).collect();
            let first = futures::stream::iter([Ok::<_, std::convert::Infallible>(text)]);
            let body = if silent {
                Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()))
            } else {
                Body::from_stream(first)
            };
            body.into_response()
        }
        "/api/v1/namespaces/shop/pods" => {
            let list =
                json!({"metadata": {"resourceVersion": script.version.to_string()}, "items": script.pods});
            ([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response()
        }
        // RBAC refuses also what the server does not have at all.
        path if path.starts_with("/apis/cert-manager.io/v1")
            || path.starts_with("/apis/metrics.k8s.io/v1") =>
        {
            status(403, "the resource is forbidden: User \"u\" cannot list it")
        }
        "/api/v1/nodes" => status(403, "nodes is forbidden: User \"u\" cannot list resource \"nodes\""),
        path => status(404, &format!("no {path}")),
    }
}
