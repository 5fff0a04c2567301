//! The lab's HTTPS endpoint: certificates of the world's choosing by SNI, and the service's readiness behind them.
//! A host it has no certificate for gets the self-signed one an ingress controller falls back to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::signals::{Certificate, Signals};

/// Why the endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A small certificate authority: what issues the lab's certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    /// Makes a new one, valid for ten years around now.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn new(name: &str) -> Result<Self, HttpsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "Let's Drill");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2044, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Issues a certificate; every call makes a new key and serial.
    fn issue(&self, wanted: &Certificate) -> Result<CertifiedKey, HttpsError> {
        let mut params = CertificateParams::new(wanted.hosts.clone())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(host) = wanted.hosts.first() {
            params.distinguished_name.push(DnType::CommonName, host.as_str());
        }
        params.use_authority_key_identifier_extension = true;
        let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
        params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(wanted.not_before);
        params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(wanted.not_after);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        certified(vec![leaf.der().clone(), self.certificate.der().clone()], &key)
    }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<CertifiedKey, HttpsError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = rustls::crypto::ring::sign::any_supported_type(&der)?;
    Ok(CertifiedKey::new(chain, signing))
}

/// What an ingress controller serves for a host it does not know.
fn fallback() -> Result<CertifiedKey, HttpsError> {
    let mut params = CertificateParams::new(vec!["ingress.local".to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Acme Co");
    params.distinguished_name.push(DnType::CommonName, "Kubernetes Ingress Controller Fake Certificate");
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    certified(vec![certificate.der().clone()], &key)
}

type Issued = BTreeMap<Vec<String>, (Certificate, Arc<CertifiedKey>)>;

/// Picks the certificate for each handshake, issuing it when the world has changed it.
struct Certificates {
    signals: Signals,
    authority: Arc<Authority>,
    fallback: Arc<CertifiedKey>,
    /// By the hosts they are for: what was asked, and what was issued for it.
    issued: Mutex<Issued>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().unwrap_or_default();
        let wanted = self.signals.read(|shown| {
            let covers = |certificate: &&Certificate| certificate.hosts.iter().any(|name| covers(name, host));
            shown.certificates.iter().find(covers).cloned()
        });
        let Some(wanted) = wanted else { return Some(Arc::clone(&self.fallback)) };
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, key)) = issued.get(&wanted.hosts)
            && *of == wanted
        {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(self.authority.issue(&wanted).ok()?);
        issued.insert(wanted.hosts.clone(), (wanted, Arc::clone(&key)));
        Some(key)
    }
}

/// Whether a certificate's name stands for a host; `*` stands for one label.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// The endpoint, ready to serve.
pub struct Https {
    acceptor: TlsAcceptor,
    router: Router,
    signals: Signals,
}

impl Https {
    /// # Errors
    /// When no key can be generated.
    pub fn new(signals: Signals, authority: Arc<Authority>) -> Result<Self, HttpsError> {
        let fallback = Arc::new(fallback()?);
        let certificates =
            Certificates { signals: signals.clone(), authority, fallback, issued: Mutex::default() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, router: router(signals.clone()), signals })
    }

    /// Serves until dropped.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        let mut listener = Some(listener);
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let up = self.signals.read(|shown| shown.edge.up);
            let Some(open) = listener.as_ref().filter(|_| up) else {
                // No target takes connections: neither does the load balancer.
                listener = if up { TcpListener::bind(address).await.ok() } else { None };
                if listener.is_none() {
                    tokio::time::sleep(LOOK).await;
                }
                continue;
            };
            if let Ok(accepted) = tokio::time::timeout(LOOK, open.accept()).await {
                while connections.try_join_next().is_some() {}
                connections.spawn(connection(accepted?.0, self.acceptor.clone(), self.router.clone()));
            }
        }
    }
}

/// How often the endpoint looks whether it should take connections at all.
const LOOK: Duration = Duration::from_millis(200);

/// TLS, or plain HTTP: at the same port, told apart by the first byte (22 begins a handshake).
async fn connection(socket: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let mut first = [0];
    if matches!(socket.peek(&mut first).await, Ok(1)) && first != [22] {
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router)).await;
        return;
    }
    // Many clients come for the handshake alone, and hang up after it.
    if let Ok(tls) = acceptor.accept(socket).await {
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(tls), TowerToHyperService::new(router)).await;
    }
}

/// What is behind the endpoint: whether the service is ready, after the time its answers take.
pub fn router(signals: Signals) -> Router {
    Router::new()
        .route("/health/ready", get(health))
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/.well-known/acme-challenge/{token}", get(challenge))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(axum::middleware::from_fn_with_state(signals.clone(), at_the_door))
        .with_state(signals)
}

/// What the app's pods answer themselves, past Service and controller.
pub fn pods(signals: Signals) -> Router {
    let ready = |State(signals): State<Signals>| async move {
        if signals.read(|shown| shown.edge.pods_well) {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    Router::new()
        .route("/health/ready", get(ready))
        .route("/health/live", get(|| async { "ok\n" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .with_state(signals)
}

/// The controller's own word when nobody is behind it.
async fn at_the_door(
    State(signals): State<Signals>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let open = signals.read(|shown| shown.edge.up && shown.edge.endpoints);
    let challenge = request.uri().path().starts_with("/.well-known/acme-challenge/");
    if open || challenge {
        return next.run(request).await;
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>\n",
    )
        .into_response()
}

/// The solver's answer, while a challenge runs and its path is served.
async fn challenge(State(signals): State<Signals>, Path(token): Path<String>) -> (StatusCode, String) {
    match signals.read(|shown| shown.edge.challenges.get(&token).cloned()) {
        Some(key) => (StatusCode::OK, key),
        None => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    }
}

async fn health(State(signals): State<Signals>) -> (StatusCode, &'static str) {
    let service = signals.read(|shown| shown.service.clone());
    tokio::time::sleep(Duration::from_secs_f64((service.latency_ms / 1e3).clamp(0.0, 30.0))).await;
    if service.ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
