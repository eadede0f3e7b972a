//! Valid and invalid certificates.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Which certificate the server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// Valid, of the private authority that [`crate::fault::FaultServer::trusted_ca`] gives.
    PrivateCa,
    /// Of that authority, but expired.
    Expired,
    /// Of another authority than the trusted one.
    ForeignCa,
    /// Of that authority, but for another host.
    OtherHost,
    /// Signed by itself and made out as an authority, as `openssl req -x509` makes it; it is what
    /// [`crate::fault::FaultServer::trusted_ca`] gives.
    SelfSigned,
    /// As `SelfSigned`, but expired.
    SelfSignedExpired,
    /// As `SelfSigned`, but for another host.
    SelfSignedOtherHost,
}

#[derive(Debug)]
pub(crate) struct ServedCertificate {
    trusted_ca: String,
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: KeyPair,
}

impl ServedCertificate {
    pub(crate) fn issue(kind: CertificateKind) -> Self {
        let key = KeyPair::generate().expect("a key");
        let parameters = parameters(kind);
        if kind.is_self_signed() {
            let certificate = parameters.self_signed(&key).expect("a certificate");
            let chain = vec![certificate.der().clone()];
            return Self { trusted_ca: certificate.pem(), chain, chain_pem: certificate.pem(), key };
        }
        let trusted = authority("streamdex test authority");
        let foreign = authority("some other authority");
        let issuer = if kind == CertificateKind::ForeignCa { &foreign } else { &trusted };
        let certificate = parameters.signed_by(&key, issuer).expect("a certificate");
        let chain = vec![certificate.der().clone(), issuer.der().clone()];
        Self { trusted_ca: trusted.pem(), chain, chain_pem: certificate.pem() + &issuer.pem(), key }
    }

    pub(crate) fn trusted_ca(&self) -> &str {
        &self.trusted_ca
    }

    /// The server's certificate, and that of who has issued it.
    pub(crate) fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
                builder.with_no_client_auth().with_single_cert(self.chain.clone(), key)
            })
            .expect("a configuration for TLS");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl CertificateKind {
    fn is_self_signed(self) -> bool {
        matches!(self, Self::SelfSigned | Self::SelfSignedExpired | Self::SelfSignedOtherHost)
    }
}

fn parameters(kind: CertificateKind) -> CertificateParams {
    let hosts = match kind {
        CertificateKind::OtherHost | CertificateKind::SelfSignedOtherHost => vec!["search.example".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut parameters = CertificateParams::new(hosts).expect("names of hosts");
    if matches!(kind, CertificateKind::Expired | CertificateKind::SelfSignedExpired) {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    }
    if kind.is_self_signed() {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    parameters
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate")
}
