//! The few calls whose SDK crates are too heavy to build (EC2, S3) or not worth one (Systems Manager, Secrets
//! Manager, CloudTrail): requests written and signed here, as botocore writes them. Must not know what they mean.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use serde_json::Value;
use tokio::time::timeout;

use super::explain::{AwsError, AwsTrouble, of_chain, unanswered};
use super::{CALL, TRIES, Xml};
use crate::domain::Timestamp;

/// Names and values of a query.
pub type Words = Vec<(String, String)>;

/// The call, as its protocol has it.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// EC2's query protocol: the action and its parameters.
    Ec2(String, Words),
    /// AWS JSON 1.1: service, target and body.
    Json(Service, String, Value),
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

/// The services that speak JSON here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    SystemsManager,
    SecretsManager,
    CloudTrail,
}

/// Signs and sends.
#[derive(Clone)]
pub struct Signed {
    http: Option<reqwest::Client>,
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
    region: String,
    clock: fn() -> Timestamp,
}

impl Service {
    /// The host's first label, which is also the name that is signed.
    fn name(self) -> &'static str {
        match self {
            Service::SystemsManager => "ssm",
            Service::SecretsManager => "secretsmanager",
            Service::CloudTrail => "cloudtrail",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Service::SystemsManager => "AmazonSSM",
            Service::SecretsManager => "secretsmanager",
            Service::CloudTrail => "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
        }
    }
}

/// A signed request. Pure: the moment and the credentials are given.
///
/// # Errors
/// Something in it cannot be part of a request.
pub fn prepare(
    call: &Prepared,
    region: &str,
    endpoint: Option<&str>,
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
    endpoint: Option<&str>,
) -> Result<(&'static str, http::Request<Vec<u8>>), http::Error> {
    let host = |service: &str| match endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => format!("https://{service}.{region}.{}", suffix(region)),
    };
    Ok(match call {
        Prepared::Ec2(action, words) => {
            let mut body = reqwest::Url::parse("form:").ok();
            let fixed = [("Action", action.as_str()), ("Version", "2016-11-15")];
            let given = words.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Some(url) = &mut body {
                url.query_pairs_mut().extend_pairs(fixed.into_iter().chain(given));
            }
            let body = body.and_then(|url| url.query().map(ToOwned::to_owned)).unwrap_or_default();
            let request = http::Request::post(format!("{}/", host("ec2")))
                .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
                .body(body.into_bytes())?;
            ("ec2", request)
        }
        Prepared::Json(service, operation, body) => {
            let request = http::Request::post(format!("{}/", host(service.name())))
                .header("content-type", "application/x-amz-json-1.1")
                .header("x-amz-target", format!("{}.{operation}", service.target()))
                .body(body.to_string().into_bytes())?;
            (service.name(), request)
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

/// With an endpoint of one's own, and for names with dots (which no certificate fits), the bucket is in the path.
fn bucket_url(bucket: &str, region: &str, endpoint: Option<&str>) -> String {
    match endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.{}/{bucket}", suffix(region)),
        None => format!("https://{bucket}.s3.{region}.{}/", suffix(region)),
    }
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
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
    pub(super) fn new(config: &SdkConfig, region: &str, clock: fn() -> Timestamp) -> Self {
        Self {
            http: crate::config::http_client().ok(),
            credentials: config.credentials_provider(),
            endpoint: config.endpoint_url().map(ToOwned::to_owned),
            region: region.to_owned(),
            clock,
        }
    }

    /// A call that only reads: EC2's `Describe…`.
    pub async fn describe(&self, action: &str, words: Words) -> Result<Xml, AwsError> {
        if !action.starts_with("Describe") {
            return Err(AwsError::new(AwsTrouble::Refused, format!("{action} is no read")));
        }
        let call = Prepared::Ec2(action.to_owned(), words);
        Xml::parse(&self.again(&call, TRIES).await?)
    }

    /// A call of EC2 that changes something, sent once. With `dry`, EC2 only says whether it would be done.
    pub async fn change(&self, action: &str, mut words: Words, dry: bool) -> Result<Xml, AwsError> {
        if dry {
            words.push(("DryRun".into(), "true".into()));
        }
        Xml::parse(&self.again(&Prepared::Ec2(action.to_owned(), words), 1).await?)
    }

    /// A JSON call that only reads: `Describe…`, `Get…`, `List…`, `Lookup…`.
    pub async fn look(&self, service: Service, operation: &str, body: Value) -> Result<Value, AwsError> {
        if !["Describe", "Get", "List", "Lookup"].iter().any(|verb| operation.starts_with(verb)) {
            return Err(AwsError::new(AwsTrouble::Refused, format!("{operation} is no read")));
        }
        json(&self.again(&Prepared::Json(service, operation.to_owned(), body), TRIES).await?)
    }

    /// A JSON call that changes something, sent once.
    pub async fn command(&self, service: Service, operation: &str, body: Value) -> Result<Value, AwsError> {
        json(&self.again(&Prepared::Json(service, operation.to_owned(), body), 1).await?)
    }

    /// One page of the objects below a prefix.
    pub async fn list(&self, bucket: &str, prefix: &str, after: Option<String>) -> Result<Xml, AwsError> {
        let call = Prepared::S3List { bucket: bucket.to_owned(), prefix: prefix.to_owned(), after };
        Xml::parse(&self.again(&call, TRIES).await?)
    }

    /// An object, for reading piece by piece.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<reqwest::Response, AwsError> {
        let call = Prepared::S3Get { bucket: bucket.to_owned(), key: key.to_owned() };
        match timeout(CALL, self.send(&call)).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered("AWS did not answer in time")),
        }
    }

    async fn again(&self, call: &Prepared, tries: u32) -> Result<String, AwsError> {
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
        let endpoint = self.endpoint.as_deref();
        let request = prepare(call, &self.region, endpoint, &credentials, (self.clock)().into())?;
        let request = reqwest::Request::try_from(request)
            .map_err(|error| AwsError::new(AwsTrouble::Refused, error.to_string()))?;
        let answer = http.execute(request).await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.unwrap_or_default();
        Err(refused(status.as_u16(), &body))
    }
}

fn json(body: &str) -> Result<Value, AwsError> {
    let empty = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(empty)
        .map_err(|error| AwsError::new(AwsTrouble::Refused, format!("AWS's answer is no JSON: {error}")))
}

/// The code and message of an error, in whichever of the three shapes.
fn refused(status: u16, body: &str) -> AwsError {
    if let Ok(value) = serde_json::from_str::<Value>(body) {
        let word = |name: &str| value.get(name).and_then(Value::as_str);
        let code = word("__type").or(word("code")).unwrap_or_default();
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
