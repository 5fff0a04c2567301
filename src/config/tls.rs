//! How far a peer's certificate is trusted: rustls configurations for the database and the cache.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::ConnectError;
use crate::domain::BlindKind;

/// Makes ring the process's cryptography, once; later calls change nothing.
pub fn install_provider() {
    // The only error is that somebody already did.
    let _ = ring::default_provider().install_default();
}

/// The machine's trusted roots, or those of a PEM file.
pub fn roots(file: Option<&Path>) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    match file {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let unreadable = |why: String| {
                let why = format!("the root certificate {} cannot be read: {why}", path.display());
                ConnectError::new(BlindKind::Broken, why, "check sslrootcert in the database URL")
            };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            let certificates: Result<Vec<_>, _> = certificates.collect();
            roots.add_parsable_certificates(certificates.map_err(|error| unreadable(error.to_string()))?);
        }
    }
    Ok(roots)
}

/// A client that checks the peer's name and chain.
pub fn verifying(roots: RootCertStore) -> ClientConfig {
    install_provider();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

/// A client that encrypts and trusts anybody: what libpq's `sslmode=require` means.
pub fn trusting_anybody() -> ClientConfig {
    looking(Arc::new(Nobody))
}

/// A client that lets every certificate pass, with a signature that proves its key, once somebody has looked at it.
pub fn looking(look: Arc<dyn Look>) -> ClientConfig {
    install_provider();
    let known = ring::default_provider().signature_verification_algorithms;
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody { look, known }))
        .with_no_client_auth()
}

/// Looks at certificates that pass whatever it finds.
pub trait Look: fmt::Debug + Send + Sync {
    fn look(&self, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>], name: &ServerName<'_>);
}

#[derive(Debug)]
struct Nobody;

impl Look for Nobody {
    fn look(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>) {}
}

#[derive(Debug)]
struct Anybody {
    look: Arc<dyn Look>,
    known: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.look.look(certificate, chain, name);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_schemes()
    }
}
