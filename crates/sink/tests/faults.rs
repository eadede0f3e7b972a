//! Client and writer against a server that fails on demand, over real connections.

use std::time::Duration;

use opensearch::http::Method;
use streamdex_config::{Auth, AwsSettings, Compression, PasswordSource};
use streamdex_mapping::Outcome;
use streamdex_sink::client::TlsProblem;
use streamdex_sink::{Client, ClientError, Decision, PauseReason};
use streamdex_testkit::fault::{FaultServer, ItemError, Reply, Rule};

use crate::support::{applied, operation, operations, settings, writer};

const LIMIT: Duration = Duration::from_secs(30);

async fn client(settings: &streamdex_config::OpenSearch) -> Client {
    Client::connect(settings, &AwsSettings::default()).await.unwrap()
}

/// Writes 500 operations through one fault, and expects all of them to be applied.
async fn survives(rule: Rule) -> FaultServer {
    let server = FaultServer::scripted();
    server.add(rule);
    let settings = settings(&server.url(), Auth::None);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    let decisions = tokio::time::timeout(LIMIT, writer.write(operations(500))).await.unwrap();
    assert_eq!(applied(&decisions), 500);
    server
}

#[tokio::test]
async fn a_healthy_server_gets_one_compressed_request() {
    let server = survives(Rule::any().skip(u64::MAX)).await;
    let requests = server.bulk_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("content-encoding"), "gzip");
    assert_eq!(requests[0].header("content-type"), "application/x-ndjson");
    assert!(requests[0].header("user-agent").starts_with("streamdex/"));
    assert!(requests[0].path.contains("filter_path="));
    // Well under the client's deadline of 20 s.
    assert!(requests[0].path.contains("&timeout=5000ms"), "{}", requests[0].path);
    assert_eq!(requests[0].operations().len(), 500);
}

#[tokio::test]
async fn connections_that_break_are_survived() {
    survives(Rule::bulk().times(3).drop_before()).await;
    survives(Rule::bulk().times(3).drop_after()).await;
    survives(Rule::bulk().times(3).cut_answer(40)).await;
}

