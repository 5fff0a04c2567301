//! Calls of services whose SDK crates are too heavy to build, or not worth one: requests written and signed here,
//! as botocore writes them. Must not know what they mean.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use reqwest::Url;
use serde_json::Value;
use tokio::time::timeout;

use super::endpoint::{Endpoint, Service, bucket_url};
use super::explain::{AwsError, AwsTrouble, of_chain, unanswered};
use super::{CALL, Session, Xml};
use crate::domain::Timestamp;

/// Names and values of a query.
pub type Words = Vec<(String, String)>;

/// The call, as its protocol has it.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// The query protocol, and EC2's dialect of it: the action and its parameters.
    Query(Service, String, Words),
    /// AWS JSON 1.1: the operation and its body.
    Json(Service, String, Value),
    /// JSON at a path, encoded; with a body it is posted.
    Rest {
        service: Service,
        path: String,
        query: Words,
        body: Option<Value>,
    },
    /// The objects of a bucket below a prefix.
    S3List {
        bucket: String,
        prefix: String,
        after: Option<String>,
    },
    S3Get {
        bucket: String,
        key: String,
    },
}

/// Signs what is for one service, and sends it.
#[derive(Clone)]
pub struct Signed {
    pub(super) service: Service,
    http: Option<reqwest::Client>,
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Endpoint,
    region: String,
    clock: fn() -> Timestamp,
}

