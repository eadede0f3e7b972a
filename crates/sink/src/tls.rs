//! Trust in the certificates of `opensearch.ca_file`: those of authorities, and a server's own.
//!
//! The rules for certificates (RFC 5280, as webpki holds them) refuse a self-signed certificate that says it is an
//! authority, which is what `openssl req -x509` makes. A certificate in the file is trusted directly: the server must
//! present exactly this certificate, and it must be in date and valid for the host name.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Trusts the authorities of the platform, those of a file, and each certificate that the file names.
#[derive(Debug)]
struct NamedCertificates {
    named: Vec<CertificateDer<'static>>,
    /// With the named certificates as its authorities.
    strict: Arc<WebPkiServerVerifier>,
    /// With those of the platform as well.
    platform: Verifier,
}

/// The cryptography of this process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// Reads the certificates of a PEM file.
///
/// # Errors
/// There is none, or one cannot be read.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let named: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if named.is_empty() { Err("it contains no certificate in PEM format".to_owned()) } else { Ok(named) }
}

/// A configuration that trusts the platform's authorities and the certificates of a file.
///
/// # Errors
/// A certificate cannot be read.
pub(crate) fn trusting(named: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Error> {
    let mut authorities = RootCertStore::empty();
    for certificate in &named {
        authorities.add(certificate.clone())?;
    }
    let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider()).build();
    let strict = strict.map_err(|error| Error::General(error.to_string()))?;
    let platform = Verifier::new_with_extra_roots(named.clone(), provider())?;
    let verifier = Arc::new(NamedCertificates { named, strict, platform });
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

// === impl NamedCertificates ===

impl NamedCertificates {
    /// Checks a certificate that the file names. webpki judges its dates before it judges whose it is, so these two
    /// answers are given for one that is in date.
    fn check_named(&self, certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        match self.strict.verify_server_cert(certificate, &[], name, &[], now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(problem)) if is_about_the_issuer(&problem) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_about_the_issuer(problem: &CertificateError) -> bool {
    match problem {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => {
            matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

impl ServerCertVerifier for NamedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.named.iter().any(|named| named == end_entity) {
            self.check_named(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.platform.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}
