//! The lab's own certificate authority, and the server certificates it signs.
//! It knows nothing of what is served behind them.
use std::sync::Arc;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority that lives as long as the lab.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("setting up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

impl Authority {
    pub fn new(now: Timestamp) -> Result<Self, TlsError> {
        let mut params = dated(CertificateParams::new(Vec::new())?, now);
        params.distinguished_name.push(DnType::CommonName, "covet-lab-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The authority's certificate, for kubeconfigs and trust stores.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// TLS for a server that answers to 127.0.0.1, `localhost` and the names a cluster knows its API by.
    pub fn server(&self, now: Timestamp, protocols: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let names = ["127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default.svc"];
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = dated(CertificateParams::new(names)?, now);
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// Valid from yesterday for a year.
fn dated(mut params: CertificateParams, now: Timestamp) -> CertificateParams {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
    };
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(today.saturating_add(1.year()));
    params
}