/// A signed request. Pure: the moment and the credentials are given.
///
/// # Errors
/// Something in it cannot be part of a request.
pub fn prepare(
    call: &Prepared,
    region: &str,
    endpoint: &Endpoint,
    credentials: &Credentials,
    at: SystemTime,
) -> Result<http::Request<Vec<u8>>, AwsError> {
    let built = |error: &dyn std::fmt::Display| {
        AwsError::new(AwsTrouble::Refused, format!("the request can't be built: {error}"))
    };
    let (service, mut request) = unsigned(call, region, endpoint).map_err(|error| built(&error))?;
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(at)
        .settings(settings)
        .build()
        .map_err(|error| built(&error))?
        .into();
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let url = request.uri().to_string();
    let signable = SignableRequest::new(
        request.method().as_str(),
        url,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(request.body()),
    )
    .map_err(|error| built(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| built(&error))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

fn unsigned(
    call: &Prepared,
    region: &str,
    endpoint: &Endpoint,
) -> Result<(&'static str, http::Request<Vec<u8>>), http::Error> {
    let host = |service: &Service| match endpoint {
        Endpoint::Other(url) => url.trim_end_matches('/').to_owned(),
        Endpoint::Aws { fips, dual_stack } => format!("https://{}", service.host(region, *fips, *dual_stack)),
    };
    Ok(match call {
        Prepared::Query(service, action, words) => {
            let [name, _, version] = service.facts();
            let mut body = Url::parse("form:").ok();
            let fixed = [("Action", action.as_str()), ("Version", version)];
            let given = words.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Some(url) = &mut body {
                url.query_pairs_mut().extend_pairs(fixed.into_iter().chain(given));
            }
            let body = body.and_then(|url| url.query().map(ToOwned::to_owned)).unwrap_or_default();
            let request = http::Request::post(format!("{}/", host(service)))
                .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
                .body(body.into_bytes())?;
            (name, request)
        }
        Prepared::Json(service, operation, body) => {
            let [name, _, target] = service.facts();
            let request = http::Request::post(format!("{}/", host(service)))
                .header("content-type", "application/x-amz-json-1.1")
                .header("x-amz-target", format!("{target}.{operation}"))
                .body(body.to_string().into_bytes())?;
            (name, request)
        }
        Prepared::Rest { service, path, query, body } => {
            let [name, ..] = service.facts();
            let words = query.iter().map(|(name, value)| format!("{name}={}", encoded(value, false)));
            let words = words.collect::<Vec<_>>().join("&");
            let mark = if words.is_empty() { "" } else { "?" };
            let url = format!("{}{path}{mark}{words}", host(service));
            let request = match body {
                None => http::Request::get(url).body(Vec::new())?,
                Some(body) => http::Request::post(url)
                    .header("content-type", "application/json")
                    .body(body.to_string().into_bytes())?,
            };
            (name, request)
        }
        Prepared::S3List { bucket, prefix, after } => {
            let mut query = format!("list-type=2&prefix={}", encoded(prefix, false));
            if let Some(token) = after {
                query.push_str(&format!("&continuation-token={}", encoded(token, false)));
            }
            // XML cannot hold every key.
            query.push_str("&encoding-type=url");
            let base = bucket_url(bucket, region, endpoint);
            ("s3", http::Request::get(format!("{base}?{query}")).body(Vec::new())?)
        }
        Prepared::S3Get { bucket, key } => {
            let base = bucket_url(bucket, region, endpoint);
            let slash = if base.ends_with('/') { "" } else { "/" };
            ("s3", http::Request::get(format!("{base}{slash}{}", encoded(key, true))).body(Vec::new())?)
        }
    })
}

/// A path of these names.
pub(super) fn path(names: &[&str]) -> String {
    names.iter().map(|name| format!("/{}", encoded(name, false))).collect()
}

/// Percent-encoded as RFC 3986 wants it; slashes of a path stay.
fn encoded(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            b'/' if path => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

impl Signed {
    pub(super) fn new(service: Service, session: &Session) -> Self {
        Self {
            service,
            http: session.http.clone(),
            credentials: session.config.credentials_provider(),
            endpoint: service.endpoint(&session.config),
            region: session.region.clone(),
            clock: session.clock,
        }
    }

    pub(super) fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// An answer that is read piece by piece.
    pub(super) async fn open(&self, call: &Prepared) -> Result<reqwest::Response, AwsError> {
        match timeout(CALL, self.send(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered("AWS did not answer in time")),
        }
    }

    /// What is answered, in so many tries and no more than [`CALL`].
    pub(super) async fn ask(&self, call: &Prepared, tries: u32) -> Result<String, AwsError> {
        let all = async {
            let mut wait = Duration::from_millis(300);
            for _ in 1..tries {
                match self.text(call).await {
                    Err(error) if matches!(error.kind, AwsTrouble::Unanswered | AwsTrouble::Throttled) => {
                        tokio::time::sleep(wait.mul_f64(0.75 + fastrand::f64() * 0.5)).await;
                        wait *= 3;
                    }
                    done => return done,
                }
            }
            self.text(call).await
        };
        match timeout(CALL, all).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered("AWS did not answer in time")),
        }
    }

    async fn text(&self, call: &Prepared) -> Result<String, AwsError> {
        let answer = self.send(call).await?;
        answer.text().await.map_err(unreachable)
    }

    /// Sends once; an answer that is no success becomes an error.
    async fn send(&self, call: &Prepared) -> Result<reqwest::Response, AwsError> {
        let (Some(http), Some(provider)) = (&self.http, &self.credentials) else {
            return Err(of_chain("no credentials"));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| of_chain(&chain(&error)))?;
        let request = prepare(call, &self.region, &self.endpoint, &credentials, (self.clock)().into())?;
        let request = reqwest::Request::try_from(request)
            .map_err(|error| AwsError::new(AwsTrouble::Refused, error.to_string()))?;
        let answer = http.execute(request).await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let kind = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
        let kind = kind.map(|kind| kind.split(':').next().unwrap_or(kind).to_owned());
        let body = answer.text().await.unwrap_or_default();
        Err(refused(status.as_u16(), kind.as_deref(), &body))
    }
}

/// The code and message of an error, in whichever of the three shapes; `kind` is the code where a header tells it.
fn refused(status: u16, kind: Option<&str>, body: &str) -> AwsError {
    if let Ok(value) = serde_json::from_str::<Value>(body) {
        let word = |name: &str| value.get(name).and_then(Value::as_str);
        let code = word("__type").or(kind).or(word("code")).unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or(code);
        return AwsError::of_code(status, code, word("message").or(word("Message")).unwrap_or_default());
    }
    match Xml::parse(body) {
        Ok(xml) => {
            let error = xml.at("Errors/Error").or_else(|| xml.at("Error")).unwrap_or(&xml);
            AwsError::of_code(status, error.text("Code"), error.text("Message"))
        }
        Err(_) => AwsError::of_code(status, &format!("HTTP {status}"), ""),
    }
}

fn unreachable(error: reqwest::Error) -> AwsError {
    let words = chain(&error.without_url());
    unanswered(&format!("AWS can't be reached: {}", words.rsplit(": ").next().unwrap_or(&words)))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.join(": ")
}