#[tokio::test]
async fn answers_of_proxies_are_survived() {
    survives(Rule::bulk().times(3).answer(Reply::html(503, "<html>S3CRET"))).await;
    survives(Rule::bulk().times(2).answer(Reply::html(502, ""))).await;
    survives(Rule::bulk().times(2).answer(Reply::json(200, r#"{"items":[]}"#))).await;
    survives(
        Rule::bulk().times(2).answer(Reply::json(403, r#"{"message":"Request throttled due to too many requests"}"#)),
    )
    .await;
}

#[tokio::test]
async fn only_refused_items_are_sent_again() {
    let error = ItemError::new(429, "rejected_execution_exception");
    let server = survives(Rule::bulk().times(1).withhold_items(error, |position, _| position % 5 == 0)).await;
    let sizes: Vec<usize> = server.bulk_requests().iter().map(|request| request.operations().len()).collect();
    assert_eq!(sizes, [500, 100]);
}

#[tokio::test]
async fn a_413_divides_the_request() {
    let large = |request: &streamdex_testkit::fault::Recorded| request.is_bulk() && request.body.len() > 20_000;
    let server = survives(Rule::when(large).answer(Reply::html(413, "too large"))).await;
    assert!(server.bulk_requests().len() > 3);
}

#[tokio::test]
async fn a_refused_value_is_told_without_the_value() {
    let server = FaultServer::scripted();
    let reason =
        "failed to parse field [age] of type [long] in document with id 'd1'. Preview of field's value: 'S3CRET'";
    let error = ItemError::new(400, "mapper_parsing_exception").reason(reason);
    server.add(Rule::bulk().rewrite_items(error, |position, _| position == 1));
    let settings = settings(&server.url(), Auth::None);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    let decisions = writer.write(operations(3)).await;
    let Decision::Refused(refusal) = &decisions[1] else { panic!("{:?}", decisions[1]) };
    assert_eq!(refusal.message, "the value of field [age] is no long");
    assert!(!format!("{decisions:?} {:?}", writer.stats()).contains("S3CRET"));
}

#[tokio::test]
async fn a_rotated_password_is_read_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "old").unwrap();
    let server = FaultServer::scripted();
    let auth = Auth::Basic { username: "admin".into(), password: PasswordSource::File(path.clone()) };
    let settings = settings(&server.url(), auth);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    assert_eq!(applied(&writer.write(operations(5)).await), 5);
    server.add(
        Rule::when(|request| request.header("authorization") == "Basic YWRtaW46b2xk")
            .answer(Reply::html(401, "Unauthorized")),
    );
    std::fs::write(&path, "new").unwrap();
    assert_eq!(applied(&tokio::time::timeout(LIMIT, writer.write(operations(5))).await.unwrap()), 5);
    assert!(writer.pauses().is_empty());
}

#[tokio::test]
async fn admin_calls_refresh_credentials_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "p").unwrap();
    let server = FaultServer::scripted();
    server.add(Rule::any().times(1).answer(Reply::html(401, "")));
    server.add(Rule::any().answer(Reply::json(200, r#"{"acknowledged":true}"#)));
    let auth = Auth::Basic { username: "admin".into(), password: PasswordSource::File(path) };
    let client = client(&settings(&server.url(), auth)).await;
    let body = serde_json::json!({"settings": {}});
    let answer = client.json(Method::Put, "sessions-000001?wait_for_active_shards=1", Some(&body)).await.unwrap();
    assert!(answer.is_success());
    assert_eq!(answer.json::<serde_json::Value>().unwrap()["acknowledged"], true);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].path, "/sessions-000001?wait_for_active_shards=1");
    assert_eq!(requests[1].text(), r#"{"settings":{}}"#);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = FaultServer::scripted();
    server.add(Rule::any().hang());
    let mut settings = settings(&server.url(), Auth::None);
    settings.request_timeout = Duration::from_millis(200);
    let error = client(&settings).await.json(Method::Get, "/", None).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_tls_on_a_plain_port_is_told() {
    let server = FaultServer::scripted();
    let plain = server.url();
    let error = client(&settings(&plain.replace("http:", "https:"), Auth::None))
        .await
        .json(Method::Get, "/", None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Tls { problem: TlsProblem::NoTls, .. } | ClientError::Interrupted { .. }),
        "{error:?}"
    );
    server.refuse();
    let error = client(&settings(&plain, Auth::None)).await.json(Method::Get, "/", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1") && error.hint().contains("opensearch.url"));
}

#[tokio::test]
async fn an_outage_is_waited_for() {
    let server = FaultServer::scripted();
    let mut settings = settings(&server.url(), Auth::None);
    settings.compression = Compression::None;
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    server.refuse();
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(vec![operation("x", b"{}".to_vec())]).await }
    });
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    server.accept();
    assert!(matches!(
        tokio::time::timeout(LIMIT, writing).await.unwrap().unwrap()[..],
        [Decision::Done(Outcome::Applied)]
    ));
    writer.watch_pauses().wait_for(Vec::is_empty).await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_is_called_that() {
    for status in [301, 302, 303, 307, 308] {
        for signed in [false, true] {
            let (server, elsewhere) = (FaultServer::scripted(), FaultServer::scripted());
            let to = format!("{}/login", elsewhere.url());
            let rule = server.add(Rule::any().answer(Reply::html(status, "<html>S3CRET").header("location", &to)));
            let settings = settings(&server.url(), Auth::None);
            let client = if signed { self::signed(&settings) } else { client(&settings).await };
            let (writer, _cancel) = writer(client.clone(), &settings);
            let writing = tokio::spawn({
                let writer = writer.clone();
                async move { writer.write(operations(20)).await }
            });
            writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
            assert_eq!(writer.pauses()[0].reason, PauseReason::Redirected, "{status}");
            assert_eq!(client.json(Method::Get, "/", None).await.unwrap().status, status);
            assert!(elsewhere.requests().is_empty(), "{status}: {:?}", elsewhere.requests());
            // It goes on by itself.
            server.remove(rule);
            assert_eq!(applied(&tokio::time::timeout(LIMIT, writing).await.unwrap().unwrap()), 20);
        }
    }
}

fn signed(settings: &streamdex_config::OpenSearch) -> Client {
    let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
    Client::with_credentials(settings, provider, streamdex_config::SigV4Service::Es, "eu-west-1").unwrap()
}

#[tokio::test]
async fn a_retry_after_of_any_form_is_survived() {
    for value in ["18446744073709551615", "86400", "0.5", "Fri, 31 Dec 9999 23:59:59 GMT", "whenever"] {
        survives(Rule::bulk().times(2).answer(Reply::html(503, "<html>").header("retry-after", value))).await;
    }
}

#[tokio::test]
async fn a_firewall_that_refuses_one_body_costs_one_document() {
    let server = FaultServer::scripted();
    let marked =
        |request: &streamdex_testkit::fault::Recorded| request.is_bulk() && request.text().contains("\"n\":7,");
    server.add(Rule::when(marked).answer(Reply::html(403, "<html>S3CRET")));
    let settings = settings(&server.url(), Auth::None);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    let decisions = tokio::time::timeout(LIMIT, writer.write(operations(50))).await.unwrap();
    assert_eq!(applied(&decisions), 49);
    let Decision::Refused(refusal) = &decisions[7] else { panic!("{:?}", decisions[7]) };
    assert_eq!(refusal.error_type, "http_403");
    assert!(writer.pauses().is_empty());
}

#[tokio::test]
async fn a_page_in_place_of_opensearch_is_called_that() {
    let server = FaultServer::scripted();
    let rule = server.add(Rule::bulk().answer(Reply::html(503, "<html>S3CRET")));
    let settings = settings(&server.url(), Auth::None);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(operations(20)).await }
    });
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert_eq!(writer.pauses()[0].reason, PauseReason::Gateway);
    server.remove(rule);
    assert_eq!(applied(&tokio::time::timeout(LIMIT, writing).await.unwrap().unwrap()), 20);
}

