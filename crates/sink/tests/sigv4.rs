//! Signatures, computed again by botocore from what arrived at the server.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use opensearch::http::Method;
use serde_json::json;
use streamdex_config::{Auth, AwsSettings, Compression, SigV4Service};
use streamdex_sink::Client;
use streamdex_testkit::engines::Moto;
use streamdex_testkit::fault::{FaultServer, Recorded, Reply, Rule};
use streamdex_testkit::report;

use crate::support::{applied, operations, settings, writer};

const BOTOCORE: &str = "botocore";
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "a/session+token==";

fn verify(python: &Path, server: &FaultServer, request: &Recorded, service: &str) -> String {
    let headers: serde_json::Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    let case = json!({
        "method": request.method.as_str(),
        "url": format!("{}{}", server.url(), request.path),
        "headers": headers,
        "body": request.text(),
        "service": service,
        "region": "eu-west-1",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "token": TOKEN,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sigv4/verify.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn botocore_computes_the_same_signatures() {
    let Some(python) = report::needs(BOTOCORE, Moto::python()) else { return };
    for (service, name) in [(SigV4Service::Es, "es"), (SigV4Service::Aoss, "aoss")] {
        let server = FaultServer::scripted();
        let auth = Auth::SigV4 { service, region: Some("eu-west-1".into()), aws: AwsSettings::default() };
        let mut settings = settings(&server.url(), auth);
        // The server records bodies decompressed, and the signature covers what is sent.
        settings.compression = Compression::None;
        let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, Some(TOKEN.into()), None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        let client = Client::with_credentials(&settings, provider, service, "eu-west-1").unwrap();
        let (writer, _cancel) = writer(client.clone(), &settings);
        assert_eq!(applied(&writer.write(operations(20)).await), 20);
        server.add(Rule::any().answer(Reply::json(200, "{}")));
        client.json(Method::Get, "_alias/a%2Cb?expand_wildcards=open,hidden&x=%C3%A9%20*", None).await.unwrap();
        client.json(Method::Put, "sessions-000001", Some(&json!({"a": "é"}))).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        for request in &requests {
            assert_eq!(request.header("x-amz-security-token"), TOKEN);
            assert_eq!(verify(&python, &server, request, name).trim(), "ok", "{name} {}", request.path);
        }
        // The check itself tells a changed body.
        let mut changed = requests[0].clone();
        changed.body = "{}\n".into();
        assert_ne!(verify(&python, &server, &changed, name).trim(), "ok");
    }
}
