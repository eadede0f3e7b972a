//! What set-up believes of an answer: only what OpenSearch itself says.

use std::path::Path;

use opensearch::http::Method;
use serde_json::json;
use streamdex_config::Config;
use streamdex_mapping::IndexName;
use streamdex_sink::index::{KnownIndex, SetupErrorKind, Target};
use streamdex_sink::{Client, Indices, SetupContext, SetupError};
use streamdex_testkit::engines::{SearchEngine, unique_name};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use streamdex_testkit::report;

const MISSING: &str = r#"{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}"#;

pub(crate) async fn indices(url: &str, index: &str, more: &str) -> Indices {
    let text = format!(
        "source = {{ table = 'things' }}\n[opensearch]\nurl = '{url}'\n[[route]]\nindex = '{index}'\nttl = {{ attribute = 'until' }}\n{more}"
    );
    let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
    let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
    Indices::new(client, &config, &SetupContext::new())
}

pub(crate) fn name(text: &str) -> IndexName {
    IndexName::parse(text).unwrap()
}

fn known() -> KnownIndex {
    KnownIndex { index: "x".into(), concrete: "x-000001".into(), uuid: "A".into(), generation: 1 }
}

/// What a proxy, a load balancer, or an emulator that cuts its answers can say with 200, or with another status.
fn odd_answers() -> Vec<Reply> {
    vec![
        Reply::html(200, "<html>Welcome"),
        Reply::html(200, ""),
        Reply::json(200, "{}"),
        Reply::json(200, "[]"),
        Reply::json(200, r#"{"x-000001":{}}"#),
        Reply::json(200, r#"{"x-000001":{"settings":{}}}"#),
        Reply::json(200, r#"{"x-000001":{"aliases":{}}}"#),
        Reply::json(200, r#"{"x-000001":{"settings"#),
        Reply::html(404, "<html>not found"),
        Reply::json(404, r#"{"message":"no Route matched"}"#),
        Reply::json(404, r#"{"error":"no handler found"}"#),
        Reply::html(302, ""),
    ]
}

#[tokio::test]
async fn no_odd_answer_to_a_look_at_uuids_is_a_vanished_index() {
    for reply in odd_answers() {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(reply.clone()));
        let indices = indices(&server.url(), "x", "").await;
        indices.remember([known()]);
        let error = indices.watch().await.expect_err(&format!("{reply:?}"));
        assert_ne!(error.kind(), SetupErrorKind::Gap, "{reply:?}: {error}");
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn no_odd_answer_to_set_up_is_a_vanished_index_or_makes_one() {
    for reply in odd_answers() {
        let server = FaultServer::scripted();
        server.add(get("/x").answer(reply.clone()));
        let indices = indices(&server.url(), "x", "").await;
        indices.remember([known()]);
        let error = indices.ensure(&name("x")).await.expect_err(&format!("{reply:?}"));
        assert_ne!(error.kind(), SetupErrorKind::Gap, "{reply:?}: {error}");
        let plan = indices.plan().await.pop().unwrap().result.expect_err(&format!("{reply:?}"));
        assert_ne!(plan.kind(), SetupErrorKind::Gap, "{reply:?}: {plan}");
        let changed = server.requests().iter().any(|request| request.method != "GET");
        assert!(!changed, "{reply:?}");
    }
}

fn get(path: &'static str) -> Rule {
    Rule::when(move |request| request.method == "GET" && request.path.starts_with(path))
}

/// Answers `{}` to a question for several names, as the engines do, and OpenSearch's own error to one for a name.
fn without_the_index(server: &FaultServer, times: u64) {
    let alone = |path: &str| !path.contains("ignore_unavailable");
    server.add(
        Rule::when(move |request| request.path.starts_with("/x-000001") && alone(&request.path))
            .times(times)
            .answer(Reply::json(404, MISSING)),
    );
    server.add(
        Rule::when(move |request| request.path.starts_with("/x-000001") && !alone(&request.path))
            .times(times)
            .answer(Reply::json(200, "{}")),
    );
    server.add(get("/x-000001").answer(Reply::json(200, r#"{"x-000001":{"settings":{"index.uuid":"A"}}}"#)));
}

#[tokio::test]
async fn a_vanished_index_takes_opensearchs_own_error_twice() {
    let once = FaultServer::scripted();
    without_the_index(&once, 1);
    let indices_once = indices(&once.url(), "x", "").await;
    indices_once.remember([known()]);
    assert_eq!(indices_once.watch().await.unwrap(), []);
    assert_eq!(once.requests().len(), 3, "a second look");

    let twice = FaultServer::scripted();
    without_the_index(&twice, 2);
    let indices_twice = indices(&twice.url(), "x", "").await;
    indices_twice.remember([known()]);
    let gone = indices_twice.watch().await.unwrap();
    assert_eq!(gone[0].concrete, "x-000001");
    assert_eq!(gone[0].found_uuid, None);
}

#[tokio::test]
async fn a_web_page_in_place_of_opensearch_is_said() {
    let pages = [
        Reply::html(200, "<html>Welcome to nginx"),
        Reply::html(404, "<html>Not Found"),
        Reply::json(404, r#"{"error":"not found"}"#),
        Reply::json(200, "{}"),
    ];
    for page in pages {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(page.clone()));
        let indices = indices(&server.url(), "x", "").await;
        let error = indices.flavour().await.expect_err(&format!("{page:?}"));
        assert_eq!(error.kind(), SetupErrorKind::Endpoint, "{error}");
        assert!(error.to_string().starts_with("this is not OpenSearch"), "{error}");
        // and a probe does not take it for OpenSearch either
        let settings = crate::support::settings(&server.url(), streamdex_config::Auth::None);
        let client = Client::connect(&settings, &Default::default()).await.unwrap();
        assert!(!client.is_opensearch(&client.ping().await.unwrap()), "{page:?}");
    }
}

#[tokio::test]
async fn http_for_https_and_the_reverse_are_said() {
    let plain = FaultServer::scripted();
    let tls = FaultServer::with_tls(&plain.url(), streamdex_testkit::fault::CertificateKind::PrivateCa);
    let spoken = async |url: String| {
        let error = indices(&url, "x", "").await.flavour().await.unwrap_err();
        assert_eq!(error.kind(), SetupErrorKind::Endpoint, "{error}");
        (error.to_string(), error.hint())
    };
    let (message, hint) = spoken(tls.url().replace("https:", "http:")).await;
    assert!(message.ends_with("speaks https, but opensearch.url says http") && hint.contains("https://"), "{message}");
    let (message, hint) = spoken(plain.url().replace("http:", "https:")).await;
    assert!(message.ends_with("speaks http, but opensearch.url says https") && hint.contains("http://"), "{message}");
}

/// A change that something else answered is not taken for carried out.
#[tokio::test]
async fn a_page_in_place_of_an_acknowledgement_is_no_change() {
    let server = FaultServer::scripted();
    server.add(Rule::when(|request| request.method == "PUT").answer(Reply::html(200, "<html>")));
    server.add(get("/x").answer(Reply::json(404, MISSING)));
    let error = indices(&server.url(), "x", "").await.ensure(&name("x")).await.unwrap_err();
    assert!(matches!(error, SetupError::Unexpected { .. }), "{error}");
    assert_eq!(server.requests().iter().filter(|request| request.method == "PUT").count(), 1);
}

async fn behind_alias(client: &Client, index: &str, alias: &str) {
    let body = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "aliases": {alias: {}}});
    assert!(client.json(Method::Put, index, Some(&body)).await.unwrap().is_success());
}

#[tokio::test]
async fn a_second_index_behind_the_users_alias_changes_nothing() {
    for engine in SearchEngine::REAL {
        let Some(node) = report::search_node(engine).await else { continue };
        let alias = unique_name("alias");
        let (first, second) = (format!("{alias}-a"), format!("{alias}-b"));
        let check = format!("[index.{alias}]\nmanage = 'check'");
        let running = indices(&node.url(), &alias, &check).await;
        let settings = crate::support::settings(&node.url(), streamdex_config::Auth::None);
        let client = Client::connect(&settings, &Default::default()).await.unwrap();
        behind_alias(&client, &first, &alias).await;
        let target = running.ensure(&name(&alias)).await.unwrap();
        assert_eq!(target.concrete, first);
        behind_alias(&client, &second, &alias).await;
        assert_eq!(running.watch().await.unwrap(), []);

        // and after a restart
        let again = indices(&node.url(), &alias, &check).await;
        again.remember(running.known());
        let after: Target = (*again.ensure(&name(&alias)).await.unwrap()).clone();
        assert_eq!(after, *target);
        // without that memory nobody knows which of them is meant
        let again = indices(&node.url(), &alias, &check).await.ensure(&name(&alias)).await;
        assert!(matches!(again, Err(SetupError::SeveralIndices { .. })), "{again:?}");

        // readers look elsewhere: nothing is written in silence
        let moved = json!({"actions": [{"remove": {"index": first, "alias": alias}}]});
        assert!(client.json(Method::Post, "_aliases", Some(&moved)).await.unwrap().is_success());
        let moved = indices(&node.url(), &alias, &check).await;
        moved.remember(running.known());
        let error = moved.ensure(&name(&alias)).await.unwrap_err();
        assert!(matches!(&error, SetupError::AliasMoved { found, .. } if *found == [second.clone()]), "{error}");
        assert_eq!(moved.watch().await.unwrap(), [], "it has not vanished");
    }
}
