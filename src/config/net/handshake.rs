//! One TLS handshake that always succeeds and remembers what a client would have thought of the certificate.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::config::connect::deepest;
use crate::config::tls;
use crate::domain::{Name, Served, Timestamp, text};

/// What this machine trusts.
#[derive(Clone, Debug, Default)]
pub struct Roots(Option<Arc<RootCertStore>>);

impl Roots {
    /// The machine's own, and those of a file, read once. A file that cannot be read adds nothing: what it
    /// would have vouched for then shows as not trusted.
    pub fn native(more: Option<&Path>) -> Self {
        let mut roots = tls::roots(None).unwrap_or_else(|_| RootCertStore::empty());
        if let Some(more) = more.and_then(|file| tls::roots(Some(file)).ok()) {
            roots.extend(more.roots);
        }
        Self((!roots.is_empty()).then(|| Arc::new(roots)))
    }
}

/// Shakes hands and reads what was served.
pub async fn shake(host: &str, stream: TcpStream, roots: &Roots, now: Timestamp) -> Result<Served, String> {
    open(host, stream, roots, now).await.map(|(served, _)| served)
}

/// The same, and keeps the stream to talk on.
pub async fn open(
    host: &str,
    stream: TcpStream,
    roots: &Roots,
    now: Timestamp,
) -> Result<(Served, TlsStream<TcpStream>), String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no host name"))?;
    let recorder = Arc::new(Recorder::new(roots, now));
    let mut config = tls::looking(recorder.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| format!("the TLS handshake failed: {}", deepest(&error)))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().ok_or("no certificate was served")?;
    let mut served = read(leaf, host)?;
    let self_signed = is_self_signed(leaf);
    served.is_alone = chain.len() == 1 && !self_signed;
    let seen = Seen { host, now, self_signed };
    served.distrust = recorder.verdict().map(|error| own(&explain(&error, &served, &seen)));
    Ok((served, stream))
}

/// What the words about a distrusted chain depend on.
struct Seen<'a> {
    host: &'a str,
    now: Timestamp,
    self_signed: bool,
}

fn is_self_signed(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, it)| it.issuer() == it.subject())
}

/// Takes a certificate apart.
pub fn read(der: &[u8], host: &str) -> Result<Served, String> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| format!("the certificate is not understood: {error}"))?;
    let moment =
        |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).unwrap_or_default();
    let names: Box<[Name]> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|names| names.value.general_names.iter().filter_map(dns_name).map(|name| own(&name)).collect())
        .unwrap_or_default();
    Ok(Served {
        not_before: moment(certificate.validity().not_before),
        not_after: moment(certificate.validity().not_after),
        issuer: issuer(&certificate),
        serial: own(&certificate.raw_serial_as_string().replace(':', "")),
        name_matches: names.iter().any(|name| matches(name, host)),
        names,
        distrust: None,
        is_alone: false,
    })
}

/// A name from outside, without anything that could steer a terminal.
fn own(raw: &str) -> Name {
    text::clean(raw).into()
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|four| std::net::Ipv4Addr::from(four).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|all| std::net::Ipv6Addr::from(all).to_string()),
        },
        _ => None,
    }
}

/// The organisation and common name, as people call an authority: `Let's Encrypt R11`.
fn issuer(certificate: &X509Certificate<'_>) -> Name {
    let issuer = certificate.issuer();
    let organisation = issuer.iter_organization().next().and_then(|attribute| attribute.as_str().ok());
    let common = issuer.iter_common_name().next().and_then(|attribute| attribute.as_str().ok());
    match (organisation, common) {
        (Some(organisation), Some(common)) => own(&format!("{organisation} {common}")),
        (Some(one), None) | (None, Some(one)) => own(one),
        (None, None) => own(&issuer.to_string()),
    }
}

/// A wildcard stands for exactly one label (RFC 6125).
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(suffix) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

fn explain(error: &Error, served: &Served, seen: &Seen<'_>) -> String {
    let Error::InvalidCertificate(why) = error else { return error.to_string() };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("expired {} ago", text::span(crate::domain::between(served.not_after, seen.now)))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not valid yet".into(),
        CertificateError::UnknownIssuer if seen.self_signed => format!("self-signed ({})", served.issuer),
        CertificateError::UnknownIssuer => {
            let alone = if served.is_alone {
                "; no intermediate was served: the chain may be incomplete"
            } else {
                ""
            };
            format!("signed by an authority this machine does not know ({}){alone}", served.issuer)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("not for {}, but for {}", seen.host, served.names.join(", "))
        }
        CertificateError::Revoked => "revoked".into(),
        _ if seen.self_signed => format!("self-signed ({})", served.issuer),
        other => format!("{other:?}"),
    }
}

/// Asks the usual verifier and keeps its verdict.
#[derive(Debug)]
struct Recorder {
    usual: Option<Arc<WebPkiServerVerifier>>,
    now: UnixTime,
    verdict: Mutex<Option<Error>>,
}

impl Recorder {
    fn new(roots: &Roots, now: Timestamp) -> Self {
        let provider = Arc::new(ring::default_provider());
        let usual = roots
            .0
            .clone()
            .and_then(|roots| WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().unsigned_abs()));
        Self { usual, now, verdict: Mutex::new(None) }
    }

    fn verdict(&self) -> Option<Error> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl tls::Look for Recorder {
    fn look(&self, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>], name: &ServerName<'_>) {
        let verdict = match &self.usual {
            Some(usual) => usual.verify_server_cert(certificate, chain, name, &[], self.now).err(),
            None => {
                Some(Error::General("this machine trusts no authority at all: no root certificates".into()))
            }
        };
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(matches("*.example.com", "www.example.com"));
        assert!(!matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(matches("Example.com", "example.COM"));
    }
}
