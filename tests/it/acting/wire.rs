//! A kube client whose every request is recorded, and some of which are made to fail.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use kube::client::Body;

/// One request as it went out.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Of a DELETE, whose options travel here.
    pub body: String,
}

impl Sent {
    pub fn is_dry(&self) -> bool {
        self.query.contains("dryRun=All") || self.body.contains(r#""dryRun":["All"]"#)
    }

    /// Something that changes, or would change, the world. Reviews are created but change nothing.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.path.ends_with("reviews")
    }
}

/// What to do with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Let it through, and lose the answer.
    LoseAnswer,
    /// Lose the request itself.
    LoseRequest,
    Forbid,
    /// A Status with this code and message instead of an answer.
    Say(u16, &'static str),
    /// Let it through, and add a `Warning` header.
    Warn(&'static str),
}

type Break = Box<dyn Fn(&Sent) -> Option<Fault> + Send + Sync>;

#[derive(Clone)]
pub struct Wire {
    inner: kube::Client,
    sent: Arc<Mutex<Vec<Sent>>>,
    fault: Arc<Mutex<Option<Break>>>,
}

impl Wire {
    pub fn new(inner: kube::Client) -> Self {
        Self { inner, sent: Arc::default(), fault: Arc::default() }
    }

    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    pub fn forget(&self) {
        self.sent.lock().unwrap().clear();
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// Writes since the last [`Wire::forget`].
    pub fn writes(&self) -> Vec<Sent> {
        self.sent().into_iter().filter(Sent::is_write).collect()
    }

    pub fn broken_by(&self, fault: impl Fn(&Sent) -> Option<Fault> + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Some(Box::new(fault));
    }

    pub fn whole_again(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

impl tower_service::Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move { wire.pass(request).await })
    }
}

impl Wire {
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (parts, body) = request.into_parts();
        let (body, bytes) = if parts.method == http::Method::DELETE {
            let bytes = body.collect_bytes().await?;
            (Body::from(bytes.to_vec()), bytes)
        } else {
            (body, bytes::Bytes::new())
        };
        let sent = Sent {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        };
        let request = Request::from_parts(parts, body);
        let fault = self.fault.lock().unwrap().as_ref().and_then(|fault| fault(&sent));
        self.sent.lock().unwrap().push(sent);
        match fault {
            None => self.inner.send(request).await,
            Some(Fault::LoseAnswer) => {
                let _ = self.inner.send(request).await;
                std::future::pending().await
            }
            Some(Fault::LoseRequest) => std::future::pending().await,
            Some(Fault::Warn(says)) => {
                let mut answer = self.inner.send(request).await?;
                answer.headers_mut().append(http::header::WARNING, http::HeaderValue::from_static(says));
                Ok(answer)
            }
            Some(Fault::Say(code, says)) => {
                let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "reason": "Test", "code": code, "message": says});
                let body = Body::from(status.to_string().into_bytes());
                Ok(Response::builder().status(code).body(body).unwrap())
            }
            Some(Fault::Forbid) => {
                let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                    "code": 403, "message": "pods \"a\" is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" in the namespace \"shop\""});
                let body = Body::from(status.to_string().into_bytes());
                Ok(Response::builder().status(StatusCode::FORBIDDEN).body(body).unwrap())
            }
        }
    }
}
