//! AWS as the pretend production has it: one account in one region, behind one endpoint for all services. It knows
//! the protocols, and only the calls that a cockpit makes; what is true is the world's to say. Every other call is
//! answered as AWS answers what it does not know.

mod autoscaling;
mod cbor;
mod cloudwatch;
mod ec2;
mod eks;
mod events;
mod insights;
mod load_balancing;
mod network_acls;
mod query;
mod rds;
mod route53;
mod security_groups;
mod sts;
mod volumes;
mod vpc;
mod waf;
mod xml;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::json;

use self::query::Asked;
use super::moves::Moves;
use super::world::{REGION, World};

/// Who may call: the example key of AWS's own documentation, which opens nothing.
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret, from the same page.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The longest request that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Failure {
    status: u16,
    code: &'static str,
    says: String,
}

impl Failure {
    fn new(code: &'static str, says: impl Into<String>) -> Self {
        Self { status: 400, code, says: says.into() }
    }

    /// An action of the query protocol that is not served.
    fn action(name: &str) -> Self {
        Self::new("InvalidAction", format!("The action {name} is not valid for this web service."))
    }
}

/// How errors and answers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Ec2,
    Query,
    Json,
    Cbor,
}

/// All services, answering from the world.
pub(super) fn router(moves: Moves) -> Router {
    Router::new().fallback(answer).with_state(moves)
}

async fn answer(State(moves): State<Moves>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return refused(Protocol::Query, &Failure::new("RequestTooLarge", "The request is too large."));
    };
    let answered = tokio::task::spawn_blocking(move || {
        let service = signed_for(&parts.headers);
        let protocol = protocol(service.as_deref().unwrap_or_default(), &parts.headers);
        let answered = service.and_then(|service| moves.world(|world| call(world, &service, &parts, &body)));
        (protocol, answered)
    });
    match answered.await {
        Ok((protocol, Ok(said))) => respond(StatusCode::OK, protocol, said),
        Ok((protocol, Err(failure))) => refused(protocol, &failure),
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, Protocol::Query, ""),
    }
}

fn call(world: &mut World, service: &str, parts: &Parts, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let protocol = protocol(service, &parts.headers);
    let by_path = parts.uri.path().strip_prefix("/service/").and_then(|path| path.split_once("/operation/"));
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let target = target.and_then(|target| target.rsplit_once('.'));
    let said = match by_path.or(target) {
        Some((cloudwatch::SERVICE, operation)) => {
            cloudwatch::answer(world, operation, &cbor::read(body, protocol)?)?
        }
        Some((insights::SERVICE, operation)) => {
            insights::answer(world, operation, &cbor::read(body, protocol)?)?
        }
        Some((waf::SERVICE, operation)) => {
            return waf::answer(world, operation, body).map(|said| said.to_string().into_bytes());
        }
        Some((_, operation)) if ["cloudtrail", "logs"].contains(&service) => {
            events::answer(operation, &cbor::read(body, protocol)?)?
        }
        _ => return text_call(world, service, parts, body).map(String::into_bytes),
    };
    Ok(cbor::write(&said, protocol))
}

fn text_call(world: &mut World, service: &str, parts: &Parts, body: &[u8]) -> Result<String, Failure> {
    let asked = Asked::read(body);
    let action = asked.action();
    let (namespace, said) = match service {
        "ec2" => {
            let said = ec2::answer(world, &asked);
            return said.map(|inside| query::of_ec2(action, ec2::NAMESPACE, &inside));
        }
        "eks" => return eks::answer(world, &parts.method, parts.uri.path()).map(|said| said.to_string()),
        "route53" => return route53::answer(world, parts, body),
        "autoscaling" => (autoscaling::NAMESPACE, autoscaling::answer(world, &asked)),
        "elasticloadbalancing" => (load_balancing::NAMESPACE, load_balancing::answer(world, &asked)),
        "rds" => (rds::NAMESPACE, rds::answer(world, &asked)),
        "sts" => (sts::NAMESPACE, sts::answer(&asked)),
        _ => {
            return Err(match protocol(service, &parts.headers) {
                Protocol::Json | Protocol::Cbor => Failure::new("UnknownOperationException", ""),
                Protocol::Ec2 | Protocol::Query => Failure::action(action),
            });
        }
    };
    said.map(|inside| query::of_others(action, namespace, &inside))
}

/// The service that a signature is made for. The signature itself is taken on trust; the key is not.
fn signed_for(headers: &HeaderMap) -> Result<String, Failure> {
    let forbidden = |code, says: &str| Failure { status: 403, ..Failure::new(code, says) };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|given| given.strip_prefix("AWS4-HMAC-SHA256 ")) else {
        return Err(forbidden("MissingAuthenticationToken", "Request is missing Authentication Token"));
    };
    let field = |name: &str| {
        let mut fields = given.split(',').map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let scope: Vec<&str> = field("Credential").split('/').collect();
    let [key, _, region, service, "aws4_request"] = scope[..] else {
        return Err(forbidden("IncompleteSignature", "Credential must be a full scope"));
    };
    if key != ACCESS_KEY {
        let says = "The security token included in the request is invalid.";
        return Err(forbidden(if service == "ec2" { "AuthFailure" } else { "InvalidClientTokenId" }, says));
    }
    if field("Signature").is_empty() || field("SignedHeaders").is_empty() {
        return Err(forbidden("IncompleteSignature", "Authorization header requires 'Signature'"));
    }
    if region != REGION {
        let says = format!("Credential should be scoped to a valid region. This account is in {REGION}.");
        return Err(forbidden("SignatureDoesNotMatch", &says));
    }
    Ok(service.to_owned())
}

fn protocol(service: &str, headers: &HeaderMap) -> Protocol {
    match service {
        "ec2" => Protocol::Ec2,
        "eks" => Protocol::Json,
        _ if headers.contains_key("smithy-protocol") => Protocol::Cbor,
        _ if headers.contains_key("x-amz-target") => Protocol::Json,
        _ => Protocol::Query,
    }
}

fn refused(protocol: Protocol, failure: &Failure) -> Response<Body> {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::BAD_REQUEST);
    match protocol {
        Protocol::Ec2 => respond(status, protocol, query::error_of_ec2(failure)),
        Protocol::Query => respond(status, protocol, query::error_of_others(failure)),
        Protocol::Cbor => {
            let error = [("__type", failure.code.into()), ("message", failure.says.as_str().into())];
            respond(status, protocol, cbor::write(&cbor::structure(error), protocol))
        }
        Protocol::Json => {
            let body = json!({ "__type": failure.code, "message": failure.says }).to_string();
            let mut answer = respond(status, protocol, body);
            if let Ok(code) = failure.code.parse() {
                answer.headers_mut().insert("x-amzn-errortype", code);
            }
            answer
        }
    }
}

fn respond(status: StatusCode, protocol: Protocol, body: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let kind = match protocol {
        Protocol::Ec2 | Protocol::Query => "text/xml",
        Protocol::Json => "application/json",
        Protocol::Cbor => {
            answer.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            "application/cbor"
        }
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A moment as AWS writes it in XML.
fn millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
