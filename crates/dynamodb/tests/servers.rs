//! Errors name the server that was asked, and say when it is no DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use streamdex_dynamodb::Fault;
use streamdex_dynamodb::state::{Extent, StateTable};
use streamdex_testkit::engines::dynamodb_client;
use streamdex_testkit::fault::{CertificateKind, FaultServer, Reply, Rule};

async fn error_of(client: Client) -> streamdex_dynamodb::AwsError {
    let error = StateTable::new(client, "state", "default").query("x", Extent::All).await.unwrap_err();
    error.aws().unwrap_or_else(|| panic!("{error}")).clone()
}

fn client(endpoint: Option<&str>) -> Client {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(aws_config::retry::RetryConfig::disabled());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Client::from_conf(config.build())
}

#[tokio::test]
async fn what_is_no_dynamodb_is_called_that() {
    let page = "<html><body>Sign in</body></html>";
    let rows = [
        (Reply::html(200, page), "status 200 and text/html"),
        (Reply::html(404, page), "status 404 and text/html"),
        (Reply::html(403, page), "status 403 and text/html"),
        (Reply::html(400, "The plain HTTP request was sent to HTTPS port"), "status 400 and text/html"),
        (
            Reply::json(405, r#"{"error":"Incorrect HTTP method for uri [/]","status":405}"#),
            "status 405 and application/json",
        ),
        (Reply::json(404, r#"{"error":{"type":"no_rule"},"status":404}"#), "status 404 and application/json"),
        (Reply::html(503, page), "status 503 and text/html"),
    ];
    for (reply, part) in rows {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(reply));
        let error = error_of(client(Some(&server.url()))).await;
        let text = error.to_string();
        let expected = format!("Query at {} failed: the server is not DynamoDB: {part}", server.url());
        assert_eq!(text, expected);
        assert_eq!(error.fault().passes_by_itself(), part.contains("200") || part.contains("503"), "{text}");
        assert!(error.hint().contains("endpoint_url"), "{}", error.hint());
        assert!(!text.contains("Sign in") && !text.contains("Incorrect"), "{text}");
    }
    // An error of DynamoDB's form is one.
    let server = FaultServer::scripted();
    let known = r#"{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","Message":"not you"}"#;
    server.add(Rule::any().answer(Reply::json(400, known)));
    let error = error_of(client(Some(&server.url()))).await;
    assert_eq!(error.fault(), Fault::Denied);
    assert_eq!(error.to_string(), format!("Query at {} failed: AccessDeniedException: not you", server.url()));
}

#[tokio::test]
async fn http_for_https_and_the_reverse_are_said() {
    let plain = FaultServer::scripted();
    let https = plain.url().replace("http://", "https://");
    let error = error_of(client(Some(&https))).await;
    assert_eq!(
        error.to_string(),
        format!("Query at {https} failed: the server speaks plain HTTP, but https was requested")
    );
    assert!(error.hint().contains("http://"), "{}", error.hint());

    let tls = FaultServer::with_tls("http://127.0.0.1:9", CertificateKind::PrivateCa);
    let http = tls.url().replace("https://", "http://");
    let error = error_of(client(Some(&http))).await;
    let text = error.to_string();
    assert!(text.starts_with(&format!("Query at {http} failed: the server does not speak plain HTTP")), "{text}");
    assert!(error.hint().contains("https://"), "{}", error.hint());
}

#[tokio::test]
async fn a_server_that_is_not_there_and_a_region_are_named() {
    let server = FaultServer::scripted();
    server.refuse();
    let error = error_of(dynamodb_client(&server.url())).await;
    assert!(error.to_string().starts_with(&format!("Query at {} failed: ", server.url())), "{error}");
    // No such region: there is no such host.
    let error = error_of(client(None)).await;
    assert!(error.to_string().starts_with("Query in region eu-west1 failed: "), "{error}");
}
