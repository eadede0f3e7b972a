//! TLS with good and bad certificates, through a proxy.

use std::path::PathBuf;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use opensearch::http::Method;
use streamdex_config::{Auth, AwsSettings, OpenSearch, SigV4Service};
use streamdex_sink::client::TlsProblem;
use streamdex_sink::{Answer, Client, ClientError};
use streamdex_testkit::fault::{CertificateKind, FaultServer, Reply, Rule};

use crate::support::settings;

struct Ways {
    trusted: Result<Answer, ClientError>,
    untrusted: Result<Answer, ClientError>,
    unchecked: Result<Answer, ClientError>,
}

/// Asks a server with that certificate: with its authority, without it, and without checking.
async fn ask(kind: CertificateKind) -> Ways {
    let plain = FaultServer::scripted();
    plain.add(Rule::any().answer(Reply::json(200, "{}")));
    let server = FaultServer::with_tls(&plain.url(), kind);
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, server.trusted_ca()).unwrap();
    let with = |ca_file: Option<PathBuf>, tls_verify| {
        let mut settings = settings(&server.url(), Auth::None);
        settings.ca_file = ca_file;
        settings.tls_verify = tls_verify;
        async move {
            let client = Client::connect(&settings, &AwsSettings::default()).await?;
            client.json(Method::Get, "/", None).await
        }
    };
    Ways {
        trusted: with(Some(ca_file), true).await,
        untrusted: with(None, true).await,
        unchecked: with(None, false).await,
    }
}

fn problem(result: Result<Answer, ClientError>) -> TlsProblem {
    match result {
        Err(ClientError::Tls { problem, .. }) => {
            assert!(!problem.hint().is_empty());
            problem
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let ways = ask(CertificateKind::PrivateCa).await;
    assert!(ways.trusted.unwrap().is_success());
    assert!(ways.unchecked.unwrap().is_success());
    assert_eq!(problem(ways.untrusted), TlsProblem::UnknownAuthority);
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    assert_eq!(problem(ask(CertificateKind::Expired).await.trusted), TlsProblem::Expired);
    assert_eq!(problem(ask(CertificateKind::ForeignCa).await.trusted), TlsProblem::UnknownAuthority);
    assert_eq!(problem(ask(CertificateKind::OtherHost).await.trusted), TlsProblem::WrongName);
}

#[tokio::test]
async fn a_file_that_is_no_certificate_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, "no certificate").unwrap();
    let mut settings = settings("https://127.0.0.1:1", Auth::None);
    settings.ca_file = Some(ca_file);
    let error = Client::connect(&settings, &AwsSettings::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::CaFile { .. }), "{error}");
    assert!(error.hint().contains("ca_file"));
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_the_file_names_it() {
    let ways = ask(CertificateKind::SelfSigned).await;
    assert!(ways.trusted.unwrap().is_success());
    let problem = problem(ways.untrusted);
    assert!(matches!(problem, TlsProblem::SelfSigned | TlsProblem::UnknownAuthority), "{problem:?}");
    assert!(problem.hint().contains("opensearch.ca_file"));
}

#[tokio::test]
async fn a_self_signed_certificate_must_be_the_very_one_in_date_and_for_the_host() {
    assert_eq!(problem(ask(CertificateKind::SelfSignedExpired).await.trusted), TlsProblem::Expired);
    assert_eq!(problem(ask(CertificateKind::SelfSignedOtherHost).await.trusted), TlsProblem::WrongName);
    // the file names another one of the same kind
    let (shown, named) = (CertificateKind::SelfSigned, CertificateKind::SelfSigned);
    let plain = FaultServer::scripted();
    let server = FaultServer::with_tls(&plain.url(), shown);
    let other = FaultServer::with_tls(&plain.url(), named);
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, other.trusted_ca()).unwrap();
    let mut settings = settings(&server.url(), Auth::None);
    settings.ca_file = Some(ca_file);
    let client = Client::connect(&settings, &AwsSettings::default()).await.unwrap();
    let refused = problem(client.json(Method::Get, "/", None).await);
    assert!(!refused.hint().is_empty());
    assert!(plain.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_for_signed_requests_too() {
    let plain = FaultServer::scripted();
    plain.add(Rule::any().answer(Reply::json(200, "{}")));
    let server = FaultServer::with_tls(&plain.url(), CertificateKind::SelfSigned);
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, server.trusted_ca()).unwrap();
    let service = SigV4Service::Es;
    let auth = Auth::SigV4 { service, region: Some("eu-west-1".into()), aws: AwsSettings::default() };
    let mut settings = settings(&server.url(), auth);
    let ask = |settings: &OpenSearch| {
        let credentials = SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"));
        let client = Client::with_credentials(settings, credentials, service, "eu-west-1").unwrap();
        async move { client.json(Method::Get, "/", None).await }
    };
    assert!(matches!(ask(&settings).await, Err(ClientError::Tls { .. })));
    settings.ca_file = Some(ca_file);
    assert!(ask(&settings).await.unwrap().is_success());
    let signed = plain.requests().pop().unwrap();
    assert!(signed.header("authorization").starts_with("AWS4-HMAC-SHA256 "), "{signed:?}");
}