/// Nothing was accepted yet, so the refusal alone could be about everything.
#[tokio::test]
async fn one_operation_that_is_refused_whole_is_judged_by_a_probe_of_bulk() {
    let refused = r#"{"error":{"type":"illegal_argument_exception","reason":"explicit index in bulk is not allowed"},"status":400}"#;
    for all in [false, true] {
        let server = FaultServer::scripted();
        server.add(
            Rule::when(move |request| request.is_bulk() && (all || request.text().contains("poison")))
                .answer(Reply::json(400, refused)),
        );
        let settings = settings(&server.url(), Auth::None);
        let (writer, _cancel) = writer(client(&settings).await, &settings);
        let writing = writer.write(vec![operation("poison", b"{}".to_vec())]);
        let written = tokio::time::timeout(Duration::from_secs(3), writing).await;
        let decision = written.ok().and_then(|mut decisions| decisions.pop());
        assert_eq!(matches!(decision, Some(Decision::Refused(_))), !all, "{decision:?}");
        let requests = server.bulk_requests();
        let probe = requests.iter().find(|request| request.text().contains("streamdex-probe-")).unwrap().text();
        assert!(probe.contains("sessions-000001") && !probe.contains("version"), "{probe}");
    }
}

/// A proxy with a wrong limit: no document of a hundred bytes is too large.
#[tokio::test]
async fn a_413_to_everything_makes_no_document_too_large() {
    let server = FaultServer::scripted();
    let rule = server.add(Rule::bulk().answer(Reply::html(413, "<html>Request Entity Too Large")));
    let settings = settings(&server.url(), Auth::None);
    let (writer, _cancel) = writer(client(&settings).await, &settings);
    let mut writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(operations(200)).await }
    });
    let paused = async { writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.map(drop) };
    tokio::time::timeout(LIMIT, paused).await.unwrap().unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut writing).await.is_err(), "nothing is decided");
    server.remove(rule);
    assert_eq!(applied(&writing.await.unwrap()), 200);
}
